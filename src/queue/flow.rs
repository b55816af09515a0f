//! Publishers wait a moment for consumers that are about to catch up: what is taken from memory soon is cheaper than what goes
//! to the disk and comes back.
//!
//! Only a queue that is being emptied briskly asks for that, and only for milliseconds at a time. One without consumers, or
//! with slow ones, never does: it pages. Nobody waits until something happens that might not, so that clients which wait
//! for each other go on.

use std::sync::Arc;

use crate::model::Outbox;
use crate::queue::Queue;

/// With more ready octets in memory than this, publishers may be asked to wait; until half of it is gone.
const FULL_BYTES: u64 = 4 * 1024 * 1024;

/// How long consumption is measured.
const WINDOW_MS: u64 = 8;

/// Consumers are brisk when they would empty the queue within so many windows.
const WINDOWS_MAX: u64 = 16;

/// So long a publisher waits at most, in milliseconds; then its connection is read once, and asks again.
pub const PAUSE_MS: u64 = 10;

#[derive(Default)]
pub(super) struct Flow {
    /// Octets that consumers got so far.
    pub(super) delivered_bytes: u64,
    /// When the window began, and what they had got by then.
    since: u64,
    before_bytes: u64,
    is_brisk: bool,
    waiting: Vec<Arc<Outbox>>,
}

impl Queue {
    /// Whether it is worth asking [`Queue::pause`].
    pub fn is_brimming(&self) -> bool {
        self.ready.held_bytes() > FULL_BYTES && self.consumers.len() > 0
    }

    /// Whether who publishes from the connection with this outbox should wait. It is signalled when there is room.
    pub fn pause(&mut self, publisher: &Arc<Outbox>, now: u64) -> bool {
        let ready_bytes = self.ready.held_bytes().max(self.ready.body_bytes());
        let flow = &mut self.flow;
        let passed = now.saturating_sub(flow.since);
        if passed >= WINDOW_MS {
            let delivered = flow.delivered_bytes - flow.before_bytes;
            flow.is_brisk = delivered * WINDOW_MS / passed >= ready_bytes / WINDOWS_MAX;
            flow.since = now;
            flow.before_bytes = flow.delivered_bytes;
        }
        if !self.is_brimming() || !self.flow.is_brisk {
            return false;
        }
        if !self.pauses(publisher) {
            self.flow.waiting.push(Arc::clone(publisher));
        }
        true
    }

    /// Whether it still has who asked wait.
    pub fn pauses(&self, publisher: &Arc<Outbox>) -> bool {
        let mut waiting = self.flow.waiting.iter();
        waiting.any(|other| Arc::ptr_eq(other, publisher))
    }

    /// This publisher waits no more.
    pub fn resume_publisher(&mut self, publisher: &Arc<Outbox>) {
        let waiting = &mut self.flow.waiting;
        waiting.retain(|other| !Arc::ptr_eq(other, publisher));
    }

    /// Signals publishers when there is room for what they have.
    pub fn release_publishers(&mut self) {
        if self.flow.waiting.is_empty() {
            return;
        }
        let is_room = self.ready.held_bytes() <= FULL_BYTES / 2;
        if is_room || self.consumers.len() == 0 || self.is_deleted() {
            for publisher in self.flow.waiting.drain(..) {
                publisher.signal();
            }
        }
    }
}
