//! One queue: ready messages, consumers, expiry. A plain state machine behind its owner's one short lock.
//!
//! It is entered once per batch, never across an await, and knows no clock (`now` is an argument, in milliseconds since
//! the Unix epoch), no disk (what must be stored leaves as [`Record`]s) and no other queue. Deliveries go straight
//! into the receivers' outboxes, under the queue's lock, so that a channel sees them in queue order.
//!
//! What it must not know: exchanges, users, sockets, where messages came from.
//!
//! Invariants: positions are unique; a message is either ready, or with exactly one consumer's channel
//! (which holds it), or dead and waiting to be dead-lettered, or gone; `Put` leaves before any `Settle` of the same position.

pub mod arguments;
mod away;
mod browse;
mod capacity;
pub mod channel_limit;
mod consumers;
mod dead_letter;
pub mod deduplication;
pub mod delay;
mod dispatch;
mod enqueue;
mod expiry;
mod figures;
pub mod flow;
mod limits;
mod memory;
mod options;
mod paged;
mod paging;
mod ready;
mod settle;
mod since;
mod sources;
pub mod stream;
#[cfg(test)]
mod tests;

use crate::metrics::QueueCounts;
use crate::metrics::QueueHistory;
use crate::metrics::WAIT_BOUNDS_MS;
use crate::model::AmqpError;
use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::Outbox;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::model::outbox::Parcel;
use crate::store::Record;
pub use arguments::QueueArguments;
pub use arguments::QueueType;
pub use browse::Begin;
pub use browse::Browsed;
pub use browse::Glimpse;
use capacity::Capacity;
pub use channel_limit::ChannelLimit;
pub use consumers::Activity;
pub use consumers::Consumer;
use consumers::Consumers;
pub use dead_letter::Attempt;
pub use dead_letter::Dead;
pub use dead_letter::DeadLetter;
use dead_letter::Kept;
pub use dead_letter::RETRY_MS;
pub use dead_letter::Reason;
use deduplication::Seen;
use delay::Delayed;
use expiry::EarlierTtls;
pub use figures::Counts;
use flow::Flow;
pub use limits::Limits;
pub use limits::Overflow;
pub use memory::Memory;
pub use options::QueueOptions;
pub use paging::Fetched;
pub use paging::Page;
pub use paging::Pager;
use paging::Paging;
pub use paging::Spill;
pub use paging::Spilled;
pub use paging::Wanted;
use ready::Ready;
use sources::Sources;
use std::ops::Range;
use std::sync::Arc;
use stream::Stream;

/// Unacknowledged messages that a consumer of a quorum queue without prefetch may hold, as in RabbitMQ.
const QUORUM_UNACKED_MAX: u64 = 2000;

/// Why the owner should delete the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Auto-delete, and the last consumer has gone.
    Unused,
    /// Its `x-expires` time passed without use.
    Expired,
}

/// A queue's state. See the module's documentation.
pub struct Queue {
    id: QueueId,
    options: QueueOptions,
    next_position: u64,
    ready: Ready,
    /// It drops from its head, and there may be ready messages with an `expiration` of their own.
    expirations: bool,
    consumers: Consumers,
    capacity: Capacity,
    unacked: u64,
    /// Body bytes of these; a stream does not know.
    unacked_bytes: u64,
    stats: QueueCounts,
    sources: Sources,
    /// What became of messages, once there were any.
    history: Option<Box<QueueHistory>>,
    /// Messages that died and that the owner has not taken yet; empty without a dead-letter exchange.
    dead: Vec<Dead>,
    /// Those that come back to [`Queue::take_dead`] later.
    kept: Kept,
    /// Of a delayed exchange: what is enqueued waits here for its time.
    delayed: Option<Box<Delayed>>,
    /// What its messages may not repeat, if it takes none twice.
    seen: Option<Box<Seen>>,
    /// Of a stream: its messages are there, and none is ready or dead.
    stream: Option<Box<Stream>>,
    paging: Paging,
    flow: Flow,
    /// What came before policies changed the TTL.
    earlier_ttls: EarlierTtls,
    /// The last time that expiry was judged at.
    looked_at: u64,
    /// When it was last used, for `x-expires`.
    used_at: u64,
    /// Number of owners that have enqueued and not yet handed the records to the store; nothing is delivered meanwhile.
    holds: u32,
    deleted: bool,
}

