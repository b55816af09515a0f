//! What is too much for memory goes to the disk and comes back in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::QUEUE;
use super::Receiver;
use super::START;
use super::Sample;
use super::queue_with;
use super::run_of;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::Memory;
use crate::queue::Page;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::Spill;
use crate::queue::Spilled;
use crate::store::Record;

/// A store and an overflow file in memory. Reads give a few messages at a time.
#[derive(Debug, Default)]
pub(in crate::queue) struct FakePager {
    stored: Mutex<BTreeMap<u64, (Run, u64)>>,
    /// Nothing can be spilled.
    pub(super) full: bool,
}

#[derive(Debug)]
struct FakeSpilled(u64, Run, Option<u64>);

const MESSAGES_A_READ: usize = 3;

impl FakePager {
    pub(in crate::queue) fn apply(&self, record: &Record) {
        if let Record::Put {
            run,
            targets,
            enqueued_at,
        } = record
        {
            let mut stored = self.stored.lock();
            for (index, position) in (0..run.len()).zip(targets[0].1.0..) {
                stored.insert(position, (run.slice(index..index + 1), *enqueued_at));
            }
        }
    }

    /// The messages at these positions cannot be read.
    pub(in crate::queue) fn lose(&self, positions: Range<u64>) {
        let mut stored = self.stored.lock();
        positions.for_each(|position| drop(stored.remove(&position)));
    }
}

impl Pager for FakePager {
    fn read(&self, queue: QueueId, positions: Range<u64>, _: u64) -> Option<Page> {
        assert_eq!(queue, QUEUE);
        let stored = self.stored.lock();
        let mut runs = stored.range(positions.clone());
        let page: Vec<_> = runs
            .by_ref()
            .take(MESSAGES_A_READ)
            .map(|(position, (run, at))| (*position, run.clone(), Some(*at)))
            .collect();
        Some(Page {
            until: runs.next().map_or(positions.end, |(next, _)| *next),
            runs: page,
        })
    }

    fn spill(&self, messages: Spill) -> Option<Arc<dyn Spilled>> {
        let Spill {
            first,
            run,
            expires_at,
        } = messages;
        (!self.full).then(|| Arc::new(FakeSpilled(first, run, expires_at)) as Arc<dyn Spilled>)
    }
}

impl Spilled for FakeSpilled {
    fn read(&self) -> Option<Vec<(u64, Run, Option<u64>)>> {
        Some(vec![(self.0, self.1.clone(), self.2)])
    }
}

fn durable_queue() -> Queue {
    queue_with(QueueOptions {
        durable: true,
        ..QueueOptions::default()
    })
}

/// A queue that may hold nothing but its foremost messages.
fn paging(mut queue: Queue, pager: &Arc<FakePager>) -> Queue {
    let pager = Arc::clone(pager) as Arc<dyn Pager>;
    queue.page_with(Arc::new(Memory::new(0)), pager);
    queue
}

/// Hands over what the queue left, and lets it put away what is too much.
fn hand_over(queue: &mut Queue, pager: &FakePager, records: &mut Vec<Record>) {
    records.drain(..).for_each(|record| pager.apply(&record));
    queue.relieve();
}

/// Reads what the queue wants until it wants nothing.
fn read_ahead(queue: &mut Queue, pager: &FakePager, now: u64, records: &mut Vec<Record>) {
    while let Some(wanted) = queue.wanted_page() {
        let fetched = wanted.fetch(pager);
        queue.page_in(fetched, now, records);
        queue.relieve();
    }
}

fn sample(body: &str, persistent: bool) -> Sample {
    Sample {
        body: body.into(),
        persistent,
        ..Sample::default()
    }
}

/// Twenty messages, every third of them transient, of which all but the foremost are away.
fn filled(pager: &Arc<FakePager>) -> Queue {
    let mut queue = paging(durable_queue(), pager);
    let mut records = Vec::new();
    for number in 0..20 {
        let run = run_of(&[sample(&number.to_string(), number % 3 > 0)]);
        queue.enqueue(run, START, &mut records);
        hand_over(&mut queue, pager, &mut records);
    }
    assert_eq!(queue.counts().ready, 20);
    queue
}

