//! What a session adds to declarations: reserved and server-made names, the default exchange, expiry.

use super::*;

const NO_DEFAULT: &str = "operation not permitted on the default exchange";

#[test]
fn the_default_exchange_is_not_touched() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    let none = ExchangeName::known("");
    check_refused(
        client.declare_exchange(exchange("", "direct")),
        403,
        NO_DEFAULT,
    );
    check_refused(client.check_exchange(&none), 403, NO_DEFAULT);
    check_refused(client.delete_exchange(&none, false), 403, NO_DEFAULT);
    check_refused(client.bind(to_queue("", "q", "k")), 403, NO_DEFAULT);
    check_refused(client.unbind(to_queue("", "q", "q")), 403, NO_DEFAULT);
    check_refused(
        client.bind(to_exchange("amq.topic", "", "k")),
        403,
        NO_DEFAULT,
    );
}

#[test]
fn reserved_names_are_refused_where_rabbitmq_refuses_them() {
    let node = Node::new();
    let mut client = node.client();
    let reserved = "queue name 'amq.q' contains reserved prefix 'amq.*'";
    check_refused(client.declare_queue(queue("amq.q")), 403, reserved);
    let named = client.declare_queue(queue("")).expect("declared").queue;
    let again = client.declare_queue(queue(&named));
    check_refused(
        again,
        403,
        &format!("queue name '{named}' contains reserved prefix 'amq.*'"),
    );
    assert!(client.check_queue(&named).is_ok(), "looking at it is fine");
    check_refused(
        client.declare_exchange(exchange("amq.x", "direct")),
        403,
        "exchange name 'amq.x' contains reserved prefix 'amq.*'",
    );
    assert!(
        client
            .declare_exchange(exchange("amq.topic", "topic"))
            .is_ok(),
        "as it is"
    );
    check_refused(
        client.declare_exchange(exchange("amq.topic", "direct")),
        406,
        "inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': received 'direct' but current is 'topic'",
    );
    for name in ["amq.topic", "amq.none"] {
        check_refused(
            client.delete_exchange(&ExchangeName::known(name), false),
            403,
            &format!("deletion of system exchange '{name}' in vhost '/' not allowed"),
        );
    }
}

#[test]
fn an_unknown_type_is_refused_before_anything_else() {
    let node = Node::new();
    let mut client = node.client();
    for name in ["", "x", "amq.topic"] {
        let answer = client.declare_exchange(exchange(name, "x-none"));
        check_refused(answer, 406, "unknown exchange type 'x-none'");
    }
}

#[test]
fn an_alternate_exchange_is_a_name() {
    let node = Node::new();
    let mut client = node.client();
    let declare = ExchangeDeclare {
        arguments: arguments(&[("alternate-exchange", AMQPValue::LongInt(1))]),
        ..exchange("x", "direct")
    };
    check_refused(
        client.declare_exchange(declare),
        406,
        "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'",
    );
}

#[test]
fn looking_finds_what_is_there() {
    let node = Node::new();
    let mut client = node.client();
    let none = QueueName::known("none");
    check_refused(
        client.check_queue(&none),
        404,
        "no queue 'none' in vhost '/'",
    );
    check_refused(
        client.check_exchange(&ExchangeName::known("none")),
        404,
        "no exchange 'none' in vhost '/'",
    );
    client.queue("q");
    client.send("", "q", &["a", "b"]);
    client.consumer("q");
    client.send("", "q", &["c"]);
    let declared = client.check_queue(&QueueName::known("q")).expect("there");
    assert_eq!(
        (declared.message_count, declared.consumer_count),
        (0, 1),
        "all are unacked"
    );
}

#[test]
fn what_does_not_exist_is_deleted_already() {
    let node = Node::new();
    let mut client = node.client();
    let deleted = client.delete_queue(&QueueName::known("none"), true, true);
    assert_eq!(deleted.expect("fine").0, 0);
    assert!(
        client
            .delete_exchange(&ExchangeName::known("none"), true)
            .is_ok()
    );
    check_refused(
        client.purge_queue(&QueueName::known("none")),
        404,
        "no queue 'none' in vhost '/'",
    );
}

#[test]
fn an_unused_queue_expires_by_the_nodes_timer() {
    let node = Node::new();
    let mut client = node.client();
    let expiring = |name| QueueDeclare {
        arguments: arguments(&[("x-expires", AMQPValue::LongInt(100))]),
        ..queue(name)
    };
    for name in ["unused", "looked at", "consumed"] {
        client.declare_queue(expiring(name)).expect("declared");
    }
    assert_eq!(node.next_timer(std::task::Waker::noop()), Some(NOW + 100));
    client.set_now(NOW + 60);
    client
        .check_queue(&QueueName::known("looked at"))
        .expect("there");
    client.consumer("consumed");
    node.run_timers(NOW + 100);
    let there = |names: [&str; 3]| names.map(|name| node.has_queue(name));
    assert_eq!(
        there(["unused", "looked at", "consumed"]),
        [false, true, true]
    );
    node.run_timers(NOW + 160);
    assert_eq!(
        there(["unused", "looked at", "consumed"]),
        [false, false, true]
    );
    client.close_channel(CHANNEL, Vec::new());
    node.run_timers(NOW + 160);
    assert!(!node.has_queue("consumed"));
}

#[test]
fn expired_messages_go_by_the_nodes_timer() {
    let node = Node::new();
    let mut client = node.client();
    let declare = QueueDeclare {
        arguments: arguments(&[("x-message-ttl", AMQPValue::LongInt(50))]),
        ..queue("q")
    };
    client.declare_queue(declare).expect("declared");
    client.send("", "q", &["a"]);
    node.run_timers(NOW + 49);
    assert_eq!(node.messages("q"), (1, 0));
    node.run_timers(NOW + 50);
    assert_eq!(node.messages("q"), (0, 0));
}
