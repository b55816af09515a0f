//! One queue's counters: plain numbers behind its lock.

use std::ops::AddAssign;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Messages that came.
    pub publish: u64,
    /// Delivered to consumers that acknowledge.
    pub deliver: u64,
    /// Delivered to consumers that do not.
    pub deliver_no_ack: u64,
    /// Fetched, to be acknowledged.
    pub get: u64,
    /// Fetched, without acknowledgement.
    pub get_no_ack: u64,
    /// Fetches that found nothing.
    pub get_empty: u64,
    /// Of all that was delivered or fetched, what had been before.
    pub redeliver: u64,
    /// Acknowledged.
    pub ack: u64,
    /// Handed to the store.
    pub disk_writes: u64,
    /// Read back from the disk.
    pub disk_reads: u64,
}

impl QueueCounts {
    /// All that left for clients.
    pub fn deliver_get(&self) -> u64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }

    /// Messages went to a consumer.
    pub fn delivered(&mut self, count: u64, no_ack: bool, redelivered: bool) {
        if no_ack {
            self.deliver_no_ack += count;
        } else {
            self.deliver += count;
        }
        if redelivered {
            self.redeliver += count;
        }
    }

    /// A message was fetched.
    pub fn fetched(&mut self, no_ack: bool, redelivered: bool) {
        if no_ack {
            self.get_no_ack += 1;
        } else {
            self.get += 1;
        }
        self.redeliver += u64::from(redelivered);
    }
}

impl AddAssign for QueueCounts {
    fn add_assign(&mut self, more: Self) {
        self.publish += more.publish;
        self.deliver += more.deliver;
        self.deliver_no_ack += more.deliver_no_ack;
        self.get += more.get;
        self.get_no_ack += more.get_no_ack;
        self.get_empty += more.get_empty;
        self.redeliver += more.redeliver;
        self.ack += more.ack;
        self.disk_writes += more.disk_writes;
        self.disk_reads += more.disk_reads;
    }
}
