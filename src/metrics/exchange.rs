//! One exchange's counters. Publishers on any loop change them, once a run.

use crate::metrics::SharedCount;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct ExchangeStats {
    publish_in: SharedCount,
    publish_out: SharedCount,
    unroutable: SharedCount,
}

/// [`ExchangeStats`] as plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExchangeCounts {
    /// Messages published to it.
    pub publish_in: u64,
    /// Copies of them that went to queues.
    pub publish_out: u64,
    /// Messages of them that no queue took.
    pub unroutable: u64,
}

impl ExchangeStats {
    /// Messages came in, and so many copies went out to queues.
    pub fn passed(&self, messages: u64, copies: u64, unroutable: u64) {
        self.publish_in.add(messages);
        if copies > 0 {
            self.publish_out.add(copies);
        }
        if unroutable > 0 {
            self.unroutable.add(unroutable);
        }
    }

    /// Its counters now.
    pub fn counts(&self) -> ExchangeCounts {
        ExchangeCounts {
            publish_in: self.publish_in.get(),
            publish_out: self.publish_out.get(),
            unroutable: self.unroutable.get(),
        }
    }
}
