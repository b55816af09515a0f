//! Length limits: how many ready messages, and how many bytes of their bodies, a queue keeps (specification §6.5).
//!
//! What is with consumers does not count. Messages are counted as if they came one by one, whatever run they came in: what a
//! consumer takes makes room for what follows.

use std::ops::Range;

use crate::model::Position;
use crate::model::Run;
use crate::queue::Queue;
use crate::queue::Reason;
use crate::store::Record;

/// What a full queue does (`x-overflow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Drops from its head until it is within its limits again.
    #[default]
    DropHead,
    /// Refuses new messages.
    RejectPublish,
    /// Refuses new messages and dead-letters them.
    RejectPublishDeadLetter,
}

/// `x-max-length`, `x-max-length-bytes`, `x-overflow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Ready messages.
    pub length: Option<u64>,
    /// Body bytes of ready messages.
    pub body_bytes: Option<u64>,
    /// What happens beyond.
    pub overflow: Overflow,
}

impl Limits {
    /// Whether a message may be refused.
    pub fn refuse(&self) -> bool {
        self.overflow != Overflow::DropHead && (self.length.is_some() || self.body_bytes.is_some())
    }

    /// Whether messages may be dropped from the head.
    pub(super) fn drop(&self) -> bool {
        self.overflow == Overflow::DropHead && (self.length.is_some() || self.body_bytes.is_some())
    }

    fn allow(&self, length: u64, body_bytes: u64) -> bool {
        self.length.is_none_or(|max| length <= max)
            && self.body_bytes.is_none_or(|max| body_bytes <= max)
    }
}

impl Queue {
    /// Enqueues what there is room for. Answers which messages of the run were refused, ascending.
    pub(super) fn enqueue_fitting(
        &mut self,
        mut run: Run,
        now: u64,
        records: &mut Vec<Record>,
    ) -> Vec<Range<usize>> {
        let mut refused: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        // Before counting: what has expired only seems to take room.
        self.expire(now, records);
        while !run.is_empty() {
            let fitting = self.fitting(&run);
            if fitting > 0 {
                self.accept(run.take_front(fitting), now, records);
                at += fitting;
                continue;
            }
            // A smaller message behind this one may still fit, but none at all where there are too many.
            let full = !self.options.arguments.limits.allow(self.load().0 + 1, 0);
            let count = if full { run.len() } else { 1 };
            self.refuse(run.take_front(count), now);
            match refused.last_mut() {
                Some(last) if last.end == at => last.end += count,
                _ => refused.push(at..at + count),
            }
            at += count;
        }
        refused
    }

    /// Whether messages are to be dropped from the head.
    pub(super) fn is_over_limit(&self) -> bool {
        let limits = &self.options.arguments.limits;
        limits.drop() && !limits.allow(self.ready.len(), self.ready.body_bytes())
    }

    /// Whether so many messages with so many bytes of body fit besides what is ready, or may be made to fit.
    pub fn has_room(&self, count: u64, body_bytes: u64) -> bool {
        let limits = &self.options.arguments.limits;
        let (length, held_bytes) = self.load();
        let allowed = limits.allow(length + count, held_bytes + body_bytes);
        // Requeueing may have filled it beyond its limits, which is no concern of who brings nothing.
        count == 0 || allowed || !limits.refuse()
    }

    /// Messages that count against the limits of a queue that refuses, and bytes of their bodies.
    fn load(&self) -> (u64, u64) {
        let (length, body_bytes) = self.kept.load();
        (
            self.ready.len() + length,
            self.ready.body_bytes() + body_bytes,
        )
    }

    /// How many of the first messages of `run` fit besides what is ready.
    fn fitting(&self, run: &Run) -> usize {
        let (mut length, mut body_bytes) = self.load();
        let fits = run.iter().take_while(|message| {
            length += 1;
            body_bytes += message.body().len() as u64;
            self.options.arguments.limits.allow(length, body_bytes)
        });
        fits.count()
    }

    fn refuse(&mut self, run: Run, now: u64) {
        let arguments = &self.options.arguments;
        if arguments.limits.overflow != Overflow::RejectPublishDeadLetter {
            return;
        }
        let leads_on = arguments.dead_letter.is_some();
        self.count_dead(Reason::MaxLength, run.len() as u64, false);
        if leads_on {
            self.die(Reason::MaxLength, None, run, now);
        }
    }

    /// Whether a message that is one too many and has a TTL of 0 dies of the former: so it is in classic queues.
    pub(super) fn drops_before_expiry(&self) -> bool {
        !self.options.is_quorum() && self.options.arguments.limits.drop()
    }

    /// Drops messages from the head until the queue is within its limits. Under a hold nothing is dropped that might be
    /// delivered at its end.
    pub(super) fn drop_excess(&mut self, now: u64, records: &mut Vec<Record>) {
        let limits = self.options.arguments.limits;
        if !limits.drop() || self.holds > 0 {
            return;
        }
        loop {
            if self.ready.front_is_away() {
                let (length, body_bytes) = (self.ready.len(), self.ready.body_bytes());
                if limits.allow(length, body_bytes) {
                    return;
                }
                self.page_in_now();
            }
            let Some(front) = self.ready.front() else {
                return;
            };
            let beyond =
                |limit: Option<u64>, now: u64| limit.map_or(0, |max| now.saturating_sub(max));
            let excess = beyond(limits.length, self.ready.len());
            let mut excess_bytes = beyond(limits.body_bytes, self.ready.body_bytes());
            let by_bytes = front.run.iter().take_while(|message| {
                let more = excess_bytes > 0;
                excess_bytes = excess_bytes.saturating_sub(message.body().len() as u64);
                more
            });
            let count = excess.max(by_bytes.count() as u64);
            if count == 0 {
                return;
            }
            let Some(dropped) = self.ready.take_front(count as usize) else {
                return;
            };
            let first = Position(dropped.first);
            self.bury(Reason::MaxLength, first, dropped.run, now, records);
        }
    }
}
