//! Backups: one moment, whole, and removed when they fail.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::commit;
use super::crash::histories;
use super::disk::SimulatedDisk;
use super::disk::Trouble;
use super::history::Content;
use super::history::Model;
use super::messages;
use super::put;
use super::settle;
use super::small_ring;
use super::texts;
use super::wanted;
use crate::store::Record;
use crate::store::Recovered;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::offline::restore;

fn open(dir: &Path) -> (Store, Recovered) {
    Store::open(dir, small_ring()).expect("opens")
}

fn backup(store: &Store, dir: &Path) -> u64 {
    let summary = store.backup(dir, &|| true).expect("a backup");
    let file = std::fs::metadata(dir.join("leveret.redb")).unwrap();
    assert_eq!(summary.file_bytes, file.len());
    summary.messages
}

#[test]
fn it_is_the_whole_store_and_a_store_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(&dir.path().join("data"));
    let definition = Record::Define {
        kind: 3,
        key: b"k".to_vec(),
        value: b"v".to_vec(),
    };
    commit(&store, vec![definition]);
    let first = dir.path().join("first");
    assert_eq!(backup(&store, &first), 0);
    commit(&store, vec![put(1, 1, &["a", "b", "c"])]);
    commit(&store, vec![put(2, 7, &[vec![b'x'; 300_000]])]);
    commit(&store, vec![settle(1, 2, 1)]);
    // Nothing happens between these; and an empty directory may be there.
    let (second, third) = (dir.path().join("second"), dir.path().join("third"));
    std::fs::create_dir(&third).unwrap();
    assert_eq!(backup(&store, &second), 3);
    assert_eq!(backup(&store, &third), 3);
    commit(&store, vec![put(1, 4, &["later"])]);
    store.close().expect("closes");

    for copy in [&second, &third] {
        let (store, recovered) = open(copy);
        assert!(!recovered.clean, "nobody knows what had been delivered");
        assert_eq!(recovered.definitions[0].value, b"v");
        assert_eq!(texts(&store, 1), wanted(&[(1, "a"), (3, "c")]));
        assert_eq!(messages(&store, 2), [(7, vec![b'x'; 300_000])]);
        commit(&store, vec![put(1, 2_000_000, &["new"])]);
        store.close().expect("closes");
    }
    assert_eq!(open(&first).1.queues, []);
}

#[test]
fn it_shows_one_moment_while_messages_move() {
    const COUNT: u64 = 600;

    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(&dir.path().join("data"));
    let bodies: Vec<String> = (0..COUNT).map(|n| format!("{n:0300}")).collect();
    commit(&store, vec![put(1, 1, &bodies)]);
    let done = AtomicBool::new(false);
    let backups: Vec<_> = std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            // From one queue to the other and back, each time in one piece.
            let mut places = vec![(1, 0); COUNT as usize];
            let mut nexts = BTreeMap::from([(1, COUNT + 1), (2, 1)]);
            (0..COUNT).for_each(|n| places[n as usize].1 = n + 1);
            let mut n = 0;
            while !done.load(Ordering::Acquire) {
                let (from, at) = places[n];
                let to = 3 - from;
                let next = nexts.get_mut(&to).expect("a queue");
                let records = vec![settle(from, at, 1), put(to, *next, &[&bodies[n]])];
                let lsn = store.append(records);
                places[n] = (to, *next);
                *next += 1;
                n = (n + 7) % COUNT as usize;
                if n.is_multiple_of(5) {
                    store.wait(lsn).expect("the store works");
                }
            }
        });
        let copies = (0..12).map(|number| dir.path().join(format!("copy{number}")));
        let backups: Vec<_> = copies
            .map(|copy| (store.backup(&copy, &|| true), copy))
            .collect();
        done.store(true, Ordering::Release);
        mover.join().expect("it moves");
        backups
    });
    for (summary, copy) in backups {
        assert_eq!(summary.expect("a backup").messages, COUNT);
        let (store, _) = open(&copy);
        let mut there: Vec<_> = [1, 2]
            .iter()
            .flat_map(|queue| texts(&store, *queue))
            .map(|(_, body)| body)
            .collect();
        there.sort();
        assert_eq!(there, bodies);
    }
}

