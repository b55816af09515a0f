//! Exchange declaration and deletion.

use std::sync::Arc;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::arguments;
use crate::queue::arguments::inequivalent;
use crate::routing::Kind;
use crate::store::Record;
use crate::vhost::ByItself;
use crate::vhost::Change;
use crate::vhost::Destination;
use crate::vhost::EVENT_EXCHANGE;
use crate::vhost::Exchange;
use crate::vhost::Vhost;
use crate::vhost::definitions;
use crate::vhost::exchange_type::ExchangeType;

/// What an exchange is declared as.
#[derive(Debug, Clone)]
pub struct ExchangeSpec {
    /// Name.
    pub name: ExchangeName,
    /// Type.
    pub kind: Kind,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted with its last binding as source.
    pub auto_delete: bool,
    /// Not published to by clients.
    pub internal: bool,
    /// Arguments.
    pub arguments: Arguments,
}

/// Where the firehose goes (specification §5.5).
pub const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";

const SYSTEM: &[(&str, Kind, bool)] = &[
    ("", Kind::Direct, false),
    ("amq.direct", Kind::Direct, false),
    ("amq.fanout", Kind::Fanout, false),
    ("amq.topic", Kind::Topic, false),
    ("amq.headers", Kind::Headers, false),
    ("amq.match", Kind::Headers, false),
    (TRACE_EXCHANGE, Kind::Topic, true),
];

impl Vhost {
    /// Exchanges that exist in every virtual host; they are not stored, for they are always there.
    pub(super) fn declare_system_exchanges(&self) {
        for (name, kind, internal) in SYSTEM {
            let spec = ExchangeSpec {
                name: ExchangeName::known(name),
                kind: *kind,
                durable: true,
                auto_delete: false,
                internal: *internal,
                arguments: Arguments::default(),
            };
            let behaviour = ExchangeType::plain(*kind);
            let exchange = Exchange::new(self.shared.next_id(), spec, behaviour);
            self.add_exchange(Arc::new(exchange));
        }
    }

    /// Makes this the virtual host whose [`EVENT_EXCHANGE`] tells of the node's events.
    pub fn host_events(self: &Arc<Self>) {
        let exchange = self.add_announcing(EVENT_EXCHANGE);
        self.shared.events.settle(self, &exchange);
    }

    /// Adds an exchange for what the node itself has to say. Like those that every virtual host has, it is always there
    /// and not stored.
    pub fn add_announcing(&self, name: &str) -> Arc<Exchange> {
        let spec = ExchangeSpec {
            name: ExchangeName::known(name),
            kind: Kind::Topic,
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: Arguments::default(),
        };
        let behaviour = ExchangeType::plain(Kind::Topic);
        let exchange = Arc::new(Exchange::new(self.shared.next_id(), spec, behaviour));
        self.add_exchange(Arc::clone(&exchange));
        exchange
    }

    /// Declares an exchange, or checks that the one there is equivalent.
    pub fn declare_exchange(&self, spec: ExchangeSpec) -> Result<Lsn, AmqpError> {
        let _changes = self.changes.lock();
        self.check_alive()?;
        if let Some(existing) = self.exchange(&spec.name) {
            self.check_equivalent_exchange(&existing, &spec)?;
            return Ok(Lsn::NONE);
        }
        let resource = self.exchange_resource(&spec.name);
        let mut behaviour = ExchangeType::parse(spec.kind, &spec.arguments, &resource)?;
        if spec.kind == Kind::Delayed {
            let id = QueueId(self.shared.next_id());
            // Time means nothing to an empty one.
            behaviour.delayed = Some(self.make_delay_line(&spec, id, Position(1), 0));
        }
        // Without it there is nothing that could remember after a restart.
        if spec.durable {
            behaviour.keep_seen(|| self.shared.next_id(), &self.shared.store);
        }
        let exchange = Arc::new(Exchange::new(self.shared.next_id(), spec, behaviour));
        let lsn = if exchange.durable {
            self.shared
                .store
                .append(vec![definitions::define_exchange(&self.name, &exchange)])
        } else {
            Lsn::NONE
        };
        self.add_exchange(Arc::clone(&exchange));
        self.changed();
        let events = &self.shared.events;
        events.note(|| Change::ExchangeCreated(self.name.clone(), exchange));
        Ok(lsn)
    }

