//! Direct reply-to on a channel: its one reply consumer, and the pseudo queue's declaration (specification §6.9).

use std::sync::Arc;

use crate::broker::Session;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Lsn;
use crate::model::QueueName;
use crate::model::names::DIRECT_REPLY_TO;

use crate::connection::host::QueueDeclared;

/// A channel's consumer of replies.
pub(super) struct ReplyConsumer {
    pub(super) consumer: ConsumerId,
    /// What `reply-to` is rewritten to.
    pub(super) name: String,
}

impl Session {
    /// `basic.consume` from the pseudo queue; it needs no rights.
    pub(super) fn reply_consumer_add(
        &mut self,
        channel: ChannelId,
        no_ack: bool,
    ) -> Result<ConsumerId, AmqpError> {
        if !no_ack {
            return Err(AmqpError::precondition_failed(
                "reply consumer cannot acknowledge",
            ));
        }
        let Some(state) = self.channels.get_mut(&channel) else {
            return Err(AmqpError::new(
                crate::model::ReplyCode::ChannelError,
                "expected 'channel.open'",
            ));
        };
        if state.replies.is_some() {
            return Err(AmqpError::precondition_failed("reply consumer already set"));
        }
        let consumer = self.broker.new_consumer_id();
        let outbox = Arc::clone(&self.outbox);
        let name = self.broker.replies.add(outbox, channel, consumer);
        state.replies = Some(ReplyConsumer { consumer, name });
        Ok(consumer)
    }

    /// Ends the channel's reply consumer, if it is this one.
    pub(super) fn reply_consumer_remove(&mut self, channel: ChannelId, consumer: ConsumerId) {
        if let Some(state) = self.channels.get_mut(&channel)
            && let Some(replies) = state
                .replies
                .take_if(|replies| replies.consumer == consumer)
        {
            self.broker.replies.remove(&replies.name);
        }
    }

    /// Ends the channel's reply consumer, if it has one.
    pub(super) fn reply_consumer_end(&mut self, channel: ChannelId) {
        let state = self.channels.get_mut(&channel);
        if let Some(replies) = state.and_then(|state| state.replies.take()) {
            self.broker.replies.remove(&replies.name);
        }
    }

    /// `queue.declare`, passive or not, of a name that begins like the pseudo queue's: asks whether the requester is
    /// still there. `None`: another name.
    pub(super) fn reply_declare(
        &self,
        queue: &QueueName,
    ) -> Option<Result<QueueDeclared, AmqpError>> {
        let suffix = queue.strip_prefix(DIRECT_REPLY_TO)?;
        let declared = if suffix.is_empty() || self.broker.replies.contains(queue) {
            Ok(QueueDeclared {
                queue: queue.clone(),
                message_count: 0,
                consumer_count: 1,
                commit: Lsn::NONE,
            })
        } else {
            self.vhost().and_then(|vhost| {
                let resource = vhost.queue_resource(queue);
                Err(AmqpError::not_found(format!("no {resource}")))
            })
        };
        Some(declared)
    }
}
