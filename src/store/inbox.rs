//! What waits for the writer, and who waits for it: the border between the threads of the broker and the store's own.
//!
//! Records and waiters are behind one short lock, never held while the disk works or while a waiter is called. The order
//! of appends is the order of their numbers and of the writes. Nothing here knows what a record means.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Condvar;
use parking_lot::Mutex;
use parking_lot::MutexGuard;

use crate::model::Lsn;
use crate::store::CommitWaiter;
use crate::store::Record;
use crate::store::StoreError;

/// The number of records that were refused.
const NEVER: Lsn = Lsn(u64::MAX);

/// Shared by the store's callers and its writer.
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// The writer has something to do.
    work: Condvar,
    /// Something became durable or the store stopped.
    progress: Condvar,
    durable: AtomicU64,
    congested: AtomicBool,
    bytes_max: usize,
}

struct State {
    records: Vec<Record>,
    /// Of the records that wait and of those being written.
    bytes: usize,
    last: Lsn,
    phase: Phase,
    commit_waiters: Vec<(Lsn, Arc<dyn CommitWaiter>)>,
    uncongested_waiters: Vec<Arc<dyn CommitWaiter>>,
    failure_waiters: Vec<Arc<dyn CommitWaiter>>,
}

/// ```text
/// Open ──► Closing ──► Closed
///   └─────────┴──────► Failed
/// ```
enum Phase {
    Open,
    /// Nothing more is taken; the writer finishes what it has.
    Closing(Mark),
    Closed,
    Failed(Arc<StoreError>),
}

/// Whether the file is to be marked as closed cleanly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Clean,
    Unclean,
}

/// What the writer is to do next.
pub(crate) enum Work {
    /// Commit the records it was given; they reach up to this number and count this many bytes.
    Commit { through: Lsn, bytes: usize },
    /// End.
    Stop(Mark),
}

impl Inbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                records: Vec::new(),
                bytes: 0,
                last: Lsn::NONE,
                phase: Phase::Open,
                commit_waiters: Vec::new(),
                uncongested_waiters: Vec::new(),
                failure_waiters: Vec::new(),
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            durable: AtomicU64::new(Lsn::NONE.0),
            congested: AtomicBool::new(false),
            bytes_max,
        }
    }

    /// See [`crate::store::Store::append`].
    pub(crate) fn append(&self, records: Vec<Record>) -> Lsn {
        if records.is_empty() {
            return Lsn::NONE;
        }
        let bytes = records.iter().map(Record::bytes).sum::<usize>();
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) {
            return NEVER;
        }
        if state.records.capacity() == 0 {
            state.records = records;
        } else {
            state.records.extend(records);
        }
        state.last.0 += 1;
        state.bytes += bytes;
        if state.bytes > self.bytes_max {
            self.congested.store(true, Ordering::Release);
        }
        let lsn = state.last;
        drop(state);
        self.work.notify_one();
        lsn
    }

    /// See [`crate::store::Store::durable`].
    pub(crate) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// See [`crate::store::Store::congested`].
    pub(crate) fn congested(&self) -> bool {
        self.congested.load(Ordering::Acquire)
    }

    /// See [`crate::store::Store::notify`].
    pub(crate) fn notify(&self, lsn: Lsn, waiter: Arc<dyn CommitWaiter>) {
        {
            // The writer moves the durable number under this lock, so that no waiter slips past it.
            let mut state = self.state.lock();
            if lsn > self.durable() {
                if matches!(state.phase, Phase::Open | Phase::Closing(_)) {
                    state.commit_waiters.push((lsn, waiter));
                }
                return;
            }
        }
        waiter.committed();
    }

    /// See [`crate::store::Store::notify_uncongested`].
    pub(crate) fn notify_uncongested(&self, waiter: Arc<dyn CommitWaiter>) {
        {
            let mut state = self.state.lock();
            if self.congested() {
                state.uncongested_waiters.push(waiter);
                return;
            }
        }
        waiter.committed();
    }

    /// See [`crate::store::Store::notify_failure`].
    pub(crate) fn notify_failure(&self, waiter: Arc<dyn CommitWaiter>) {
        {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Failed(_)) {
                state.failure_waiters.push(waiter);
                return;
            }
        }
        waiter.committed();
    }

    /// See [`crate::store::Store::wait`].
    pub(crate) fn wait(&self, lsn: Lsn) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        loop {
            if lsn <= self.durable() {
                return Ok(());
            }
            match &state.phase {
                Phase::Failed(error) => return Err(StoreError::Stopped(Arc::clone(error))),
                Phase::Closed => return Err(StoreError::Closed),
                Phase::Closing(_) if lsn == NEVER => return Err(StoreError::Closed),
                Phase::Open | Phase::Closing(_) => self.progress.wait(&mut state),
            }
        }
    }

    /// See [`crate::store::Store::failure`].
    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        match &self.state.lock().phase {
            Phase::Failed(error) => Some(Arc::clone(error)),
            Phase::Open | Phase::Closing(_) | Phase::Closed => None,
        }
    }

    /// Refuses records from now on and lets the writer finish.
    pub(crate) fn begin_close(&self, mark: Mark) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing(mark);
            self.work.notify_one();
        }
    }

    /// Waits for work and takes all of it. `records` comes empty, and its capacity is used again.
    pub(crate) fn take(&self, records: &mut Vec<Record>) -> Work {
        let mut state = self.state.lock();
        loop {
            if !state.records.is_empty() {
                std::mem::swap(&mut state.records, records);
                return Work::Commit {
                    through: state.last,
                    bytes: state.bytes,
                };
            }
            if let Phase::Closing(mark) = state.phase {
                return Work::Stop(mark);
            }
            self.work.wait(&mut state);
        }
    }

    /// Everything through `through` is on disk: `bytes` less wait.
    pub(crate) fn committed(&self, through: Lsn, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes -= bytes;
        self.durable.store(through.0, Ordering::Release);
        let mut due: Vec<_> = state
            .commit_waiters
            .extract_if(.., |(lsn, _)| *lsn <= through)
            .map(|(_, waiter)| waiter)
            .collect();
        if state.bytes <= self.bytes_max / 2 {
            due.append(&mut self.end_congestion(&mut state));
        }
        self.progress.notify_all();
        drop(state);
        call(due);
    }

    /// The writer has ended and everything is on disk.
    pub(crate) fn closed(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        state.failure_waiters.clear();
        self.progress.notify_all();
    }

    /// The writer cannot go on: nothing becomes durable any more.
    pub(crate) fn fail(&self, error: StoreError) {
        let mut state = self.state.lock();
        state.phase = Phase::Failed(Arc::new(error));
        let records = std::mem::take(&mut state.records);
        let never_told = std::mem::take(&mut state.commit_waiters);
        state.bytes = 0;
        let mut due = self.end_congestion(&mut state);
        due.append(&mut state.failure_waiters);
        self.progress.notify_all();
        drop(state);
        drop((records, never_told));
        call(due);
    }

    /// Returns whom to tell.
    fn end_congestion(&self, state: &mut MutexGuard<'_, State>) -> Vec<Arc<dyn CommitWaiter>> {
        self.congested.store(false, Ordering::Release);
        std::mem::take(&mut state.uncongested_waiters)
    }
}

fn call(waiters: Vec<Arc<dyn CommitWaiter>>) {
    for waiter in waiters {
        waiter.committed();
    }
}
