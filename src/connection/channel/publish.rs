//! `basic.publish`: what becomes of complete messages.

use crate::connection::channel::Channel;
use crate::connection::channel::Mode;
use crate::connection::host::Publish;
use crate::connection::host::Published;
use crate::connection::turn::ChannelTurn;
use crate::connection::turn::Shared;
use crate::metrics::CONFIRM_BOUNDS_US;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::Lsn;
use crate::model::ReplyCode;
use crate::model::Run;
use crate::protocol::encode;
use crate::protocol::output::Sink as _;

impl Channel {
    /// Hands messages to the host, or keeps them for the transaction. Returns go out here; confirms with
    /// [`Channel::send_confirms`].
    pub(in crate::connection) fn publish(
        &mut self,
        publish: Publish,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        if let Mode::Tx(transaction) = &mut self.mode {
            let staged = turn.host.stage(self.id, publish)?;
            let bytes_max = turn.shared.options.transaction_bytes_max;
            let added = transaction.publish(staged, bytes_max);
            transaction.show(&self.stats);
            return added;
        }
        self.touch(turn.shared);
        let came = publish.run.len();
        let returnable = publish.mandatory.then(|| publish.run.clone());
        let published = turn.host.publish(self.id, publish)?;
        let count = published.rewritten.as_ref().map_or(came, Run::len);
        self.count_published(count, &published);
        if let Some(run) = returnable {
            let run = published.rewritten.as_ref().unwrap_or(&run);
            let frame_max = turn.shared.frame_max;
            if !published.unrouted.is_empty() {
                // What came before a returned message is confirmed before it, also out of one batch: clients read
                // returns and confirms in the order of their publishes.
                self.send_confirms(turn.shared, turn.out.octets());
            }
            send_returns(run, &published, self.id, frame_max, turn.out.octets());
        }
        if let Mode::Confirm(confirms) = &mut self.mode {
            confirms.record(count, published.commit, &published.refused, turn.shared.now);
            self.stats.unconfirmed.set(confirms.unanswered());
        }
        published.fault.map_or(Ok(()), Err)
    }

    /// Counts `count` messages that the host has taken.
    #[inline(always)]
    pub(super) fn count_published(&mut self, count: usize, published: &Published) {
        let stats = &self.stats;
        stats.publish.add(count as u64);
        if let Mode::Confirm(_) = self.mode {
            stats.publish_confirm.add(count as u64);
        }
        stats.routed.add(published.routed);
        let returned = published.unrouted.iter().map(ExactSizeIterator::len);
        let returned = returned.sum::<usize>() as u64;
        let tallies = self.tallies.get_or_insert_default();
        let tally = tallies.exchanges.of(published.exchange, &stats.exchanges);
        tally.publish.add(count as u64);
        if published.dropped + returned > 0 {
            stats.drop_unroutable.add(published.dropped);
            stats.return_unroutable.add(returned);
            tally.drop_unroutable.add(published.dropped);
            tally.return_unroutable.add(returned);
        }
    }

    /// Confirms what is durable; returns what the rest waits for.
    pub(in crate::connection) fn send_confirms(
        &mut self,
        shared: &Shared,
        out: &mut Vec<u8>,
    ) -> Option<Lsn> {
        let Mode::Confirm(confirms) = &mut self.mode else {
            return None;
        };
        confirms.send(self.id, shared.durable, shared.now, out, |waited, count| {
            let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
            let latency = &shared.options.confirm_latency;
            latency.add(&CONFIRM_BOUNDS_US, micros, count);
        });
        self.stats.confirm.set(confirms.acked());
        self.stats.unconfirmed.set(confirms.unanswered());
        confirms.awaits()
    }

    /// What the first unconfirmed publish waits for.
    pub(in crate::connection) fn awaits(&self) -> Option<Lsn> {
        match &self.mode {
            Mode::Confirm(confirms) => confirms.awaits(),
            Mode::Plain | Mode::Tx(_) => None,
        }
    }

    /// Whether its publishes are confirmed.
    pub(in crate::connection) fn confirms(&self) -> bool {
        matches!(self.mode, Mode::Confirm(_))
    }
}

/// `basic.return` for each message of `run` that no queue took.
pub(super) fn send_returns(
    run: &Run,
    published: &Published,
    channel: ChannelId,
    frame_max: u32,
    out: &mut Vec<u8>,
) {
    for index in published.unrouted.iter().cloned().flatten() {
        let message = run.message(index);
        encode::basic_return(
            out,
            channel,
            ReplyCode::NoRoute,
            ReplyCode::NoRoute.name(),
            message,
            frame_max,
        );
    }
}
