//! An exchange and where its bindings lead.

use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::metrics::ExchangeStats;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::arguments;
use crate::routing::Kind;
use crate::routing::Router;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueHandle;
use crate::vhost::exchange_type::ExchangeType;
use crate::vhost::policies::GovernedExchange;

/// The far end of a binding.
#[derive(Clone)]
pub enum Destination {
    /// A queue.
    Queue(Arc<QueueHandle>),
    /// Another exchange.
    Exchange(Arc<Exchange>),
}

impl Destination {
    fn id(&self) -> (bool, u64) {
        match self {
            Self::Queue(queue) => (false, queue.id.0),
            Self::Exchange(exchange) => (true, exchange.id),
        }
    }

    /// Survives a restart.
    pub fn durable(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.durable,
            Self::Exchange(exchange) => exchange.durable,
        }
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    /// By name, for routing picks destinations by their hashes: they must stay what they are when the node restarts.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Queue(queue) => (false, &*queue.name).hash(state),
            Self::Exchange(exchange) => (true, &*exchange.name).hash(state),
        }
    }
}

/// See the module's documentation.
pub struct Exchange {
    /// Never reused on this node.
    pub id: u64,
    /// Its name; empty for the default exchange.
    pub name: ExchangeName,
    /// Its type.
    pub kind: Kind,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted with its last binding as source.
    pub auto_delete: bool,
    /// Not published to by clients.
    pub internal: bool,
    /// Arguments of its declaration.
    pub arguments: Arguments,
    /// What it counts.
    pub stats: ExchangeStats,
    pub(super) governed: RwLock<GovernedExchange>,
    pub(super) behaviour: ExchangeType,
    // Written by topology changes only, read when a route is not remembered.
    pub(super) router: RwLock<Router<Destination>>,
}

impl Exchange {
    pub(super) fn new(id: u64, spec: ExchangeSpec, behaviour: ExchangeType) -> Self {
        Self {
            id,
            name: spec.name,
            kind: spec.kind,
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            internal: spec.internal,
            arguments: spec.arguments,
            stats: ExchangeStats::default(),
            governed: RwLock::default(),
            router: RwLock::new(Router::new(behaviour.rule)),
            behaviour,
        }
    }

    /// The alternate exchange of its declaration.
    pub(super) fn declared_alternate(&self) -> Option<ExchangeName> {
        let name = self.arguments.value("alternate-exchange");
        ExchangeName::new(name.and_then(arguments::text)?).ok()
    }

    /// How many messages wait here for their time; `None` where none can.
    pub fn messages_delayed(&self) -> Option<u64> {
        let line = self.behaviour.delayed.as_ref()?;
        Some(line.enter(|state, _| state.delayed_count()).0)
    }

    /// The exchange that routes by queue name alone.
    pub fn is_default(&self) -> bool {
        self.name.is_empty()
    }

    /// Its bindings as source, in no order.
    pub fn bindings(&self) -> Vec<super::Binding> {
        self.bindings_where(|_| true)
    }

    /// Those of them that lead there.
    pub fn bindings_to(&self, target: &super::Target) -> Vec<super::Binding> {
        self.bindings_where(|destination| match (destination, target) {
            (Destination::Queue(bound), super::Target::Queue(wanted)) => bound.name == *wanted,
            (Destination::Exchange(bound), super::Target::Exchange(wanted)) => {
                bound.name == *wanted
            }
            (Destination::Queue(_), super::Target::Exchange(_))
            | (Destination::Exchange(_), super::Target::Queue(_)) => false,
        })
    }

    /// Those of its bindings whose destination is wanted.
    pub(super) fn bindings_where(
        &self,
        wanted: impl Fn(&Destination) -> bool,
    ) -> Vec<super::Binding> {
        let router = self.router.read();
        router
            .bindings()
            .filter(|(_, _, destination)| wanted(destination))
            .map(|(routing_key, arguments, destination)| super::Binding {
                source: self.name.clone(),
                routing_key: routing_key.clone(),
                arguments: arguments.clone(),
                target: super::Target::of(destination),
            })
            .collect()
    }
}
