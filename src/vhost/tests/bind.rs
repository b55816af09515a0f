//! Bindings come and go: once, with their ends, and with auto-delete exchanges.

use super::*;

fn auto_delete(name: &str) -> ExchangeSpec {
    ExchangeSpec {
        auto_delete: true,
        ..exchange(name, Kind::Fanout)
    }
}

#[test]
fn binding_twice_is_once() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    let binding = to_queue("amq.direct", "q", "k");
    node.bind(&binding);
    assert_eq!(node.vhost.bind(&binding, MINE, NOW), Ok(Lsn::NONE));
    let with_arguments = Binding {
        arguments: arguments(&[("a", AMQPValue::LongInt(1))]),
        ..binding.clone()
    };
    node.bind(&with_arguments);
    let bindings = node
        .vhost
        .exchange("amq.direct")
        .expect("always there")
        .bindings();
    assert_eq!(bindings.len(), 2, "arguments are part of a binding");
    assert_eq!(node.route("amq.direct", "k"), ["q"]);
    node.unbind(&binding);
    assert_eq!(
        node.route("amq.direct", "k"),
        ["q"],
        "the other one is left"
    );
    assert_eq!(node.stored_counts(), [0, 1, 1]);
}

#[test]
fn both_ends_must_be_there_to_bind_but_not_to_unbind() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    let bind = |binding: Binding| node.vhost.bind(&binding, MINE, NOW);
    check_refused(
        bind(to_queue("x", "q", "")),
        404,
        "no exchange 'x' in vhost '/'",
    );
    check_refused(
        bind(to_queue("x", "none", "")),
        404,
        "no exchange 'x' in vhost '/'",
    );
    check_refused(
        bind(to_queue("amq.topic", "none", "")),
        404,
        "no queue 'none' in vhost '/'",
    );
    check_refused(
        bind(to_exchange("amq.topic", "x", "")),
        404,
        "no exchange 'x' in vhost '/'",
    );
    for binding in [
        to_queue("x", "q", ""),
        to_queue("amq.topic", "none", ""),
        to_exchange("amq.topic", "x", ""),
        to_queue("amq.topic", "q", "never bound"),
    ] {
        assert_eq!(node.vhost.unbind(&binding, MINE), Ok(Lsn::NONE));
    }
}

#[test]
fn an_exclusive_queue_is_bound_by_its_owner() {
    let node = Node::new();
    node.declare_queue(exclusive("q", MINE));
    let binding = to_queue("amq.fanout", "q", "");
    assert_eq!(
        node.vhost
            .bind(&binding, ANOTHER, NOW)
            .map_err(|error| error.code().code()),
        Err(405)
    );
    let not_there = node.vhost.unbind(&binding, ANOTHER);
    assert_eq!(not_there, Ok(Lsn::NONE), "there is nothing to protect");
    node.bind(&binding);
    assert_eq!(
        node.vhost
            .unbind(&binding, ANOTHER)
            .map_err(|error| error.code().code()),
        Err(405)
    );
    assert_eq!(node.route("amq.fanout", ""), ["q"]);
    assert_eq!(
        node.stored_counts(),
        [0, 0, 0],
        "nothing of it outlives the node"
    );
}

#[test]
fn a_headers_binding_with_a_wrong_match_is_refused() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    let wrong = Binding {
        arguments: arguments(&[("x-match", AMQPValue::LongString("most".into()))]),
        ..to_queue("amq.headers", "q", "")
    };
    check_refused(
        node.vhost.bind(&wrong, MINE, NOW),
        406,
        "Invalid x-match field value <<\"most\">>; expected all, any, all-with-x, or any-with-x",
    );
    assert_eq!(node.stored_counts(), [0, 1, 0]);
}

