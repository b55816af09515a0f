//! Through exchanges to queues: bindings between exchanges, circles, alternate exchanges (spec §5.2).

use super::*;

fn with_alternate(name: &str, alternate: &str) -> ExchangeSpec {
    ExchangeSpec {
        arguments: arguments(&[(
            "alternate-exchange",
            AMQPValue::LongString(alternate.into()),
        )]),
        ..exchange(name, Kind::Direct)
    }
}

fn queues(node: &Node, names: &[&str]) {
    for name in names {
        node.declare_queue(durable(name));
    }
}

#[test]
fn the_default_exchange_knows_every_queue_by_its_name() {
    let node = Node::new();
    queues(&node, &["q"]);
    assert_eq!(node.route("", "q"), ["q"]);
    assert_eq!(node.route("", "other"), [""; 0]);
    node.delete_queue("q");
    assert_eq!(node.route("", "q"), [""; 0]);
}

#[test]
fn a_queue_reached_on_many_ways_gets_one_copy() {
    let node = Node::new();
    queues(&node, &["q"]);
    for name in ["a", "b", "c"] {
        node.declare_exchange(exchange(name, Kind::Fanout));
    }
    node.bind(&to_exchange("a", "b", ""));
    node.bind(&to_exchange("a", "c", ""));
    node.bind(&to_exchange("b", "c", "other"));
    for source in ["a", "b", "c"] {
        node.bind(&to_queue(source, "q", "k"));
    }
    assert!(node.publish("a", "k", &["once"]));
    assert_eq!(node.drain("q"), ["once"]);
}

#[test]
fn circles_of_exchanges_end() {
    let node = Node::new();
    queues(&node, &["qa", "qb"]);
    node.declare_exchange(exchange("a", Kind::Fanout));
    node.declare_exchange(exchange("b", Kind::Fanout));
    node.bind(&to_exchange("a", "b", ""));
    node.bind(&to_exchange("b", "a", ""));
    node.bind(&to_queue("a", "qa", ""));
    node.bind(&to_queue("b", "qb", ""));
    assert_eq!(node.route("a", ""), ["qa", "qb"]);
    assert_eq!(node.route("b", ""), ["qa", "qb"]);
}

#[test]
fn the_key_is_matched_anew_at_each_exchange() {
    let node = Node::new();
    queues(&node, &["q"]);
    node.declare_exchange(exchange("topic", Kind::Topic));
    node.declare_exchange(exchange("direct", Kind::Direct));
    node.bind(&to_exchange("topic", "direct", "a.#"));
    node.bind(&to_queue("direct", "q", "a.b"));
    assert_eq!(node.route("topic", "a.b"), ["q"]);
    assert_eq!(node.route("topic", "a.c"), [""; 0]);
}

#[test]
fn an_alternate_exchange_takes_what_has_no_route() {
    let node = Node::new();
    queues(&node, &["bound", "rest"]);
    node.declare_exchange(with_alternate("x", "ae"));
    assert_eq!(
        node.route("x", "k"),
        [""; 0],
        "there is no alternate exchange yet"
    );
    node.declare_exchange(with_alternate("ae", "last"));
    node.declare_exchange(exchange("last", Kind::Fanout));
    node.bind(&to_queue("x", "bound", "k"));
    node.bind(&to_queue("last", "rest", ""));
    assert_eq!(node.route("x", "k"), ["bound"]);
    assert_eq!(node.route("x", "other"), ["rest"], "along the chain");
    node.bind(&to_queue("ae", "bound", "other"));
    assert_eq!(node.route("x", "other"), ["bound"]);
    node.delete_exchange("ae");
    assert_eq!(node.route("x", "other"), [""; 0]);
}

#[test]
fn alternate_exchanges_in_a_circle_end() {
    let node = Node::new();
    node.declare_exchange(with_alternate("x", "y"));
    node.declare_exchange(with_alternate("y", "x"));
    node.declare_exchange(with_alternate("self", "self"));
    assert_eq!(node.route("x", "k"), [""; 0]);
    assert_eq!(node.route("self", "k"), [""; 0]);
}

#[test]
fn an_alternate_exchange_behind_a_binding_takes_part() {
    let node = Node::new();
    queues(&node, &["rest"]);
    node.declare_exchange(exchange("front", Kind::Fanout));
    node.declare_exchange(with_alternate("x", "ae"));
    node.declare_exchange(exchange("ae", Kind::Fanout));
    node.bind(&to_exchange("front", "x", ""));
    node.bind(&to_queue("ae", "rest", ""));
    assert_eq!(node.route("front", "k"), ["rest"]);
}

#[test]
fn the_default_exchange_can_be_an_alternate() {
    let node = Node::new();
    queues(&node, &["k"]);
    node.declare_exchange(with_alternate("x", ""));
    assert_eq!(node.route("x", "k"), ["k"]);
}

#[test]
fn whoever_remembers_a_route_hears_of_changes() {
    let node = Node::new();
    let mut epoch = node.vhost.epoch();
    let mut check = |what: &str| {
        let now = node.vhost.epoch();
        assert!(now > epoch, "{what} went unnoticed");
        epoch = now;
    };
    queues(&node, &["q"]);
    check("declaring a queue");
    node.declare_exchange(exchange("x", Kind::Fanout));
    check("declaring an exchange");
    node.bind(&to_queue("x", "q", ""));
    check("binding");
    node.unbind(&to_queue("x", "q", ""));
    check("unbinding");
    node.delete_queue("q");
    check("deleting a queue");
    node.delete_exchange("x");
    check("deleting an exchange");
}

#[test]
fn headers_decide_only_where_a_headers_exchange_is_on_the_way() {
    let node = Node::new();
    queues(&node, &["q"]);
    node.declare_exchange(exchange("front", Kind::Fanout));
    let by_headers = |node: &Node| {
        let front = node.vhost.exchange("front").expect("there");
        node.vhost.route(&front, &[""]).each_message
    };
    node.bind(&to_queue("front", "q", ""));
    assert!(!by_headers(&node));
    node.bind(&to_exchange("front", "amq.headers", ""));
    assert!(by_headers(&node));
}

#[test]
fn a_route_to_a_queue_that_is_gone_leads_nowhere() {
    let node = Node::new();
    queues(&node, &["q", "other"]);
    let stale = [node.queue("q"), node.queue("other")];
    node.delete_queue("q");
    let run = persistent("", "q", &["a"]);
    let publish::Enqueued {
        taken, commit: lsn, ..
    } = publish::enqueue(&stale[..1], &run, NOW);
    assert_eq!(
        (taken, lsn),
        (false, Lsn::NONE),
        "and the store hears nothing of it"
    );
    let publish::Enqueued { taken, .. } = publish::enqueue(&stale, &run, NOW);
    assert!(taken, "by the other one");
}
