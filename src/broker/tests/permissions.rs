//! Who may do what: each command asks for its right, on the right name, before it looks whether anything exists.

use super::*;

/// A node with a user `u` who may configure `c-…`, write `w-…` and read `r-…`.
fn node_and_user() -> (Node, Client) {
    let node = Node::new();
    node.add_user("u", &[]);
    node.permit("u", "^c-", "^w-", "^r-");
    let client = node.client_of("u");
    (node, client)
}

fn refusal(right: &str, resource: &str) -> String {
    format!("{right} access to {resource} in vhost '/' refused for user 'u'")
}

#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, AmqpError>, right: &str, resource: &str) {
    assert!(matches!(answer, Err(AmqpError::Channel { .. })));
    check_refused(answer, 403, &refusal(right, resource));
}

#[track_caller]
fn check_passes<T: std::fmt::Debug>(answer: Result<T, AmqpError>) {
    if let Err(error) = answer {
        assert_ne!(error.code().code(), 403, "{error}");
    }
}

#[test]
fn declaring_and_deleting_need_configure() {
    let (_node, mut client) = node_and_user();
    check(client.declare_queue(queue("q")), "configure", "queue 'q'");
    check(
        client.declare_exchange(exchange("x", "direct")),
        "configure",
        "exchange 'x'",
    );
    check(
        client.delete_queue(&QueueName::known("q"), false, false),
        "configure",
        "queue 'q'",
    );
    check(
        client.delete_exchange(&ExchangeName::known("x"), false),
        "configure",
        "exchange 'x'",
    );
    assert!(client.declare_queue(queue("c-q")).is_ok());
    assert!(client.declare_exchange(exchange("c-x", "direct")).is_ok());
    assert!(
        client
            .delete_queue(&QueueName::known("c-q"), false, false)
            .is_ok()
    );
    assert!(
        client
            .delete_exchange(&ExchangeName::known("c-x"), false)
            .is_ok()
    );
}

#[test]
fn a_server_made_name_is_judged_too() {
    let (node, mut client) = node_and_user();
    let error = client.declare_queue(queue("")).expect_err("refused");
    let text = error.text();
    assert!(
        text.starts_with("configure access to queue 'amq.gen-"),
        "{text}"
    );
    assert!(
        text.ends_with("' in vhost '/' refused for user 'u'"),
        "{text}"
    );
    node.permit("u", "^amq\\.gen-.*$", "", "");
    let declared = client.declare_queue(queue("")).expect("allowed now");
    assert_eq!(declared.queue.len(), "amq.gen-".len() + 22);
}

#[test]
fn an_alternate_exchange_needs_read_on_the_one_and_write_on_the_other() {
    let (node, mut client) = node_and_user();
    let declare = |alternate: &str| ExchangeDeclare {
        arguments: arguments(&[(
            "alternate-exchange",
            AMQPValue::LongString(alternate.into()),
        )]),
        ..exchange("c-x", "direct")
    };
    check(
        client.declare_exchange(declare("w-ae")),
        "read",
        "exchange 'c-x'",
    );
    node.permit("u", "^c-", "^w-", "^(r|c)-");
    check(
        client.declare_exchange(declare("ae")),
        "write",
        "exchange 'ae'",
    );
    check(
        client.declare_exchange(declare("")),
        "write",
        "exchange 'amq.default'",
    );
    assert!(client.declare_exchange(declare("w-ae")).is_ok());
}

#[test]
fn binding_needs_write_on_the_target_and_read_on_the_source() {
    let (_node, mut client) = node_and_user();
    for bind in [Session::bind, Session::unbind] {
        let client = &mut client.session;
        check(bind(client, to_queue("r-x", "q", "")), "write", "queue 'q'");
        check(
            bind(client, to_queue("x", "w-q", "")),
            "read",
            "exchange 'x'",
        );
        check(
            bind(client, to_exchange("r-x", "y", "")),
            "write",
            "exchange 'y'",
        );
        check(
            bind(client, to_exchange("x", "w-y", "")),
            "read",
            "exchange 'x'",
        );
        check_passes(bind(client, to_queue("r-x", "w-q", "")));
        check_passes(bind(client, to_exchange("r-x", "w-y", "")));
    }
}

