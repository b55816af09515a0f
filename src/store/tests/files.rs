//! The store in a real directory: what comes back after opening again.

use std::collections::HashSet;
use std::path::Path;

use super::commit;
use super::faults::logged;
use super::messages;
use super::parts;
use super::put;
use super::run_of;
use super::settle;
use super::texts;
use super::wanted;
use redb::ReadableDatabase;

use crate::model::Position;
use crate::model::QueueId;
use crate::store::Definition;
use crate::store::Record;
use crate::store::Recovered;
use crate::store::RecoveredQueue;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::block::BLOCK_BYTES_MAX;
use crate::store::offline::check;
use crate::store::tables;

fn open(dir: &Path) -> (Store, Recovered) {
    Store::open(dir, StoreOptions::default()).expect("opens")
}

#[test]
fn messages_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_of(&["a", "", "c"]);
    {
        let (store, recovered) = open(dir.path());
        assert!(recovered.clean, "a new store");
        let targets = vec![(QueueId(1), Position(1)), (QueueId(2), Position(10))];
        commit(
            &store,
            vec![Record::Put {
                run: run.clone(),
                targets,
                enqueued_at: 77,
            }],
        );
    }
    let (store, recovered) = open(dir.path());
    assert!(!recovered.clean, "dropped, not closed");
    let queue = |queue, next| RecoveredQueue {
        queue: QueueId(queue),
        messages: 3,
        next: Position(next),
    };
    assert_eq!(recovered.queues, [queue(1, 4), queue(2, 13)]);
    for (queue, first) in [(1, 1), (2, 10)] {
        let stored = store.load(QueueId(queue)).expect("readable");
        let [back] = &stored.runs[..] else {
            panic!("one run: {stored:?}");
        };
        assert_eq!(
            (back.first, stored.next),
            (Position(first), Position(first + 3))
        );
        assert_eq!(back.enqueued_at, Some(77));
        assert!(back.run.iter().map(parts).eq(run.iter().map(parts)));
    }
    store.close().expect("closes");
    assert!(open(dir.path()).1.clean);
}

#[test]
fn settled_messages_stay_settled() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(dir.path());
        commit(&store, vec![put(1, 1, &["a", "b", "c", "d", "e"])]);
        commit(&store, vec![settle(1, 2, 2)]);
        assert_eq!(texts(&store, 1), wanted(&[(1, "a"), (4, "d"), (5, "e")]));
    }
    let (store, recovered) = open(dir.path());
    assert_eq!(recovered.queues[0].messages, 3);
    // Settled once more, and further than there are messages.
    commit(&store, vec![settle(1, 1, 4), settle(1, 3, 1)]);
    assert_eq!(texts(&store, 1), wanted(&[(5, "e")]));
    let ranges = vec![0..1, 4..100];
    commit(
        &store,
        vec![Record::Purge {
            queue: QueueId(1),
            ranges,
        }],
    );
    assert_eq!(texts(&store, 1), []);
}

#[test]
fn positions_are_not_used_again_when_all_messages_are_settled() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(dir.path());
        commit(&store, vec![put(1, 1, &["a", "b"])]);
        commit(&store, vec![settle(1, 1, 2)]);
        // Never written at all.
        commit(&store, vec![put(2, 1, &["a", "b"]), settle(2, 1, 2)]);
    }
    let (store, recovered) = open(dir.path());
    for queue in [1, 2] {
        assert!(store.load(QueueId(queue)).expect("readable").next >= Position(3));
    }
    assert!(
        recovered
            .queues
            .iter()
            .all(|queue| queue.next >= Position(3))
    );
    assert_eq!(
        recovered
            .queues
            .iter()
            .map(|queue| queue.messages)
            .sum::<u64>(),
        0
    );
}

#[test]
fn puts_of_two_threads_may_come_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    commit(&store, vec![put(1, 3, &["c", "d"])]);
    commit(&store, vec![put(1, 1, &["a", "b"]), put(1, 6, &["f"])]);
    commit(&store, vec![put(1, 5, &["e"]), settle(1, 4, 1)]);
    let all = [(1, "a"), (2, "b"), (3, "c"), (5, "e"), (6, "f")];
    assert_eq!(texts(&store, 1), wanted(&all));
}

