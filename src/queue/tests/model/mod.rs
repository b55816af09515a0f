//! What a queue should do, one message at a time and with plain collections.

mod consumers;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use super::commands::How;
use crate::model::Release;
use crate::queue::Ended;
use crate::queue::Overflow;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::QueueType;
use crate::queue::RETRY_MS;
use crate::queue::Reason;

/// Lines of queues that serve by arrival.
const RETURNED: u8 = 0;
const URGENT: u8 = 1;
const ARRIVED: u8 = 2;

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
    /// Its `x-deduplication-header`.
    pub(super) value: Option<u8>,
}

/// A message that is ready: its line, its place there, its position.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    rank: (u8, u64),
    position: u64,
    /// The first position that was free when it came to this place.
    came_before: u64,
    pub(super) message: Message,
}

/// A message that died: why, where it was if it ever was in the queue, which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelDead {
    pub(super) reason: Reason,
    pub(super) position: Option<u64>,
    pub(super) id: u32,
    /// When somebody last tried to bring it where it must go, if it must.
    pub(super) tried_at: Option<u64>,
    pub(super) body_bytes: u64,
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
    /// How many of three turns of two levels of priority have gone.
    turn: u8,
    pub(super) dead: Vec<ModelDead>,
    /// Those that found no queue and must find one, and when they try again.
    kept: Vec<ModelDead>,
    retry_at: Option<u64>,
    /// By value: the position of the message that has it, and when that expires.
    seen: BTreeMap<u8, (u64, Option<u64>)>,
    pub(super) unacked: BTreeMap<u64, (Option<u64>, Message)>,
    pub(super) consumers: Vec<ModelConsumer>,
    /// Who is next, of all priorities; who was found unable to take is not here.
    turns: VecDeque<u64>,
    /// Who could not take in its turn, in this order.
    unable: Vec<u64>,
    /// The single active consumer.
    active: Option<u64>,
    /// It gets nothing more: one of a higher priority waits.
    stands_back: bool,
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
            turn: 0,
            dead: Vec::new(),
            kept: Vec::new(),
            retry_at: None,
            seen: BTreeMap::new(),
            unacked: BTreeMap::new(),
            consumers: Vec::new(),
            turns: VecDeque::new(),
            unable: Vec::new(),
            active: None,
            stands_back: false,
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

    fn has_levels(&self) -> bool {
        self.is_quorum() && self.options.release == Release::V4
    }

    fn delivery_limit(&self) -> Option<i64> {
        let default = self.options.delivery_limit_default;
        let default = default.filter(|_| self.is_quorum());
        let limit = self.options.arguments.delivery_limit;
        let limit = limit.or(default.map(|limit| limit as i64));
        limit.filter(|limit| *limit >= 0)
    }

    /// The message that is served next.
    pub(super) fn front(&self) -> Option<&Waiting> {
        self.ready.get(self.front_index())
    }

    fn front_index(&self) -> usize {
        let first_of = |level| self.ready.iter().position(|other| other.rank.0 == level);
        if !self.has_levels() || first_of(RETURNED).is_some() {
            return 0;
        }
        let (Some(urgent), Some(other)) = (first_of(URGENT), first_of(ARRIVED)) else {
            return 0;
        };
        let in_turn = self.turn < 2;
        let is_older = self.ready[urgent].came_before < self.ready[other].came_before;
        if in_turn || is_older { urgent } else { other }
    }

    fn take_front(&mut self) -> Option<Waiting> {
        let taken = self.ready.remove(self.front_index())?;
        if taken.rank.0 != RETURNED {
            self.turn = (self.turn + 1) % 3;
        }
        Some(taken)
    }

    /// `messages` come with their own TTL in `expires_at`. Answers the indexes of those that were refused.
    pub(super) fn enqueue(&mut self, messages: Vec<Message>, now: u64) -> Vec<usize> {
        let limits = self.options.arguments.limits;
        if limits.refuse() {
            return self.enqueue_fitting(messages, now);
        }
        let drops_first = !self.is_quorum() && limits.drop();
        for message in messages {
            let ttls = [message.expires_at, self.options.arguments.message_ttl];
            if !self.push(message, now) {
                continue;
            }
            if !drops_first || ttls.contains(&Some(0)) {
                self.dispatch_fresh(now);
            } else {
                self.dispatch(now);
            }
            self.drop_excess();
        }
        Vec::new()
    }

    fn enqueue_fitting(&mut self, messages: Vec<Message>, now: u64) -> Vec<usize> {
        let mut refused = Vec::new();
        self.expire(now);
        for (index, message) in messages.into_iter().enumerate() {
            let limits = self.options.arguments.limits;
            let kept_bytes: u64 = self.kept.iter().map(|dead| dead.body_bytes).sum();
            let length = (self.ready.len() + self.kept.len()) as u64 + 1;
            let bytes = self.ready_bytes() + kept_bytes + message.body_bytes;
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
                    tried_at: None,
                    body_bytes: message.body_bytes,
                });
            }
        }
        refused
    }

    /// Whether it is none that the queue has already.
    fn push(&mut self, message: Message, now: u64) -> bool {
        let ttls = [message.expires_at, self.options.arguments.message_ttl];
        let ttl = ttls.into_iter().flatten().min();
        let expires_at = ttl.map(|ttl| now + ttl);
        let position = self.next;
        if let Some(value) = message.value
            && self.options.arguments.deduplicate
        {
            let known = self.seen.get(&value);
            let lives = |expires_at: &Option<u64>| expires_at.is_none_or(|at| at > now);
            if known.is_some_and(|(_, expires_at)| lives(expires_at)) {
                return false;
            }
            self.seen.insert(value, (position, expires_at));
        }
        if self.options.durable && (message.persistent || self.is_quorum()) {
            self.stored.insert(position);
        }
        let message = Message {
            expires_at,
            ..message
        };
        let is_urgent = self.has_levels() && message.priority >= 5;
        let line = if is_urgent { URGENT } else { ARRIVED };
        self.join(line, position, message);
        self.next += 1;
        true
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
            came_before: self.next,
            message,
        };
        self.ready.insert(at, waiting);
    }

    fn left(&mut self, position: u64) {
        self.seen.retain(|_, (other, _)| *other != position);
    }

    fn bury(&mut self, reason: Reason, position: u64, message: &Message, now: u64) {
        self.left(position);
        let arguments = &self.options.arguments;
        if arguments.dead_letter.is_none() {
            self.stored.remove(&position);
            return;
        }
        self.dead.push(ModelDead {
            reason,
            position: Some(position),
            id: message.id,
            tried_at: arguments.dead_letter_surely.then_some(now),
            body_bytes: message.body_bytes,
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
            let Some(dropped) = self.take_front() else {
                return;
            };
            // Only those of queues that refuse need to know when.
            self.bury(Reason::MaxLength, dropped.position, &dropped.message, 0);
        }
    }

    /// The dead are carried away, but for those that find no queue; nothing while the queue is held.
    pub(super) fn take_dead(&mut self, is_lost: impl Fn(&ModelDead) -> bool) -> Vec<ModelDead> {
        if self.held {
            return Vec::new();
        }
        let dead = std::mem::take(&mut self.dead);
        for dead in &dead {
            if let Some(tried_at) = dead.tried_at
                && is_lost(dead)
            {
                let retry_at = self.retry_at.unwrap_or(u64::MAX);
                self.retry_at = Some(retry_at.min(tried_at + RETRY_MS));
                self.kept.push(dead.clone());
            } else if let Some(position) = dead.position {
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

    pub(super) fn get(&mut self, no_ack: bool, now: u64) -> Option<Sent> {
        self.used_at = now;
        self.expire(now);
        let Waiting {
            position, message, ..
        } = self.take_front()?;
        self.expire(now);
        if no_ack {
            self.left(position);
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
        for waiting in std::mem::take(&mut self.ready) {
            self.left(waiting.position);
            self.stored.remove(&waiting.position);
        }
        self.turn = 0;
        count
    }

    /// Returns whom to tell.
    pub(super) fn delete(&mut self) -> (u64, Vec<ModelConsumer>) {
        self.deleted = true;
        let count = self.ready.len() as u64;
        self.ready.clear();
        self.kept.clear();
        self.turns.clear();
        self.stored.clear();
        (count, std::mem::take(&mut self.consumers))
    }

    pub(super) fn tick(&mut self, now: u64) -> Option<Ended> {
        self.expire(now);
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            let mut due = std::mem::take(&mut self.kept);
            for dead in &mut due {
                dead.tried_at = Some(now);
            }
            self.dead.splice(..0, due);
        }
        let expires = self.options.arguments.expires?;
        (self.consumers.is_empty() && !self.deleted && now >= self.used_at + expires)
            .then_some(Ended::Expired)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let head = self.front().and_then(|waiting| waiting.message.expires_at);
        let expires = self.options.arguments.expires;
        let whole = expires.filter(|_| self.consumers.is_empty());
        let whole = whole.map(|expires| self.used_at + expires);
        let deadlines = [head, whole, self.retry_at];
        let first = deadlines.into_iter().flatten().min();
        first.filter(|_| !self.deleted)
    }

    /// A policy has changed.
    pub(super) fn reconfigure(&mut self, arguments: QueueArguments, now: u64) {
        if !arguments.deduplicate {
            self.seen.clear();
        }
        self.options.arguments = arguments;
        self.used_at = now;
        self.expire(now);
        self.drop_excess();
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
                    self.left(*position);
                    self.stored.remove(position);
                }
                How::Rejected => self.bury(Reason::Rejected, *position, &message, now),
                How::Requeued | How::Lost => self.give_back(*position, message, how, now),
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

    fn give_back(&mut self, position: u64, message: Message, how: How, now: u64) {
        let limit = self.delivery_limit();
        let counts = limit.is_some() || self.is_quorum();
        let returns = message.returns + u32::from(counts);
        if limit.is_some_and(|limit| i64::from(returns) > limit) {
            return self.bury(Reason::DeliveryLimit, position, &message, now);
        }
        let message = Message {
            redelivered: true,
            returns,
            ..message
        };
        let is_last = how == How::Requeued && limit.is_none();
        let line = if is_last { ARRIVED } else { RETURNED };
        self.join(line, position, message);
    }

    fn expire(&mut self, now: u64) {
        while let Some(front) = self.front() {
            let expires_at = front.message.expires_at;
            if expires_at.is_none_or(|expires_at| expires_at > now) {
                return;
            }
            if let Some(dead) = self.take_front() {
                self.bury(Reason::Expired, dead.position, &dead.message, now);
            }
        }
    }
}
