//! One virtual host: its exchanges, bindings and queues, and what happens between them.
//!
//! Look-ups are concurrent; changes of the topology go one at a time under one lock and are handed to the store before
//! that lock is released, so that the store sees them in the order in which they happened. `epoch` grows with each
//! change that could alter a route: who remembers a route compares it.
//!
//! What it must not know: connections' sockets, users and their rights, other virtual hosts.

mod bind;
mod dead_letter;
mod definitions;
mod end;
mod events;
mod exchange;
mod exchange_type;
mod exchanges;
pub mod inventory;
mod letter;
mod metadata;
mod pager;
pub mod policies;
pub mod publish;
mod queue_handle;
mod queues;
pub mod recover;
#[cfg(test)]
mod tests;
mod timers;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::Mutex;

use crate::metrics::Churn;
use crate::metrics::QueueCounts;
use crate::metrics::QueueHistory;
use crate::model::ExchangeName;
use crate::model::Permitted;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::Release;
use crate::model::VhostName;
use crate::queue::Memory;
use crate::queue::Queue;
use crate::queue::QueueType;
use crate::store::Store;
pub use bind::Binding;
pub use bind::Target;
pub use definitions::DefinitionError;
pub use definitions::Kind as DefinitionKind;
pub use events::ByItself;
pub use events::Change;
pub use events::EVENT_EXCHANGE;
pub use events::Events;
pub use exchange::Destination;
pub use exchange::Exchange;
pub use exchange_type::Sightings;
pub use exchanges::ExchangeSpec;
pub use exchanges::TRACE_EXCHANGE;
pub use letter::Letter;
pub use metadata::VhostMetadata;
pub use pager::Clock;
pub use pager::Paging;
use policies::Policies;
pub use publish::Route;
pub use queue_handle::QueueHandle;
pub use queues::QueueSpec;
pub use recover::RecoveredTopology;
pub use timers::Timers;
pub use transaction::Refused;
pub use transaction::Transaction;

/// Hashes names; not resistant to crafted collisions across processes, seeded at random within one.
pub(crate) type Hasher = foldhash::fast::RandomState;

/// What queues do whose arguments do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDefaults {
    /// How often a message of a quorum queue may come back; `None` is without limit.
    pub delivery_limit: Option<u64>,
    /// How long a delivery of a quorum queue may stay without acknowledgement, in milliseconds.
    pub quorum_consumer_timeout: Option<u64>,
    /// The same for classic queues.
    pub classic_consumer_timeout: Option<u64>,
}

/// What all virtual hosts of a node share.
pub struct Shared {
    /// Where durable things go.
    pub store: Arc<Store>,
    /// Queues with something to do at some time.
    pub timers: Timers,
    /// What queues do whose arguments do not say.
    pub queue_defaults: QueueDefaults,
    /// Whose rules hold.
    pub release: Release,
    /// What of what RabbitMQ is about to drop may be used.
    pub permitted: Permitted,
    /// What changes, for who wants to hear of it.
    pub events: Events,
    /// How queues keep within the node's memory.
    pub paging: Paging,
    /// What comes and goes.
    pub churn: Churn,
    past_queues: Mutex<HashMap<QueueType, Past>>,
    /// All queues of the node by id.
    pub queues: DashMap<QueueId, Arc<QueueHandle>, Hasher>,
    next_id: AtomicU64,
}

/// What queues of a type have counted that are gone.
#[derive(Default)]
struct Past {
    counts: QueueCounts,
    history: QueueHistory,
}

impl Shared {
    /// State for a node whose store holds ids below `next_id`, with what holds without settings.
    pub fn new(store: Arc<Store>, next_id: u64) -> Self {
        Self {
            paging: Paging::new(Arc::clone(&store), Memory::default(), None),
            store,
            queue_defaults: QueueDefaults::default(),
            release: Release::default(),
            permitted: Permitted::default(),
            timers: Timers::default(),
            events: Events::default(),
            churn: Churn::default(),
            past_queues: Mutex::default(),
            queues: DashMap::default(),
            next_id: AtomicU64::new(next_id.max(1)),
        }
    }

    /// What queues of each type have counted since the node started, also those that are gone.
    pub fn queue_counts(&self) -> HashMap<QueueType, QueueCounts> {
        let mut all = self.past(|past| past.counts);
        let queues: Vec<_> = self.queues.iter().map(|queue| Arc::clone(&queue)).collect();
        for queue in queues {
            let counts = queue.look(|state| state.stats());
            *all.entry(queue.queue_type).or_default() += counts;
        }
        all
    }

    /// What became of the messages in queues of each type since the node started, also in those that are gone.
    pub fn queue_histories(&self) -> HashMap<QueueType, QueueHistory> {
        let mut all = self.past(|past| past.history);
        let queues: Vec<_> = self.queues.iter().map(|queue| Arc::clone(&queue)).collect();
        for queue in queues {
            if let Some(history) = queue.look(|state| state.history().copied()) {
                *all.entry(queue.queue_type).or_default() += history;
            }
        }
        all
    }

