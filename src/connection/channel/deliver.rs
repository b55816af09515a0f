//! `basic.deliver`: messages from the outbox get their tags and go to the client.

use crate::connection::channel::Channel;
use crate::connection::turn::Shared;
use crate::model::Delivered;
use crate::model::Delivery;
use crate::model::DeliveryTag;
use crate::protocol::encode;

impl Channel {
    /// Writes `delivery`; gives its messages back when the client no longer has the consumer.
    pub(in crate::connection) fn deliver(
        &mut self,
        delivery: Delivery,
        shared: &Shared,
        out: &mut Vec<u8>,
    ) -> Option<Delivered> {
        let Delivery {
            consumer,
            no_ack,
            range,
            ..
        } = delivery;
        let Some(tag) = self.consumers.tag(consumer) else {
            return Some(range);
        };
        let first = self.next_tag;
        // As in RabbitMQ, replies use up no tags: each has that of the next delivery from a queue.
        let step = u64::from(self.reply_consumer != Some(consumer));
        for message in range.run.iter() {
            let delivery_tag = DeliveryTag(self.next_tag);
            encode::deliver(
                out,
                self.id,
                tag,
                delivery_tag,
                range.redelivered,
                message,
                shared.frame_max,
            );
            self.next_tag += step;
        }
        if !no_ack {
            self.unacked.push(DeliveryTag(first), range);
        }
        None
    }
}
