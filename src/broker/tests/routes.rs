//! A session remembers routes, and forgets them when anything changes.

use super::*;

/// A client that has published with this route often enough to remember it, and another that changes things.
fn remembered(node: &Node) -> (Client, Client) {
    let mut other = node.client();
    other.queue("q");
    other.exchange("x", "direct");
    other.bind_queue("x", "q", "k");
    let mut client = node.client();
    for body in ["1", "2"] {
        client.send("x", "k", &[body]);
    }
    assert_eq!(other.drain("q"), ["1", "2"]);
    (client, other)
}

#[test]
fn a_new_binding_is_seen() {
    let node = Node::new();
    let (mut client, mut other) = remembered(&node);
    other.queue("second");
    other.bind_queue("x", "second", "k");
    client.send("x", "k", &["a"]);
    assert_eq!(
        (other.drain("q"), other.drain("second")),
        (vec!["a".to_owned()], vec!["a".to_owned()])
    );
}

#[test]
fn a_binding_taken_away_is_seen() {
    let node = Node::new();
    let (mut client, mut other) = remembered(&node);
    other.unbind(to_queue("x", "q", "k")).expect("unbound");
    client.send("x", "k", &["a"]);
    assert_eq!(node.messages("q"), (0, 0));
}

#[test]
fn a_deleted_queue_is_seen_and_so_is_its_successor() {
    let node = Node::new();
    let (mut client, mut other) = remembered(&node);
    other
        .delete_queue(&QueueName::known("q"), false, false)
        .expect("deleted");
    let mandatory = Publish {
        mandatory: true,
        ..publish("x", "k", &["a"])
    };
    let published = client.publish(CHANNEL, mandatory).expect("published");
    assert_eq!(returned(&published), [0]);
    other.queue("q");
    client.send("", "q", &["b"]);
    other.bind_queue("x", "q", "k");
    client.send("x", "k", &["c"]);
    assert_eq!(other.drain("q"), ["b", "c"]);
}

#[test]
fn a_deleted_exchange_is_seen_and_so_is_its_successor() {
    let node = Node::new();
    let (mut client, mut other) = remembered(&node);
    let x = ExchangeName::known("x");
    other.delete_exchange(&x, false).expect("deleted");
    check_refused(
        client.publish(CHANNEL, publish("x", "k", &["a"])),
        404,
        "no exchange 'x' in vhost '/'",
    );
    other.exchange("x", "fanout");
    other.bind_queue("x", "q", "another key");
    client.send("x", "k", &["b"]);
    assert_eq!(other.drain("q"), ["b"]);
}

#[test]
fn more_routes_than_are_remembered_go_where_they_should() {
    let node = Node::new();
    let mut client = node.client();
    let names: Vec<_> = (0..20).map(|number| format!("q{number}")).collect();
    for name in &names {
        client.queue(name);
    }
    for round in ["1", "2", "3"] {
        for name in &names {
            client.send("", name, &[round]);
        }
    }
    for name in &names {
        assert_eq!(client.drain(name), ["1", "2", "3"], "{name}");
    }
}

#[test]
fn keys_and_exchanges_are_not_confused() {
    let node = Node::new();
    let mut client = node.client();
    for name in ["a", "ab"] {
        client.queue(name);
        client.exchange(name, "direct");
    }
    client.bind_queue("a", "a", "bc");
    client.bind_queue("ab", "ab", "c");
    for _ in 0..2 {
        client.send("a", "bc", &["1"]);
        client.send("ab", "c", &["2"]);
    }
    assert_eq!(client.drain("a"), ["1", "1"]);
    assert_eq!(client.drain("ab"), ["2", "2"]);
}
