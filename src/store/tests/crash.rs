//! The power goes off at every sync, and every write fails once: what was durable is there, and what is there is the
//! outcome of a prefix of what was handed over.

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
use super::put;
use super::small_ring;
use super::texts;
use super::wanted;
use crate::model::Lsn;
use crate::store::Record;
use crate::store::Store;
use crate::store::StoreError;

/// Batches of records, each with whether to wait for it.
type History = Vec<(Vec<Record>, bool)>;

/// The same ones in each run of the test.
fn histories(count: usize, steps_each: usize) -> Vec<History> {
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
    let (store, _) = Store::open_with(disk.clone(), small_ring())?;
    for (number, (batch, wait)) in (1..).zip(history) {
        let lsn = store.append(batch.clone());
        assert!(lsn == Lsn(number) || store.failure().is_some());
        if *wait && store.wait(lsn).is_err() {
            break;
        }
    }
    // Ends with a failure where the disk ended; what counts is what was said to be durable.
    let _ = store.close();
    Ok(store.durable().0 as usize)
}

/// Opens what is left and compares it with the model after each prefix that is long enough.
fn check_prefix(history: &History, durable: usize, left: SimulatedDisk, what: &str) {
    let (store, recovered) = Store::open_with(left.clone(), small_ring())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
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
    assert!(
        found,
        "{what}: {durable} batches were durable, but {differences:#?}"
    );

    // And it goes on from there.
    commit(&store, vec![put(99, 1, &["on"])]);
    drop(store);
    let (store, _) = Store::open_with(left, small_ring()).expect("opens again");
    assert_eq!(texts(&store, 99), wanted(&[(1, "on")]));
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
