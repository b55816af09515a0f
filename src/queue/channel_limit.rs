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
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    queues: Vec<QueueId>,
    /// How often several queues were called.
    calls: usize,
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
        self.remember(queue);
        // Room may have been given back between the attempt and the note.
        self.try_take(wanted)
    }

    /// Whether there is room, for what takes none: deliveries that nobody acknowledges wait as well while the limit is reached,
    /// as in RabbitMQ. `queue` is remembered as by [`ChannelLimit::take`].
    pub fn has_room(&self, queue: QueueId) -> bool {
        if self.is_below() {
            return true;
        }
        self.remember(queue);
        self.is_below()
    }

    fn is_below(&self) -> bool {
        let limit = self.limit.load(Ordering::SeqCst);
        limit == 0 || self.used.load(Ordering::SeqCst) < limit
    }

    fn remember(&self, queue: QueueId) {
        let queues = &mut self.waiting.lock().queues;
        if !queues.contains(&queue) {
            queues.push(queue);
        }
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

    /// Queues that found no room since the last call. Each in its turn is the first, so that none is left behind where there is
    /// room for one alone.
    pub fn take_waiting(&self) -> Vec<QueueId> {
        let mut waiting = self.waiting.lock();
        let mut queues = std::mem::take(&mut waiting.queues);
        if queues.len() > 1 {
            queues.sort_unstable();
            let first = waiting.calls % queues.len();
            queues.rotate_left(first);
            waiting.calls = waiting.calls.wrapping_add(1);
        }
        queues
    }
}
