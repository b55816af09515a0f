//! A stream keeps what was read; each consumer reads from where it asked to, and what retention leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use proptest::prelude::*;

use super::QUEUE;
use super::Receiver;
use super::START;
use super::paging::FakePager;
use crate::model::Arguments;
use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Position;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message;
use crate::protocol::properties;
use crate::queue::Consumer;
use crate::queue::Memory;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::QueueType;
use crate::queue::stream::Filter;
use crate::queue::stream::Retention;
use crate::queue::stream::Start;
use crate::store::Record;

/// Messages of one publish, each with the value that filters look at or without one.
fn run_of(values: &[Option<u8>]) -> Run {
    let route = message::route(&ExchangeName::known(""), "q");
    let mut builder = RunBuilder::default();
    for value in values {
        let mut properties = AMQPProperties::default();
        if let Some(value) = value {
            let mut headers = FieldTable::default();
            let text = AMQPValue::LongString(value.to_string().into());
            headers.insert("x-stream-filter-value".into(), text);
            properties = properties.with_headers(headers);
        }
        let header = properties::encode(&properties);
        let traits = properties::scan(&header).expect("well-formed properties");
        builder.push(&route, &header, b"body", traits);
    }
    builder.finish()
}

fn filter(value: Option<u8>, unfiltered: bool) -> Option<Filter> {
    let value = value?;
    let mut arguments = Arguments::default();
    let text = AMQPValue::LongString(value.to_string().into());
    arguments.set("x-stream-filter", text);
    arguments.set("x-stream-match-unfiltered", AMQPValue::Boolean(unfiltered));
    Filter::of(&arguments)
}

struct Rig {
    queue: Queue,
    pager: Arc<FakePager>,
    receiver: Receiver,
    records: Vec<Record>,
    now: u64,
    consumers: u64,
}

impl Rig {
    fn new(retention: Retention, memory: u64) -> Self {
        Self::on(Arc::default(), retention, memory, 1)
    }

    fn on(pager: Arc<FakePager>, retention: Retention, memory: u64, next: u64) -> Self {
        let options = QueueOptions {
            durable: true,
            arguments: QueueArguments {
                queue_type: QueueType::Stream,
                retention,
                ..QueueArguments::default()
            },
            ..QueueOptions::default()
        };
        let mut queue = Queue::new(QUEUE, options, Position(next), START);
        queue.page_with(
            Arc::new(Memory::new(memory)),
            Arc::clone(&pager) as Arc<dyn Pager>,
        );
        Self {
            queue,
            pager,
            receiver: Receiver::new(),
            records: Vec::new(),
            now: START,
            consumers: 0,
        }
    }

    /// What the owner does after each entry.
    fn leave(&mut self) {
        for record in self.records.drain(..) {
            self.pager.apply(&record);
        }
        self.queue.relieve();
    }

    fn publish(&mut self, values: &[Option<u8>]) {
        let refused = self
            .queue
            .enqueue(run_of(values), self.now, &mut self.records);
        assert!(refused.is_empty(), "a stream has always room");
        self.leave();
    }

    fn attach(&mut self, start: Start, prefetch: u32, filter: Option<Filter>) -> ConsumerId {
        self.consumers += 1;
        let consumer = Consumer {
            prefetch,
            ..self.receiver.consumer(self.consumers)
        };
        let id = consumer.id;
        self.queue
            .attach(consumer, start, filter, self.now, &mut self.records);
        self.leave();
        id
    }

    fn read_one(&mut self) -> bool {
        let Some(wanted) = self.queue.wanted_page() else {
            return false;
        };
        let fetched = wanted.fetch(&*self.pager);
        self.queue.page_in(fetched, self.now, &mut self.records);
        self.leave();
        true
    }

    /// Reads until nothing is wanted.
    fn read(&mut self) {
        for _ in 0..10_000 {
            if !self.read_one() {
                return;
            }
        }
        panic!("it reads without end");
    }

    fn settle(&mut self, ranges: &[Delivered]) {
        self.queue.settle(ranges, self.now, &mut self.records);
        self.leave();
    }

    fn deliveries(&mut self) -> Vec<Delivered> {
        let deliveries = self.receiver.deliveries();
        self.receiver.sent(&deliveries);
        deliveries
            .into_iter()
            .map(|delivery| delivery.range)
            .collect()
    }

