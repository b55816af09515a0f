//! `basic.ack`, `basic.nack`, `basic.reject`: what happens to deliveries, gathered until the end of a batch.

use crate::connection::channel::Channel;
use crate::connection::channel::Mode;
use crate::connection::channel::ack::UnknownTag;
use crate::connection::channel::ack::append;
use crate::connection::host::Host;
use crate::connection::host::Settle;
use crate::model::AmqpError;
use crate::model::Delivered;
use crate::model::DeliveryTag;

/// Settled deliveries that the host does not know of yet, by kind: kinds need no order among each other, for each
/// message has one fate.
#[derive(Debug, Default)]
pub(super) struct Settles {
    ack: Vec<Delivered>,
    reject: Vec<Delivered>,
    requeue: Vec<Delivered>,
}

impl Settles {
    fn of(&mut self, settle: Settle) -> &mut Vec<Delivered> {
        match settle {
            Settle::Ack => &mut self.ack,
            Settle::Reject => &mut self.reject,
            Settle::Requeue => &mut self.requeue,
        }
    }
}

impl Channel {
    /// Settles the delivery `tag`, and with `multiple` all before it; later, with the batch or the transaction.
    pub(in crate::connection) fn settle(
        &mut self,
        tag: DeliveryTag,
        multiple: bool,
        settle: Settle,
    ) -> Result<(), AmqpError> {
        let taken = match &mut self.mode {
            Mode::Tx(transaction) => {
                let mut ranges = Vec::new();
                let taken = self
                    .unacked
                    .take(tag, multiple, |first, range| ranges.push((first, range)));
                if settle != Settle::Ack {
                    self.consumers
                        .sort_returned(&mut ranges, |(_, range)| range);
                }
                transaction.settle(settle, ranges);
                transaction.show(&self.stats);
                taken
            }
            Mode::Plain | Mode::Confirm(_) if multiple && settle != Settle::Ack => {
                let mut ranges = Vec::new();
                let taken = self
                    .unacked
                    .take(tag, multiple, |_, range| ranges.push(range));
                self.consumers.sort_returned(&mut ranges, |range| range);
                let settled = self.settles.of(settle);
                ranges.into_iter().for_each(|range| append(settled, range));
                taken
            }
            Mode::Plain | Mode::Confirm(_) => {
                let settled = self.settles.of(settle);
                self.unacked
                    .take(tag, multiple, |_, range| append(settled, range))
            }
        };
        taken.map_err(|UnknownTag| {
            AmqpError::precondition_failed(format!("unknown delivery tag {}", tag.0))
        })
    }

    /// Tells the host what was settled since the last call.
    pub(in crate::connection) fn hand_over_settles(&mut self, host: &mut dyn Host) {
        for settle in [Settle::Ack, Settle::Reject, Settle::Requeue] {
            let ranges = self.settles.of(settle);
            if !ranges.is_empty() {
                let count = ranges.iter().map(|range| range.run.len() as u64).sum();
                self.stats.unacked.take(count);
                if settle == Settle::Ack {
                    self.stats.ack.add(count);
                    for range in &*ranges {
                        let tallies = self.tallies.get_or_insert_default();
                        let tally = tallies.queues.of(range.queue.0, &self.stats.queues);
                        tally.ack.add(range.run.len() as u64);
                    }
                }
                host.settle(self.id, settle, std::mem::take(ranges));
            }
        }
    }
}