/// Messages leave for a client that entered at `since`.
fn note_wait(history: &mut Option<Box<QueueHistory>>, since: u64, now: u64, count: u64) {
    if since > 0 {
        let waited = &mut history.get_or_insert_default().waited;
        waited.add(&WAIT_BOUNDS_MS, now.saturating_sub(since), count);
    }
}

/// Consecutive messages that were delivered and came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Where they are.
    pub positions: Range<u64>,
    /// How often, as far as the queue counts.
    pub returns: u32,
}

impl Queue {
    /// An empty queue whose first message gets `next_position`.
    pub fn new(id: QueueId, options: QueueOptions, next_position: Position, now: u64) -> Self {
        let next_position = next_position.0.max(1);
        let stream = options
            .is_stream()
            .then(|| Box::new(Stream::new(next_position, &options.arguments.retention)));
        Self {
            id,
            next_position,
            ready: Ready::new(options.order()),
            expirations: true,
            consumers: Consumers::new(options.succession()),
            capacity: Capacity::new(now),
            seen: options.arguments.deduplicate.then(Box::default),
            stream,
            options,
            unacked: 0,
            unacked_bytes: 0,
            stats: QueueCounts::default(),
            sources: Sources::default(),
            history: None,
            dead: Vec::new(),
            kept: Kept::default(),
            delayed: None,
            paging: Paging::default(),
            flow: Flow::default(),
            earlier_ttls: EarlierTtls::default(),
            looked_at: now,
            used_at: now,
            holds: 0,
            deleted: false,
        }
    }

    /// Positions of stored messages that were delivered before and came back, for who writes them down.
    pub fn redelivered(&self) -> Vec<Returned> {
        let mut all: Vec<Returned> = Vec::new();
        for segment in self.ready.iter().filter(|segment| segment.redelivered) {
            for stretch in self.stored_stretches(&segment.run) {
                all.push(Returned {
                    positions: segment.first + stretch.start as u64
                        ..segment.first + stretch.end as u64,
                    returns: segment.returns,
                });
            }
        }
        self.note_redelivered(&mut all);
        all.sort_unstable_by_key(|returned| returned.positions.start);
        all.dedup_by(|next, last| {
            let touches =
                last.positions.end == next.positions.start && last.returns == next.returns;
            if touches {
                last.positions.end = next.positions.end;
            }
            touches
        });
        all
    }

    /// Puts back a message run that the store kept and that entered the queue at `enqueued_at`; its time to live counts
    /// from then. Called in position order, before anything else; [`Queue::restored`] comes last.
    pub fn restore(&mut self, first: Position, run: Run, redelivered: bool, enqueued_at: u64) {
        self.restore_returned(first, run, redelivered.then_some(0), enqueued_at);
    }

    /// As [`Queue::restore`], for messages that had been delivered and came back so often as the queue counted.
    pub fn restore_returned(
        &mut self,
        first: Position,
        run: Run,
        returns: Option<u32>,
        enqueued_at: u64,
    ) {
        if self.stream.is_some() {
            let positions = first.0..first.0 + run.len() as u64;
            return self.restore_stream(positions, run.body_bytes());
        }
        self.next_position = self.next_position.max(first.0 + run.len() as u64);
        if let Some(delayed) = &mut self.delayed {
            delayed.insert(first.0, &run, enqueued_at);
            self.relieve();
            return;
        }
        self.note_restored(first, &run, enqueued_at);
        for mut segment in self.segments(first.0, run, enqueued_at) {
            segment.redelivered = returns.is_some();
            segment.returns = returns.unwrap_or(0);
            self.ready.push_back(segment);
        }
        self.relieve_restored();
    }

