//! `basic.get`: one message, now or not at all.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;

use crate::connection::channel::Channel;
use crate::connection::channel::declare::count;
use crate::connection::channel::deliver::counted;
use crate::connection::turn::ChannelTurn;
use crate::model::AmqpError;
use crate::protocol::encode;

impl Channel {
    pub(super) fn get(
        &mut self,
        get: &basic::Get,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let queue = self.queue_or_last(get.queue.as_str())?;
        let Some(got) = turn.host.get(self.id, &queue, get.no_ack)? else {
            let empty = basic::AMQPMethod::GetEmpty(basic::GetEmpty {});
            self.stats.get_empty.add(1);
            turn.reply(self.id, &AMQPClass::Basic(empty));
            return Ok(());
        };
        // No-ack deliveries use tags up as well.
        let tag = self.allot_tags(1);
        self.stats.fetched(get.no_ack, got.range.redelivered);
        let tallies = self.tallies.get_or_insert_default();
        let tally = tallies.queues.of(got.range.queue.0, &self.stats.queues);
        tally.fetched(get.no_ack, got.range.redelivered);
        let returns = got.range.returns;
        let run = (returns > 0).then(|| counted(got.range.run.first(), returns));
        encode::get_ok(
            turn.out,
            self.id,
            tag,
            got.range.redelivered,
            count(got.message_count),
            run.as_ref().unwrap_or(&got.range.run).first(),
            turn.shared.frame_max,
        );
        if !get.no_ack {
            let interval = turn.shared.options.channel_tick_interval;
            let at = turn.shared.patience.delivered(interval);
            self.unacked.push(tag, at, got.range);
        }
        Ok(())
    }
}
