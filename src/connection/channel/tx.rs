//! `tx.commit` and `tx.rollback`: publishes and settles wait here until one of them comes.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::tx;

use crate::connection::channel::Channel;
use crate::connection::channel::Mode;
use crate::connection::channel::publish::send_returns;
use crate::connection::host::Publish;
use crate::connection::host::Published;
use crate::connection::host::Settle;
use crate::connection::host::Staged;
use crate::connection::host::TxStep;
use crate::connection::turn::ChannelTurn;
use crate::metrics::ChannelStats;
use crate::model::AmqpError;
use crate::model::Delivered;
use crate::model::DeliveryTag;
use crate::model::Lsn;
use crate::protocol::encode;
use crate::protocol::output::Sink as _;

/// What a buffered publish costs beside its messages' bytes.
const PUBLISH_OVERHEAD_BYTES: u64 = 128;

#[derive(Debug)]
enum Step {
    Publish(Staged),
    /// With the tags, under which a rollback puts them back.
    Settle(Settle, Vec<(DeliveryTag, Delivered)>),
}

/// What came since the last commit or rollback.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    steps: Vec<Step>,
    published_bytes: u64,
}

impl Transaction {
    /// Buffers a publish, unless that made the transaction larger than `bytes_max`.
    pub(super) fn publish(&mut self, staged: Staged, bytes_max: u64) -> Result<(), AmqpError> {
        let bytes = staged.publish.run.held_bytes() as u64 + PUBLISH_OVERHEAD_BYTES;
        if self.published_bytes + bytes > bytes_max {
            let text = format!("transaction is larger than the configured maximum of {bytes_max}");
            return Err(AmqpError::precondition_failed(text));
        }
        self.published_bytes += bytes;
        self.steps.push(Step::Publish(staged));
        Ok(())
    }

    pub(super) fn settle(&mut self, settle: Settle, ranges: Vec<(DeliveryTag, Delivered)>) {
        match self.steps.last_mut() {
            Some(Step::Settle(last, known)) if *last == settle => known.extend(ranges),
            _ if ranges.is_empty() => {}
            _ => self.steps.push(Step::Settle(settle, ranges)),
        }
    }

    /// Forgets the publishes; the deliveries are unacknowledged again.
    pub(super) fn roll_back(&mut self) -> impl Iterator<Item = (DeliveryTag, Delivered)> + use<> {
        let transaction = std::mem::take(self);
        transaction.steps.into_iter().flat_map(|step| match step {
            Step::Publish(_) => Vec::new(),
            Step::Settle(_, ranges) => ranges,
        })
    }

    /// The steps as the host takes them, for it may refuse.
    fn to_steps(&self) -> Vec<TxStep> {
        let step = |step: &Step| match step {
            Step::Publish(staged) => TxStep::Publish(staged.clone()),
            Step::Settle(settle, ranges) => TxStep::Settle(
                *settle,
                ranges.iter().map(|(_, range)| range.clone()).collect(),
            ),
        };
        self.steps.iter().map(step).collect()
    }

    /// Shows how large it is.
    pub(super) fn show(&self, stats: &ChannelStats) {
        let [mut published, mut settled] = [0, 0];
        for step in &self.steps {
            match step {
                Step::Publish(staged) => published += staged.publish.run.len() as u64,
                Step::Settle(_, ranges) => {
                    let counts = ranges.iter().map(|(_, range)| range.run.len() as u64);
                    settled += counts.sum::<u64>();
                }
            }
        }
        stats.uncommitted.set(published);
        stats.acks_uncommitted.set(settled);
    }

    /// Deliveries that it settles in this way.
    fn settled(&self, fate: Option<Settle>) -> u64 {
        let ranges = self.steps.iter().map(|step| match step {
            Step::Settle(settle, ranges) if fate.is_none_or(|fate| fate == *settle) => {
                ranges.iter().map(|(_, range)| range.run.len() as u64).sum()
            }
            Step::Settle(..) | Step::Publish(_) => 0,
        });
        ranges.sum()
    }

    fn acknowledged(&self) -> impl Iterator<Item = &Delivered> {
        let steps = self.steps.iter().filter_map(|step| match step {
            Step::Settle(Settle::Ack, ranges) => Some(ranges),
            Step::Settle(..) | Step::Publish(_) => None,
        });
        steps.flatten().map(|(_, range)| range)
    }

    fn publishes(&self) -> impl Iterator<Item = &Publish> {
        self.steps.iter().filter_map(|step| match step {
            Step::Publish(staged) => Some(&staged.publish),
            Step::Settle(..) => None,
        })
    }
}

impl Channel {
    pub(super) fn commit(&mut self, turn: &mut ChannelTurn<'_>) -> Result<(), AmqpError> {
        let Mode::Tx(transaction) = &mut self.mode else {
            return Err(not_transactional());
        };
        // On error the transaction stays as it is and ends with the channel, which returns its deliveries.
        let published = turn.host.commit(self.id, transaction.to_steps())?;
        let transaction = std::mem::take(transaction);
        self.count_committed(&transaction, &published);
        let mut frames = Vec::new();
        for (publish, published) in transaction.publishes().zip(&published) {
            let frame_max = turn.shared.frame_max;
            send_returns(&publish.run, published, self.id, frame_max, &mut frames);
        }
        if published
            .iter()
            .any(|published| !published.refused.is_empty())
        {
            turn.out.octets().append(&mut frames);
            return Err(AmqpError::precondition_failed("partial tx completion"));
        }
        let ok = tx::AMQPMethod::CommitOk(tx::CommitOk {});
        encode::method(&mut frames, self.id, &AMQPClass::Tx(ok));
        let commit = published.iter().map(|published| published.commit).max();
        let commit = commit.unwrap_or(Lsn::NONE);
        if turn.shared.is_durable(commit) {
            turn.out.octets().append(&mut frames);
        } else {
            turn.shared.hold_back(commit, frames);
        }
        Ok(())
    }

    fn count_committed(&mut self, transaction: &Transaction, published: &[Published]) {
        for (publish, published) in transaction.publishes().zip(published) {
            self.count_published(publish.run.len(), published);
        }
        self.stats.ack.add(transaction.settled(Some(Settle::Ack)));
        for range in transaction.acknowledged() {
            let tallies = self.tallies.get_or_insert_default();
            let tally = tallies.queues.of(range.queue.0, &self.stats.queues);
            tally.ack.add(range.run.len() as u64);
        }
        self.stats.unacked.take(transaction.settled(None));
        Transaction::default().show(&self.stats);
    }

    pub(super) fn roll_back(&mut self, turn: &mut ChannelTurn<'_>) -> Result<(), AmqpError> {
        let Mode::Tx(transaction) = &mut self.mode else {
            return Err(not_transactional());
        };
        Transaction::default().show(&self.stats);
        let interval = turn.shared.options.channel_tick_interval;
        for (first, range) in transaction.roll_back() {
            let at = turn.shared.patience.delivered(interval);
            self.unacked.put_back(first, at, range);
        }
        let ok = tx::AMQPMethod::RollbackOk(tx::RollbackOk {});
        turn.reply(self.id, &AMQPClass::Tx(ok));
        Ok(())
    }
}

fn not_transactional() -> AmqpError {
    AmqpError::precondition_failed("channel is not transactional")
}
