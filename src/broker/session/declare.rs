//! Exchanges, queues and bindings: rights first, then the virtual host. The order of checks is RabbitMQ's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::Right;
use crate::broker::Session;
use crate::connection::host::Bind;
use crate::connection::host::BindTarget;
use crate::connection::host::ExchangeDeclare;
use crate::connection::host::QueueDeclare;
use crate::connection::host::QueueDeclared;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueName;
use crate::model::arguments;
use crate::queue::QueueType;
use crate::routing::Kind;
use crate::vhost::Binding;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueHandle;
use crate::vhost::QueueSpec;
use crate::vhost::Target;

const RESERVED_PREFIX: &str = "amq.";

fn check_not_default(exchange: &str) -> Result<(), AmqpError> {
    if exchange.is_empty() {
        return Err(AmqpError::access_refused(
            "operation not permitted on the default exchange",
        ));
    }
    Ok(())
}

fn check_reserved(what: &str, name: &str) -> Result<(), AmqpError> {
    if name.starts_with(RESERVED_PREFIX) {
        return Err(AmqpError::access_refused(format!(
            "{what} name '{name}' contains reserved prefix 'amq.*'"
        )));
    }
    Ok(())
}

/// Types that RabbitMQ has from plugins, that its other plugins use, and that are not here.
const UNSUPPORTED_TYPES: [&str; 2] = ["x-jms-topic", "x-federation-upstream"];

fn exchange_type(name: &str) -> Result<Kind, AmqpError> {
    Kind::from_name(name).ok_or_else(|| {
        AmqpError::precondition_failed(if UNSUPPORTED_TYPES.contains(&name) {
            format!("exchange type '{name}' is not supported by this version of Leveret")
        } else if name.is_empty() {
            // An atom that RabbitMQ knows, though not as a type.
            "invalid exchange type ''".to_owned()
        } else {
            format!("unknown exchange type '{name}'")
        })
    })
}

fn server_name() -> QueueName {
    let random: [u8; 16] = rand::random();
    QueueName::known(&format!("amq.gen-{}", URL_SAFE_NO_PAD.encode(random)))
}

/// Only classic queues take a name that the server makes up.
fn check_server_named(arguments: &Arguments, resource: &str) -> Result<(), AmqpError> {
    match QueueType::of(arguments, resource)? {
        QueueType::Classic => Ok(()),
        named @ (QueueType::Quorum | QueueType::Stream) => {
            Err(AmqpError::precondition_failed(format!(
                "Cannot declare a server-named queue for type {}",
                named.module()
            )))
        }
    }
}

fn declared(queue: &QueueHandle, commit: Lsn) -> QueueDeclared {
    let (counts, _) = queue.enter(|state, _| state.counts());
    QueueDeclared {
        queue: queue.name.clone(),
        message_count: counts.ready,
        // As in RabbitMQ, a stream does not tell.
        consumer_count: match queue.queue_type {
            QueueType::Stream => 0,
            QueueType::Classic | QueueType::Quorum => counts.consumers,
        },
        commit,
    }
}

impl Session {
    pub(super) fn exchange_declare(&mut self, declare: ExchangeDeclare) -> Result<Lsn, AmqpError> {
        let vhost = self.vhost()?;
        let kind = exchange_type(&declare.kind)?;
        check_not_default(&declare.exchange)?;
        self.check_exchange_right(Right::Configure, &declare.exchange)?;
        if vhost.exchange(&declare.exchange).is_none() {
            check_reserved("exchange", &declare.exchange)?;
            self.check_alternate(&declare)?;
        }
        vhost.declare_exchange(ExchangeSpec {
            name: declare.exchange,
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: declare.arguments,
        })
    }

    fn check_alternate(&self, declare: &ExchangeDeclare) -> Result<(), AmqpError> {
        let Some(value) = declare.arguments.value("alternate-exchange") else {
            return Ok(());
        };
        let Some(alternate) = arguments::text(value) else {
            return Err(AmqpError::precondition_failed(format!(
                "invalid type '{}' for arg 'alternate-exchange' in {}",
                arguments::type_name(value),
                self.vhost()?.exchange_resource(&declare.exchange)
            )));
        };
        self.check_exchange_right(Right::Read, &declare.exchange)?;
        self.check_exchange_right(Right::Write, alternate)
    }

    pub(super) fn exchange_check(&mut self, exchange: &ExchangeName) -> Result<(), AmqpError> {
        let vhost = self.vhost()?;
        check_not_default(exchange)?;
        match vhost.exchange(exchange) {
            Some(_) => Ok(()),
            None => Err(AmqpError::not_found(format!(
                "no {}",
                vhost.exchange_resource(exchange)
            ))),
        }
    }

