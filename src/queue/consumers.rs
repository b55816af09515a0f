//! The consumers of one queue: who gets the next message.
//!
//! Strict round-robin within the highest priority that has a consumer able to take. A consumer found unable (prefetch
//! used up, channel limit reached, outbox full) leaves the rotation until something that could help it happens;
//! it re-enters at the end, as in RabbitMQ.
//!
//! With a single active consumer all others wait, outside the rotation, until it is gone; [`Succession`] tells who is next,
//! and whether one of a higher priority waits for that at all.

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
    /// Unacknowledged messages it may hold; 0 is as many as the queue's type allows.
    pub prefetch: u32,
    /// Higher goes first (`x-priority`).
    pub priority: i32,
    /// Messages it holds now.
    pub unacked: u64,
}

/// Who becomes the single active consumer when it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Succession {
    /// The one of the highest priority, of equal ones the oldest (classic queues).
    Priority,
    /// The oldest (quorum queues of RabbitMQ 3.13).
    Age,
    /// The one of the highest priority, of equal ones that with the most credit, then the oldest; and one of a higher
    /// priority than the active one's comes at once: the active one gets nothing more, and stands back when it has settled
    /// what it has (quorum queues of RabbitMQ 4).
    HandOver,
}

/// What a consumer of a queue is doing, in the words of RabbitMQ's listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It takes its turns.
    Up,
    /// It alone gets messages.
    SingleActive,
    /// It waits for the single active consumer to go.
    Waiting,
}

impl Activity {
    /// As listings have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::SingleActive => "single_active",
            Self::Waiting => "waiting",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    InRotation,
    /// Found unable to take.
    Blocked,
    /// Not the single active consumer, or one that is to stand back.
    Waiting,
}

struct Slot {
    consumer: Consumer,
    /// Unacknowledged messages it may hold.
    unacked_max: u64,
    place: Place,
    /// Its number among those that were found unable to take.
    blocked_at: u64,
}

impl Slot {
    /// Messages it may still take by its own prefetch.
    fn credit(&self) -> u64 {
        self.unacked_max.saturating_sub(self.consumer.unacked)
    }
}

/// The consumer whose turn it is.
pub(super) struct Turn<'a> {
    pub(super) consumer: &'a mut Consumer,
    /// Messages it may still take by its own prefetch.
    pub(super) credit: u64,
    /// It is the only one of its priority in rotation.
    pub(super) alone: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Consumers {
    slots: HashMap<ConsumerId, Slot, foldhash::fast::FixedState>,
    rotation: BTreeMap<Reverse<i32>, VecDeque<ConsumerId>>,
    exclusive: bool,
    /// Only one at a time is served.
    succession: Option<Succession>,
    /// Who that is.
    active: Option<ConsumerId>,
    /// How often one was found unable to take.
    blockings: u64,
}

impl Consumers {
    /// With a `succession` only one at a time is served.
    pub(super) fn new(succession: Option<Succession>) -> Self {
        Self {
            succession,
            ..Self::default()
        }
    }

