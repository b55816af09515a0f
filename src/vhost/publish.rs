//! From an exchange to the queues: asks `routing`, follows bindings between exchanges and alternate exchanges
//! (spec §5.2), enqueues.

use std::ops::Range;
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use crate::model::Lsn;
use crate::model::Run;
use crate::protocol::properties;
use crate::routing::Kind;
use crate::vhost::Destination;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;

/// Where messages with one exchange and routing key go.
#[derive(Debug, Clone)]
pub struct Route {
    /// The queues, each once.
    pub queues: Arc<[Arc<QueueHandle>]>,
    /// It depends on the headers too: each message must be routed by itself.
    pub by_headers: bool,
}

impl Vhost {
    /// Routes. `headers` are only looked at by headers exchanges.
    pub fn route(
        &self,
        exchange: &Arc<Exchange>,
        key: &str,
        headers: Option<&FieldTable>,
    ) -> Route {
        self.route_all(exchange, &[key], headers)
    }

    /// Routes a message with several routing keys: to wherever one of them leads, to each queue once.
    pub fn route_all(
        &self,
        exchange: &Arc<Exchange>,
        keys: &[&str],
        headers: Option<&FieldTable>,
    ) -> Route {
        let mut queues: Vec<Arc<QueueHandle>> = Vec::new();
        let mut visited = vec![exchange.id];
        let mut to_visit = vec![Arc::clone(exchange)];
        let mut by_headers = false;
        let mut matched = Vec::new();
        while let Some(exchange) = to_visit.pop() {
            by_headers |= exchange.kind == Kind::Headers;
            if exchange.is_default() {
                let queues = keys.iter().filter_map(|key| self.queue(key));
                matched.extend(queues.map(Destination::Queue));
            } else {
                let router = exchange.router.read();
                for key in keys {
                    router.route(key, headers, &mut matched);
                }
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
            by_headers,
        }
    }
}

impl Vhost {
    /// Publishes what the node itself has to say: messages of one exchange and routing key, which ask for nothing.
    /// Whatever a queue refuses is lost.
    pub fn announce(&self, exchange: &Arc<Exchange>, run: &Run, now: u64) {
        let key = run.first().routing_key();
        let route = self.route(exchange, key, None);
        if !route.by_headers {
            enqueue(&route.queues, run, now);
            return;
        }
        for (index, message) in run.iter().enumerate() {
            let headers = properties::headers(message.header());
            let route = self.route(exchange, key, headers.as_ref());
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

/// Enqueues into each queue.
pub fn enqueue(queues: &[Arc<QueueHandle>], run: &Run, now: u64) -> Enqueued {
    let mut enqueued = Enqueued::default();
    for queue in queues {
        let (refused, lsn) = queue.enter(|state, records| {
            (!state.is_deleted()).then(|| state.enqueue(run.clone(), now, records))
        });
        enqueued.commit = enqueued.commit.max(lsn);
        if let Some(refused) = refused {
            enqueued.taken = true;
            enqueued.refused = union(std::mem::take(&mut enqueued.refused), refused);
        }
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
