//! `basic.publish` and `tx.commit`: rights are checked, messages are routed, the route is remembered.

use std::ops::Range;
use std::sync::Arc;

use crate::auth::Right;
use crate::broker::Session;
use crate::broker::session::judge::Judged;
use crate::broker::session::settle::Fate;
use crate::broker::session::settle::by_queue;
use crate::connection::host::Publish;
use crate::connection::host::Published;
use crate::connection::host::Settle;
use crate::connection::host::Staged;
use crate::connection::host::TxStep;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::Lsn;
use crate::model::MessageRef;
use crate::model::Release;
use crate::model::Run;
use crate::model::names::DIRECT_REPLY_TO;
use crate::queue::flow::PAUSE_MS;
use crate::vhost::Exchange;
use crate::vhost::Letter;
use crate::vhost::QueueHandle;
use crate::vhost::Refused;
use crate::vhost::Route;
use crate::vhost::Sightings;
use crate::vhost::Transaction;
use crate::vhost::Vhost;
use crate::vhost::publish::enqueue_seen;

struct Remembered {
    key: Box<[u8]>,
    vhost_epoch: u64,
    access_epoch: u64,
    exchange: Arc<Exchange>,
    route: Route,
}

/// The last few (exchange, routing key) pairs and where they lead, for as long as topology and permissions stand.
#[derive(Default)]
pub(super) struct RouteCache {
    entries: Vec<Remembered>,
    next: usize,
}

impl RouteCache {
    const SIZE: usize = 8;

    fn find(
        &self,
        key: &[u8],
        vhost_epoch: u64,
        access_epoch: u64,
    ) -> Option<(Arc<Exchange>, Route)> {
        let entry = self.entries.iter().find(|entry| *entry.key == *key)?;
        let fresh = entry.vhost_epoch == vhost_epoch && entry.access_epoch == access_epoch;
        fresh.then(|| (Arc::clone(&entry.exchange), entry.route.clone()))
    }

    fn remember(&mut self, entry: Remembered) {
        if let Some(known) = self.entries.iter_mut().find(|known| known.key == entry.key) {
            *known = entry;
        } else if self.entries.len() < Self::SIZE {
            self.entries.push(entry);
        } else {
            self.entries[self.next] = entry;
            self.next = (self.next + 1) % Self::SIZE;
        }
    }
}

/// Messages that may be enqueued, and where.
pub(super) struct Addressed {
    pub(super) run: Run,
    /// They differ from those that came.
    rewritten: bool,
    /// Those with further routing keys, ascending, and these keys.
    copies: Vec<(usize, Arc<[String]>)>,
    /// All of them, in stretches that go to the same queues.
    pub(super) stretches: Stretches,
    exchange: Arc<Exchange>,
    /// Why the message after them is refused.
    refused: Option<AmqpError>,
}

impl Addressed {
    /// All routing keys of a message.
    pub(super) fn keys(&self, index: usize) -> Vec<&str> {
        let mut keys = vec![self.run.message(index).routing_key()];
        if let Ok(at) = self.copies.binary_search_by_key(&index, |(at, _)| *at) {
            keys.extend(self.copies[at].1.iter().map(String::as_str));
        }
        keys
    }
}

/// Neighbours that go to the same queues.
pub(super) struct Stretch {
    pub(super) range: Range<usize>,
    pub(super) route: Route,
    /// What was seen on their way.
    seen: Sightings,
}

pub(super) type Stretches = Vec<Stretch>;

/// The same in a transaction.
struct StagedRoute {
    exchange: Arc<Exchange>,
    stretches: Vec<(Range<usize>, Route, Arc<Sightings>)>,
}

