//! The ring under the store: full, wrapped, torn, its files missing, copied, cut, replaced, and a disk without room.

use std::time::Duration;

use super::commit;
use super::deadline;
use super::disk::SimulatedDisk;
use super::faults::logged;
use super::messages;
use super::mutation::Mutation;
use super::put;
use super::settle;
use super::small_ring;
use super::texts;
use super::wanted;
use crate::model::QueueId;
use crate::store::Record;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::disk::Disk;
use crate::store::ring::frame::FRAME_ALIGN;

const KIB: usize = 1024;

fn open(disk: &SimulatedDisk) -> Store {
    Store::open_with(disk.clone(), small_ring())
        .expect("opens")
        .0
}

/// Waits, with a deadline, until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = deadline(Duration::from_secs(20));
    while !is_so() {
        deadline();
        std::thread::yield_now();
    }
}

/// Names of the ring's files.
fn files(disk: &SimulatedDisk) -> Vec<String> {
    let mut names = disk.names().expect("powered");
    names.retain(|name| name.ends_with(".ring"));
    names
}

/// Bodies' sizes after a checkpoint came while a frame of its segment was being written.
fn checkpoint_during_a_write(mutation: Option<Mutation>) -> Vec<usize> {
    let disk = SimulatedDisk::default();
    let (store, _) = Store::open_mutated(disk.clone(), small_ring(), mutation).expect("opens");
    store.wait_until_idle();
    disk.stall_writes();
    store.append(vec![put(1, 1, &["first"])]);
    until(|| store.shared.inbox.is_writing());
    // So much that the next frame is made meanwhile, in a segment of its own, for which the first segment is wanted.
    let last = store.append(vec![put(1, 2, &[vec![7; 2000 * KIB]])]);
    until(|| store.shared.core.lock().awaited.is_some());
    // Time to read what is not there yet.
    for _ in 0..300 {
        std::thread::yield_now();
    }
    disk.go_on();
    store.wait(last).expect("works");
    store.checkpoint().expect("works");
    let sizes = |messages: Vec<(u64, Vec<u8>)>| -> Vec<_> {
        messages.iter().map(|(_, body)| body.len()).collect()
    };
    let left = sizes(messages(&store, 1));
    drop(store);
    assert_eq!(sizes(messages(&open(&disk), 1)), left);
    left
}

#[test]
fn a_checkpoint_waits_for_frames_that_are_being_written() {
    assert_eq!(checkpoint_during_a_write(None), [5, 2000 * KIB]);
    let wrong = checkpoint_during_a_write(Some(Mutation::ReadUnwritten));
    assert_eq!(wrong, [2000 * KIB], "this test finds it");
}

#[test]
fn what_is_settled_during_a_checkpoint_stays_settled() {
    let left_of = |mutation| {
        let disk = SimulatedDisk::default();
        let (store, _) = Store::open_mutated(disk.clone(), small_ring(), mutation).expect("opens");
        commit(&store, vec![put(1, 1, &["a", "b", "c"])]);
        disk.stall_redb();
        std::thread::scope(|scope| {
            let forced = scope.spawn(|| store.checkpoint());
            until(|| disk.is_redb_syncing());
            store.append(vec![settle(1, 1, 1)]);
            // Who reads takes it in.
            assert_eq!(texts(&store, 1).len(), 2);
            disk.go_on();
            forced.join().expect("no panic").expect("works");
        });
        // The settle's own segment goes, too.
        store.checkpoint().expect("works");
        store.close().expect("closes");
        texts(&open(&disk), 1).len()
    };
    assert_eq!(left_of(None), 2);
    assert_eq!(
        left_of(Some(Mutation::ForgetStale)),
        3,
        "this test finds it"
    );
}

#[test]
fn a_full_ring_grows_by_little_and_shrinks_again() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    for position in 1..=300 {
        let lsn = store.append(vec![put(1, position, &[vec![7; 30 * KIB]])]);
        if position % 3 == 0 {
            store.wait(lsn).expect("works");
        }
        let stats = store.stats();
        assert!(stats.ring_segments <= 4, "{stats:?}");
    }
    commit(&store, vec![put(2, 1, &["last"])]);
    // Frames that are larger than a segment have their own, one at a time.
    for position in 301..=310 {
        commit(&store, vec![put(1, position, &[vec![7; 300 * KIB]])]);
        let stats = store.stats();
        assert!(stats.ring_segments <= 4, "{stats:?}");
    }
    assert_eq!(messages(&store, 1).len(), 310);
    let stats = store.stats();
    assert!(stats.checkpoints > 20 && !stats.congested, "{stats:?}");
    assert!(stats.ring_used_bytes <= stats.ring_bytes);
    store.close().expect("closes");
    let (store, _) = Store::open_with(disk.clone(), small_ring()).expect("opens");
    assert_eq!(messages(&store, 1).len(), 310);
    assert!(files(&disk).len() <= 3);
}