fn bodies(receiver: &Receiver) -> Vec<String> {
    let mut bodies = Vec::new();
    for delivery in receiver.deliveries() {
        let messages = delivery.range.run.iter();
        bodies.extend(messages.map(|m| String::from_utf8_lossy(m.body()).into_owned()));
    }
    bodies
}

#[test]
fn what_is_away_comes_back_in_order() {
    let pager = Arc::new(FakePager::default());
    let mut queue = filled(&pager);
    let mut records = Vec::new();
    let receiver = Receiver::new();
    queue
        .consume(receiver.consumer(1), START, &mut records)
        .expect("taken");
    assert_eq!(bodies(&receiver), ["0"], "the others must be read");
    read_ahead(&mut queue, &pager, START, &mut records);
    let numbers: Vec<String> = (1..20).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&receiver), numbers);
    assert_eq!((queue.counts().ready, queue.counts().ready_bytes), (0, 0));
}

#[test]
fn what_is_away_keeps_the_ttl_that_it_came_with() {
    let pager = Arc::new(FakePager::default());
    let mut queue = filled(&pager);
    let mut records = Vec::new();
    for message_ttl in [Some(10), None] {
        let arguments = QueueArguments {
            message_ttl,
            ..QueueArguments::default()
        };
        queue.reconfigure(arguments, START, &mut records);
        let run = run_of(&[sample("more", true), sample("more", true)]);
        queue.enqueue(run, START, &mut records);
        hand_over(&mut queue, &pager, &mut records);
    }
    let got = std::iter::from_fn(|| queue.get(true, START, &mut records));
    let expiries: Vec<_> = got.map(|range| range.expires_at).collect();
    let all = [vec![None; 20], vec![Some(START + 10); 2], vec![None; 2]];
    assert_eq!(expiries, all.concat());
}

#[test]
fn each_priority_comes_back_in_its_turn() {
    let pager = Arc::new(FakePager::default());
    let arguments = QueueArguments {
        max_priority: Some(2),
        ..QueueArguments::default()
    };
    let options = QueueOptions {
        durable: true,
        arguments,
        ..QueueOptions::default()
    };
    let mut queue = paging(queue_with(options), &pager);
    let mut records = Vec::new();
    for number in 0..60_u8 {
        let run = run_of(&[Sample {
            priority: Some(number % 4),
            ..sample(&number.to_string(), number % 7 > 0)
        }]);
        queue.enqueue(run, START, &mut records);
        hand_over(&mut queue, &pager, &mut records);
        let held = queue.paging_held_bytes();
        assert!(held < 200, "the foremost message alone: {held}");
    }
    let receiver = Receiver::new();
    queue
        .consume(receiver.consumer(1), START, &mut records)
        .expect("taken");
    read_ahead(&mut queue, &pager, START, &mut records);
    let of = |level: u8| (0..60_u8).filter(move |number| (number % 4).min(2) == level);
    let wanted: Vec<String> = of(2)
        .chain(of(1))
        .chain(of(0))
        .map(|number| number.to_string())
        .collect();
    assert_eq!(bodies(&receiver), wanted);
    assert_eq!((queue.counts().ready, queue.counts().ready_bytes), (0, 0));
}

#[test]
fn a_get_waits_for_the_disk() {
    let pager = Arc::new(FakePager::default());
    let mut queue = filled(&pager);
    let mut records = Vec::new();
    for number in 0..20 {
        let got = queue.get(true, START, &mut records).expect("a message");
        assert_eq!(got.run.first().body(), number.to_string().as_bytes());
        assert_eq!(got.first.0, number + 1);
    }
    assert!(queue.get(true, START, &mut records).is_none());
}

