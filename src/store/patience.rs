//! A full disk is waited out: what needs room is tried again until there is some, so that publishers wait (nothing is
//! confirmed meanwhile, and what waits for its commit holds them back) while consumers go on with what there is.
//!
//! Only writes that found no room are tried again, never a sync: after a failed sync it is unknown what the disk has.
//! While the store opens nobody waits: an operator who starts it on a full disk shall see that at once. When it ends
//! nobody waits either.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Condvar;
use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redb::BackendError;
use redb::StorageBackend;

/// How long to wait before the next attempt.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Shared by all who write.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The store is open and not ending.
    waits: bool,
    /// Writes that wait for room.
    waiting: usize,
}

impl Patience {
    /// From now on a full disk is waited out.
    pub(crate) fn begin(&self) {
        self.state.lock().waits = true;
    }

    /// Nobody waits any more: a full disk is an error again.
    pub(crate) fn end(&self) {
        self.state.lock().waits = false;
        self.changed.notify_all();
    }

    /// Some write waits for room.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().waiting > 0
    }

    /// Does `write` until it does not fail for want of room.
    pub(crate) fn retry<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut outcome = write();
        if !is_want_of_room(&outcome) {
            return outcome;
        }
        let mut state = self.state.lock();
        if state.waits && state.waiting == 0 {
            tracing::error!(
                "the disk is full: nothing is confirmed until there is room again; make room on the disk of the data directory"
            );
        }
        state.waiting += 1;
        while state.waits && is_want_of_room(&outcome) {
            self.changed.wait_for(&mut state, RETRY_AFTER);
            outcome = MutexGuard::unlocked(&mut state, &mut write);
        }
        state.waiting -= 1;
        if state.waiting == 0 && outcome.is_ok() {
            tracing::info!("the disk has room again");
        }
        outcome
    }
}

fn is_want_of_room<T>(outcome: &io::Result<T>) -> bool {
    outcome.as_ref().is_err_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    })
}

/// redb's file, with patience.
pub(crate) struct PatientBackend<B> {
    pub(crate) backend: B,
    pub(crate) patience: Arc<Patience>,
}

impl<B> fmt::Debug for PatientBackend<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PatientBackend").finish()
    }
}

impl<B: StorageBackend> StorageBackend for PatientBackend<B> {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.patience.retry(|| self.backend.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.patience.retry(|| self.backend.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
