//! One channel's counters and gauges. Its machine changes them, nobody else.

use crate::metrics::Count;
use crate::metrics::ExchangeTally;
use crate::metrics::Messages;
use crate::metrics::QueueTally;
use crate::metrics::Tallies;

/// See the module's documentation. Counters are those of [`Messages`].
#[derive(Debug, Default)]
pub struct ChannelStats {
    /// See [`Messages::publish`].
    pub publish: Count,
    /// See [`Messages::publish_confirm`].
    pub publish_confirm: Count,
    /// See [`Messages::routed`].
    pub routed: Count,
    /// See [`Messages::confirm`].
    pub confirm: Count,
    /// See [`Messages::return_unroutable`].
    pub return_unroutable: Count,
    /// See [`Messages::drop_unroutable`].
    pub drop_unroutable: Count,
    /// See [`Messages::deliver`].
    pub deliver: Count,
    /// See [`Messages::deliver_no_ack`].
    pub deliver_no_ack: Count,
    /// See [`Messages::get`].
    pub get: Count,
    /// See [`Messages::get_no_ack`].
    pub get_no_ack: Count,
    /// See [`Messages::get_empty`].
    pub get_empty: Count,
    /// See [`Messages::redeliver`].
    pub redeliver: Count,
    /// See [`Messages::ack`].
    pub ack: Count,
    /// Deliveries that wait for their acknowledgement.
    pub unacked: Count,
    /// Publishes that wait for their confirm.
    pub unconfirmed: Count,
    /// Publishes of a transaction that goes on.
    pub uncommitted: Count,
    /// Acknowledgements of a transaction that goes on.
    pub acks_uncommitted: Count,
    /// Prefetch of consumers to come.
    pub prefetch: Count,
    /// Prefetch that all consumers share.
    pub global_prefetch: Count,
    /// Not 0: publishes are confirmed.
    pub confirms: Count,
    /// Not 0: it is transactional.
    pub transactional: Count,
    /// In which second of its connection it was last used.
    pub used_second: Count,
    /// What it has done with which queue.
    pub queues: Tallies<QueueTally>,
    /// What it has done with which exchange, by the host's number of it.
    pub exchanges: Tallies<ExchangeTally>,
}

impl ChannelStats {
    /// Its counters now.
    pub fn messages(&self) -> Messages {
        Messages {
            publish: self.publish.get(),
            publish_confirm: self.publish_confirm.get(),
            routed: self.routed.get(),
            confirm: self.confirm.get(),
            return_unroutable: self.return_unroutable.get(),
            drop_unroutable: self.drop_unroutable.get(),
            deliver: self.deliver.get(),
            deliver_no_ack: self.deliver_no_ack.get(),
            get: self.get.get(),
            get_no_ack: self.get_no_ack.get(),
            get_empty: self.get_empty.get(),
            redeliver: self.redeliver.get(),
            ack: self.ack.get(),
        }
    }

    /// `count` messages were written to the client, by a consumer.
    pub fn delivered(&self, count: u64, no_ack: bool, redelivered: bool) {
        if no_ack {
            self.deliver_no_ack.add(count);
        } else {
            self.deliver.add(count);
            self.unacked.add(count);
        }
        if redelivered {
            self.redeliver.add(count);
        }
    }

    /// One message was fetched.
    pub fn fetched(&self, no_ack: bool, redelivered: bool) {
        if no_ack {
            self.get_no_ack.add(1);
        } else {
            self.get.add(1);
            self.unacked.add(1);
        }
        self.redeliver.add(u64::from(redelivered));
    }
}
