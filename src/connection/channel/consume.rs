//! `basic.consume`, `basic.cancel`, and which consumers the channel has.

use std::collections::BTreeMap;
use std::collections::VecDeque;

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
use crate::model::Delivered;
use crate::model::names::DIRECT_REPLY_TO;
use crate::protocol::encode;
use crate::protocol::output::Sink as _;

/// The consumers of one channel.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    by_tag: BTreeMap<ConsumerTag, ConsumerId>,
    by_id: foldhash::HashMap<ConsumerId, ConsumerTag>,
    /// The last that were cancelled: there may be deliveries of theirs.
    former: VecDeque<(ConsumerId, ConsumerTag)>,
}

/// Cancelled consumers whose tags are remembered.
const FORMER_MAX: usize = 16;

impl Consumers {
    fn insert(&mut self, tag: ConsumerTag, id: ConsumerId) {
        self.by_tag.insert(tag.clone(), id);
        self.by_id.insert(id, tag);
    }

    pub(super) fn tag(&self, id: ConsumerId) -> Option<&ConsumerTag> {
        self.by_id.get(&id)
    }

    fn remove(&mut self, tag: &ConsumerTag) {
        let Some(id) = self.by_tag.remove(tag) else {
            return;
        };
        self.by_id.remove(&id);
        if self.former.len() == FORMER_MAX {
            self.former.pop_front();
        }
        self.former.push_back((id, tag.clone()));
    }

    /// Puts what one command rejects or requeues in the order in which RabbitMQ hands it back to the queues: what came
    /// by `basic.get` first, then consumer by consumer, by tag.
    pub(super) fn sort_returned<T>(&self, ranges: &mut [T], range: impl Fn(&T) -> &Delivered) {
        let consumer = |item: &T| range(item).consumer;
        if ranges
            .windows(2)
            .all(|pair| consumer(&pair[0]) == consumer(&pair[1]))
        {
            return;
        }
        let tag = |id: ConsumerId| {
            let former = || self.former.iter().find(|(former, _)| *former == id);
            self.tag(id).or_else(|| former().map(|(_, tag)| tag))
        };
        ranges.sort_by_key(|item| consumer(item).map(|id| (tag(id), id)));
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
            None => reply_cancel_ok(self.id, &tag, turn.out.octets()),
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
        self.consumers.remove(tag);
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
        self.consumers.remove(&tag);
        if notify {
            let cancel = basic::AMQPMethod::Cancel(basic::Cancel {
                consumer_tag: ShortString::from(tag.as_str()),
                nowait: true,
            });
            encode::method(out, self.id, &AMQPClass::Basic(cancel));
        }
    }
}

fn reply_cancel_ok(channel: ChannelId, tag: &ConsumerTag, out: &mut Vec<u8>) {
    let ok = basic::AMQPMethod::CancelOk(basic::CancelOk {
        consumer_tag: ShortString::from(tag.as_str()),
    });
    encode::method(out, channel, &AMQPClass::Basic(ok));
}
