//! `basic.recover` and `basic.recover-async`: everything unacknowledged goes back to its queues.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;

use crate::connection::channel::Channel;
use crate::connection::host::Settle;
use crate::connection::turn::ChannelTurn;
use crate::model::AmqpError;

impl Channel {
    pub(super) fn recover(
        &mut self,
        requeue: bool,
        answer: bool,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        if !requeue {
            return Err(AmqpError::not_implemented("requeue=false"));
        }
        let mut ranges: Vec<_> = self.unacked.take_all().collect();
        self.stats.unacked.set(0);
        self.consumers.sort_returned(&mut ranges, |range| range);
        if !ranges.is_empty() {
            turn.host.settle(self.id, Settle::Requeue, ranges);
        }
        if answer {
            let ok = basic::AMQPMethod::RecoverOk(basic::RecoverOk {});
            turn.reply(self.id, &AMQPClass::Basic(ok));
        }
        Ok(())
    }
}
