//! Consumers, `basic.get` and the channels they live on.

use std::sync::Arc;

use crate::auth::Right;
use crate::broker::ConsumerInfo;
use crate::broker::Session;
use crate::broker::session::consumer_arguments;
use crate::broker::session::settle::Fate;
use crate::connection::host::Consume;
use crate::connection::host::Got;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::QueueName;
use crate::model::Release;
use crate::model::names::DIRECT_REPLY_TO;
use crate::queue::Consumer;
use crate::queue::QueueType;
use crate::queue::stream::Filter;
use crate::vhost::QueueHandle;

impl Session {
    pub(super) fn consumer_add(
        &mut self,
        channel: ChannelId,
        consume: Consume,
    ) -> Result<ConsumerId, AmqpError> {
        if *consume.queue == *DIRECT_REPLY_TO {
            return self.reply_consumer_add(channel, consume.no_ack);
        }
        self.check_queue_right(Right::Read, &consume.queue)?;
        let vhost = self.vhost()?;
        let queue = vhost.queue_for(&consume.queue, self.id)?;
        let resource = vhost.queue_resource(&consume.queue);
        consumer_arguments::check(
            &consume,
            queue.queue_type,
            self.broker.shared.release,
            &resource,
        )?;
        if queue.queue_type == QueueType::Stream {
            check_reader(&consume, self.broker.shared.release, &resource)?;
        }
        let priority = consumer_arguments::priority(&consume);
        let Some(state) = self.channels.get_mut(&channel) else {
            return Err(AmqpError::new(
                crate::model::ReplyCode::ChannelError,
                "expected 'channel.open'",
            ));
        };
        if queue.queue_type != QueueType::Classic && state.limit.is_set() {
            return Err(AmqpError::not_implemented(format!(
                "{resource} does not support global qos"
            )));
        }
        let id = self.broker.new_consumer_id();
        let consumer = Consumer {
            id,
            channel,
            tag: consume.tag.clone(),
            outbox: Arc::clone(&self.outbox),
            channel_limit: Arc::clone(&state.limit),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch: u32::from(consume.prefetch),
            priority,
            unacked: 0,
        };
        let now = self.now;
        let (added, _) = queue.enter(|state, records| {
            if state.is_deleted() {
                return Err(AmqpError::not_found(format!("no {resource}")));
            }
            if queue.queue_type == QueueType::Stream {
                let start = consumer_arguments::start(&consume, now);
                let filter = Filter::of(&consume.arguments);
                state.attach(consumer, start, filter, now, records);
                return Ok(());
            }
            state
                .consume(consumer, now, records)
                .map_err(|error| error.into_error(&resource))
        });
        added?;
        state.consumers.push(id);
        self.consumers
            .insert(id, (consume.tag.clone(), Arc::clone(&queue)));
        self.remember_queue(queue);
        if let Some(shown) = &self.shown {
            let info = ConsumerInfo {
                id,
                tag: consume.tag.clone(),
                queue: consume.queue.clone(),
                no_ack: consume.no_ack,
                exclusive: consume.exclusive,
                prefetch: consume.prefetch,
                arguments: consume.arguments.clone(),
            };
            shown.add_consumer(channel, info);
        }
        self.tell_consumer(channel, &consume);
        Ok(id)
    }

    pub(super) fn consumer_remove(&mut self, channel: ChannelId, consumer: ConsumerId) {
        let Some(queue) = self.forget_consumer(channel, consumer) else {
            return self.reply_consumer_remove(channel, consumer);
        };
        let (ended, _) = queue.enter(|state, records| state.cancel(consumer, self.now, records));
        if let (Some(ended), Some(vhost)) = (ended, &self.vhost) {
            vhost.delete_ended(&queue, ended, self.now);
        }
    }