    /// Everything that the store kept is back: what expired meanwhile, or is more than the limits allow, dies now.
    pub fn restored(&mut self, now: u64, records: &mut Vec<Record>) {
        self.begin_paging();
        self.retain(now, records);
        if self.may_have_expired_away(now) {
            // When, only the message itself tells.
            self.page_in_now();
        }
        self.expire(now, records);
        self.drop_excess(now, records);
    }

    /// Its id.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Whether it was deleted: whoever looked it up before must look again.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Obeys other arguments from now on: a policy has changed. Messages that are here keep the time to live that they
    /// came with; those beyond a new limit are dropped at once, unless the queue refuses new ones instead. An expiry
    /// begins to count again.
    pub fn reconfigure(&mut self, arguments: QueueArguments, now: u64, records: &mut Vec<Record>) {
        if self.deleted {
            return;
        }
        // What is in the queue when it begins is not known to it, as in the plugin.
        if arguments.deduplicate {
            self.seen.get_or_insert_default();
        } else {
            self.seen = None;
        }
        if arguments.message_ttl != self.options.arguments.message_ttl {
            self.earlier_ttls.ended(
                self.options.arguments.message_ttl,
                self.next_position,
                self.ready.len() == 0 && self.unacked == 0,
            );
        }
        self.options.arguments = arguments;
        self.expirations = true;
        self.used_at = now;
        self.retain(now, records);
        self.expire(now, records);
        self.drop_excess(now, records);
    }

    /// It was declared again, or asked for: that is use of it, but not of a quorum queue.
    pub fn declared(&mut self, now: u64) {
        if !self.options.is_quorum() {
            self.touch(now);
        }
    }

    /// Counts as use for `x-expires`.
    pub fn touch(&mut self, now: u64) {
        self.used_at = now;
    }

    /// Nothing is delivered until [`Queue::release`]; the messages enqueued meanwhile are not in the store's hands yet.
    pub fn hold(&mut self) {
        self.holds += 1;
    }

    /// Ends one [`Queue::hold`] and delivers what waits.
    ///
    /// # Panics
    /// Without a hold.
    pub fn release(&mut self, now: u64, records: &mut Vec<Record>) {
        assert!(self.holds > 0, "release without hold");
        self.holds -= 1;
        // What was enqueued under the hold is delivered, or expires, only now.
        self.dispatch_fresh(now, records);
        self.drop_excess(now, records);
    }

    /// Whether someone holds it.
    pub fn is_held(&self) -> bool {
        self.holds > 0
    }

    /// Adds a consumer and starts delivering to it.
    pub fn consume(
        &mut self,
        consumer: Consumer,
        now: u64,
        records: &mut Vec<Record>,
    ) -> Result<(), InExclusiveUse> {
        // Quorum queues know no exclusive consumers; a single active one needs none.
        let refused = if self.options.is_quorum() {
            false
        } else if self.options.arguments.single_active_consumer {
            consumer.exclusive
        } else {
            let someone = self.consumers.len() > 0;
            self.consumers.has_exclusive() || (consumer.exclusive && someone)
        };
        if refused {
            return Err(InExclusiveUse);
        }
        self.touch(now);
        let unlimited = match self.options.is_quorum() {
            true => QUORUM_UNACKED_MAX,
            false => u64::MAX,
        };
        self.consumers.add(consumer, unlimited);
        self.dispatch(now, records);
        Ok(())
    }

    /// Removes a consumer; what it holds stays with its channel. Answers when the queue should now go.
    pub fn cancel(
        &mut self,
        consumer: ConsumerId,
        now: u64,
        records: &mut Vec<Record>,
    ) -> Option<Ended> {
        let before = self.consumers.len();
        let ended = self.retire(consumer, now);
        if self.consumers.len() < before {
            self.take_over(now, records);
        }
        ended
    }

    /// As [`Queue::cancel`], but delivers nothing: what the consumer holds comes back first, then [`Queue::take_over`].
    pub fn retire(&mut self, consumer: ConsumerId, now: u64) -> Option<Ended> {
        if !self.consumers.remove(consumer) {
            return None;
        }
        self.detach(consumer);
        self.touch(now);
        (self.options.auto_delete && self.consumers.len() == 0).then_some(Ended::Unused)
    }

