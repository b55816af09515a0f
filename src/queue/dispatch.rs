//! Assigns ready messages to consumers.

use std::sync::Arc;

use crate::model::Delivery;
use crate::model::Run;
use crate::model::outbox::Parcel;
use crate::queue::Queue;
use crate::queue::note_wait;
use crate::store::Record;

impl Queue {
    /// Delivers while there are messages and a consumer able to take one.
    pub(super) fn dispatch(&mut self, now: u64, records: &mut Vec<Record>) {
        if self.holds > 0 {
            return;
        }
        if self.stream.is_some() {
            return self.dispatch_stream();
        }
        if self.consumers.has_next() {
            self.capacity.is_able(now);
        }
        loop {
            // Before each delivery, for a message with a short TTL may stand behind one with a long TTL.
            self.expire(now, records);
            if self.cannot_wait(self.is_over_limit() && self.consumers.has_next()) {
                // What a consumer takes now need not be dropped.
                self.page_in_now();
            }
            let in_turn = self.ready.in_turn() as u64;
            let Some(front) = self.ready.front() else {
                return;
            };
            let Some(turn) = self.consumers.next() else {
                self.capacity.is_unable(now);
                return;
            };
            let consumer = turn.consumer;
            let wanted = if turn.alone { in_turn } else { 1 };
            let wanted = wanted.min(turn.credit);
            let room = consumer.outbox.room_bytes();
            if wanted == 0 {
                self.consumers.block_next();
                continue;
            }
            if room == 0 {
                consumer.outbox.stall(self.id);
                self.consumers.block_next();
                continue;
            }
            let wanted = fitting(&front.run, wanted as usize, room) as u64;
            let limit = &consumer.channel_limit;
            let taken = if !consumer.no_ack {
                limit.take(wanted, self.id)
            } else if limit.has_room(self.id) {
                wanted
            } else {
                0
            };
            if taken == 0 {
                self.consumers.block_next();
                continue;
            }
            let bytes_before = self.ready.body_bytes();
            let Some(segment) = self.ready.take_front(taken as usize) else {
                return;
            };
            self.stats
                .delivered(taken, consumer.no_ack, segment.redelivered);
            note_wait(&mut self.history, segment.entered_at, now, taken);
            self.paging.head_is_full = false;
            let range = segment.into_delivered(self.id, Some(consumer.id));
            self.flow.delivered_bytes += range.run.held_bytes() as u64;
            let no_ack = consumer.no_ack;
            if !no_ack {
                consumer.unacked += taken;
                self.unacked += taken;
                self.unacked_bytes += bytes_before - self.ready.body_bytes();
            }
            let (outbox, delivery) = (
                Arc::clone(&consumer.outbox),
                Delivery {
                    channel: consumer.channel,
                    consumer: consumer.id,
                    no_ack,
                    range,
                },
            );
            self.consumers.rotate();
            if no_ack {
                self.left(delivery.range.first, &delivery.range.run);
                self.settle_record(delivery.range.first, &delivery.range.run, records);
            }
            outbox.push(Parcel::Delivery(delivery));
        }
    }
}

/// How many of the first `wanted` messages to send into a room of so many bytes: at least one, so that a message larger
/// than any room still moves.
pub(super) fn fitting(run: &Run, wanted: usize, room_bytes: usize) -> usize {
    if wanted == run.len() && run.held_bytes() <= room_bytes {
        return wanted;
    }
    let mut left = room_bytes;
    let fits = run
        .iter()
        .take(wanted)
        .take_while(|message| {
            let fits = message.held_bytes() <= left;
            left = left.saturating_sub(message.held_bytes());
            fits
        })
        .count();
    fits.max(1)
}
