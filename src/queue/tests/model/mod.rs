//! What a queue should do, one message at a time and with plain collections.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use super::commands::How;
use crate::queue::Ended;
use crate::queue::Overflow;
use crate::queue::QueueOptions;
use crate::queue::QueueType;
use crate::queue::Reason;

/// A message as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u32,
    pub(super) body_bytes: u64,
    pub(super) held_bytes: usize,
    pub(super) persistent: bool,
    pub(super) expires_at: Option<u64>,
    pub(super) priority: u8,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
}

/// A message that is ready: its line, its place there, its position.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    rank: (u8, u64),
    position: u64,
    pub(super) message: Message,
}

/// A message that died: why, where it was if it ever was in the queue, which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelDead {
    pub(super) reason: Reason,
    pub(super) position: Option<u64>,
    pub(super) id: u32,
}

/// A message on its way to a consumer, or the answer to a get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) consumer: Option<u64>,
    pub(super) no_ack: bool,
    pub(super) position: u64,
    pub(super) message: Message,
}

#[derive(Debug, Clone)]
pub(super) struct ModelConsumer {
    pub(super) id: u64,
    pub(super) channel: usize,
    pub(super) priority: i32,
    pub(super) prefetch: u64,
    pub(super) no_ack: bool,
    pub(super) exclusive: bool,
    pub(super) unacked: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ModelChannel {
    pub(super) connection: usize,
    /// 0 is unlimited.
    pub(super) limit: u64,
    pub(super) used: u64,
    /// The queue waits for this limit.
    pub(super) waited_for: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ModelConnection {
    pub(super) bytes_max: usize,
    pub(super) held_bytes: usize,
    /// The queue waits for room here.
    pub(super) waited_for: bool,
    pub(super) sent: Vec<Sent>,
}

impl ModelConnection {
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.held_bytes)
    }
}

pub(super) struct Model {
    pub(super) options: QueueOptions,
    pub(super) next: u64,
    /// In the order in which they are served.
    pub(super) ready: VecDeque<Waiting>,
    /// Counts what joins a line that is served by arrival.
    arrivals: u64,
    pub(super) dead: Vec<ModelDead>,
    pub(super) unacked: BTreeMap<u64, (Option<u64>, Message)>,
    pub(super) consumers: Vec<ModelConsumer>,
    /// Who is next, of all priorities; who was found unable to take is not here.
    turns: VecDeque<u64>,
    /// The single active consumer.
    active: Option<u64>,
    pub(super) channels: Vec<ModelChannel>,
    pub(super) connections: Vec<ModelConnection>,
    /// What the store must hold.
    pub(super) stored: BTreeSet<u64>,
    pub(super) used_at: u64,
    pub(super) held: bool,
    pub(super) deleted: bool,
}

