//! Exchange types that remember messages: recent history, deduplication; and queues that take none twice.

use super::exchange_types::declare;
use super::exchange_types::send_with;
use super::exchange_types::string;
use super::exchange_types::with_header;
use super::*;

const HISTORY: &str = "x-recent-history";
pub(super) const DEDUPLICATION: &str = "x-message-deduplication";

#[test]
fn a_new_binding_gets_the_latest_messages_oldest_first() {
    let node = Node::new();
    let mut client = node.client();
    let three = [("x-recent-history-length", AMQPValue::LongInt(3))];
    declare(&mut client, "x", HISTORY, &three).expect("declared");
    client.queue("first");
    client.queue("second");
    client.bind_queue("x", "first", "k");
    client.send("x", "any", &["1", "2", "3"]);
    client.send("x", "other", &["4", "5"]);
    assert_eq!(client.drain("first"), ["1", "2", "3", "4", "5"]);
    client.bind_queue("x", "second", "k");
    assert_eq!(client.drain("second"), ["3", "4", "5"]);
    client.bind_queue("x", "second", "k");
    assert!(client.drain("second").is_empty(), "it was bound already");
    client.bind_queue("x", "second", "another");
    assert_eq!(client.drain("second"), ["3", "4", "5"]);
    client.send("x", "k", &["6"]);
    assert_eq!(client.drain("second"), ["6"]);
}

#[test]
fn twenty_messages_are_remembered_and_none_that_asks_not_to_be() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("x", HISTORY);
    let no_store = |flag| with_header("x-recent-history-no-store", flag);
    for number in 0..30 {
        assert!(send_with(
            &mut client,
            "x",
            "k",
            &number.to_string(),
            persistent()
        ));
        let flag = AMQPValue::Boolean(true);
        send_with(&mut client, "x", "k", "secret", no_store(flag));
    }
    let flag = AMQPValue::Boolean(false);
    send_with(&mut client, "x", "k", "30", no_store(flag));
    client.queue("q");
    client.bind_queue("x", "q", "");
    let latest: Vec<String> = (11..=30).map(|number| number.to_string()).collect();
    assert_eq!(client.drain("q"), latest);
}

#[test]
fn history_reaches_queues_through_exchanges_and_is_made_through_them() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("front", "fanout");
    client.exchange("x", HISTORY);
    client.exchange("to", "direct");
    client.queue("q");
    client.bind(to_exchange("front", "x", "")).expect("bound");
    client.bind_queue("to", "q", "k");
    client.send("front", "k", &["1", "2"]);
    client.send("front", "other", &["3"]);
    client.bind(to_exchange("x", "to", "")).expect("bound");
    assert_eq!(
        client.drain("q"),
        ["2", "1"],
        "the newest first, as RabbitMQ sends them to exchanges"
    );
    client.exchange("empty", "topic");
    client.bind(to_exchange("x", "empty", "")).expect("bound");
}

#[test]
fn history_obeys_the_queue_it_is_sent_to() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("x", HISTORY);
    client.exchange("dead", "fanout");
    client.queue("graves");
    client.bind_queue("dead", "graves", "");
    client.send("x", "k", &["1", "2", "3"]);
    let declare = QueueDeclare {
        arguments: arguments(&[
            ("x-max-length", AMQPValue::LongInt(1)),
            ("x-dead-letter-exchange", string("dead")),
        ]),
        ..queue("short")
    };
    client.declare_queue(declare).expect("declared");
    client.bind_queue("x", "short", "");
    assert_eq!(client.drain("short"), ["3"]);
    assert_eq!(client.drain("graves"), ["1", "2"]);
}

#[test]
fn a_wrong_history_length_is_refused_in_rabbitmqs_words() {
    let node = Node::new();
    let mut client = node.client();
    for (value, shown) in [
        (AMQPValue::LongInt(0), "0"),
        (AMQPValue::LongInt(-1), "-1"),
        (string("5"), "<<\"5\">>"),
        (AMQPValue::Boolean(true), "true"),
        (AMQPValue::Void, "undefined"),
    ] {
        check_refused(
            declare(
                &mut client,
                "x",
                HISTORY,
                &[("x-recent-history-length", value)],
            ),
            406,
            &format!(
                "Invalid argument {shown}, 'x-recent-history-length' must be a positive integer"
            ),
        );
    }
}

