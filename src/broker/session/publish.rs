//! `basic.publish` and `tx.commit`: rights and properties are checked, the route is remembered.

use std::ops::Range;
use std::sync::Arc;

use crate::auth::Right;
use crate::broker::Session;
use crate::broker::session::settle::by_queue;
use crate::connection::host::Publish;
use crate::connection::host::Published;
use crate::connection::host::Settle;
use crate::connection::host::TxStep;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::Lsn;
use crate::model::MessageRef;
use crate::model::Run;
use crate::protocol::properties;
use crate::vhost::Exchange;
use crate::vhost::Refused;
use crate::vhost::Route;
use crate::vhost::Transaction;
use crate::vhost::Vhost;
use crate::vhost::publish::enqueue;

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

impl Session {
    pub(super) fn publish_run(&mut self, publish: &Publish) -> Result<Published, AmqpError> {
        let (exchange, route) = self.target(publish.run.first())?;
        let mut published = Published::default();
        let valid = self.first_invalid(&publish.run);
        let sound = valid
            .as_ref()
            .map_or(publish.run.len(), |(index, _)| *index);
        let vhost = self.vhost()?;
        for (range, route) in routed(&vhost, &exchange, route, publish, sound) {
            let run = publish.run.slice(range.clone());
            let enqueued = enqueue(&route.queues, &run, self.now);
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
        self.publishes |= published.commit > Lsn::NONE;
        match valid {
            None => Ok(published),
            Some((_, error)) => Err(error),
        }
    }

    pub(super) fn publish_check(&mut self, publish: &Publish) -> Result<(), AmqpError> {
        self.target(publish.run.first())?;
        match self.first_invalid(&publish.run) {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }

    pub(super) fn commit_steps(
        &mut self,
        channel: ChannelId,
        steps: Vec<TxStep>,
    ) -> Result<Vec<Published>, AmqpError> {
        let vhost = self.vhost()?;
        let mut transaction = Transaction::default();
        let mut results = Vec::new();
        let mut requeues = Vec::new();
        let mut returned = 0;
        for step in steps {
            match step {
                TxStep::Publish(publish) => {
                    results.push(self.stage_publish(&vhost, &mut transaction, &publish));
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
        self.publishes |= commit > Lsn::NONE && !results.is_empty();
        // A requeue writes nothing, so it need not be part of the batch.
        for ranges in requeues {
            self.settle_ranges(channel, Settle::Requeue, ranges);
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

    fn stage_publish(
        &mut self,
        vhost: &Vhost,
        transaction: &mut Transaction,
        publish: &Publish,
    ) -> Published {
        let mut published = Published::default();
        // An exchange deleted since the publish was checked routes nowhere; the transaction still commits.
        let Ok((exchange, route)) = self.target(publish.run.first()) else {
            note(
                &mut published,
                0..publish.run.len(),
                false,
                publish.mandatory,
                Lsn::NONE,
            );
            return published;
        };
        for (range, route) in routed(vhost, &exchange, route, publish, publish.run.len()) {
            let run = publish.run.slice(range.clone());
            transaction.enqueue(&route.queues, &run);
            let taken = !route.queues.is_empty();
            note(&mut published, range, taken, publish.mandatory, Lsn::NONE);
        }
        published
    }

    /// The exchange and route of a message: checked once for all that are alike.
    fn target(&mut self, message: MessageRef<'_>) -> Result<(Arc<Exchange>, Route), AmqpError> {
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
        let route = vhost.route(&exchange, message.routing_key(), None);
        self.routes.remember(Remembered {
            key: message.route().into(),
            vhost_epoch,
            access_epoch,
            exchange: Arc::clone(&exchange),
            route: route.clone(),
        });
        Ok((exchange, route))
    }

    /// The first message of the run that its properties forbid, and why.
    fn first_invalid(&self, run: &Run) -> Option<(usize, AmqpError)> {
        run.iter().enumerate().find_map(|(index, message)| {
            let traits = message.traits();
            if !traits.has_user_id() && !traits.has_expiration() {
                return None;
            }
            self.check_properties(message)
                .err()
                .map(|error| (index, error))
        })
    }

    fn check_properties(&self, message: MessageRef<'_>) -> Result<(), AmqpError> {
        let fields = properties::Fields(message.header());
        if let Some(expiration) = fields.expiration() {
            check_expiration(&expiration)?;
        }
        match (fields.user_id(), &self.user) {
            (Some(claimed), Some(user)) if *claimed != **user.name() && !user.may_impersonate() => {
                Err(AmqpError::precondition_failed(format!(
                    "user_id property set to '{claimed}' but authenticated user was '{}'",
                    user.name()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// The first `count` messages of the run in stretches that go to the same queues.
fn routed(
    vhost: &Vhost,
    exchange: &Arc<Exchange>,
    route: Route,
    publish: &Publish,
    count: usize,
) -> Vec<(Range<usize>, Route)> {
    if !route.by_headers {
        return if count == 0 {
            Vec::new()
        } else {
            vec![(0..count, route)]
        };
    }
    let mut stretches: Vec<(Range<usize>, Route)> = Vec::new();
    for (index, message) in publish.run.iter().take(count).enumerate() {
        let headers = properties::headers(message.header());
        let route = vhost.route(exchange, message.routing_key(), headers.as_ref());
        match stretches.last_mut() {
            Some((range, last)) if last.queues == route.queues => range.end = index + 1,
            _ => stretches.push((index..index + 1, route)),
        }
    }
    stretches
}

fn note(published: &mut Published, range: Range<usize>, taken: bool, mandatory: bool, commit: Lsn) {
    published.commit = published.commit.max(commit);
    if !taken && mandatory {
        published.unrouted.push(range);
    }
}

/// `expiration` must be a decimal number of milliseconds; the texts show the Erlang terms that RabbitMQ shows.
fn check_expiration(expiration: &str) -> Result<(), AmqpError> {
    let refuse = |why: String| {
        Err(AmqpError::precondition_failed(format!(
            "invalid expiration '{expiration}': {why}"
        )))
    };
    let digits_from = usize::from(expiration.starts_with(['-', '+']));
    let digits = expiration[digits_from..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if digits == 0 {
        return refuse("no_integer".to_owned());
    }
    let (number, rest) = expiration.split_at(digits_from + digits);
    if !rest.is_empty() {
        return refuse(format!("{{leftover_string,{rest:?}}}"));
    }
    let number = number.strip_prefix('+').unwrap_or(number);
    if let Some(negative) = number.strip_prefix('-') {
        let value = negative.trim_start_matches('0');
        if !value.is_empty() {
            return refuse(format!("{{value_negative,-{value}}}"));
        }
        return Ok(());
    }
    match number.parse::<u64>() {
        Ok(value) if value <= crate::queue::arguments::EXPIRY_MS_MAX.unsigned_abs() => Ok(()),
        _ => refuse(format!("{{value_too_large,{number}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(expiration: &str, why: &str) {
        let error = check_expiration(expiration).expect_err("not a duration");
        assert_eq!(
            error.text(),
            format!("invalid expiration '{expiration}': {why}")
        );
    }

    #[test]
    fn only_a_decimal_number_is_an_expiration() {
        assert_eq!(check_expiration("0"), Ok(()));
        assert_eq!(check_expiration("60000"), Ok(()));
        check_refused("", "no_integer");
        check_refused("soon", "no_integer");
        check_refused("60s", "{leftover_string,\"s\"}");
        check_refused("-1", "{value_negative,-1}");
        check_refused(
            "99999999999999999999",
            "{value_too_large,99999999999999999999}",
        );
    }
}
