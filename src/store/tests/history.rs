//! Random histories of a broker, and a model that says what a store must hold after each of them.
//!
//! The model knows positions and bodies, not blobs, groups or files.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::messages;
use super::run_of;
use crate::model::Position;
use crate::model::QueueId;
use crate::store::Definition;
use crate::store::Record;
use crate::store::Recovered;
use crate::store::Store;

/// A step of a history. Queues are slots: a slot whose queue is deleted gets a new queue.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Publish messages of these sizes to some of the slots, past a number of transient messages.
    Publish {
        slots: [bool; SLOTS],
        sizes: Vec<usize>,
        transient: u64,
    },
    /// Publish twice to one slot and hand the second over first.
    PublishSwapped {
        slot: usize,
        sizes: Vec<usize>,
    },
    /// Settle positions from a share (in 1/256) of the queue on.
    Settle {
        slot: usize,
        from: u8,
        count: u64,
    },
    Purge {
        slot: usize,
    },
    Delete {
        slot: usize,
    },
    Define {
        key: u8,
        value: Vec<u8>,
    },
    Undefine {
        key: u8,
    },
    /// Hand over what was done since the last commit in one batch; wait for it or not.
    Commit {
        wait: bool,
    },
}

const SLOTS: usize = 3;

/// Steps as a broker might take them.
pub(super) fn steps(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![9 => 0usize..300, 2 => 1_000usize..9_000, 1 => 16_000usize..40_000];
    let sizes = prop::collection::vec(size, 1..12);
    let step = prop_oneof![
        8 => (any::<[bool; SLOTS]>(), sizes.clone(), 0u64..3)
            .prop_map(|(slots, sizes, transient)| Step::Publish { slots, sizes, transient }),
        2 => (0..SLOTS, sizes).prop_map(|(slot, sizes)| Step::PublishSwapped { slot, sizes }),
        8 => (0..SLOTS, any::<u8>(), 1u64..20)
            .prop_map(|(slot, from, count)| Step::Settle { slot, from, count }),
        4 => (0..SLOTS, 1u64..10).prop_map(|(slot, count)| Step::Settle { slot, from: 0, count }),
        1 => (0..SLOTS).prop_map(|slot| Step::Purge { slot }),
        1 => (0..SLOTS).prop_map(|slot| Step::Delete { slot }),
        2 => (0u8..6, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(key, value)| Step::Define { key, value }),
        1 => (0u8..6).prop_map(|key| Step::Undefine { key }),
        8 => any::<bool>().prop_map(|wait| Step::Commit { wait }),
    ];
    prop::collection::vec(step, count)
}

/// Turns steps into records with real queues and positions.
#[derive(Debug)]
pub(super) struct Broker {
    queues: [QueueId; SLOTS],
    next: [u64; SLOTS],
    last_queue: u64,
    published: usize,
    batch: Vec<Record>,
}

impl Broker {
    pub(super) fn new() -> Self {
        let queues = [1, 2, 3].map(QueueId);
        Self {
            queues,
            next: [1; SLOTS],
            last_queue: 3,
            published: 0,
            batch: Vec::new(),
        }
    }

    /// Takes a step; a finished batch and whether to wait for it.
    pub(super) fn step(&mut self, step: &Step) -> Option<(Vec<Record>, bool)> {
        match step {
            Step::Publish {
                slots,
                sizes,
                transient,
            } => {
                let slots: Vec<_> = (0..SLOTS).filter(|slot| slots[*slot]).collect();
                for slot in &slots {
                    self.next[*slot] += transient;
                }
                let put = self.put(&slots, sizes);
                self.batch.push(put);
            }
            Step::PublishSwapped { slot, sizes } => {
                let (first, second) = (self.put(&[*slot], sizes), self.put(&[*slot], sizes));
                self.batch.extend([second, first]);
            }
            Step::Settle { slot, from, count } => {
                let next = self.next[*slot];
                let first = 1 + (next - 1) * u64::from(*from) / 256;
                let (queue, count) = (self.queues[*slot], (*count).min(next - first));
                self.batch.push(Record::Settle {
                    queue,
                    first: Position(first),
                    count,
                });
            }
            Step::Purge { slot } => {
                let (queue, end) = (self.queues[*slot], self.next[*slot]);
                let ranges = vec![end / 2..end, 1..end / 2];
                self.batch.push(Record::Purge { queue, ranges });
            }
            Step::Delete { slot } => {
                self.batch.push(Record::DeleteQueue {
                    queue: self.queues[*slot],
                });
                self.last_queue += 1;
                self.queues[*slot] = QueueId(self.last_queue);
                self.next[*slot] = 1;
            }
            Step::Define { key, value } => {
                let (kind, key, value) = (key % 2, vec![*key], value.clone());
                self.batch.push(Record::Define { kind, key, value });
            }
            Step::Undefine { key } => {
                self.batch.push(Record::Undefine {
                    kind: key % 2,
                    key: vec![*key],
                });
            }
            Step::Commit { wait } => return Some((std::mem::take(&mut self.batch), *wait)),
        }
        None
    }

