//! The power goes off at every sync, and every write fails once: what was durable is there, and what is there is the
//! outcome of a prefix of what was handed over.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use proptest::strategy::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::commit;
use super::disk::SimulatedDisk;
use super::disk::Trouble;
use super::history::Broker;
use super::history::Content;
use super::history::Model;
use super::history::steps;
use super::mutation::Mutation;
use super::put;
use super::settle;
use super::small_ring;
use super::texts;
use super::wanted;
use crate::model::Lsn;
use crate::model::QueueId;
use crate::store::Record;
use crate::store::Store;
use crate::store::StoreError;

/// Batches of records, each with whether to wait for it.
pub(super) type History = Vec<(Vec<Record>, bool)>;

/// The same ones in each run of the test.
pub(super) fn histories(count: usize, steps_each: usize) -> Vec<History> {
    let mut runner = TestRunner::deterministic();
    let mut history = || {
        let steps = steps(steps_each)
            .new_tree(&mut runner)
            .expect("generates")
            .current();
        let mut broker = Broker::new();
        let batches = steps.iter().filter_map(|step| broker.step(step));
        batches.filter(|(batch, _)| !batch.is_empty()).collect()
    };
    (0..count).map(|_| history()).collect()
}

fn empty_store() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let (store, _) = Store::open_with(disk.clone(), small_ring()).expect("opens");
    store.close().expect("closes");
    disk
}

/// Lives through the history as far as the disk allows; how many batches were said to be durable.
fn live(history: &History, disk: &SimulatedDisk) -> Result<usize, StoreError> {
    live_wrong(history, disk, None)
}

/// … with a store that does something wrong.
fn live_wrong(
    history: &History,
    disk: &SimulatedDisk,
    mutation: Option<Mutation>,
) -> Result<usize, StoreError> {
    live_with_snapshots(history, disk, usize::MAX, mutation)
}

/// The same; after so many batches each a backup begins.
fn live_with_snapshots(
    history: &History,
    disk: &SimulatedDisk,
    every: usize,
    mutation: Option<Mutation>,
) -> Result<usize, StoreError> {
    let (store, _) = Store::open_mutated(disk.clone(), small_ring(), mutation)?;
    for (number, (batch, wait)) in (1..).zip(history) {
        let lsn = store.append(batch.clone());
        assert!(lsn == Lsn(number) || store.failure().is_some());
        if *wait && store.wait(lsn).is_err() {
            break;
        }
        if (number as usize).is_multiple_of(every) && store.snapshot().is_err() {
            break;
        }
    }
    // Ends with a failure where the disk ended; what counts is what was said to be durable.
    let _ = store.close();
    Ok(store.durable().0 as usize)
}

/// Opens what is left and compares it with the model after each prefix that is long enough; what is wrong.
fn fault(history: &History, durable: usize, left: SimulatedDisk) -> Option<String> {
    let (store, recovered) = match Store::open_with(left.clone(), small_ring()) {
        Ok(opened) => opened,
        Err(error) => return Some(error.to_string()),
    };
    let content = Content::of(&store, &recovered);
    let mut model = Model::default();
    let mut differences = Vec::new();
    let mut found = false;
    for prefix in 0..=history.len() {
        if prefix > 0 {
            history[prefix - 1]
                .0
                .iter()
                .for_each(|record| model.apply(record));
        }
        if prefix >= durable && !found {
            match content.difference(&model) {
                None => found = true,
                Some(difference) => differences.push(format!("{prefix}: {difference}")),
            }
        }
    }
    if !found {
        return Some(format!(
            "{durable} batches were durable, but {differences:#?}"
        ));
    }

    // And it goes on from there.
    commit(&store, vec![put(99, 1, &["on"])]);
    drop(store);
    let (store, _) = Store::open_with(left, small_ring()).expect("opens again");
    assert_eq!(texts(&store, 99), wanted(&[(1, "on")]));
    None
}

fn check_prefix(history: &History, durable: usize, left: SimulatedDisk, what: &str) {
    if let Some(fault) = fault(history, durable, left) {
        panic!("{what}: {fault}");
    }
}

#[test]
fn durable_messages_survive_a_power_cut_at_every_sync() {
    let start = empty_store();
    for (number, history) in histories(4, 250).iter().enumerate() {
        let whole = start.after_kill();
        assert_eq!(
            live(history, &whole).expect("nothing goes wrong"),
            history.len()
        );
        // Groups differ from run to run, and so does their number: a cut past the last sync is harmless.
        for cut in 1..=whole.syncs() {
            let disk = start.copy_with(Trouble::PowerCutAtSync(cut));
            let durable = live(history, &disk).unwrap_or(0);
            for seed in 0..3 {
                let left = disk.after_power_cut(cut * 3 + seed);
                let what = format!("history {number}, power cut at sync {cut}, seed {seed}");
                check_prefix(history, durable, left, &what);
            }
        }
    }
}