#[test]
fn large_and_many_messages_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [
        0,
        1,
        9_000,
        9_000,
        BLOCK_BYTES_MAX,
        1_000_000,
        3,
        BLOCK_BYTES_MAX - 100,
        200,
    ];
    let bodies: Vec<_> = sizes.iter().map(|size| vec![7; *size]).collect();
    let small: Vec<_> = (0..5_000_u32).map(u32::to_be_bytes).collect();
    {
        let (store, _) = open(dir.path());
        commit(&store, vec![put(1, 1, &bodies), put(1, 10, &small)]);
    }
    let bodies = bodies
        .into_iter()
        .chain(small.iter().map(|body| body.to_vec()));
    let wanted: Vec<_> = (1..).zip(bodies).collect();
    {
        let (store, _) = open(dir.path());
        assert_eq!(messages(&store, 1), wanted);
        store.checkpoint().expect("works");
        assert_eq!(messages(&store, 1), wanted);
    }
    let (store, _) = open(dir.path());
    assert_eq!(messages(&store, 1), wanted);
}

#[test]
fn definitions_are_what_was_said_last() {
    let dir = tempfile::tempdir().unwrap();
    let define = |kind, key: &str, value: &str| Record::Define {
        kind,
        key: key.into(),
        value: value.into(),
    };
    let undefine = |kind, key: &str| Record::Undefine {
        kind,
        key: key.into(),
    };
    {
        let (store, _) = open(dir.path());
        commit(
            &store,
            vec![
                define(1, "b", "old"),
                define(1, "a", "1"),
                define(0, "z", "2"),
            ],
        );
        commit(
            &store,
            vec![define(1, "b", "new"), define(2, "c", ""), undefine(1, "a")],
        );
        commit(
            &store,
            vec![
                undefine(2, "c"),
                define(2, "c", "again"),
                undefine(9, "none"),
            ],
        );
    }
    let (_, recovered) = open(dir.path());
    let definition = |kind, key: &str, value: &str| Definition {
        kind,
        key: key.into(),
        value: value.into(),
    };
    assert_eq!(
        recovered.definitions,
        [
            definition(0, "z", "2"),
            definition(1, "b", "new"),
            definition(2, "c", "again")
        ]
    );
}

#[test]
fn a_deleted_queue_and_an_unknown_queue_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(dir.path());
        commit(
            &store,
            (1..=4).map(|queue| put(queue, 1, &["a", "b"])).collect(),
        );
        commit(&store, vec![settle(4, 1, 2)]);
        let delete = Record::DeleteQueue { queue: QueueId(2) };
        commit(&store, vec![put(2, 3, &["c"]), settle(2, 1, 1), delete]);
        let known = HashSet::from([QueueId(1)]);
        assert_eq!(
            store.retain_queues(&known).expect("works"),
            2,
            "3 and the empty 4"
        );
        assert_eq!(store.retain_queues(&known).expect("works"), 0);
    }
    let (store, recovered) = open(dir.path());
    let queues: Vec<_> = recovered.queues.iter().map(|queue| queue.queue).collect();
    assert_eq!(queues, [QueueId(1)]);
    assert_eq!(texts(&store, 1), wanted(&[(1, "a"), (2, "b")]));
    assert_eq!(texts(&store, 3), []);
}

#[test]
fn a_second_open_is_refused_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let second = Store::open(dir.path(), StoreOptions::default()).map(|_| ());
    let Err(StoreError::AlreadyOpen { path }) = second else {
        panic!("must be refused: {second:?}");
    };
    assert_eq!(path, dir.path().join("leveret.redb"));
    store.close().expect("closes");
    open(dir.path());
}

#[test]
fn a_file_that_another_process_is_creating_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let new = std::fs::File::create(dir.path().join("leveret.redb.new")).unwrap();
    new.try_lock().unwrap();
    let second = Store::open(dir.path(), StoreOptions::default()).map(|_| ());
    assert!(
        matches!(second, Err(StoreError::AlreadyOpen { .. })),
        "{second:?}"
    );
}

#[test]
fn a_crash_while_the_file_was_created_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("leveret.redb.new"), [0; 5000]).unwrap();
    let (store, _) = open(dir.path());
    commit(&store, vec![put(1, 1, &["a"])]);
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(texts(&store, 1), wanted(&[(1, "a")]));
}

