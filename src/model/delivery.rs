//! What a queue hands to a channel, and what comes back from it.

use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;

/// Consecutive messages of one queue that left it together and share one fate record.
///
/// The message at index `i` has position `first.0 + i`.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The queue they came from.
    pub queue: QueueId,
    /// The consumer they were assigned to; `None` for `basic.get`.
    pub consumer: Option<ConsumerId>,
    /// Position of the first.
    pub first: Position,
    /// The messages.
    pub run: Run,
    /// Each was (or may have been) delivered before.
    pub redelivered: bool,
    /// How often they came back before; for the delivery limit.
    pub returns: u32,
    /// When they expire, in milliseconds since the Unix epoch; requeueing keeps it.
    pub expires_at: Option<u64>,
    /// When they entered the queue, in milliseconds since the Unix epoch; 0 where that is not known.
    pub entered_at: u64,
    /// They stay in a stream, and the client is told the offset of each: its position less one.
    pub streamed: bool,
}

impl Delivered {
    /// Takes the first `count` messages out as a range of their own.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn take_front(&mut self, count: usize) -> Delivered {
        let mut front = self.clone();
        front.run = self.run.take_front(count);
        self.first = Position(self.first.0 + count as u64);
        front
    }

    /// Takes all from index `at` on out as a range of their own.
    ///
    /// # Panics
    /// When `at` is past the end.
    pub fn split_off(&mut self, at: usize) -> Delivered {
        let mut front = self.take_front(at);
        std::mem::swap(&mut front, self);
        front
    }
}

/// A [`Delivered`] range on its way to a consumer's channel.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The consumer's channel.
    pub channel: ChannelId,
    /// The consumer; also in `range`, which keeps it through the return trip.
    pub consumer: ConsumerId,
    /// The consumer does not acknowledge: the queue has settled them already.
    pub no_ack: bool,
    /// The messages.
    pub range: Delivered,
}