    pub(super) fn activity(&self, id: ConsumerId) -> Activity {
        match self.succession {
            None => Activity::Up,
            Some(_) if self.active == Some(id) => Activity::SingleActive,
            Some(_) => Activity::Waiting,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn has_exclusive(&self) -> bool {
        self.exclusive
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.slots.values().map(|slot| &slot.consumer)
    }

    /// Adds a consumer; without a prefetch it may hold `unlimited` unacknowledged messages.
    pub(super) fn add(&mut self, consumer: Consumer, unlimited: u64) {
        self.exclusive |= consumer.exclusive;
        let id = consumer.id;
        let waits = self.succession.is_some() && self.active.is_some();
        if self.succession.is_some() && !waits {
            self.active = Some(id);
        }
        let unacked_max = match consumer.prefetch {
            _ if consumer.no_ack => u64::MAX,
            0 => unlimited,
            prefetch => u64::from(prefetch),
        };
        let slot = Slot {
            consumer,
            unacked_max,
            place: Place::Waiting,
            blocked_at: 0,
        };
        self.slots.insert(id, slot);
        if waits {
            self.hand_over();
        } else {
            self.enter_rotation(id);
        }
    }

    /// The active consumer stands back for one of a higher priority, if that is how it goes and there is one.
    fn hand_over(&mut self) {
        let Some(active) = self.active else { return };
        if self.succession != Some(Succession::HandOver) {
            return;
        }
        let Some(next) = self.successor() else { return };
        let priority = |id| self.slots.get(&id).map(|slot| slot.consumer.priority);
        let is_higher = priority(next) > priority(active);
        let Some(slot) = self.slots.get_mut(&active) else {
            return;
        };
        let before = slot.place;
        if !is_higher {
            // The one it was to stand back for has gone.
            if before == Place::Waiting {
                self.enter_rotation(active);
            }
            return;
        }
        slot.place = Place::Waiting;
        let (priority, unacked) = (slot.consumer.priority, slot.consumer.unacked);
        if before == Place::InRotation {
            self.leave_rotation(active, priority);
        }
        if unacked == 0 {
            self.active = Some(next);
            self.enter_rotation(next);
        }
    }

    /// At its end.
    fn enter_rotation(&mut self, id: ConsumerId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.place = Place::InRotation;
        let level = self.rotation.entry(Reverse(slot.consumer.priority));
        level.or_default().push_back(id);
    }

    pub(super) fn remove(&mut self, id: ConsumerId) -> bool {
        let Some(slot) = self.slots.remove(&id) else {
            return false;
        };
        if slot.place == Place::InRotation {
            self.leave_rotation(id, slot.consumer.priority);
        }
        if slot.consumer.exclusive {
            self.exclusive = false;
        }
        if self.active == Some(id) {
            self.active = self.successor();
            if let Some(next) = self.active {
                self.enter_rotation(next);
            }
        } else {
            self.hand_over();
        }
        true
    }

    fn successor(&self) -> Option<ConsumerId> {
        let succession = self.succession?;
        let next = self.slots.values().min_by_key(|slot| {
            let Consumer { id, priority, .. } = slot.consumer;
            match succession {
                Succession::Priority => (Reverse(priority), Reverse(0), id),
                Succession::Age => (Reverse(0), Reverse(0), id),
                Succession::HandOver => (Reverse(priority), Reverse(slot.credit()), id),
            }
        });
        next.map(|slot| slot.consumer.id)
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
        self.active = None;
        std::mem::take(&mut self.slots)
            .into_values()
            .map(|slot| slot.consumer)
    }

    /// Whether there is one that may be able to take.
    pub(super) fn has_next(&self) -> bool {
        !self.rotation.is_empty()
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self) -> Option<Turn<'_>> {
        let (_, level) = self.rotation.iter().next()?;
        let alone = level.len() == 1;
        let id = level.front()?;
        let slot = self.slots.get_mut(id)?;
        Some(Turn {
            credit: slot.credit(),
            consumer: &mut slot.consumer,
            alone,
        })
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
            slot.place = Place::Blocked;
            slot.blocked_at = self.blockings;
            self.blockings += 1;
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
        if slot.place == Place::Blocked && slot.credit() > 0 {
            self.enter_rotation(id);
        } else if slot.place == Place::Waiting && self.active == Some(id) {
            self.hand_over();
        }
    }

    /// There is something for this consumer.
    pub(super) fn wake(&mut self, id: ConsumerId) {
        let slot = self.slots.get(&id);
        if slot.is_some_and(|slot| slot.place == Place::Blocked && slot.credit() > 0) {
            self.enter_rotation(id);
        }
    }

    /// All consumers of this connection may try again.
    pub(super) fn unblock(&mut self, outbox: &Arc<Outbox>) {
        let blocked = self.slots.values().filter(|slot| {
            slot.place == Place::Blocked && Arc::ptr_eq(&slot.consumer.outbox, outbox)
        });
        let mut blocked: Vec<_> = blocked
            .map(|slot| (slot.blocked_at, slot.consumer.id))
            .collect();
        // Who has waited longest comes first: where there is room for one message alone, they take turns.
        blocked.sort_unstable();
        for (_, id) in blocked {
            self.enter_rotation(id);
        }
    }
}
