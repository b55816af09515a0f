//! Events: what changes on the node, told by `amq.rabbitmq.event` of the default virtual host. All is in the headers,
//! whose names, types and order are those of RabbitMQ's event exchange; the body is empty.
//!
//! Virtual hosts only note what they change, for they hold locks while they do. Whoever asked for the change takes the
//! notes of its thread afterwards and has them published under its user's name. While nothing is bound to the exchange,
//! and nobody looks on without a queue (`watch`), nothing is noted.
//!
//! It knows no user and no connection.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
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

/// Events that wait for those who look on; of more the oldest go.
const WATCHED_MAX: usize = 10_000;

/// How long after somebody looked events are still kept, in milliseconds.
const WATCH_MILLIS: u64 = 10_000;

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

/// An event as those who look on get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its name, such as `queue.created`.
    pub key: String,
    /// What it tells: a table in its wire form, length included.
    pub table: Arc<[u8]>,
}

/// Events for those who look on without a queue.
#[derive(Default)]
struct Watch {
    /// The number of the first that is kept.
    first: u64,
    kept: VecDeque<Watched>,
    /// Until then somebody looks, in milliseconds since the Unix epoch.
    until: u64,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Events {
    watch: Mutex<Watch>,
    /// Somebody looks on, or has not for long.
    watched: AtomicBool,
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

    /// Whether anything is bound to the exchange, or somebody looks on.
    pub fn wanted(&self) -> bool {
        self.watched.load(Ordering::Relaxed) || self.bound()
    }

    fn bound(&self) -> bool {
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

    /// Events from this number on, and the number to ask for next. Whoever asks without one gets none yet. Of who does not ask
    /// for ten seconds, or leaves more than ten thousand, what came meanwhile is lost.
    pub fn watch(&self, from: Option<u64>, now: u64) -> (Vec<Watched>, u64) {
        let mut watch = self.watch.lock();
        watch.until = now + WATCH_MILLIS;
        self.watched.store(true, Ordering::Relaxed);
        let next = watch.first + watch.kept.len() as u64;
        let skipped = from.unwrap_or(next).saturating_sub(watch.first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        (watch.kept.iter().skip(skipped).cloned().collect(), next)
    }

    fn keep(&self, key: &str, table: &[u8], now: u64) {
        let mut watch = self.watch.lock();
        if now > watch.until {
            watch.first += watch.kept.len() as u64;
            watch.kept = VecDeque::new();
            self.watched.store(false, Ordering::Relaxed);
            return;
        }
        if watch.kept.len() == WATCHED_MAX {
            watch.kept.pop_front();
            watch.first += 1;
        }
        watch.kept.push_back(Watched {
            key: key.to_owned(),
            table: table.into(),
        });
    }

    /// Publishes an event. The caller holds no lock.
    pub fn publish(&self, key: &str, mut headers: RawTable, now: u64) {
        headers.long("timestamp_in_ms", i64::try_from(now).unwrap_or(i64::MAX));
        let headers = headers.finish();
        if self.watched.load(Ordering::Relaxed) {
            self.keep(key, &headers, now);
        }
        let Some((vhost, exchange)) = self.home().filter(|_| self.bound()) else {
            return;
        };
        let header = properties::of_event(&headers, now / 1000);
        let traits = Traits::new(true, true, false, false, false, 0);
        let route = message::route(&ExchangeName::known(EVENT_EXCHANGE), key);
        let mut builder = RunBuilder::default();
        builder.push(&route, &header, &[], traits);
        vhost.announce(&exchange, &builder.finish(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &Events, key: &str, now: u64) {
        if events.wanted() {
            events.publish(key, RawTable::new(), now);
        }
    }

    fn seen(events: &Events, from: Option<u64>, now: u64) -> (String, u64) {
        let (watched, next) = events.watch(from, now);
        let keys: Vec<_> = watched.into_iter().map(|event| event.key).collect();
        (keys.join(" "), next)
    }

    #[test]
    fn who_looks_on_sees_what_comes_after_each_once() {
        let events = Events::default();
        told(&events, "early", 0);
        assert_eq!(seen(&events, None, 1), (String::new(), 0));
        told(&events, "a", 2);
        told(&events, "b", 3);
        assert_eq!(seen(&events, Some(0), 4), ("a b".to_owned(), 2));
        told(&events, "c", 5);
        assert_eq!(seen(&events, Some(2), 6), ("c".to_owned(), 3));
        // Another one.
        assert_eq!(seen(&events, None, 6), (String::new(), 3));
    }

    #[test]
    fn events_are_kept_neither_for_long_nor_without_bound() {
        let events = Events::default();
        events.watch(None, 0);
        for _ in 0..=WATCHED_MAX {
            told(&events, "a", 1);
        }
        let (kept, next) = events.watch(Some(0), 1);
        assert_eq!((kept.len(), next), (WATCHED_MAX, WATCHED_MAX as u64 + 1));
        told(&events, "late", 2 + WATCH_MILLIS);
        assert!(!events.wanted());
        let gone = (String::new(), WATCHED_MAX as u64 + 1);
        assert_eq!(seen(&events, Some(0), 3 + WATCH_MILLIS), gone);
    }
}
