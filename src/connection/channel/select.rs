//! `confirm.select` and `tx.select`: a channel is one or the other, for good.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::confirm;
use amq_protocol::protocol::tx;

use crate::connection::channel::Channel;
use crate::connection::channel::Mode;
use crate::connection::channel::confirm::Confirms;
use crate::connection::channel::tx::Transaction;
use crate::connection::turn::ChannelTurn;
use crate::model::AmqpError;

impl Channel {
    pub(super) fn select_confirms(
        &mut self,
        select: &confirm::Select,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        match self.mode {
            Mode::Plain => {
                self.mode = Mode::Confirm(Confirms::new());
                self.stats.confirms.set(1);
            }
            Mode::Confirm(_) => {}
            Mode::Tx(_) => {
                let text = "cannot switch from tx to confirm mode";
                return Err(AmqpError::precondition_failed(text));
            }
        }
        if !select.nowait {
            let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
            turn.reply(self.id, &AMQPClass::Confirm(ok));
        }
        Ok(())
    }

    pub(super) fn select_transactions(
        &mut self,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        match self.mode {
            Mode::Plain => {
                self.mode = Mode::Tx(Transaction::default());
                self.stats.transactional.set(1);
            }
            Mode::Tx(_) => {}
            Mode::Confirm(_) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(AmqpError::precondition_failed(text));
            }
        }
        let ok = tx::AMQPMethod::SelectOk(tx::SelectOk {});
        turn.reply(self.id, &AMQPClass::Tx(ok));
        Ok(())
    }
}
