//! Priorities (specification §6.6): who goes first, where what comes back goes, what is dropped, what expires.

use super::*;
use crate::queue::Limits;

fn prioritised(max: u8, limits: Limits) -> Queue {
    queue_with(QueueOptions {
        arguments: QueueArguments {
            max_priority: Some(max),
            limits,
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    })
}

fn publish(queue: &mut Queue, samples: &[(&str, u8)]) {
    let samples = samples
        .iter()
        .map(|(body, priority)| Sample::text(body).of_priority(*priority));
    let run = run_of(&samples.collect::<Vec<_>>());
    transient(|records| queue.enqueue(run, START, records));
}

fn drain(queue: &mut Queue) -> Vec<String> {
    let got = std::iter::from_fn(|| queue.get(true, START, &mut Vec::new()));
    got.flat_map(|range| run_texts(&range.run)).collect()
}

#[test]
fn higher_priorities_go_first_and_equal_ones_in_order() {
    let mut queue = prioritised(5, Limits::default());
    let samples = [("a", 1), ("b", 9), ("c", 0), ("d", 5), ("e", 1), ("f", 255)];
    publish(&mut queue, &samples);
    assert_eq!(drain(&mut queue), ["b", "d", "f", "a", "e", "c"]);
}

#[test]
fn what_comes_back_goes_to_its_old_place_within_its_priority() {
    let mut queue = prioritised(5, Limits::default());
    let samples = [("a", 1), ("b", 5), ("c", 0), ("d", 5), ("e", 1), ("f", 5)];
    publish(&mut queue, &samples);
    let got = std::iter::from_fn(|| queue.get(false, START, &mut Vec::new()));
    let got: Vec<_> = got.collect();
    for index in [4, 0, 2, 5, 1, 3] {
        transient(|records| queue.requeue(vec![got[index].clone()], START, records));
    }
    assert_eq!(drain(&mut queue), ["b", "d", "f", "a", "e", "c"]);
}

#[test]
fn a_range_of_several_priorities_comes_back_to_several_places() {
    let mut queue = prioritised(5, Limits::default());
    let receiver = Receiver::new();
    consume(&mut queue, receiver.consumer(1));
    publish(&mut queue, &[("high", 5), ("low", 1)]);
    let deliveries = receiver.deliveries();
    let mut range = deliveries[0].range.clone();
    let (first, second) = (range.run.clone(), deliveries[1].range.run.clone());
    let mut joined = first;
    joined.try_join(second).expect("neighbours of one run");
    range.run = joined;
    transient(|records| queue.cancel(ConsumerId(1), START, records));
    publish(&mut queue, &[("between", 3)]);
    transient(|records| queue.requeue(vec![range], START, records));
    assert_eq!(drain(&mut queue), ["high", "between", "low"]);
}

#[test]
fn a_consumer_that_is_ready_gets_what_comes_first() {
    let mut queue = prioritised(5, Limits::default());
    let receiver = Receiver::new();
    let limited = Consumer {
        prefetch: 1,
        ..receiver.consumer(1)
    };
    consume(&mut queue, limited);
    publish(&mut queue, &[("low", 0), ("lower", 0), ("high", 5)]);
    assert_eq!(receiver.bodies(), wanted(&[(1, "low")]));
    assert_eq!(drain(&mut queue), ["high", "lower"]);
}

/// As RabbitMQ: what is dropped is what would be served next, so a high priority is no shelter.
#[test]
fn a_full_queue_drops_the_highest_priority() {
    let limits = Limits {
        length: Some(2),
        ..Limits::default()
    };
    let mut queue = prioritised(5, limits);
    let samples = [("lo1", 1), ("hi1", 5), ("lo2", 1), ("hi2", 5), ("mid", 3)];
    publish(&mut queue, &samples);
    assert_eq!(drain(&mut queue), ["lo1", "lo2"]);
}

/// As RabbitMQ, whatever its documentation says of each priority's head.
#[test]
fn only_the_foremost_message_of_all_expires() {
    let mut queue = prioritised(5, Limits::default());
    publish(&mut queue, &[("high", 5)]);
    let low = run_of(&[Sample::text("low").expiring(10)]);
    transient(|records| queue.enqueue(low, START, records));
    assert_eq!(queue.next_deadline(), None);
    transient(|records| queue.tick(START + 10, records));
    assert_eq!(queue.counts().ready, 2);
    let got = transient(|records| queue.get(true, START + 10, records)).expect("a message");
    assert_eq!(run_texts(&got.run), ["high"]);
    assert!(transient(|records| queue.get(true, START + 10, records)).is_none());
}
