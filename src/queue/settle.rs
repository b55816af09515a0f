//! Deliveries come back: acknowledged, rejected or to be delivered again.

use crate::model::Delivered;
use crate::queue::Queue;
use crate::queue::Reason;
use crate::queue::ready::Segment;
use crate::store::Record;

impl Queue {
    /// The messages are acknowledged.
    pub fn settle(&mut self, ranges: &[Delivered], now: u64, records: &mut Vec<Record>) {
        if self.deleted {
            return;
        }
        let counts = ranges.iter().map(|range| range.run.len() as u64);
        self.stats.ack += counts.sum::<u64>();
        if self.stream.is_some() {
            return self.credit_all(ranges, now, records);
        }
        for range in ranges {
            self.left(range.first, &range.run);
            self.settle_record(range.first, &range.run, records);
            self.credit(range);
        }
        self.dispatch(now, records);
    }

    /// The messages are to be delivered again, as a client has asked: they go back to where they were, marked as
    /// redelivered. In a quorum queue they go to the front, or, when it has no delivery limit, to the end, as RabbitMQ 3.13
    /// has it.
    pub fn requeue(&mut self, ranges: Vec<Delivered>, now: u64, records: &mut Vec<Record>) {
        let last = self.delivery_limit().is_none();
        self.give_back(ranges, last, now, records);
    }

    /// Whoever had the messages is gone: as [`Queue::requeue`], but in a quorum queue they always go to the front.
    pub fn take_back(&mut self, ranges: Vec<Delivered>, now: u64, records: &mut Vec<Record>) {
        self.give_back(ranges, false, now, records);
    }

    fn give_back(
        &mut self,
        ranges: Vec<Delivered>,
        last: bool,
        now: u64,
        records: &mut Vec<Record>,
    ) {
        if self.deleted {
            return;
        }
        if self.stream.is_some() {
            return self.credit_all(&ranges, now, records);
        }
        let limit = self.delivery_limit();
        let counts = limit.is_some() || self.options.is_quorum();
        for range in ranges {
            self.credit(&range);
            let returns = range.returns.saturating_add(u32::from(counts));
            if limit.is_some_and(|limit| u64::from(returns) > limit) {
                self.bury(Reason::DeliveryLimit, range.first, range.run, now, records);
                continue;
            }
            let segment = Segment {
                first: range.first.0,
                run: range.run,
                redelivered: true,
                returns,
                expires_at: range.expires_at,
                entered_at: range.entered_at,
                behind: 0,
            };
            let last = last.then_some(self.next_position);
            for segment in self.ready.give_back(segment, last) {
                self.give_back_away(segment);
            }
        }
        // A classic queue keeps its limit before it delivers again, a quorum queue after that.
        if !self.options.is_quorum() {
            self.drop_excess(now, records);
        }
        self.dispatch(now, records);
        self.drop_excess(now, records);
    }

    /// A stream's consumer may have more, whatever it says of what it had.
    fn credit_all(&mut self, ranges: &[Delivered], now: u64, records: &mut Vec<Record>) {
        for range in ranges {
            self.credit(range);
        }
        self.dispatch(now, records);
    }

    /// How often a message may come back.
    fn delivery_limit(&self) -> Option<u64> {
        self.options.delivery_limit()
    }

    pub(super) fn credit(&mut self, range: &Delivered) {
        let count = range.run.len() as u64;
        debug_assert!(self.unacked >= count, "settled more than was out");
        self.unacked = self.unacked.saturating_sub(count);
        if self.stream.is_none() {
            let bytes = range.run.body_bytes();
            self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes);
        }
        if let Some(consumer) = range.consumer {
            self.consumers.settled(consumer, count);
        }
    }
}
