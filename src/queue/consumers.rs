//! The consumers of one queue: who gets the next message.
//!
//! Strict round-robin within the highest priority that has a consumer able to take. A consumer found unable (prefetch
//! used up, channel limit reached, outbox full) leaves the rotation until something that could help it happens;
//! it re-enters at the end, as in RabbitMQ.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Outbox;
use crate::queue::ChannelLimit;

/// One consumer of a queue.
pub struct Consumer {
    /// Its id.
    pub id: ConsumerId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its tag, for listings.
    pub tag: ConsumerTag,
    /// Where its connection takes deliveries from.
    pub outbox: Arc<Outbox>,
    /// The limit its channel's consumers share.
    pub channel_limit: Arc<ChannelLimit>,
    /// Deliveries need no acknowledgement.
    pub no_ack: bool,
    /// No other consumer is let in.
    pub exclusive: bool,
    /// Unacknowledged messages it may hold; 0 is unlimited.
    pub prefetch: u32,
    /// Higher goes first (`x-priority`).
    pub priority: i32,
    /// Messages it holds now.
    pub unacked: u64,
}

impl Consumer {
    /// Messages it may still take by its own prefetch.
    pub(super) fn credit(&self) -> u64 {
        if self.no_ack || self.prefetch == 0 {
            u64::MAX
        } else {
            u64::from(self.prefetch).saturating_sub(self.unacked)
        }
    }
}

struct Slot {
    consumer: Consumer,
    in_rotation: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Consumers {
    slots: HashMap<ConsumerId, Slot, foldhash::fast::FixedState>,
    rotation: BTreeMap<Reverse<i32>, VecDeque<ConsumerId>>,
    exclusive: bool,
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn has_exclusive(&self) -> bool {
        self.exclusive
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.slots.values().map(|slot| &slot.consumer)
    }

    pub(super) fn add(&mut self, consumer: Consumer) {
        self.exclusive |= consumer.exclusive;
        let (id, priority) = (consumer.id, consumer.priority);
        self.slots.insert(
            id,
            Slot {
                consumer,
                in_rotation: true,
            },
        );
        self.rotation
            .entry(Reverse(priority))
            .or_default()
            .push_back(id);
    }

    pub(super) fn remove(&mut self, id: ConsumerId) -> bool {
        let Some(slot) = self.slots.remove(&id) else {
            return false;
        };
        if slot.in_rotation {
            self.leave_rotation(id, slot.consumer.priority);
        }
        if slot.consumer.exclusive {
            self.exclusive = false;
        }
        true
    }

    fn leave_rotation(&mut self, id: ConsumerId, priority: i32) {
        if let Some(level) = self.rotation.get_mut(&Reverse(priority)) {
            level.retain(|other| *other != id);
            if level.is_empty() {
                self.rotation.remove(&Reverse(priority));
            }
        }
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Consumer> + use<> {
        self.rotation.clear();
        self.exclusive = false;
        std::mem::take(&mut self.slots)
            .into_values()
            .map(|slot| slot.consumer)
    }

    /// The consumer whose turn it is, and whether it is the only one of its priority in rotation.
    pub(super) fn next(&mut self) -> Option<(&mut Consumer, bool)> {
        let (_, level) = self.rotation.iter().next()?;
        let alone = level.len() == 1;
        let id = level.front()?;
        let slot = self.slots.get_mut(id)?;
        Some((&mut slot.consumer, alone))
    }

    /// The consumer whose turn it was has got its message: next one.
    pub(super) fn rotate(&mut self) {
        if let Some((_, level)) = self.rotation.iter_mut().next() {
            level.rotate_left(1);
        }
    }

    /// The consumer whose turn it was cannot take: it leaves the rotation.
    pub(super) fn block_next(&mut self) {
        let Some(mut entry) = self.rotation.first_entry() else {
            return;
        };
        if let Some(id) = entry.get_mut().pop_front()
            && let Some(slot) = self.slots.get_mut(&id)
        {
            slot.in_rotation = false;
        }
        if entry.get().is_empty() {
            entry.remove();
        }
    }

    /// Messages came back from a consumer, or were settled by it: it may take again.
    pub(super) fn settled(&mut self, id: ConsumerId, count: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.consumer.unacked = slot.consumer.unacked.saturating_sub(count);
        if !slot.in_rotation && slot.consumer.credit() > 0 {
            slot.in_rotation = true;
            let priority = slot.consumer.priority;
            self.rotation
                .entry(Reverse(priority))
                .or_default()
                .push_back(id);
        }
    }

    /// All consumers of this connection may try again.
    pub(super) fn unblock(&mut self, outbox: &Arc<Outbox>) {
        let mut blocked: Vec<_> = self
            .slots
            .values_mut()
            .filter(|slot| !slot.in_rotation && Arc::ptr_eq(&slot.consumer.outbox, outbox))
            .map(|slot| {
                slot.in_rotation = true;
                (slot.consumer.id, slot.consumer.priority)
            })
            .collect();
        // By age, for the map has no order of its own.
        blocked.sort_unstable_by_key(|(id, _)| *id);
        for (id, priority) in blocked {
            self.rotation
                .entry(Reverse(priority))
                .or_default()
                .push_back(id);
        }
    }
}
