//! Message TTL, queue expiry: only messages at the head expire (RabbitMQ classic and quorum queues alike).

use std::collections::VecDeque;

use crate::model::Position;
use crate::model::Run;
use crate::protocol::properties;
use crate::queue::Ended;
use crate::queue::Queue;
use crate::queue::Reason;
use crate::store::Record;

/// The TTL of a run of one message by its `expiration`; the publish checked that it is a number.
pub(super) fn message_ttl(run: &Run) -> Option<u64> {
    let message = run.iter().next()?;
    if !message.traits().has_expiration() {
        return None;
    }
    let expiration = properties::Fields(message.header()).expiration()?;
    // Signed, for `-0` is a number as well.
    u64::try_from(expiration.parse::<i64>().ok()?).ok()
}

/// So many changes of the TTL are remembered while messages from before them are here; of more, the oldest are forgotten,
/// and what is from before them counts as of the oldest that is known.
const EARLIER_TTLS_MAX: usize = 64;

/// The TTLs that a queue had before policies changed them. A message keeps the one that it came with, also when it has been
/// away.
#[derive(Debug, Default)]
pub(super) struct EarlierTtls {
    /// TTL, and the position of the first message after it, ascending.
    ended: VecDeque<(Option<u64>, u64)>,
}

impl EarlierTtls {
    /// Messages from `next` on have another one.
    pub(super) fn ended(&mut self, ttl: Option<u64>, next: u64, nothing_is_left: bool) {
        if nothing_is_left {
            self.ended.clear();
            return;
        }
        if self.ended.len() == EARLIER_TTLS_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((ttl, next));
    }

    /// The TTL that the message at `position` came with, if that is not the one of now.
    fn at(&self, position: u64) -> Option<Option<u64>> {
        let after = self.ended.partition_point(|(_, next)| *next <= position);
        self.ended.get(after).map(|(ttl, _)| *ttl)
    }
}

impl Queue {
    /// The queue's TTL for the message at `position`.
    pub(super) fn ttl_at(&self, position: u64) -> Option<u64> {
        let earlier = self.earlier_ttls.at(position);
        earlier.unwrap_or(self.options.arguments.message_ttl)
    }

    /// Buries what has expired at the head.
    pub(super) fn expire(&mut self, now: u64, records: &mut Vec<Record>) {
        self.looked_at = now;
        loop {
            let drops = self.options.arguments.limits.drop();
            if self.cannot_wait(drops && self.may_have_expired_away(now)) {
                // Whether a message expires or is too many depends on what has gone before.
                self.page_in_now();
            }
            let Some(front) = self.ready.front() else {
                break;
            };
            if front.expires_at.is_none_or(|expires_at| expires_at > now) {
                return;
            }
            let Some(expired) = self.ready.take_front(usize::MAX) else {
                return;
            };
            let first = Position(expired.first);
            self.bury(Reason::Expired, first, expired.run, now, records);
        }
        self.judge_away(now);
    }

    /// Delivers messages that have come just now. One whose TTL is 0 goes to a consumer that is ready now, or nowhere.
    pub(super) fn dispatch_fresh(&mut self, now: u64, records: &mut Vec<Record>) {
        // One moment earlier nothing that came now has expired.
        self.dispatch(now.saturating_sub(1), records);
        if self.drops_before_expiry() {
            self.drop_excess(now, records);
        }
        self.dispatch(now, records);
    }

    /// Drops expired messages and tells whether the queue itself has expired.
    pub fn tick(&mut self, now: u64, records: &mut Vec<Record>) -> Option<Ended> {
        self.expire(now, records);
        self.retry_dead(now);
        self.release_due(now);
        let expires = self.options.arguments.expires?;
        let idle = self.consumers.len() == 0 && now >= self.used_at.saturating_add(expires);
        (idle && !self.deleted).then_some(Ended::Expired)
    }

    /// When [`Queue::tick`] has something to do, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.deleted {
            return None;
        }
        if let Some(delayed) = &self.delayed {
            return delayed.next_due().filter(|_| !self.paging.is_broken());
        }
        let head = self.ready.front().and_then(|front| front.expires_at);
        let expires = self
            .options
            .arguments
            .expires
            .filter(|_| self.consumers.len() == 0);
        let whole = expires.map(|expires| self.used_at.saturating_add(expires));
        [head, whole, self.kept.deadline(), self.away_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}
