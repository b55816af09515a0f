//! Publishing: what is refused and in which words, what is returned, what a confirm waits for.

use super::*;
use crate::model::Lsn;

#[track_caller]
fn check_properties(properties: AMQPProperties, text: &str) {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    let publish = Publish {
        run: run_of(
            "",
            "q",
            &[
                ("before", persistent()),
                ("wrong", properties),
                ("after", persistent()),
            ],
        ),
        mandatory: false,
    };
    check_refused(client.stage(CHANNEL, publish.clone()), 406, text);
    assert_eq!(node.messages("q"), (0, 0), "a check publishes nothing");
    let published = client.publish(CHANNEL, publish).expect("one was right");
    check_refused(published.fault.map_or(Ok(()), Err), 406, text);
    assert_eq!(client.drain("q"), ["before"], "as if each had come alone");
}

fn expiration(text: &str) -> AMQPProperties {
    AMQPProperties::default().with_expiration(text.into())
}

#[test]
fn an_expiration_is_a_number_of_milliseconds() {
    for (text, why) in [
        ("", "no_integer"),
        (" 5", "no_integer"),
        ("+-3", "no_integer"),
        ("5 ", "{leftover_string,\" \"}"),
        ("1.5", "{leftover_string,\".5\"}"),
        ("-5x", "{leftover_string,\"x\"}"),
        ("-1", "{value_negative,-1}"),
        ("315360000001", "{value_too_large,315360000001}"),
    ] {
        check_properties(
            expiration(text),
            &format!("invalid expiration '{text}': {why}"),
        );
    }
}

#[test]
fn expirations_that_rabbitmq_takes_are_obeyed() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    for (text, ttl) in [
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("007", 7),
        ("315360000000", 315_360_000_000),
    ] {
        let publish = Publish {
            run: run_of("", "q", &[("a", expiration(text))]),
            mandatory: false,
        };
        client.publish(CHANNEL, publish).expect("a number");
        let got = client
            .get(CHANNEL, &QueueName::known("q"), true)
            .expect("allowed");
        let expires_at = got.map(|got| got.range.expires_at);
        assert_eq!(expires_at, (ttl > 0).then_some(Some(NOW + ttl)), "{text}");
    }
}

#[test]
fn a_user_id_is_ones_own() {
    check_properties(
        AMQPProperties::default().with_user_id("root".into()),
        "user_id property set to 'root' but authenticated user was 'guest'",
    );
    let node = Node::new();
    node.add_user("actor", &["impersonator"]);
    node.permit("actor", ".*", ".*", ".*");
    for (user, claimed) in [
        ("guest", "guest"),
        ("actor", "guest"),
        ("actor", "nobody at all"),
    ] {
        let properties = AMQPProperties::default().with_user_id(claimed.into());
        let publish = Publish {
            run: run_of("amq.fanout", "", &[("a", properties)]),
            mandatory: false,
        };
        assert!(
            node.client_of(user).publish(CHANNEL, publish).is_ok(),
            "{user} as {claimed}"
        );
    }
}

#[test]
fn an_exchange_must_be_there_and_open_to_clients() {
    let node = Node::new();
    let mut client = node.client();
    check_refused(
        client.publish(CHANNEL, publish("none", "k", &["a"])),
        404,
        "no exchange 'none' in vhost '/'",
    );
    let internal = ExchangeDeclare {
        internal: true,
        ..exchange("inside", "fanout")
    };
    client.declare_exchange(internal).expect("declared");
    for name in ["inside", "amq.rabbitmq.trace"] {
        check_refused(
            client.publish(CHANNEL, publish(name, "k", &["a"])),
            403,
            &format!("cannot publish to internal exchange '{name}' in vhost '/'"),
        );
    }
    client.queue("q");
    client.exchange("front", "fanout");
    client
        .bind(to_exchange("front", "inside", ""))
        .expect("bound");
    client.bind_queue("inside", "q", "");
    client.send("front", "k", &["through"]);
    assert_eq!(client.drain("q"), ["through"]);
}