    pub(super) fn exchange_delete(
        &mut self,
        exchange: &ExchangeName,
        if_unused: bool,
    ) -> Result<Lsn, AmqpError> {
        let vhost = self.vhost()?;
        check_not_default(exchange)?;
        if exchange.starts_with(RESERVED_PREFIX) {
            return Err(AmqpError::access_refused(format!(
                "deletion of system {} not allowed",
                vhost.exchange_resource(exchange)
            )));
        }
        self.check_exchange_right(Right::Configure, exchange)?;
        vhost.delete_exchange(exchange, if_unused)
    }

    pub(super) fn queue_declare(
        &mut self,
        declare: QueueDeclare,
    ) -> Result<QueueDeclared, AmqpError> {
        if let Some(declared) = self.reply_declare(&declare.queue) {
            return declared;
        }
        let vhost = self.vhost()?;
        let name = if declare.queue.is_empty() {
            check_server_named(&declare.arguments, &vhost.queue_resource(""))?;
            server_name()
        } else {
            check_reserved("queue", &declare.queue)?;
            declare.queue
        };
        self.check_queue_right(Right::Configure, &name)?;
        if vhost.queue(&name).is_none() {
            self.check_dead_letter(&name, &declare.arguments)?;
        }
        let (queue, commit) = vhost.declare_queue(
            QueueSpec {
                name,
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                owner: declare.exclusive.then_some(self.id),
                arguments: declare.arguments,
            },
            self.now,
        )?;
        if declare.exclusive {
            let exists =
                |queue: &QueueHandle| vhost.queue(&queue.name).is_some_and(|q| *q == *queue);
            self.exclusive.add(queue.clone(), exists);
        }
        Ok(declared(&queue, commit))
    }

    /// Who names a dead-letter exchange publishes to it what the queue holds.
    fn check_dead_letter(&self, queue: &str, arguments: &Arguments) -> Result<(), AmqpError> {
        let key = "x-dead-letter-exchange";
        let Some(value) = arguments.value(key) else {
            return Ok(());
        };
        let Some(exchange) = arguments::text(value) else {
            return Err(AmqpError::precondition_failed(format!(
                "invalid type '{}' for arg '{key}' in {}",
                arguments::type_name(value),
                self.vhost()?.queue_resource(queue)
            )));
        };
        self.check_queue_right(Right::Read, queue)?;
        self.check_exchange_right(Right::Write, exchange)
    }

    pub(super) fn queue_check(&mut self, queue: &QueueName) -> Result<QueueDeclared, AmqpError> {
        if let Some(declared) = self.reply_declare(queue) {
            return declared;
        }
        let queue = self.vhost()?.queue_for(queue, self.id)?;
        queue.enter(|state, _| state.declared(self.now));
        Ok(declared(&queue, Lsn::NONE))
    }

    pub(super) fn queue_delete(
        &mut self,
        queue: &QueueName,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(u64, Lsn), AmqpError> {
        let vhost = self.vhost()?;
        self.check_queue_right(Right::Configure, queue)?;
        let Some(queue) = vhost.queue(queue) else {
            return Ok((0, Lsn::NONE));
        };
        vhost.check_access(&queue, self.id)?;
        let deleted = vhost.delete_queue(&queue, if_unused, if_empty)?;
        self.exclusive.remove(queue.id);
        Ok(deleted)
    }

    pub(super) fn queue_purge(&mut self, queue: &QueueName) -> Result<(u64, Lsn), AmqpError> {
        self.check_queue_right(Right::Read, queue)?;
        let vhost = self.vhost()?;
        let queue = vhost.queue_for(queue, self.id)?;
        if queue.queue_type == QueueType::Stream {
            return Err(AmqpError::not_implemented(format!(
                "queue.purge not supported by stream queues {}",
                vhost.queue_resource(&queue.name)
            )));
        }
        Ok(queue.enter(|state, records| state.purge(self.now, records)))
    }

    pub(super) fn binding_add(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        let binding = self.checked_binding(bind)?;
        self.vhost()?.bind(&binding, self.id, self.now)
    }

    pub(super) fn binding_remove(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        let binding = self.checked_binding(bind)?;
        self.vhost()?.unbind(&binding, self.id)
    }

    fn checked_binding(&self, bind: Bind) -> Result<Binding, AmqpError> {
        let target = match bind.target {
            BindTarget::Queue(queue) => {
                self.check_queue_right(Right::Write, &queue)?;
                Target::Queue(queue)
            }
            BindTarget::Exchange(exchange) => {
                self.check_exchange_right(Right::Write, &exchange)?;
                check_not_default(&exchange)?;
                Target::Exchange(exchange)
            }
        };
        check_not_default(&bind.source)?;
        self.check_exchange_right(Right::Read, &bind.source)?;
        if let Some(source) = self.vhost()?.exchange(&bind.source) {
            self.check_topic_right(Right::Read, &source, &bind.routing_key)?;
        }
        Ok(Binding {
            source: bind.source,
            target,
            routing_key: bind.routing_key,
            arguments: bind.arguments,
        })
    }
}
