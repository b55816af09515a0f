//! What the broker owes us: every message we published, queue by queue, and what we know of it.
//!
//! The ledger knows no sockets. A message is entered for its queues before it is sent; a confirm
//! makes it owed; an ack, entered before it is sent, makes it one that may be gone. After a crash
//! the ledger judges what a drained queue holds.
//!
//! ```text
//!  published ──confirm──► owed ──┐
//!      └───────────ack───────────┴──ack──► acked ──safe, or not found by a drain──► forgotten
//! ```

use crate::message::MessageId;
use std::collections::BTreeMap;
use std::collections::HashMap;

/// A queue's index in the topology.
pub(crate) type QueueIndex = usize;

/// One life of the broker's process, counted from its first start.
pub(crate) type Incarnation = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Sent, perhaps; whether it is there we learn from the queue.
    Published,
    /// Confirmed and not acked: it must be there.
    Owed,
    /// An ack was sent in this life of the broker; after a crash it may be there again.
    Acked(Incarnation),
}

/// One message as it came out of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// `None`: the body is none that we ever made.
    pub(crate) id: Option<MessageId>,
    pub(crate) redelivered: bool,
}

/// Everything published and not yet known to be gone.
pub(crate) struct Ledger {
    queues: Vec<BTreeMap<MessageId, Standing>>,
    pub(crate) incarnation: Incarnation,
    pub(crate) confirmed_count: u64,
    pub(crate) acked_count: u64,
    /// Acked before a crash and there again: allowed, and worth a number.
    pub(crate) returned_count: u64,
    problems: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(queue_count: usize) -> Self {
        Self {
            queues: vec![BTreeMap::new(); queue_count],
            incarnation: 0,
            confirmed_count: 0,
            acked_count: 0,
            returned_count: 0,
            problems: Vec::new(),
        }
    }

    /// Notes something wrong.
    pub(crate) fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// What went wrong since the last call.
    pub(crate) fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    /// The message is about to be sent towards these queues.
    pub(crate) fn publishing(&mut self, id: MessageId, targets: &[QueueIndex]) {
        for queue in targets {
            self.queues[*queue].insert(id, Standing::Published);
        }
    }

    /// The broker took responsibility for it in these queues.
    pub(crate) fn confirmed(&mut self, id: MessageId, targets: &[QueueIndex]) {
        self.confirmed_count += 1;
        for queue in targets {
            if let Some(standing @ Standing::Published) = self.queues[*queue].get_mut(&id) {
                *standing = Standing::Owed;
            }
        }
    }

    /// An ack for it is about to be sent.
    pub(crate) fn acking(&mut self, queue: QueueIndex, id: MessageId) {
        self.acked_count += 1;
        self.queues[queue].insert(id, Standing::Acked(self.incarnation));
    }

    /// These were settled before something that is safe: they must never come back.
    pub(crate) fn gone(&mut self, queue: QueueIndex, ids: &[MessageId]) {
        for id in ids {
            self.queues[queue].remove(id);
        }
    }

    /// A message was delivered: may it be there at all?
    pub(crate) fn arrived(&mut self, queue: QueueIndex, arrival: Arrival) -> Option<MessageId> {
        let Some(id) = arrival.id else {
            self.problem(format!(
                "queue {queue}: a body that nobody published, or a damaged one"
            ));
            return None;
        };
        match self.queues[queue].get(&id) {
            None => self.problem(format!(
                "queue {queue}: {id} was never sent here, or was gone"
            )),
            Some(Standing::Acked(incarnation)) if *incarnation == self.incarnation => {
                self.problem(format!(
                    "queue {queue}: {id} was delivered again after its ack"
                ));
            }
            Some(Standing::Acked(_)) => self.returned_count += 1,
            Some(Standing::Published | Standing::Owed) => {}
        }
        Some(id)
    }

    /// How many messages the queue may hold: from all that are owed to all that may be there.
    pub(crate) fn count_range(&self, queue: QueueIndex) -> std::ops::RangeInclusive<usize> {
        let owed = self.queues[queue]
            .values()
            .filter(|standing| **standing == Standing::Owed);
        owed.count()..=self.queues[queue].len()
    }

