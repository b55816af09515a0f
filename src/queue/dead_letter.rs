//! Messages that die: rejected, expired, or dropped because the queue is full (specification §6.7).
//!
//! With a dead-letter exchange they leave the queue as [`Dead`] ranges and stay in the store until the owner has handed
//! their copies over; without one they are settled at once. Where they go is not known here.

use crate::metrics::Strategy;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::RoutingKey;
use crate::model::Run;
use crate::queue::Queue;
use crate::store::Record;

/// Where a queue's dead messages go (`x-dead-letter-exchange`, `x-dead-letter-routing-key`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The exchange; it need not exist.
    pub exchange: ExchangeName,
    /// The routing key; each message's own when there is none.
    pub routing_key: Option<RoutingKey>,
}

/// Why messages died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `basic.reject` or `basic.nack` without requeue.
    Rejected,
    /// Their time to live has passed.
    Expired,
    /// The queue was full.
    MaxLength,
    /// They came back more often than the queue allows.
    DeliveryLimit,
}

impl Reason {
    /// As `x-death` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// Consecutive messages that died together. They have left the queue, or never got into it, and what
/// was stored of them still is.
#[derive(Debug, Clone)]
pub struct Dead {
    /// Why.
    pub reason: Reason,
    /// Position of the first; none for messages that the queue never took.
    pub first: Option<Position>,
    /// The messages.
    pub run: Run,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// They must reach a queue (`x-dead-letter-strategy: at-least-once`): what does not is given back with
    /// [`Queue::keep_dead`].
    pub attempt: Option<Attempt>,
}

/// An attempt to bring dead messages to where they must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Queues that took them at earlier attempts.
    pub reached: Vec<QueueId>,
}

/// How long dead messages that found no queue wait for the next attempt, in milliseconds. RabbitMQ: 180 s.
pub const RETRY_MS: u64 = 10_000;

/// Dead messages that found no queue and must find one. They count against the queue's limits, which bound them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    dead: Vec<Dead>,
    retry_at: Option<u64>,
    messages: u64,
    body_bytes: u64,
}

impl Kept {
    /// When something is to be done.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.retry_at
    }

    /// Messages and bytes of their bodies.
    pub(super) fn load(&self) -> (u64, u64) {
        (self.messages, self.body_bytes)
    }

    fn take_due(&mut self, now: u64) -> Vec<Dead> {
        if self.retry_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut due = std::mem::take(self).dead;
        for attempt in due.iter_mut().filter_map(|dead| dead.attempt.as_mut()) {
            attempt.at = now;
        }
        due
    }
}

impl Queue {
    /// The messages are refused for good: they go to the dead-letter exchange, or nowhere.
    pub fn reject(&mut self, ranges: Vec<Delivered>, now: u64, records: &mut Vec<Record>) {
        if self.deleted {
            return;
        }
        for range in ranges {
            self.credit(&range);
            self.bury(Reason::Rejected, range.first, range.run, now, records);
        }
        self.dispatch(now, records);
    }

    /// Takes leave of messages that are no longer ready nor with a consumer.
    pub(super) fn bury(
        &mut self,
        reason: Reason,
        first: Position,
        run: Run,
        now: u64,
        records: &mut Vec<Record>,
    ) {
        self.left(first, &run);
        self.count_dead(reason, run.len() as u64, true);
        if self.options.arguments.dead_letter.is_none() {
            self.settle_record(first, &run, records);
            return;
        }
        self.die(reason, Some(first), run, now);
    }

    /// What a full queue refuses is not kept until it has arrived.
    pub(super) fn count_dead(&mut self, reason: Reason, count: u64, kept: bool) {
        let arguments = &self.options.arguments;
        let strategy = match (&arguments.dead_letter, arguments.dead_letter_surely && kept) {
            (None, _) => Strategy::Disabled,
            (Some(_), false) => Strategy::AtMostOnce,
            (Some(_), true) => Strategy::AtLeastOnce,
        };
        let dead = self.history.get_or_insert_default().dead_mut(strategy);
        match reason {
            Reason::MaxLength => dead.maxlen += count,
            Reason::Expired => dead.expired += count,
            Reason::Rejected => dead.rejected += count,
            Reason::DeliveryLimit => dead.delivery_limit += count,
        }
    }

    pub(super) fn die(&mut self, reason: Reason, first: Option<Position>, run: Run, now: u64) {
        let surely = self.options.arguments.dead_letter_surely && first.is_some();
        self.dead.push(Dead {
            reason,
            first,
            run,
            at: now,
            attempt: surely.then(|| Attempt {
                at: now,
                reached: Vec::new(),
            }),
        });
    }

