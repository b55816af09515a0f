//! Messages enter the queue.

use std::ops::Range;

use crate::model::Position;
use crate::model::Run;
use crate::queue::Queue;
use crate::queue::ready::Segment;
use crate::store::Record;

impl Queue {
    /// Appends `run`, delivers what can be delivered. What must be stored is pushed to `records`, which the caller hands
    /// to the store before it lets go of the queue's lock, or under a [`Queue::hold`]. Answers which messages of the run a
    /// full queue refused, ascending.
    pub fn enqueue(&mut self, run: Run, now: u64, records: &mut Vec<Record>) -> Vec<Range<usize>> {
        if self.options.arguments.limits.refuse() {
            return self.enqueue_fitting(run, now, records);
        }
        self.accept(run, now, records);
        Vec::new()
    }

    /// As [`Queue::enqueue`], for who has asked [`Queue::has_room`]: nothing is refused.
    pub fn accept(&mut self, run: Run, now: u64, records: &mut Vec<Record>) {
        if self.seen.is_some() {
            self.admit_new(&run, now, records);
        } else {
            self.admit(run, now, records);
        }
    }

    pub(super) fn admit(&mut self, run: Run, now: u64, records: &mut Vec<Record>) {
        let first = self.next_position;
        self.next_position += run.len() as u64;
        self.stats.publish += run.len() as u64;
        if self.delayed.is_some() {
            self.delay(first, &run, now, records);
            return;
        }
        if self.options.durable {
            self.put_records(first, &run, now, records);
        }
        if self.stream.is_some() {
            self.append(first, run, now, records);
        } else if self.ends_as_each_comes(&run) {
            for index in 0..run.len() {
                let message = run.slice(index..index + 1);
                self.take_in(first + index as u64, message, now, records);
            }
        } else if self.ready.has_priorities() {
            // As if they came one by one: what a consumer takes at once is not overtaken by what comes after it, and what
            // expires at once hides nothing.
            let mut at = first;
            for stretch in equals(&run) {
                let stretch = run.slice(stretch);
                let count = stretch.len() as u64;
                self.take_in(at, stretch, now, records);
                at += count;
            }
        } else {
            self.take_in(first, run, now, records);
        }
    }

    /// Whether messages of the run may both expire at once and be too many: which of the two befalls one depends on what
    /// is there when it comes.
    fn ends_as_each_comes(&mut self, run: &Run) -> bool {
        if !self.options.arguments.limits.drop() {
            return false;
        }
        // Until it is empty, for such a message may stand behind others and come to the front as these are dropped.
        self.expirations &= self.ready.len() > 0;
        self.expirations |= run.iter().any(|message| message.traits().has_expiration());
        self.expirations || self.options.arguments.message_ttl == Some(0)
    }

    /// What is put into the store's hands becomes ready.
    fn take_in(&mut self, first: u64, run: Run, now: u64, records: &mut Vec<Record>) {
        // Only what will lie here is worth a copy of its own; what a consumer takes at once is gone before it pins much.
        let run = if self.consumers.len() == 0 {
            run.detached_if_sparse()
        } else {
            run
        };
        let mut immediate = false;
        for segment in self.segments(first, run, now) {
            immediate |= segment.expires_at == Some(now);
            self.ready.push_back(segment);
        }
        if immediate {
            self.dispatch_fresh(now, records);
        } else {
            self.dispatch(now, records);
        }
        self.drop_excess(now, records);
    }

    /// Splits a run where the expiry changes.
    pub(super) fn segments(
        &self,
        first: u64,
        run: Run,
        now: u64,
    ) -> impl Iterator<Item = Segment> + use<> {
        let queue_ttl = self.ttl_at(first);
        let whole = !run.iter().any(|message| message.traits().has_expiration());
        let pieces = if whole { run.len().min(1) } else { run.len() };
        (0..pieces).map(move |index| {
            let run = if whole {
                run.clone()
            } else {
                run.slice(index..index + 1)
            };
            let ttl = shorter(queue_ttl, super::expiry::message_ttl(&run));
            Segment {
                first: first + index as u64,
                run,
                redelivered: false,
                returns: 0,
                expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
                entered_at: now,
                behind: 0,
            }
        })
    }

    /// The TTL of a run of one message.
    pub(super) fn message_ttl(&self, run: &Run) -> Option<u64> {
        shorter(
            self.options.arguments.message_ttl,
            super::expiry::message_ttl(run),
        )
    }

    /// One record for each stretch of messages that are stored.
    fn put_records(&mut self, first: u64, run: &Run, now: u64, records: &mut Vec<Record>) {
        let mut stored = 0;
        records.extend(self.stored_stretches(run).map(|stretch| {
            stored += stretch.len() as u64;
            Record::Put {
                targets: vec![(self.id, Position(first + stretch.start as u64))],
                run: run.slice(stretch),
                enqueued_at: now,
            }
        }));
        self.stats.disk_writes += stored;
    }
}

impl Queue {
    /// Where the messages of a run are that a durable queue stores: mostly everywhere or nowhere. A quorum queue or a
    /// stream stores all, and so does a delayed exchange.
    pub(super) fn stored_stretches<'r>(
        &self,
        run: &'r Run,
    ) -> impl Iterator<Item = Range<usize>> + use<'r> {
        let all = self.options.is_quorum() || self.options.is_stream() || self.delayed.is_some();
        let stored = move |index: usize| all || run.message(index).traits().persistent();
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = (at..run.len()).find(|index| stored(*index))?;
            let end = (start..run.len())
                .find(|index| !stored(*index))
                .unwrap_or(run.len());
            at = end;
            Some(start..end)
        })
    }
}

/// Where the run's priority stays the same, and nothing has an expiration of its own.
fn equals(run: &Run) -> impl Iterator<Item = Range<usize>> + use<'_> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut rest = (start..run.len()).map(|index| run.message(index).traits());
        let first = rest.next()?;
        let alike = rest.take_while(|other| {
            let expires = first.has_expiration() || other.has_expiration();
            other.priority == first.priority && !expires
        });
        at = start + 1 + alike.count();
        Some(start..at)
    })
}

fn shorter(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
