//! Any history, closed or killed and opened again anywhere: the store holds what the model says.

use std::ops::Range;

use proptest::prelude::*;

use super::disk::SimulatedDisk;
use super::history::Broker;
use super::history::Content;
use super::history::Model;
use super::history::Step;
use super::history::steps;
use super::small_ring;
use crate::model::QueueId;
use crate::store::Store;

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Drop,
    Kill,
}

fn histories() -> impl Strategy<Value = Vec<(Vec<Step>, End)>> {
    let end = prop_oneof![Just(End::Close), Just(End::Drop), Just(End::Kill)];
    prop::collection::vec((steps(0..25), end), 1..5)
}

/// Positions and bodies that are read in a window.
fn window(store: &Store, queue: u64, positions: Range<u64>, bytes_max: u64) -> Vec<(u64, Vec<u8>)> {
    let runs = store.read(QueueId(queue), positions, bytes_max);
    let runs = runs.expect("readable").runs;
    let messages = runs
        .iter()
        .flat_map(|stored| (stored.first.0..).zip(stored.run.iter()));
    messages
        .map(|(position, message)| (position, message.body().to_vec()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_store_opened_again_holds_what_the_model_says(history in histories()) {
        let mut disk = SimulatedDisk::default();
        let (mut broker, mut model) = (Broker::new(), Model::default());
        let mut clean = true;
        for (steps, end) in history {
            let (store, recovered) = Store::open_with(disk.clone(), small_ring()).unwrap();
            prop_assert_eq!(recovered.clean, clean);
            let content = Content::of(&store, &recovered);
            prop_assert_eq!(content.difference(&model), None);
            let mut last = crate::model::Lsn::NONE;
            for (batch, wait) in steps.iter().filter_map(|step| broker.step(step)) {
                batch.iter().for_each(|record| model.apply(record));
                let lsn = store.append(batch);
                last = last.max(lsn);
                // Readers see at once what was handed over, wherever it is by now.
                for queue in 1..=4 {
                    let from = lsn.0 * 7 % 40;
                    let wanted = model.window(queue, from..from + 25);
                    let all = window(&store, queue, from..from + 25, u64::MAX);
                    prop_assert_eq!(&all, &wanted);
                    let some = window(&store, queue, from..from + 25, 10_000);
                    prop_assert!(wanted.starts_with(&some));
                    prop_assert!(some.is_empty() == wanted.is_empty());
                }
                if wait {
                    store.wait(lsn).unwrap();
                    prop_assert!(store.durable() >= lsn);
                }
            }
            match end {
                End::Close => store.close().unwrap(),
                End::Drop => drop(store),
                End::Kill => {
                    store.wait(last).unwrap();
                    store.wait_until_idle();
                    disk = disk.after_kill();
                }
            }
            clean = matches!(end, End::Close);
        }
        let (store, recovered) = Store::open_with(disk, small_ring()).unwrap();
        let content = Content::of(&store, &recovered);
        prop_assert_eq!(content.difference(&model), None);
    }
}
