//! A look at ready messages shows all of them, in memory or not, and changes nothing.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::START;
use super::Sample;
use super::paging::FakePager;
use super::queue_with;
use super::run_of;
use crate::model::Position;
use crate::queue::Begin;
use crate::queue::Memory;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::QueueType;

/// Ten messages, every third of them not stored; most are on the disk.
fn paged_queue() -> (Queue, Arc<FakePager>) {
    paged_queue_of(10, 0)
}

/// So many, one each `step` milliseconds.
fn paged_queue_of(count: u64, step: u64) -> (Queue, Arc<FakePager>) {
    let pager = Arc::new(FakePager::default());
    let mut queue = queue_with(QueueOptions {
        durable: true,
        ..QueueOptions::default()
    });
    queue.page_with(
        Arc::new(Memory::new(0)),
        Arc::clone(&pager) as Arc<dyn Pager>,
    );
    for n in 0..count {
        let sample = Sample::text(&n.to_string());
        let sample = if n % 3 == 0 {
            sample
        } else {
            sample.persistent()
        };
        let mut records = Vec::new();
        queue.enqueue(run_of(&[sample]), START + n * step, &mut records);
        records.iter().for_each(|record| pager.apply(record));
        queue.relieve();
    }
    (queue, pager)
}

/// Positions and bodies from `from` on, at most so many, and where to go on.
fn look(
    queue: &Queue,
    pager: &FakePager,
    from: u64,
    most: usize,
) -> (Vec<(u64, String)>, Option<u64>) {
    look_from(queue, pager, Begin::At(Position(from)), most)
}

fn look_from(
    queue: &Queue,
    pager: &FakePager,
    begin: Begin,
    most: usize,
) -> (Vec<(u64, String)>, Option<u64>) {
    let mut seen = Vec::new();
    let next = queue
        .glimpse(begin, START)
        .read(pager, u64::MAX, |browsed| {
            let body = String::from_utf8_lossy(browsed.message.body()).into_owned();
            seen.push((browsed.position.0, body));
            match seen.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
    (seen, next)
}

fn expected(positions: std::ops::Range<u64>) -> Vec<(u64, String)> {
    positions
        .map(|position| (position, (position - 1).to_string()))
        .collect()
}

#[test]
fn everything_is_seen_wherever_it_lies_and_nothing_changes() {
    let (queue, pager) = paged_queue();
    let before = (queue.counts(), queue.stats(), queue.ready_in_memory());
    assert!(queue.ready_in_memory() < 10, "nothing is on the disk");
    assert_eq!(look(&queue, &pager, 0, 100), (expected(1..11), None));
    assert_eq!(look(&queue, &pager, 6, 100), (expected(6..11), None));
    assert_eq!(look(&queue, &pager, 11, 100), (Vec::new(), None));
    assert_eq!(
        (queue.counts(), queue.stats(), queue.ready_in_memory()),
        before
    );
}

#[test]
fn a_look_goes_on_where_the_last_one_ended() {
    let (queue, pager) = paged_queue();
    let (first, next) = look(&queue, &pager, 0, 4);
    assert_eq!((first, next), (expected(1..5), Some(5)));
    assert_eq!(look(&queue, &pager, 5, 6).0, expected(5..11));
    let mut count = 0;
    let next = queue
        .glimpse(Begin::default(), START)
        .read(&*pager, 1, |_| {
            count += 1;
            ControlFlow::Continue(())
        });
    assert_eq!((count, next), (1, Some(2)), "no more than so many octets");
}

#[test]
fn what_has_expired_or_was_lost_is_not_seen() {
    let (queue, pager) = paged_queue();
    pager.lose(5..7);
    let seen: Vec<u64> = look(&queue, &pager, 0, 100)
        .0
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    assert!(seen.len() < 10 && !seen.contains(&6), "{seen:?}");
    let mut queue = queue_with(QueueOptions::default());
    let run = run_of(&[Sample::text("a").expiring(5), Sample::text("b")]);
    queue.enqueue(run, START, &mut Vec::new());
    let count = |now| {
        let mut count = 0;
        queue
            .glimpse(Begin::default(), now)
            .read(&*pager, u64::MAX, |_| {
                count += 1;
                ControlFlow::Continue(())
            });
        count
    };
    assert_eq!((count(START), count(START + 5)), (2, 1));
}

#[test]
fn a_look_begins_with_what_came_at_a_time_wherever_it_lies() {
    let step = 2000;
    let (queue, pager) = paged_queue_of(30, step);
    assert!(queue.ready_in_memory() < 30, "nothing is on the disk");
    for first in 1..=31 {
        for early in [0, step - 1] {
            let time = START + (first - 1) * step - early.min((first - 1) * step);
            let seen = look_from(&queue, &pager, Begin::Since(time), 100);
            assert_eq!(seen, (expected(first..31), None), "{first} {early}");
        }
    }
    let seen = look_from(&queue, &pager, Begin::Since(START + 5 * step), 3);
    assert_eq!(seen, (expected(6..9), Some(9)));
    pager.lose(9..12);
    let seen = look_from(&queue, &pager, Begin::Since(START + 9 * step), 2);
    assert!(seen.0[0].0 >= 10, "what is lost does not matter: {seen:?}");
}

#[test]
fn messages_of_one_chunk_that_came_apart_are_told_apart() {
    let mut queue = queue_with(QueueOptions::default());
    let run = run_of(&[Sample::text("0"), Sample::text("1"), Sample::text("2")]);
    for (index, time) in [(0, START), (1, START + 999), (2, START + 1000)] {
        let message = run.slice(index..index + 1);
        queue.restore(Position(index as u64 + 1), message, false, time);
    }
    let pager = FakePager::default();
    let since = |time| look_from(&queue, &pager, Begin::Since(time), 100).0;
    assert_eq!(since(START), expected(1..4));
    assert_eq!(since(START + 1), expected(3..4), "to a second");
    assert_eq!(since(START + 1001), []);
}

#[test]
fn in_a_stream_too_and_by_position_where_priorities_decide() {
    let pager = FakePager::default();
    let mut stream = queue_with(QueueOptions {
        durable: true,
        arguments: QueueArguments {
            queue_type: QueueType::Stream,
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    });
    for n in 0..9_u64 {
        let mut records = Vec::new();
        let sample = Sample::text(&n.to_string()).persistent();
        stream.enqueue(run_of(&[sample]), START + n * 1000, &mut records);
        records.iter().for_each(|record| pager.apply(record));
    }
    let seen = look_from(&stream, &pager, Begin::Since(START + 3500), 100);
    assert_eq!(seen, (expected(5..10), None));
    let mut urgent = queue_with(QueueOptions {
        arguments: QueueArguments {
            max_priority: Some(9),
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    });
    for (n, priority) in [(0, 5), (1, 1), (2, 9), (3, 1)] {
        let sample = Sample::text(&n.to_string()).of_priority(priority);
        urgent.enqueue(run_of(&[sample]), START + n * 5000, &mut Vec::new());
    }
    let seen = look_from(&urgent, &pager, Begin::Since(START + 5000), 100);
    assert_eq!(seen, (expected(2..5), None));
}