    /// Whether [`Queue::take_dead`] has something to give.
    pub fn has_dead(&self) -> bool {
        // Who holds the queue has not handed its records over: what is not yet in the store must not leave it.
        !self.dead.is_empty() && self.holds == 0
    }

    /// Takes the dead messages out, in the order in which they died. The caller settles them with
    /// [`Queue::settle_dead`] once their copies are in the store's hands.
    pub fn take_dead(&mut self) -> Vec<Dead> {
        if self.holds > 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.dead)
    }

    /// These found no queue, or not all that they should: they stay until the next attempt.
    pub fn keep_dead(&mut self, dead: Vec<Dead>) {
        if self.deleted {
            return;
        }
        let tried_at = dead.iter().filter_map(|dead| dead.attempt.as_ref());
        let Some(tried_at) = tried_at.map(|attempt| attempt.at).min() else {
            return;
        };
        // Whatever dies meanwhile does not put off those that wait already.
        let retry_at = self.kept.retry_at.unwrap_or(u64::MAX);
        self.kept.retry_at = Some(retry_at.min(tried_at.saturating_add(RETRY_MS)));
        for dead in &dead {
            self.kept.messages += dead.run.len() as u64;
            self.kept.body_bytes += dead.run.body_bytes();
        }
        self.kept.dead.extend(dead);
    }

    /// What waited for its next attempt is dead again.
    pub(super) fn retry_dead(&mut self, now: u64) {
        let mut due = self.kept.take_due(now);
        if !due.is_empty() {
            due.append(&mut self.dead);
            self.dead = due;
        }
    }

    /// What the store is told when the copies of dead messages are in its hands.
    pub fn settle_dead(&mut self, dead: &[Dead], records: &mut Vec<Record>) {
        if self.deleted {
            return;
        }
        for dead in dead {
            if dead.attempt.is_some() {
                let history = self.history.get_or_insert_default();
                history.dead_mut(Strategy::AtLeastOnce).confirmed += dead.run.len() as u64;
            }
            if let Some(first) = dead.first {
                self.settle_record(first, &dead.run, records);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunBuilder;
    use crate::model::message;
    use crate::model::message::Traits;
    use crate::queue::QueueArguments;
    use crate::queue::QueueOptions;

    const NOW: u64 = 1_000;

    fn queue(dead_letter: bool, message_ttl: Option<u64>) -> Queue {
        let dead_letter = dead_letter.then(|| DeadLetter {
            exchange: ExchangeName::known("dlx"),
            routing_key: None,
        });
        let arguments = QueueArguments {
            message_ttl,
            dead_letter,
            ..QueueArguments::default()
        };
        let options = QueueOptions {
            durable: true,
            arguments,
            ..QueueOptions::default()
        };
        Queue::new(QueueId(7), options, Position(1), NOW)
    }

    fn persistent(bodies: &[&str]) -> Run {
        let mut builder = RunBuilder::default();
        let route = message::route(&ExchangeName::known(""), "q");
        let traits = Traits::new(true, false, false, false, false, 0);
        for body in bodies {
            builder.push(&route, &[0x10, 0, 2], body.as_bytes(), traits);
        }
        builder.finish()
    }

    fn settled(records: &[Record]) -> u64 {
        let count = |record: &Record| match record {
            Record::Settle { count, .. } => *count,
            Record::Put { .. }
            | Record::Purge { .. }
            | Record::DeleteQueue { .. }
            | Record::Define { .. }
            | Record::Undefine { .. } => 0,
        };
        records.iter().map(count).sum()
    }

    fn bodies(dead: &[Dead]) -> Vec<&[u8]> {
        let messages = dead.iter().flat_map(|dead| dead.run.iter());
        messages.map(|message| message.body()).collect()
    }

    #[test]
    fn rejected_messages_stay_stored_until_their_copies_are() {
        let mut queue = queue(true, None);
        let mut records = Vec::new();
        queue.enqueue(persistent(&["a", "b"]), NOW, &mut records);
        let range = queue.get(false, NOW, &mut records).expect("a message");
        queue.reject(vec![range], NOW + 5, &mut records);
        assert_eq!((settled(&records), queue.counts().unacked), (0, 0));

        let dead = queue.take_dead();
        assert_eq!(bodies(&dead), [b"a"]);
        assert_eq!((dead[0].reason, dead[0].at), (Reason::Rejected, NOW + 5));
        assert!(!queue.has_dead());
        queue.settle_dead(&dead, &mut records);
        assert_eq!(settled(&records), 1);
    }

    #[test]
    fn without_an_exchange_the_dead_are_settled_at_once() {
        let mut queue = queue(false, None);
        let mut records = Vec::new();
        queue.enqueue(persistent(&["a"]), NOW, &mut records);
        let range = queue.get(false, NOW, &mut records).expect("a message");
        queue.reject(vec![range], NOW, &mut records);
        assert_eq!(settled(&records), 1);
        assert!(!queue.has_dead());
    }

    #[test]
    fn expired_messages_die_in_order() {
        let mut queue = queue(true, Some(10));
        let mut records = Vec::new();
        queue.enqueue(persistent(&["a"]), NOW, &mut records);
        queue.enqueue(persistent(&["b"]), NOW + 1, &mut records);
        queue.enqueue(persistent(&["c"]), NOW + 2, &mut records);
        queue.tick(NOW + 11, &mut records);
        let dead = queue.take_dead();
        assert_eq!(bodies(&dead), [b"a", b"b"]);
        assert!(dead.iter().all(|dead| dead.reason == Reason::Expired));
        assert_eq!(queue.counts().ready, 1);
    }

    #[test]
    fn the_dead_stay_while_the_queue_is_held() {
        let mut queue = queue(true, Some(0));
        let mut records = Vec::new();
        queue.hold();
        queue.enqueue(persistent(&["a"]), NOW, &mut records);
        queue.tick(NOW, &mut records);
        assert!(!queue.has_dead());
        assert!(queue.take_dead().is_empty());
        queue.release(NOW, &mut records);
        assert_eq!(bodies(&queue.take_dead()), [b"a"]);
    }

    #[test]
    fn what_must_reach_a_queue_waits_for_the_next_attempt() {
        let arguments = QueueArguments {
            dead_letter: Some(DeadLetter {
                exchange: ExchangeName::known("dlx"),
                routing_key: None,
            }),
            dead_letter_surely: true,
            limits: crate::queue::Limits {
                length: Some(2),
                overflow: crate::queue::Overflow::RejectPublish,
                ..crate::queue::Limits::default()
            },
            ..QueueArguments::default()
        };
        let options = QueueOptions {
            durable: true,
            arguments,
            ..QueueOptions::default()
        };
        let mut queue = Queue::new(QueueId(7), options, Position(1), NOW);
        let mut records = Vec::new();
        queue.enqueue(persistent(&["a"]), NOW, &mut records);
        let range = queue.get(false, NOW, &mut records).expect("a message");
        queue.reject(vec![range], NOW, &mut records);
        let dead = queue.take_dead();
        let attempt = |at| Attempt {
            at,
            reached: Vec::new(),
        };
        assert_eq!(dead[0].attempt, Some(attempt(NOW)));
        queue.keep_dead(dead);
        assert!(!queue.has_dead());
        assert_eq!(queue.next_deadline(), Some(NOW + RETRY_MS));
        let refused = queue.enqueue(persistent(&["b", "c"]), NOW, &mut records);
        assert!(refused.into_iter().flatten().eq([1]), "it takes room");

        queue.tick(NOW + RETRY_MS, &mut records);
        let dead = queue.take_dead();
        assert_eq!((bodies(&dead), dead[0].at), (vec![&b"a"[..]], NOW));
        assert_eq!(dead[0].attempt, Some(attempt(NOW + RETRY_MS)));
        queue.settle_dead(&dead, &mut records);
        assert_eq!((settled(&records), queue.next_deadline()), (1, None));
        let refused = queue.enqueue(persistent(&["c"]), NOW, &mut records);
        assert!(refused.is_empty());
    }

    #[test]
    fn what_dies_meanwhile_does_not_put_off_the_next_attempt() {
        let mut queue = queue(true, None);
        queue.options.arguments.dead_letter_surely = true;
        let mut records = Vec::new();
        for at in [NOW, NOW + 1, NOW + RETRY_MS - 1] {
            queue.enqueue(persistent(&["a"]), at, &mut records);
            let range = queue.get(false, at, &mut records).expect("a message");
            queue.reject(vec![range], at, &mut records);
            let dead = queue.take_dead();
            queue.keep_dead(dead);
        }
        assert_eq!(queue.next_deadline(), Some(NOW + RETRY_MS));
    }

    #[test]
    fn a_deleted_queue_settles_nothing() {
        let mut queue = queue(true, None);
        let mut records = Vec::new();
        queue.enqueue(persistent(&["a"]), NOW, &mut records);
        let range = queue.get(false, NOW, &mut records).expect("a message");
        queue.reject(vec![range], NOW, &mut records);
        let dead = queue.take_dead();
        queue.delete(&mut records);
        queue.settle_dead(&dead, &mut records);
        assert_eq!(settled(&records), 0);
    }
}
