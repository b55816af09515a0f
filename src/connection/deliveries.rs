//! Parcels from the outbox: deliveries, cancelled consumers, alarms, and the node's wish to close.

use crate::connection::Connection;
use crate::connection::Phase;
use crate::connection::host::Settle;
use crate::connection::turn::Hold;
use crate::connection::turn::Turn;
use crate::model::ChannelId;
use crate::model::Delivered;
use crate::model::Delivery;
use crate::model::outbox::Parcel;
use crate::protocol::output::Sink as _;

impl Connection {
    pub(super) fn take_parcels(&mut self, parcels: &mut Vec<Parcel>, turn: &mut Turn<'_>) -> usize {
        let mut bytes = 0;
        let mut homeless: Vec<(ChannelId, Vec<Delivered>)> = Vec::new();
        for parcel in parcels.drain(..) {
            match parcel {
                Parcel::Delivery(delivery) => {
                    bytes += delivery.range.run.held_bytes();
                    let (channel, no_ack) = (delivery.channel, delivery.no_ack);
                    if let Some(range) = self.deliver_one(delivery, turn)
                        && !no_ack
                    {
                        match homeless.last_mut() {
                            Some((last, ranges)) if *last == channel => ranges.push(range),
                            _ => homeless.push((channel, vec![range])),
                        }
                    }
                }
                Parcel::ConsumerCancelled { channel, consumer } => {
                    let notify = self.client.wants_cancel;
                    if let Some(channel) = self.channels.get_mut(&channel) {
                        // After `delete-ok`, where the client itself deleted the queue: as RabbitMQ says it. A client
                        // that reads of its consumer's end first takes the deletion for failed.
                        let out = match &mut self.shared.hold {
                            Some(Hold::Commit { frames, .. }) => frames,
                            _ => turn.out.octets(),
                        };
                        channel.consumer_cancelled(consumer, notify, out);
                    }
                }
                Parcel::Close { code, text } => self.close_by_force(code, text, turn),
                Parcel::Blocked { reason } => self.raise_alarm(reason),
                Parcel::Unblocked => self.clear_alarm(turn),
            }
        }
        for (channel, ranges) in homeless {
            turn.host.settle(channel, Settle::Requeue, ranges);
        }
        if let Some(hold) = self
            .shared
            .hold
            .take_if(|hold| matches!(hold, Hold::Cancel { .. }))
            && let Hold::Cancel {
                channel,
                tag,
                nowait,
            } = hold
            && let Some(channel) = self.channels.get_mut(&channel)
        {
            channel.finish_cancel(&tag, nowait, turn.out.octets());
        }
        bytes
    }

    /// The messages come back when nobody is there to take them.
    fn deliver_one(&mut self, delivery: Delivery, turn: &mut Turn<'_>) -> Option<Delivered> {
        if self.phase != Phase::Open {
            return Some(delivery.range);
        }
        match self.channels.get_mut(&delivery.channel) {
            Some(channel) => channel.deliver(delivery, &mut self.shared, turn.out),
            None => Some(delivery.range),
        }
    }
}
