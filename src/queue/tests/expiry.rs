//! Message TTL: by queue and by message, at the head alone, and 0.

use super::*;

fn expiring(body: &str, ttl: u64) -> Sample {
    Sample::text(body).expiring(ttl)
}

fn put(queue: &mut Queue, samples: &[Sample]) {
    transient(|records| queue.enqueue(run_of(samples), START, records));
}

fn tick(queue: &mut Queue, now: u64) {
    assert_eq!(transient(|records| queue.tick(now, records)), None);
}

fn bodies_left(queue: &mut Queue, now: u64) -> Vec<String> {
    std::iter::from_fn(|| transient(|records| queue.get(true, now, records)))
        .flat_map(|range| run_texts(&range.run))
        .collect()
}

#[test]
fn the_shorter_of_the_queues_and_the_messages_ttl_counts() {
    let mut queue = expiring_queue(Some(50), None);
    put(
        &mut queue,
        &[
            expiring("short", 10),
            expiring("long", 90),
            Sample::text("plain"),
        ],
    );
    assert_eq!(queue.next_deadline(), Some(START + 10));
    tick(&mut queue, START + 9);
    assert_eq!(queue.counts().ready, 3);
    tick(&mut queue, START + 10);
    assert_eq!(queue.counts().ready, 2);
    assert_eq!(queue.next_deadline(), Some(START + 50));
    tick(&mut queue, START + 50);
    assert_eq!(queue.counts().ready, 0);
}

#[test]
fn an_expired_message_behind_the_head_is_counted_but_never_delivered() {
    let mut queue = transient_queue();
    put(
        &mut queue,
        &[Sample::text("a"), expiring("b", 10), Sample::text("c")],
    );
    tick(&mut queue, START + 20);
    assert_eq!(queue.counts().ready, 3);
    let receiver = Receiver::new();
    transient(|records| queue.consume(receiver.consumer(1), START + 20, records)).expect("alone");
    assert_eq!(receiver.bodies(), wanted(&[(1, "a"), (1, "c")]));
}

#[test]
fn a_get_skips_what_has_expired() {
    let mut queue = transient_queue();
    put(&mut queue, &[expiring("a", 10), expiring("b", 30)]);
    assert_eq!(bodies_left(&mut queue, START + 10), ["b"]);
}

#[test]
fn a_requeued_message_keeps_its_deadline() {
    let mut queue = transient_queue();
    put(&mut queue, &[expiring("a", 10)]);
    let held = transient(|records| queue.get(false, START, records)).expect("a message");
    transient(|records| queue.requeue(vec![held], START + 5, records));
    assert_eq!(queue.next_deadline(), Some(START + 10));
    let held = transient(|records| queue.get(false, START + 9, records)).expect("a message");
    transient(|records| queue.requeue(vec![held], START + 10, records));
    assert_eq!(queue.counts().ready, 0, "it came back too late");
}

#[test]
fn a_ttl_of_0_is_enough_for_a_consumer_that_is_ready() {
    let mut queue = expiring_queue(Some(0), None);
    let receiver = Receiver::new();
    enqueue(&mut queue, &["nobody is there"], START);
    assert_eq!(queue.counts().ready, 0);
    let consumer = Consumer {
        prefetch: 1,
        ..receiver.consumer(1)
    };
    consume(&mut queue, consumer);
    enqueue(&mut queue, &["taken", "too much"], START);
    let deliveries = receiver.deliveries();
    assert_eq!(bodies(&deliveries), wanted(&[(1, "taken")]));
    assert_eq!(queue.counts().ready, 0);
    let back = vec![deliveries[0].range.clone()];
    transient(|records| queue.requeue(back, START, records));
    assert!(receiver.bodies().is_empty(), "its time was over");
    assert_eq!(queue.counts().ready, 0);
}

#[test]
fn a_ttl_of_0_behind_messages_without_is_enough_too() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    consume(&mut queue, receiver.consumer(1));
    put(
        &mut queue,
        &[Sample::text("a"), expiring("b", 0), Sample::text("c")],
    );
    assert_eq!(receiver.bodies(), wanted(&[(1, "a"), (1, "b"), (1, "c")]));
}

#[test]
fn a_hold_does_not_cost_a_ttl_of_0() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    consume(&mut queue, receiver.consumer(1));
    queue.hold();
    put(&mut queue, &[expiring("a", 0)]);
    assert!(receiver.bodies().is_empty());
    transient(|records| queue.release(START, records));
    assert_eq!(receiver.bodies(), wanted(&[(1, "a")]));
}

#[test]
fn what_expires_in_a_durable_queue_leaves_the_store() {
    let mut queue = queue_with(QueueOptions {
        durable: true,
        ..QueueOptions::default()
    });
    let samples = [
        expiring("a", 10).persistent(),
        expiring("b", 10),
        expiring("c", 20).persistent(),
    ];
    let mut records = Vec::new();
    queue.enqueue(run_of(&samples), START, &mut records);
    records.clear();
    queue.tick(START + 10, &mut records);
    assert!(
        matches!(
            records[..],
            [Record::Settle {
                queue: QUEUE,
                first: Position(1),
                count: 1
            }]
        ),
        "{records:?}"
    );
}

#[test]
fn a_get_leaves_no_expired_message_at_the_front() {
    let mut queue = transient_queue();
    enqueue(&mut queue, &["a"], START);
    let late = run_of(&[Sample::text("b").expiring(0)]);
    transient(|records| queue.enqueue(late, START, records));
    assert_eq!(queue.counts().ready, 2);
    transient(|records| queue.get(true, START, records)).expect("a message");
    assert_eq!(queue.counts().ready, 0);
}
