//! `queue.bind`, `queue.unbind`, `exchange.bind`, `exchange.unbind`.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::queue;
use amq_protocol::types::ShortString;

use crate::connection::channel::Channel;
use crate::connection::host::Bind;
use crate::connection::host::BindTarget;
use crate::connection::turn::ChannelTurn;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::RoutingKey;
use crate::model::names::stripped;

impl Channel {
    pub(super) fn bind_queue(
        &mut self,
        bind: queue::Bind,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let binding = self.queue_binding(&bind.queue, &bind.exchange, &bind.routing_key)?;
        let commit = turn.host.bind(Bind {
            arguments: Arguments::from(bind.arguments),
            ..binding
        })?;
        let ok = AMQPClass::Queue(queue::AMQPMethod::BindOk(queue::BindOk {}));
        turn.reply_after(commit, self.id, bind.nowait, &ok);
        Ok(())
    }

    pub(super) fn unbind_queue(
        &mut self,
        unbind: queue::Unbind,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let binding = self.queue_binding(&unbind.queue, &unbind.exchange, &unbind.routing_key)?;
        let commit = turn.host.unbind(Bind {
            arguments: Arguments::from(unbind.arguments),
            ..binding
        })?;
        let ok = AMQPClass::Queue(queue::AMQPMethod::UnbindOk(queue::UnbindOk {}));
        turn.reply_after(commit, self.id, false, &ok);
        Ok(())
    }

    pub(super) fn bind_exchange(
        &mut self,
        bind: exchange::Bind,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let binding = exchange_binding(&bind.destination, &bind.source, &bind.routing_key);
        let commit = turn.host.bind(Bind {
            arguments: Arguments::from(bind.arguments),
            ..binding
        })?;
        let ok = AMQPClass::Exchange(exchange::AMQPMethod::BindOk(exchange::BindOk {}));
        turn.reply_after(commit, self.id, bind.nowait, &ok);
        Ok(())
    }

    pub(super) fn unbind_exchange(
        &mut self,
        unbind: exchange::Unbind,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let binding = exchange_binding(&unbind.destination, &unbind.source, &unbind.routing_key);
        let commit = turn.host.unbind(Bind {
            arguments: Arguments::from(unbind.arguments),
            ..binding
        })?;
        let ok = AMQPClass::Exchange(exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}));
        turn.reply_after(commit, self.id, unbind.nowait, &ok);
        Ok(())
    }

    /// A queue's binding, still without arguments. Without queue and routing key, the last declared queue is both.
    fn queue_binding(
        &self,
        queue: &ShortString,
        exchange: &ShortString,
        routing_key: &ShortString,
    ) -> Result<Bind, AmqpError> {
        let name = stripped(queue.as_str());
        let queue = self.queue_or_last(&name)?;
        let routing_key = if name.is_empty() && routing_key.as_str().is_empty() {
            queue.as_str()
        } else {
            routing_key.as_str()
        };
        Ok(Bind {
            source: ExchangeName::known(&stripped(exchange.as_str())),
            routing_key: RoutingKey::known(routing_key),
            target: BindTarget::Queue(queue),
            arguments: Arguments::default(),
        })
    }
}

/// An exchange's binding, still without arguments.
fn exchange_binding(
    destination: &ShortString,
    source: &ShortString,
    routing_key: &ShortString,
) -> Bind {
    let target = ExchangeName::known(&stripped(destination.as_str()));
    Bind {
        source: ExchangeName::known(&stripped(source.as_str())),
        target: BindTarget::Exchange(target),
        routing_key: RoutingKey::known(routing_key.as_str()),
        arguments: Arguments::default(),
    }
}
