//! What a queue should do, one message at a time and with plain collections.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::queue::Ended;
use crate::queue::QueueOptions;

/// A message as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u32,
    pub(super) body_bytes: u64,
    pub(super) held_bytes: usize,
    pub(super) persistent: bool,
    pub(super) expires_at: Option<u64>,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
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
    pub(super) ready: VecDeque<(u64, Message)>,
    pub(super) unacked: BTreeMap<u64, (Option<u64>, Message)>,
    pub(super) consumers: Vec<ModelConsumer>,
    /// Who is next, of all priorities; who was found unable to take is not here.
    turns: VecDeque<u64>,
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
            unacked: BTreeMap::new(),
            consumers: Vec::new(),
            turns: VecDeque::new(),
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
            .map(|(_, message)| message.body_bytes)
            .sum()
    }

    /// `messages` come with their own TTL in `expires_at`.
    pub(super) fn enqueue(&mut self, messages: Vec<Message>, now: u64) {
        for message in messages {
            let ttls = [message.expires_at, self.options.arguments.message_ttl];
            let ttl = ttls.into_iter().flatten().min();
            let position = self.next;
            self.next += 1;
            if self.options.durable && message.persistent {
                self.stored.insert(position);
            }
            let message = Message {
                expires_at: ttl.map(|ttl| now + ttl),
                ..message
            };
            self.ready.push_back((position, message));
        }
        self.dispatch_fresh(now);
    }

    /// As if each message had come alone: a TTL of 0 is enough for a consumer that is ready.
    fn dispatch_fresh(&mut self, now: u64) {
        self.dispatch(now - 1);
        self.dispatch(now);
    }

    pub(super) fn release(&mut self, now: u64) {
        self.held = false;
        self.dispatch_fresh(now);
    }

    pub(super) fn consume(&mut self, consumer: ModelConsumer, now: u64) -> bool {
        let alone = self.consumers.is_empty();
        if self.consumers.iter().any(|other| other.exclusive) || (consumer.exclusive && !alone) {
            return false;
        }
        self.used_at = now;
        self.turns.push_back(consumer.id);
        self.consumers.push(consumer);
        self.dispatch(now);
        true
    }

    pub(super) fn cancel(&mut self, id: u64, now: u64) -> Option<Ended> {
        self.consumers.retain(|consumer| consumer.id != id);
        self.turns.retain(|other| *other != id);
        self.used_at = now;
        let last = self.consumers.is_empty();
        (last && self.options.auto_delete).then_some(Ended::Unused)
    }

    pub(super) fn get(&mut self, no_ack: bool, now: u64) -> Option<Sent> {
        self.used_at = now;
        self.expire(now);
        let (position, message) = self.ready.pop_front()?;
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
        for (position, _) in self.ready.drain(..) {
            self.stored.remove(&position);
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
            .and_then(|(_, message)| message.expires_at);
        let expires = self.options.arguments.expires;
        let whole = expires.filter(|_| self.consumers.is_empty());
        let deadlines = [head, whole.map(|expires| self.used_at + expires)];
        let first = deadlines.into_iter().flatten().min();
        first.filter(|_| !self.deleted)
    }

    pub(super) fn settle(&mut self, positions: &[u64], requeue: bool, now: u64) {
        if self.deleted {
            return;
        }
        for position in positions {
            let Some((consumer, message)) = self.unacked.remove(position) else {
                panic!("{position} was not out");
            };
            if requeue {
                let at = self.ready.partition_point(|(other, _)| other < position);
                let message = Message {
                    redelivered: true,
                    returns: message.returns + 1,
                    ..message
                };
                self.ready.insert(at, (*position, message));
            } else {
                self.stored.remove(position);
            }
            if let Some(id) = consumer {
                self.credit(id);
            }
        }
        self.dispatch(now);
    }

    fn credit(&mut self, id: u64) {
        let Some(consumer) = self.consumers.iter_mut().find(|other| other.id == id) else {
            return;
        };
        consumer.unacked -= 1;
        let able =
            consumer.no_ack || consumer.prefetch == 0 || consumer.unacked < consumer.prefetch;
        if able && !self.turns.contains(&id) {
            self.turns.push_back(id);
        }
    }

    pub(super) fn resume(&mut self, connection: usize, now: u64) {
        let channels = &self.channels;
        let blocked = self.consumers.iter().filter(|consumer| {
            channels[consumer.channel].connection == connection
                && !self.turns.contains(&consumer.id)
        });
        let mut blocked: Vec<_> = blocked.map(|consumer| consumer.id).collect();
        blocked.sort_unstable();
        self.turns.extend(blocked);
        self.dispatch(now);
    }

    fn expire(&mut self, now: u64) {
        while let Some((position, message)) = self.ready.front() {
            if message.expires_at.is_none_or(|expires_at| expires_at > now) {
                return;
            }
            self.stored.remove(position);
            self.ready.pop_front();
        }
    }

    fn dispatch(&mut self, now: u64) {
        while !self.held {
            self.expire(now);
            let Some((_, head)) = self.ready.front() else {
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
            connection.held_bytes += head.held_bytes;
            self.turns.push_back(consumer.id);
            let Some((position, message)) = self.ready.pop_front() else {
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
