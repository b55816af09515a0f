//! Stores that nobody has open: checks find what is damaged, and where, and change nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::path::PathBuf;

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::commit;
use super::put;
use super::settle;
use crate::model::Position;
use crate::model::QueueId;
use crate::store::Record;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::offline::Check;
use crate::store::offline::Offline;
use crate::store::offline::Piece;
use crate::store::offline::QueueCheck;
use crate::store::offline::check;
use crate::store::offline::restore;

const RING_FILE: &str = "ring/0001.ring";

/// Its user was killed. Queue 1 has a page and a block of the ring, queue 2 a page in parts.
fn store() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), StoreOptions::default()).expect("opens");
    let define = Record::Define {
        kind: 3,
        key: b"k".to_vec(),
        value: b"v".to_vec(),
    };
    commit(&store, vec![define, put(1, 5, &["in a page", "settled"])]);
    commit(&store, vec![put(2, 9, &[vec![b'x'; 40_000]])]);
    store.checkpoint().expect("a checkpoint");
    commit(&store, vec![settle(1, 6, 1), put(1, 7, &["in the ring"])]);
    commit(&store, vec![put(3, 1, &["settled in the ring"])]);
    commit(&store, vec![settle(3, 1, 1)]);
    drop(store);
    dir
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let ring = std::fs::read_dir(dir.join("ring")).unwrap();
    let paths = ring.map(|entry| entry.unwrap().path());
    paths
        .chain([dir.join("leveret.redb")])
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// Flips a bit of each octet of this text, wherever it stands in any file.
fn damage(dir: &Path, text: &str) {
    for (path, mut content) in files(dir) {
        let found: Vec<usize> = content
            .windows(text.len())
            .enumerate()
            .filter(|(_, window)| *window == text.as_bytes())
            .map(|(at, _)| at)
            .collect();
        found.iter().for_each(|at| content[*at] ^= 1);
        std::fs::write(path, content).unwrap();
    }
}

fn checked(dir: &Path) -> Check {
    check(dir).expect("it can be read")
}

#[test]
fn a_check_finds_a_sound_store_sound_and_leaves_it_alone() {
    let dir = store();
    let before = files(dir.path());
    let check = checked(dir.path());
    assert_eq!(check.damaged, []);
    assert!(check.is_sound() && !check.closed_cleanly);
    assert_eq!((check.format, check.pages), (3, 2));
    assert_eq!((check.ring.segments, check.ring.blocks), (1, 2));
    assert_eq!(check.ring.torn_tail, None);
    assert_eq!(check.definitions[0].key, b"k");
    let queue = |messages, body_bytes, oldest| QueueCheck {
        messages,
        body_bytes,
        oldest,
        damaged: 0,
    };
    let queues = [
        (QueueId(1), queue(2, 20, Some(5))),
        (QueueId(2), queue(1, 40_000, Some(9))),
        (QueueId(3), queue(0, 0, None)),
    ];
    assert_eq!(check.queues, BTreeMap::from(queues));
    assert_eq!(files(dir.path()), before);

    // A check lets another one in, but no broker; and a broker no check.
    let offline = Offline::open(dir.path()).expect("readable");
    assert!(checked(dir.path()).is_sound());
    let in_use = Store::open(dir.path(), StoreOptions::default()).err();
    assert!(matches!(in_use, Some(StoreError::AlreadyOpen { .. })));
    drop(offline);
    let (store, _) = Store::open(dir.path(), StoreOptions::default()).expect("opens");
    let in_use = check_error(dir.path());
    assert!(matches!(in_use, StoreError::AlreadyOpen { .. }));
    store.close().expect("closes");
    assert!(checked(dir.path()).closed_cleanly);
}

fn check_error(dir: &Path) -> StoreError {
    check(dir).expect_err("it cannot be read")
}

#[test]
fn where_no_store_is_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let none = check_error(dir.path());
    assert!(matches!(none, StoreError::NoStore { .. }), "{none}");
    assert!(dir.path().read_dir().unwrap().next().is_none());
    std::fs::write(dir.path().join("leveret.redb"), "something else").unwrap();
    assert!(matches!(check_error(dir.path()), StoreError::Open { .. }));
    let text = std::fs::read(dir.path().join("leveret.redb")).unwrap();
    assert_eq!(text, b"something else");
    // An empty file is no store either.
    std::fs::write(dir.path().join("leveret.redb"), "").unwrap();
    assert!(matches!(
        check_error(dir.path()),
        StoreError::Foreign { .. }
    ));
}

