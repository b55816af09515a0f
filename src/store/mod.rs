//! Durable records: messages of durable queues and definitions. A ring of log segments takes them, redb is their home.
//!
//! The store knows neither vhosts nor exchanges nor consumers; it never waits on a caller and never blocks one on the
//! disk. It asks no clock and runs on no runtime. Nothing outside this folder names redb.
//!
//! Records go `append` → `inbox` → `writer`, which gathers a `group` against the `index`, encodes it as a frame of the
//! `ring`, writes and syncs it. `checkpoint` decides what goes to redb and when, `migrate` writes it there (`pages`); `recover` and `replay` read both at
//! the start, `read` reads messages, `patience` waits where the disk is full. `tables`, `block` and `ring/frame` state the byte layout.
//!
//! Invariants:
//! - The durable number moves only after the ring was synced; nobody learns of it before.
//! - What is on disk is at any time the outcome of a prefix of the appends: order is kept, an append is atomic.
//! - A segment of the ring is used again only when redb has durably everything that was alive in it.
//! - After a failed write or sync nothing is written, confirmed or taken any more.
//! - Memory for what is stored is one index entry a block; memory for what waits is bounded by back-pressure.

mod backup;
mod block;
mod checkpoint;
mod core;
mod disk;
mod draft;
mod error;
mod group;
mod inbox;
mod index;
mod migrate;
pub mod offline;
mod overflow;
mod pages;
mod patience;
mod read;
mod record;
mod recover;
mod replay;
mod ring;
mod shared;
mod stats;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod wipe;
mod writer;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Condvar;
use parking_lot::Mutex;
use redb::Database;

pub use backup::BackupSummary;
pub use error::StoreError;
pub use overflow::Overflow;
pub use overflow::OverflowBlocks;
pub use record::CommitWaiter;
pub use record::Definition;
pub use record::Record;
pub use stats::StoreStats;
pub use wipe::wipe;

use crate::model::Lsn;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::disk::Directory;
use crate::store::disk::Disk;
use crate::store::inbox::Inbox;
use crate::store::inbox::Mark;
use crate::store::patience::Patience;
use crate::store::recover::Found;
use crate::store::ring::RingLimits;
use crate::store::ring::frame::FRAME_ALIGN;
use crate::store::shared::Shared;

/// Bounds of the store's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The store is congested while more bytes than this wait for their commit.
    pub pending_bytes_max: usize,
    /// redb's page cache.
    pub cache_bytes: usize,
    /// Size of a segment of the ring when it has grown up, rounded up to a multiple of 4096.
    pub ring_segment_bytes: u64,
    /// Number of segments of the ring, at least 2. What is settled within the traffic that all but one of them take is never
    /// written to redb.
    pub ring_segments: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            pending_bytes_max: 64 * 1024 * 1024,
            cache_bytes: 16 * 1024 * 1024,
            ring_segment_bytes: 64 * 1024 * 1024,
            ring_segments: 4,
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

/// Messages that were read.
#[derive(Debug)]
pub struct StoredPage {
    /// In position order.
    pub runs: Vec<StoredRun>,
    /// Before this position there is nothing else of what was asked for.
    pub until: u64,
}

/// Stored messages at consecutive positions, as far as they are known without being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where they are; none of them is settled.
    pub positions: Range<u64>,
    /// Octets of their bodies; `None` when that is not known.
    pub body_bytes: Option<u64>,
    /// Some of them may have the property `expiration`.
    pub expiring: bool,
}

/// What is known of a queue's messages without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// In position order.
    pub spans: Vec<Span>,
    /// The first position never used.
    pub next: Position,
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
/// Dropped without [`Store::close`] it still commits what waits, but the store counts as not closed.
pub struct Store {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
    /// Held while a backup is made.
    backup: Mutex<()>,
}

#[derive(Default)]
struct Threads {
    writers: Vec<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// What a store is made of.
struct Parts {
    database: Database,
    disk: Box<dyn Disk>,
    patience: Arc<Patience>,
    #[cfg(test)]
    mutation: Option<tests::mutation::Mutation>,
}

/// The ring's directory beside redb's file.
pub(crate) const RING_DIRECTORY: &str = "ring";

impl Store {
    /// Opens `dir/leveret.redb` and `dir/ring`, creating them when they are missing, and starts the store's threads.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Recovered), StoreError> {
        let patience = Arc::default();
        let (database, path) = recover::open_file(dir, &options, &patience)?;
        let disk = Directory::new(dir.join(RING_DIRECTORY)).map_err(StoreError::ring)?;
        let parts = Parts {
            database,
            disk: Box::new(disk),
            patience,
            #[cfg(test)]
            mutation: None,
        };
        Self::start(parts, &path, &options)
    }

