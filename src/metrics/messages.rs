//! What became of messages, as plain numbers: of one channel, or of many together.

use std::iter::Sum;
use std::ops::AddAssign;

/// Messages by what happened to them, in RabbitMQ's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messages {
    /// Published.
    pub publish: u64,
    /// Of these, on channels with confirms.
    pub publish_confirm: u64,
    /// Copies of published messages that went to queues.
    pub routed: u64,
    /// Confirmed.
    pub confirm: u64,
    /// Returned, for no queue took them and the publisher wanted to know.
    pub return_unroutable: u64,
    /// Dropped, for no queue took them.
    pub drop_unroutable: u64,
    /// Delivered to consumers that acknowledge.
    pub deliver: u64,
    /// Delivered to consumers that do not.
    pub deliver_no_ack: u64,
    /// Fetched, to be acknowledged.
    pub get: u64,
    /// Fetched, without acknowledgement.
    pub get_no_ack: u64,
    /// Fetches from an empty queue.
    pub get_empty: u64,
    /// Of all that was delivered or fetched, what had been before.
    pub redeliver: u64,
    /// Acknowledged.
    pub ack: u64,
}

impl Messages {
    /// All that left for clients.
    pub fn deliver_get(&self) -> u64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }
}

impl AddAssign for Messages {
    fn add_assign(&mut self, more: Self) {
        self.publish += more.publish;
        self.publish_confirm += more.publish_confirm;
        self.routed += more.routed;
        self.confirm += more.confirm;
        self.return_unroutable += more.return_unroutable;
        self.drop_unroutable += more.drop_unroutable;
        self.deliver += more.deliver;
        self.deliver_no_ack += more.deliver_no_ack;
        self.get += more.get;
        self.get_no_ack += more.get_no_ack;
        self.get_empty += more.get_empty;
        self.redeliver += more.redeliver;
        self.ack += more.ack;
    }
}

impl Sum for Messages {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, more| {
            sum += more;
            sum
        })
    }
}