#[test]
fn what_stands_before_a_wrong_message_is_returned_all_the_same() {
    let node = Node::new();
    let mut client = node.client();
    let sent = [
        ("a", persistent()),
        ("b", persistent()),
        ("wrong", expiration("soon")),
        ("after", persistent()),
    ];
    let publish = Publish {
        run: run_of("", "nowhere", &sent),
        mandatory: true,
    };
    let published = client.publish(CHANNEL, publish).expect("two were right");
    assert_eq!(returned(&published), [0, 1]);
    assert_eq!(published.rewritten.map(|run| run.len()), Some(2));
    assert!(published.fault.is_some());
}

#[test]
fn what_has_no_route_is_returned_when_that_is_asked_for() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    let mandatory = |key: &str| Publish {
        mandatory: true,
        ..publish("", key, &["a", "b", "c"])
    };
    let published = client
        .publish(CHANNEL, mandatory("none"))
        .expect("published");
    assert_eq!(returned(&published), [0, 1, 2]);
    assert_eq!(published.commit, Lsn::NONE);
    let dropped = client.send("", "none", &["a"]);
    assert!(dropped.unrouted.is_empty(), "dropped in silence");
    let published = client.publish(CHANNEL, mandatory("q")).expect("published");
    assert!(published.unrouted.is_empty());
}

#[test]
fn a_run_through_a_headers_exchange_is_routed_message_by_message() {
    let node = Node::new();
    let mut client = node.client();
    for name in ["red", "any"] {
        client.queue(name);
    }
    let bind = |queue, entries: &[(&str, &str)]| Bind {
        arguments: arguments(
            &entries
                .iter()
                .map(|(key, value)| (*key, AMQPValue::LongString((*value).into())))
                .collect::<Vec<_>>(),
        ),
        ..to_queue("amq.headers", queue, "")
    };
    client
        .bind(bind("red", &[("colour", "red")]))
        .expect("bound");
    client
        .bind(bind(
            "any",
            &[("x-match", "any"), ("colour", "red"), ("size", "big")],
        ))
        .expect("bound");
    let with = |entries: &[(&str, &str)]| {
        let mut headers = FieldTable::default();
        for (key, value) in entries {
            headers.insert((*key).into(), AMQPValue::LongString((*value).into()));
        }
        AMQPProperties::default().with_headers(headers)
    };
    let messages = [
        ("none", AMQPProperties::default()),
        ("blue", with(&[("colour", "blue")])),
        ("red", with(&[("colour", "red")])),
        ("red too", with(&[("colour", "red"), ("size", "small")])),
        ("big", with(&[("size", "big")])),
        ("small", with(&[("size", "small")])),
    ];
    let publish = Publish {
        run: run_of("amq.headers", "", &messages),
        mandatory: true,
    };
    let published = client.publish(CHANNEL, publish).expect("published");
    assert_eq!(returned(&published), [0, 1, 5]);
    assert_eq!(client.drain("red"), ["red", "red too"]);
    assert_eq!(client.drain("any"), ["red", "red too", "big"]);
}

#[test]
fn a_confirm_waits_for_the_disk_where_something_goes_there() {
    let node = Node::new();
    let mut client = node.client();
    let transient = QueueDeclare {
        durable: false,
        ..queue("transient")
    };
    client.declare_queue(transient).expect("declared");
    client.queue("durable");
    assert_eq!(client.send("", "transient", &["a"]).commit, Lsn::NONE);
    assert!(!client.publishes());
    let light = Publish {
        run: run_of("", "durable", &[("a", AMQPProperties::default())]),
        mandatory: false,
    };
    assert_eq!(
        client.publish(CHANNEL, light).expect("published").commit,
        Lsn::NONE
    );
    client.bind_queue("amq.fanout", "transient", "");
    client.bind_queue("amq.fanout", "durable", "");
    let commit = client.send("amq.fanout", "", &["a"]).commit;
    assert!(commit > Lsn::NONE && client.publishes());
    node.store().wait(commit).expect("a sound store");
    assert!(node.durable() >= commit);
}