#[test]
fn deleting_a_queue_removes_its_bindings() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.declare_queue(durable("other"));
    node.declare_exchange(exchange("x", Kind::Topic));
    for (source, key) in [
        ("x", "a"),
        ("x", "b"),
        ("amq.fanout", ""),
        ("amq.headers", ""),
    ] {
        node.bind(&to_queue(source, "q", key));
        node.bind(&to_queue(source, "other", key));
    }
    node.delete_queue("q");
    assert_eq!(node.route("x", "a"), ["other"]);
    assert_eq!(node.route("amq.fanout", ""), ["other"]);
    node.declare_queue(durable("q"));
    assert_eq!(
        node.route("x", "a"),
        ["other"],
        "a new queue of that name is another"
    );
    let node = node.restarted();
    assert_eq!(node.route("x", "a"), ["other"]);
    assert_eq!(node.stored_counts(), [1, 2, 4]);
}

#[test]
fn deleting_an_exchange_removes_the_bindings_from_and_to_it() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    for name in ["from", "x", "to"] {
        node.declare_exchange(exchange(name, Kind::Fanout));
    }
    node.bind(&to_exchange("from", "x", ""));
    node.bind(&to_exchange("x", "to", ""));
    node.bind(&to_queue("x", "q", ""));
    node.bind(&to_queue("from", "q", ""));
    node.delete_exchange("x");
    assert_eq!(node.route("from", ""), ["q"]);
    assert_eq!(
        node.vhost.exchange("from").expect("kept").bindings().len(),
        1
    );
    assert_eq!(node.stored_counts(), [2, 1, 1]);
}

#[test]
fn an_exchange_bound_to_itself_leaves_no_binding_behind() {
    let node = Node::new();
    node.declare_exchange(exchange("x", Kind::Fanout));
    node.bind(&to_exchange("x", "x", ""));
    assert_eq!(node.route("x", ""), [""; 0], "and does not go in circles");
    node.delete_exchange("x");
    assert_eq!(node.stored_counts(), [0, 0, 0]);
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.declare_exchange(auto_delete("x"));
    node.bind(&to_queue("x", "q", "a"));
    node.bind(&to_queue("x", "q", "b"));
    node.unbind(&to_queue("x", "q", "a"));
    assert_eq!(node.exchange_names(), ["x"]);
    node.unbind(&to_queue("x", "q", "b"));
    assert_eq!(node.exchange_names(), [""; 0]);
    assert_eq!(node.stored_counts(), [0, 1, 0]);
}

#[test]
fn an_auto_delete_exchange_that_was_never_bound_stays() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.declare_exchange(auto_delete("x"));
    node.unbind(&to_queue("x", "q", ""));
    node.delete_queue("q");
    assert_eq!(node.exchange_names(), ["x"]);
    node.bind(&to_exchange("amq.fanout", "x", ""));
    node.unbind(&to_exchange("amq.fanout", "x", ""));
    assert_eq!(node.exchange_names(), ["x"], "bindings to it do not count");
}

#[test]
fn auto_delete_exchanges_fall_one_after_another() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    for name in ["a", "b", "c"] {
        node.declare_exchange(auto_delete(name));
    }
    node.declare_exchange(exchange("kept", Kind::Fanout));
    node.bind(&to_exchange("kept", "a", ""));
    node.bind(&to_exchange("a", "b", ""));
    node.bind(&to_exchange("b", "c", ""));
    node.bind(&to_queue("c", "q", ""));
    assert_eq!(node.route("kept", ""), ["q"]);
    node.delete_queue("q");
    assert_eq!(node.exchange_names(), ["kept"]);
    assert_eq!(node.stored_counts(), [1, 0, 0]);
}

#[test]
fn auto_delete_exchanges_in_a_circle_fall_together() {
    let node = Node::new();
    for name in ["a", "b", "c"] {
        node.declare_exchange(auto_delete(name));
    }
    node.bind(&to_exchange("a", "b", ""));
    node.bind(&to_exchange("b", "c", ""));
    node.bind(&to_exchange("c", "a", ""));
    node.delete_exchange("b");
    assert_eq!(node.exchange_names(), [""; 0]);
    assert_eq!(node.stored_counts(), [0, 0, 0]);
}
