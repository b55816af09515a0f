//! Who gets the next message.

use std::cmp::Reverse;

use super::Model;
use super::ModelConsumer;
use super::Sent;
use crate::model::Release;
use crate::queue::Ended;
use crate::queue::QueueType;

impl Model {
    pub(in crate::queue::tests) fn consume(&mut self, consumer: ModelConsumer, now: u64) -> bool {
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
        self.hand_over();
        self.dispatch(now);
        true
    }

    /// Somebody becomes the single active consumer where nobody is.
    fn activate(&mut self) {
        if self.options.arguments.single_active_consumer && self.active.is_none() {
            self.active = self.successor().map(|next| next.id);
            self.turns.extend(self.active);
        }
    }

    fn successor(&self) -> Option<&ModelConsumer> {
        let credit = |consumer: &ModelConsumer| match consumer.prefetch {
            _ if consumer.no_ack => u64::MAX,
            0 => 2000 - consumer.unacked,
            prefetch => prefetch - consumer.unacked,
        };
        self.consumers.iter().min_by_key(|consumer| {
            let by_priority = !self.is_quorum() || self.options.release == Release::V4;
            let priority = if by_priority { consumer.priority } else { 0 };
            let credit = Some(credit(consumer)).filter(|_| self.has_levels());
            (-priority, Reverse(credit), consumer.id)
        })
    }

    /// In RabbitMQ 4 the active one stands back for a higher priority, and goes when it has settled what it has.
    fn hand_over(&mut self) {
        let Some(active) = self.active.filter(|_| self.has_levels()) else {
            return;
        };
        let active = self.consumers.iter().find(|consumer| consumer.id == active);
        let (Some(active), Some(next)) = (active.cloned(), self.successor().cloned()) else {
            return;
        };
        let stood_back = self.stands_back;
        self.stands_back = next.priority > active.priority;
        if self.stands_back {
            self.turns.clear();
            if active.unacked == 0 {
                self.stands_back = false;
                self.active = Some(next.id);
                self.turns.extend(self.active);
            }
        } else if stood_back {
            self.turns.extend(self.active);
        }
    }

    /// Whether the consumer has to wait for another to go.
    pub(in crate::queue::tests) fn waits(&self, id: u64) -> bool {
        let is_active = self.active == Some(id) && !self.stands_back;
        self.options.arguments.single_active_consumer && !is_active
    }

    pub(in crate::queue::tests) fn cancel(&mut self, id: u64, now: u64) -> Option<Ended> {
        self.consumers.retain(|consumer| consumer.id != id);
        self.turns.retain(|other| *other != id);
        self.used_at = now;
        if self.active == Some(id) {
            self.active = None;
            self.stands_back = false;
            self.activate();
        }
        self.hand_over();
        self.dispatch(now);
        let last = self.consumers.is_empty();
        (last && self.options.auto_delete).then_some(Ended::Unused)
    }

    pub(super) fn credit(&mut self, id: u64) {
        let Some(consumer) = self.consumers.iter_mut().find(|other| other.id == id) else {
            return;
        };
        consumer.unacked -= 1;
        let able =
            consumer.no_ack || consumer.prefetch == 0 || consumer.unacked < consumer.prefetch;
        if able && !self.waits(id) && !self.turns.contains(&id) {
            self.turns.push_back(id);
        }
        if self.stands_back {
            self.hand_over();
        }
    }

    pub(in crate::queue::tests) fn resume(&mut self, connection: usize, now: u64) {
        let channels = &self.channels;
        let blocked = self.consumers.iter().filter(|consumer| {
            channels[consumer.channel].connection == connection
                && !self.waits(consumer.id)
                && !self.turns.contains(&consumer.id)
        });
        let since = |id: u64| self.unable.iter().rposition(|other| *other == id);
        let mut blocked: Vec<_> = blocked
            .map(|consumer| (since(consumer.id), consumer.id))
            .collect();
        blocked.sort_unstable();
        self.turns.extend(blocked.into_iter().map(|(_, id)| id));
        self.dispatch(now);
    }

    pub(super) fn dispatch(&mut self, now: u64) {
        while !self.held {
            self.expire(now);
            let Some(held_bytes) = self.front().map(|head| head.message.held_bytes) else {
                return;
            };
            let Some((turn, index)) = self.whose_turn() else {
                return;
            };
            self.turns.remove(turn);
            let consumer = &self.consumers[index];
            let (id, no_ack) = (consumer.id, consumer.no_ack);
            let channel = &mut self.channels[consumer.channel];
            let connection = &mut self.connections[channel.connection];
            if !no_ack && consumer.prefetch > 0 && consumer.unacked >= consumer.prefetch {
                self.unable.push(id);
                continue;
            }
            if connection.room() == 0 {
                connection.waited_for = true;
                self.unable.push(id);
                continue;
            }
            if channel.limit > 0 && channel.used >= channel.limit {
                channel.waited_for = true;
                self.unable.push(id);
                continue;
            }
            connection.held_bytes += held_bytes;
            self.turns.push_back(id);
            if !no_ack {
                channel.used += 1;
                self.consumers[index].unacked += 1;
            }
            self.send(index, no_ack);
        }
    }

    fn send(&mut self, index: usize, no_ack: bool) {
        let Some(waiting) = self.take_front() else {
            return;
        };
        let (position, message) = (waiting.position, waiting.message);
        let consumer = &self.consumers[index];
        let id = Some(consumer.id);
        let connection = self.channels[consumer.channel].connection;
        self.connections[connection].sent.push(Sent {
            consumer: id,
            no_ack,
            position,
            message: message.clone(),
        });
        if no_ack {
            self.left(position);
            self.stored.remove(&position);
        } else {
            self.unacked.insert(position, (id, message));
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
