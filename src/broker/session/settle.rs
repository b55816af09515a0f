//! Deliveries come back from the channels.

use std::time::Duration;

use crate::broker::Session;
use crate::connection::host::Settle;
use crate::model::ChannelId;
use crate::model::Delivered;
use crate::model::QueueId;
use crate::queue::QueueType;

/// What becomes of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// What the client has said.
    Settled(Settle),
    /// Their channel is gone, or never got them: they go back to the queue.
    Lost,
}

impl Session {
    pub(super) fn settle_ranges(&mut self, channel: ChannelId, fate: Fate, ranges: Vec<Delivered>) {
        let returned = self.limited(channel, &ranges);
        for ranges in by_queue(ranges) {
            match fate {
                Fate::Settled(Settle::Ack) | Fate::Lost => self.settle_in_queue(fate, ranges),
                Fate::Settled(Settle::Reject | Settle::Requeue) => {
                    for ranges in by_consumer(ranges) {
                        self.settle_in_queue(fate, ranges);
                    }
                }
            }
        }
        self.give_back(channel, returned);
    }

    /// All `ranges` are of one queue.
    fn settle_in_queue(&mut self, fate: Fate, ranges: Vec<Delivered>) {
        // A queue that was deleted meanwhile has nothing to settle.
        let Some(queue) = self.queue_by_id(ranges[0].queue) else {
            return;
        };
        let now = self.now;
        queue.enter(|state, records| match fate {
            Fate::Settled(Settle::Ack) => state.settle(&ranges, now, records),
            Fate::Settled(Settle::Reject) => state.reject(ranges, now, records),
            Fate::Settled(Settle::Requeue) => state.requeue(ranges, now, records),
            Fate::Lost => state.take_back(ranges, now, records),
        });
    }

    /// How long deliveries of this queue may stay with the client.
    pub(super) fn acknowledgement_timeout(&mut self, queue: QueueId) -> Option<Duration> {
        let queue = self.queue_by_id(queue)?;
        let (own, _) = queue.enter(|state, _| state.consumer_timeout());
        let defaults = &self.broker.shared.queue_defaults;
        let timeout = own.or(match queue.queue_type {
            QueueType::Classic => defaults.classic_consumer_timeout,
            QueueType::Quorum | QueueType::Stream => defaults.quorum_consumer_timeout,
        });
        timeout.map(Duration::from_millis)
    }

    /// How many messages count against the channel's shared limit: those of its consumers, not of `basic.get`, and not
    /// what comes back late from a channel that had the same number.
    pub(super) fn limited(&self, channel: ChannelId, ranges: &[Delivered]) -> u64 {
        let Some(state) = self.channels.get(&channel) else {
            return 0;
        };
        let of_channel = |range: &&Delivered| {
            let consumer = range.consumer;
            consumer.is_some_and(|consumer| consumer >= state.first_consumer)
        };
        let counted = ranges.iter().filter(of_channel);
        counted.map(|range| range.run.len() as u64).sum()
    }

    /// Messages no longer count against the channel's shared limit: queues that waited for it deliver again.
    pub(super) fn give_back(&mut self, channel: ChannelId, count: u64) {
        let Some(state) = self.channels.get(&channel) else {
            return;
        };
        if count > 0 {
            state.limit.give_back(count);
        }
        for queue in state.limit.take_waiting() {
            self.resume(queue);
        }
    }
}

/// The ranges of each queue, in their order: one visit a queue, however a channel's queues take turns.
pub(super) fn by_queue(mut ranges: Vec<Delivered>) -> impl Iterator<Item = Vec<Delivered>> {
    ranges.sort_by_key(|range| range.queue);
    let mut ranges = ranges.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut same = vec![ranges.next()?];
        let queue = same[0].queue;
        same.extend(std::iter::from_fn(|| {
            ranges.next_if(|range| range.queue == queue)
        }));
        Some(same)
    })
}

/// Neighbouring ranges of one consumer: as in RabbitMQ, the queue delivers again before the next consumer's come back.
fn by_consumer(ranges: Vec<Delivered>) -> impl Iterator<Item = Vec<Delivered>> {
    let mut ranges = ranges.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut same = vec![ranges.next()?];
        let consumer = same[0].consumer;
        same.extend(std::iter::from_fn(|| {
            ranges.next_if(|range| range.consumer == consumer)
        }));
        Some(same)
    })
}
