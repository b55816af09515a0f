//! Dead messages go to the dead-letter exchange of their queue (specification §6.7).
//!
//! The copies are handed to the store before the originals are settled there: a crash in between delivers a message
//! twice, never not at all. No queue's lock is held while another's is taken. What dies in the target queues (a limit, a
//! TTL of 0) goes through a work list, not through recursion; [`is_cycle`] bounds how long that can go on.
//!
//! It knows no rights: whoever declared the queue was allowed to name the exchange.

mod death;
mod surely;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::MessageRef;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message;
use crate::model::message::Traits;
use crate::protocol::copies;
use crate::queue::Dead;
use crate::queue::DeadLetter;
use crate::queue::Reason;
use crate::vhost::Exchange;
use crate::vhost::Letter;
use crate::vhost::QueueHandle;
use crate::vhost::Route;
use crate::vhost::Sightings;
use crate::vhost::Vhost;
use crate::vhost::exchange_type::delay::released_properties;
use death::is_cycle;
use death::properties_of_dead;

/// Ranges of dead messages whose originals are settled together. It bounds how many messages are held twice.
const BATCH: usize = 64;

/// Queues in which more messages have died meanwhile.
type Work = VecDeque<Arc<QueueHandle>>;

impl Vhost {
    /// Publishes the dead messages of `queue` to its dead-letter exchange, and those that die on the way to theirs.
    pub(super) fn dead_letter(&self, queue: &QueueHandle) {
        let mut work = Work::new();
        self.dead_letter_from(queue, &mut work);
        while let Some(queue) = work.pop_front() {
            self.dead_letter_from(&queue, &mut work);
        }
    }

    fn dead_letter_from(&self, queue: &QueueHandle, work: &mut Work) {
        // One thread at a time, so that messages arrive in the order in which they died.
        let _turn = queue.dead_lettering.lock();
        let target = match &queue.delays_for {
            Some(exchange) => Some(DeadLetter {
                exchange: exchange.clone(),
                routing_key: None,
            }),
            None => queue.dead_letter_target(),
        };
        let target = target.as_ref();
        let target = target.and_then(|target| Some((target, self.exchange(&target.exchange)?)));
        let mut dead = queue.take_dead().into_iter();
        loop {
            let batch: Vec<_> = dead.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return;
            }
            let (sure, batch): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|dead| dead.attempt.is_some());
            if let Some((target, exchange)) = &target {
                if queue.delays_for.is_some() {
                    self.release(&batch, exchange, work);
                } else {
                    for dead in &batch {
                        self.republish(queue, dead, target, exchange, work);
                    }
                }
            }
            queue.settle_dead(&batch);
            for dead in sure {
                let target = target
                    .as_ref()
                    .map(|(target, exchange)| (*target, exchange));
                self.republish_surely(queue, dead, target, work);
            }
        }
    }

    fn republish(
        &self,
        queue: &QueueHandle,
        dead: &Dead,
        target: &DeadLetter,
        exchange: &Arc<Exchange>,
        work: &mut Work,
    ) {
        let mut copies = Copies {
            now: dead.at,
            ..Copies::default()
        };
        let mut known: Option<(&str, Route)> = None;
        for message in dead.run.iter() {
            let key = dead_key(message, target);
            let has_copies = has_copies(message, target);
            let header = header_of_dead(message, queue, dead, has_copies);
            let mut seen = Sightings::default();
            let route = match &known {
                Some((last, route)) if *last == key && !route.each_message && !has_copies => {
                    route.clone()
                }
                _ => self.route_dead(exchange, target, message, &header, dead.at, &mut seen),
            };
            known = (!has_copies).then(|| (key, route.clone()));
            let cycles = |queue: &Arc<QueueHandle>| {
                dead.reason != Reason::Rejected && is_cycle(&header, &queue.name)
            };
            let queues = if route.queues.iter().any(cycles) {
                let queues = route.queues.iter().filter(|queue| !cycles(queue));
                queues.cloned().collect()
            } else {
                route.queues
            };
            let to = message::route(&target.exchange, key);
            let traits = traits_of_dead(message, has_copies);
            copies.add(&to, &header, message.body(), traits, queues, seen);
            work.extend(copies.take_reached());
        }
        copies.hand_over();
        work.extend(copies.take_reached());
    }
}

