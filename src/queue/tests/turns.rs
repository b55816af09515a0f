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
    assert_eq!(receiver.limit.take_waiting(), [QUEUE, QueueId(8)]);

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
fn queues_take_turns_where_a_channel_has_room_for_one_message() {
    let mut queues = [7, 8, 9].map(|id| {
        let mut queue = Queue::new(QueueId(id), QueueOptions::default(), Position(1), START);
        enqueue(&mut queue, &["a", "b", "c"], START);
        queue
    });
    let receiver = Receiver::new();
    receiver.limit.set(1);
    for (queue, id) in queues.iter_mut().zip(1..) {
        consume(queue, receiver.consumer(id));
    }
    let mut held = receiver.deliveries();
    let mut from = Vec::new();
    for _ in 0..6 {
        let queue = queues
            .iter_mut()
            .find(|queue| queue.id == held[0].range.queue);
        settle_all(queue.expect("a queue"), &held);
        receiver.limit.give_back(1);
        for id in receiver.limit.take_waiting() {
            let queue = queues
                .iter_mut()
                .find(|queue| queue.id == id)
                .expect("a queue");
            transient(|records| queue.resume(&receiver.outbox, START, records));
        }
        held = receiver.deliveries();
        assert_eq!(held.len(), 1);
        from.push(held[0].range.queue.0);
    }
    assert_eq!(from, [7, 8, 9, 7, 8, 9]);
}

#[test]
fn consumers_take_turns_where_their_channel_has_room_for_one_message() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    receiver.limit.set(1);
    consume(&mut queue, receiver.consumer(1));
    consume(&mut queue, receiver.consumer(2));
    enqueue(&mut queue, &["a", "b", "c", "d"], START);
    for wanted_next in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
        let held = receiver.deliveries();
        assert_eq!(bodies(&held), wanted(&[wanted_next]));
        settle_all(&mut queue, &held);
        receiver.limit.give_back(1);
        transient(|records| queue.resume(&receiver.outbox, START, records));
    }
}

#[test]
fn a_channels_limit_holds_up_what_needs_no_acknowledgement() {
    let mut acked = transient_queue();
    let mut other = Queue::new(QueueId(8), QueueOptions::default(), Position(1), START);
    let receiver = Receiver::new();
    receiver.limit.set(1);
    consume(&mut acked, receiver.consumer(1));
    enqueue(&mut acked, &["a"], START);
    let held = receiver.deliveries();
    let mut hearing = receiver.consumer(2);
    hearing.no_ack = true;
    consume(&mut other, hearing);
    enqueue(&mut other, &["b", "c"], START);
    assert_eq!(receiver.bodies(), wanted(&[]));
    settle_all(&mut acked, &held);
    receiver.limit.give_back(1);
    assert_eq!(receiver.limit.take_waiting(), [QueueId(8)]);
    transient(|records| other.resume(&receiver.outbox, START, records));
    assert_eq!(receiver.bodies(), wanted(&[(2, "b"), (2, "c")]));
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
