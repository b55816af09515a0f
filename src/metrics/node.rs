//! What comes and goes on a node.

use crate::metrics::SharedCount;

/// Counters of beginnings and ends.
#[derive(Debug, Default)]
pub struct Churn {
    /// Connections opened.
    pub connection_created: SharedCount,
    /// Connections ended.
    pub connection_closed: SharedCount,
    /// Channels opened.
    pub channel_created: SharedCount,
    /// Channels ended.
    pub channel_closed: SharedCount,
    /// Queues declared, there before or not.
    pub queue_declared: SharedCount,
    /// Queues made.
    pub queue_created: SharedCount,
    /// Queues deleted.
    pub queue_deleted: SharedCount,
}

/// [`Churn`] as plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChurnCounts {
    /// Connections opened.
    pub connection_created: u64,
    /// Connections ended.
    pub connection_closed: u64,
    /// Channels opened.
    pub channel_created: u64,
    /// Channels ended.
    pub channel_closed: u64,
    /// Queues declared, there before or not.
    pub queue_declared: u64,
    /// Queues made.
    pub queue_created: u64,
    /// Queues deleted.
    pub queue_deleted: u64,
}

impl Churn {
    /// Its counters now.
    pub fn counts(&self) -> ChurnCounts {
        ChurnCounts {
            connection_created: self.connection_created.get(),
            connection_closed: self.connection_closed.get(),
            channel_created: self.channel_created.get(),
            channel_closed: self.channel_closed.get(),
            queue_declared: self.queue_declared.get(),
            queue_created: self.queue_created.get(),
            queue_deleted: self.queue_deleted.get(),
        }
    }
}
