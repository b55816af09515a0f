//! A queue behind its one short lock, with what is fixed about it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use amq_protocol::types::AMQPValue;
use parking_lot::Mutex;
use parking_lot::MutexGuard;
use parking_lot::RwLock;

use crate::model::Arguments;
use crate::model::ConnectionId;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::VhostName;
use crate::queue::Begin;
use crate::queue::Browsed;
use crate::queue::Dead;
use crate::queue::Ended;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueType;
use crate::store::Record;
use crate::vhost::Shared;
use crate::vhost::Vhost;
use crate::vhost::policies::Applied;
use crate::vhost::policies::GovernedQueue;

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
    /// Whose rules it follows; fixed by its declaration.
    pub queue_type: QueueType,
    pub(super) governed: RwLock<GovernedQueue>,
    /// The delayed exchange whose messages wait here; no client knows such a queue.
    pub(super) delays_for: Option<ExchangeName>,
    pub(super) state: Mutex<Queue>,
    /// Held by who carries its dead messages away. Never waited for under a queue's lock.
    pub(super) dead_lettering: Mutex<()>,
    home: Weak<Vhost>,
    pub(super) shared: Arc<Shared>,
    /// The earliest deadline armed and not yet due; `u64::MAX` when none.
    armed: AtomicU64,
}

impl QueueHandle {
    pub(super) fn new(
        spec: super::QueueSpec,
        id: QueueId,
        home: &Vhost,
        queue_type: QueueType,
        governed: GovernedQueue,
        state: Queue,
    ) -> Self {
        Self {
            id,
            name: spec.name,
            vhost: home.name.clone(),
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            owner: spec.owner,
            arguments: spec.arguments,
            queue_type,
            governed: RwLock::new(governed),
            delays_for: None,
            state: Mutex::new(state),
            dead_lettering: Mutex::new(()),
            home: Weak::clone(&home.this),
            shared: Arc::clone(&home.shared),
            armed: AtomicU64::new(u64::MAX),
        }
    }

    /// Only one of its consumers is served at a time; fixed by its declaration.
    pub fn has_single_active_consumer(&self) -> bool {
        self.arguments.value("x-single-active-consumer") == Some(&AMQPValue::Boolean(true))
    }

    /// One in which messages of a delayed exchange wait.
    pub(super) fn for_delayed(
        spec: super::QueueSpec,
        id: QueueId,
        home: &Vhost,
        exchange: ExchangeName,
        state: Queue,
    ) -> Self {
        let governed = GovernedQueue::new(Applied::default(), &QueueArguments::default());
        Self {
            delays_for: Some(exchange),
            ..Self::new(spec, id, home, QueueType::Classic, governed, state)
        }
    }

    /// Looks at the queue without touching it.
    pub fn look<T>(&self, see: impl FnOnce(&Queue) -> T) -> T {
        see(&self.state.lock())
    }

    /// Shows ready messages from there on to `visit`, as [`Glimpse::read`]. Blocks on the disk, without the queue's lock.
    ///
    /// [`Glimpse::read`]: crate::queue::Glimpse::read
    pub fn browse(
        &self,
        begin: Begin,
        now: u64,
        bytes_max: u64,
        visit: impl FnMut(Browsed<'_>) -> ControlFlow<()>,
    ) -> Option<u64> {
        let glimpse = self.look(|queue| queue.glimpse(begin, now));
        glimpse.read(&*self.shared.paging.pager(), bytes_max, visit)
    }

    /// Enters the queue. Records that `act` leaves are handed to the store before the lock is released: nobody can
    /// settle a message in the store before it was put there. Messages that died go to their dead-letter exchange after
    /// that.
    pub fn enter<T>(&self, act: impl FnOnce(&mut Queue, &mut Vec<Record>) -> T) -> (T, Lsn) {
        let (result, lsn, has_dead) = self.enter_gathering(act);
        if has_dead {
            self.dead_letter();
        }
        (result, lsn)
    }

    /// As [`QueueHandle::enter`], but dead messages stay with the queue: answers whether there are any.
    pub(super) fn enter_gathering<T>(
        &self,
        act: impl FnOnce(&mut Queue, &mut Vec<Record>) -> T,
    ) -> (T, Lsn, bool) {
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
        let has_dead = self.leave(state);
        (result, lsn, has_dead)
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

    /// Ends one [`QueueHandle::enter_held`]. Answers whether messages have died, for which the caller has to call
    /// [`QueueHandle::dead_letter`] once it holds no queue any more.
    #[must_use]
    pub(super) fn release(&self, now: u64) -> bool {
        let mut records = Vec::new();
        let mut state = self.state.lock();
        state.release(now, &mut records);
        if !records.is_empty() {
            self.shared.store.append(records);
        }
        self.leave(state)
    }

    /// Ends an entry once the store has heard of what happened. Answers whether messages have died.
    fn leave(&self, mut state: MutexGuard<'_, Queue>) -> bool {
        state.relieve();
        state.release_publishers();
        let wants_page = state.wants_page();
        let (deadline, has_dead) = (state.next_deadline(), state.has_dead());
        drop(state);
        self.arm(deadline);
        if wants_page {
            self.shared.paging.request(&self.shared, self.id);
        }
        has_dead
    }

    /// Reads what consumers will soon reach, and delivers it. Blocks on the disk, without the queue's lock.
    pub(super) fn read_ahead(&self, pager: &dyn Pager) {
        let wanted = self.state.lock().wanted_page();
        if let Some(wanted) = wanted {
            let fetched = wanted.fetch(pager);
            self.enter(|queue, records| {
                let now = self.shared.paging.now().unwrap_or(queue.latest_time());
                queue.page_in(fetched, now, records);
            });
        }
    }

    /// Carries its dead messages away. The caller holds no queue, nor a queue's lock.
    pub(super) fn dead_letter(&self) {
        // A virtual host that is gone has no exchanges either.
        if let Some(vhost) = self.home.upgrade() {
            vhost.dead_letter(self);
        }
    }

    pub(super) fn take_dead(&self) -> Vec<Dead> {
        self.state.lock().take_dead()
    }

    /// These stay until the next attempt.
    pub(super) fn keep_dead(&self, dead: Vec<Dead>) {
        let mut state = self.state.lock();
        state.keep_dead(dead);
        let deadline = state.next_deadline();
        drop(state);
        self.arm(deadline);
    }

    /// The copies of these messages are in the store's hands: it may forget the originals.
    pub(super) fn settle_dead(&self, dead: &[Dead]) {
        let mut records = Vec::new();
        let mut state = self.state.lock();
        state.settle_dead(dead, &mut records);
        if !records.is_empty() {
            // Under the lock, for the store must hear of no message of a queue after the queue's end.
            self.shared.store.append(records);
        }
    }

    fn arm(&self, deadline: Option<u64>) {
        let Some(deadline) = deadline else { return };
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
            self.shared.timers.arm(deadline, self.id);
        }
    }

    /// Whether it was deleted: whoever looked it up before must look again.
    pub fn is_deleted(&self) -> bool {
        self.state.lock().is_deleted()
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