    /// The queue has dropped the consumer, or is about to.
    pub(super) fn forget_consumer(
        &mut self,
        channel: ChannelId,
        consumer: ConsumerId,
    ) -> Option<Arc<QueueHandle>> {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.consumers.retain(|other| *other != consumer);
        }
        let (tag, queue) = self.consumers.remove(&consumer)?;
        if let Some(shown) = &self.shown {
            shown.remove_consumer(channel, consumer);
        }
        self.tell_consumer_gone(channel, &tag, &queue.name);
        Some(queue)
    }

    pub(super) fn end_channel(&mut self, channel: ChannelId, mut unacked: Vec<Delivered>) {
        let consumers = match self.channels.get_mut(&channel) {
            Some(state) => std::mem::take(&mut state.consumers),
            None => Vec::new(),
        };
        let count = consumers.len();
        let now = self.now;
        let mut left = Vec::new();
        for consumer in consumers {
            let Some(queue) = self.forget_consumer(channel, consumer) else {
                self.reply_consumer_remove(channel, consumer);
                continue;
            };
            let (ended, _) = queue.enter(|state, _| state.retire(consumer, now));
            match (ended, &self.vhost) {
                (Some(ended), Some(vhost)) => vhost.delete_ended(&queue, ended, now),
                _ => left.push(queue),
            }
        }
        self.reply_consumer_end(channel);
        // What the client never saw counts as delivered, as what RabbitMQ's channels have in hand: it comes back together
        // with the rest, in its order, and is gone when it needed no acknowledgement.
        for delivery in self.outbox.reclaim(channel) {
            self.trace_delivered(channel, &delivery.range);
            if !delivery.no_ack {
                unacked.push(delivery.range);
            }
        }
        self.settle_ranges(channel, Fate::Lost, unacked);
        // Only now, so that another single active consumer begins with what this channel held.
        for queue in left {
            queue.enter(|state, records| state.take_over(now, records));
        }
        // Room in the outbox is room for other channels.
        self.resume_stalled();
        if self.channels.remove(&channel).is_some() {
            if let Some(shown) = &self.shown {
                self.broker.connections.remove_channel(shown, channel);
            }
            self.broker.shared.churn.channel_closed.add(1);
            self.tell_channel_closed(channel, count);
        }
        self.tell_consequences();
    }

    pub(super) fn channel_limit(&mut self, channel: ChannelId, prefetch: u16) {
        let Some(state) = self.channels.get(&channel) else {
            return;
        };
        state.limit.set(prefetch);
        for queue in state.limit.take_waiting() {
            self.resume(queue);
        }
    }

    pub(super) fn get_one(
        &mut self,
        name: &QueueName,
        no_ack: bool,
    ) -> Result<Option<Got>, AmqpError> {
        self.check_queue_right(Right::Read, name)?;
        let queue = self.vhost()?.queue_for(name, self.id)?;
        if queue.queue_type == QueueType::Quorum && queue.has_single_active_consumer() {
            return Err(AmqpError::resource_locked(format!(
                "cannot obtain access to locked {}. basic.get operations are not supported by quorum queues with \
                 single active consumer",
                self.vhost()?.queue_resource(name)
            )));
        }
        if queue.queue_type == QueueType::Stream {
            return Err(AmqpError::not_implemented(format!(
                "basic.get not supported by stream queues {}",
                self.vhost()?.queue_resource(name)
            )));
        }
        let (got, _) = queue.enter(|state, records| {
            let range = state.get(no_ack, self.now, records)?;
            Some(Got {
                range,
                message_count: state.counts().ready,
            })
        });
        Ok(got)
    }

    pub(super) fn remember_queue(&mut self, queue: Arc<QueueHandle>) {
        // A memo, not a registry: emptied rather than kept for a connection that visits queues without end.
        const REMEMBERED_MAX: usize = 1024;
        if self.delivering.len() >= REMEMBERED_MAX {
            self.delivering.clear();
        }
        self.delivering.insert(queue.id, queue);
    }
}

/// What a consumer of a stream must do: say how much it takes at once, and acknowledge.
fn check_reader(consume: &Consume, release: Release, resource: &str) -> Result<(), AmqpError> {
    let (prefetch, stream) = match release {
        Release::V3 => (format!("'{resource}'"), format!("queues {resource}")),
        Release::V4 => (format!("stream {resource}"), resource.to_owned()),
    };
    if consume.prefetch == 0 {
        return Err(AmqpError::precondition_failed(format!(
            "consumer prefetch count is not set for {prefetch}"
        )));
    }
    if consume.no_ack {
        return Err(AmqpError::not_implemented(format!(
            "automatic acknowledgement not supported by stream {stream}"
        )));
    }
    Ok(())
}