#[test]
fn a_full_ring_is_known_until_it_has_room_again() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    store.wait_until_idle();
    assert!(!store.stats().ring_full, "a new ring is small, not full");
    // A redb that does not end its commit keeps the ring full.
    disk.stall_redb();
    let mut last = store.durable();
    for position in 1..40 {
        last = store.append(vec![put(1, position, &[vec![7; 60 * KIB]])]);
        until(|| store.stats().ring_full || store.durable() >= last);
    }
    assert!(store.stats().ring_full);
    // It is told once however often it was full, until a segment was filled without having to wait.
    assert!(store.shared.core.lock().told_full.is_some());
    disk.go_on();
    store.wait(last).expect("works");
    store.checkpoint().expect("works");
    commit(&store, vec![put(2, 1, &["on"])]);
    assert!(!store.stats().ring_full);
    for position in 40..46 {
        commit(&store, vec![put(1, position, &[vec![7; 60 * KIB]])]);
        store.checkpoint().expect("works");
    }
    assert!(store.shared.core.lock().told_full.is_none());
}

#[test]
fn a_full_disk_holds_back_and_loses_nothing() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    store.wait_until_idle();
    disk.set_full(true);
    let mut last = store.durable();
    for position in 1..=60 {
        last = store.append(vec![put(1, position, &[vec![position as u8; 30 * KIB]])]);
    }
    until(|| disk.refused() > 0 && store.stats().disk_full);
    // Consumers go on: what waits can be read and settled.
    let read = store
        .read(QueueId(1), 60..61, u64::MAX)
        .expect("readable")
        .runs;
    assert_eq!(read[0].run.first().body(), vec![60; 30 * KIB]);
    store.append(vec![settle(1, 60, 1)]);
    assert!(store.durable() < last && store.failure().is_none());
    disk.set_full(false);
    store.wait(last).expect("there is room again");
    assert!(!store.stats().disk_full);
    store.checkpoint().expect("works");
    assert_eq!(messages(&store, 1).len(), 59);
    drop(store);
    assert_eq!(messages(&open(&disk), 1).len(), 59);
}

#[test]
fn a_disk_that_stays_full_does_not_keep_the_store_from_ending() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"])]);
    disk.set_full(true);
    let lost = store.append(vec![put(1, 2, &[vec![7; 300 * KIB]])]);
    until(|| disk.refused() > 0);
    let ended = store.close();
    assert!(matches!(ended, Err(StoreError::Stopped(_))), "{ended:?}");
    assert!(store.durable() < lost);
    let text = ended.expect_err("failed").to_string();
    assert!(text.contains("no storage space"), "{text}");
    drop(store);
    disk.set_full(false);
    assert_eq!(texts(&open(&disk), 1), wanted(&[(1, "a")]));
}

#[test]
fn a_store_does_not_open_on_a_full_disk() {
    let disk = SimulatedDisk::default();
    disk.set_full(true);
    assert!(Store::open_with(disk.clone(), small_ring()).is_err());
}

/// A store with three frames: one that puts, one that settles and puts, one that opened it.
fn torn_rig() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    store.wait_until_idle();
    commit(&store, vec![put(1, 1, &["a"]), put(1, 2, &["b"])]);
    commit(&store, vec![settle(1, 1, 1), put(2, 1, &["consequence"])]);
    store.wait_until_idle();
    disk.after_kill()
}

#[test]
fn a_torn_frame_is_gone_for_good() {
    let disk = torn_rig();
    // Its head is whole, its content is not.
    assert_eq!(disk.replace(b"consequence", b"c0nsequence"), 1);
    let log = logged(|| {
        let store = open(&disk);
        store.wait_until_idle();
        // Nothing of it: neither the put nor the settle.
        assert_eq!(texts(&store, 1), wanted(&[(1, "a"), (2, "b")]));
        assert_eq!(texts(&store, 2), wanted(&[]));
    });
    assert!(log.contains("was cut off while it was written"), "{log}");

    // The first frame of the next life may need another segment than the one in which the torn one stood.
    let disk = torn_rig();
    disk.replace(b"consequence", b"c0nsequence");
    disk.stall_writes();
    {
        let opening = disk.clone();
        let store = std::thread::spawn(move || open(&opening));
        disk.go_on();
        let store = store.join().expect("opens");
        commit(&store, vec![put(3, 1, &[vec![7; 200 * KIB]])]);
        store.wait_until_idle();
    }
    let store = open(&disk);
    assert_eq!(texts(&store, 1), wanted(&[(1, "a"), (2, "b")]));
    assert_eq!(messages(&store, 3).len(), 1);
}

