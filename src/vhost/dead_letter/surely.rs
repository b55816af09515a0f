//! Dead messages that must reach a queue (`x-dead-letter-strategy: at-least-once`).
//!
//! One that finds no queue, or that one of its queues refuses, stays with the queue in which it died; later attempts
//! ask the exchange anew and leave out the queues that have it. Only then is the original settled.

use std::sync::Arc;

use crate::model::MessageRef;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::RunBuilder;
use crate::model::message;
use crate::queue::Attempt;
use crate::queue::Dead;
use crate::queue::DeadLetter;
use crate::queue::Reason;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Sightings;
use crate::vhost::Vhost;
use crate::vhost::dead_letter::Work;
use crate::vhost::dead_letter::dead_key;
use crate::vhost::dead_letter::death::is_cycle;
use crate::vhost::dead_letter::has_copies;
use crate::vhost::dead_letter::header_of_dead;
use crate::vhost::dead_letter::traits_of_dead;

impl Vhost {
    /// Brings `dead` to the queues behind `target`; what does not get to all of them goes back to `queue`.
    pub(super) fn republish_surely(
        &self,
        queue: &QueueHandle,
        dead: Dead,
        target: Option<(&DeadLetter, &Arc<Exchange>)>,
        work: &mut Work,
    ) {
        let Some((target, exchange)) = target else {
            return queue.keep_dead(vec![dead]);
        };
        let Some(attempt) = &dead.attempt else { return };
        let (mut settled, mut kept) = (Vec::new(), Vec::new());
        for (index, message) in dead.run.iter().enumerate() {
            let mut reached = attempt.reached.clone();
            let arrived = self.bring(
                queue,
                &dead,
                attempt.at,
                message,
                (target, exchange),
                &mut reached,
                work,
            );
            let one = Dead {
                first: dead.first.map(|first| Position(first.0 + index as u64)),
                run: dead.run.slice(index..index + 1),
                attempt: Some(Attempt {
                    at: attempt.at,
                    reached,
                }),
                ..dead
            };
            let list = if arrived { &mut settled } else { &mut kept };
            list.push(one);
        }
        queue.settle_dead(&settled);
        if !kept.is_empty() {
            queue.keep_dead(kept);
        }
    }

    /// Whether the message is now in a queue, and in all in which it should be.
    #[expect(
        clippy::too_many_arguments,
        reason = "what one message needs of its surroundings"
    )]
    fn bring(
        &self,
        queue: &QueueHandle,
        dead: &Dead,
        now: u64,
        message: MessageRef<'_>,
        (target, exchange): (&DeadLetter, &Arc<Exchange>),
        reached: &mut Vec<QueueId>,
        work: &mut Work,
    ) -> bool {
        let key = dead_key(message, target);
        let has_copies = has_copies(message, target);
        let header = header_of_dead(message, queue, dead, has_copies);
        let mut seen = Sightings::default();
        let route = self.route_dead(exchange, target, message, &header, now, &mut seen);
        let mut copy = RunBuilder::default();
        copy.push(
            &message::route(&target.exchange, key),
            &header,
            message.body(),
            traits_of_dead(message, has_copies),
        );
        let copy = copy.finish();
        let mut missed = false;
        for to in route.queues.iter() {
            let cycle = dead.reason != Reason::Rejected && is_cycle(&header, &to.name);
            if cycle || reached.contains(&to.id) {
                continue;
            }
            let (refused, _, has_dead) = to.enter_gathering(|state, records| {
                (!state.is_deleted()).then(|| state.enqueue(copy.clone(), now, records))
            });
            if has_dead {
                work.push_back(Arc::clone(to));
            }
            if refused.is_some_and(|refused| refused.is_empty()) {
                reached.push(to.id);
            } else {
                missed = true;
            }
        }
        seen.store_alone();
        !missed && !reached.is_empty()
    }
}