#[test]
fn a_purge_forgets_what_is_away_without_reading_it() {
    let pager = Arc::new(FakePager::default());
    let mut queue = filled(&pager);
    let mut records = Vec::new();
    assert_eq!(queue.purge(START, &mut records), 20);
    let [Record::Purge { ranges, .. }] = &records[..] else {
        panic!("{records:?}");
    };
    let purged: Vec<u64> = ranges.iter().cloned().flatten().collect();
    let persistent: Vec<u64> = (1..=20).filter(|position| (position - 1) % 3 > 0).collect();
    assert_eq!(purged, persistent);
    assert_eq!(queue.counts(), crate::queue::Counts::default());
}

#[test]
fn without_room_on_the_disk_messages_stay_in_order() {
    let pager = Arc::new(FakePager {
        full: true,
        ..FakePager::default()
    });
    let mut queue = filled(&pager);
    let mut records = Vec::new();
    for number in 0..20 {
        let got = queue.get(true, START, &mut records).expect("a message");
        assert_eq!(got.run.first().body(), number.to_string().as_bytes());
    }
}

#[test]
fn what_finds_no_room_stays_where_it_was_among_messages_that_are_away() {
    let pager = Arc::new(FakePager {
        full: true,
        ..FakePager::default()
    });
    let memory = Arc::new(Memory::new(4 << 10));
    let mut queue = durable_queue();
    queue.page_with(Arc::clone(&memory), Arc::clone(&pager) as Arc<dyn Pager>);
    let mut records = Vec::new();
    let mut add = |queue: &mut Queue, numbers: Range<u32>, persistent: fn(u32) -> bool| {
        for number in numbers {
            let body = format!("{number:0200}");
            let run = run_of(&[sample(&body, persistent(number))]);
            queue.enqueue(run, START, &mut records);
            hand_over(queue, &pager, &mut records);
        }
    };
    // The head is filled with both kinds, then persistent messages go away behind it.
    add(&mut queue, 0..6, |number| number % 2 == 0);
    add(&mut queue, 6..60, |_| true);
    // Another takes the memory: this one has to give up its head, and cannot.
    let mut other = durable_queue();
    other.page_with(memory, Arc::clone(&pager) as Arc<dyn Pager>);
    let transient = run_of(&[sample(&"x".repeat(4 << 10), false)]);
    other.enqueue(transient, START, &mut Vec::new());
    other.relieve();
    add(&mut queue, 60..70, |_| true);
    let mut records = Vec::new();
    for number in 0..70 {
        let got = queue.get(true, START, &mut records).expect("a message");
        assert_eq!(got.first.0, number + 1);
    }
    assert_eq!(queue.counts(), crate::queue::Counts::default());
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let pager = Arc::new(FakePager::default());
    let mut queue = filled(&pager);
    let mut records = Vec::new();
    pager.lose(5..10);
    let mut got = Vec::new();
    while let Some(range) = queue.get(true, START, &mut records) {
        got.push(range.first.0);
    }
    assert!(
        got.is_sorted() && got.len() < 20 && got.ends_with(&[19, 20]),
        "{got:?}"
    );
    assert_eq!(queue.counts(), crate::queue::Counts::default());
}

#[test]
fn queues_share_what_memory_there_is() {
    let memory = Arc::new(Memory::new(1 << 20));
    let pager = Arc::new(FakePager::default());
    let mut queues: Vec<Queue> = (0..50).map(|_| durable_queue()).collect();
    let mut records = Vec::new();
    for queue in &mut queues {
        queue.page_with(Arc::clone(&memory), Arc::clone(&pager) as Arc<dyn Pager>);
        for _ in 0..40 {
            let body = "x".repeat(10_000);
            queue.enqueue(run_of(&[sample(&body, true)]), START, &mut records);
            records.clear();
            queue.relieve();
        }
    }
    let held = memory.held_bytes();
    assert!((400_000..1 << 21).contains(&held), "{held}");
    queues.clear();
    assert_eq!(memory.held_bytes(), 0);
}
