//! `basic.consume`, `basic.cancel`, and which consumers the channel has.

use std::collections::BTreeMap;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;
use amq_protocol::types::ShortString;

use crate::connection::channel::Channel;
use crate::connection::host::Consume;
use crate::connection::turn::ChannelTurn;
use crate::connection::turn::Hold;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::names::DIRECT_REPLY_TO;
use crate::protocol::encode;

/// The consumers of one channel.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    by_tag: BTreeMap<ConsumerTag, ConsumerId>,
    by_id: foldhash::HashMap<ConsumerId, ConsumerTag>,
}

impl Consumers {
    fn insert(&mut self, tag: ConsumerTag, id: ConsumerId) {
        self.by_tag.insert(tag.clone(), id);
        self.by_id.insert(id, tag);
    }

    pub(super) fn tag(&self, id: ConsumerId) -> Option<&ConsumerTag> {
        self.by_id.get(&id)
    }
}

impl Channel {
    pub(super) fn consume(
        &mut self,
        consume: basic::Consume,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let asked = consume.consumer_tag.as_str();
        if self.consumers.by_tag.contains_key(asked) {
            let text = format!("attempt to reuse consumer tag '{asked}'");
            return Err(AmqpError::not_allowed(text));
        }
        if let Some(max) = turn.shared.options.consumer_max_per_channel
            && self.consumers.by_tag.len() >= max as usize
        {
            let text = format!("reached maximum ({max}) of consumers per channel");
            return Err(AmqpError::not_allowed(text));
        }
        let queue = self.queue_or_last(consume.queue.as_str())?;
        let for_replies = *queue == *DIRECT_REPLY_TO;
        let tag = if asked.is_empty() {
            turn.shared.tags.next_tag()
        } else {
            ConsumerTag::known(asked)
        };
        let id = turn.host.consume(
            self.id,
            Consume {
                queue,
                tag: tag.clone(),
                no_ack: consume.no_ack,
                exclusive: consume.exclusive,
                prefetch: self.prefetch,
                arguments: Arguments::from(consume.arguments),
            },
        )?;
        if !consume.nowait {
            let ok = basic::AMQPMethod::ConsumeOk(basic::ConsumeOk {
                consumer_tag: ShortString::from(tag.as_str()),
            });
            turn.reply(self.id, &AMQPClass::Basic(ok));
        }
        if for_replies {
            self.reply_consumer = Some(id);
        }
        self.consumers.insert(tag, id);
        Ok(())
    }

    /// The queue lets go of the consumer at once; what lies in the outbox for it is still delivered, and only then
    /// `cancel-ok` goes out: else no-ack messages would be lost.
    pub(super) fn cancel(
        &mut self,
        cancel: &basic::Cancel,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        let tag = ConsumerTag::known(cancel.consumer_tag.as_str());
        match self.consumers.by_tag.get(&tag) {
            Some(&consumer) => {
                turn.host.cancel(self.id, consumer);
                turn.shared.hold = Some(Hold::Cancel {
                    channel: self.id,
                    tag,
                    nowait: cancel.nowait,
                });
            }
            None if cancel.nowait => {}
            None => reply_cancel_ok(self.id, &tag, turn.out),
        }
        Ok(())
    }

    /// Everything for the consumer has been delivered.
    pub(in crate::connection) fn finish_cancel(
        &mut self,
        tag: &ConsumerTag,
        nowait: bool,
        out: &mut Vec<u8>,
    ) {
        self.forget_tag(tag);
        if !nowait {
            reply_cancel_ok(self.id, tag, out);
        }
    }

    /// The consumer's queue is gone. `notify`: tell the client.
    pub(in crate::connection) fn consumer_cancelled(
        &mut self,
        consumer: ConsumerId,
        notify: bool,
        out: &mut Vec<u8>,
    ) {
        let Some(tag) = self.consumers.tag(consumer).cloned() else {
            return;
        };
        self.forget_tag(&tag);
        if notify {
            let cancel = basic::AMQPMethod::Cancel(basic::Cancel {
                consumer_tag: ShortString::from(tag.as_str()),
                nowait: true,
            });
            encode::method(out, self.id, &AMQPClass::Basic(cancel));
        }
    }

    fn forget_tag(&mut self, tag: &ConsumerTag) {
        if let Some(id) = self.consumers.by_tag.remove(tag) {
            self.consumers.by_id.remove(&id);
        }
    }
}

fn reply_cancel_ok(channel: ChannelId, tag: &ConsumerTag, out: &mut Vec<u8>) {
    let ok = basic::AMQPMethod::CancelOk(basic::CancelOk {
        consumer_tag: ShortString::from(tag.as_str()),
    });
    encode::method(out, channel, &AMQPClass::Basic(ok));
}
