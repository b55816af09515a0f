//! Who gets the next message: priority, turns, prefetch, and the limit that a channel's consumers share.

use super::*;

fn settle_all(queue: &mut Queue, deliveries: &[Delivery]) {
    let ranges: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.range.clone())
        .collect();
    transient(|records| queue.settle(&ranges, START, records));
}

#[test]
fn equals_take_turns_message_by_message() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    for id in 1..=3 {
        consume(&mut queue, receiver.consumer(id));
    }
    enqueue(&mut queue, &["a", "b", "c", "d"], START);
    enqueue(&mut queue, &["e"], START);
    assert_eq!(
        receiver.bodies(),
        wanted(&[(1, "a"), (2, "b"), (3, "c"), (1, "d"), (2, "e")])
    );
}

#[test]
fn a_newcomer_waits_for_those_before_it() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    consume(&mut queue, receiver.consumer(1));
    consume(&mut queue, receiver.consumer(2));
    enqueue(&mut queue, &["a"], START);
    consume(&mut queue, receiver.consumer(3));
    enqueue(&mut queue, &["b", "c", "d"], START);
    assert_eq!(
        receiver.bodies(),
        wanted(&[(1, "a"), (2, "b"), (1, "c"), (3, "d")])
    );
}

#[test]
fn the_highest_priority_that_can_take_gets_all() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    let with_priority = |id, priority| Consumer {
        priority,
        prefetch: 2,
        ..receiver.consumer(id)
    };
    consume(&mut queue, with_priority(1, 0));
    consume(&mut queue, with_priority(2, 5));
    consume(&mut queue, with_priority(3, -5));
    enqueue(&mut queue, &["a", "b", "c", "d", "e"], START);
    let first = receiver.deliveries();
    assert_eq!(
        bodies(&first),
        wanted(&[(2, "a"), (2, "b"), (1, "c"), (1, "d"), (3, "e")])
    );
    enqueue(&mut queue, &["f", "g", "h"], START);
    assert_eq!(receiver.bodies(), wanted(&[(3, "f")]));
    settle_all(&mut queue, &first[..1]);
    assert_eq!(receiver.bodies(), wanted(&[(2, "g"), (2, "h")]));
}

#[test]
fn a_channels_limit_is_shared_by_its_consumers_of_all_queues() {
    let mut first = transient_queue();
    let mut second = Queue::new(QueueId(8), QueueOptions::default(), Position(1), START);
    let receiver = Receiver::new();
    receiver.limit.set(3);
    consume(&mut first, receiver.consumer(1));
    consume(&mut second, receiver.consumer(2));
    enqueue(&mut first, &["a", "b"], START);
    enqueue(&mut second, &["c", "d"], START);
    enqueue(&mut first, &["e"], START);
    let held = receiver.deliveries();
    assert_eq!(bodies(&held), wanted(&[(1, "a"), (1, "b"), (2, "c")]));
    assert_eq!(receiver.limit.take_waiting(), [QueueId(8), QUEUE]);

    settle_all(&mut second, &held[1..]);
    receiver.limit.give_back(1);
    assert_eq!(
        receiver.limit.take_waiting(),
        [QueueId(8)],
        "it has tried again meanwhile"
    );
    transient(|records| first.resume(&receiver.outbox, START, records));
    assert_eq!(receiver.bodies(), wanted(&[(1, "e")]));
    assert_eq!(second.counts().ready, 1);

    receiver.limit.set(0);
    transient(|records| second.resume(&receiver.outbox, START, records));
    assert_eq!(receiver.bodies(), wanted(&[(2, "d")]));
}

#[test]
fn a_channels_limit_does_not_count_what_needs_no_acknowledgement() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    receiver.limit.set(1);
    let no_ack = Consumer {
        no_ack: true,
        prefetch: 1,
        ..receiver.consumer(1)
    };
    consume(&mut queue, no_ack);
    enqueue(&mut queue, &["a", "b"], START);
    assert_eq!(receiver.bodies(), wanted(&[(1, "a"), (1, "b")]));
}

#[test]
fn requeued_messages_stand_before_those_that_came_later() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    let limited = Consumer {
        prefetch: 4,
        ..receiver.consumer(1)
    };
    consume(&mut queue, limited);
    enqueue(&mut queue, &["a", "b", "c", "d", "e"], START);
    let mut range = receiver.deliveries().remove(0).range;
    queue.cancel(ConsumerId(1), START, &mut Vec::new());
    let mut middle = range.split_off(1);
    let end = middle.split_off(2);
    // Neither at once nor in order.
    transient(|records| queue.requeue(vec![end, range], START, records));
    transient(|records| queue.requeue(vec![middle], START, records));
    consume(&mut queue, receiver.consumer(2));
    let again = receiver.deliveries();
    assert_eq!(
        bodies(&again),
        wanted(&[(2, "a"), (2, "b"), (2, "c"), (2, "d"), (2, "e")])
    );
    let redelivered: Vec<_> = again
        .iter()
        .map(|delivery| delivery.range.redelivered)
        .collect();
    assert_eq!(redelivered, [true, true, true, false]);
}
