//! What others may know of a queue: for listings, metrics and the answer to a declaration. Nothing here changes it.

use crate::metrics::QueueCounts;
use crate::metrics::QueueHistory;
use crate::model::ConsumerId;
use crate::queue::Activity;
use crate::queue::Consumer;
use crate::queue::Queue;

/// Counts for declare-ok and listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages ready for delivery.
    pub ready: u64,
    /// Delivered and not yet settled.
    pub unacked: u64,
    /// Consumers.
    pub consumers: u64,
    /// Body bytes of ready messages.
    pub ready_bytes: u64,
}

impl Queue {
    /// Current counts.
    pub fn counts(&self) -> Counts {
        if let Some(stream) = &self.stream {
            return Counts {
                ready: self.next_position - stream.first(),
                unacked: 0,
                consumers: self.consumers.len() as u64,
                ready_bytes: stream.body_bytes(),
            };
        }
        Counts {
            ready: self.ready.len(),
            unacked: self.unacked,
            consumers: self.consumers.len() as u64,
            ready_bytes: self.ready.body_bytes(),
        }
    }

    /// What became of its messages since the node started; `None` when nothing did.
    pub fn history(&self) -> Option<&QueueHistory> {
        self.history.as_deref()
    }

    /// When the ready message that has waited longest entered the queue, in milliseconds since the Unix epoch; 0 where that is not known,
    /// as of messages that nobody has read since the node started. `None` for an empty queue, and for a stream.
    pub fn oldest(&self) -> Option<u64> {
        self.ready.oldest()
    }

    /// What it has counted since the node started.
    pub fn stats(&self) -> QueueCounts {
        self.stats
    }

    /// Body bytes of delivered messages that are not settled; a stream does not know.
    pub fn unacked_bytes(&self) -> u64 {
        self.unacked_bytes
    }

    /// What its messages in memory take there.
    pub fn memory_bytes(&self) -> u64 {
        self.held_bytes()
    }

    /// Ready messages that are in memory.
    pub fn ready_in_memory(&self) -> u64 {
        let away = self.ready.paged().flat_map(|(_, line)| line.away());
        let away: u64 = away.map(|range| range.len()).sum();
        self.ready.len().saturating_sub(away)
    }

    /// Whether some consumer may be able to take a message now.
    pub fn has_ready_consumer(&self) -> bool {
        self.consumers.has_next()
    }

    /// When it was last used.
    pub fn used_at(&self) -> u64 {
        self.used_at
    }

    /// For listings.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter()
    }

    /// What one of its consumers is doing; for listings.
    pub fn activity(&self, consumer: ConsumerId) -> Activity {
        self.consumers.activity(consumer)
    }
}
