//! `tx.commit`: everything a transaction does, on however many queues, is handed to the store as one batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Delivered;
use crate::model::Lsn;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::Store;
use crate::vhost::QueueHandle;
use crate::vhost::Sightings;

/// A queue is too full for what a transaction would enqueue in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

enum Step {
    /// With the id of the exchange that the messages were published to.
    Enqueue(Run, u64),
    Settle(Vec<Delivered>),
    Reject(Vec<Delivered>),
}

/// Gathers what a transaction does, queue by queue. Nothing of it has happened before [`Transaction::commit`].
#[derive(Default)]
pub struct Transaction {
    queues: BTreeMap<QueueId, (Arc<QueueHandle>, Vec<Step>)>,
    seen: Vec<Arc<Sightings>>,
}

impl Transaction {
    /// Enqueues in each of the queues that is not deleted by the time of the commit what was published to the exchange of this id.
    pub fn enqueue(&mut self, queues: &[Arc<QueueHandle>], run: &Run, exchange: u64) {
        for queue in queues {
            let step = Step::Enqueue(run.clone(), exchange);
            self.steps(queue).push(step);
        }
    }

    /// Stores what was seen on the way of its messages.
    pub fn remember(&mut self, sightings: &Arc<Sightings>) {
        self.seen.push(Arc::clone(sightings));
    }

    /// Refuses deliveries of one queue for good: they go to its dead-letter exchange after the commit, or nowhere.
    pub fn reject(&mut self, queue: &Arc<QueueHandle>, ranges: Vec<Delivered>) {
        self.steps(queue).push(Step::Reject(ranges));
    }

    /// Acknowledges deliveries of one queue.
    pub fn settle(&mut self, queue: &Arc<QueueHandle>, ranges: Vec<Delivered>) {
        self.steps(queue).push(Step::Settle(ranges));
    }

    fn steps(&mut self, queue: &Arc<QueueHandle>) -> &mut Vec<Step> {
        let entry = self.queues.entry(queue.id);
        let (_, steps) = entry.or_insert_with(|| (Arc::clone(queue), Vec::new()));
        steps
    }

    /// Does everything, hands it to the store, and only then lets the queues deliver. Answers what `commit-ok` waits
    /// for. Does nothing when a queue is too full for what it should take.
    pub fn commit(self, store: &Store, now: u64) -> Result<Lsn, Refused> {
        let mut records = Vec::new();
        let mut held = Held {
            queues: Vec::with_capacity(self.queues.len()),
            now,
        };
        for (queue, steps) in self.queues.values().filter(|(queue, _)| queue.refuses()) {
            let (count, body_bytes) = enqueued(steps);
            let mut has_room = true;
            held.queues.push(Arc::clone(queue));
            // Held until everything is done, so that nobody takes the room; but another transaction at the same moment,
            // which finds the same room: for the sake of both the queue may then grow beyond its limit.
            queue.enter_held(&mut records, |state, _| {
                has_room = state.is_deleted() || state.has_room(count, body_bytes);
            });
            if !has_room {
                return Err(Refused);
            }
        }
        for (queue, steps) in self.queues.into_values() {
            held.queues.push(Arc::clone(&queue));
            queue.enter_held(&mut records, |state, records| {
                for step in steps {
                    match step {
                        Step::Enqueue(..) if state.is_deleted() => {}
                        Step::Enqueue(run, exchange) => {
                            state.published(exchange, run.len());
                            state.accept(run, now, records);
                        }
                        Step::Settle(ranges) => state.settle(&ranges, now, records),
                        Step::Reject(ranges) => state.reject(ranges, now, records),
                    }
                }
            });
        }
        for sightings in &self.seen {
            sightings.store(&mut records);
        }
        let commit = store.append(records);
        for sightings in &self.seen {
            sightings.stored(commit);
        }
        Ok(commit)
    }
}

/// How many messages the steps enqueue, and the bytes of their bodies.
fn enqueued(steps: &[Step]) -> (u64, u64) {
    let runs = steps.iter().filter_map(|step| match step {
        Step::Enqueue(run, _) => Some(run),
        Step::Settle(_) | Step::Reject(_) => None,
    });
    runs.fold((0, 0), |(count, bytes), run| {
        (count + run.len() as u64, bytes + run.body_bytes())
    })
}

/// Queues that deliver nothing until this is dropped.
struct Held {
    queues: Vec<Arc<QueueHandle>>,
    now: u64,
}

impl Drop for Held {
    /// However the commit ended: a queue that stays held delivers nothing ever again, and whoever enters it waits.
    fn drop(&mut self) {
        let mut with_dead = std::mem::take(&mut self.queues);
        with_dead.retain(|queue| queue.release(self.now));
        // Only now, for a dead message may go to another queue that was held.
        for queue in with_dead {
            queue.dead_letter();
        }
    }
}