#[test]
fn damage_is_told_with_its_place() {
    let dir = store();
    damage(dir.path(), "in a page");
    let check = checked(dir.path());
    let [of_redb, page] = &check.damaged[..] else {
        panic!("{:?}", check.damaged);
    };
    assert_eq!((&*of_redb.file, of_redb.queue), ("leveret.redb", None));
    assert_eq!(
        (page.queue, page.position, page.messages),
        (Some(QueueId(1)), Some(Position(5)), 1)
    );
    assert_eq!(page.why, "the page is damaged: its checksum is wrong");
    assert_eq!(check.queues[&QueueId(1)].messages, 1);
    assert_eq!(check.queues[&QueueId(1)].damaged, 1);

    let dir = store();
    damage(dir.path(), "in the ring");
    damage(dir.path(), "settled in the ring");
    let check = checked(dir.path());
    let [needed, not_needed] = &check.damaged[..] else {
        panic!("{:?}", check.damaged);
    };
    assert!(needed.offset.is_some() && needed.file.starts_with("ring/"));
    assert_eq!(
        (needed.queue, needed.position, needed.messages),
        (Some(QueueId(1)), Some(Position(7)), 1)
    );
    assert_eq!((not_needed.queue, not_needed.messages), (None, 0));

    // It is not put in place.
    let target = dir.path().join("target");
    assert!(!restore(dir.path(), &target).expect("readable").is_sound());
    assert!(!target.exists());
}

/// Where frames begin in the ring's only file.
fn frames(content: &[u8]) -> Vec<usize> {
    let starts = (0..content.len()).step_by(4096);
    starts
        .filter(|at| content[*at..].starts_with(b"LVR1"))
        .collect()
}

/// After the checkpoint of [`store`] the file has only what came later.
fn with_ring_file(dir: &Path, change: impl FnOnce(&mut [u8], &[usize])) {
    let ring = std::fs::read_dir(dir.join("ring")).unwrap();
    let [path] = &ring.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("one file");
    };
    let mut content = std::fs::read(path).unwrap();
    let frames = frames(&content);
    change(&mut content, &frames);
    std::fs::write(path, content).unwrap();
}

#[test]
fn frames_that_are_missing_are_told() {
    for (frame, wanted) in [
        (0, "frames before this one are missing"),
        (1, "are missing"),
    ] {
        let dir = store();
        with_ring_file(dir.path(), |content, frames| {
            content[frames[frame] + 9] ^= 1
        });
        let check = checked(dir.path());
        let [missing] = &check.damaged[..] else {
            panic!("{:?}", check.damaged);
        };
        assert!(missing.why.contains(wanted), "{missing:?}");
        assert_eq!(missing.offset, Some(4096 * (frame as u64 + 1)));
    }
}

#[test]
fn a_torn_tail_is_no_damage() {
    let dir = store();
    with_ring_file(dir.path(), |content, frames| {
        content[*frames.last().expect("a frame") + 45] ^= 1;
    });
    let check = checked(dir.path());
    assert_eq!(check.damaged, []);
    let (file, offset) = check.ring.torn_tail.expect("told");
    assert!(file.starts_with("ring/") && file != RING_FILE || offset > 0);
    assert_eq!(check.queues[&QueueId(3)].messages, 1, "its settle is torn");
}

#[test]
fn messages_are_shown_in_order_until_enough() {
    let dir = store();
    damage(dir.path(), "in a page");
    let offline = Offline::open(dir.path()).expect("readable");
    let mut seen = Vec::new();
    let all = offline.visit(QueueId(1), |piece| {
        seen.push(match piece {
            Piece::Messages(stored) => (stored.first.0, stored.run.first().body().to_vec()),
            Piece::Damaged { first, why, .. } => (first.0, why.into_bytes()),
        });
        ControlFlow::Continue(())
    });
    all.expect("readable");
    let why = b"its checksum is wrong".to_vec();
    assert_eq!(seen, [(5, why), (7, b"in the ring".to_vec())]);
    let mut count = 0;
    let first = offline.visit(QueueId(1), |_| {
        count += 1;
        ControlFlow::Break(())
    });
    first.expect("readable");
    assert_eq!(count, 1);
    assert!(
        offline
            .visit(QueueId(99), |_| ControlFlow::Continue(()))
            .is_ok()
    );
}

#[test]
fn no_damage_ends_a_check_in_a_panic() {
    let sound = store();
    let path = sound.path().join("leveret.redb");
    let content = std::fs::read(&path).unwrap();
    let mut found = 0;
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut damaged = content.clone();
        // Mostly where something stands.
        for _ in 0..random.random_range(1..20) {
            let at = random.random_range(0..damaged.len().min(300_000));
            damaged[at] = random.random();
        }
        std::fs::write(&path, damaged).unwrap();
        found += u32::from(!matches!(check(sound.path()), Ok(check) if check.is_sound()));
    }
    assert!(found > 5, "{found}");
}