    /// As [`Store::open`] on a simulated disk, which is initialised when it is empty.
    #[cfg(test)]
    pub(crate) fn open_with(
        disk: tests::disk::SimulatedDisk,
        options: StoreOptions,
    ) -> Result<(Store, Recovered), StoreError> {
        Self::open_mutated(disk, options, None)
    }

    /// As [`Store::open_with`], for a store that does something wrong.
    #[cfg(test)]
    pub(crate) fn open_mutated(
        disk: tests::disk::SimulatedDisk,
        options: StoreOptions,
        mutation: Option<tests::mutation::Mutation>,
    ) -> Result<(Store, Recovered), StoreError> {
        let patience = Arc::default();
        let backend = disk.redb_file().map_err(StoreError::ring)?;
        let (database, path) = recover::open_backend(backend, &options, &patience)?;
        let parts = Parts {
            database,
            disk: Box::new(disk),
            patience,
            mutation,
        };
        Self::start(parts, &path, &options)
    }

    fn start(
        parts: Parts,
        path: &Path,
        options: &StoreOptions,
    ) -> Result<(Store, Recovered), StoreError> {
        let limits = RingLimits {
            segment_bytes: options.ring_segment_bytes.next_multiple_of(FRAME_ALIGN),
            segments: options.ring_segments,
        };
        let Found {
            mut core,
            clean,
            definitions,
        } = recover::recover(&parts.database, &*parts.disk, path, limits)?;
        let recovered = Recovered {
            clean,
            definitions,
            queues: core.recovered_queues(),
        };
        // From now on the store is in use, and the next who opens it shall see it.
        core.open.opened = true;
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            inbox: Inbox::new(options.pending_bytes_max),
            disk: parts.disk,
            database: Mutex::new(Some(Arc::new(parts.database))),
            patience: parts.patience,
            #[cfg(test)]
            mutation: parts.mutation,
            room: Condvar::new(),
            chores: Condvar::new(),
            written: Condvar::new(),
        });
        shared.inbox.begin();
        shared.patience.begin();
        let store = Store {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
            backup: Mutex::new(()),
        };
        let spawn = |name: &str, work: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread
                .spawn(move || work(&shared))
                .map_err(|source| StoreError::Thread { source })
        };
        {
            let mut threads = store.threads.lock();
            let keep = |shared: &Shared| writer::guard(shared, || checkpoint::run(shared));
            threads.keeper = Some(spawn("store-pages", keep)?);
            for _ in 0..2 {
                threads.writers.push(spawn("store", writer::run)?);
            }
        }
        Ok((store, recovered))
    }

    /// Hands records over; they reach the disk in this order, together or not at all, after everything that was handed
    /// over before. Never waits for the disk.
    ///
    /// Returns the number to wait for: [`Lsn::NONE`] when there are no records, one that is never reached when the store
    /// has failed or is closed.
    pub fn append(&self, records: Vec<Record>) -> Lsn {
        self.shared.inbox.append(records)
    }

    /// The number of what was handed over last.
    pub fn last(&self) -> Lsn {
        self.shared.inbox.last()
    }

    /// Everything up to here is on disk.
    pub fn durable(&self) -> Lsn {
        self.shared.inbox.durable()
    }

    /// Calls `waiter` once after the commit that reaches `lsn`; at once when it is reached already; never when the store
    /// fails before.
    pub fn notify(&self, lsn: Lsn, waiter: Arc<dyn CommitWaiter>) {
        self.shared.inbox.notify(lsn, waiter);
    }

    /// Blocks until `lsn`, which [`Store::append`] returned, is durable. For start-up and tools, never from an event loop.
    pub fn wait(&self, lsn: Lsn) -> Result<(), StoreError> {
        self.shared.inbox.wait(lsn)
    }

    /// More than [`StoreOptions::pending_bytes_max`] waited for their commit and not yet half of it is gone: publishers
    /// should not be read.
    pub fn congested(&self) -> bool {
        self.shared.inbox.congested()
    }

    /// Calls `waiter` once when the store is not congested (any more), or has failed.
    pub fn notify_uncongested(&self, waiter: Arc<dyn CommitWaiter>) {
        self.shared.inbox.notify_uncongested(waiter);
    }

    /// The messages of one queue. For recovery: reads all of them into memory.
    ///
    /// A damaged block is logged with its place and left out; everything else comes.
    pub fn load(&self, queue: QueueId) -> Result<StoredMessages, StoreError> {
        let next = self
            .shared
            .core
            .lock()
            .index
            .get(&queue)
            .map_or(1, |index| index.next);
        Ok(StoredMessages {
            runs: self.read(queue, 0..u64::MAX, u64::MAX)?.runs,
            next: Position(next),
        })
    }

    /// Messages of one queue at these positions that are not settled, in order, until about `bytes_max` octets of bodies
    /// were read; at least one when there is one. Blocks on the disk.
    ///
    /// A damaged block is logged with its place and left out; everything else comes.
    pub fn read(
        &self,
        queue: QueueId,
        positions: Range<u64>,
        bytes_max: u64,
    ) -> Result<StoredPage, StoreError> {
        if self.shared.database.lock().is_none() {
            return Err(StoreError::Closed);
        }
        read::read(&self.shared, queue, positions, bytes_max)
    }

    /// What is known of a queue's messages without reading them.
    pub fn outline(&self, queue: QueueId) -> Outline {
        let core = self.shared.core.lock();
        core.index.get(&queue).map_or_else(
            || Outline {
                spans: Vec::new(),
                next: Position(1),
            },
            index::QueueIndex::outline,
        )
    }

    /// Brings everything that was handed over to redb. Blocks until it is there.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let seen = {
            let mut core = shared.core.lock();
            core.absorb(&shared.inbox);
            core.open.through.max(core.sealed_through)
        };
        self.wait(seen)?;
        let mut core = shared.core.lock();
        let Some(through) = core.ring.turn() else {
            return Ok(());
        };
        core.forced = core.forced.max(Some(through));
        shared.chores.notify_one();
        while core.ring.oldest().is_some_and(|oldest| oldest <= through) {
            if let Some(failure) = shared.inbox.failure() {
                return Err(StoreError::Stopped(failure));
            }
            if core.ended {
                return Err(StoreError::Closed);
            }
            shared.written.wait(&mut core);
        }
        Ok(())
    }

    /// Drops the messages of queues not in `known`, left by a crash between a put and its queue's definition. Returns
    /// how many queues were dropped. For recovery: blocks until it is on disk.
    pub fn retain_queues(&self, known: &HashSet<QueueId>) -> Result<usize, StoreError> {
        let mut unknown: Vec<QueueId> = {
            let core = self.shared.core.lock();
            let queues = core.index.keys().copied();
            queues.filter(|queue| !known.contains(queue)).collect()
        };
        unknown.sort_unstable();
        let records: Vec<_> = unknown
            .into_iter()
            .map(|queue| Record::DeleteQueue { queue })
            .collect();
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
        self.shared.inbox.failure()
    }

    /// Calls `waiter` once when the store fails; at once when it has.
    pub fn notify_failure(&self, waiter: Arc<dyn CommitWaiter>) {
        self.shared.inbox.notify_failure(waiter);
    }

    fn stop(&self, mark: Mark) {
        let shared = &self.shared;
        shared.inbox.begin_close(mark);
        // Who ends the store shall not have to wait for room on the disk.
        shared.patience.end();
        // Held while joining, so that a second caller returns only when the files are let go.
        let mut threads = self.threads.lock();
        for writer in threads.writers.drain(..) {
            // The threads catch their panics and report them as the store's failure.
            let _ = writer.join();
        }
        if let Some(keeper) = threads.keeper.take() {
            if mark == Mark::Clean {
                writer::guard(shared, || shared.write_last());
            }
            {
                let mut core = shared.core.lock();
                core.ended = true;
                shared.chores.notify_all();
                shared.written.notify_all();
            }
            let _ = keeper.join();
        }
        // The file is let go before anybody learns that the store is closed.
        shared.database.lock().take();
        shared.inbox.closed();
    }
}

#[cfg(test)]
impl Store {
    /// Returns when nothing is being written, and nothing that was handed over before waits.
    pub(crate) fn wait_until_idle(&self) {
        while !self.shared.inbox.is_idle() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop(Mark::Unclean);
    }
}