    /// Lets everyone find an exchange, as policies have it. The caller holds `changes`, or nobody else is there yet.
    pub(super) fn add_exchange(&self, exchange: Arc<Exchange>) {
        exchange.govern(&self.policies.load());
        self.exchanges.insert(exchange.name.clone(), exchange);
    }

    fn check_equivalent_exchange(
        &self,
        existing: &Exchange,
        spec: &ExchangeSpec,
    ) -> Result<(), AmqpError> {
        let resource = self.exchange_resource(&spec.name);
        let differs = |key: &str, received: &str, current: &str| {
            Err(AmqpError::precondition_failed(format!(
                "inequivalent arg '{key}' for {resource}: received '{received}' but current is '{current}'"
            )))
        };
        let flag = |flag: bool| if flag { "true" } else { "false" };
        if existing.kind != spec.kind {
            return differs("type", &atom(spec.kind), &atom(existing.kind));
        }
        if existing.durable != spec.durable {
            return differs("durable", flag(spec.durable), flag(existing.durable));
        }
        if existing.auto_delete != spec.auto_delete {
            return differs(
                "auto_delete",
                flag(spec.auto_delete),
                flag(existing.auto_delete),
            );
        }
        if existing.internal != spec.internal {
            return differs("internal", flag(spec.internal), flag(existing.internal));
        }
        let key = "alternate-exchange";
        let (current, received) = (existing.arguments.value(key), spec.arguments.value(key));
        let same = match (current, received) {
            (Some(current), Some(received)) => arguments::same(current, received),
            (current, received) => current.is_none() && received.is_none(),
        };
        if same {
            Ok(())
        } else {
            Err(inequivalent(key, received, current, &resource))
        }
    }

    /// Deletes an exchange and the bindings from and to it. One that does not exist is deleted already.
    pub fn delete_exchange(&self, name: &str, if_unused: bool) -> Result<Lsn, AmqpError> {
        let _changes = self.changes.lock();
        let Some(exchange) = self.exchange(name) else {
            return Ok(Lsn::NONE);
        };
        if if_unused && !exchange.router.read().is_empty() {
            return Err(AmqpError::precondition_failed(format!(
                "{} in use",
                self.exchange_resource(name)
            )));
        }
        let mut records = Vec::new();
        self.remove_exchange(&exchange, &mut records);
        self.changed();
        let lsn = self.shared.store.append(records);
        self.delete_ended_lines();
        Ok(lsn)
    }

    /// Takes an exchange out, and those auto-delete ones that this leaves without bindings. The caller holds `changes`.
    pub(super) fn remove_exchange(&self, exchange: &Arc<Exchange>, records: &mut Vec<Record>) {
        self.exchanges.remove(&exchange.name);
        self.ended_lines
            .lock()
            .extend(exchange.behaviour.delayed.clone());
        if exchange.durable {
            let stored = exchange.bindings_where(Destination::durable);
            let undefine = |binding| definitions::undefine_binding(&self.name, binding);
            records.extend(stored.iter().map(undefine));
        }
        if self.shared.events.wanted() {
            for binding in exchange.bindings_where(|_| true) {
                self.note_unbound(binding, ByItself(false));
            }
        }
        exchange.behaviour.end_seen(records);
        // Breaks cycles of exchanges that hold each other.
        *exchange.router.write() = crate::routing::Router::new(exchange.behaviour.rule);
        if exchange.durable {
            records.push(definitions::undefine_exchange(&self.name, &exchange.name));
        }
        self.remove_destination(&Destination::Exchange(Arc::clone(exchange)), records);
        let events = &self.shared.events;
        events.note(|| Change::ExchangeDeleted(self.name.clone(), Arc::clone(exchange)));
    }
}

/// A type's name as RabbitMQ prints it, an Erlang atom: with quotes when there is a dash in it.
fn atom(kind: Kind) -> String {
    let name = kind.name();
    if name.contains('-') {
        format!("'{name}'")
    } else {
        name.to_owned()
    }
}
