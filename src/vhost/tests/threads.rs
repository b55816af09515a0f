//! Publishers, consumers, acknowledgements, deletions and redeclarations, each on threads of their own: in the end every
//! message is accounted for.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Wake;
use std::task::Waker;
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Condvar;
use parking_lot::Mutex;

use super::*;
use crate::model::Delivery;
use crate::model::QueueId;
use crate::queue::ChannelLimit;
use crate::vhost::Transaction;

const QUEUES: [&str; 3] = ["q0", "q1", "q2"];
const RUNS: usize = 400;
const CONSUMERS: usize = 2;

/// A connection with one channel: its task takes deliveries, another thread acknowledges.
struct Peer {
    outbox: Arc<Outbox>,
    limit: Arc<ChannelLimit>,
}

/// What the threads share.
struct Yard {
    shared: Arc<Shared>,
    vhost: Arc<Vhost>,
    peers: Vec<Peer>,
    next_consumer: AtomicU64,
    /// Copies of messages that queues took.
    taken: AtomicUsize,
    /// Copies that went with their queue.
    dropped: AtomicUsize,
    published: AtomicBool,
    /// Copies acknowledged, and told when there are more.
    acked: Mutex<usize>,
    progress: Condvar,
}

impl Yard {
    fn resume(&self, peer: &Peer, queues: Vec<QueueId>) {
        for id in queues {
            let queue = self.shared.queues.get(&id).map(|queue| Arc::clone(&queue));
            if let Some(queue) = queue {
                queue.enter(|state, records| state.resume(&peer.outbox, NOW, records));
            }
        }
    }

    fn declare(&self, name: &str) -> Arc<QueueHandle> {
        let (queue, _) = self
            .vhost
            .declare_queue(durable(name), NOW)
            .expect("equivalent");
        for (number, peer) in self.peers.iter().enumerate() {
            let consumer = Consumer {
                channel_limit: Arc::clone(&peer.limit),
                prefetch: 5 * number as u32,
                no_ack: false,
                ..consumer(
                    self.next_consumer.fetch_add(1, Ordering::Relaxed),
                    &peer.outbox,
                )
            };
            queue.enter(|state, records| {
                if !state.is_deleted() {
                    state
                        .consume(consumer, NOW, records)
                        .expect("not exclusive");
                }
            });
        }
        queue
    }

    /// Through the exchange, to all queues that are there.
    fn publish(&self, bodies: &[String]) {
        let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
        let run = persistent("amq.fanout", "", &bodies);
        let exchange = self.vhost.exchange("amq.fanout").expect("always there");
        for queue in self.vhost.route(&exchange, &[""]).queues.iter() {
            let publish::Enqueued { taken, .. } =
                publish::enqueue(std::slice::from_ref(queue), &run, NOW);
            if taken {
                self.taken.fetch_add(run.len(), Ordering::Relaxed);
            }
        }
    }

