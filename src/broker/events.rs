//! Events of the whole node, in RabbitMQ's words: which headers each has, in which order.
//!
//! RabbitMQ shows a connection and a channel by their processes; ours have names of the same form made of their numbers.
//! How events reach the exchange is for `vhost` to know.

use amq_protocol::types::FieldTable;

use crate::broker::Broker;
use crate::broker::administered::policy_terms;
use crate::model::Arguments;
use crate::model::ChannelId;
use crate::model::ConnectionId;
use crate::model::VhostName;
use crate::protocol::erlang;
use crate::protocol::raw_table::RawTable;
use crate::protocol::table;
use crate::queue::QueueType;
use crate::vhost::Binding;
use crate::vhost::ByItself;
use crate::vhost::Change;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Target;

/// Who acts when no user does.
pub(super) const INTERNAL_USER: &str = "rmq-internal";

const USER: &str = "user_who_performed_action";

impl Broker {
    /// Publishes an event, if anybody listens.
    pub(super) fn event(&self, key: &str, now: u64, headers: impl FnOnce(&mut RawTable)) {
        let events = &self.shared.events;
        if events.wanted() {
            let mut table = RawTable::new();
            headers(&mut table);
            events.publish(key, table, now);
        }
    }

    /// Events for who looks on without a queue, see [`crate::vhost::Events::watch`]: names and what they tell, and the number to
    /// ask for next.
    pub fn watch_events(&self, from: Option<u64>, now: u64) -> (Vec<(String, Arguments)>, u64) {
        let (watched, next) = self.shared.events.watch(from, now);
        let events = watched.into_iter().filter_map(|event| {
            let table = table::decode(&event.table).ok()?;
            Some((event.key, table.into()))
        });
        (events.collect(), next)
    }

    /// Publishes an event that `user` caused.
    pub(super) fn event_by(
        &self,
        user: &str,
        key: &str,
        now: u64,
        headers: impl FnOnce(&mut RawTable),
    ) {
        self.event(key, now, |table| {
            table.text(USER, user.as_bytes());
            headers(table);
        });
    }

    /// Tells of what this thread has changed in exchanges, queues and bindings since it last told. To be called after
    /// each such change, with the name of the user who wanted it.
    pub fn tell_changes(&self, user: &str, now: u64) {
        for change in self.shared.events.take() {
            self.tell(change, user, now);
        }
    }

    fn tell(&self, change: Change, user: &str, now: u64) {
        match change {
            Change::ExchangeCreated(vhost, exchange) => {
                self.tell_exchange(&vhost, &exchange, user, now);
            }
            Change::ExchangeDeleted(vhost, exchange) => {
                self.event_by(user, "exchange.deleted", now, |table| {
                    resource(table, "name", &exchange.name, &vhost);
                });
            }
            Change::QueueCreated(queue) => self.tell_queue(&queue, user, now),
            Change::QueueDeleted(queue) => self.event_by(user, "queue.deleted", now, |table| {
                table.text("type", queue.queue_type.module().as_bytes());
                resource(table, "name", &queue.name, &queue.vhost);
            }),
            Change::BindingCreated(vhost, binding) => {
                self.tell_binding("binding.created", &vhost, &binding, user, now);
            }
            Change::BindingDeleted(vhost, binding, ByItself(by_itself)) => {
                let user = if by_itself { INTERNAL_USER } else { user };
                self.tell_binding("binding.deleted", &vhost, &binding, user, now);
            }
            Change::QueuePolicyUpdated(queue, policy) => {
                self.event("queue.policy.updated", now, |table| {
                    policy_terms(table, &policy);
                    governed(table, &queue, user);
                });
            }
            Change::QueuePolicyCleared(queue) => {
                self.event("queue.policy.cleared", now, |table| {
                    governed(table, &queue, user);
                });
            }
        }
    }

    pub(super) fn tell_exchange(
        &self,
        vhost: &VhostName,
        exchange: &Exchange,
        user: &str,
        now: u64,
    ) {
        self.event_by(user, "exchange.created", now, |table| {
            table.text("policy", b"");
            arguments(table, "arguments", exchange.arguments.table());
            table.flag("internal", exchange.internal);
            table.flag("auto_delete", exchange.auto_delete);
            table.flag("durable", exchange.durable);
            table.text("type", exchange.kind.name().as_bytes());
            resource(table, "name", &exchange.name, vhost);
        });
    }

    fn tell_queue(&self, queue: &QueueHandle, user: &str, now: u64) {
        let kind = queue.queue_type.module().as_bytes();
        self.event("queue.created", now, |table| {
            // Each type of queue in RabbitMQ has an order of its own.
            if queue.queue_type == QueueType::Quorum {
                table.text(USER, user.as_bytes());
                arguments(table, "arguments", queue.arguments.table());
                table.text("type", kind);
                table.flag("exclusive", false);
            } else {
                table.text("type", kind);
                table.text(USER, user.as_bytes());
                table.flag("exclusive", queue.owner.is_some());
                let owner = queue.owner.map(|owner| self.connection_pid(owner));
                table.text("owner_pid", owner.unwrap_or_default().as_bytes());
                arguments(table, "arguments", queue.arguments.table());
            }
            table.flag("auto_delete", queue.auto_delete);
            table.flag("durable", queue.durable);
            resource(table, "name", &queue.name, &queue.vhost);
        });
    }

    fn tell_binding(&self, key: &str, vhost: &VhostName, binding: &Binding, user: &str, now: u64) {
        let (kind, name) = match &binding.target {
            Target::Queue(queue) => ("queue", queue.as_str()),
            Target::Exchange(exchange) => ("exchange", exchange.as_str()),
        };
        self.event_by(user, key, now, |table| {
            table.text("vhost", vhost.as_bytes());
            arguments(table, "arguments", binding.arguments.table());
            table.text("routing_key", binding.routing_key.as_bytes());
            table.text("destination_kind", kind.as_bytes());
            table.text("destination_name", name.as_bytes());
            table.text("source_kind", b"exchange");
            table.text("source_name", binding.source.as_bytes());
        });
    }

    /// What stands for the connection's process.
    pub fn connection_pid(&self, connection: ConnectionId) -> String {
        format!("<{}.1.{}.0>", self.options.cluster_name, connection.0)
    }

    /// What stands for the channel's process.
    pub fn channel_pid(&self, connection: ConnectionId, channel: ChannelId) -> String {
        let node = &self.options.cluster_name;
        format!("<{node}.1.{}.{}>", connection.0, channel.0)
    }
}

/// The name of something in a virtual host, and the virtual host.
pub(super) fn resource(table: &mut RawTable, key: &str, name: &str, vhost: &str) {
    table.text(key, name.as_bytes());
    table.text("vhost", vhost.as_bytes());
}

/// A queue that a policy concerns.
fn governed(table: &mut RawTable, queue: &QueueHandle, user: &str) {
    table.text(USER, user.as_bytes());
    table.text("type", queue.queue_type.module().as_bytes());
    // Twice, as in RabbitMQ: once by itself and once with the name.
    table.text("vhost", queue.vhost.as_bytes());
    resource(table, "name", &queue.name, &queue.vhost);
}

/// Arguments as RabbitMQ shows them here: the text of an Erlang term each.
pub(super) fn arguments(table: &mut RawTable, key: &str, of: &FieldTable) {
    table.texts(key, terms(of));
}

/// See [`arguments`].
pub(super) fn terms(of: &FieldTable) -> Vec<String> {
    let entries = of.inner().iter();
    entries
        .map(|(key, value)| erlang::entry(key.as_str(), value))
        .collect()
}
