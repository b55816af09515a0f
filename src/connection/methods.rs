//! Methods that are not on the hot path: by the state of the connection, and of the channel they are for.

use std::time::Duration;

use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::connection::AMQPMethod;

use crate::connection::Connection;
use crate::connection::Phase;
use crate::connection::channel::Channel;
use crate::connection::close::send_channel_close_ok;
use crate::connection::handshake::send;
use crate::connection::reply_text::NO_METHOD;
use crate::connection::turn::Turn;
use crate::metrics::ChannelStats;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ReplyCode;
use crate::model::release::Deprecated;
use crate::protocol::encode;
use crate::protocol::envelope::Frame;
use crate::protocol::method::Method;
use crate::protocol::method::MethodError;
use crate::protocol::method::MethodId;
use crate::protocol::method::method_id;
use crate::protocol::method::parse_method;
use crate::protocol::output::Sink as _;

const CHANNEL_OPEN: MethodId = MethodId {
    class: 20,
    method: 10,
};
const CHANNEL_CLOSE: MethodId = MethodId {
    class: 20,
    method: 40,
};
const CHANNEL_CLOSE_OK: MethodId = MethodId {
    class: 20,
    method: 41,
};

impl Connection {
    pub(super) fn connection_method(
        &mut self,
        method: Method<'_>,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let method = if let Method::Other(AMQPClass::Connection(method)) = method {
            Some(method)
        } else {
            None
        };
        match (self.phase, method) {
            (Phase::Closing { .. }, Some(AMQPMethod::CloseOk(_))) => {
                self.finish(Duration::ZERO);
            }
            (Phase::Closing { .. }, Some(AMQPMethod::Close(_))) => {
                send(AMQPMethod::CloseOk(connection::CloseOk {}), turn);
            }
            (Phase::Closing { .. }, _) => {}
            (Phase::Tuning | Phase::Opening | Phase::Open, Some(AMQPMethod::Close(close))) => {
                self.close_by_peer(&close, turn)
            }
            (Phase::Starting, Some(AMQPMethod::StartOk(start_ok))) => {
                self.start_ok(start_ok, turn);
            }
            (Phase::Tuning, Some(AMQPMethod::TuneOk(tune_ok))) => self.tune_ok(&tune_ok, turn),
            (Phase::Opening, Some(AMQPMethod::Open(open))) => self.open(&open, turn),
            // Only tokens change; ours are passwords, which nobody asks for twice.
            (Phase::Open, Some(AMQPMethod::UpdateSecret(_))) => {
                send(
                    AMQPMethod::UpdateSecretOk(connection::UpdateSecretOk {}),
                    turn,
                );
            }
            (phase, _) => {
                let text = format!("unexpected method in connection state {}", phase.name());
                let error = AmqpError::new(ReplyCode::ChannelError, text);
                self.fail(error, method_id(payload).unwrap_or(NO_METHOD), turn);
            }
        }
    }

    /// A method that is not on the hot path, after all that came before it was flushed.
    pub(super) fn other_method(
        &mut self,
        id: ChannelId,
        method: Method<'_>,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), AmqpError> {
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(());
        };
        // By a publish that was flushed just now.
        if channel.is_closing() {
            self.method_on_closing_channel(id, payload, turn);
            return Ok(());
        }
        let has_global_qos = self.shared.options.global_qos;
        let turn_of_channel = &mut turn.on_channel(&mut self.shared);
        match method {
            Method::Qos {
                prefetch_size,
                prefetch_count,
                global,
            } => {
                let global = global && has_global_qos;
                if global {
                    Deprecated::GlobalQos.warn();
                }
                channel.qos(prefetch_size, prefetch_count, global, turn_of_channel)
            }
            Method::Other(AMQPClass::Channel(channel::AMQPMethod::Open(_))) => Err(second_open()),
            Method::Other(AMQPClass::Channel(channel::AMQPMethod::Close(_))) => {
                self.close_channel_by_peer(id, turn);
                Ok(())
            }
            Method::Other(method) => channel.handle(method, turn_of_channel),
            // The hot path's own.
            Method::Publish(_)
            | Method::Ack { .. }
            | Method::Nack { .. }
            | Method::Reject { .. } => Ok(()),
        }
    }

    /// A method on a channel that is not open: only `channel.open` may be, and none if there are too many.
    pub(super) fn method_without_channel(&mut self, frame: &Frame<'_>, turn: &mut Turn<'_>) {
        let (count, max) = (self.channels.len(), self.client.channel_max);
        if max != 0 && count >= usize::from(max) {
            self.flush(turn);
            let text = format!(
                "number of channels opened ({count}) has reached the negotiated channel_max ({max})"
            );
            return self.fail_at(frame.channel, AmqpError::not_allowed(text), NO_METHOD, turn);
        }
        match parse_method(frame.payload) {
            Ok(Method::Other(AMQPClass::Channel(channel::AMQPMethod::Open(_)))) => {
                self.open_channel(frame.channel, turn);
            }
            Ok(_) => {
                self.flush(turn);
                let error = AmqpError::new(ReplyCode::ChannelError, "expected 'channel.open'");
                let method = method_id(frame.payload).unwrap_or(NO_METHOD);
                self.fail_at(frame.channel, error, method, turn);
            }
            Err(error) => {
                self.flush(turn);
                self.fail_unparsed(frame.channel, &error, turn);
            }
        }
    }

    fn open_channel(&mut self, id: ChannelId, turn: &mut Turn<'_>) {
        if let Err(error) = turn.host.open_channel(id) {
            self.flush(turn);
            return self.fail_at(id, error.widened(), CHANNEL_OPEN, turn);
        }
        let stats = Arc::<ChannelStats>::default();
        stats.used_second.set(self.shared.patience.second().into());
        turn.host.counts(id, &stats);
        let prefetch = self.shared.options.default_prefetch;
        self.channels.insert(id, Channel::new(id, prefetch, stats));
        let ok = channel::AMQPMethod::OpenOk(channel::OpenOk {});
        encode::method(turn.out.octets(), id, &AMQPClass::Channel(ok));
    }

    /// A method on a channel that we closed: all but the end of it is discarded.
    pub(super) fn method_on_closing_channel(
        &mut self,
        id: ChannelId,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) {
        match method_id(payload) {
            Some(CHANNEL_CLOSE) => send_channel_close_ok(id, turn.out.octets()),
            Some(CHANNEL_CLOSE_OK) => {
                self.channels.remove(&id);
                self.unconfirmed.remove(&id);
            }
            Some(CHANNEL_OPEN) => {
                self.flush(turn);
                self.fail_at(id, second_open(), CHANNEL_OPEN, turn);
            }
            _ => {}
        }
    }

    pub(super) fn fail_unparsed(
        &mut self,
        id: ChannelId,
        error: &MethodError,
        turn: &mut Turn<'_>,
    ) {
        // RabbitMQ's reader crashes on the unknown and on broken tables; a reason helps more than a cut connection.
        let code = match error {
            MethodError::Unknown(_) => ReplyCode::CommandInvalid,
            MethodError::Undecodable(..)
            | MethodError::MalformedUtf8(_)
            | MethodError::Table(..)
            | MethodError::Truncated => ReplyCode::FrameError,
        };
        let method = error.method_id().unwrap_or(NO_METHOD);
        self.fail_at(id, AmqpError::new(code, error.to_string()), method, turn);
    }
}

fn second_open() -> AmqpError {
    AmqpError::new(ReplyCode::ChannelError, "second 'channel.open' seen")
}