    /// Offsets of what comes when everything is acknowledged until nothing comes any more.
    fn offsets(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        loop {
            self.read();
            let ranges = self.deliveries();
            if ranges.is_empty() {
                return all;
            }
            all.extend(ranges.iter().flat_map(offsets_of));
            self.settle(&ranges);
        }
    }
}

fn offsets_of(range: &Delivered) -> std::ops::Range<u64> {
    range.first.0 - 1..range.first.0 - 1 + range.run.len() as u64
}

#[track_caller]
fn check_start(start: Start, expected: &[u64]) {
    for memory in [0, u64::MAX] {
        let mut rig = Rig::new(Retention::default(), memory);
        for count in [2, 3, 1] {
            rig.publish(&vec![None; count]);
            rig.now += 10;
        }
        rig.attach(start, 1, None);
        assert_eq!(
            rig.offsets(),
            expected,
            "{start:?}, {memory} bytes of memory"
        );
        rig.publish(&[None]);
        let next: &[u64] = if matches!(start, Start::Offset(7..)) {
            &[]
        } else {
            &[6]
        };
        assert_eq!(rig.offsets(), next, "what comes later comes later");
    }
}

#[test]
fn a_consumer_begins_where_it_asks_to() {
    check_start(Start::First, &[0, 1, 2, 3, 4, 5]);
    check_start(Start::Last, &[5]);
    check_start(Start::Next, &[]);
    check_start(Start::Offset(0), &[0, 1, 2, 3, 4, 5]);
    check_start(Start::Offset(4), &[4, 5]);
    check_start(Start::Offset(6), &[]);
    check_start(Start::Offset(100), &[]);
    check_start(Start::Offset(u64::MAX), &[]);
    check_start(Start::Time(0), &[0, 1, 2, 3, 4, 5]);
    check_start(Start::Time(START), &[0, 1, 2, 3, 4, 5]);
    check_start(Start::Time(START + 1), &[2, 3, 4, 5]);
    check_start(Start::Time(START + 10), &[2, 3, 4, 5]);
    check_start(Start::Time(START + 20), &[5]);
    check_start(Start::Time(START + 21), &[]);
}

#[test]
fn an_acknowledgement_of_any_kind_only_makes_room() {
    let mut rig = Rig::new(Retention::default(), 0);
    rig.publish(&[None; 3]);
    rig.attach(Start::First, 1, None);
    rig.read();
    for offset in 0..3 {
        let ranges = rig.deliveries();
        assert_eq!(
            ranges.iter().flat_map(offsets_of).collect::<Vec<_>>(),
            [offset]
        );
        assert!(!ranges[0].redelivered && ranges[0].streamed);
        match offset {
            0 => rig.queue.requeue(ranges, rig.now, &mut rig.records),
            1 => rig.queue.reject(ranges, rig.now, &mut rig.records),
            _ => rig.queue.take_back(ranges, rig.now, &mut rig.records),
        }
        rig.leave();
        rig.read();
    }
    assert!(rig.deliveries().is_empty());
    assert_eq!(rig.queue.counts().ready, 3);
    assert!(!rig.queue.has_dead());
}

#[test]
fn full_segments_go_when_there_is_too_much_or_they_are_too_old() {
    let segment_bytes = Some(1);
    let by_size = Retention {
        bytes_max: Some(200),
        segment_bytes,
        age_ms_max: None,
    };
    let mut rig = Rig::new(by_size, 0);
    for _ in 0..5 {
        rig.publish(&[None]);
    }
    rig.attach(Start::First, 10, None);
    assert_eq!(rig.offsets(), [3, 4], "a message counts 68 bytes");
    assert_eq!(rig.queue.counts().ready, 2);

    let by_age = Retention {
        age_ms_max: Some(100),
        bytes_max: None,
        segment_bytes,
    };
    let mut rig = Rig::new(by_age, 0);
    for _ in 0..5 {
        rig.publish(&[None]);
        rig.now += 50;
    }
    rig.attach(Start::First, 10, None);
    assert_eq!(rig.offsets(), [2, 3, 4]);
}

