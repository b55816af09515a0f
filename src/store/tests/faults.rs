//! A failed commit ends all confirming; damage in the file is told with its place and the rest is served.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::ReadableDatabase;

use super::commit;
use super::disk::SimulatedDisk;
use super::put;
use super::settle;
use super::texts;
use super::waiting::Bell;
use super::wanted;
use crate::model::QueueId;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::tables;

fn open(disk: &SimulatedDisk) -> Store {
    Store::open_with(disk.clone(), StoreOptions::default())
        .expect("opens")
        .0
}

#[test]
fn after_a_failed_commit_nothing_is_confirmed_or_taken() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"])]);
    let durable = store.durable();
    let (committed, failed, uncongested) = (Bell::new(), Bell::new(), Bell::new());
    store.notify_failure(failed.clone());
    disk.stall();
    let lsn = store.append(vec![put(1, 2, &["b"])]);
    store.notify(lsn, committed.clone());
    disk.fail_next();
    disk.go_on();
    failed.expect_ring();

    let failure = store.failure().expect("it failed");
    assert!(
        matches!(*failure, StoreError::Commit { records: 1, .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains("injected error"), "{failure}");
    assert!(matches!(store.wait(lsn), Err(StoreError::Stopped(_))));
    let refused = store.append(vec![put(1, 3, &["c"])]);
    store.notify(refused, committed.clone());
    assert!(matches!(store.wait(refused), Err(StoreError::Stopped(_))));
    assert!(matches!(store.close(), Err(StoreError::Stopped(_))));
    assert_eq!(store.durable(), durable);
    // Publishers must not wait for ever for a store that is gone; it tells why when it is asked.
    store.notify_uncongested(uncongested.clone());
    uncongested.expect_ring();
    let late = Bell::new();
    store.notify_failure(late.clone());
    late.expect_ring();
    assert_eq!(committed.rings(), 0);
    assert_eq!(Arc::strong_count(&committed), 1, "the store forgot it");
    drop(store);

    let store = open(&disk.after_kill());
    assert_eq!(texts(&store, 1)[..1], wanted(&[(1, "a")]));
}

#[test]
fn a_panic_of_the_writer_is_a_failure() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(1, 1, &["a"])]);
    let failed = Bell::new();
    store.notify_failure(failed.clone());
    // The broker's bug: a position is put twice.
    let lsn = store.append(vec![put(1, 1, &["b"])]);
    failed.expect_ring();
    assert!(store.durable() < lsn);
    let failure = store.failure().expect("it failed");
    assert!(failure.to_string().contains("put once"), "{failure}");
}

/// What `work` logs on this thread.
pub(super) fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let lines = lines.0.lock().clone();
    String::from_utf8(lines).expect("text")
}

#[test]
fn a_damaged_blob_is_told_with_its_place_and_the_rest_is_served() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(7, 1, &["first"])]);
    commit(&store, vec![put(7, 2, &["second", "third"])]);
    commit(&store, vec![put(7, 4, &["fourth"])]);
    commit(&store, vec![put(8, 1, &["elsewhere"])]);
    store.close().expect("closes");
    assert!(disk.replace(b"second", b"sEcond") > 0);

    let log = logged(|| {
        let store = open(&disk);
        assert_eq!(texts(&store, 7), wanted(&[(1, "first"), (4, "fourth")]));
        assert_eq!(texts(&store, 8), wanted(&[(1, "elsewhere")]));
        // The queue lives on around the damage, and goes with all its rows.
        commit(&store, vec![put(7, 5, &["fifth"]), settle(7, 1, 1)]);
        assert_eq!(texts(&store, 7), wanted(&[(4, "fourth"), (5, "fifth")]));
        let delete = crate::store::Record::DeleteQueue { queue: QueueId(7) };
        commit(&store, vec![delete]);
        store.close().expect("closes");
    });
    let line = log.lines().next().expect("something is logged");
    for part in [
        "ERROR",
        "stored messages are damaged and left out",
        "queue=7",
        "position=2",
        "messages=2",
        "its checksum is wrong",
    ] {
        assert!(line.contains(part), "{part}: {log}");
    }
    let log = logged(|| assert_eq!(texts(&open(&disk), 7), []));
    assert_eq!(log, "", "nothing is left of it");
}

#[test]
fn a_missing_blob_is_told_with_its_place() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(7, 1, &["first"])]);
    store.checkpoint().expect("works");
    commit(&store, vec![put(7, 2, &["second"])]);
    store.close().expect("closes");
    let database = redb::Database::builder()
        .create_with_backend(disk.redb_file().unwrap())
        .unwrap();
    let transaction = database.begin_write().unwrap();
    let key = tables::place_key(QueueId(7), 1);
    transaction
        .open_table(tables::PAGES)
        .unwrap()
        .remove(&key)
        .unwrap()
        .expect("it was there");
    transaction.commit().unwrap();
    drop(database);

    let log = logged(|| assert_eq!(texts(&open(&disk), 7), wanted(&[(2, "second")])));
    assert!(
        log.contains("queue=7 position=1") && log.contains("it is missing"),
        "{log}"
    );
}

/// The row as it stands in redb.
fn extent_row(disk: &SimulatedDisk, key: &tables::PlaceKey) -> Vec<u8> {
    let database = redb::Database::builder()
        .create_with_backend(disk.after_kill().redb_file().unwrap())
        .unwrap();
    let read = database.begin_read().unwrap();
    let extents = read.open_table(tables::EXTENTS).unwrap();
    let row = extents.get(key).unwrap().expect("it is there");
    row.value().to_vec()
}

#[test]
fn damaged_settle_state_brings_settled_messages_back_and_loses_none() {
    let disk = SimulatedDisk::default();
    let store = open(&disk);
    commit(&store, vec![put(7, 1, &["first"])]);
    commit(&store, vec![put(7, 2, &["second", "third"])]);
    store.checkpoint().expect("works");
    commit(&store, vec![settle(7, 2, 1)]);
    store.checkpoint().expect("works");
    store.close().expect("closes");
    let key = tables::place_key(QueueId(7), 1);
    let row = extent_row(&disk, &key);
    let mut damaged = row.clone();
    *damaged.last_mut().expect("a bitmap") ^= 2;
    assert!(disk.replace(&row, &damaged) > 0);

    let log = logged(|| {
        let (store, recovered) = Store::open_with(disk.clone(), StoreOptions::default()).unwrap();
        assert_eq!(recovered.queues[0].messages, 3);
        assert_eq!(
            texts(&store, 7),
            wanted(&[(1, "first"), (2, "second"), (3, "third")])
        );
        commit(&store, vec![settle(7, 2, 1)]);
        assert_eq!(texts(&store, 7), wanted(&[(1, "first"), (3, "third")]));
    });
    let line = log.lines().next().expect("something is logged");
    for part in ["ERROR", "settle state is damaged", "queue=7", "position=1"] {
        assert!(line.contains(part), "{part}: {log}");
    }
}
