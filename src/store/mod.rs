//! Durable records: messages of durable queues and definitions, in one redb file, written by one thread.
//!
//! The store knows neither vhosts nor exchanges nor consumers; it never waits on a caller and never blocks one on the
//! disk. It asks no clock and runs on no runtime.

mod error;
mod record;
mod tables;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

pub use error::StoreError;
pub use record::CommitWaiter;
pub use record::Definition;
pub use record::Record;

use crate::model::Lsn;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;

/// Bounds of the store's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The store is congested while more bytes than this wait for their commit.
    pub pending_bytes_max: usize,
    /// redb's page cache.
    pub cache_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            pending_bytes_max: 64 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What was found when the store was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The last user closed the store (also when it is new); else it crashed or was killed.
    pub clean: bool,
    /// All definitions, ordered by kind and key.
    pub definitions: Vec<Definition>,
    /// Queues that have messages or had some, ordered by id. Their messages are read with [`Store::load`].
    pub queues: Vec<RecoveredQueue>,
}

/// What is known of a queue before its messages are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredQueue {
    /// The queue.
    pub queue: QueueId,
    /// Messages stored and not settled.
    pub messages: u64,
    /// The first position never used.
    pub next: Position,
}

/// The messages of one queue.
#[derive(Debug)]
pub struct StoredMessages {
    /// Messages in position order; a run holds consecutive positions from the one beside it.
    pub runs: Vec<(Position, Run)>,
    /// The first position never used: positions below it must not be given to new messages.
    pub next: Position,
}

/// The durable records of one node. Shared as `Arc<Store>`.
pub struct Store {}

impl Store {
    /// Opens `dir/leveret.redb`, creating both when they are missing, and starts the writer thread.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Recovered), StoreError> {
        let _ = (dir, options);
        todo!()
    }

    /// Hands records over; they reach the disk in this order, together or not at all, after everything that was handed
    /// over before. Never waits for the disk.
    ///
    /// Returns the number to wait for: [`Lsn::NONE`] when there are no records, one that is never reached when the store
    /// has failed or is closed.
    pub fn append(&self, records: Vec<Record>) -> Lsn {
        let _ = records;
        todo!()
    }

    /// Everything up to here is on disk.
    pub fn durable(&self) -> Lsn {
        todo!()
    }

    /// Calls `waiter` once after the commit that reaches `lsn`; at once when it is reached already; never when the store
    /// fails before.
    pub fn notify(&self, lsn: Lsn, waiter: Arc<dyn CommitWaiter>) {
        let _ = (lsn, waiter);
        todo!()
    }

    /// Blocks until `lsn` is durable. For start-up and tools, never from an event loop.
    pub fn wait(&self, lsn: Lsn) -> Result<(), StoreError> {
        let _ = lsn;
        todo!()
    }

    /// More than [`StoreOptions::pending_bytes_max`] waited for their commit and not yet half of it is gone: publishers
    /// should not be read.
    pub fn congested(&self) -> bool {
        todo!()
    }

    /// Calls `waiter` once when the store is not congested (any more), or has failed.
    pub fn notify_uncongested(&self, waiter: Arc<dyn CommitWaiter>) {
        let _ = waiter;
        todo!()
    }

    /// The committed messages of one queue. For recovery: reads all of them into memory.
    ///
    /// A damaged blob is logged with its place and left out; everything else comes.
    pub fn load(&self, queue: QueueId) -> Result<StoredMessages, StoreError> {
        let _ = queue;
        todo!()
    }

    /// Drops the messages of queues not in `known`, left by a crash between a put and its queue's definition. Returns
    /// how many queues were dropped. For recovery: blocks until it is on disk.
    pub fn retain_queues(&self, known: &HashSet<QueueId>) -> Result<usize, StoreError> {
        let _ = known;
        todo!()
    }

    /// Commits what waits, stops the writer, marks the file as closed cleanly and lets go of it. Later records are
    /// refused. Closing again does nothing.
    pub fn close(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// The error that stopped the store for good: nothing is durable any more after it.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        todo!()
    }

    /// Calls `waiter` once when the store fails; at once when it has.
    pub fn notify_failure(&self, waiter: Arc<dyn CommitWaiter>) {
        let _ = waiter;
        todo!()
    }
}