#[test]
fn what_was_there_before_a_restart_is_read_and_goes_by_its_age() {
    let retention = Retention {
        age_ms_max: Some(100),
        bytes_max: None,
        segment_bytes: Some(1),
    };
    let mut before = Rig::new(Retention::default(), 0);
    for _ in 0..5 {
        before.publish(&[None]);
        before.now += 50;
    }
    let mut rig = Rig::on(Arc::clone(&before.pager), retention, 0, 6);
    rig.now = before.now;
    rig.queue.restore_away(1..6, 20, true, false);
    rig.queue.restored(rig.now, &mut rig.records);
    assert!(
        matches!(&*rig.records, [Record::Purge { ranges, .. }] if ranges[..] == *std::slice::from_ref(&(1..4))),
        "{:?}",
        rig.records
    );
    rig.leave();
    rig.attach(Start::Last, 10, None);
    assert_eq!(rig.offsets(), [4]);
    rig.attach(Start::First, 10, None);
    assert_eq!(rig.offsets(), [3, 4]);
    rig.publish(&[None]);
    assert_eq!(rig.offsets(), [5, 5], "both consumers get it");
}

#[test]
fn what_is_lost_on_the_disk_is_passed_over() {
    for (lost, left) in [
        (1..3, vec![2, 3, 4]),
        (3..4, vec![0, 1, 3, 4]),
        (3..6, vec![0, 1]),
    ] {
        let mut rig = Rig::new(Retention::default(), 0);
        for _ in 0..5 {
            rig.publish(&[None]);
        }
        rig.pager.lose(lost);
        rig.attach(Start::First, 10, None);
        assert_eq!(rig.offsets(), left);
        rig.publish(&[None]);
        assert_eq!(rig.offsets(), [5]);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<Option<u8>>),
    Attach(Start, u32, Option<u8>, bool),
    Settle(prop::sample::Index),
    Cancel(prop::sample::Index),
    Read,
    Wait(u64),
    MakeRoom,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop::option::of(0..3u8);
    let start = prop_oneof![
        Just(Start::First),
        Just(Start::Last),
        Just(Start::Next),
        (0..40u64).prop_map(Start::Offset),
        (0..60u64).prop_map(|after| Start::Time(START + after)),
    ];
    prop_oneof![
        4 => prop::collection::vec(value(), 1..6).prop_map(Step::Publish),
        2 => (start, 1..5u32, value(), any::<bool>())
            .prop_map(|(start, prefetch, value, all)| Step::Attach(start, prefetch, value, all)),
        4 => any::<prop::sample::Index>().prop_map(Step::Settle),
        1 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        3 => Just(Step::Read),
        2 => (1..10u64).prop_map(Step::Wait),
        2 => Just(Step::MakeRoom),
    ]
}

/// What a consumer should see, and has seen.
struct Expected {
    from: u64,
    prefetch: u32,
    value: Option<u8>,
    unfiltered: bool,
    seen: Vec<u64>,
    unsettled: Vec<Delivered>,
}

impl Expected {
    fn wants(&self, offset: u64, value: Option<u8>) -> bool {
        offset >= self.from
            && match (self.value, value) {
                (None, _) => true,
                (Some(_), None) => self.unfiltered,
                (Some(wanted), Some(value)) => wanted == value,
            }
    }
}