impl Session {
    pub(super) fn publish_run(
        &mut self,
        channel: ChannelId,
        publish: &Publish,
    ) -> Result<Published, AmqpError> {
        let addressed = self.address(channel, &publish.run)?;
        if let Some(error) = addressed.refused.as_ref()
            && addressed.run.is_empty()
        {
            return Err(error.clone());
        }
        let mut published = Published::default();
        let mut known = Sightings::default();
        let mut unroutable = 0;
        for Stretch { range, route, seen } in addressed.stretches {
            let run = addressed.run.slice(range.clone());
            let exchange = Some(&*addressed.exchange);
            let enqueued = enqueue_seen(&route.queues, &run, self.now, &seen, exchange);
            if enqueued.brimming {
                self.pause_for(&route.queues);
            }
            published.routed += (route.queues.len() * run.len()) as u64;
            // A reply that nobody routes has been delivered, or its requester is gone.
            if !enqueued.taken && !run.first().routing_key().starts_with(DIRECT_REPLY_TO) {
                unroutable += run.len() as u64;
            }
            known.take_known(seen);
            let refused = enqueued.refused.into_iter();
            let refused = refused.map(|part| range.start + part.start..range.start + part.end);
            published.refused.extend(refused);
            note(
                &mut published,
                range,
                enqueued.taken,
                publish.mandatory,
                enqueued.commit,
            );
        }
        if !publish.mandatory {
            published.dropped = unroutable;
        }
        let exchange = &addressed.exchange;
        let count = addressed.run.len() as u64;
        published.exchange = exchange.id;
        exchange.stats.passed(count, published.routed, unroutable);
        // Only now, for other publishers may wait for what was enqueued here.
        published.commit = published.commit.max(known.known_commit());
        self.publishes |= published.commit > Lsn::NONE;
        let fewer = addressed.refused.is_some();
        published.rewritten = (addressed.rewritten || fewer).then_some(addressed.run);
        published.fault = addressed.refused;
        Ok(published)
    }

    /// Checks and routes for a transaction: routes are those of the publish, as in RabbitMQ.
    pub(super) fn stage_publish(
        &mut self,
        channel: ChannelId,
        publish: Publish,
    ) -> Result<Staged, AmqpError> {
        let addressed = self.address(channel, &publish.run)?;
        match addressed.refused {
            Some(error) => Err(error),
            None => {
                let exchange = addressed.exchange;
                let stretches = addressed.stretches.into_iter();
                let stretches = stretches.map(|Stretch { range, route, seen }| {
                    seen.stage();
                    (range, route, Arc::new(seen))
                });
                Ok(Staged {
                    publish: Publish {
                        run: addressed.run,
                        ..publish
                    },
                    route: Arc::new(StagedRoute {
                        exchange,
                        stretches: stretches.collect(),
                    }),
                })
            }
        }
    }

    /// Some of these queues may have the connection wait.
    fn pause_for(&mut self, queues: &[Arc<QueueHandle>]) {
        for queue in queues {
            let (pauses, _) = queue.enter(|state, _| state.pause(&self.outbox, self.now));
            if pauses && !self.paused_by.iter().any(|other| other == queue) {
                self.paused_by.push(Arc::clone(queue));
                self.paused_until = self.now + PAUSE_MS;
            }
        }
    }

    /// No queue remembers a publisher that is gone.
    pub(super) fn end_pause(&mut self) {
        for queue in std::mem::take(&mut self.paused_by) {
            queue.enter(|state, _| state.resume_publisher(&self.outbox));
        }
    }

    /// Until when the connection should not be read, for its queues are about to be emptied; it is signalled when that is
    /// sooner.
    pub fn paused(&mut self) -> Option<u64> {
        if self.paused_by.is_empty() {
            return None;
        }
        let is_over = self.now >= self.paused_until;
        let outbox = &self.outbox;
        self.paused_by.retain(|queue| {
            let (pauses, _) = queue.enter(|state, _| {
                if is_over {
                    state.resume_publisher(outbox);
                }
                state.pauses(outbox)
            });
            pauses
        });
        (!self.paused_by.is_empty()).then_some(self.paused_until)
    }

