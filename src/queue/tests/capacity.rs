//! How much of the time a queue can deliver at once.

use super::*;

fn share(queue: &Queue, now: u64) -> f64 {
    (queue.consumer_capacity(now) * 1000.0).round() / 1000.0
}

#[test]
fn a_queue_whose_consumers_are_busy_cannot_deliver() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    assert_eq!(share(&queue, START + 5000), 0.0, "there is no consumer");
    let consumer = Consumer {
        prefetch: 1,
        ..receiver.consumer(1)
    };
    consume(&mut queue, consumer);
    enqueue(&mut queue, &["a"], START);
    assert_eq!(share(&queue, START + 1000), 1.0, "nothing waits");
    enqueue(&mut queue, &["b"], START + 1000);
    assert_eq!(share(&queue, START + 1000), 1.0);
    // A second of which it could, and one of which it could not.
    assert_eq!(share(&queue, START + 2000), 0.625);
    let first = receiver.deliveries().remove(0).range;
    transient(|records| queue.settle(&[first], START + 2000, records));
    assert_eq!(receiver.bodies(), wanted(&[(1, "b")]));
    assert_eq!(share(&queue, START + 2000), 0.625);
    assert_eq!(share(&queue, START + 3000), 0.813, "it can again");
}

#[test]
fn an_empty_queue_with_a_consumer_can_deliver() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    enqueue(&mut queue, &["a"], START);
    assert_eq!(share(&queue, START), 0.0);
    transient(|records| {
        let consumer = receiver.consumer(1);
        queue.consume(consumer, START + 4000, records).unwrap();
    });
    assert_eq!(share(&queue, START + 20_000), 1.0);
}
