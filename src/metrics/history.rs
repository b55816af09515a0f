//! What became of the messages of a queue that is in use: kept apart from its other counters, for there are queues without number
//! that nobody uses.

use std::ops::AddAssign;

use crate::metrics::Histogram;

/// How a queue parts with messages that die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// They go nowhere.
    Disabled,
    /// They are published to the dead-letter exchange.
    AtMostOnce,
    /// The same, until each has reached a queue.
    AtLeastOnce,
}

/// Messages that died, by why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeadCounts {
    /// Of a length limit.
    pub maxlen: u64,
    /// Of their age.
    pub expired: u64,
    /// Of a rejection.
    pub rejected: u64,
    /// Of coming back too often.
    pub delivery_limit: u64,
    /// Of these, those whose copies have reached their queues; of [`Strategy::AtLeastOnce`] alone.
    pub confirmed: u64,
}

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueHistory {
    /// How long messages had waited when they were delivered or fetched, in milliseconds.
    pub waited: Histogram,
    dead: [DeadCounts; 3],
}

impl QueueHistory {
    /// Those that died under this strategy.
    pub fn dead(&self, strategy: Strategy) -> DeadCounts {
        self.dead[strategy as usize]
    }

    /// The same, to count more.
    pub fn dead_mut(&mut self, strategy: Strategy) -> &mut DeadCounts {
        &mut self.dead[strategy as usize]
    }
}

impl AddAssign for DeadCounts {
    fn add_assign(&mut self, more: Self) {
        self.maxlen += more.maxlen;
        self.expired += more.expired;
        self.rejected += more.rejected;
        self.delivery_limit += more.delivery_limit;
        self.confirmed += more.confirmed;
    }
}

impl AddAssign for QueueHistory {
    fn add_assign(&mut self, more: Self) {
        self.waited += more.waited;
        for (dead, more) in self.dead.iter_mut().zip(more.dead) {
            *dead += more;
        }
    }
}
