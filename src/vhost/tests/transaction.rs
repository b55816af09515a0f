//! `tx.commit` on several queues.

use super::*;
use crate::vhost::Transaction;

fn two_queues(node: &Node) -> [Arc<QueueHandle>; 2] {
    ["a", "b"].map(|name| node.declare_queue(durable(name)))
}

#[test]
fn nothing_happens_before_the_commit() {
    let node = Node::new();
    let queues = two_queues(&node);
    let outbox = Arc::new(Outbox::new(1 << 20));
    consume(&queues[0], consumer(1, &outbox));
    node.publish("", "a", &["before"]);
    let held = deliveries(&outbox);

    let mut transaction = Transaction::default();
    transaction.enqueue(&queues, &persistent("", "k", &["one", "two"]), 1);
    transaction.settle(&queues[0], held.clone());
    assert!(deliveries(&outbox).is_empty());
    assert_eq!(queues[1].enter(|state, _| state.counts()).0.ready, 0);
    assert_eq!(queues[0].enter(|state, _| state.counts()).0.unacked, 1);

    let lsn = transaction.commit(&node.shared.store, NOW).expect("room");
    let delivered: Vec<_> = deliveries(&outbox)
        .iter()
        .flat_map(|range| bodies(&range.run))
        .collect();
    assert_eq!(delivered, ["one", "two"]);
    assert_eq!(queues[0].enter(|state, _| state.counts()).0.unacked, 2);
    node.wait(lsn);
    let node = node.after_power_cut();
    assert_eq!(node.drain("a"), ["one", "two"]);
    assert_eq!(node.drain("b"), ["one", "two"]);
}

#[test]
fn a_transaction_that_is_dropped_has_never_been() {
    let node = Node::new();
    let queues = two_queues(&node);
    node.publish("", "a", &["before"]);
    let held = get(&queues[0], false).expect("a message");
    let mut transaction = Transaction::default();
    transaction.enqueue(&queues, &persistent("", "k", &["never"]), 1);
    transaction.settle(&queues[0], vec![held.clone()]);
    drop(transaction);
    let (ready, _) = queues[0].enter(|state, records| {
        state.requeue(vec![held], NOW, records);
        state.counts().ready
    });
    assert_eq!(
        ready, 1,
        "the queue is not held, the message was not settled"
    );
    let node = node.restarted();
    assert_eq!(node.drain("a"), ["before"]);
    assert_eq!(node.drain("b"), [""; 0]);
}

#[test]
fn a_transaction_is_one_batch_for_the_store() {
    let node = Node::new();
    let queues = two_queues(&node);
    let commit = || {
        let mut transaction = Transaction::default();
        transaction.enqueue(&queues, &persistent("", "k", &["x"]), 1);
        transaction.enqueue(&queues[..1], &persistent("", "k", &["only here"]), 1);
        transaction.commit(&node.shared.store, NOW).expect("room")
    };
    // The store numbers what it gets, and a batch reaches the disk as a whole or not at all.
    let (first, second) = (commit(), commit());
    assert_eq!(second, Lsn(first.0 + 1));
}

#[test]
fn a_queue_deleted_meanwhile_takes_nothing() {
    let node = Node::new();
    let queues = two_queues(&node);
    node.publish("", "a", &["before"]);
    let held = get(&queues[0], false).expect("a message");
    let mut transaction = Transaction::default();
    transaction.enqueue(&queues, &persistent("", "k", &["after"]), 1);
    transaction.settle(&queues[0], vec![held]);
    node.delete_queue("a");
    node.wait(transaction.commit(&node.shared.store, NOW).expect("room"));
    assert_eq!(queues[0].enter(|state, _| state.counts()).0.ready, 0);
    let known = [queues[1].id].into();
    let node = node.after_power_cut();
    assert_eq!(node.drain("b"), ["after"]);
    assert_eq!(
        node.shared
            .store
            .retain_queues(&known)
            .expect("a sound store"),
        0
    );
}

#[test]
fn steps_on_one_queue_keep_their_order() {
    let node = Node::new();
    let [queue, _] = two_queues(&node);
    let mut transaction = Transaction::default();
    for body in ["1", "2", "3"] {
        transaction.enqueue(
            std::slice::from_ref(&queue),
            &persistent("", "k", &[body]),
            1,
        );
    }
    node.wait(transaction.commit(&node.shared.store, NOW).expect("room"));
    assert_eq!(node.drain("a"), ["1", "2", "3"]);
}

#[test]
fn a_commit_makes_the_queue_ask_for_its_timer() {
    let node = Node::new();
    let queue = node.declare_queue(QueueSpec {
        arguments: arguments(&[("x-message-ttl", AMQPValue::LongInt(10))]),
        ..durable("q")
    });
    let mut transaction = Transaction::default();
    transaction.enqueue(
        std::slice::from_ref(&queue),
        &persistent("", "q", &["short"]),
        1,
    );
    transaction.commit(&node.shared.store, NOW).expect("room");
    assert_eq!(node.shared.timers.take_due(NOW + 10), [queue.id]);
    assert_eq!(queue.tick(NOW + 10), None);
    assert_eq!(queue.enter(|state, _| state.counts()).0.ready, 0);
}

#[test]
fn whoever_enters_a_queue_waits_for_the_commit_that_holds_it() {
    let node = Node::new();
    let [queue, _] = two_queues(&node);
    let mut records = Vec::new();
    queue.enter_held(&mut records, |state, records| {
        state.enqueue(persistent("", "a", &["new"]), NOW, records);
    });
    let other = Arc::clone(&queue);
    let waiting = std::thread::spawn(move || get(&other, true));
    for _ in 0..1000 {
        assert!(
            !waiting.is_finished(),
            "the store has not got the message yet"
        );
        std::thread::yield_now();
    }
    node.shared.store.append(records);
    assert!(!queue.release(NOW));
    assert!(waiting.join().expect("no panic").is_some());
    let node = node.restarted();
    assert_eq!(node.drain("a"), [""; 0], "settled after it was put");
}
