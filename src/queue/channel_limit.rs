//! `basic.qos` with `global`: one limit that all consumers of a channel share, across queues.
//!
//! Queues on different loops take from it under their own locks, so it is atomic; it must not know any queue
//! but by id.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::model::QueueId;

/// See the module's documentation. 0 is unlimited.
#[derive(Default)]
pub struct ChannelLimit {
    limit: AtomicU64,
    used: AtomicU64,
    waiting: Mutex<Vec<QueueId>>,
}

impl ChannelLimit {
    /// Sets the limit; what is out already counts against it.
    pub fn set(&self, limit: u16) {
        self.limit.store(u64::from(limit), Ordering::SeqCst);
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.limit.load(Ordering::SeqCst) > 0
    }

    /// Takes room for up to `wanted` messages and answers for how many. When it is none, `queue` is remembered for
    /// [`ChannelLimit::take_waiting`].
    pub fn take(&self, wanted: u64, queue: QueueId) -> u64 {
        let taken = self.try_take(wanted);
        if taken > 0 {
            return taken;
        }
        let mut waiting = self.waiting.lock();
        if !waiting.contains(&queue) {
            waiting.push(queue);
        }
        drop(waiting);
        // Room may have been given back between the attempt and the note.
        self.try_take(wanted)
    }

    fn try_take(&self, wanted: u64) -> u64 {
        let mut taken = 0;
        let _ = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                let limit = self.limit.load(Ordering::SeqCst);
                taken = if limit == 0 {
                    wanted
                } else {
                    wanted.min(limit.saturating_sub(used))
                };
                Some(used + taken)
            });
        taken
    }

    /// Messages were settled, or were not delivered after all.
    pub fn give_back(&self, count: u64) {
        let before = self.used.fetch_sub(count, Ordering::SeqCst);
        debug_assert!(before >= count, "gave back {count} of {before}");
    }

    /// Queues that found no room since the last call.
    pub fn take_waiting(&self) -> Vec<QueueId> {
        std::mem::take(&mut *self.waiting.lock())
    }
}
