//! How channels and connections end: by an error, by either side's wish, or because the socket is gone.
//!
//! Whichever it is, the host hears of each channel's end once and of the connection's end once, and gets every delivery
//! back that was not settled.

use std::borrow::Cow;
use std::time::Duration;
use std::time::Instant;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::connection;

use crate::connection::Connection;
use crate::connection::Ending;
use crate::connection::Phase;
use crate::connection::host::Failure;
use crate::connection::host::Host;
use crate::connection::reply_text::NO_METHOD;
use crate::connection::reply_text::channel_close;
use crate::connection::reply_text::connection_close;
use crate::connection::turn::Turn;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::Lsn;
use crate::model::ReplyCode;
use crate::protocol::encode;
use crate::protocol::method::MethodId;
use crate::protocol::output::Output;
use crate::protocol::output::Sink as _;

/// Pause before the socket of a peer that cannot be trusted, or cannot be understood, is dropped.
pub(super) const SILENT_PAUSE: Duration = Duration::from_secs(3);
/// Longest wait for `close-ok`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The same before `tune-ok`.
const EARLY_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

const CONNECTION: ChannelId = ChannelId(0);

impl Connection {
    /// The node closes the connection, for `connection.close` is not the client's to send: shutdown, or an operator.
    pub fn force_close(
        &mut self,
        code: ReplyCode,
        text: Cow<'static, str>,
        now: Instant,
        host: &mut dyn Host,
        out: &mut Output,
    ) {
        self.close_by_force(code, text, &mut Turn { host, out, now });
    }

    pub(super) fn close_by_force(
        &mut self,
        code: ReplyCode,
        text: Cow<'static, str>,
        turn: &mut Turn<'_>,
    ) {
        let error = AmqpError::Connection { code, text };
        match self.phase {
            Phase::Open => {
                self.tell(&error, CONNECTION, NO_METHOD, turn);
                self.close_with(error, NO_METHOD, turn);
            }
            Phase::Header | Phase::Starting | Phase::Tuning | Phase::Opening => {
                self.tell(&error, CONNECTION, NO_METHOD, turn);
                self.end(Ending::Failed(error));
                self.finish(Duration::ZERO);
            }
            Phase::Closing { .. } | Phase::PeerClosing | Phase::Finished { .. } => {}
        }
    }

    /// An error on channel `id`, which it or the whole connection does not survive.
    pub(super) fn fail_channel(
        &mut self,
        id: ChannelId,
        error: AmqpError,
        method: MethodId,
        turn: &mut Turn<'_>,
    ) {
        if matches!(error, AmqpError::Connection { .. }) || id == CONNECTION {
            return self.fail_at(id, error, method, turn);
        }
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if channel.is_closing() {
            return;
        }
        turn.host.failed(&Failure {
            error: &error,
            channel: id,
            method,
            state: self.phase.name(),
        });
        // What came before the error keeps its confirm.
        channel.send_confirms(&self.shared, turn.out.octets());
        channel.end(turn.host);
        encode::method(turn.out.octets(), id, &channel_close(&error, method));
    }

    /// An error of the connection.
    pub(super) fn fail(&mut self, error: AmqpError, method: MethodId, turn: &mut Turn<'_>) {
        self.fail_at(CONNECTION, error, method, turn);
    }

    /// An error of the connection that a frame of channel `id` made.
    pub(super) fn fail_at(
        &mut self,
        id: ChannelId,
        error: AmqpError,
        method: MethodId,
        turn: &mut Turn<'_>,
    ) {
        match self.phase {
            Phase::Open => {
                self.tell(&error, id, method, turn);
                self.close_with(error, method, turn);
            }
            // Whoever did not log in learns nothing, slowly.
            Phase::Header | Phase::Starting | Phase::Tuning | Phase::Opening => {
                self.tell(&error, id, method, turn);
                self.end(Ending::Failed(error));
                self.finish(SILENT_PAUSE);
            }
            Phase::Closing { .. } | Phase::PeerClosing | Phase::Finished { .. } => {}
        }
    }

    /// Has the error logged.
    pub(super) fn tell(
        &self,
        error: &AmqpError,
        channel: ChannelId,
        method: MethodId,
        turn: &mut Turn<'_>,
    ) {
        turn.host.failed(&Failure {
            error,
            channel,
            method,
            state: self.phase.name(),
        });
    }

    /// Sends `connection.close` and waits for `close-ok`.
    pub(super) fn close_with(&mut self, error: AmqpError, method: MethodId, turn: &mut Turn<'_>) {
        self.give_everything_back(turn.host);
        encode::method(
            turn.out.octets(),
            CONNECTION,
            &connection_close(&error, method),
        );
        self.end(Ending::Failed(error));
        self.phase = Phase::Closing {
            until: turn.now + self.close_timeout(),
        };
    }

    /// `connection.close` came.
    pub(super) fn close_by_peer(&mut self, close: &connection::Close, turn: &mut Turn<'_>) {
        let text = close.reply_text.as_str().to_owned();
        self.end(Ending::ClientClosed(close.reply_code, text));
        let commit = self.give_everything_back(turn.host);
        let ok = AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}));
        if self.shared.is_durable(commit) {
            encode::method(turn.out.octets(), CONNECTION, &ok);
            self.finish(self.close_timeout());
        } else {
            let mut frames = Vec::new();
            encode::method(&mut frames, CONNECTION, &ok);
            self.shared.hold_back(commit, frames);
            self.phase = Phase::PeerClosing;
        }
    }

    /// `channel.close` came, on an open channel.
    pub(super) fn close_channel_by_peer(&mut self, id: ChannelId, turn: &mut Turn<'_>) {
        if let Some(mut channel) = self.channels.remove(&id) {
            self.unconfirmed.remove(&id);
            channel.end(turn.host);
        }
        send_channel_close_ok(id, turn.out.octets());
    }

    /// Ends all channels and then the connection, as far as the host knows of them. What `close-ok` waits for.
    pub(super) fn give_everything_back(&mut self, host: &mut dyn Host) -> Lsn {
        let mut channels: Vec<_> = self.channels.drain().collect();
        channels.sort_unstable_by_key(|(id, _)| *id);
        for (_, mut channel) in channels {
            channel.end(host);
        }
        self.unconfirmed.clear();
        self.shared.hold = None;
        if std::mem::take(&mut self.host_open) {
            host.close()
        } else {
            Lsn::NONE
        }
    }

    /// The peer owes nothing more, and neither do we.
    pub(super) fn finish(&mut self, linger: Duration) {
        self.heartbeats.stop();
        self.phase = Phase::Finished { linger };
    }

    /// Remembers why, if that is not known yet.
    pub(super) fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// How long either side may take over the end.
    pub(super) fn close_timeout(&self) -> Duration {
        match (self.client.tuned, self.client.heartbeat) {
            (false, _) => EARLY_CLOSE_TIMEOUT,
            (true, 0) => CLOSE_TIMEOUT,
            (true, seconds) => Duration::from_secs(u64::from(seconds)).min(CLOSE_TIMEOUT),
        }
    }
}

pub(super) fn send_channel_close_ok(id: ChannelId, out: &mut Vec<u8>) {
    let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
    encode::method(out, id, &AMQPClass::Channel(ok));
}
