//! What the store is told, and what it tells back: records, definitions, waiters.
//!
//! A record says what happened to messages of queues; why, and who asked for it, is not known here.

use std::ops::Range;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;

/// One change. Records of one [`crate::store::Store::append`] reach the disk together or not at all.
#[derive(Debug, Clone)]
pub enum Record {
    /// Messages, all of them persistent, that entered queues: in each target at consecutive positions from the given
    /// one. A position is put once in the life of its queue.
    Put {
        /// The messages.
        run: Run,
        /// The queues they entered and the position of the first message there.
        targets: Vec<(QueueId, Position)>,
        /// When they entered, in milliseconds since the Unix epoch.
        enqueued_at: u64,
    },
    /// Messages left their queue for good (acknowledged, expired, dead-lettered, dropped).
    ///
    /// Positions that hold nothing are allowed and change nothing. A put comes before the settles of its positions: one
    /// that came later would bring its message back.
    Settle {
        /// The queue.
        queue: QueueId,
        /// The first position settled.
        first: Position,
        /// Number of positions settled.
        count: u64,
    },
    /// Everything in these ranges of positions left the queue, in one record.
    Purge {
        /// The queue.
        queue: QueueId,
        /// Half-open ranges of positions.
        ranges: Vec<Range<u64>>,
    },
    /// The queue is gone with all its messages. Its id is not used again, and no more records come for it.
    DeleteQueue {
        /// The queue.
        queue: QueueId,
    },
    /// A definition (vhost, user, exchange, queue, binding …) is new or changed. Its bytes mean nothing to the store.
    Define {
        /// Kind of definition, chosen by the broker.
        kind: u8,
        /// What identifies it within its kind.
        key: Vec<u8>,
        /// The definition itself.
        value: Vec<u8>,
    },
    /// A definition is gone.
    Undefine {
        /// Kind of definition.
        kind: u8,
        /// What identifies it within its kind.
        key: Vec<u8>,
    },
}

impl Record {
    /// Roughly what it costs to hold and to write this record.
    pub(crate) fn bytes(&self) -> usize {
        let content = match self {
            Record::Put { run, targets, .. } => (run.held_bytes() + run.len() * 16) * targets.len(),
            Record::Purge { ranges, .. } => ranges.len() * size_of::<Range<u64>>(),
            Record::Define { key, value, .. } => key.len() + value.len(),
            Record::Undefine { key, .. } => key.len(),
            Record::Settle { .. } | Record::DeleteQueue { .. } => 0,
        };
        size_of::<Record>() + content
    }
}

/// A definition as it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Kind of definition, chosen by the broker.
    pub kind: u8,
    /// What identifies it within its kind.
    pub key: Vec<u8>,
    /// The definition itself.
    pub value: Vec<u8>,
}

/// Somebody to be told that what it waits for is over.
///
/// Called from the store's own thread (or from the caller's, when there is nothing to wait for): it must neither block
/// nor call the store.
pub trait CommitWaiter: Send + Sync {
    /// What was waited for has happened.
    fn committed(&self);
}