#[test]
fn taking_messages_needs_read() {
    let (_node, mut client) = node_and_user();
    let (mine, other) = (QueueName::known("r-q"), QueueName::known("q"));
    check(client.consume(CHANNEL, consume("q")), "read", "queue 'q'");
    check(client.get(CHANNEL, &other, true), "read", "queue 'q'");
    check(client.purge_queue(&other), "read", "queue 'q'");
    check_passes(client.consume(CHANNEL, consume("r-q")));
    check_passes(client.get(CHANNEL, &mine, true));
    check_passes(client.purge_queue(&mine));
}

#[test]
fn publishing_needs_write_and_the_default_exchange_has_a_name_for_it() {
    let (node, mut client) = node_and_user();
    check(
        client.publish(CHANNEL, publish("x", "k", &["a"])),
        "write",
        "exchange 'x'",
    );
    let to_default = publish("", "r-q", &["a"]);
    check(
        client.publish(CHANNEL, to_default.clone()),
        "write",
        "exchange 'amq.default'",
    );
    check(
        client.stage(CHANNEL, to_default.clone()),
        "write",
        "exchange 'amq.default'",
    );
    check_passes(client.publish(CHANNEL, publish("w-x", "k", &["a"])));
    node.permit("u", "", "^amq\\.default$", "");
    assert!(client.publish(CHANNEL, to_default).is_ok());
}

#[test]
fn looking_needs_no_right() {
    let (node, mut client) = node_and_user();
    node.client().queue("q");
    node.permit("u", "", "", "");
    assert!(client.check_queue(&QueueName::known("q")).is_ok());
    assert!(
        client
            .check_exchange(&ExchangeName::known("amq.topic"))
            .is_ok()
    );
}

#[test]
fn a_right_taken_away_is_gone_at_once() {
    let (node, mut client) = node_and_user();
    node.client().exchange("w-x", "fanout");
    for _ in 0..2 {
        client.send("w-x", "", &["a"]);
    }
    node.access().clear_permission("u", "/").expect("known");
    check(
        client.publish(CHANNEL, publish("w-x", "", &["a"])),
        "write",
        "exchange 'w-x'",
    );
    node.permit("u", "", ".*", "");
    client.send("w-x", "", &["a"]);
    node.access().delete_user("u").expect("known");
    check(
        client.publish(CHANNEL, publish("w-x", "", &["a"])),
        "write",
        "exchange 'w-x'",
    );
}

#[test]
fn only_those_with_a_permission_enter_a_virtual_host() {
    let node = Node::new();
    node.add_user("u", &[]);
    let mut client = node.stranger();
    let login = client.login("PLAIN", b"\0u\0u", &FieldTable::default());
    assert_eq!(login, Login::Accepted);
    let refused = client.open(&VhostName::known("/"));
    assert!(matches!(refused, Err(AmqpError::Connection { .. })));
    check_refused(refused, 530, "access to vhost '/' refused for user 'u'");
    check_refused(
        client.open(&VhostName::known("none")),
        530,
        "vhost none not found",
    );
    node.permit("u", "", "", "");
    assert!(client.open(&VhostName::known("/")).is_ok());
}

#[test]
fn wrong_passwords_and_far_guests_are_refused() {
    let node = Node::new();
    let none = FieldTable::default();
    let mut client = node.stranger();
    assert_eq!(
        client.login("PLAIN", b"\0guest\0wrong", &none),
        Login::Refused
    );
    assert_eq!(
        client.login("PLAIN", b"\0nobody\0guest", &none),
        Login::Refused
    );
    assert!(matches!(
        client.login("PLAIN", b"guest", &none),
        Login::Invalid(_)
    ));
    assert!(matches!(
        client.login("EXTERNAL", b"", &none),
        Login::Invalid(_)
    ));
    let far = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1234));
    let mut client = Session::new(Arc::clone(&node.broker), far);
    assert_eq!(
        client.login("PLAIN", b"\0guest\0guest", &none),
        Login::Refused
    );
    let mapped = "[::ffff:127.0.0.1]:1234".parse().expect("an address");
    let mut client = Session::new(Arc::clone(&node.broker), mapped);
    assert_eq!(
        client.login("PLAIN", b"\0guest\0guest", &none),
        Login::Accepted
    );
}
