//! What waits for the writers, and who waits for them: the border between the threads of the broker and the store's own.
//!
//! Records and waiters are behind one short lock, never held while the disk works or while a waiter is called. The order
//! of appends is the order of their numbers and of the writes. Nothing here knows what a record means.
//!
//! Two threads write in turns. One *gathers*: it waits for records and makes a frame of them. Then it writes and syncs the
//! frame while nobody gathers, so that one thread does it all as long as little happens. When much comes in during a sync,
//! the other thread is woken to encode the next frame meanwhile.

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
    /// For the thread that gathers: there is something to do.
    work: Condvar,
    /// For the other one: it may gather.
    help: Condvar,
    /// Something became durable or the store stopped.
    progress: Condvar,
    durable: AtomicU64,
    congested: AtomicBool,
    bytes_max: usize,
}

struct State {
    records: Vec<Record>,
    /// Capacity for the next records.
    spare: Vec<Record>,
    /// Of the records that wait and of those being written.
    bytes: usize,
    /// Of the records that wait.
    waiting_bytes: usize,
    /// Records were taken that no frame has yet.
    taken: bool,
    /// A frame was made that is not being written yet.
    sealed: bool,
    /// A thread gathers, or waits to.
    gathering: bool,
    /// A frame is being written.
    writing: bool,
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

/// What a writer is to do next.
pub(crate) enum Turn {
    /// Make a frame of what there is, and write it; when another is being written, wait for its end before that.
    Gather,
    /// End.
    Stop(Mark),
}

/// Records that were taken.
pub(crate) struct Taken {
    pub(crate) records: Vec<Record>,
    /// They reach up to here.
    pub(crate) through: Lsn,
    /// What they cost while they waited.
    pub(crate) bytes: usize,
}

/// When so much waits during a sync, the next frame is encoded before the sync has ended. Not earlier, for what is settled
/// before it is encoded need not be written.
const GATHER_EARLY_BYTES: usize = 1024 * 1024;

/// A buffer of records with more room than this is not kept.
const RECORDS_KEPT_MAX: usize = 64 * 1024;

impl Inbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                records: Vec::new(),
                spare: Vec::new(),
                bytes: 0,
                waiting_bytes: 0,
                taken: false,
                sealed: false,
                gathering: false,
                writing: false,
                last: Lsn::NONE,
                phase: Phase::Open,
                commit_waiters: Vec::new(),
                uncongested_waiters: Vec::new(),
                failure_waiters: Vec::new(),
            }),
            work: Condvar::new(),
            help: Condvar::new(),
            progress: Condvar::new(),
            durable: AtomicU64::new(Lsn::NONE.0),
            congested: AtomicBool::new(false),
            bytes_max,
        }
    }

    /// There is a frame to be written before anything was handed over.
    pub(crate) fn begin(&self) {
        self.state.lock().taken = true;
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
        state.waiting_bytes += bytes;
        if state.bytes > self.bytes_max {
            self.congested.store(true, Ordering::Release);
        }
        let lsn = state.last;
        let wake = match (state.writing, state.gathering) {
            (false, _) => Some(&self.work),
            (true, _) if state.waiting_bytes < GATHER_EARLY_BYTES => None,
            (true, true) => Some(&self.work),
            (true, false) => Some(&self.help),
        };
        drop(state);
        if let Some(wake) = wake {
            wake.notify_one();
        }
        lsn
    }

    /// See [`crate::store::Store::last`].
    pub(crate) fn last(&self) -> Lsn {
        self.state.lock().last
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

    /// What waits for its commit, being written or not.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    #[cfg(test)]
    pub(crate) fn is_writing(&self) -> bool {
        self.state.lock().writing
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.records.is_empty() && !(state.taken || state.sealed || state.writing)
    }

    /// See [`crate::store::Store::failure`].
    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        match &self.state.lock().phase {
            Phase::Failed(error) => Some(Arc::clone(error)),
            Phase::Open | Phase::Closing(_) | Phase::Closed => None,
        }
    }

    /// Refuses records from now on and lets the writers finish.
    pub(crate) fn begin_close(&self, mark: Mark) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing(mark);
            self.work.notify_one();
        }
    }

    /// Waits until there is something to do for the thread that gathers, and until this thread is the one. It stays so
    /// until [`Inbox::begin_write`].
    pub(crate) fn next_turn(&self) -> Turn {
        let mut state = self.state.lock();
        while state.gathering && !matches!(state.phase, Phase::Failed(_)) {
            self.help.wait(&mut state);
        }
        state.gathering = true;
        loop {
            let ended = matches!(state.phase, Phase::Closed | Phase::Failed(_));
            let pending = state.taken || !state.records.is_empty();
            let turn = if ended {
                Some(Turn::Stop(Mark::Unclean))
            } else if pending && (!state.writing || state.waiting_bytes >= GATHER_EARLY_BYTES) {
                Some(Turn::Gather)
            } else if let (Phase::Closing(mark), false, false) =
                (&state.phase, pending, state.writing)
            {
                Some(Turn::Stop(*mark))
            } else {
                None
            };
            match turn {
                Some(Turn::Gather) => return Turn::Gather,
                Some(Turn::Stop(mark)) => {
                    // For the other thread, which then stops as well.
                    state.gathering = false;
                    self.help.notify_one();
                    return Turn::Stop(mark);
                }
                None => self.work.wait(&mut state),
            }
        }
    }

    /// Takes all records that wait. The caller holds the lock of the group that they enter.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut state = self.state.lock();
        if state.records.is_empty() {
            return None;
        }
        let spare = std::mem::take(&mut state.spare);
        let records = std::mem::replace(&mut state.records, spare);
        state.taken = true;
        Some(Taken {
            records,
            through: state.last,
            bytes: std::mem::take(&mut state.waiting_bytes),
        })
    }

    /// The buffer of [`Inbox::take`], empty again.
    pub(crate) fn give_back(&self, mut records: Vec<Record>) {
        records.shrink_to(RECORDS_KEPT_MAX);
        self.state.lock().spare = records;
    }

    /// Everything that was taken is in a frame now. The caller holds the lock of the group.
    pub(crate) fn all_sealed(&self) {
        let mut state = self.state.lock();
        state.taken = false;
        state.sealed = true;
    }

    /// Waits until nobody writes; then this thread does, and no longer gathers. `false` when the store has failed.
    pub(crate) fn begin_write(&self) -> bool {
        let mut state = self.state.lock();
        while state.writing && !matches!(state.phase, Phase::Failed(_)) {
            self.work.wait(&mut state);
        }
        state.gathering = false;
        state.sealed = false;
        state.writing = true;
        if state.waiting_bytes >= GATHER_EARLY_BYTES {
            self.help.notify_one();
        }
        !matches!(state.phase, Phase::Failed(_))
    }

    /// Everything through `through` is on disk: `bytes` less wait, and another may write.
    pub(crate) fn committed(&self, through: Lsn, bytes: usize) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Failed(_)) {
            return;
        }
        state.bytes -= bytes;
        state.writing = false;
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
        if state.gathering {
            self.work.notify_one();
        }
        drop(state);
        call(due);
    }

    /// The writer has ended and everything is on disk.
    pub(crate) fn closed(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Failed(_)) {
            return;
        }
        state.phase = Phase::Closed;
        state.failure_waiters.clear();
        self.progress.notify_all();
    }

    /// The writers cannot go on: nothing becomes durable any more. What comes after the first failure changes nothing.
    pub(crate) fn fail(&self, error: StoreError) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Failed(_) | Phase::Closed) {
            return;
        }
        state.phase = Phase::Failed(Arc::new(error));
        let records = std::mem::take(&mut state.records);
        let never_told = std::mem::take(&mut state.commit_waiters);
        state.bytes = 0;
        let mut due = self.end_congestion(&mut state);
        due.append(&mut state.failure_waiters);
        self.progress.notify_all();
        self.work.notify_all();
        self.help.notify_all();
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
