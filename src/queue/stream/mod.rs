//! A stream: messages that stay. Each consumer reads from where it asked to, at its own pace; an acknowledgement only makes
//! room for more.
//!
//! The store has every message; memory holds the newest ones, for consumers that keep up, and a page for each consumer that
//! reads what is older. Offsets are RabbitMQ's: the first message ever is 0, at position 1. What goes, goes by
//! retention (`segments`), oldest first, whoever has read it.
//!
//! Invariants: positions from `first` on to the queue's next are there, but for what a damaged disk has lost; `newest` is
//! their end, without a gap, when it is not empty.

mod filter;
mod pages;
mod reader;
mod segments;
mod start;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::Delivery;
use crate::model::Position;
use crate::model::Run;
use crate::model::outbox::Parcel;
use crate::queue::Consumer;
use crate::queue::Queue;
use crate::queue::dispatch::fitting;
use crate::queue::ready::held_bytes;
use crate::store::Record;
pub use filter::Filter;
pub(super) use pages::Found;
pub(super) use pages::Search;
use reader::Place;
use reader::Reader;
pub use segments::Retention;
use segments::Segments;
pub use start::Start;

/// So much of the newest is kept in memory while somebody reads, if the budget allows.
const NEWEST_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The same while nobody does.
const NEWEST_BYTES_IDLE: u64 = 64 * 1024;

/// Messages that came together.
#[derive(Debug, Clone)]
struct Piece {
    first: u64,
    run: Run,
}

impl Piece {
    fn end(&self) -> u64 {
        self.first + self.run.len() as u64
    }