    pub(super) fn commit_steps(
        &mut self,
        channel: ChannelId,
        steps: Vec<TxStep>,
    ) -> Result<Vec<Published>, AmqpError> {
        let mut transaction = Transaction::default();
        let mut results = Vec::new();
        let mut seen = Vec::new();
        let mut requeues = Vec::new();
        let mut returned = 0;
        for step in steps {
            match step {
                TxStep::Publish(staged) => {
                    results.push(add_publish(&mut transaction, &staged, &mut seen));
                }
                TxStep::Settle(Settle::Requeue, ranges) => requeues.push(ranges),
                TxStep::Settle(settle @ (Settle::Ack | Settle::Reject), ranges) => {
                    returned += self.limited(channel, &ranges);
                    for ranges in by_queue(ranges) {
                        if let Some(queue) = self.queue_by_id(ranges[0].queue) {
                            if settle == Settle::Reject {
                                transaction.reject(&queue, ranges);
                            } else {
                                transaction.settle(&queue, ranges);
                            }
                        }
                    }
                }
            }
        }
        let commit = transaction
            .commit(self.broker.store(), self.now)
            .map_err(|Refused| AmqpError::precondition_failed("partial tx completion"))?;
        let known = seen.iter().map(|seen| seen.known_commit());
        let commit = known.fold(commit, Lsn::max);
        self.publishes |= commit > Lsn::NONE && !results.is_empty();
        // A requeue writes nothing, so it need not be part of the batch.
        for ranges in requeues {
            self.settle_ranges(channel, Fate::Settled(Settle::Requeue), ranges);
        }
        self.give_back(channel, returned);
        match results.last_mut() {
            Some(last) => last.commit = commit,
            None => results.push(Published {
                commit,
                ..Published::default()
            }),
        }
        Ok(results)
    }

    /// Checks the messages up to the first that is refused, and routes them. Replies leave at once, for no queue takes
    /// them.
    fn address(&mut self, channel: ChannelId, run: &Run) -> Result<Addressed, AmqpError> {
        let (exchange, route) = self.target(channel, run.first())?;
        let addressed = if run.may_be_demanding() || route.each_message {
            self.address_each(&exchange, route, self.judge(channel, run))?
        } else {
            if route.queues.is_empty() && exchange.is_default() {
                self.broker.replies.deliver(run.first().routing_key(), run);
            }
            Addressed {
                exchange: Arc::clone(&exchange),
                run: run.clone(),
                rewritten: false,
                copies: Vec::new(),
                stretches: vec![Stretch {
                    range: 0..run.len(),
                    route,
                    seen: Sightings::default(),
                }],
                refused: None,
            }
        };
        self.trace_published(channel, &exchange, &addressed);
        Ok(addressed)
    }

    fn address_each(
        &self,
        exchange: &Arc<Exchange>,
        route: Route,
        judged: Judged,
    ) -> Result<Addressed, AmqpError> {
        let vhost = self.vhost()?;
        let judged = self.judge_topics(exchange, judged);
        let run = judged.run;
        let mut stretches = Stretches::new();
        if judged.copies.is_empty() && !route.each_message && !run.is_empty() {
            stretches.push(Stretch {
                range: 0..run.len(),
                route,
                seen: Sightings::default(),
            });
        } else {
            let mut copies = judged.copies.iter().peekable();
            let mut known: Option<(&Arc<[String]>, Route)> = None;
            for (index, message) in run.iter().enumerate() {
                let further = copies.next_if(|(at, _)| *at == index);
                let further = further.map(|(_, keys)| keys);
                let mut seen = Sightings::default();
                let route = match (further, &known) {
                    (None, _) if !route.each_message => route.clone(),
                    (Some(keys), Some((last, route)))
                        if Arc::ptr_eq(keys, last) && !route.each_message =>
                    {
                        route.clone()
                    }
                    _ => {
                        let further = further.map(|keys| &keys[..]).unwrap_or_default();
                        route_message(&vhost, exchange, message, further, self.now, &mut seen)
                    }
                };
                known = further.map(|keys| (keys, route.clone()));
                match stretches.last_mut() {
                    Some(last) if last.route.queues == route.queues => {
                        last.range.end = index + 1;
                        last.seen.append(seen);
                    }
                    _ => stretches.push(Stretch {
                        range: index..index + 1,
                        route,
                        seen,
                    }),
                }
            }
        }
        let addressed = Addressed {
            exchange: Arc::clone(exchange),
            run,
            rewritten: judged.rewritten,
            copies: judged.copies,
            stretches,
            refused: judged.refused,
        };
        if exchange.is_default() {
            self.reply_each(&addressed);
        }
        Ok(addressed)
    }

    /// Further keys of copies are checked as the routing key is.
    fn judge_topics(&self, exchange: &Exchange, mut judged: Judged) -> Judged {
        let refused = judged.copies.iter().find_map(|(index, keys)| {
            let mut checks = keys
                .iter()
                .map(|key| self.check_topic_right(Right::Write, exchange, key));
            let error = checks.find_map(Result::err)?;
            Some((*index, error))
        });
        if let Some((index, error)) = refused {
            judged.run = judged.run.slice(0..index);
            judged.copies.retain(|(at, _)| *at < index);
            judged.refused = Some(error);
        }
        judged
    }

