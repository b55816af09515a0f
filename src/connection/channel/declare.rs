//! `exchange.declare`, `exchange.delete`, `queue.declare`, `queue.delete`, `queue.purge`.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::queue;
use amq_protocol::types::ShortString;

use crate::connection::channel::Channel;
use crate::connection::host::ExchangeDeclare;
use crate::connection::host::QueueDeclare;
use crate::connection::turn::ChannelTurn;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueName;
use crate::model::names::stripped;

impl Channel {
    pub(super) fn declare_exchange(
        &mut self,
        declare: exchange::Declare,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let exchange = ExchangeName::known(&stripped(declare.exchange.as_str()));
        let commit = if declare.passive {
            turn.host.check_exchange(&exchange)?;
            Lsn::NONE
        } else {
            turn.host.declare_exchange(ExchangeDeclare {
                exchange,
                kind: declare.kind.into(),
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                internal: declare.internal,
                arguments: Arguments::from(declare.arguments),
            })?
        };
        let ok = exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {});
        turn.reply_after(commit, self.id, declare.nowait, &AMQPClass::Exchange(ok));
        Ok(())
    }

    pub(super) fn delete_exchange(
        &mut self,
        delete: &exchange::Delete,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let exchange = ExchangeName::known(&stripped(delete.exchange.as_str()));
        let commit = turn.host.delete_exchange(&exchange, delete.if_unused)?;
        let ok = exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {});
        turn.reply_after(commit, self.id, delete.nowait, &AMQPClass::Exchange(ok));
        Ok(())
    }

    pub(super) fn declare_queue(
        &mut self,
        declare: queue::Declare,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let queue = QueueName::known(&stripped(declare.queue.as_str()));
        let declared = if declare.passive {
            turn.host.check_queue(&queue)?
        } else {
            turn.host.declare_queue(QueueDeclare {
                queue,
                durable: declare.durable,
                exclusive: declare.exclusive,
                auto_delete: declare.auto_delete,
                arguments: Arguments::from(declare.arguments),
            })?
        };
        let ok = queue::AMQPMethod::DeclareOk(queue::DeclareOk {
            queue: ShortString::from(declared.queue.as_str()),
            message_count: count(declared.message_count),
            consumer_count: count(declared.consumer_count),
        });
        self.last_queue = Some(declared.queue);
        let ok = AMQPClass::Queue(ok);
        turn.reply_after(declared.commit, self.id, declare.nowait, &ok);
        Ok(())
    }

    pub(super) fn delete_queue(
        &mut self,
        delete: &queue::Delete,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let queue = self.queue_or_last(&stripped(delete.queue.as_str()))?;
        let (messages, commit) =
            turn.host
                .delete_queue(&queue, delete.if_unused, delete.if_empty)?;
        let ok = AMQPClass::Queue(queue::AMQPMethod::DeleteOk(queue::DeleteOk {
            message_count: count(messages),
        }));
        turn.reply_after(commit, self.id, delete.nowait, &ok);
        Ok(())
    }

    pub(super) fn purge_queue(
        &mut self,
        purge: &queue::Purge,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let queue = self.queue_or_last(purge.queue.as_str())?;
        let (messages, commit) = turn.host.purge_queue(&queue)?;
        let ok = AMQPClass::Queue(queue::AMQPMethod::PurgeOk(queue::PurgeOk {
            message_count: count(messages),
        }));
        turn.reply_after(commit, self.id, purge.nowait, &ok);
        Ok(())
    }
}

/// A count as the wire has room for it.
pub(super) fn count(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
