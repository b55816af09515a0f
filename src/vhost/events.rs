//! Events: what changes on the node, told by `amq.rabbitmq.event` of the default virtual host. All is in the headers,
//! whose names, types and order are those of RabbitMQ's event exchange; the body is empty.
//!
//! Virtual hosts only note what they change, for they hold locks while they do. Whoever asked for the change takes the
//! notes of its thread afterwards and has them published under its user's name. While nothing is bound to the exchange,
//! nothing is noted.
//!
//! It knows no user and no connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::ThreadId;

use parking_lot::Mutex;
use parking_lot::RwLock;

use crate::model::ExchangeName;
use crate::model::RunBuilder;
use crate::model::VhostName;
use crate::model::message;
use crate::model::message::Traits;
use crate::protocol::properties;
use crate::protocol::raw_table::RawTable;
use crate::vhost::Binding;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;
use crate::vhost::policies::Policy;

/// Where events go.
pub const EVENT_EXCHANGE: &str = "amq.rabbitmq.event";

/// Changes that one call may leave to be told; of more, as when a queue with very many bindings goes, the rest is
/// forgotten.
const CHANGES_MAX: usize = 10_000;

/// Something that has just become so.
#[derive(Clone)]
pub enum Change {
    /// An exchange was made.
    ExchangeCreated(VhostName, Arc<Exchange>),
    /// An exchange is gone.
    ExchangeDeleted(VhostName, Arc<Exchange>),
    /// A queue was made.
    QueueCreated(Arc<QueueHandle>),
    /// A queue is gone.
    QueueDeleted(Arc<QueueHandle>),
    /// A binding was made.
    BindingCreated(VhostName, Binding),
    /// A binding is gone; by itself when its queue is.
    BindingDeleted(VhostName, Binding, ByItself),
    /// A policy that was made or changed makes other policies apply to a queue.
    QueuePolicyUpdated(Arc<QueueHandle>, Arc<Policy>),
    /// A policy that is gone makes other policies apply to a queue, or none.
    QueuePolicyCleared(Arc<QueueHandle>),
}

/// Whether nobody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByItself(pub bool);

struct Home {
    vhost: Weak<Vhost>,
    exchange: Arc<Exchange>,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Events {
    home: RwLock<Option<Home>>,
    noted: Mutex<HashMap<ThreadId, Vec<Change>>>,
    /// Threads that have noted something.
    noting: AtomicUsize,
}

impl Events {
    pub(super) fn settle(&self, vhost: &Arc<Vhost>, exchange: &Arc<Exchange>) {
        *self.home.write() = Some(Home {
            vhost: Arc::downgrade(vhost),
            exchange: Arc::clone(exchange),
        });
    }

    /// Whether anything is bound to the exchange.
    pub fn wanted(&self) -> bool {
        let home = self.home.read();
        // Somebody who binds right now is taken for bound: this is also asked while the bindings are changed.
        home.as_ref().is_some_and(|home| {
            let router = home.exchange.router.try_read();
            router.is_none_or(|router| !router.is_empty())
        })
    }

    pub(super) fn note(&self, change: impl FnOnce() -> Change) {
        if !self.wanted() {
            return;
        }
        let mut noted = self.noted.lock();
        let changes = noted.entry(std::thread::current().id()).or_default();
        if changes.len() < CHANGES_MAX {
            changes.push(change());
        }
        self.noting.store(noted.len(), Ordering::Relaxed);
    }

    /// Takes what this thread has changed since it last asked.
    pub fn take(&self) -> Vec<Change> {
        // What this thread noted it also sees.
        if self.noting.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut noted = self.noted.lock();
        let changes = noted.remove(&std::thread::current().id());
        self.noting.store(noted.len(), Ordering::Relaxed);
        changes.unwrap_or_default()
    }

    fn home(&self) -> Option<(Arc<Vhost>, Arc<Exchange>)> {
        let home = self.home.read();
        let home = home.as_ref()?;
        Some((home.vhost.upgrade()?, Arc::clone(&home.exchange)))
    }

    /// Publishes an event. The caller holds no lock.
    pub fn publish(&self, key: &str, mut headers: RawTable, now: u64) {
        let Some((vhost, exchange)) = self.home() else {
            return;
        };
        headers.long("timestamp_in_ms", i64::try_from(now).unwrap_or(i64::MAX));
        let header = properties::of_event(&headers.finish(), now / 1000);
        let traits = Traits::new(true, true, false, false, false, 0);
        let route = message::route(&ExchangeName::known(EVENT_EXCHANGE), key);
        let mut builder = RunBuilder::default();
        builder.push(&route, &header, &[], traits);
        vhost.announce(&exchange, &builder.finish(), now);
    }
}