pub(super) fn with_id(id: &str) -> AMQPProperties {
    with_header("x-deduplication-header", string(id))
}

/// An exchange that remembers so many messages, and a queue behind it.
fn deduplicating(client: &mut Client, size: i32, others: &[(&str, AMQPValue)]) {
    let mut entries = vec![("x-cache-size", AMQPValue::LongInt(size))];
    entries.extend_from_slice(others);
    declare(client, "x", DEDUPLICATION, &entries).expect("declared");
    client.queue("q");
    client.bind_queue("x", "q", "");
}

#[test]
fn a_message_that_was_there_before_is_dropped() {
    let node = Node::new();
    let mut client = node.client();
    deduplicating(&mut client, 2, &[]);
    for (id, body) in [
        ("a", "1"),
        ("b", "2"),
        ("a", "again"),
        ("c", "3"),
        ("a", "4"),
    ] {
        send_with(&mut client, "x", body, body, with_id(id));
    }
    for body in ["5", "6"] {
        send_with(&mut client, "x", "k", body, persistent());
    }
    assert_eq!(
        client.drain("q"),
        ["1", "2", "3", "4", "5", "6"],
        "the third of two was forgotten, and what has no header is never a duplicate"
    );
}

#[test]
fn a_duplicate_is_confirmed_and_returned_as_unroutable() {
    let node = Node::new();
    let mut client = node.client();
    deduplicating(&mut client, 10, &[]);
    let run = run_of(
        "x",
        "k",
        &[
            ("1", with_id("a")),
            ("2", with_id("a")),
            ("3", with_id("b")),
        ],
    );
    let publish = Publish {
        run,
        mandatory: true,
    };
    let published = client.publish(CHANNEL, publish).expect("published");
    assert_eq!(returned(&published), [1]);
    assert!(published.refused.is_empty());
    assert_eq!(client.drain("q"), ["1", "3"]);
}

#[test]
fn after_its_time_a_message_is_new_again() {
    let node = Node::new();
    let mut client = node.client();
    deduplicating(&mut client, 10, &[("x-cache-ttl", AMQPValue::LongInt(100))]);
    let send = |client: &mut Client, now: u64, body: &str, own_ttl: Option<i32>| {
        let mut headers = FieldTable::default();
        headers.insert("x-deduplication-header".into(), string("a"));
        if let Some(ttl) = own_ttl {
            headers.insert("x-cache-ttl".into(), AMQPValue::LongInt(ttl));
        }
        client.set_now(now);
        send_with(client, "x", "k", body, persistent().with_headers(headers));
    };
    send(&mut client, 1000, "1", None);
    send(&mut client, 1099, "again", None);
    send(&mut client, 1100, "2", Some(1000));
    send(&mut client, 2099, "again", None);
    send(&mut client, 2100, "3", None);
    assert_eq!(client.drain("q"), ["1", "2", "3"]);
}

#[test]
fn duplicates_are_dropped_wherever_the_exchange_stands() {
    let node = Node::new();
    let mut client = node.client();
    deduplicating(
        &mut client,
        10,
        &[("alternate-exchange", string("repeated"))],
    );
    client.exchange("front", "fanout");
    client.exchange("repeated", "fanout");
    client.queue("duplicates");
    client.bind_queue("repeated", "duplicates", "");
    client.bind(to_exchange("front", "x", "")).expect("bound");
    for body in ["1", "2"] {
        send_with(&mut client, "front", "k", body, with_id("a"));
    }
    assert_eq!(client.drain("q"), ["1"]);
    assert_eq!(client.drain("duplicates"), ["2"]);
}

/// A queue that takes no message twice.
fn unique(client: &mut Client, others: &[(&str, AMQPValue)]) {
    let mut entries = vec![("x-message-deduplication", AMQPValue::Boolean(true))];
    entries.extend_from_slice(others);
    let declare = QueueDeclare {
        arguments: arguments(&entries),
        ..queue("q")
    };
    client.declare_queue(declare).expect("declared");
}

