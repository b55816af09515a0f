//! How long messages wait, and what became of those that died.

use super::Receiver;
use super::START;
use super::consume;
use super::enqueue;
use super::expiring_queue;
use super::queue_with;
use super::texts;
use super::transient_queue;
use crate::metrics::DeadCounts;
use crate::metrics::Strategy;
use crate::metrics::WAIT_BOUNDS_MS;
use crate::model::ExchangeName;
use crate::queue::DeadLetter;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;

#[test]
fn the_oldest_ready_message_tells_since_when_it_waits() {
    let mut queue = transient_queue();
    assert_eq!((queue.oldest(), queue.history()), (None, None));
    enqueue(&mut queue, &["a"], START + 5);
    enqueue(&mut queue, &["b"], START + 9);
    assert_eq!(queue.oldest(), Some(START + 5));
    let mut records = Vec::new();
    let got = queue
        .get(false, START + 20, &mut records)
        .expect("a message");
    assert_eq!(queue.oldest(), Some(START + 9));
    // What comes back is as old as it is.
    queue.requeue(vec![got], START + 30, &mut records);
    assert_eq!(queue.oldest(), Some(START + 5));
}

#[test]
fn waits_are_counted_as_messages_leave() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    enqueue(&mut queue, &["a", "b"], START - 700);
    consume(&mut queue, receiver.consumer(1));
    enqueue(&mut queue, &["c"], START + 1);
    let waited = queue.history().expect("there was something").waited;
    let place = |millis: u64| WAIT_BOUNDS_MS.iter().position(|bound| *bound == millis);
    assert_eq!(waited.counts[place(1_000).expect("a bound")], 2);
    assert_eq!(waited.counts[place(1).expect("a bound")], 1);
    assert_eq!(waited.sum, 1_400);
    assert_eq!(receiver.bodies().len(), 3);
}

#[test]
fn the_dead_are_counted_by_what_becomes_of_them() {
    let mut queue = expiring_queue(Some(10), None);
    enqueue(&mut queue, &["a", "b"], START);
    let mut records = Vec::new();
    queue.tick(START + 10, &mut records);
    let expired = |expired| DeadCounts {
        expired,
        ..DeadCounts::default()
    };
    let history = queue.history().expect("there was something");
    assert_eq!(history.dead(Strategy::Disabled), expired(2));

    for (surely, strategy) in [(false, Strategy::AtMostOnce), (true, Strategy::AtLeastOnce)] {
        let mut queue = queue_with(QueueOptions {
            arguments: QueueArguments {
                dead_letter: Some(DeadLetter {
                    exchange: ExchangeName::known("dlx"),
                    routing_key: None,
                }),
                dead_letter_surely: surely,
                ..QueueArguments::default()
            },
            ..QueueOptions::default()
        });
        queue.enqueue(texts(&["a"]), START, &mut records);
        let got = queue.get(false, START, &mut records).expect("a message");
        queue.reject(vec![got], START, &mut records);
        let dead = queue.take_dead();
        queue.settle_dead(&dead, &mut records);
        let counts = queue.history().expect("there was something").dead(strategy);
        assert_eq!((counts.rejected, counts.confirmed), (1, u64::from(surely)));
    }
}