#[test]
fn durable_messages_survive_a_power_cut_while_a_backup_begins() {
    const EVERY: usize = 11;

    let start = empty_store();
    for (number, history) in histories(1, 150).iter().enumerate() {
        let whole = start.after_kill();
        live_with_snapshots(history, &whole, EVERY, None).expect("nothing goes wrong");
        for cut in 1..=whole.syncs() {
            let disk = start.copy_with(Trouble::PowerCutAtSync(cut));
            let durable = live_with_snapshots(history, &disk, EVERY, None).unwrap_or(0);
            for seed in 0..2 {
                let left = disk.after_power_cut(cut * 2 + seed);
                let what = format!("history {number}, power cut at sync {cut}, seed {seed}");
                check_prefix(history, durable, left, &what);
            }
        }
    }
}

#[test]
fn an_error_of_any_write_or_sync_loses_nothing_durable() {
    let start = empty_store();
    for (number, history) in histories(1, 120).iter().enumerate() {
        let whole = start.after_kill();
        live(history, &whole).expect("nothing goes wrong");
        for operation in 1..=whole.operations() {
            let disk = start.copy_with(Trouble::ErrorAtOperation(operation));
            let durable = live(history, &disk).unwrap_or(0);
            let what = format!("history {number}, error at operation {operation}");
            check_prefix(history, durable, disk.after_kill(), &what);
            check_prefix(history, durable, disk.after_power_cut(operation), &what);
        }
    }
}

#[test]
fn a_killed_store_opens_without_a_repair_of_the_whole_file() {
    let disk = SimulatedDisk::default();
    let (store, _) = Store::open_with(disk.clone(), small_ring()).expect("opens");
    for first in [1, 3] {
        commit(&store, vec![put(1, first, &["a", "b"])]);
        store.checkpoint().expect("works");
        let mut builder = redb::Database::builder();
        builder.set_repair_callback(|repair| repair.abort());
        builder
            .create_with_backend(disk.after_kill().redb_file().expect("there"))
            .unwrap_or_else(|error| panic!("after the put at {first}: {error}"));
    }
}

/// A history in which the ring goes round many times while old pages are consumed, queues come and go, and positions
/// are used of which nothing is left: it finds each of the mutations in some cut.
fn busy_history() -> History {
    let mut history = Vec::new();
    let mut queue = 1;
    let mut next = 1;
    for round in 0..120_u64 {
        let body = vec![round as u8; 9_000];
        let define = Record::Define {
            kind: 1,
            key: vec![round as u8 % 50],
            value: vec![round as u8; 20],
        };
        let mut batch = vec![put(queue, next, &[&body, &body, &body]), define];
        // Behind by many pages, and out of order.
        if next > 60 {
            batch.push(settle(queue, next - 57, 1));
            batch.push(settle(queue, next - 60, 2));
        }
        // A queue of which nothing stays but that its positions were used.
        batch.push(put(7, 1 + round, &["gone"]));
        batch.push(settle(7, 1 + round, 1));
        next += 3;
        if round == 70 {
            let queue_gone = QueueId(queue);
            batch.push(Record::DeleteQueue { queue: queue_gone });
            (queue, next) = (2, 1);
        }
        history.push((batch, round % 3 == 0));
    }
    history
}

#[test]
fn a_store_that_does_something_wrong_is_caught() {
    let start = empty_store();
    let mut histories = histories(2, 250);
    histories.insert(0, busy_history());
    let whole = start.after_kill();
    live(&histories[0], &whole).expect("nothing goes wrong");
    for cut in (1..=whole.syncs()).step_by(7) {
        let disk = start.copy_with(Trouble::PowerCutAtSync(cut));
        let durable = live(&histories[0], &disk).unwrap_or(0);
        check_prefix(&histories[0], durable, disk.after_power_cut(cut), "without");
    }
    for mutation in [
        Mutation::ConfirmBeforeSync,
        Mutation::SkipSync,
        Mutation::RecycleBeforeCommit,
        Mutation::AheadOfRing,
        Mutation::DropTouched,
        Mutation::DropDeleted,
        Mutation::DropDefinitions,
        Mutation::DropNexts,
    ] {
        let mut tries = 0;
        let mut caught = None;
        'search: for history in &histories {
            // What such a store leaves may also be what no store should leave: its reader's assertions count.
            let attempt = |disk: &SimulatedDisk, cut| {
                let judge = || {
                    let durable = live_wrong(history, disk, Some(mutation)).unwrap_or(0);
                    fault(history, durable, disk.after_power_cut(cut))
                };
                let judged = catch_unwind(AssertUnwindSafe(judge));
                judged.unwrap_or_else(|_| Some("a panic".to_owned()))
            };
            let whole = start.after_kill();
            if attempt(&whole, 0).is_some() {
                caught = Some(tries);
                break;
            }
            for cut in (1..=whole.syncs()).rev() {
                tries += 1;
                if attempt(&start.copy_with(Trouble::PowerCutAtSync(cut)), cut).is_some() {
                    caught = Some(tries);
                    break 'search;
                }
            }
        }
        assert!(caught.is_some(), "{mutation:?} is not caught");
    }
}