impl Vhost {
    /// Where a dead message goes whose properties are `header` by now.
    fn route_dead(
        &self,
        exchange: &Arc<Exchange>,
        target: &DeadLetter,
        message: MessageRef<'_>,
        header: &[u8],
        now: u64,
        seen: &mut Sightings,
    ) -> Route {
        let key = dead_key(message, target);
        let copied_to = if has_copies(message, target) {
            copies::copies(header).unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut keys = vec![key];
        keys.extend(copied_to.iter().map(String::as_str));
        let letter = Letter::new(message, &keys, now);
        let route = message::route(&target.exchange, key);
        let mut letter = letter.rewritten(&route, header);
        // An exchange may remember it.
        letter.traits = letter.traits.with_death();
        self.route_letter(exchange, &letter, seen)
    }

    /// Routes messages of a delayed exchange whose time has come.
    fn release(&self, due: &[Dead], exchange: &Arc<Exchange>, work: &mut Work) {
        let mut copies = Copies::default();
        for dead in due {
            copies.now = dead.at;
            for message in dead.run.iter() {
                let header = released_properties(message.header());
                let keys = copies::all_keys(message);
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                let letter = Letter::new(message, &keys, dead.at);
                let letter = letter.rewritten(message.route(), &header);
                let mut seen = Sightings::default();
                let queues = self.route_letter(exchange, &letter, &mut seen).queues;
                let (route, body) = (message.route(), message.body());
                copies.add(route, &header, body, message.traits(), queues, seen);
                work.extend(copies.take_reached());
            }
        }
        copies.hand_over();
        work.extend(copies.take_reached());
    }
}

fn dead_key<'m>(message: MessageRef<'m>, target: &'m DeadLetter) -> &'m str {
    let key = target.routing_key.as_deref();
    key.unwrap_or_else(|| message.routing_key())
}

/// Another routing key takes the place of all keys, now and at later deaths.
fn has_copies(message: MessageRef<'_>, target: &DeadLetter) -> bool {
    message.traits().has_copies() && target.routing_key.is_none()
}

/// Properties of a message that has died; with the keys that nobody sees if it still `has_copies`.
fn header_of_dead(
    message: MessageRef<'_>,
    queue: &QueueHandle,
    dead: &Dead,
    has_copies: bool,
) -> Vec<u8> {
    let header = properties_of_dead(
        message,
        &queue.name,
        dead.reason,
        dead.at,
        queue.shared.release,
    );
    if message.traits().has_bcc() && !has_copies {
        copies::without_bcc(&header)
    } else {
        header
    }
}

fn traits_of_dead(message: MessageRef<'_>, has_copies: bool) -> Traits {
    let traits = message.traits();
    Traits::new(
        traits.persistent(),
        true,
        false,
        traits.has_user_id(),
        traits.has_reply_to(),
        traits.priority,
    )
    .with_copies(has_copies)
    .with_bcc(traits.has_bcc() && has_copies)
    .with_death()
}

/// Copies of dead messages on their way; neighbours with the same destinations travel as one run.
#[derive(Default)]
struct Copies {
    builder: RunBuilder,
    queues: Arc<[Arc<QueueHandle>]>,
    seen: Sightings,
    /// Queues in which handing over has let messages die.
    reached: Vec<Arc<QueueHandle>>,
    now: u64,
}

impl Copies {
    fn add(
        &mut self,
        route: &[u8],
        header: &[u8],
        body: &[u8],
        traits: Traits,
        queues: Arc<[Arc<QueueHandle>]>,
        seen: Sightings,
    ) {
        if queues != self.queues {
            self.hand_over();
            self.queues = queues;
        }
        self.seen.append(seen);
        if !self.queues.is_empty() {
            self.builder.push(route, header, body, traits);
        }
    }

    fn hand_over(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        if self.builder.is_empty() {
            seen.store_alone();
            return;
        }
        let run: Run = self.builder.finish();
        for (index, queue) in self.queues.iter().enumerate() {
            let now = self.now;
            let is_last = index + 1 == self.queues.len();
            let (_, commit, has_dead) = queue.enter_gathering(|state, records| {
                if !state.is_deleted() {
                    // Nobody is there to be told of what a full queue refuses.
                    state.enqueue(run.clone(), now, records);
                }
                if is_last {
                    seen.store(records);
                }
            });
            if is_last {
                seen.stored(commit);
            }
            if has_dead {
                self.reached.push(Arc::clone(queue));
            }
        }
    }

    fn take_reached(&mut self) -> impl Iterator<Item = Arc<QueueHandle>> + use<> {
        std::mem::take(&mut self.reached).into_iter()
    }
}
