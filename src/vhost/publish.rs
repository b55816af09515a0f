//! From an exchange to the queues: asks `routing`, follows bindings between exchanges and alternate exchanges
//! (spec §5.2), enqueues.

use std::ops::Range;
use std::sync::Arc;

use crate::model::Lsn;
use crate::model::Run;
use crate::vhost::Destination;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Sightings;
use crate::vhost::Vhost;
use crate::vhost::letter::Letter;

/// Where messages with one exchange and routing key go.
#[derive(Debug, Clone)]
pub struct Route {
    /// The queues, each once.
    pub queues: Arc<[Arc<QueueHandle>]>,
    /// Exchange and key do not decide: each message must be routed by itself, by [`Vhost::route_letter`].
    pub each_message: bool,
}

impl Route {
    /// Whether a queue gets the messages now; one that is delayed counts as unroutable, as in RabbitMQ.
    pub fn is_routed(&self) -> bool {
        self.queues.iter().any(|queue| queue.delays_for.is_none())
    }

    /// As [`Route::is_routed`], where time has passed since the routing: queues deleted meanwhile do not count.
    pub fn is_routed_still(&self) -> bool {
        let mut now = self
            .queues
            .iter()
            .filter(|queue| queue.delays_for.is_none());
        now.any(|queue| !queue.is_deleted())
    }

    /// Names of the queues that get the messages now.
    pub fn queue_names(&self) -> impl Iterator<Item = &str> {
        let now = self
            .queues
            .iter()
            .filter(|queue| queue.delays_for.is_none());
        now.map(|queue| &*queue.name)
    }
}

impl Vhost {
    /// Where all messages with these keys go, or that each must be asked for.
    pub fn route(&self, exchange: &Arc<Exchange>, keys: &[&str]) -> Route {
        self.walk(exchange, keys, None, &mut Sightings::default())
    }

    /// Where one message goes. Exchanges on its way that remember messages remember it: to be called once for each.
    /// What of that is to be stored is added to `sightings`, for [`enqueue_seen`].
    pub fn route_letter(
        &self,
        exchange: &Arc<Exchange>,
        letter: &Letter<'_>,
        sightings: &mut Sightings,
    ) -> Route {
        self.walk(exchange, letter.keys, Some(letter), sightings)
    }

    fn walk(
        &self,
        exchange: &Arc<Exchange>,
        keys: &[&str],
        letter: Option<&Letter<'_>>,
        sightings: &mut Sightings,
    ) -> Route {
        let mut queues: Vec<Arc<QueueHandle>> = Vec::new();
        let mut visited = vec![exchange.id];
        let mut to_visit = vec![Arc::clone(exchange)];
        let mut each_message = false;
        let mut matched = Vec::new();
        while let Some(exchange) = to_visit.pop() {
            if exchange.behaviour.routes_each_message() {
                if letter.is_none() {
                    return Route {
                        queues: [].into(),
                        each_message: true,
                    };
                }
                each_message = true;
            }
            if let Some(line) = exchange.behaviour.delays(letter) {
                queues.push(Arc::clone(line));
                continue;
            }
            if exchange.is_default() {
                let queues = keys.iter().filter_map(|key| self.queue(key));
                matched.extend(queues.map(Destination::Queue));
            } else {
                let router = exchange.router.read();
                let letter = letter.map(|letter| (letter, &mut *sightings));
                exchange
                    .behaviour
                    .route(&router, keys, letter, &mut matched);
            }
            if matched.is_empty() {
                let alternate = exchange.alternate();
                let alternate = alternate.and_then(|name| self.exchange(&name));
                matched.extend(alternate.map(Destination::Exchange));
            }
            for destination in matched.drain(..) {
                match destination {
                    Destination::Queue(queue) => queues.push(queue),
                    Destination::Exchange(next) => {
                        if !visited.contains(&next.id) {
                            visited.push(next.id);
                            to_visit.push(next);
                        }
                    }
                }
            }
        }
        queues.sort_unstable_by_key(|queue| queue.id);
        queues.dedup_by_key(|queue| queue.id);
        Route {
            queues: queues.into(),
            each_message,
        }
    }
}

impl Vhost {
    /// Publishes what the node itself has to say: messages of one exchange and routing key, which ask for nothing.
    /// Whatever a queue refuses is lost.
    pub fn announce(&self, exchange: &Arc<Exchange>, run: &Run, now: u64) {
        let key = run.first().routing_key();
        let keys = [key];
        let route = self.route(exchange, &keys);
        if !route.each_message {
            enqueue(&route.queues, run, now);
            return;
        }
        for (index, message) in run.iter().enumerate() {
            let mut seen = Sightings::default();
            let route = self.route_letter(exchange, &Letter::new(message, &keys, now), &mut seen);
            enqueue_seen(
                &route.queues,
                &run.slice(index..index + 1),
                now,
                &seen,
                None,
            );
        }
    }
}

/// What became of a run in the queues that it was routed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enqueued {
    /// There was a queue for it (one may have been deleted since it was routed to), full or not.
    pub taken: bool,
    /// Messages, as indexes into the run, that at least one queue was too full for; ascending.
    pub refused: Vec<Range<usize>>,
    /// What their confirms wait for.
    pub commit: Lsn,
    /// A queue has more than it would like, and consumers: its publisher may have to wait.
    pub brimming: bool,
}

/// Enqueues into each queue. What dies of it in one is dead-lettered when all have got theirs, as in RabbitMQ: it may
/// come to another of them.
pub fn enqueue(queues: &[Arc<QueueHandle>], run: &Run, now: u64) -> Enqueued {
    enqueue_seen(queues, run, now, &Sightings::default(), None)
}

/// Enqueues into each queue, and stores what was seen on the messages' way there. `published` is the exchange that a client has
/// published them to.
pub fn enqueue_seen(
    queues: &[Arc<QueueHandle>],
    run: &Run,
    now: u64,
    sightings: &Sightings,
    published: Option<&Exchange>,
) -> Enqueued {
    let mut enqueued = Enqueued::default();
    let mut with_dead = Vec::new();
    for (index, queue) in queues.iter().enumerate() {
        let is_last = index + 1 == queues.len();
        let (refused, lsn, has_dead) = queue.enter_gathering(|state, records| {
            let refused = (!state.is_deleted()).then(|| {
                if let Some(exchange) = published {
                    state.published(exchange.id, run.len());
                }
                state.enqueue(run.clone(), now, records)
            });
            enqueued.brimming |= state.is_brimming();
            if is_last {
                sightings.store(records);
            }
            refused
        });
        if has_dead {
            with_dead.push(queue);
        }
        if is_last {
            sightings.stored(lsn);
        }
        enqueued.commit = enqueued.commit.max(lsn);
        if let Some(refused) = refused {
            enqueued.taken |= queue.delays_for.is_none();
            enqueued.refused = union(std::mem::take(&mut enqueued.refused), refused);
        }
    }
    if queues.is_empty() {
        enqueued.commit = sightings.store_alone();
    }
    for queue in with_dead {
        queue.dead_letter();
    }
    enqueued
}

/// The ranges of both, ascending and apart.
fn union(mut left: Vec<Range<usize>>, right: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if left.is_empty() || right.is_empty() {
        left.extend(right);
        return left;
    }
    left.extend(right);
    left.sort_unstable_by_key(|range| range.start);
    left.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    left
}
