//! Bindings: from an exchange to a queue or another exchange.

use std::sync::Arc;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ConnectionId;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueName;
use crate::model::RoutingKey;
use crate::model::Run;
use crate::protocol::copies::all_keys;
use crate::queue::QueueType;
use crate::routing::Kind;
use crate::routing::RoutingError;
use crate::store::Record;
use crate::vhost::ByItself;
use crate::vhost::Change;
use crate::vhost::Destination;
use crate::vhost::Exchange;
use crate::vhost::Letter;
use crate::vhost::Sightings;
use crate::vhost::Vhost;
use crate::vhost::definitions;
use crate::vhost::publish::enqueue_seen;

/// The name at the far end of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A queue.
    Queue(QueueName),
    /// Another exchange.
    Exchange(ExchangeName),
}

impl Target {
    pub(super) fn of(destination: &Destination) -> Self {
        match destination {
            Destination::Queue(queue) => Self::Queue(queue.name.clone()),
            Destination::Exchange(exchange) => Self::Exchange(exchange.name.clone()),
        }
    }
}

/// A binding by names. All four parts are its identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The exchange that messages come from.
    pub source: ExchangeName,
    /// Where they go.
    pub target: Target,
    /// Binding key.
    pub routing_key: RoutingKey,
    /// Arguments.
    pub arguments: Arguments,
}

/// A binding that was made, or was there.
struct Bound {
    destination: Destination,
    /// Messages that it gets, oldest first.
    remembered: Vec<Run>,
    commit: Lsn,
}

impl Vhost {
    /// Binds; binding twice is once. `connection` is who asks: an exclusive queue is bound by its owner only.
    ///
    /// A new binding from an exchange that remembers messages gets them.
    pub fn bind(
        &self,
        binding: &Binding,
        connection: ConnectionId,
        now: u64,
    ) -> Result<Lsn, AmqpError> {
        let Bound {
            destination,
            mut remembered,
            mut commit,
        } = self.add_binding(binding, connection)?;
        if let Destination::Exchange(_) = destination {
            // As in RabbitMQ, which puts them in order for queues only.
            remembered.reverse();
        }
        for run in &remembered {
            commit = commit.max(self.send(&destination, run, now));
        }
        Ok(commit)
    }

    fn add_binding(&self, binding: &Binding, connection: ConnectionId) -> Result<Bound, AmqpError> {
        let _changes = self.changes.lock();
        let source = self.exchange(&binding.source).ok_or_else(|| {
            AmqpError::not_found(format!("no {}", self.exchange_resource(&binding.source)))
        })?;
        let destination = self
            .destination(&binding.target)
            .ok_or_else(|| self.missing(&binding.target))?;
        let local = source.behaviour.rule == Kind::LocalRandom && binding.routing_key.is_empty();
        match &destination {
            Destination::Exchange(_) if local => return Err(refused(&RoutingError::NotAQueue)),
            Destination::Queue(queue) if local && queue.queue_type != QueueType::Classic => {
                let module = queue.queue_type.module();
                return Err(refused(&RoutingError::QueueType { module }));
            }
            Destination::Exchange(_) | Destination::Queue(_) => {}
        }
        let mut router = source.router.write();
        // Before whose queue it is, as in RabbitMQ.
        router
            .validate(&binding.routing_key, &binding.arguments)
            .map_err(|error| refused(&error))?;
        self.check_owner(&destination, connection)?;
        let new = router
            .bind(
                &binding.routing_key,
                &binding.arguments,
                destination.clone(),
            )
            .map_err(|error| refused(&error))?;
        if !new {
            return Ok(Bound {
                destination,
                remembered: Vec::new(),
                commit: Lsn::NONE,
            });
        }
        // Under the lock: a message is either remembered by now or sees the binding, and not both.
        let remembered = source.behaviour.remembered();
        drop(router);
        self.changed();
        let events = &self.shared.events;
        events.note(|| Change::BindingCreated(self.name.clone(), binding.clone()));
        let commit = if source.durable && destination.durable() {
            self.shared
                .store
                .append(vec![definitions::define_binding(&self.name, binding)])
        } else {
            Lsn::NONE
        };
        Ok(Bound {
            destination,
            remembered,
            commit,
        })
    }