/// Publishes to the queue.
fn offer(client: &mut Client, id: &str, body: &str) {
    let returned = send_with(client, "", "q", body, with_id(id));
    assert!(!returned, "a duplicate counts as taken");
}

#[test]
fn a_queue_takes_no_message_twice_while_it_has_it() {
    let node = Node::new();
    let mut client = node.client();
    unique(&mut client, &[]);
    for (id, body) in [("a", "1"), ("b", "2"), ("a", "again")] {
        offer(&mut client, id, body);
    }
    for body in ["3", "4"] {
        send_with(&mut client, "", "q", body, persistent());
    }
    let mut consumer = node.client();
    consumer.consumer("q");
    let mut got = consumer.deliveries();
    assert_eq!(bodies(&got), ["1", "2", "3", "4"]);
    offer(&mut client, "a", "unacknowledged");
    assert!(consumer.deliveries().is_empty());
    let first = got.remove(0);
    let rest = got;
    consumer.settle(CHANNEL, Settle::Requeue, vec![first]);
    offer(&mut client, "a", "requeued");
    let got = consumer.deliveries();
    assert_eq!(bodies(&got), ["1"]);
    consumer.ack(got);
    consumer.settle(CHANNEL, Settle::Reject, rest);
    for (id, body) in [("a", "5"), ("b", "6")] {
        offer(&mut client, id, body);
    }
    assert_eq!(bodies(&consumer.deliveries()), ["5", "6"]);
}

#[test]
fn what_leaves_a_queue_on_any_way_may_come_again() {
    let node = Node::new();
    let mut client = node.client();
    unique(
        &mut client,
        &[
            ("x-message-ttl", AMQPValue::LongInt(100)),
            ("x-max-length", AMQPValue::LongInt(2)),
        ],
    );
    let name = QueueName::known("q");
    offer(&mut client, "a", "1");
    assert_eq!(client.drain("q"), ["1"]);
    offer(&mut client, "a", "2");
    client.purge_queue(&name).expect("purged");
    offer(&mut client, "a", "3");
    node.run_timers(NOW + 100);
    client.set_now(NOW + 100);
    for (id, body) in [
        ("a", "4"),
        ("b", "5"),
        ("c", "6"),
        ("a", "7"),
        ("c", "again"),
    ] {
        offer(&mut client, id, body);
    }
    assert_eq!(client.drain("q"), ["6", "7"], "two find room");
}

#[test]
fn messages_of_one_run_are_taken_as_if_they_came_one_by_one() {
    let node = Node::new();
    let mut client = node.client();
    unique(&mut client, &[]);
    let messages = [
        ("1", with_id("a")),
        ("again", with_id("a")),
        ("2", with_id("b")),
        ("3", persistent()),
        ("again", with_id("b")),
        ("4", with_id("c")),
    ];
    let publish = || Publish {
        run: run_of("", "q", &messages),
        mandatory: true,
    };
    let published = client.publish(CHANNEL, publish()).expect("published");
    assert!(published.refused.is_empty() && published.unrouted.is_empty());
    assert_eq!(node.messages("q"), (4, 0));
    assert_eq!(client.drain("q"), ["1", "2", "3", "4"]);
    let mut consumer = node.client();
    let consume = Consume {
        no_ack: true,
        ..consume("q")
    };
    consumer.consume(CHANNEL, consume).expect("a consumer");
    client.publish(CHANNEL, publish()).expect("published");
    assert_eq!(
        bodies(&consumer.deliveries()),
        ["1", "again", "2", "3", "again", "4"],
        "each was gone before the next came"
    );
}

#[test]
fn a_queue_knows_after_a_restart_what_it_has() {
    let node = Node::new();
    let mut client = node.client();
    unique(&mut client, &[]);
    offer(&mut client, "a", "1");
    offer(&mut client, "b", "2");
    let name = QueueName::known("q");
    client.get(CHANNEL, &name, true).expect("allowed");
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    offer(&mut client, "b", "again");
    offer(&mut client, "a", "3");
    assert_eq!(client.drain("q"), ["2", "3"]);
}