#[test]
fn what_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(&dir.path().join("data"));
    commit(&store, vec![put(1, 1, &["a"])]);
    let target = dir.path().join("target");
    let given_up = store.backup(&target, &|| false);
    assert!(matches!(given_up, Err(StoreError::BackupGivenUp)));
    assert!(!target.exists());

    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("mine"), "kept").unwrap();
    let refused = store.backup(&target, &|| true);
    assert!(matches!(refused, Err(StoreError::NotEmpty { .. })));
    let refused = store.backup(&target.join("mine"), &|| true);
    assert!(matches!(refused, Err(StoreError::NotEmpty { .. })));
    assert_eq!(std::fs::read(target.join("mine")).unwrap(), b"kept");
    let nowhere = store.backup(&dir.path().join("no/such"), &|| true);
    assert!(matches!(nowhere, Err(StoreError::Target { .. })));

    // Of two at a time the second is refused.
    let second = dir.path().join("second");
    let first = store.backup(&dir.path().join("first"), &|| {
        let refused = store.backup(&second, &|| true);
        assert!(matches!(refused, Err(StoreError::BackupRuns)));
        true
    });
    assert_eq!(first.expect("a backup").messages, 1);
    assert!(!second.exists());

    store.close().expect("closes");
    let closed = store.backup(&dir.path().join("closed"), &|| true);
    assert!(matches!(closed, Err(StoreError::Closed)));
    assert!(!dir.path().join("closed").exists());
}

#[test]
fn a_kill_after_everything_went_to_redb_is_not_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(dir.path());
        commit(&store, vec![put(1, 1, &["a"])]);
        store.checkpoint().expect("a checkpoint");
    }
    assert!(!open(dir.path()).1.clean);
}

#[test]
fn what_is_restored_is_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (store, _) = Store::open(&data, StoreOptions::default()).expect("opens");
    commit(&store, vec![put(1, 1, &["a"])]);
    store.checkpoint().expect("a checkpoint");
    commit(&store, vec![put(1, 2, &["b"])]);
    let target = dir.path().join("target");
    assert!(matches!(
        restore(&data, &target),
        Err(StoreError::AlreadyOpen { .. })
    ));
    assert!(!target.exists());
    drop(store);

    // A copy of a data directory has a ring, too.
    assert!(restore(&data, &target).expect("readable").is_sound());
    assert!(matches!(
        restore(&data, &target),
        Err(StoreError::NotEmpty { .. })
    ));
    let (store, _) = open(&target);
    assert_eq!(texts(&store, 1), wanted(&[(1, "a"), (2, "b")]));
}

/// A file on a disk that gets full.
#[derive(Debug)]
struct Full(FileBackend);

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset + data.len() as u64 > 1024 * 1024 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

#[test]
fn a_full_disk_fails_the_backup_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(&dir.path().join("data"));
    commit(&store, vec![put(1, 1, &[vec![b'x'; 3_000_000]])]);
    let target = dir.path().join("target");
    let full = store.backup_over(&target, &|| true, |file| FileBackend::new(file).map(Full));
    let error = full.expect_err("the disk is full");
    assert!(matches!(error, StoreError::Copy { .. }), "{error}");
    assert!(!target.exists());
    commit(&store, vec![put(1, 2, &["goes on"])]);
    assert_eq!(backup(&store, &target), 2);
}

#[test]
fn a_store_that_ends_ends_its_backup() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..10 {
        let (store, _) = open(&dir.path().join("data"));
        std::thread::scope(|scope| {
            let making = scope.spawn(|| {
                (0..).find_map(|copy| {
                    let target = dir.path().join(format!("{number}-{copy}"));
                    store.backup(&target, &|| true).err()
                })
            });
            store.append(vec![put(1, 1 + number * 10_000_000, &["a"])]);
            let some = dir.path().join(format!("{number}-{}", number % 3));
            while !some.exists() {
                std::thread::yield_now();
            }
            store.close().expect("closes");
            let error = making.join().expect("no panic").expect("an error at last");
            assert!(
                matches!(error, StoreError::Closed | StoreError::Copy { .. }),
                "{error}"
            );
        });
    }
}

#[test]
fn a_disk_that_fails_ends_the_backup() {
    let dir = tempfile::tempdir().unwrap();
    let start = SimulatedDisk::default();
    drop(Store::open_with(start.clone(), small_ring()).expect("opens"));
    for operation in 1..60 {
        let disk = start.copy_with(Trouble::ErrorAtOperation(operation));
        let Ok((store, _)) = Store::open_with(disk, small_ring()) else {
            continue;
        };
        store.append(vec![put(1, 1, &["a"])]);
        let target = dir.path().join(operation.to_string());
        match store.backup(&target, &|| true) {
            Ok(summary) => assert_eq!(summary.messages, 1),
            Err(error) => assert!(store.failure().is_some() && !target.exists(), "{error}"),
        }
    }
}

#[test]
fn it_is_what_was_handed_over_before_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for (number, history) in histories(2, 250).iter().enumerate() {
        let disk = SimulatedDisk::default();
        let (store, _) = Store::open_with(disk, small_ring()).expect("opens");
        let mut model = Model::default();
        for (step, (batch, _)) in history.iter().enumerate() {
            store.append(batch.clone());
            batch.iter().for_each(|record| model.apply(record));
            if step % 7 == 0 {
                let target = dir.path().join(format!("{number}-{step}"));
                backup(&store, &target);
                let (copy, recovered) = open(&target);
                let difference = Content::of(&copy, &recovered).difference(&model);
                assert_eq!(difference, None, "history {number}, step {step}");
            }
        }
    }
}
