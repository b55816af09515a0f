//! `tx.commit` through a session.

use super::*;
use crate::model::Lsn;

#[test]
fn a_commit_does_all_its_steps() {
    let node = Node::new();
    let mut client = node.client();
    for name in ["from", "to", "other"] {
        client.queue(name);
    }
    client.limit_channel(CHANNEL, 3);
    client.consumer("from");
    client.send("", "from", &["1", "2", "3", "4", "5"]);
    let mut acked = client.deliveries().remove(0);
    let mut requeued = acked.split_off(1);
    let rejected = requeued.split_off(1);
    let mandatory = |key: &str, bodies: &[&str]| Publish {
        mandatory: true,
        ..publish("", key, bodies)
    };
    let steps = vec![
        client.staged(mandatory("to", &["a"])),
        TxStep::Settle(Settle::Ack, vec![acked]),
        client.staged(mandatory("none", &["b", "c"])),
        TxStep::Settle(Settle::Requeue, vec![requeued]),
        TxStep::Settle(Settle::Reject, vec![rejected]),
        client.staged(publish("", "other", &["d"])),
    ];
    let results = client.commit(CHANNEL, steps).expect("committed");
    let unrouted: Vec<_> = results.iter().map(returned).collect();
    assert_eq!(unrouted, [vec![], vec![0, 1], vec![]]);
    let commit = results.iter().map(|published| published.commit).max();
    assert!(commit > Some(Lsn::NONE) && client.publishes());
    assert_eq!(
        bodies(&client.deliveries()),
        ["2", "4", "5"],
        "and the limit has room again"
    );
    assert_eq!(client.drain("to"), ["a"]);
    assert_eq!(client.drain("other"), ["d"]);
}

#[test]
fn a_commit_of_acks_alone_is_waited_for_too() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.send("", "q", &["a"]);
    client.consumer("q");
    let held = client.deliveries();
    let steps = vec![TxStep::Settle(Settle::Ack, held)];
    let results = client.commit(CHANNEL, steps).expect("committed");
    assert!(results.iter().any(|published| published.commit > Lsn::NONE));
    assert_eq!(
        client.commit(CHANNEL, Vec::new()).expect("empty")[0].commit,
        Lsn::NONE
    );
}

#[test]
fn routes_are_those_of_the_publish() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("x", "fanout");
    client.queue("before");
    client.queue("after");
    client.bind_queue("x", "before", "");
    let mandatory = |exchange: &str, key: &str| Publish {
        mandatory: true,
        ..publish(exchange, key, &["a", "b"])
    };
    let steps = vec![
        client.staged(mandatory("x", "")),
        client.staged(mandatory("", "later")),
    ];
    client.bind_queue("x", "after", "");
    client
        .delete_exchange(&ExchangeName::known("x"), false)
        .expect("deleted");
    client.queue("later");
    let results = client.commit(CHANNEL, steps).expect("committed");
    assert_eq!(returned(&results[0]), [] as [usize; 0]);
    assert_eq!(returned(&results[1]), [0, 1]);
    assert_eq!(client.drain("before"), ["a", "b"]);
    assert!(client.drain("after").is_empty() && client.drain("later").is_empty());
}

#[test]
fn a_queue_deleted_since_the_publish_takes_nothing() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.send("", "q", &["held"]);
    let held = client
        .get(CHANNEL, &QueueName::known("q"), false)
        .expect("allowed")
        .expect("a message");
    let staged = client.staged(Publish {
        mandatory: true,
        ..publish("", "q", &["a"])
    });
    client
        .delete_queue(&QueueName::known("q"), false, false)
        .expect("deleted");
    let steps = vec![TxStep::Settle(Settle::Ack, vec![held.range]), staged];
    let results = client.commit(CHANNEL, steps).expect("committed");
    assert_eq!(returned(&results[0]), [0]);
    assert_eq!(
        results[0].commit,
        Lsn::NONE,
        "the store hears nothing of it"
    );
}

#[test]
fn messages_are_checked_as_they_come_and_not_only_at_the_commit() {
    let node = Node::new();
    let mut client = node.client();
    let wrong = Publish {
        run: run_of(
            "",
            "q",
            &[(
                "a",
                AMQPProperties::default().with_expiration("soon".into()),
            )],
        ),
        mandatory: false,
    };
    check_refused(
        client.stage(CHANNEL, wrong),
        406,
        "invalid expiration 'soon': no_integer",
    );
}
