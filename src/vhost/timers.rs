//! When which queue has something to do (message TTL, queue expiry).
//!
//! One ordered set for the node. It knows no clock: whoever has one asks for what is due.

use std::collections::BTreeSet;
use std::task::Waker;

use parking_lot::Mutex;

use crate::model::QueueId;

#[derive(Default)]
struct Inner {
    due: BTreeSet<(u64, QueueId)>,
    waker: Option<Waker>,
}

/// See the module's documentation. Times are milliseconds since the Unix epoch.
#[derive(Default)]
pub struct Timers {
    inner: Mutex<Inner>,
}

impl Timers {
    /// Asks that `queue` be ticked at `at`; several times are fine.
    pub fn arm(&self, at: u64, queue: QueueId) {
        let mut inner = self.inner.lock();
        let earlier = inner.due.first().is_none_or(|(first, _)| at < *first);
        inner.due.insert((at, queue));
        if earlier && let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// The earliest time, and a promise to wake `waker` when an earlier one is armed.
    pub fn next(&self, waker: &Waker) -> Option<u64> {
        let mut inner = self.inner.lock();
        inner.waker = Some(waker.clone());
        inner.due.first().map(|(at, _)| *at)
    }

    /// Takes out what is due.
    pub fn take_due(&self, now: u64) -> Vec<QueueId> {
        let mut inner = self.inner.lock();
        let later = inner.due.split_off(&(now + 1, QueueId(0)));
        let due = std::mem::replace(&mut inner.due, later);
        due.into_iter().map(|(_, queue)| queue).collect()
    }
}
