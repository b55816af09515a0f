//! Deduplication that survives a restart, and by policy.

use super::exchange_memory::DEDUPLICATION;
use super::exchange_memory::with_id;
use super::exchange_types::declare;
use super::exchange_types::send_with;
use super::exchange_types::string;
use super::*;
use crate::model::Lsn;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;
use serde_json::Value;
use serde_json::json;

/// A durable exchange that remembers so many messages on disk, and a queue behind it.
fn on_disk(client: &mut Client, size: i32, others: &[(&str, AMQPValue)]) {
    let mut entries = vec![
        ("x-cache-size", AMQPValue::LongInt(size)),
        ("x-cache-persistence", string("disk")),
    ];
    entries.extend_from_slice(others);
    declare(client, "x", DEDUPLICATION, &entries).expect("declared");
    client.queue("q");
    client.bind_queue("x", "q", "");
}

fn send(client: &mut Client, id: &str, body: &str) -> Published {
    let publish = Publish {
        run: run_of("x", "k", &[(body, with_id(id))]),
        mandatory: false,
    };
    client.publish(CHANNEL, publish).expect("published")
}

fn set_policy(node: &Node, name: &str, definition: Value) {
    let spec = PolicySpec {
        name: name.to_owned(),
        pattern: json!("^[qx]$"),
        definition,
        priority: None,
        apply_to: None,
    };
    let policy = Policy::judge(
        PolicyKind::Ordinary,
        spec,
        crate::model::Permitted::default(),
    )
    .expect("a policy");
    let vhost = node.vhost("/").expect("the default one");
    vhost.set_policy(PolicyKind::Ordinary, policy, NOW);
}

fn clear_policy(node: &Node, name: &str) {
    let vhost = node.vhost("/").expect("the default one");
    vhost.clear_policy(PolicyKind::Ordinary, name, NOW);
}

#[test]
fn a_memory_on_disk_is_there_after_a_restart() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 3, &[]);
    for (id, body) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("c", "5")] {
        send(&mut client, id, body);
    }
    drop(client);
    let node = node.restarted().restarted();
    let mut client = node.client();
    for (id, body) in [("b", "6"), ("d", "7"), ("a", "8"), ("b", "9")] {
        send(&mut client, id, body);
    }
    assert_eq!(
        client.drain("q"),
        ["1", "2", "3", "4", "8", "9"],
        "b, c and d were known, of which b was forgotten when a came again"
    );
}

#[test]
fn time_goes_on_over_a_restart() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 9, &[("x-cache-ttl", AMQPValue::LongInt(100))]);
    client.set_now(NOW - 100);
    send(&mut client, "a", "1");
    client.set_now(NOW - 99);
    send(&mut client, "b", "2");
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    send(&mut client, "a", "3");
    send(&mut client, "b", "4");
    assert_eq!(client.drain("q"), ["1", "2", "3"]);
}

#[test]
fn a_deleted_exchange_leaves_nothing() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 9, &[]);
    send(&mut client, "a", "1");
    let name = ExchangeName::known("x");
    client.delete_exchange(&name, false).expect("deleted");
    on_disk(&mut client, 9, &[]);
    send(&mut client, "a", "2");
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    send(&mut client, "a", "3");
    assert_eq!(client.drain("q"), ["1", "2"]);
}

#[test]
fn a_duplicate_waits_until_the_first_is_durable() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 9, &[]);
    let first = send(&mut client, "a", "1").commit;
    assert!(first > Lsn::NONE);
    let later = send(&mut client, "b", "2").commit;
    assert_eq!(send(&mut client, "a", "3").commit, first);
    let two = Publish {
        run: run_of("x", "k", &[("4", with_id("b")), ("5", with_id("a"))]),
        mandatory: false,
    };
    let published = client.publish(CHANNEL, two).expect("published");
    assert_eq!(published.commit, later);
    // Also when no queue is there to store anything.
    let unbound = [
        ("x-cache-size", AMQPValue::LongInt(9)),
        ("x-cache-persistence", string("disk")),
    ];
    declare(&mut client, "y", DEDUPLICATION, &unbound).expect("declared");
    let publish = Publish {
        run: run_of("y", "k", &[("1", with_id("a"))]),
        mandatory: false,
    };
    let published = client.publish(CHANNEL, publish).expect("published");
    assert!(published.commit > later);
}

#[test]
fn a_transaction_stores_what_it_has_shown_the_exchange() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 9, &[]);
    let publish = |id: &str, body: &str| Publish {
        run: run_of("x", "k", &[(body, with_id(id))]),
        mandatory: false,
    };
    let steps = vec![
        client.staged(publish("a", "1")),
        client.staged(publish("a", "2")),
    ];
    // Nobody waits for a transaction that may never be committed.
    assert_eq!(send(&mut client, "a", "3").commit, Lsn::NONE);
    let results = client.commit(CHANNEL, steps).expect("committed");
    assert_eq!(send(&mut client, "a", "4").commit, results[1].commit);
    drop(client.staged(publish("b", "never")));
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    send(&mut client, "a", "5");
    send(&mut client, "b", "6");
    assert_eq!(client.drain("q"), ["1", "6"]);
}

#[test]
fn what_dies_into_the_exchange_is_remembered_on_disk() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 9, &[]);
    let dying = [
        ("x-dead-letter-exchange", string("x")),
        ("x-message-ttl", AMQPValue::LongInt(0)),
    ];
    client
        .declare_queue(QueueDeclare {
            arguments: arguments(&dying),
            ..queue("dying")
        })
        .expect("declared");
    for (id, body) in [("a", "1"), ("a", "2"), ("b", "3")] {
        send_with(&mut client, "", "dying", body, with_id(id));
    }
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    send(&mut client, "a", "4");
    send(&mut client, "b", "5");
    assert_eq!(client.drain("q"), ["1", "3"]);
}

#[test]
fn a_policy_changes_how_much_an_exchange_remembers() {
    let node = Node::new();
    let mut client = node.client();
    on_disk(&mut client, 1, &[]);
    let more = json!({"x-cache-size": 3, "x-cache-ttl": 10, "x-cache-persistence": "memory"});
    set_policy(&node, "p", more);
    for (id, body) in [("a", "1"), ("b", "2"), ("a", "3")] {
        send(&mut client, id, body);
    }
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    send(&mut client, "a", "4");
    client.set_now(NOW + 10);
    send(&mut client, "a", "5");
    clear_policy(&node, "p");
    for (id, body) in [("c", "6"), ("d", "7"), ("c", "8")] {
        send(&mut client, id, body);
    }
    assert_eq!(client.drain("q"), ["1", "2", "5", "6", "7", "8"]);
}

#[test]
fn a_policy_makes_a_queue_take_no_message_twice() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    let mut offer = |id: &str, body: &str| {
        send_with(&mut client, "", "q", body, with_id(id));
    };
    offer("a", "1");
    set_policy(&node, "p", json!({"x-message-deduplication": true}));
    // What was in the queue before does not count.
    offer("a", "2");
    offer("a", "3");
    clear_policy(&node, "p");
    offer("a", "4");
    assert_eq!(client.drain("q"), ["1", "2", "4"]);
    // It goes before what was declared.
    let unique = [("x-message-deduplication", AMQPValue::Boolean(true))];
    client
        .declare_queue(QueueDeclare {
            arguments: arguments(&unique),
            ..queue("x")
        })
        .expect("declared");
    set_policy(&node, "p", json!({"x-message-deduplication": false}));
    for body in ["1", "2"] {
        send_with(&mut client, "", "x", body, with_id("a"));
    }
    assert_eq!(client.drain("x"), ["1", "2"]);
}