    /// To the queue that is never deleted.
    fn publish_in_transaction(&self, bodies: &[String]) {
        let mut transaction = Transaction::default();
        let queue = self.vhost.queue(QUEUES[0]).expect("never deleted");
        for body in bodies {
            transaction.enqueue(
                std::slice::from_ref(&queue),
                &persistent("", QUEUES[0], &[body]),
                1,
            );
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        transaction.commit(&self.shared.store, NOW).expect("room");
    }

    /// Deletes a queue and declares it anew.
    fn replace(&self, name: &str) {
        let queue = self.vhost.queue(name).expect("only this thread deletes it");
        let (ready, _) = self
            .vhost
            .delete_queue(&queue, false, false)
            .expect("unconditional");
        self.dropped.fetch_add(ready as usize, Ordering::Relaxed);
        self.declare(name);
        self.vhost
            .bind(&to_queue("amq.fanout", name, ""), MINE, NOW)
            .expect("both are there");
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The task of a connection: hands what comes to `acks`, makes room, ends with the yard.
fn receive(yard: &Yard, peer: &Peer, acks: &mpsc::Sender<Delivery>) {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut parcels = Vec::new();
    let done = || yard.published.load(Ordering::Acquire) && *yard.acked.lock() == usize::MAX;
    while !done() {
        if !peer.outbox.poll_signalled(&waker) {
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        }
        peer.outbox.take(&mut parcels);
        for parcel in parcels.drain(..) {
            if let Parcel::Delivery(delivery) = parcel {
                peer.outbox.release(delivery.range.run.held_bytes());
                acks.send(delivery)
                    .expect("the acknowledging thread lives longer");
            }
        }
        yard.resume(peer, peer.outbox.take_stalled());
    }
}

/// Acknowledges, but sends every seventh message back the first time. Answers how often each copy was acknowledged.
fn acknowledge(
    yard: &Yard,
    peer: &Peer,
    deliveries: &mpsc::Receiver<Delivery>,
) -> Vec<(QueueId, u64)> {
    let mut acked = Vec::new();
    let mut handles: HashMap<QueueId, Arc<QueueHandle>> = HashMap::new();
    for delivery in deliveries {
        let range = delivery.range;
        let count = range.run.len();
        let found = yard
            .shared
            .queues
            .get(&range.queue)
            .map(|queue| Arc::clone(&queue));
        if let Some(queue) = found {
            handles.insert(range.queue, queue);
        }
        // A queue deleted before it was ever seen here takes nothing back.
        let Some(queue) = handles.get(&range.queue) else {
            yard.dropped.fetch_add(count, Ordering::Relaxed);
            continue;
        };
        let requeue = !range.redelivered && range.first.0 % 7 == 0;
        let (gone, _) = queue.enter(|state, records| {
            if state.is_deleted() {
                return true;
            }
            if requeue {
                state.requeue(vec![range.clone()], NOW, records);
            } else {
                state.settle(std::slice::from_ref(&range), NOW, records);
            }
            false
        });
        if gone {
            yard.dropped.fetch_add(count, Ordering::Relaxed);
        } else if !requeue {
            acked.extend(
                (range.first.0..)
                    .take(count)
                    .map(|position| (range.queue, position)),
            );
        }
        peer.limit.give_back(count as u64);
        yard.resume(peer, peer.limit.take_waiting());
        if !requeue && !gone {
            *yard.acked.lock() += count;
        }
        yard.progress.notify_all();
    }
    acked
}

#[test]
fn whatever_threads_do_every_message_is_accounted_for() {
    let node = Node::new();
    let peer = |number| Peer {
        outbox: Arc::new(Outbox::new(600)),
        limit: Arc::new({
            let limit = ChannelLimit::default();
            limit.set(7 * number as u16);
            limit
        }),
    };
    let yard = Yard {
        shared: Arc::clone(&node.shared),
        vhost: Arc::clone(&node.vhost),
        peers: (0..CONSUMERS).map(peer).collect(),
        next_consumer: AtomicU64::new(1),
        taken: AtomicUsize::new(0),
        dropped: AtomicUsize::new(0),
        published: AtomicBool::new(false),
        acked: Mutex::new(0),
        progress: Condvar::new(),
    };
    for name in QUEUES {
        yard.declare(name);
        node.bind(&to_queue("amq.fanout", name, ""));
    }
    let acked = std::thread::scope(|scope| {
        let yard = &yard;
        let mut ackers = Vec::new();
        for peer in &yard.peers {
            let (acks, deliveries) = mpsc::channel();
            scope.spawn(move || receive(yard, peer, &acks));
            ackers.push(scope.spawn(move || acknowledge(yard, peer, &deliveries)));
        }
        let bodies = |thread: usize, run: usize| -> Vec<String> {
            (0..1 + run % 6)
                .map(|message| format!("{thread}.{run}.{message}"))
                .collect()
        };
        let publishers = [
            scope.spawn(move || (0..RUNS).for_each(|run| yard.publish(&bodies(0, run)))),
            scope.spawn(move || {
                (0..RUNS).for_each(|run| yard.publish_in_transaction(&bodies(1, run)))
            }),
            scope.spawn(move || {
                for round in 0..40 {
                    yard.replace(QUEUES[1 + round % 2]);
                    std::thread::yield_now();
                }
            }),
        ];
        for publisher in publishers {
            publisher.join().expect("no panic");
        }
        yard.published.store(true, Ordering::Release);
        let mut finished = yard.acked.lock();
        let settled = |acked: usize| acked + yard.dropped.load(Ordering::Relaxed);
        let mut patience = 500;
        while settled(*finished) != yard.taken.load(Ordering::Relaxed) {
            let waited = yard
                .progress
                .wait_for(&mut finished, Duration::from_millis(20));
            patience -= usize::from(waited.timed_out());
            assert!(
                patience > 0,
                "{} of {} copies are settled",
                settled(*finished),
                yard.taken.load(Ordering::Relaxed)
            );
        }
        let total = std::mem::replace(&mut *finished, usize::MAX);
        drop(finished);
        let acked: Vec<_> = ackers
            .into_iter()
            .flat_map(|acker| acker.join().expect("no panic"))
            .collect();
        assert_eq!(acked.len(), total);
        acked
    });
    let once: HashSet<_> = acked.iter().collect();
    assert_eq!(once.len(), acked.len(), "acknowledged twice");
    for name in QUEUES {
        let (counts, _) = node.queue(name).enter(|state, _| state.counts());
        assert_eq!((counts.ready, counts.unacked), (0, 0), "{name}");
    }
    let node = node.restarted();
    for name in QUEUES {
        assert_eq!(node.drain(name), [""; 0], "left in the store");
    }
}

/// A queue that ends leaves its counters, and the tables, while it is held: whoever waits for a queue, to sum counters or to list
/// what there is, must not keep these from it.
#[test]
fn who_looks_at_all_queues_does_not_stop_one_that_ends() {
    const LONG: Duration = Duration::from_secs(10);
    let node = Node::new();
    let queue = node.declare_queue(durable("q"));
    let summing = queue.look(|_| {
        let sums = [Arc::clone(&node.shared), Arc::clone(&node.shared)];
        let [counts, histories] = sums;
        let vhost = Arc::clone(&node.vhost);
        let list = move || {
            let queues = vhost.queues();
            let ready = queues
                .iter()
                .map(|queue| queue.look(|state| state.counts().ready));
            std::hint::black_box(ready.sum::<u64>());
        };
        let summing = [
            std::thread::spawn(list),
            std::thread::spawn(move || drop(counts.queue_counts())),
            std::thread::spawn(move || drop(histories.queue_histories())),
        ];
        // They are about to wait for this queue.
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(5));
            let past = node.shared.past_queues.try_lock_for(LONG);
            assert!(past.is_some(), "the counters are to be had");
            let by_id = || node.shared.queues.try_get_mut(&queue.id).is_locked();
            let by_name = || node.vhost.queues.try_get_mut(&*queue.name).is_locked();
            // A copy is being made for a moment.
            let mut tries = 0;
            while by_id() || by_name() {
                tries += 1;
                assert!(tries < 2000, "the tables are to be had");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        summing
    });
    for thread in summing {
        thread.join().expect("no panic");
    }
}
