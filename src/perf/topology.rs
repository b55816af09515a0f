//! Exchange, queues and bindings of a run, and who uses which.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::queue;

use crate::perf::Options;
use crate::perf::WireError;
use crate::perf::wire::CHANNEL;
use crate::perf::wire::Wire;

/// What is published to and consumed from.
pub(super) struct Topology {
    queues: Vec<String>,
    keys: Vec<String>,
}

impl Topology {
    pub(super) fn new(options: &Options) -> Self {
        let own_key = options.routing_key.clone();
        let keys = match options.queues.len() {
            // The default exchange knows queues by name.
            _ if options.exchange.is_empty() => options.queues.clone(),
            0 | 1 => vec![own_key.unwrap_or_else(|| options.id.clone())],
            _ => options.queues.clone(),
        };
        Self {
            queues: options.queues.clone(),
            keys,
        }
    }

    /// Declares the exchange and the queues that have names.
    pub(super) fn declare(&self, options: &Options) -> Result<(), WireError> {
        if options.predeclared {
            return Ok(());
        }
        let mut wire = Wire::open(&options.uri)?;
        if !options.exchange.is_empty() && !options.exchange.starts_with("amq.") {
            let declare = exchange::AMQPMethod::Declare(exchange::Declare {
                exchange: options.exchange.as_str().into(),
                kind: options.exchange_type.as_str().into(),
                passive: false,
                // As PerfTest has it, so that one run does not refuse another's.
                durable: false,
                auto_delete: false,
                internal: false,
                nowait: false,
                arguments: Default::default(),
            });
            wire.call(CHANNEL, AMQPClass::Exchange(declare))?;
        }
        for (index, name) in self.queues.iter().enumerate() {
            let key = &self.keys[index % self.keys.len()];
            declare_queue(&mut wire, options, name, key)?;
        }
        wire.close();
        Ok(())
    }

    /// The routing key of a producer.
    pub(super) fn key(&self, producer: usize) -> &str {
        match self.keys.len() {
            0 => "",
            count => &self.keys[producer % count],
        }
    }

    /// The queue of a consumer, which it declares if it has no name.
    pub(super) fn queue(
        &self,
        consumer: usize,
        wire: &mut Wire,
        options: &Options,
    ) -> Result<String, WireError> {
        match self.queues.len() {
            0 => declare_queue(wire, options, "", self.key(0)),
            count => Ok(self.queues[consumer % count].clone()),
        }
    }
}

/// Declares a queue and binds it; answers its name.
fn declare_queue(
    wire: &mut Wire,
    options: &Options,
    name: &str,
    key: &str,
) -> Result<String, WireError> {
    let declare = queue::AMQPMethod::Declare(queue::Declare {
        queue: name.into(),
        passive: false,
        durable: options.persistent || !name.is_empty() && !options.auto_delete,
        exclusive: name.is_empty(),
        auto_delete: options.auto_delete,
        nowait: false,
        arguments: options.queue_arguments.clone(),
    });
    let answer = wire.call(CHANNEL, AMQPClass::Queue(declare))?;
    let AMQPClass::Queue(queue::AMQPMethod::DeclareOk(declared)) = answer else {
        return Err(WireError::Unexpected("no queue.declare-ok".to_owned()));
    };
    if !options.exchange.is_empty() {
        let bind = queue::AMQPMethod::Bind(queue::Bind {
            queue: declared.queue.clone(),
            exchange: options.exchange.as_str().into(),
            routing_key: key.into(),
            nowait: false,
            arguments: Default::default(),
        });
        wire.call(CHANNEL, AMQPClass::Queue(bind))?;
    }
    Ok(declared.queue.to_string())
}