    /// Hands replies among the messages to those who wait for them.
    fn reply_each(&self, addressed: &Addressed) {
        for index in 0..addressed.run.len() {
            let mut keys = addressed.keys(index);
            keys.retain(|key| key.starts_with(DIRECT_REPLY_TO));
            // Each once, however often it is named.
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let reply = addressed.run.slice(index..index + 1);
                self.broker.replies.deliver(key, &reply);
            }
        }
    }

    /// The exchange and route of a message: checked once for all that are alike.
    fn target(
        &mut self,
        channel: ChannelId,
        message: MessageRef<'_>,
    ) -> Result<(Arc<Exchange>, Route), AmqpError> {
        let vhost = self.vhost()?;
        // Read before routing: a change in between only makes the memory stale, never wrong.
        let (vhost_epoch, access_epoch) = (vhost.epoch(), self.broker.access.epoch());
        if let Some(found) = self.routes.find(message.route(), vhost_epoch, access_epoch) {
            return Ok(found);
        }
        let name = message.exchange();
        self.check_exchange_right(Right::Write, name)?;
        let Some(exchange) = vhost.exchange(name) else {
            return Err(AmqpError::not_found(format!(
                "no {}",
                vhost.exchange_resource(name)
            )));
        };
        if exchange.internal {
            return Err(AmqpError::access_refused(format!(
                "cannot publish to internal {}",
                vhost.exchange_resource(name)
            )));
        }
        let checked = self.check_topic_right(Right::Write, &exchange, message.routing_key());
        if let Err(refused) = checked {
            // 4 has looked at the properties before.
            let is_late = self.broker.shared.release == Release::V4;
            let other = is_late.then(|| self.demands(channel, message).err());
            return Err(other.flatten().unwrap_or(refused));
        }
        let route = vhost.route(&exchange, &[message.routing_key()]);
        self.routes.remember(Remembered {
            key: message.route().into(),
            vhost_epoch,
            access_epoch,
            exchange: Arc::clone(&exchange),
            route: route.clone(),
        });
        Ok((exchange, route))
    }
}

fn route_message(
    vhost: &Vhost,
    exchange: &Arc<Exchange>,
    message: MessageRef<'_>,
    further: &[String],
    now: u64,
    seen: &mut Sightings,
) -> Route {
    let mut keys = vec![message.routing_key()];
    keys.extend(further.iter().map(String::as_str));
    vhost.route_letter(exchange, &Letter::new(message, &keys, now), seen)
}

fn add_publish(
    transaction: &mut Transaction,
    staged: &Staged,
    all_seen: &mut Vec<Arc<Sightings>>,
) -> Published {
    let mut published = Published::default();
    let publish = &staged.publish;
    let Some(staged) = staged.route.downcast_ref::<StagedRoute>() else {
        return published;
    };
    let mut unroutable = 0;
    for (range, route, seen) in &staged.stretches {
        let run = publish.run.slice(range.clone());
        transaction.enqueue(&route.queues, &run, staged.exchange.id);
        published.routed += (route.queues.len() * run.len()) as u64;
        if !route.is_routed() {
            unroutable += run.len() as u64;
        }
        if !seen.is_empty() {
            transaction.remember(seen);
            all_seen.push(Arc::clone(seen));
        }
        // Only what may be returned must be known.
        let taken = !publish.mandatory || route.is_routed_still();
        note(
            &mut published,
            range.clone(),
            taken,
            publish.mandatory,
            Lsn::NONE,
        );
    }
    if !publish.mandatory {
        published.dropped = unroutable;
    }
    let count = publish.run.len() as u64;
    published.exchange = staged.exchange.id;
    staged
        .exchange
        .stats
        .passed(count, published.routed, unroutable);
    published
}

fn note(published: &mut Published, range: Range<usize>, taken: bool, mandatory: bool, commit: Lsn) {
    published.commit = published.commit.max(commit);
    if !taken && mandatory {
        published.unrouted.push(range);
    }
}
