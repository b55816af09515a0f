//! Waiters and back-pressure: who is told what, and when.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;

use super::commit;
use super::disk::SimulatedDisk;
use super::put;
use super::settle;
use super::texts;
use super::wanted;
use crate::model::Lsn;
use crate::store::CommitWaiter;
use crate::store::Store;
use crate::store::StoreOptions;

const DEADLINE: Duration = Duration::from_secs(20);

/// A waiter that can be waited for.
pub(super) struct Bell {
    rings: AtomicUsize,
    sender: mpsc::Sender<()>,
    receiver: Mutex<mpsc::Receiver<()>>,
}

impl Bell {
    pub(super) fn new() -> Arc<Bell> {
        let (sender, receiver) = mpsc::channel();
        let (rings, receiver) = (AtomicUsize::new(0), Mutex::new(receiver));
        Arc::new(Bell {
            rings,
            sender,
            receiver,
        })
    }

    pub(super) fn rings(&self) -> usize {
        self.rings.load(Ordering::SeqCst)
    }

    pub(super) fn expect_ring(&self) {
        self.receiver
            .lock()
            .recv_timeout(DEADLINE)
            .expect("told within the deadline");
    }
}

impl CommitWaiter for Bell {
    fn committed(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        let _ = self.sender.send(());
    }
}

fn open(disk: &SimulatedDisk, pending_bytes_max: usize) -> Store {
    let options = StoreOptions {
        pending_bytes_max,
        ..StoreOptions::default()
    };
    Store::open_with(disk.clone(), options).expect("opens").0
}

/// A store whose writer is in the middle of a commit, and the number of that commit.
fn stalled(disk: &SimulatedDisk, pending_bytes_max: usize) -> (Store, Lsn) {
    let store = open(disk, pending_bytes_max);
    store.wait_until_idle();
    disk.stall();
    let operations = disk.operations();
    let lsn = store.append(vec![put(1, 1, &["in flight"])]);
    let deadline = deadline(DEADLINE);
    while disk.operations() == operations {
        deadline();
        std::thread::yield_now();
    }
    (store, lsn)
}

/// Panics when it is called after that time.
#[expect(clippy::disallowed_methods, reason = "a test's deadline is real time")]
pub(super) fn deadline(after: Duration) -> impl Fn() {
    let start = std::time::Instant::now();
    move || assert!(start.elapsed() < after, "not within the deadline")
}

#[test]
fn a_waiter_is_told_after_its_commit_and_only_once() {
    let disk = SimulatedDisk::default();
    let (store, first) = stalled(&disk, usize::MAX);
    let second = store.append(vec![put(1, 2, &["next"])]);
    let (none, one, two) = (Bell::new(), Bell::new(), Bell::new());
    store.notify(Lsn::NONE, none.clone());
    assert_eq!(none.rings(), 1, "nothing to wait for");
    store.notify(second, two.clone());
    store.notify(first, one.clone());
    assert!(store.durable() < first);
    assert_eq!((one.rings(), two.rings()), (0, 0), "nothing is synced");

    disk.go_on();
    two.expect_ring();
    assert_eq!((one.rings(), two.rings(), none.rings()), (1, 1, 1));
    assert_eq!(store.durable(), second);
    store.notify(first, one.clone());
    assert_eq!(one.rings(), 2, "reached already");
}

#[test]
fn all_that_waits_is_one_commit() {
    let disk = SimulatedDisk::default();
    let (store, first) = stalled(&disk, usize::MAX);
    let appended: Vec<_> = (0..100)
        .map(|n| store.append(vec![put(2 + n % 3, 1 + n, &["a"])]))
        .collect();
    assert!(appended.is_sorted() && appended[0] > first);
    let before = disk.syncs();
    disk.go_on();
    store.wait(appended[99]).expect("works");
    // The one in flight and the one of all that waited.
    assert_eq!(disk.syncs() - before, 2);
}

#[test]
fn what_is_settled_before_it_is_written_is_not_written() {
    let disk = SimulatedDisk::default();
    let (store, _) = stalled(&disk, usize::MAX);
    let big = "x".repeat(600_000);
    store.append(vec![put(1, 2, &[&big, "stays"])]);
    let last = store.append(vec![settle(1, 2, 1)]);
    disk.go_on();
    store.wait(last).expect("works");
    assert_eq!(texts(&store, 1), wanted(&[(1, "in flight"), (3, "stays")]));
    store.close().expect("closes");
    assert_eq!(
        disk.replace(&[b'x'; 100], &[b'y'; 100]),
        0,
        "no trace of it"
    );
}

#[test]
fn a_group_of_which_nothing_is_left_costs_no_sync() {
    let disk = SimulatedDisk::default();
    let store = open(&disk, usize::MAX);
    store.wait_until_idle();
    // The first of them notes that positions are in use.
    commit(&store, vec![put(1, 1, &["a"]), settle(1, 1, 1)]);
    let before = disk.syncs();
    for position in 2..100 {
        commit(
            &store,
            vec![put(1, position, &["a"]), settle(1, position, 1)],
        );
    }
    assert_eq!(disk.syncs(), before);
}

#[test]
fn publishers_are_held_back_while_too_much_waits() {
    let disk = SimulatedDisk::default();
    let (store, _) = stalled(&disk, 10_000);
    let (early, late) = (Bell::new(), Bell::new());
    assert!(!store.congested());
    store.notify_uncongested(early.clone());
    assert_eq!(early.rings(), 1, "there is room");
    let mut position = 2;
    while !store.congested() {
        store.append(vec![put(1, position, &["y".repeat(1000)])]);
        position += 1;
    }
    assert!((8..14).contains(&position), "{position}");
    store.notify_uncongested(late.clone());
    assert_eq!(late.rings(), 0);
    disk.go_on();
    late.expect_ring();
    assert!(!store.congested());
    assert_eq!((early.rings(), late.rings()), (1, 1));
}

#[test]
fn appends_of_many_threads_keep_the_order_of_each() {
    let disk = SimulatedDisk::default();
    let store = open(&disk, usize::MAX);
    std::thread::scope(|scope| {
        for queue in 1..=4 {
            let store = &store;
            scope.spawn(move || {
                let mut last = Lsn::NONE;
                for position in 1..=200 {
                    let lsn = store.append(vec![put(queue, position, &[position.to_string()])]);
                    assert!(lsn > last);
                    last = lsn;
                    if position > 1 {
                        store.append(vec![settle(queue, position - 1, 1)]);
                    }
                }
                store.wait(last).expect("works");
            });
        }
    });
    store.close().expect("closes");
    let store = open(&disk.after_kill(), usize::MAX);
    for queue in 1..=4 {
        assert_eq!(texts(&store, queue), wanted(&[(200, "200")]));
    }
}
