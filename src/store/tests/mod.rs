//! Tests of the store through its public interface, on real files and on a simulated disk.

mod backup;
mod crash;
pub(crate) mod disk;
mod faults;
mod files;
mod history;
pub(crate) mod mutation;
mod offline;
mod property;
mod ring;
mod waiting;

use crate::model::ExchangeName;
use crate::model::MessageRef;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message;
use crate::model::message::Traits;
use crate::store::Record;
use crate::store::Store;
use crate::store::StoreOptions;

use waiting::deadline;

pub(crate) fn run_of<B: AsRef<[u8]>>(bodies: &[B]) -> Run {
    let mut builder = RunBuilder::default();
    let route = message::route(&ExchangeName::known("x"), "key");
    let traits = Traits::new(true, false, false, false, false, 0);
    for body in bodies {
        builder.push(&route, &[0x10, 0, 2], body.as_ref(), traits);
    }
    builder.finish()
}

fn put<B: AsRef<[u8]>>(queue: u64, first: u64, bodies: &[B]) -> Record {
    Record::Put {
        run: run_of(bodies),
        targets: vec![(QueueId(queue), Position(first))],
        enqueued_at: first,
    }
}

fn settle(queue: u64, first: u64, count: u64) -> Record {
    Record::Settle {
        queue: QueueId(queue),
        first: Position(first),
        count,
    }
}

/// A ring that soon goes round.
fn small_ring() -> StoreOptions {
    StoreOptions {
        ring_segment_bytes: 96 * 1024,
        ring_segments: 2,
        ..StoreOptions::default()
    }
}

/// Appends and waits until it is on disk.
fn commit(store: &Store, records: Vec<Record>) {
    store.wait(store.append(records)).expect("the store works");
}

/// Position and body of each message of a queue.
fn messages(store: &Store, queue: u64) -> Vec<(u64, Vec<u8>)> {
    let stored = store.load(QueueId(queue)).expect("readable");
    let with_positions = stored
        .runs
        .iter()
        .flat_map(|stored| (stored.first.0..).zip(stored.run.iter()));
    with_positions
        .map(|(position, message)| (position, message.body().to_vec()))
        .collect()
}

/// The same with text bodies, easier to write down.
fn texts(store: &Store, queue: u64) -> Vec<(u64, String)> {
    let text = |body: Vec<u8>| String::from_utf8(body).expect("text");
    messages(store, queue)
        .into_iter()
        .map(|(position, body)| (position, text(body)))
        .collect()
}

/// What [`texts`] should give.
fn wanted(messages: &[(u64, &str)]) -> Vec<(u64, String)> {
    messages
        .iter()
        .map(|(position, body)| (*position, (*body).to_owned()))
        .collect()
}

fn parts(message: MessageRef<'_>) -> (Vec<u8>, Vec<u8>, Vec<u8>, Traits) {
    let [route, header, body] = [message.route(), message.header(), message.body()];
    (
        route.to_vec(),
        header.to_vec(),
        body.to_vec(),
        message.traits(),
    )
}
