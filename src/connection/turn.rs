//! What the machines have at hand while they act: the host, the output, and how replies are held back.

use std::time::Instant;

use amq_protocol::protocol::AMQPClass;

use crate::connection::consumer_tags::ConsumerTags;
use crate::connection::host::Host;
use crate::connection::options::ConnectionOptions;
use crate::connection::patience::Patience;
use crate::model::ChannelId;
use crate::model::ConsumerTag;
use crate::model::Lsn;
use crate::protocol::encode;
use crate::protocol::output::Output;
use crate::protocol::output::Sink as _;

/// One call from outside: who to ask and where to write.
pub(super) struct Turn<'a> {
    pub(super) host: &'a mut dyn Host,
    pub(super) out: &'a mut Output,
    pub(super) now: Instant,
}

/// What the peer's next frame has to wait for.
#[derive(Debug)]
pub(super) enum Hold {
    /// These frames wait for the disk.
    Commit { lsn: Lsn, frames: Vec<u8> },
    /// `cancel-ok` waits for what the outbox holds for the consumer.
    Cancel {
        channel: ChannelId,
        tag: ConsumerTag,
        nowait: bool,
    },
}

/// What a connection and all of its channels share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: ConnectionOptions,
    /// As negotiated; 0 is unlimited.
    pub(super) frame_max: u32,
    /// The store is durable up to here, as far as we were told.
    pub(super) durable: Lsn,
    /// The time of this turn.
    pub(super) now: Instant,
    pub(super) hold: Option<Hold>,
    pub(super) patience: Patience,
    pub(super) tags: ConsumerTags,
}

/// A [`Turn`] for one channel.
pub(super) struct ChannelTurn<'a> {
    pub(super) host: &'a mut dyn Host,
    pub(super) out: &'a mut Output,
    pub(super) shared: &'a mut Shared,
}

impl<'a> Turn<'a> {
    pub(super) fn on_channel<'b>(&'b mut self, shared: &'b mut Shared) -> ChannelTurn<'b> {
        ChannelTurn {
            host: &mut *self.host,
            out: &mut *self.out,
            shared,
        }
    }
}

impl ChannelTurn<'_> {
    /// Answers now, whatever the disk does.
    pub(super) fn reply(&mut self, channel: ChannelId, method: &AMQPClass) {
        encode::method(self.out.octets(), channel, method);
    }

    /// Answers once `commit` is durable; unless the client wants no answer.
    pub(super) fn reply_after(
        &mut self,
        commit: Lsn,
        channel: ChannelId,
        nowait: bool,
        method: &AMQPClass,
    ) {
        if nowait {
            return;
        }
        if self.shared.is_durable(commit) {
            return self.reply(channel, method);
        }
        let mut frames = Vec::new();
        encode::method(&mut frames, channel, method);
        self.shared.hold_back(commit, frames);
    }
}

impl Shared {
    pub(super) fn is_durable(&self, lsn: Lsn) -> bool {
        lsn <= self.durable
    }

    /// `frames` go out once `lsn` is durable; until then nothing is taken from the peer.
    pub(super) fn hold_back(&mut self, lsn: Lsn, frames: Vec<u8>) {
        // No input is taken while something is held, so nothing else can come to be held.
        debug_assert!(self.hold.is_none(), "two replies held back");
        self.hold = Some(Hold::Commit { lsn, frames });
    }
}