    fn put(&mut self, slots: &[usize], sizes: &[usize]) -> Record {
        let bodies = sizes.iter().map(|size| {
            self.published += 1;
            let mut body = self.published.to_le_bytes().repeat(size / 8);
            body.extend_from_slice(&vec![self.published as u8; size % 8]);
            body
        });
        let run = run_of(&bodies.collect::<Vec<_>>());
        let targets = slots.iter().map(|slot| {
            let first = self.next[*slot];
            self.next[*slot] += sizes.len() as u64;
            (self.queues[*slot], Position(first))
        });
        let targets = targets.collect();
        Record::Put {
            run,
            targets,
            enqueued_at: self.published as u64,
        }
    }
}

/// What a store must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    messages: BTreeMap<(u64, u64), Vec<u8>>,
    settled: BTreeSet<(u64, u64)>,
    /// First position never put, by queue.
    next: BTreeMap<u64, u64>,
    definitions: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
}

impl Model {
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Put { run, targets, .. } => {
                for (queue, first) in targets {
                    for (position, message) in (first.0..).zip(run.iter()) {
                        if !self.settled.contains(&(queue.0, position)) {
                            self.messages
                                .insert((queue.0, position), message.body().to_vec());
                        }
                    }
                    let next = self.next.entry(queue.0).or_default();
                    *next = (*next).max(first.0 + run.len() as u64);
                }
            }
            Record::Settle {
                queue,
                first,
                count,
            } => {
                self.settle(queue.0, first.0..first.0 + count);
            }
            Record::Purge { queue, ranges } => {
                for range in ranges {
                    self.settle(queue.0, range.clone());
                }
            }
            Record::DeleteQueue { queue } => {
                self.messages.retain(|(of, _), _| *of != queue.0);
                self.next.remove(&queue.0);
            }
            Record::Define { kind, key, value } => {
                self.definitions.insert((*kind, key.clone()), value.clone());
            }
            Record::Undefine { kind, key } => {
                self.definitions.remove(&(*kind, key.clone()));
            }
        }
    }

    /// Positions and bodies of a queue's messages in a window.
    pub(super) fn window(
        &self,
        queue: u64,
        positions: std::ops::Range<u64>,
    ) -> Vec<(u64, Vec<u8>)> {
        self.messages
            .range((queue, positions.start)..(queue, positions.end))
            .map(|((_, at), body)| (*at, body.clone()))
            .collect()
    }

    fn settle(&mut self, queue: u64, positions: std::ops::Range<u64>) {
        for position in positions {
            self.messages.remove(&(queue, position));
            self.settled.insert((queue, position));
        }
    }
}

/// What a store holds, read with its public interface.
#[derive(Debug)]
pub(super) struct Content {
    messages: BTreeMap<(u64, u64), Vec<u8>>,
    next: BTreeMap<u64, u64>,
    definitions: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
}

impl Content {
    pub(super) fn of(store: &Store, recovered: &Recovered) -> Content {
        let mut content = Content {
            messages: BTreeMap::new(),
            next: BTreeMap::new(),
            definitions: BTreeMap::new(),
        };
        for queue in &recovered.queues {
            let stored = messages(store, queue.queue.0);
            assert_eq!(
                stored.len() as u64,
                queue.messages,
                "counted as many as there are"
            );
            assert!(stored.is_sorted_by_key(|(position, _)| *position));
            let next = store.load(queue.queue).expect("readable").next;
            assert_eq!(next, queue.next);
            assert!(stored.last().is_none_or(|(last, _)| *last < next.0));
            content.next.insert(queue.queue.0, next.0);
            let places = stored
                .into_iter()
                .map(|(at, body)| ((queue.queue.0, at), body));
            content.messages.extend(places);
        }
        for Definition { kind, key, value } in &recovered.definitions {
            content
                .definitions
                .insert((*kind, key.clone()), value.clone());
        }
        content
    }

    /// Why this is not what the model says; positions may have been skipped.
    pub(super) fn difference(&self, model: &Model) -> Option<String> {
        if self.definitions != model.definitions {
            return Some(format!(
                "definitions {:?}, not {:?}",
                self.definitions, model.definitions
            ));
        }
        if self.messages != model.messages {
            let (is, wanted): (BTreeSet<_>, BTreeSet<_>) = (
                self.messages.keys().collect(),
                model.messages.keys().collect(),
            );
            let lost: Vec<_> = wanted.difference(&is).collect();
            let back: Vec<_> = is.difference(&wanted).collect();
            return Some(format!("lost {lost:?}, back {back:?}, else other bodies"));
        }
        let reused = |(queue, next): &(&u64, &u64)| self.next.get(queue).is_none_or(|is| is < next);
        let reused: Vec<_> = model.next.iter().filter(reused).collect();
        if reused.is_empty() {
            None
        } else {
            Some(format!("positions would be used again: {reused:?}"))
        }
    }
}