#[test]
fn the_header_of_a_torn_frame_is_erased_before_anything_is_written() {
    let disk = torn_rig();
    disk.replace(b"consequence", b"c0nsequence");
    let heads = |disk: &SimulatedDisk| {
        let mut heads = 0;
        let name = files(disk).remove(0);
        disk.damage(&name, |bytes| {
            heads = bytes
                .chunks(FRAME_ALIGN as usize)
                .filter(|frame| frame.starts_with(b"LVR1"))
                .count();
        });
        heads
    };
    assert_eq!(heads(&disk), 3);
    // What a crash leaves before the first frame of this life.
    disk.stall_ring();
    let opening = disk.clone();
    let store = std::thread::spawn(move || open(&opening));
    until(|| heads(&disk.after_kill()) == 2);
    disk.go_on();
    drop(store.join().expect("opens"));
}

/// A closed store with messages in two segments.
fn two_segments() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let (store, _) = Store::open_with(disk.clone(), roomy()).expect("opens");
    store.wait_until_idle();
    for position in 1..=5 {
        commit(
            &store,
            vec![put(1, position, &[vec![position as u8; 30 * KIB]])],
        );
    }
    store.close().expect("closes");
    assert!(files(&disk).len() >= 2);
    disk
}

fn roomy() -> StoreOptions {
    StoreOptions {
        ring_segments: 4,
        ..small_ring()
    }
}

fn positions(disk: &SimulatedDisk) -> Vec<u64> {
    let (store, _) = Store::open_with(disk.clone(), roomy()).expect("opens");
    messages(&store, 1).iter().map(|(at, _)| *at).collect()
}

#[test]
fn a_missing_segment_is_told_and_the_rest_is_served() {
    let disk = two_segments();
    disk.remove(&files(&disk)[0]).expect("removed");
    let log = logged(|| assert_eq!(positions(&disk), [3, 4, 5]));
    assert!(
        log.contains("ERROR") && log.contains("segments of the ring are missing"),
        "{log}"
    );
}

#[test]
fn a_copy_of_a_segment_changes_nothing() {
    for (of_eight, name) in [
        (8, "0000.ring"),
        (5, "0000.ring"),
        (8, "9000.ring"),
        (5, "9000.ring"),
    ] {
        let disk = two_segments();
        disk.copy_file(&files(&disk)[0], name, of_eight);
        let log = logged(|| assert_eq!(positions(&disk), [1, 2, 3, 4, 5], "{name}"));
        assert!(log.contains("is a copy of another one"), "{log}");
    }
}

#[test]
fn a_segment_that_shrank_or_is_damaged_anywhere_is_no_panic() {
    let whole = two_segments();
    let [first, second] = [0, 1].map(|at| files(&whole)[at].clone());
    for name in [&first, &second] {
        for of_eight in 0..8 {
            let disk = whole.after_kill();
            disk.copy_file(name, name, of_eight);
            let left = positions(&disk);
            assert!(left.is_sorted() && left.len() <= 5);
        }
        for place in (0..90 * KIB).step_by(1361) {
            let disk = whole.after_kill();
            disk.damage(name, |bytes| {
                bytes[place..place + 24]
                    .iter_mut()
                    .for_each(|byte| *byte = !*byte);
            });
            let left = positions(&disk);
            assert!(left.is_sorted() && left.len() >= 2, "{place}: {left:?}");
        }
    }
}

#[test]
fn a_file_that_shrinks_under_a_store_is_an_error_of_the_read() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &[vec![7; 50 * KIB]])]);
    let name = files(&disk).remove(0);
    disk.copy_file(&name, &name, 1);
    let read = store.load(QueueId(1)).map(|_| ());
    assert!(matches!(read, Err(StoreError::Ring { .. })), "{read:?}");
}

#[test]
fn files_that_a_crash_or_other_limits_left_are_cleared_away() {
    let disk = two_segments();
    // Half made, and with a name that is none of ours.
    disk.copy_file("redb", "0900.ring", 0);
    disk.copy_file("redb", "900.ring", 0);
    disk.copy_file("redb", "99999999999999999999.ring", 0);
    disk.copy_file("redb", "+0901.ring", 0);
    let before = files(&disk).len();
    assert_eq!(positions(&disk), [1, 2, 3, 4, 5]);
    let left = files(&disk);
    assert!(!left.contains(&"0900.ring".to_owned()), "{left:?}");
    assert!(left.contains(&"900.ring".to_owned()) && left.len() + 1 >= before - 1);
}

