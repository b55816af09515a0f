//! `basic.qos`: how many deliveries may be unacknowledged.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;

use crate::connection::channel::Channel;
use crate::connection::turn::ChannelTurn;
use crate::model::AmqpError;

impl Channel {
    /// `global`: for all consumers of the channel together. Not `global`: for each consumer started from now on, and
    /// the limit of the channel is forgotten, so who wants both asks for `global` last.
    pub(in crate::connection) fn qos(
        &mut self,
        prefetch_size: u32,
        prefetch_count: u16,
        global: bool,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        if prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({prefetch_size})");
            return Err(AmqpError::not_implemented(text));
        }
        if global {
            self.stats.global_prefetch.set(prefetch_count.into());
            turn.host.limit_channel(self.id, prefetch_count);
        } else {
            turn.host.limit_channel(self.id, 0);
            self.prefetch = prefetch_count;
            self.stats.prefetch.set(prefetch_count.into());
            self.stats.global_prefetch.set(0);
        }
        let ok = basic::AMQPMethod::QosOk(basic::QosOk {});
        turn.reply(self.id, &AMQPClass::Basic(ok));
        Ok(())
    }
}
