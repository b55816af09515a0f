//! Single active consumer (specification §6.11): who is served, who waits, who is next.

use super::*;
use crate::model::Release;
use crate::queue::Activity;
use crate::queue::InExclusiveUse;
use crate::queue::QueueType;

fn single_active(queue_type: QueueType) -> Queue {
    queue_with(QueueOptions {
        durable: queue_type == QueueType::Quorum,
        arguments: QueueArguments {
            queue_type,
            single_active_consumer: true,
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    })
}

/// As RabbitMQ 4 has them.
fn hand_over() -> Queue {
    queue_with(QueueOptions {
        durable: true,
        arguments: QueueArguments {
            queue_type: QueueType::Quorum,
            single_active_consumer: true,
            ..QueueArguments::default()
        },
        release: Release::V4,
        ..QueueOptions::default()
    })
}

fn add(queue: &mut Queue, receiver: &Receiver, id: u64, priority: i32, prefetch: u32) {
    let consumer = Consumer {
        priority,
        prefetch,
        ..receiver.consumer(id)
    };
    let added = queue.consume(consumer, START, &mut Vec::new());
    assert_eq!(added, Ok(()));
}

fn publish(queue: &mut Queue, bodies: &[&str]) {
    queue.enqueue(texts(bodies), START, &mut Vec::new());
}

/// Consumers 1 to 3 of priorities 0, 1, 2; who is active as they go one by one.
#[track_caller]
fn check_succession(queue_type: QueueType, expected: [u64; 3]) {
    let mut queue = single_active(queue_type);
    let receiver = Receiver::new();
    for (id, priority) in [(1, 0), (2, 1), (3, 2), (4, 2)] {
        add(&mut queue, &receiver, id, priority, 0);
    }
    for active in expected {
        publish(&mut queue, &["a", "b"]);
        assert_eq!(receiver.bodies(), wanted(&[(active, "a"), (active, "b")]));
        for id in 1..=4 {
            let activity = queue.activity(ConsumerId(id));
            assert_eq!(activity == Activity::SingleActive, id == active);
        }
        queue.cancel(ConsumerId(active), START, &mut Vec::new());
    }
}

#[test]
fn classic_queues_hand_over_by_priority_and_quorum_queues_by_age() {
    check_succession(QueueType::Classic, [1, 3, 4]);
    check_succession(QueueType::Quorum, [1, 2, 3]);
}

#[test]
fn in_4_a_higher_priority_takes_over_at_once_from_who_holds_nothing() {
    let mut queue = hand_over();
    let receiver = Receiver::new();
    for (id, priority) in [(1, 0), (2, 1), (3, 1), (4, 5)] {
        add(&mut queue, &receiver, id, priority, 10);
    }
    publish(&mut queue, &["a"]);
    assert_eq!(receiver.bodies(), wanted(&[(4, "a")]));
    for (gone, next) in [(4, 2), (2, 3), (3, 1)] {
        queue.cancel(ConsumerId(gone), START, &mut Vec::new());
        publish(&mut queue, &["b"]);
        assert_eq!(receiver.bodies(), wanted(&[(next, "b")]));
    }
}

#[test]
fn in_4_who_holds_messages_settles_them_before_it_stands_back() {
    let mut queue = hand_over();
    let receiver = Receiver::new();
    add(&mut queue, &receiver, 1, 0, 10);
    publish(&mut queue, &["a", "b"]);
    let held = receiver.deliveries();
    add(&mut queue, &receiver, 2, 1, 10);
    publish(&mut queue, &["c"]);
    assert_eq!(receiver.bodies(), wanted(&[]));
    assert_eq!(queue.activity(ConsumerId(1)), Activity::SingleActive);
    let ranges: Vec<_> = held.into_iter().map(|delivery| delivery.range).collect();
    queue.settle(&ranges[..1], START, &mut Vec::new());
    if ranges.len() > 1 {
        assert_eq!(receiver.bodies(), wanted(&[]));
        queue.settle(&ranges[1..], START, &mut Vec::new());
    }
    assert_eq!(receiver.bodies(), wanted(&[(2, "c")]));
    assert_eq!(queue.activity(ConsumerId(1)), Activity::Waiting);
}

#[test]
fn in_4_who_was_to_stand_back_goes_on_when_the_higher_one_has_gone() {
    let mut queue = hand_over();
    let receiver = Receiver::new();
    add(&mut queue, &receiver, 1, 0, 10);
    publish(&mut queue, &["a"]);
    receiver.deliveries();
    add(&mut queue, &receiver, 2, 1, 10);
    queue.cancel(ConsumerId(2), START, &mut Vec::new());
    publish(&mut queue, &["b"]);
    assert_eq!(receiver.bodies(), wanted(&[(1, "b")]));
}

#[test]
fn the_next_one_starts_at_once_and_the_old_ones_deliveries_stay_out() {
    let mut queue = single_active(QueueType::Classic);
    let receiver = Receiver::new();
    add(&mut queue, &receiver, 1, 0, 1);
    add(&mut queue, &receiver, 2, 0, 0);
    publish(&mut queue, &["a", "b", "c"]);
    let first = receiver.deliveries();
    assert_eq!(
        bodies(&first),
        wanted(&[(1, "a")]),
        "2 waits though 1 is full"
    );
    transient(|records| queue.cancel(ConsumerId(1), START, records));
    assert_eq!(receiver.bodies(), wanted(&[(2, "b"), (2, "c")]));
    let range = first.into_iter().next().expect("one").range;
    transient(|records| queue.requeue(vec![range], START, records));
    assert_eq!(receiver.bodies(), wanted(&[(2, "a")]));
}

#[test]
fn settling_and_room_do_not_wake_who_waits() {
    let mut queue = single_active(QueueType::Classic);
    let receiver = Receiver::new();
    add(&mut queue, &receiver, 1, 0, 1);
    add(&mut queue, &receiver, 2, 9, 1);
    publish(&mut queue, &["a", "b"]);
    transient(|records| queue.resume(&receiver.outbox, START, records));
    assert_eq!(receiver.bodies(), wanted(&[(1, "a")]));
}

#[test]
fn classic_queues_refuse_exclusive_consumers_and_quorum_queues_ignore_the_wish() {
    let receiver = Receiver::new();
    for (queue_type, expected) in [
        (QueueType::Classic, Err(InExclusiveUse)),
        (QueueType::Quorum, Ok(())),
    ] {
        let mut queue = single_active(queue_type);
        let exclusive = Consumer {
            exclusive: true,
            ..receiver.consumer(1)
        };
        assert_eq!(queue.consume(exclusive, START, &mut Vec::new()), expected);
    }
}

#[test]
fn everyone_is_up_in_other_queues() {
    let mut queue = transient_queue();
    consume(&mut queue, Receiver::new().consumer(1));
    assert_eq!(queue.activity(ConsumerId(1)), Activity::Up);
}