    /// Sends a message that an exchange remembered to a destination that has been bound just now.
    fn send(&self, destination: &Destination, run: &Run, now: u64) -> Lsn {
        let mut seen = Sightings::default();
        let queues = match destination {
            Destination::Queue(queue) => [Arc::clone(queue)].into(),
            Destination::Exchange(exchange) => {
                let message = run.first();
                let keys = all_keys(message);
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                let letter = Letter::new(message, &keys, now);
                self.route_letter(exchange, &letter, &mut seen).queues
            }
        };
        enqueue_seen(&queues, run, now, &seen, None).commit
    }

    /// Unbinds; what is not bound, or does not exist, is unbound already.
    pub fn unbind(&self, binding: &Binding, connection: ConnectionId) -> Result<Lsn, AmqpError> {
        let _changes = self.changes.lock();
        let Some(source) = self.exchange(&binding.source) else {
            return Ok(Lsn::NONE);
        };
        let Some(destination) = self.destination(&binding.target) else {
            return Ok(Lsn::NONE);
        };
        if let Err(refused) = self.check_owner(&destination, connection) {
            // Whose queue it is matters only to a binding that is there.
            let router = source.router.read();
            return match router.has(&binding.routing_key, &binding.arguments, &destination) {
                true => Err(refused),
                false => Ok(Lsn::NONE),
            };
        }
        let removed =
            source
                .router
                .write()
                .unbind(&binding.routing_key, &binding.arguments, &destination);
        if !removed {
            return Ok(Lsn::NONE);
        }
        let mut records = Vec::new();
        if source.durable && destination.durable() {
            records.push(definitions::undefine_binding(&self.name, binding));
        }
        self.note_unbound(binding.clone(), ByItself(false));
        self.remove_if_unused(&source, &mut records);
        self.changed();
        let lsn = self.shared.store.append(records);
        self.delete_ended_lines();
        Ok(lsn)
    }

    fn check_owner(
        &self,
        destination: &Destination,
        connection: ConnectionId,
    ) -> Result<(), AmqpError> {
        match destination {
            Destination::Queue(queue) => self.check_access(queue, connection),
            Destination::Exchange(_) => Ok(()),
        }
    }

    pub(super) fn destination(&self, target: &Target) -> Option<Destination> {
        match target {
            Target::Queue(name) => self.queue(name).map(Destination::Queue),
            Target::Exchange(name) => self.exchange(name).map(Destination::Exchange),
        }
    }

    fn missing(&self, target: &Target) -> AmqpError {
        let resource = match target {
            Target::Queue(name) => self.queue_resource(name),
            Target::Exchange(name) => self.exchange_resource(name),
        };
        AmqpError::not_found(format!("no {resource}"))
    }

    /// Removes all bindings to `destination`, and auto-delete exchanges that this leaves without any. The caller holds
    /// `changes`.
    pub(super) fn remove_destination(&self, destination: &Destination, records: &mut Vec<Record>) {
        for source in self.exchanges() {
            let mut router = source.router.write();
            let removed: Vec<_> = router
                .bindings_to(destination)
                .map(|(routing_key, arguments, _)| (routing_key.clone(), arguments.clone()))
                .collect();
            router.remove_destination(destination);
            drop(router);
            if removed.is_empty() {
                continue;
            }
            let by_itself = ByItself(matches!(destination, Destination::Queue(_)));
            for (routing_key, arguments) in removed {
                let binding = Binding {
                    source: source.name.clone(),
                    target: Target::of(destination),
                    routing_key,
                    arguments,
                };
                if source.durable && destination.durable() {
                    records.push(definitions::undefine_binding(&self.name, &binding));
                }
                self.note_unbound(binding, by_itself);
            }
            self.remove_if_unused(&source, records);
        }
    }

    pub(super) fn note_unbound(&self, binding: Binding, by_itself: ByItself) {
        let events = &self.shared.events;
        events.note(|| Change::BindingDeleted(self.name.clone(), binding, by_itself));
    }

    fn remove_if_unused(&self, exchange: &Arc<Exchange>, records: &mut Vec<Record>) {
        if exchange.auto_delete && exchange.router.read().is_empty() {
            self.remove_exchange(exchange, records);
        }
    }
}

fn refused(error: &RoutingError) -> AmqpError {
    AmqpError::precondition_failed(error.to_string())
}