    /// A consumer has gone: it may have been the single active one, and another takes over.
    pub fn take_over(&mut self, now: u64, records: &mut Vec<Record>) {
        self.dispatch(now, records);
    }

    /// Takes the message at the head for `basic.get`. With `no_ack` it is settled at once.
    pub fn get(&mut self, no_ack: bool, now: u64, records: &mut Vec<Record>) -> Option<Delivered> {
        self.touch(now);
        self.expire(now, records);
        self.page_in_now();
        self.expire(now, records);
        let Some(segment) = self.ready.take_front(1) else {
            self.stats.get_empty += 1;
            return None;
        };
        self.stats.fetched(no_ack, segment.redelivered);
        // What comes to the front expired does not count as left.
        self.expire(now, records);
        note_wait(&mut self.history, segment.entered_at, now, 1);
        let range = segment.into_delivered(self.id, None);
        if no_ack {
            self.left(range.first, &range.run);
            self.settle_record(range.first, &range.run, records);
        } else {
            self.unacked += 1;
            self.unacked_bytes += range.run.body_bytes();
        }
        Some(range)
    }

    /// Drops all ready messages; answers how many.
    pub fn purge(&mut self, now: u64, records: &mut Vec<Record>) -> u64 {
        self.expire(now, records);
        let count = self.ready.len();
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let (here, away) = self.ready.drain();
        ranges.extend(paging::stored_ranges(away));
        for segment in here {
            self.left(Position(segment.first), &segment.run);
            for stretch in self.stored_stretches(&segment.run) {
                ranges
                    .push(segment.first + stretch.start as u64..segment.first + stretch.end as u64);
            }
        }
        if self.options.durable && !ranges.is_empty() {
            records.push(Record::Purge {
                queue: self.id,
                ranges: ascending(ranges),
            });
        }
        count
    }

    /// Ends the queue: consumers are told, messages dropped. Answers the number of ready messages.
    pub fn delete(&mut self, records: &mut Vec<Record>) -> u64 {
        self.deleted = true;
        for consumer in self.consumers.drain() {
            consumer.outbox.push(Parcel::ConsumerCancelled {
                channel: consumer.channel,
                consumer: consumer.id,
            });
        }
        let count = self.ready.len();
        drop(self.ready.drain());
        if let Some(stream) = &mut self.stream {
            stream.clear();
        }
        self.kept = Kept::default();
        if let Some(delayed) = &mut self.delayed {
            delayed.clear();
        }
        if self.options.durable {
            records.push(Record::DeleteQueue { queue: self.id });
        }
        count
    }

    /// Delivers again after a receiver made room: its outbox drained or its channel's limit was raised or given back.
    pub fn resume(&mut self, outbox: &Arc<Outbox>, now: u64, records: &mut Vec<Record>) {
        self.consumers.unblock(outbox);
        self.dispatch(now, records);
    }

    /// How long a delivery may stay without acknowledgement, in milliseconds, when its arguments say so.
    pub fn consumer_timeout(&self) -> Option<u64> {
        self.options.arguments.consumer_timeout
    }

    /// The store must hear of exactly the messages that it was given.
    fn settle_record(&self, first: Position, run: &Run, records: &mut Vec<Record>) {
        if !self.options.durable {
            return;
        }
        records.extend(self.stored_stretches(run).map(|stretch| Record::Settle {
            queue: self.id,
            first: Position(first.0 + stretch.start as u64),
            count: stretch.len() as u64,
        }));
    }
}

/// Ranges that do not overlap, in order, joined where they touch.
fn ascending(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let touches = last.end == next.start;
        if touches {
            last.end = next.end;
        }
        touches
    });
    ranges
}

/// The queue has an exclusive consumer, or the new one wants to be it and is not alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InExclusiveUse;

impl InExclusiveUse {
    /// RabbitMQ's answer; `resource` is such as `queue 'q' in vhost '/'`.
    pub fn into_error(self, resource: &str) -> AmqpError {
        AmqpError::access_refused(format!("{resource} in exclusive use"))
    }
}
