//! `basic.deliver`: messages from the outbox get their tags and go to the client.

use crate::connection::channel::Channel;
use crate::connection::turn::Shared;
use crate::model::Delivered;
use crate::model::Delivery;
use crate::model::DeliveryTag;
use crate::model::MessageRef;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::protocol::encode;
use crate::protocol::output;
use crate::protocol::output::Output;
use crate::protocol::output::Sink as _;
use crate::protocol::properties;

/// The message as the client sees it after it came back so often to a queue that counts.
pub(super) fn counted(message: MessageRef<'_>, returns: u32) -> Run {
    let header = properties::with_delivery_count(message.header(), returns);
    let mut builder = RunBuilder::default();
    builder.push(message.route(), &header, message.body(), message.traits());
    builder.finish()
}

impl Channel {
    /// Writes `delivery`; gives its messages back when the client no longer has the consumer.
    pub(in crate::connection) fn deliver(
        &mut self,
        delivery: Delivery,
        shared: &mut Shared,
        out: &mut Output,
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
        const FRAMES_BYTES: usize = 64;
        // Once for all, for growing by doubling would copy what is there over and over.
        let copied = output::copied_bytes(&range.run);
        out.octets()
            .reserve(copied + range.run.len() * FRAMES_BYTES);
        let first = self.next_tag;
        // As in RabbitMQ, replies use up no tags: each has that of the next delivery from a queue.
        let step = u64::from(self.reply_consumer != Some(consumer));
        let (id, redelivered) = (self.id, range.redelivered);
        let count = range.run.len() as u64;
        self.stats.delivered(count, no_ack, redelivered);
        let tallies = self.tallies.get_or_insert_default();
        let tally = tallies.queues.of(range.queue.0, &self.stats.queues);
        tally.delivered(count, no_ack, redelivered);
        self.touch(shared);
        let mut write = |message: MessageRef<'_>, header: &[u8]| {
            let delivery_tag = DeliveryTag(self.next_tag);
            let frame_max = shared.frame_max;
            encode::deliver(
                out,
                id,
                tag,
                delivery_tag,
                redelivered,
                message,
                header,
                frame_max,
            );
            self.next_tag += step;
        };
        if range.streamed {
            let offsets = range.first.0.saturating_sub(1)..;
            for (message, offset) in range.run.iter().zip(offsets) {
                let header = properties::with_stream_offset(message.header(), offset);
                write(message, &header);
            }
        } else if range.returns == 0 {
            for message in range.run.iter() {
                write(message, message.header());
            }
        } else {
            for message in range.run.iter() {
                let header = properties::with_delivery_count(message.header(), range.returns);
                write(message, &header);
            }
        }
        if !no_ack {
            let at = shared
                .patience
                .delivered(shared.options.channel_tick_interval);
            self.unacked.push(DeliveryTag(first), at, range);
        }
        None
    }
}