fn play(steps: Vec<Step>, retention: Retention, memory: u64, room: usize) {
    let mut rig = Rig::new(retention, memory);
    rig.receiver = Receiver::with_room(room);
    // Of each message its value and time; where the last publish began.
    let mut log: Vec<(Option<u8>, u64)> = Vec::new();
    let mut last = 0;
    let mut consumers: BTreeMap<ConsumerId, Expected> = BTreeMap::new();
    let mut undelivered = Vec::new();
    for step in steps {
        match step {
            Step::Publish(values) => {
                last = log.len() as u64;
                log.extend(values.iter().map(|value| (*value, rig.now)));
                rig.publish(&values);
            }
            Step::Attach(start, prefetch, value, unfiltered) => {
                let first = log.len() as u64 - rig.queue.counts().ready;
                let since = |time| log.iter().position(|(_, came)| *came >= time);
                let from = match start {
                    Start::First => first,
                    Start::Last => last,
                    Start::Next => log.len() as u64,
                    Start::Offset(offset) => offset,
                    Start::Time(time) => since(time).unwrap_or(log.len()) as u64,
                };
                let id = rig.attach(start, prefetch, filter(value, unfiltered));
                if matches!(start, Start::Time(_)) {
                    // What it began with is found before more comes.
                    rig.read();
                }
                let expected = Expected {
                    from,
                    prefetch,
                    value,
                    unfiltered,
                    seen: Vec::new(),
                    unsettled: Vec::new(),
                };
                consumers.insert(id, expected);
            }
            Step::Settle(which) => {
                let mut with_some: Vec<_> = consumers
                    .values_mut()
                    .filter(|consumer| !consumer.unsettled.is_empty())
                    .collect();
                if !with_some.is_empty() {
                    let at = which.index(with_some.len());
                    let ranges = std::mem::take(&mut with_some[at].unsettled);
                    rig.settle(&ranges);
                }
            }
            Step::Cancel(which) if !consumers.is_empty() => {
                let id = *which.get(&consumers.keys().copied().collect::<Vec<_>>());
                let consumer = consumers.remove(&id).expect("one of them");
                rig.queue.cancel(id, rig.now, &mut rig.records);
                rig.queue
                    .take_back(consumer.unsettled, rig.now, &mut rig.records);
                rig.leave();
            }
            Step::Cancel(_) => {}
            Step::Read => drop(rig.read_one()),
            Step::Wait(time) => rig.now += time,
            Step::MakeRoom => {
                rig.receiver.sent(&undelivered);
                undelivered.clear();
                rig.queue
                    .resume(&Arc::clone(&rig.receiver.outbox), rig.now, &mut rig.records);
                rig.leave();
            }
        }
        take_in(&rig, &mut undelivered, &mut consumers);
    }
    // To the end.
    loop {
        rig.receiver.sent(&undelivered);
        undelivered.clear();
        rig.queue
            .resume(&Arc::clone(&rig.receiver.outbox), rig.now, &mut rig.records);
        rig.read();
        take_in(&rig, &mut undelivered, &mut consumers);
        let ranges: Vec<_> = consumers
            .values_mut()
            .flat_map(|consumer| std::mem::take(&mut consumer.unsettled))
            .collect();
        if ranges.is_empty() && undelivered.is_empty() {
            break;
        }
        rig.settle(&ranges);
        take_in(&rig, &mut undelivered, &mut consumers);
    }
    let first = log.len() as u64 - rig.queue.counts().ready;
    for (id, consumer) in &consumers {
        assert!(
            consumer.seen.is_sorted_by(|one, next| one < next),
            "{id:?}: {:?}",
            consumer.seen
        );
        let wanted = |offset: u64| consumer.wants(offset, log[offset as usize].0);
        assert!(
            consumer.seen.iter().all(|offset| wanted(*offset)),
            "{id:?}: {:?}",
            consumer.seen
        );
        let missing: Vec<_> = (first..log.len() as u64)
            .filter(|offset| wanted(*offset) && !consumer.seen.contains(offset))
            .collect();
        assert!(
            missing.is_empty(),
            "{id:?} of {first}..{}: {missing:?}",
            log.len()
        );
    }
    let all: Vec<_> = consumers.keys().copied().collect();
    for id in all {
        rig.queue.cancel(id, rig.now, &mut rig.records);
    }
    rig.leave();
    let held = rig.queue.held_bytes();
    assert!(
        held <= 64 * 1024 && (memory > 0 || held == 0),
        "{held} bytes are held for nobody"
    );
}

fn take_in(
    rig: &Rig,
    undelivered: &mut Vec<crate::model::Delivery>,
    consumers: &mut BTreeMap<ConsumerId, Expected>,
) {
    for delivery in rig.receiver.deliveries() {
        let range = &delivery.range;
        if let Some(consumer) = consumers.get_mut(&delivery.consumer) {
            consumer.seen.extend(offsets_of(range));
            consumer.unsettled.push(range.clone());
            let unsettled = consumer.unsettled.iter().map(|range| range.run.len());
            assert!(
                unsettled.sum::<usize>() <= consumer.prefetch as usize,
                "more than its prefetch"
            );
        }
        undelivered.push(delivery);
    }
}

proptest! {
    #[test]
    fn each_consumer_sees_what_it_asked_for(
        steps in prop::collection::vec(step(), 1..60),
        bytes_max in prop::option::of(100..2000u64),
        age_ms_max in prop::option::of(1..60u64),
        segment_bytes in 1..500u64,
        memory in prop_oneof![Just(0), Just(2000), Just(u64::MAX)],
        room in prop_oneof![Just(1usize), Just(150), Just(1 << 20)],
    ) {
        let retention = Retention { bytes_max, age_ms_max, segment_bytes: Some(segment_bytes) };
        play(steps, retention, memory, room);
    }
}