#[test]
fn another_format_is_refused_with_the_way_out_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.close().expect("closes");
    let path = dir.path().join("leveret.redb");
    let set_format = |format: u64| {
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(tables::META)
            .unwrap()
            .insert("format", format)
            .unwrap();
        transaction.commit().unwrap();
    };
    set_format(7);
    let error = Store::open(dir.path(), StoreOptions::default())
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, StoreError::FormatMismatch { found: 7, .. }));
    let text = error.to_string();
    for part in [
        "leveret.redb has store format 7",
        "reads format 3",
        "start it with the version",
    ] {
        assert!(text.contains(part), "{text}");
    }
    set_format(1);
    assert!(open(dir.path()).1.clean, "not even marked as in use");
    let database = redb::Database::open(&path).unwrap();
    let read = database.begin_read().unwrap();
    let format = read.open_table(tables::META).unwrap().get("format");
    let format = format.unwrap().map(|format| format.value());
    assert_eq!(format, Some(tables::FORMAT), "from now on");
}

#[test]
fn what_is_not_a_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leveret.redb");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("something");
    transaction.open_table(table).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let foreign = Store::open(dir.path(), StoreOptions::default()).map(|_| ());
    assert!(
        matches!(foreign, Err(StoreError::Foreign { .. })),
        "{foreign:?}"
    );
    std::fs::write(&path, "no database at all").unwrap();
    let text = Store::open(dir.path(), StoreOptions::default()).map(|_| ());
    assert!(matches!(text, Err(StoreError::Open { .. })), "{text:?}");
}

#[test]
fn a_closed_store_refuses_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let lsn = store.append(vec![put(1, 1, &["a"])]);
    store.close().expect("closes");
    assert_eq!(store.durable(), lsn, "what waited was committed");
    let refused = store.append(vec![put(1, 2, &["b"])]);
    assert!(refused > store.durable());
    assert!(matches!(store.wait(refused), Err(StoreError::Closed)));
    assert!(matches!(store.load(QueueId(1)), Err(StoreError::Closed)));
    store.close().expect("closing again does nothing");
    assert_eq!(texts(&open(dir.path()).0, 1), wanted(&[(1, "a")]));
}

/// Rows as versions without a ring wrote them.
#[test]
fn a_store_of_an_older_format_opens_with_all_it_has() {
    let entry = b"\x06\0\x03\x03\x03\0\0\0\x04\0\0\0\x01x\x03key\x01\x02\x03body";
    let key = tables::place_key(QueueId(1), 2);
    for (format, head) in [
        (1, &[96, 129, 89, 164, 1, 0, 0, 0, 1, 0, 0, 0][..]),
        (
            2,
            &[
                112, 55, 222, 245, 2, 0, 1, 0, 1, 0, 0, 0, 1, 0, 6, 5, 4, 3, 2, 1,
            ][..],
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let database = redb::Database::create(dir.path().join("leveret.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut meta = transaction.open_table(tables::META).unwrap();
            meta.insert("format", format).unwrap();
            meta.insert("clean", 1).unwrap();
            let mut definitions = transaction.open_table(tables::DEFINITIONS).unwrap();
            definitions.insert(&b"\x01q"[..], &b"queue"[..]).unwrap();
            let mut queues = transaction.open_table(tables::QUEUES).unwrap();
            queues.insert(&1_u64.to_be_bytes(), 4096).unwrap();
            let mut pages = transaction.open_table(tables::PAGES).unwrap();
            let blob = [head, entry].concat();
            pages.insert(&key, &blob[..]).unwrap();
            let mut extents = transaction.open_table(tables::EXTENTS).unwrap();
            let row = tables::ExtentRow {
                positions: 1,
                page: None,
                settled: &[],
            };
            extents.insert(&key, &row.encode(&key)[..]).unwrap();
        }
        transaction.commit().unwrap();
        drop(database);

        let found = check(dir.path()).expect("readable");
        assert!(found.is_sound(), "{found:?}");
        assert_eq!((found.format, found.closed_cleanly), (format, true));
        assert_eq!(found.queues[&QueueId(1)].messages, 1);

        let mut opened = None;
        let log = logged(|| opened = Some(open(dir.path())));
        assert!(
            log.contains("upgrade: a store of an earlier version was taken over"),
            "{log}"
        );
        let (store, recovered) = opened.expect("open");
        assert!(recovered.clean);
        assert_eq!(recovered.definitions[0].value, b"queue");
        assert_eq!(recovered.queues[0].next, Position(4096));
        assert_eq!(texts(&store, 1), wanted(&[(2, "body")]));
        commit(&store, vec![put(1, 4096, &["new"])]);
        store.checkpoint().expect("works");
        assert_eq!(texts(&store, 1), wanted(&[(2, "body"), (4096, "new")]));
        commit(&store, vec![settle(1, 2, 1)]);
        drop(store);
        assert_eq!(texts(&open(dir.path()).0, 1), wanted(&[(4096, "new")]));
    }
}
