//! The one place where other tasks leave things for a connection.
//!
//! Queues push deliveries while they hold their own lock; the connection's task swaps everything out at once.
//! A connection is woken once for any number of pushes. The outbox never grows past its byte bound by more than one
//! dispatch: a queue asks [`Outbox::has_room`] first, and one that found no room leaves its id to be called when
//! there is room again.
//!
//! Lock order: a queue's lock may be held while the outbox's is taken, never the other way round.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Waker;

use parking_lot::Mutex;

use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Delivery;
use crate::model::QueueId;
use crate::model::ReplyCode;

/// Something for a connection's machine.
#[derive(Debug)]
pub enum Parcel {
    /// Messages for a consumer.
    Delivery(Delivery),
    /// The consumer is gone because its queue is.
    ConsumerCancelled {
        /// The consumer's channel.
        channel: ChannelId,
        /// The consumer.
        consumer: ConsumerId,
    },
    /// The node wants the connection closed.
    Close {
        /// Reply code.
        code: ReplyCode,
        /// Explanation, without the code's name.
        text: Cow<'static, str>,
    },
    /// A resource alarm went up: publishers are to be told and no longer read.
    Blocked {
        /// Such as `low on memory`.
        reason: Cow<'static, str>,
    },
    /// All resource alarms are down.
    Unblocked,
}

#[derive(Default)]
struct Contents {
    parcels: Vec<Parcel>,
    stalled: Vec<QueueId>,
    waker: Option<Waker>,
}

/// See the module's documentation.
pub struct Outbox {
    contents: Mutex<Contents>,
    signalled: AtomicBool,
    held_bytes: AtomicUsize,
    bytes_max: usize,
}

impl Outbox {
    /// An empty outbox that has room until `bytes_max` bytes of messages lie in it.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            contents: Mutex::default(),
            signalled: AtomicBool::new(false),
            held_bytes: AtomicUsize::new(0),
            bytes_max,
        }
    }

    /// Bytes of messages that were pushed and have not left for the peer.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of messages that may still be pushed; 0 when full.
    pub fn room_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.held_bytes())
    }

    /// Whether another delivery may be pushed.
    pub fn has_room(&self) -> bool {
        self.room_bytes() > 0
    }

    /// Leaves `parcel` and wakes the connection if it was not woken already.
    pub fn push(&self, parcel: Parcel) {
        if let Parcel::Delivery(delivery) = &parcel {
            self.held_bytes
                .fetch_add(delivery.range.run.held_bytes(), Ordering::Relaxed);
        }
        self.contents.lock().parcels.push(parcel);
        self.signal();
    }

    /// Remembers a queue that found no room; [`Outbox::take_stalled`] gives it back once there is.
    pub fn stall(&self, queue: QueueId) {
        let mut contents = self.contents.lock();
        if !contents.stalled.contains(&queue) {
            contents.stalled.push(queue);
        }
        drop(contents);
        // The connection may have made room between the queue's look and this note.
        if self.has_room() {
            self.signal();
        }
    }

    /// Wakes the connection's task, for something that it finds elsewhere (a commit).
    pub fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            let waker = self.contents.lock().waker.clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// For the connection's task: whether it was signalled since the last [`Outbox::take`] or [`Outbox::hear`]; else it will
    /// be woken.
    pub fn poll_signalled(&self, waker: &Waker) -> bool {
        if self.signalled.load(Ordering::Acquire) {
            return true;
        }
        let mut contents = self.contents.lock();
        match &mut contents.waker {
            Some(known) if known.will_wake(waker) => {}
            known => *known = Some(waker.clone()),
        }
        drop(contents);
        // A signal between the look above and the registration would otherwise be lost.
        self.signalled.load(Ordering::Acquire)
    }

    /// Swaps everything out into `parcels`, which must be empty.
    ///
    /// # Panics
    /// When it is not.
    pub fn take(&self, parcels: &mut Vec<Parcel>) {
        assert!(parcels.is_empty(), "parcels taken over others");
        self.signalled.store(false, Ordering::Release);
        std::mem::swap(&mut self.contents.lock().parcels, parcels);
    }

    /// Takes out the deliveries for a channel that has ended; the caller has made sure that no more come. They have left.
    pub fn reclaim(&self, channel: ChannelId) -> Vec<Delivery> {
        let mut contents = self.contents.lock();
        let of_channel = |parcel: &mut Parcel| match parcel {
            Parcel::Delivery(delivery) => delivery.channel == channel,
            Parcel::ConsumerCancelled { .. }
            | Parcel::Close { .. }
            | Parcel::Blocked { .. }
            | Parcel::Unblocked => false,
        };
        let taken = contents.parcels.extract_if(.., of_channel);
        let reclaimed: Vec<_> = taken
            .filter_map(|parcel| match parcel {
                Parcel::Delivery(delivery) => Some(delivery),
                Parcel::ConsumerCancelled { .. }
                | Parcel::Close { .. }
                | Parcel::Blocked { .. }
                | Parcel::Unblocked => None,
            })
            .collect();
        drop(contents);
        let bytes = reclaimed
            .iter()
            .map(|delivery| delivery.range.run.held_bytes());
        self.release(bytes.sum());
        reclaimed
    }

    /// For the connection's task: it woke, and leaves what lies here for later. The next signal wakes it again.
    pub fn hear(&self) {
        self.signalled.store(false, Ordering::Release);
    }

    /// For the connection's task: `bytes` of taken deliveries have left for the peer.
    pub fn release(&self, bytes: usize) {
        let before = self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released {bytes} of {before} bytes");
    }

    /// Queues to be dispatched again, when at least half of the room is free.
    pub fn take_stalled(&self) -> Vec<QueueId> {
        if self.room_bytes() < self.bytes_max / 2 {
            return Vec::new();
        }
        std::mem::take(&mut self.contents.lock().stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn many_pushes_wake_once() {
        let outbox = Outbox::new(100);
        let count = Arc::new(Count::default());
        assert!(!outbox.poll_signalled(&Waker::from(Arc::clone(&count))));
        outbox.push(Parcel::Unblocked);
        outbox.push(Parcel::Unblocked);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);

        let mut parcels = Vec::new();
        outbox.take(&mut parcels);
        assert_eq!(parcels.len(), 2);
        outbox.push(Parcel::Unblocked);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_was_left_for_later_wakes_no_more_until_something_comes() {
        let outbox = Outbox::new(100);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        outbox.push(Parcel::Unblocked);
        assert!(outbox.poll_signalled(&waker));
        outbox.hear();
        assert!(!outbox.poll_signalled(&waker));
        outbox.signal();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);

        let mut parcels = Vec::new();
        outbox.take(&mut parcels);
        assert_eq!(parcels.len(), 1);
    }
}
