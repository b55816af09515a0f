//! Publishers wait for consumers that are about to catch up, and for no others.

use std::sync::Arc;

use super::Receiver;
use super::START;
use super::Sample;
use super::consume;
use super::run_of;
use super::transient;
use super::transient_queue;
use crate::model::Outbox;
use crate::queue::Queue;
use crate::queue::flow::PAUSE_MS;

const BODY_BYTES: usize = 64 * 1024;
/// More messages than a queue likes to hold.
const MANY: usize = 120;

fn publish(queue: &mut Queue, count: usize, now: u64) {
    let body = vec![b'x'; BODY_BYTES];
    let samples = vec![
        Sample {
            body,
            ..Sample::default()
        };
        count
    ];
    transient(|records| queue.enqueue(run_of(&samples), now, records));
}

/// The consumer's client takes so much of what waits.
fn take(queue: &mut Queue, receiver: &Receiver, times: usize, now: u64) {
    for _ in 0..times {
        let deliveries = receiver.deliveries();
        receiver.sent(&deliveries);
        transient(|records| queue.resume(&receiver.outbox, now, records));
    }
}

fn publisher() -> Arc<Outbox> {
    Arc::new(Outbox::new(1))
}

/// A consumer that takes everything at once, whose connection has room for some.
fn reader(queue: &mut Queue) -> Receiver {
    let receiver = Receiver::with_room(8 * BODY_BYTES);
    let consumer = crate::queue::Consumer {
        no_ack: true,
        ..receiver.consumer(1)
    };
    consume(queue, consumer);
    receiver
}

#[test]
fn a_publisher_waits_until_half_is_gone_while_consumers_are_brisk() {
    let mut queue = transient_queue();
    let receiver = reader(&mut queue);
    let publisher = publisher();
    publish(&mut queue, MANY, START);
    assert!(queue.is_brimming());
    assert!(!queue.pause(&publisher, START), "nothing is measured yet");
    take(&mut queue, &receiver, 2, START);
    assert!(queue.pause(&publisher, START + PAUSE_MS));
    assert!(queue.pauses(&publisher));
    take(&mut queue, &receiver, 1, START);
    queue.release_publishers();
    assert!(queue.pauses(&publisher), "there is too much still");
    take(&mut queue, &receiver, 8, START);
    queue.release_publishers();
    assert!(!queue.pauses(&publisher));
    assert!(!queue.pause(&publisher, START + 2 * PAUSE_MS));
}

#[test]
fn a_publisher_does_not_wait_for_slow_consumers_or_none() {
    let mut queue = transient_queue();
    let publisher = publisher();
    publish(&mut queue, MANY, START);
    assert!(
        !queue.pause(&publisher, START + PAUSE_MS),
        "nobody consumes"
    );
    let receiver = reader(&mut queue);
    assert!(!queue.pause(&publisher, START + 2 * PAUSE_MS));
    take(&mut queue, &receiver, 1, START);
    assert!(!queue.pause(&publisher, START + 10_000), "it takes seconds");
    assert!(!queue.pauses(&publisher));
}

#[test]
fn a_publisher_is_let_go_when_consumers_go() {
    let mut queue = transient_queue();
    let receiver = reader(&mut queue);
    let publisher = publisher();
    publish(&mut queue, MANY, START);
    assert!(!queue.pause(&publisher, START));
    take(&mut queue, &receiver, 2, START);
    assert!(queue.pause(&publisher, START + PAUSE_MS));
    transient(|records| queue.cancel(crate::model::ConsumerId(1), START, records));
    queue.release_publishers();
    assert!(!queue.pauses(&publisher));
}
