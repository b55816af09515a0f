//! Deliveries come back: acknowledged, rejected or to be delivered again.

use crate::model::Delivered;
use crate::queue::Queue;
use crate::queue::ready::Segment;
use crate::store::Record;

impl Queue {
    /// The messages are acknowledged.
    pub fn settle(&mut self, ranges: &[Delivered], now: u64, records: &mut Vec<Record>) {
        if self.deleted {
            return;
        }
        for range in ranges {
            self.settle_record(range.first, &range.run, records);
            self.credit(range);
        }
        self.dispatch(now, records);
    }

    /// The messages go back to where they were, marked as redelivered.
    pub fn requeue(&mut self, ranges: Vec<Delivered>, now: u64, records: &mut Vec<Record>) {
        if self.deleted {
            return;
        }
        for range in ranges {
            self.credit(&range);
            self.ready.insert(Segment {
                first: range.first.0,
                run: range.run,
                redelivered: true,
                returns: range.returns.saturating_add(1),
                expires_at: range.expires_at,
            });
        }
        self.dispatch(now, records);
        self.drop_excess(now, records);
    }

    pub(super) fn credit(&mut self, range: &Delivered) {
        let count = range.run.len() as u64;
        debug_assert!(self.unacked >= count, "settled more than was out");
        self.unacked = self.unacked.saturating_sub(count);
        if let Some(consumer) = range.consumer {
            self.consumers.settled(consumer, count);
        }
    }
}
