//! A queue behind its one short lock, with what is fixed about it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::model::Arguments;
use crate::model::ConnectionId;
use crate::model::Lsn;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::VhostName;
use crate::queue::Ended;
use crate::queue::Queue;
use crate::store::Record;
use crate::vhost::Shared;

/// See the module's documentation. Equal only to itself.
pub struct QueueHandle {
    /// Its id.
    pub id: QueueId,
    /// Its name.
    pub name: QueueName,
    /// Where it lives.
    pub vhost: VhostName,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// The only connection that may use it.
    pub owner: Option<ConnectionId>,
    /// Arguments of its declaration.
    pub arguments: Arguments,
    pub(super) state: Mutex<Queue>,
    pub(super) shared: Arc<Shared>,
    /// The earliest deadline armed and not yet due; `u64::MAX` when none.
    armed: AtomicU64,
}

impl QueueHandle {
    pub(super) fn new(
        spec: super::QueueSpec,
        id: QueueId,
        vhost: VhostName,
        shared: Arc<Shared>,
        state: Queue,
    ) -> Self {
        Self {
            id,
            name: spec.name,
            vhost,
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            owner: spec.owner,
            arguments: spec.arguments,
            state: Mutex::new(state),
            shared,
            armed: AtomicU64::new(u64::MAX),
        }
    }

    /// Enters the queue. Records that `act` leaves are handed to the store before the lock is released: nobody can
    /// settle a message in the store before it was put there.
    pub fn enter<T>(&self, act: impl FnOnce(&mut Queue, &mut Vec<Record>) -> T) -> (T, Lsn) {
        let mut records = Vec::new();
        let mut state = self.state.lock();
        // Held for as long as it takes another publisher to hand its records over.
        while state.is_held() {
            drop(state);
            std::thread::yield_now();
            state = self.state.lock();
        }
        let result = act(&mut state, &mut records);
        let lsn = if records.is_empty() {
            Lsn::NONE
        } else {
            self.shared.store.append(records)
        };
        let deadline = state.next_deadline();
        drop(state);
        self.arm(deadline);
        (result, lsn)
    }

    /// Enqueues under a hold: `records` collects what the caller hands to the store, together with other queues' records,
    /// before it calls [`QueueHandle::release`].
    pub(super) fn enter_held(
        &self,
        records: &mut Vec<Record>,
        act: impl FnOnce(&mut Queue, &mut Vec<Record>),
    ) {
        let mut state = self.state.lock();
        state.hold();
        act(&mut state, records);
    }

    /// Ends one [`QueueHandle::enter_held`].
    pub(super) fn release(&self, now: u64) {
        let mut records = Vec::new();
        let mut state = self.state.lock();
        state.release(now, &mut records);
        if !records.is_empty() {
            self.shared.store.append(records);
        }
        let deadline = state.next_deadline();
        drop(state);
        self.arm(deadline);
    }

    fn arm(&self, deadline: Option<u64>) {
        let Some(deadline) = deadline else { return };
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
            self.shared.timers.arm(deadline, self.id);
        }
    }

    /// Its timer has come due: drops what has expired and tells whether the queue itself has.
    pub fn tick(&self, now: u64) -> Option<Ended> {
        self.armed.store(u64::MAX, Ordering::Relaxed);
        self.enter(|queue, records| queue.tick(now, records)).0
    }
}

impl PartialEq for QueueHandle {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl std::fmt::Debug for QueueHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueHandle")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish()
    }
}
