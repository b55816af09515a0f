//! The whole node behind one façade: virtual hosts, users, the store, connections.
//!
//! Front doors call nothing else. What AMQP and HTTP can both do is a method here. It knows no socket and no wire format
//! of any front door.

mod access;
mod acting;
mod administered;
mod alarms;
mod connections;
mod definitions;
mod events;
mod features;
mod limits;
mod log;
mod options;
mod parameters;
mod replies;
mod session;
mod start;
#[cfg(test)]
mod tests;
mod vhosts;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use dashmap::DashMap;

use crate::metrics::Churn;
use crate::metrics::Histogram;
use crate::metrics::QueueCounts;
use crate::metrics::QueueHistory;
use crate::metrics::SharedHistogram;
use crate::model::ConnectionId;
use crate::model::ConsumerId;
use crate::model::Lsn;
use crate::model::QueueId;
use crate::model::VhostName;
use crate::queue::QueueType;
use crate::store::CommitWaiter;
use crate::store::Store;
use crate::vhost::Clock;
use crate::vhost::QueueHandle;
use crate::vhost::Shared;
use crate::vhost::Vhost;
pub use access::Access;
pub use access::Protocol;
pub use acting::Acting;
pub use acting::Sent;
pub use administered::Administered;
pub use alarms::AlarmOptions;
pub use alarms::AlarmState;
use alarms::Alarms;
pub use alarms::Watermark;
pub use connections::ChannelInfo;
pub use connections::ConnectionInfo;
pub use connections::Connections;
pub use connections::ConsumerInfo;
pub use connections::Settled;
pub use connections::Traffic;
pub use definitions::inventory;
pub use features::Deprecated;
pub use features::FEATURES;
use limits::AllLimits;
pub use limits::InvalidLimit;
pub use limits::LimitKind;
pub use limits::LimitSet;
pub use limits::Limits;
pub use options::BrokerOptions;
pub use parameters::Parameters;
pub use replies::Replies;
pub use session::LastLine;
pub use session::Session;
pub use start::StartError;
pub use vhosts::NotDeleted;

/// See the module's documentation.
pub struct Broker {
    options: BrokerOptions,
    shared: Arc<Shared>,
    vhosts: DashMap<VhostName, Arc<Vhost>>,
    access: Access,
    alarms: Alarms,
    limits: AllLimits,
    parameters: Parameters,
    connections: Connections,
    replies: Replies,
    next_connection: AtomicU64,
    next_consumer: AtomicU64,
    /// Few loops share one of them.
    confirm_latency: [Arc<SharedHistogram>; LATENCY_PARTS],
}

/// Into so many parts the connections are divided that count latencies.
const LATENCY_PARTS: usize = 8;

impl Broker {
    /// Its options.
    pub fn options(&self) -> &BrokerOptions {
        &self.options
    }

    /// Users and permissions.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Limits of virtual hosts and users.
    pub fn limits(&self, kind: LimitKind) -> &Limits {
        self.limits.of(kind)
    }

    /// Parameters of the node.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What the cluster that this node is alone is called.
    pub fn cluster_name(&self) -> String {
        let named = self.parameters.value("cluster_name");
        let named = named.as_ref().and_then(serde_json::Value::as_str);
        named.unwrap_or(&self.options.cluster_name).to_owned()
    }

    /// What comes and goes on the node.
    pub fn churn(&self) -> &Churn {
        &self.shared.churn
    }

    /// What the messages of all queues hold in memory.
    pub fn queue_memory_bytes(&self) -> u64 {
        self.shared.paging.memory.held_bytes()
    }

    /// What queues of each type have counted.
    pub fn queue_counts(&self) -> HashMap<QueueType, QueueCounts> {
        self.shared.queue_counts()
    }

    /// What became of the messages in queues of each type.
    pub fn queue_histories(&self) -> HashMap<QueueType, QueueHistory> {
        self.shared.queue_histories()
    }

    /// How long publishers waited for their confirms, in microseconds.
    pub fn confirm_latency(&self) -> Histogram {
        let mut all = Histogram::default();
        for part in &self.confirm_latency {
            all += part.get();
        }
        all
    }

    /// Where one of the connections counts that.
    pub fn confirm_latency_of(&self, connection: ConnectionId) -> Arc<SharedHistogram> {
        let part = connection.0 as usize % LATENCY_PARTS;
        Arc::clone(&self.confirm_latency[part])
    }

    /// Client connections.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The virtual host of that name.
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        // The map is keyed by a type that borrows as `str`, so the guard is dropped before anything else is asked.
        let found = self.vhosts.get(name)?;
        Some(Arc::clone(&found))
    }

    /// The queue with that id, of whatever virtual host.
    pub fn queue_by_id(&self, id: QueueId) -> Option<Arc<QueueHandle>> {
        let found = self.shared.queues.get(&id)?;
        Some(Arc::clone(&found))
    }

    /// All virtual hosts, by name.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut vhosts: Vec<_> = self.vhosts.iter().map(|vhost| Arc::clone(&vhost)).collect();
        vhosts.sort_by(|left, right| left.name().cmp(right.name()));
        vhosts
    }

    /// How far the store is durable.
    pub fn durable(&self) -> Lsn {
        self.shared.store.durable()
    }

    /// See [`Store::notify`].
    pub fn notify_commit(&self, lsn: Lsn, waiter: Arc<dyn CommitWaiter>) {
        self.shared.store.notify(lsn, waiter);
    }

    /// The store, for back-pressure, its end and its failure.
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// Tells what time it is when messages that were on the disk are delivered, in milliseconds since the Unix epoch.
    pub fn use_clock(&self, clock: Clock) {
        self.shared.paging.use_clock(clock);
    }

    /// Does what is due: drops expired messages, deletes expired queues.
    pub fn run_timers(&self, now: u64) {
        for id in self.shared.timers.take_due(now) {
            let queue = self.shared.queues.get(&id).map(|queue| Arc::clone(&queue));
            let Some(queue) = queue else { continue };
            let ended = queue.tick(now);
            if let (Some(ended), Some(vhost)) = (ended, self.vhost(&queue.vhost)) {
                vhost.delete_ended(&queue, ended, now);
            }
        }
        self.tell_changes(events::INTERNAL_USER, now);
    }

    /// When [`Broker::run_timers`] is next due; `waker` is woken when that becomes earlier.
    pub fn next_timer(&self, waker: &std::task::Waker) -> Option<u64> {
        self.shared.timers.next(waker)
    }

    fn new_connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    fn new_consumer_id(&self) -> ConsumerId {
        ConsumerId(self.next_consumer.fetch_add(1, Ordering::Relaxed))
    }
}