    /// Of each type. The lock is let go before any queue is entered: a queue that ends takes it under its own.
    fn past<T>(&self, pick: impl Fn(&Past) -> T) -> HashMap<QueueType, T> {
        let past = self.past_queues.lock();
        past.iter()
            .map(|(kind, past)| (*kind, pick(past)))
            .collect()
    }

    /// A queue is about to go: its counters stay.
    fn keep_counts(&self, queue_type: QueueType, state: &Queue) {
        let mut past = self.past_queues.lock();
        let past = past.entry(queue_type).or_default();
        past.counts += state.stats();
        if let Some(history) = state.history() {
            past.history += *history;
        }
    }

    /// A number that no queue or exchange of this node has or had.
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Ids up to here were found in the store.
    pub fn seen_id(&self, id: u64) {
        self.next_id.fetch_max(id + 1, Ordering::Relaxed);
    }
}

/// See the module's documentation.
pub struct Vhost {
    name: VhostName,
    shared: Arc<Shared>,
    exchanges: DashMap<ExchangeName, Arc<Exchange>, Hasher>,
    queues: DashMap<QueueName, Arc<QueueHandle>, Hasher>,
    epoch: AtomicU64,
    tracing: AtomicBool,
    changes: Mutex<()>,
    policies: ArcSwap<Policies>,
    policy_changes: Mutex<()>,
    /// Queues there may be; `u64::MAX` is any number.
    queues_max: AtomicU64,
    metadata: ArcSwap<VhostMetadata>,
    /// Set under `changes`.
    deleted: AtomicBool,
    /// Queues of delayed exchanges that are gone, to be deleted once no other queue is locked.
    ended_lines: Mutex<Vec<Arc<QueueHandle>>>,
    /// For its queues, whose dead messages it routes.
    this: Weak<Vhost>,
}

impl Vhost {
    /// A virtual host with the exchanges that every one has (spec §5.1).
    pub fn new(name: VhostName, metadata: VhostMetadata, shared: Arc<Shared>) -> Arc<Self> {
        let vhost = Arc::new_cyclic(|this| Self {
            name,
            shared,
            exchanges: DashMap::default(),
            queues: DashMap::default(),
            epoch: AtomicU64::new(0),
            tracing: AtomicBool::new(false),
            changes: Mutex::new(()),
            policies: ArcSwap::default(),
            policy_changes: Mutex::new(()),
            queues_max: AtomicU64::new(u64::MAX),
            metadata: ArcSwap::from_pointee(metadata),
            deleted: AtomicBool::new(false),
            ended_lines: Mutex::default(),
            this: Weak::clone(this),
        });
        vhost.declare_system_exchanges();
        vhost
    }

    /// Its name.
    pub fn name(&self) -> &VhostName {
        &self.name
    }

    /// Whether what is published and delivered here is copied to [`TRACE_EXCHANGE`].
    pub fn tracing(&self) -> bool {
        self.tracing.load(Ordering::Relaxed)
    }

    /// Switches the firehose. As in RabbitMQ it is off again after a restart.
    pub fn set_tracing(&self, tracing: bool) {
        let was = self.tracing.swap(tracing, Ordering::Relaxed);
        if was != tracing {
            tracing::info!(vhost = %self.name, tracing, "firehose switched");
        }
    }

    /// How many queues there may be from now on. Those that are there stay.
    pub fn limit_queues(&self, max: Option<u64>) {
        self.queues_max
            .store(max.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many queues there are.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// What is noted about it.
    pub fn metadata(&self) -> Arc<VhostMetadata> {
        self.metadata.load_full()
    }

    /// Replaces what is noted about it. The caller stores it.
    pub fn set_metadata(&self, metadata: VhostMetadata) {
        self.metadata.store(Arc::new(metadata));
    }

    /// Grows with each change that could alter a route.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The exchange of that name.
    pub fn exchange(&self, name: &str) -> Option<Arc<Exchange>> {
        self.exchanges
            .get(name)
            .map(|exchange| Arc::clone(&exchange))
    }

    /// The queue of that name.
    pub fn queue(&self, name: &str) -> Option<Arc<QueueHandle>> {
        self.queues.get(name).map(|queue| Arc::clone(&queue))
    }

    /// All exchanges, in no order.
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges
            .iter()
            .map(|exchange| Arc::clone(&exchange))
            .collect()
    }

    /// All queues, in no order. Copied out: nobody may enter a queue while holding a part of the table, for a queue that ends
    /// leaves the table under its own lock.
    pub fn queues(&self) -> Vec<Arc<QueueHandle>> {
        self.queues.iter().map(|queue| Arc::clone(&queue)).collect()
    }

    /// `queue 'name' in vhost 'this'`, as error texts have it.
    pub fn queue_resource(&self, name: &str) -> String {
        format!("queue '{name}' in vhost '{}'", self.name)
    }

    /// `exchange 'name' in vhost 'this'`, as error texts have it.
    pub fn exchange_resource(&self, name: &str) -> String {
        format!("exchange '{name}' in vhost '{}'", self.name)
    }
}