    /// What is not before `position`.
    fn after(&self, position: u64) -> Piece {
        let skipped = position.saturating_sub(self.first) as usize;
        Piece {
            first: self.first + skipped as u64,
            run: self.run.slice(skipped..self.run.len()),
        }
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Stream {
    /// The oldest that is there, or would be.
    first: u64,
    segments: Segments,
    newest: VecDeque<Piece>,
    newest_bytes: u64,
    /// Where the last messages that came together begin; `None` when they came before the start.
    last_piece: Option<u64>,
    readers: HashMap<ConsumerId, Reader>,
    /// Bytes of the pages of all readers.
    page_bytes: u64,
    /// For whom the disk is being read.
    reading: Option<ConsumerId>,
    /// For whom it was read last.
    served: Option<ConsumerId>,
    /// The disk could not be read.
    broken: bool,
}

impl Stream {
    pub(super) fn new(first: u64, retention: &Retention) -> Self {
        Self {
            first,
            segments: Segments::new(retention.segment_bytes),
            ..Self::default()
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.segments.body_bytes()
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.newest_bytes + self.page_bytes
    }

    /// The stream is deleted.
    pub(super) fn clear(&mut self) {
        *self = Self {
            first: self.first,
            ..Self::default()
        };
    }

    /// Keeps no more of the newest than this.
    fn trim(&mut self, bytes_max: u64) {
        while self.newest_bytes > bytes_max {
            let Some(piece) = self.newest.pop_front() else {
                break;
            };
            self.newest_bytes -= held_bytes(&piece.run);
        }
    }

    /// What is in memory at `position`.
    fn newest_at(&self, position: u64) -> Option<Piece> {
        let after = self.newest.partition_point(|piece| piece.first <= position);
        let piece = self.newest.get(after.checked_sub(1)?)?;
        (position < piece.end()).then(|| piece.after(position))
    }

    fn is_newest(&self, position: u64) -> bool {
        self.newest
            .front()
            .is_some_and(|piece| piece.first <= position)
    }
}

impl Queue {
    /// Adds a consumer of a stream, which begins at `start` and gets what `filter` lets through. The rest as [`Queue::consume`].
    ///
    /// Does nothing when the queue is not a stream.
    pub fn attach(
        &mut self,
        consumer: Consumer,
        start: Start,
        filter: Option<Filter>,
        now: u64,
        records: &mut Vec<Record>,
    ) {
        let next = self.next_position;
        let Some(stream) = &mut self.stream else {
            return;
        };
        let place = match start {
            Start::First => Place::At(stream.first),
            Start::Last => Place::At(stream.last_piece.unwrap_or(next.saturating_sub(1))),
            Start::Next => Place::At(next),
            Start::Offset(offset) => Place::At(offset.saturating_add(1)),
            Start::Time(time) => Place::Sought { time, end: next },
        };
        stream
            .readers
            .insert(consumer.id, Reader::new(place, filter));
        self.touch(now);
        self.consumers.add(consumer, u64::MAX);
        self.dispatch(now, records);
    }

    pub(super) fn detach(&mut self, consumer: ConsumerId) {
        if let Some(stream) = &mut self.stream
            && let Some(reader) = stream.readers.remove(&consumer)
        {
            stream.page_bytes -= reader.page_bytes();
        }
    }

    /// Messages came to a stream, which is no other kind of queue. Delivers them and keeps to the retention.
    pub(super) fn append(&mut self, first: u64, run: Run, now: u64, records: &mut Vec<Record>) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let count = run.len() as u64;
        let rolled = stream
            .segments
            .add(first..first + count, run.body_bytes(), Some(now));
        stream.last_piece = Some(first);
        stream.newest_bytes += held_bytes(&run);
        stream.newest.push_back(Piece { first, run });
        for (id, reader) in &mut stream.readers {
            if reader.waits_for_news() {
                self.consumers.wake(*id);
            }
        }
        if rolled {
            self.retain(now, records);
        }
        self.dispatch(now, records);
    }

    /// Drops the oldest segments that are too many or too old.
    pub(super) fn retain(&mut self, now: u64, records: &mut Vec<Record>) {
        let retention = self.options.arguments.retention;
        let pager = self.paging.pager();
        let id = self.id;
        let Some(stream) = &mut self.stream else {
            return;
        };
        stream.segments.set_size(retention.segment_bytes);
        // A segment of an earlier life does not know when its last message came, but the message does.
        let time_of = |position| {
            let page = pager.as_ref()?.read(id, position..position + 1, 1)?;
            page.runs.first().and_then(|(_, _, time)| *time)
        };
        let Some(until) = stream.segments.retain(&retention, now, time_of) else {
            return;
        };
        records.push(Record::Purge {
            queue: id,
            ranges: vec![Range {
                start: stream.first,
                end: until,
            }],
        });
        stream.first = until;
        for reader in stream.readers.values_mut() {
            let held = reader.page_bytes();
            reader.begin_at(until);
            stream.page_bytes -= held - reader.page_bytes();
        }
    }

    /// As [`Queue::restore`], for what a stream has.
    pub(super) fn restore_stream(&mut self, positions: Range<u64>, body_bytes: u64) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        if stream.segments.is_empty() {
            stream.first = positions.start;
        }
        self.next_position = self.next_position.max(positions.end);
        stream.segments.restore(positions, body_bytes);
    }

    /// Keeps only so much of the newest in memory as the budget allows; the store has it all.
    pub(super) fn relieve_stream(&mut self) {
        let share = self.paging.share();
        if let Some(stream) = &mut self.stream {
            let most = match stream.readers.is_empty() {
                true => NEWEST_BYTES_IDLE,
                false => NEWEST_BYTES_MAX,
            };
            // What is freed is to last for a while.
            if stream.newest_bytes > most.min(share) {
                stream.trim(most.min(share) / 2);
            }
        }
        self.account();
    }

    /// Delivers to each consumer what it has not read yet, as far as that is in memory.
    pub(super) fn dispatch_stream(&mut self) {
        let next = self.next_position;
        let Some(stream) = &mut self.stream else {
            return;
        };
        while let Some(turn) = self.consumers.next() {
            let credit = turn.credit;
            let consumer = turn.consumer;
            let Some(reader) = stream.readers.get_mut(&consumer.id) else {
                self.consumers.block_next();
                continue;
            };
            if credit == 0 {
                self.consumers.block_next();
                continue;
            }
            let room = consumer.outbox.room_bytes();
            if room == 0 {
                consumer.outbox.stall(self.id);
                self.consumers.block_next();
                continue;
            }
            let held = reader.page_bytes();
            let id = consumer.id;
            reader.begin_at(stream.first);
            let at = reader.position();
            let in_page = reader.paged_at();
            let piece = match (at, in_page) {
                (Some(_), Some(piece)) => Some(piece),
                (Some(at), None) => stream.newest_at(at),
                (None, _) => None,
            };
            let Some(reader) = stream.readers.get_mut(&id) else {
                return;
            };
            let Some(piece) = piece else {
                reader.await_more(next);
                stream.page_bytes -= held - reader.page_bytes();
                self.consumers.block_next();
                continue;
            };
            let (skipped, wanted) = reader.pick(&piece.run, credit);
            reader.advance(piece.first + skipped as u64);
            let wanted = piece.run.slice(skipped..skipped + wanted);
            let mut taken = 0;
            if !wanted.is_empty() {
                let fits = fitting(&wanted, wanted.len(), room) as u64;
                taken = match consumer.no_ack {
                    true => fits,
                    false => consumer.channel_limit.take(fits, self.id),
                };
            }
            let refused = taken == 0 && !wanted.is_empty();
            if taken > 0 {
                let range = Delivered {
                    queue: self.id,
                    consumer: Some(id),
                    first: Position(piece.first + skipped as u64),
                    run: wanted.slice(0..taken as usize),
                    redelivered: false,
                    returns: 0,
                    expires_at: None,
                    entered_at: 0,
                    streamed: true,
                };
                reader.advance(range.first.0 + taken);
                consumer.unacked += taken;
                self.unacked += taken;
                self.stats.delivered(taken, consumer.no_ack, false);
                let (outbox, delivery) = (
                    Arc::clone(&consumer.outbox),
                    Delivery {
                        channel: consumer.channel,
                        consumer: id,
                        no_ack: consumer.no_ack,
                        range,
                    },
                );
                outbox.push(Parcel::Delivery(delivery));
            }
            stream.page_bytes -= held - reader.page_bytes();
            if refused {
                self.consumers.block_next();
            } else {
                self.consumers.rotate();
            }
        }
    }
}
