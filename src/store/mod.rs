//! Durable records: messages of durable queues and definitions, in one redb file, written by one thread.
//!
//! The store knows neither vhosts nor exchanges nor consumers; it never waits on a caller and never blocks one on the
//! disk. It asks no clock and runs on no runtime. Nothing outside this folder names redb.
//!
//! Records go `append` → `inbox` → `writer`, which gathers a `group` against the `index` and commits it; `recover` reads
//! the file at the start, `load` reads messages. `tables` and `blob` state the byte layout.
//!
//! Invariants:
//! - The durable number moves only after redb has synced; nobody learns of it before.
//! - What is on disk is at any time the outcome of a prefix of the appends: order is kept, an append is atomic.
//! - After a failed commit nothing is written, confirmed or taken any more.
//! - Memory for what is stored is one index entry a blob; memory for what waits is bounded by back-pressure.

mod blob;
mod error;
mod group;
mod inbox;
mod index;
mod load;
mod record;
mod recover;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use redb::Database;

pub use error::StoreError;
pub use record::CommitWaiter;
pub use record::Definition;
pub use record::Record;

use crate::model::Lsn;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::inbox::Inbox;
use crate::store::inbox::Mark;
use crate::store::writer::Writer;

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

/// Messages at consecutive positions that entered their queue at the same time.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// Position of the first.
    pub first: Position,
    /// The messages.
    pub run: Run,
    /// When they entered, in milliseconds since the Unix epoch; not known of what a file of format 1 holds.
    pub enqueued_at: Option<u64>,
}

/// The messages of one queue.
#[derive(Debug)]
pub struct StoredMessages {
    /// Messages in position order.
    pub runs: Vec<StoredRun>,
    /// The first position never used: positions below it must not be given to new messages.
    pub next: Position,
}

/// The durable records of one node. Shared as `Arc<Store>`.
///
/// Dropped without [`Store::close`] it still commits what waits, but the file counts as not closed.
pub struct Store {
    inbox: Arc<Inbox>,
    /// For readers; gone when the store is closed.
    database: Mutex<Option<Arc<Database>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens `dir/leveret.redb`, creating both when they are missing, and starts the writer thread.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Recovered), StoreError> {
        let (database, path) = recover::open_file(dir, &options)?;
        Self::start(database, &path, &options)
    }

    /// As [`Store::open`] on any storage, which is initialised when it is empty.
    #[cfg(test)]
    pub(crate) fn open_with(
        backend: impl redb::StorageBackend,
        options: StoreOptions,
    ) -> Result<(Store, Recovered), StoreError> {
        let (database, path) = recover::open_backend(backend, &options)?;
        Self::start(database, &path, &options)
    }

    fn start(
        database: Database,
        path: &Path,
        options: &StoreOptions,
    ) -> Result<(Store, Recovered), StoreError> {
        let (index, recovered) = recover::recover(&database, path)?;
        let database = Arc::new(database);
        let inbox = Arc::new(Inbox::new(options.pending_bytes_max));
        let writer = Writer {
            database: Arc::clone(&database),
            index,
            inbox: Arc::clone(&inbox),
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(|| writer.run())
            .map_err(|source| StoreError::Thread { source })?;
        let store = Store {
            inbox,
            database: Mutex::new(Some(database)),
            writer: Mutex::new(Some(thread)),
        };
        Ok((store, recovered))
    }

    /// Hands records over; they reach the disk in this order, together or not at all, after everything that was handed
    /// over before. Never waits for the disk.
    ///
    /// Returns the number to wait for: [`Lsn::NONE`] when there are no records, one that is never reached when the store
    /// has failed or is closed.
    pub fn append(&self, records: Vec<Record>) -> Lsn {
        self.inbox.append(records)
    }

    /// Everything up to here is on disk.
    pub fn durable(&self) -> Lsn {
        self.inbox.durable()
    }

    /// Calls `waiter` once after the commit that reaches `lsn`; at once when it is reached already; never when the store
    /// fails before.
    pub fn notify(&self, lsn: Lsn, waiter: Arc<dyn CommitWaiter>) {
        self.inbox.notify(lsn, waiter);
    }

    /// Blocks until `lsn`, which [`Store::append`] returned, is durable. For start-up and tools, never from an event loop.
    pub fn wait(&self, lsn: Lsn) -> Result<(), StoreError> {
        self.inbox.wait(lsn)
    }

    /// More than [`StoreOptions::pending_bytes_max`] waited for their commit and not yet half of it is gone: publishers
    /// should not be read.
    pub fn congested(&self) -> bool {
        self.inbox.congested()
    }

    /// Calls `waiter` once when the store is not congested (any more), or has failed.
    pub fn notify_uncongested(&self, waiter: Arc<dyn CommitWaiter>) {
        self.inbox.notify_uncongested(waiter);
    }

    /// The committed messages of one queue. For recovery: reads all of them into memory.
    ///
    /// A damaged blob is logged with its place and left out; everything else comes.
    pub fn load(&self, queue: QueueId) -> Result<StoredMessages, StoreError> {
        load::load(&*self.database()?, queue).map_err(|error| load_error(Some(queue), error))
    }

    /// Drops the messages of queues not in `known`, left by a crash between a put and its queue's definition. Returns
    /// how many queues were dropped. For recovery: blocks until it is on disk.
    pub fn retain_queues(&self, known: &HashSet<QueueId>) -> Result<usize, StoreError> {
        let stored = load::stored_queues(&*self.database()?);
        let stored = stored.map_err(|error| load_error(None, error))?;
        let unknown = stored.into_iter().filter(|queue| !known.contains(queue));
        let records: Vec<_> = unknown.map(|queue| Record::DeleteQueue { queue }).collect();
        let count = records.len();
        self.wait(self.append(records))?;
        Ok(count)
    }

    /// Commits what waits, stops the writer, marks the file as closed cleanly and lets go of it. Later records are
    /// refused. Closing again does nothing.
    pub fn close(&self) -> Result<(), StoreError> {
        self.stop(Mark::Clean);
        match self.failure() {
            Some(error) => Err(StoreError::Stopped(error)),
            None => Ok(()),
        }
    }

    /// The error that stopped the store for good: nothing is durable any more after it.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.inbox.failure()
    }

    /// Calls `waiter` once when the store fails; at once when it has.
    pub fn notify_failure(&self, waiter: Arc<dyn CommitWaiter>) {
        self.inbox.notify_failure(waiter);
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.database.lock().clone().ok_or(StoreError::Closed)
    }

    fn stop(&self, mark: Mark) {
        self.inbox.begin_close(mark);
        self.database.lock().take();
        // Held while joining, so that a second caller returns only when the file is let go.
        let mut writer = self.writer.lock();
        if let Some(thread) = writer.take() {
            // The thread catches its panics and reports them as the store's failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop(Mark::Unclean);
    }
}

fn load_error(queue: Option<QueueId>, error: redb::Error) -> StoreError {
    StoreError::Load {
        queue: queue.map(|queue| queue.0),
        source: Box::new(error),
    }
}
