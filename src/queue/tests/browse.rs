//! A look at ready messages shows all of them, in memory or not, and changes nothing.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::START;
use super::Sample;
use super::paging::FakePager;
use super::queue_with;
use super::run_of;
use crate::model::Position;
use crate::queue::Memory;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::QueueOptions;

/// Ten messages, every third of them not stored; most are on the disk.
fn paged_queue() -> (Queue, Arc<FakePager>) {
    let pager = Arc::new(FakePager::default());
    let mut queue = queue_with(QueueOptions {
        durable: true,
        ..QueueOptions::default()
    });
    queue.page_with(
        Arc::new(Memory::new(0)),
        Arc::clone(&pager) as Arc<dyn Pager>,
    );
    for n in 0..10 {
        let sample = Sample::text(&n.to_string());
        let sample = if n % 3 == 0 {
            sample
        } else {
            sample.persistent()
        };
        let mut records = Vec::new();
        queue.enqueue(run_of(&[sample]), START, &mut records);
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
    let mut seen = Vec::new();
    let next = queue
        .glimpse(Position(from), START)
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
    let next = queue.glimpse(Position(0), START).read(&*pager, 1, |_| {
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
            .glimpse(Position(0), now)
            .read(&*pager, u64::MAX, |_| {
                count += 1;
                ControlFlow::Continue(())
            });
        count
    };
    assert_eq!((count(START), count(START + 5)), (2, 1));
}