impl Model {
    pub(super) fn new(
        options: QueueOptions,
        channels: Vec<ModelChannel>,
        connections: Vec<ModelConnection>,
        now: u64,
    ) -> Self {
        Self {
            options,
            next: 1,
            ready: VecDeque::new(),
            arrivals: 0,
            dead: Vec::new(),
            unacked: BTreeMap::new(),
            consumers: Vec::new(),
            turns: VecDeque::new(),
            active: None,
            channels,
            connections,
            stored: BTreeSet::new(),
            used_at: now,
            held: false,
            deleted: false,
        }
    }

    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready
            .iter()
            .map(|waiting| waiting.message.body_bytes)
            .sum()
    }

    fn is_quorum(&self) -> bool {
        self.options.arguments.queue_type == QueueType::Quorum
    }

    /// `messages` come with their own TTL in `expires_at`. Answers the indexes of those that were refused.
    pub(super) fn enqueue(&mut self, messages: Vec<Message>, now: u64) -> Vec<usize> {
        let limits = self.options.arguments.limits;
        if limits.overflow != Overflow::DropHead
            && (limits.length.is_some() || limits.body_bytes.is_some())
        {
            return self.enqueue_fitting(messages, now);
        }
        if !self.is_quorum() && (limits.length.is_some() || limits.body_bytes.is_some()) {
            for message in messages {
                let ttls = [message.expires_at, self.options.arguments.message_ttl];
                self.push(message, now);
                if ttls.contains(&Some(0)) {
                    self.dispatch_fresh(now);
                } else {
                    self.dispatch(now);
                }
                self.drop_excess();
            }
            return Vec::new();
        }
        // With priorities a consumer that is ready takes what comes first, whatever comes after it.
        let alike = |left: &Message, right: &Message| {
            self.options.arguments.max_priority.is_none() || left.priority == right.priority
        };
        let stretches: Vec<Vec<Message>> =
            messages.chunk_by(alike).map(<[Message]>::to_vec).collect();
        for stretch in stretches {
            for message in stretch {
                self.push(message, now);
            }
            self.dispatch_fresh(now);
            self.drop_excess();
        }
        Vec::new()
    }

    fn enqueue_fitting(&mut self, messages: Vec<Message>, now: u64) -> Vec<usize> {
        let mut refused = Vec::new();
        self.expire(now);
        for (index, message) in messages.into_iter().enumerate() {
            let limits = self.options.arguments.limits;
            let length = self.ready.len() as u64 + 1;
            let bytes = self.ready_bytes() + message.body_bytes;
            let fits = limits.length.is_none_or(|max| length <= max)
                && limits.body_bytes.is_none_or(|max| bytes <= max);
            if fits {
                self.push(message, now);
                self.dispatch_fresh(now);
                continue;
            }
            refused.push(index);
            if limits.overflow == Overflow::RejectPublishDeadLetter
                && self.options.arguments.dead_letter.is_some()
            {
                self.dead.push(ModelDead {
                    reason: Reason::MaxLength,
                    position: None,
                    id: message.id,
                });
            }
        }
        refused
    }

    fn push(&mut self, message: Message, now: u64) {
        let ttls = [message.expires_at, self.options.arguments.message_ttl];
        let ttl = ttls.into_iter().flatten().min();
        let position = self.next;
        self.next += 1;
        if self.options.durable && (message.persistent || self.is_quorum()) {
            self.stored.insert(position);
        }
        let message = Message {
            expires_at: ttl.map(|ttl| now + ttl),
            ..message
        };
        let line = 1;
        self.join(line, position, message);
    }

    /// Into its line; `line` is for those served by arrival.
    fn join(&mut self, line: u8, position: u64, message: Message) {
        self.arrivals += 1;
        let rank = match self.options.arguments.max_priority {
            _ if self.is_quorum() => (line, self.arrivals),
            Some(max) => (u8::MAX - message.priority.min(max), position),
            None => (0, position),
        };
        let at = self.ready.partition_point(|other| other.rank < rank);
        let waiting = Waiting {
            rank,
            position,
            message,
        };
        self.ready.insert(at, waiting);
    }

    fn bury(&mut self, reason: Reason, position: u64, message: &Message) {
        if self.options.arguments.dead_letter.is_none() {
            self.stored.remove(&position);
            return;
        }
        self.dead.push(ModelDead {
            reason,
            position: Some(position),
            id: message.id,
        });
    }

    fn drop_excess(&mut self) {
        let limits = self.options.arguments.limits;
        if limits.overflow != Overflow::DropHead || self.held {
            return;
        }
        let above = |limit: Option<u64>, value: u64| limit.is_some_and(|max| value > max);
        while above(limits.length, self.ready.len() as u64)
            || above(limits.body_bytes, self.ready_bytes())
        {
            let Some(dropped) = self.ready.pop_front() else {
                return;
            };
            self.bury(Reason::MaxLength, dropped.position, &dropped.message);
        }
    }

    /// The dead are carried away; nothing while the queue is held.
    pub(super) fn take_dead(&mut self) -> Vec<ModelDead> {
        if self.held {
            return Vec::new();
        }
        let dead = std::mem::take(&mut self.dead);
        for dead in &dead {
            if let Some(position) = dead.position {
                self.stored.remove(&position);
            }
        }
        dead
    }

    /// As if each message had come alone: a TTL of 0 is enough for a consumer that is ready.
    fn dispatch_fresh(&mut self, now: u64) {
        self.dispatch(now - 1);
        if !self.is_quorum() {
            self.drop_excess();
        }
        self.dispatch(now);
    }

    pub(super) fn release(&mut self, now: u64) {
        self.held = false;
        self.dispatch_fresh(now);
        self.drop_excess();
    }

    pub(super) fn consume(&mut self, consumer: ModelConsumer, now: u64) -> bool {
        let alone = self.consumers.is_empty();
        let single = self.options.arguments.single_active_consumer;
        let in_use = self.consumers.iter().any(|other| other.exclusive);
        let refused = match self.options.arguments.queue_type {
            QueueType::Quorum | QueueType::Stream => false,
            QueueType::Classic if single => consumer.exclusive,
            QueueType::Classic => in_use || (consumer.exclusive && !alone),
        };
        if refused {
            return false;
        }
        self.used_at = now;
        if !single {
            self.turns.push_back(consumer.id);
        }
        self.consumers.push(consumer);
        self.activate();
        self.dispatch(now);
        true
    }

    /// Somebody becomes the single active consumer where nobody is.
    fn activate(&mut self) {
        if !self.options.arguments.single_active_consumer || self.active.is_some() {
            return;
        }
        let quorum = self.is_quorum();
        let next = self.consumers.iter().min_by_key(|consumer| {
            let priority = if quorum { 0 } else { -consumer.priority };
            (priority, consumer.id)
        });
        self.active = next.map(|consumer| consumer.id);
        self.turns.extend(self.active);
    }

    /// Whether the consumer has to wait for another to go.
    pub(super) fn waits(&self, id: u64) -> bool {
        self.options.arguments.single_active_consumer && self.active != Some(id)
    }

    pub(super) fn cancel(&mut self, id: u64, now: u64) -> Option<Ended> {
        self.consumers.retain(|consumer| consumer.id != id);
        self.turns.retain(|other| *other != id);
        self.used_at = now;
        if self.active == Some(id) {
            self.active = None;
            self.activate();
        }
        self.dispatch(now);
        let last = self.consumers.is_empty();
        (last && self.options.auto_delete).then_some(Ended::Unused)
    }

    pub(super) fn get(&mut self, no_ack: bool, now: u64) -> Option<Sent> {
        self.used_at = now;
        self.expire(now);
        let Waiting {
            position, message, ..
        } = self.ready.pop_front()?;
        self.expire(now);
        if no_ack {
            self.stored.remove(&position);
        } else {
            self.unacked.insert(position, (None, message.clone()));
        }
        Some(Sent {
            consumer: None,
            no_ack,
            position,
            message,
        })
    }

    pub(super) fn purge(&mut self, now: u64) -> u64 {
        self.expire(now);
        let count = self.ready.len() as u64;
        for waiting in self.ready.drain(..) {
            self.stored.remove(&waiting.position);
        }
        count
    }

    /// Returns whom to tell.
    pub(super) fn delete(&mut self) -> (u64, Vec<ModelConsumer>) {
        self.deleted = true;
        let count = self.ready.len() as u64;
        self.ready.clear();
        self.turns.clear();
        self.stored.clear();
        (count, std::mem::take(&mut self.consumers))
    }

    pub(super) fn tick(&mut self, now: u64) -> Option<Ended> {
        self.expire(now);
        let expires = self.options.arguments.expires?;
        (self.consumers.is_empty() && !self.deleted && now >= self.used_at + expires)
            .then_some(Ended::Expired)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let head = self
            .ready
            .front()
            .and_then(|waiting| waiting.message.expires_at);
        let expires = self.options.arguments.expires;
        let whole = expires.filter(|_| self.consumers.is_empty());
        let deadlines = [head, whole.map(|expires| self.used_at + expires)];
        let first = deadlines.into_iter().flatten().min();
        first.filter(|_| !self.deleted)
    }

    pub(super) fn settle(&mut self, positions: &[u64], how: How, now: u64) {
        if self.deleted {
            return;
        }
        for position in positions {
            let Some((consumer, message)) = self.unacked.remove(position) else {
                panic!("{position} was not out");
            };
            match how {
                How::Acked => {
                    self.stored.remove(position);
                }
                How::Rejected => self.bury(Reason::Rejected, *position, &message),
                How::Requeued | How::Lost => self.give_back(*position, message, how),
            }
            if let Some(id) = consumer {
                self.credit(id);
            }
        }
        let is_back = matches!(how, How::Requeued | How::Lost);
        if is_back && !self.is_quorum() {
            self.drop_excess();
        }
        self.dispatch(now);
        if is_back {
            self.drop_excess();
        }
    }

    fn give_back(&mut self, position: u64, message: Message, how: How) {
        let limit = self.options.arguments.delivery_limit;
        let limit = limit.filter(|limit| *limit >= 0);
        let counts = limit.is_some() || self.is_quorum();
        let returns = message.returns + u32::from(counts);
        if limit.is_some_and(|limit| i64::from(returns) > limit) {
            return self.bury(Reason::DeliveryLimit, position, &message);
        }
        let message = Message {
            redelivered: true,
            returns,
            ..message
        };
        let line = u8::from(how == How::Requeued && limit.is_none());
        self.join(line, position, message);
    }

    fn credit(&mut self, id: u64) {
        let Some(consumer) = self.consumers.iter_mut().find(|other| other.id == id) else {
            return;
        };
        consumer.unacked -= 1;
        let able =
            consumer.no_ack || consumer.prefetch == 0 || consumer.unacked < consumer.prefetch;
        if able && !self.waits(id) && !self.turns.contains(&id) {
            self.turns.push_back(id);
        }
    }

    pub(super) fn resume(&mut self, connection: usize, now: u64) {
        let channels = &self.channels;
        let blocked = self.consumers.iter().filter(|consumer| {
            channels[consumer.channel].connection == connection
                && !self.waits(consumer.id)
                && !self.turns.contains(&consumer.id)
        });
        let mut blocked: Vec<_> = blocked.map(|consumer| consumer.id).collect();
        blocked.sort_unstable();
        self.turns.extend(blocked);
        self.dispatch(now);
    }

    fn expire(&mut self, now: u64) {
        while let Some(front) = self.ready.front() {
            let expires_at = front.message.expires_at;
            if expires_at.is_none_or(|expires_at| expires_at > now) {
                return;
            }
            if let Some(dead) = self.ready.pop_front() {
                self.bury(Reason::Expired, dead.position, &dead.message);
            }
        }
    }

    fn dispatch(&mut self, now: u64) {
        while !self.held {
            self.expire(now);
            let Some(held_bytes) = self.ready.front().map(|head| head.message.held_bytes) else {
                return;
            };
            let Some((turn, index)) = self.whose_turn() else {
                return;
            };
            self.turns.remove(turn);
            let consumer = &mut self.consumers[index];
            let channel = &mut self.channels[consumer.channel];
            let connection = &mut self.connections[channel.connection];
            let limited = !consumer.no_ack;
            if limited && consumer.prefetch > 0 && consumer.unacked >= consumer.prefetch {
                continue;
            }
            if connection.room() == 0 {
                connection.waited_for = true;
                continue;
            }
            if limited && channel.limit > 0 && channel.used >= channel.limit {
                channel.waited_for = true;
                continue;
            }
            connection.held_bytes += held_bytes;
            self.turns.push_back(consumer.id);
            let Some(Waiting {
                position, message, ..
            }) = self.ready.pop_front()
            else {
                return;
            };
            connection.sent.push(Sent {
                consumer: Some(consumer.id),
                no_ack: consumer.no_ack,
                position,
                message: message.clone(),
            });
            if limited {
                consumer.unacked += 1;
                channel.used += 1;
                self.unacked.insert(position, (Some(consumer.id), message));
            } else {
                self.stored.remove(&position);
            }
        }
    }

    /// The first of the highest priority: its place among the turns and among the consumers.
    fn whose_turn(&self) -> Option<(usize, usize)> {
        let index_of = |id: &u64| self.consumers.iter().position(|other| other.id == *id);
        let candidates = self
            .turns
            .iter()
            .enumerate()
            .filter_map(|(turn, id)| Some((turn, index_of(id)?)));
        candidates.min_by_key(|(turn, index)| (-self.consumers[*index].priority, *turn))
    }
}
