//! From an exchange to the queues: asks `routing`, follows bindings between exchanges and alternate exchanges
//! (spec §5.2), enqueues.

use std::ops::Range;
use std::sync::Arc;

use crate::model::Lsn;
use crate::model::Run;
use crate::vhost::Destination;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
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
        self.walk(exchange, keys, None)
    }

    /// Where one message goes. Exchanges on its way that remember messages remember it: to be called once for each.
    pub fn route_letter(&self, exchange: &Arc<Exchange>, letter: &Letter<'_>) -> Route {
        self.walk(exchange, letter.keys, Some(letter))
    }

    fn walk(&self, exchange: &Arc<Exchange>, keys: &[&str], letter: Option<&Letter<'_>>) -> Route {
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
            let route = self.route_letter(exchange, &Letter::new(message, &keys, now));
            enqueue(&route.queues, &run.slice(index..index + 1), now);
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
}

/// Enqueues into each queue. What dies of it in one is dead-lettered when all have got theirs, as in RabbitMQ: it may
/// come to another of them.
pub fn enqueue(queues: &[Arc<QueueHandle>], run: &Run, now: u64) -> Enqueued {
    let mut enqueued = Enqueued::default();
    let mut with_dead = Vec::new();
    for queue in queues {
        let (refused, lsn, has_dead) = queue.enter_gathering(|state, records| {
            (!state.is_deleted()).then(|| state.enqueue(run.clone(), now, records))
        });
        if has_dead {
            with_dead.push(queue);
        }
        enqueued.commit = enqueued.commit.max(lsn);
        if let Some(refused) = refused {
            enqueued.taken |= queue.delays_for.is_none();
            enqueued.refused = union(std::mem::take(&mut enqueued.refused), refused);
        }
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