    /// Judges all that a queue held after a restart, in the order it came; it is acked by then.
    pub(crate) fn drained(&mut self, queue: QueueIndex, arrivals: &[Arrival]) {
        let mut found = BTreeMap::new();
        let mut last_of_publisher: HashMap<u16, MessageId> = HashMap::new();
        for arrival in arrivals {
            let Some(id) = self.arrived(queue, *arrival) else {
                continue;
            };
            if found
                .insert(id, Standing::Acked(self.incarnation))
                .is_some()
            {
                self.problem(format!("queue {queue}: {id} is there twice"));
            } else if let Some(before) = last_of_publisher.insert(id.publisher, id)
                && before > id
            {
                self.problem(format!("queue {queue}: {id} comes after {before}"));
            }
        }
        let lost: Vec<MessageId> = self.queues[queue]
            .iter()
            .filter(|(id, standing)| **standing == Standing::Owed && !found.contains_key(id))
            .map(|(id, _)| *id)
            .collect();
        if let [first, ..] = lost[..] {
            let (count, last) = (lost.len(), lost[lost.len() - 1]);
            self.problem(format!(
                "queue {queue}: {count} confirmed messages are lost, {first} to {last}"
            ));
        }
        self.queues[queue] = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> MessageId {
        MessageId {
            publisher: 1,
            sequence,
        }
    }

    fn arrivals(sequences: &[u64]) -> Vec<Arrival> {
        sequences
            .iter()
            .map(|sequence| Arrival {
                id: Some(id(*sequence)),
                redelivered: false,
            })
            .collect()
    }

    /// Four messages: 1 and 2 confirmed, 3 confirmed and acked, 4 not confirmed; then a crash.
    fn after_a_crash() -> Ledger {
        let mut ledger = Ledger::new(1);
        for sequence in 1..=4 {
            ledger.publishing(id(sequence), &[0]);
        }
        for sequence in 1..=3 {
            ledger.confirmed(id(sequence), &[0]);
        }
        ledger.acking(0, id(3));
        ledger.incarnation += 1;
        ledger
    }

    #[track_caller]
    fn check_drain(sequences: &[u64], wanted: &[&str]) {
        let mut ledger = after_a_crash();
        ledger.drained(0, &arrivals(sequences));
        assert_eq!(ledger.take_problems(), wanted);
    }

    #[test]
    fn the_owed_must_be_there_the_others_may() {
        assert_eq!(after_a_crash().count_range(0), 2..=4);
        check_drain(&[1, 2], &[]);
        check_drain(&[1, 2, 3], &[]);
        check_drain(&[1, 2, 3, 4], &[]);
        check_drain(&[1, 2, 4], &[]);
    }

    #[test]
    fn a_lost_message_is_a_problem() {
        check_drain(
            &[1, 3],
            &["queue 0: 1 confirmed messages are lost, 1/2 to 1/2"],
        );
        check_drain(&[], &["queue 0: 2 confirmed messages are lost, 1/1 to 1/2"]);
    }

    #[test]
    fn order_and_doubles_are_problems() {
        check_drain(&[2, 1], &["queue 0: 1/1 comes after 1/2"]);
        check_drain(&[1, 2, 2], &["queue 0: 1/2 is there twice"]);
    }

    #[test]
    fn a_message_never_published_is_a_problem() {
        check_drain(
            &[1, 2, 9],
            &["queue 0: 1/9 was never sent here, or was gone"],
        );
        let mut ledger = after_a_crash();
        ledger.arrived(
            0,
            Arrival {
                id: None,
                redelivered: false,
            },
        );
        assert_eq!(ledger.take_problems().len(), 1);
    }

    #[test]
    fn what_a_drain_did_not_find_may_not_come_later() {
        let mut ledger = after_a_crash();
        ledger.drained(0, &arrivals(&[1, 2]));
        ledger.incarnation += 1;
        ledger.drained(0, &arrivals(&[2, 4]));
        assert_eq!(
            ledger.take_problems(),
            ["queue 0: 1/4 was never sent here, or was gone"],
            "2 was acked by the first drain and may come again, 4 was known to be gone"
        );
    }

    #[test]
    fn what_is_gone_may_not_come_back() {
        let mut ledger = after_a_crash();
        ledger.gone(0, &[id(3)]);
        assert_eq!(ledger.count_range(0), 2..=3);
        ledger.drained(0, &arrivals(&[1, 2, 3]));
        assert_eq!(
            ledger.take_problems(),
            ["queue 0: 1/3 was never sent here, or was gone"]
        );
    }

    #[test]
    fn a_delivery_after_the_ack_is_a_problem_only_without_a_crash() {
        let mut ledger = after_a_crash();
        ledger.arrived(
            0,
            Arrival {
                id: Some(id(3)),
                redelivered: true,
            },
        );
        assert!(ledger.take_problems().is_empty());
        ledger.acking(0, id(3));
        ledger.arrived(
            0,
            Arrival {
                id: Some(id(3)),
                redelivered: true,
            },
        );
        assert_eq!(ledger.take_problems().len(), 1);
    }
}