#[test]
fn a_directory_in_place_of_a_segment_is_told_by_name() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), small_ring())
        .unwrap()
        .0
        .close()
        .unwrap();
    std::fs::create_dir(dir.path().join("ring/0077.ring")).unwrap();
    let refused = Store::open(dir.path(), small_ring()).map(|_| ());
    let text = refused.expect_err("refused").to_string();
    assert!(
        text.contains("0077.ring") && text.contains("directory"),
        "{text}"
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("leveret.redb")).unwrap();
    assert!(Store::open(dir.path(), small_ring()).is_err());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("leveret.redb"), "").unwrap();
    let empty = Store::open(dir.path(), small_ring()).map(|_| ());
    assert!(
        matches!(empty, Err(StoreError::Foreign { .. })),
        "{empty:?}"
    );
}

#[test]
fn a_failed_sync_of_redb_stops_the_store() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"])]);
    disk.stall();
    std::thread::scope(|scope| {
        let forced = scope.spawn(|| store.checkpoint());
        let operations = disk.operations();
        until(|| store.shared.core.lock().awaited.is_some() || disk.operations() > operations);
        disk.fail_next();
        disk.go_on();
        let ended = forced.join().expect("no panic");
        assert!(matches!(ended, Err(StoreError::Stopped(_))), "{ended:?}");
    });
    let failure = store.failure().expect("it failed").to_string();
    assert!(failure.contains("cannot write a checkpoint"), "{failure}");
    assert!(store.close().is_err());
    drop(store);
    assert_eq!(texts(&open(&disk.after_kill()), 1), wanted(&[(1, "a")]));
}

#[test]
fn windows_are_read_while_writing_goes_on() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for position in 1..=400_u64 {
                store.append(vec![put(
                    1,
                    position,
                    &[position.to_le_bytes().repeat(500)],
                )]);
                if position > 100 && position % 3 == 0 {
                    store.append(vec![settle(1, position - 100, 2)]);
                }
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let from = seen % 400 + 1;
            let runs = store
                .read(QueueId(1), from..from + 40, 20_000)
                .expect("readable")
                .runs;
            let mut last = 0;
            for run in &runs {
                for (position, message) in (run.first.0..).zip(run.run.iter()) {
                    assert!(position > last && (from..from + 40).contains(&position));
                    assert_eq!(message.body()[..8], position.to_le_bytes());
                    last = position;
                }
            }
            seen += 7;
        }
    });
    store.checkpoint().expect("works");
    assert!(
        store
            .read(QueueId(1), 9..9, 9)
            .expect("readable")
            .runs
            .is_empty()
    );
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is tested")]
    let backwards = store.read(QueueId(1), 90..9, 9);
    assert!(backwards.expect("readable").runs.is_empty());
}

#[test]
fn a_store_killed_after_a_checkpoint_of_everything_was_not_closed() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"])]);
    store.checkpoint().expect("works");
    let killed = disk.after_kill();
    let (_, recovered) = Store::open_with(killed, small_ring()).expect("opens");
    assert!(!recovered.clean);
    store.close().expect("closes");
    let (_, recovered) = Store::open_with(disk, small_ring()).expect("opens");
    assert!(recovered.clean);
}

#[test]
fn a_panic_while_a_reader_takes_records_in_stops_the_store() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"])]);
    disk.stall();
    store.append(vec![put(1, 2, &["b"])]);
    // The broker's bug, taken in by a reader: what came behind it in the same batch must not be confirmed.
    let lsn = store.append(vec![put(1, 1, &["again"]), put(1, 3, &["c"])]);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.read(QueueId(1), 1..9, 9).map(|_| ())
    }));
    disk.go_on();
    assert!(store.wait(lsn).is_err(), "{read:?}");
}

#[test]
fn records_that_fit_no_frame_are_left_out_without_a_panic() {
    let delete = Record::DeleteQueue { queue: QueueId(1) };
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"]), put(2, 1, &["b"])]);
    commit(&store, vec![delete]);
    // Queues that never were.
    commit(
        &store,
        vec![settle(77, 1, u64::MAX), settle(2, 5, u64::MAX - 5)],
    );
    assert_eq!(texts(&store, 2), wanted(&[(1, "b")]));
}
