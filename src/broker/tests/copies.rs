//! `CC` and `BCC`: further routing keys.

use amq_protocol::types::FieldArray;
use amq_protocol::types::ShortString;

use super::*;
use crate::model::MessageRef;
use crate::model::ReplyCode;
use crate::protocol::content::CONTENT_HEADER_FIXED_BYTES;
use crate::protocol::encode;
use crate::protocol::envelope::Cut;
use crate::protocol::envelope::cut;

fn keys(keys: &[&str]) -> AMQPValue {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| AMQPValue::LongString((*key).into()))
        .collect();
    AMQPValue::FieldArray(FieldArray::from(keys))
}

fn with_headers(headers: &[(&str, AMQPValue)]) -> AMQPProperties {
    let mut table = FieldTable::default();
    for (key, value) in headers {
        table.insert(ShortString::from(*key), value.clone());
    }
    persistent().with_headers(table)
}

fn cc(cc: &[&str]) -> AMQPProperties {
    with_headers(&[("CC", keys(cc))])
}

fn sent(exchange: &str, key: &str, messages: &[(&str, AMQPProperties)]) -> Publish {
    Publish {
        run: run_of(exchange, key, messages),
        mandatory: true,
    }
}

fn with_queues(node: &Node, names: &[&str]) -> Client {
    let mut client = node.client();
    for name in names {
        client.queue(name);
    }
    client
}

/// The properties that a client gets.
fn shown(message: MessageRef<'_>) -> Vec<u8> {
    let mut frames = Vec::new();
    encode::basic_return(
        &mut frames,
        CHANNEL,
        ReplyCode::NoRoute,
        "NO_ROUTE",
        message,
        0,
    );
    let header = match cut(&frames, 0) {
        Ok(Cut::Frame { consumed, .. }) => cut(&frames[consumed..], 0),
        other => other,
    };
    match header {
        Ok(Cut::Frame { frame, .. }) => frame.payload[CONTENT_HEADER_FIXED_BYTES..].to_vec(),
        other => panic!("no content header: {other:?}"),
    }
}

fn take(client: &mut Client, queue: &str) -> Run {
    let got = client.get(CHANNEL, &QueueName::known(queue), true);
    got.expect("allowed").expect("a message").range.run
}

#[test]
fn every_key_routes_and_each_queue_takes_a_message_once() {
    let node = Node::new();
    let mut client = with_queues(&node, &["a", "b", "c", "other"]);
    let headers = with_headers(&[
        ("CC", keys(&["b", "a", "none"])),
        ("BCC", keys(&["c", "b"])),
    ]);
    let published = client.publish(CHANNEL, sent("", "a", &[("x", headers)]));
    assert_eq!(returned(&published.expect("published")), [] as [usize; 0]);
    for queue in ["a", "b", "c"] {
        assert_eq!(client.drain(queue), ["x"], "{queue}");
    }
    assert!(client.drain("other").is_empty());

    client.exchange("t", "topic");
    client.bind_queue("t", "a", "a.*");
    client.bind_queue("t", "b", "*.b");
    client.bind_queue("t", "c", "c");
    let published = client.publish(CHANNEL, sent("t", "k", &[("y", cc(&["a.b", "c"]))]));
    assert!(published.expect("published").unrouted.is_empty());
    for queue in ["a", "b", "c"] {
        assert_eq!(client.drain(queue), ["y"], "{queue}");
    }
}

#[test]
fn neighbours_with_other_copies_go_elsewhere() {
    let node = Node::new();
    let mut client = with_queues(&node, &["a", "b", "c"]);
    let messages = [
        ("1", persistent()),
        ("2", cc(&["b"])),
        ("3", cc(&["b"])),
        ("4", persistent()),
        ("5", cc(&["c"])),
        ("6", with_headers(&[("BCC", keys(&["b", "c"]))])),
    ];
    client
        .publish(CHANNEL, sent("", "a", &messages))
        .expect("published");
    assert_eq!(client.drain("a"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(client.drain("b"), ["2", "3", "6"]);
    assert_eq!(client.drain("c"), ["5", "6"]);
    // What was remembered of the key alone has not changed.
    client.send("", "a", &["plain"]);
    assert_eq!(client.drain("a"), ["plain"]);
    assert!(client.drain("b").is_empty());
}

#[test]
fn consumers_see_cc_and_not_bcc() {
    let node = Node::new();
    let mut client = with_queues(&node, &["a", "b"]);
    let other = ("other", AMQPValue::Boolean(true));
    let both = with_headers(&[("CC", keys(&["b"])), ("BCC", keys(&["b"])), other.clone()]);
    let messages = [("1", persistent()), ("2", both)];
    client
        .publish(CHANNEL, sent("", "a", &messages))
        .expect("published");
    let left = with_headers(&[("CC", keys(&["b"])), other]);
    for queue in ["a", "b"] {
        if queue == "a" {
            let first = take(&mut client, queue);
            assert_eq!(
                first.first().header(),
                properties::encode(&persistent()).as_slice()
            );
        }
        let run = take(&mut client, queue);
        let message = run.first();
        assert_eq!(shown(message), properties::encode(&left));
        assert_eq!(message.body(), b"2");
        assert!(message.traits().has_copies() && message.traits().persistent());
    }
}

#[test]
fn copies_must_be_arrays() {
    let node = Node::new();
    let mut client = with_queues(&node, &["a"]);
    for (header, value, kind) in [
        ("CC", AMQPValue::LongString("b".into()), "longstr"),
        ("BCC", AMQPValue::LongInt(1), "signedint"),
        ("CC", AMQPValue::Void, "void"),
    ] {
        let wrong = with_headers(&[(header, value)]);
        check_refused(
            client.publish(CHANNEL, sent("", "a", &[("x", wrong)])),
            406,
            &format!("invalid message: {{unacceptable_type_in_header,\"{header}\",{kind}}}"),
        );
    }
    assert_eq!(node.messages("a"), (0, 0));
    // The order of RabbitMQ 3.13.
    let wrong = with_headers(&[("CC", AMQPValue::Void)]).with_expiration("soon".into());
    check_refused(
        client.publish(CHANNEL, sent("", "a", &[("x", wrong.clone())])),
        406,
        "invalid expiration 'soon': no_integer",
    );
    check_refused(
        client.publish(
            CHANNEL,
            sent("", "a", &[("x", wrong.with_user_id("root".into()))]),
        ),
        406,
        "user_id property set to 'root' but authenticated user was 'guest'",
    );
}

#[test]
fn a_copy_reaches_a_headers_exchange_behind_its_key_alone() {
    let node = Node::new();
    let mut client = with_queues(&node, &["q"]);
    client.exchange("d", "direct");
    client.exchange("h", "headers");
    client.bind(to_exchange("d", "h", "copied")).expect("bound");
    let binding = Bind {
        arguments: arguments(&[("colour", AMQPValue::LongInt(3))]),
        ..to_queue("h", "q", "")
    };
    client.bind(binding).expect("bound");
    let colour = |colour: i32| {
        with_headers(&[
            ("CC", keys(&["copied"])),
            ("colour", AMQPValue::LongInt(colour)),
        ])
    };
    let published = client
        .publish(
            CHANNEL,
            sent(
                "d",
                "k",
                &[("1", colour(3)), ("2", colour(4)), ("3", colour(3))],
            ),
        )
        .expect("published");
    assert_eq!(returned(&published), [1]);
    assert_eq!(client.drain("q"), ["1", "3"]);
}

#[test]
fn a_transaction_obeys_them_too() {
    let node = Node::new();
    let mut client = with_queues(&node, &["a", "b"]);
    let blind = with_headers(&[("BCC", keys(&["b"]))]);
    let steps = vec![client.staged(sent("", "a", &[("x", blind), ("y", persistent())]))];
    client.commit(CHANNEL, steps).expect("committed");
    assert_eq!(client.drain("a"), ["x", "y"]);
    assert_eq!(client.drain("b"), ["x"]);
}

#[test]
fn a_dead_message_goes_where_its_copies_went() {
    let node = Node::new();
    let mut client = with_queues(&node, &["dead", "copied", "blind"]);
    client.exchange("dlx", "direct");
    client.bind_queue("dlx", "dead", "q");
    client.bind_queue("dlx", "copied", "k");
    client.bind_queue("dlx", "blind", "b");
    let source = QueueDeclare {
        arguments: arguments(&[(
            "x-dead-letter-exchange",
            AMQPValue::LongString("dlx".into()),
        )]),
        ..queue("q")
    };
    client.declare_queue(source).expect("declared");
    let headers = with_headers(&[("CC", keys(&["k"])), ("BCC", keys(&["b"]))]);
    client
        .publish(CHANNEL, sent("", "q", &[("x", headers)]))
        .expect("published");
    let got = client.get(CHANNEL, &QueueName::known("q"), false);
    let range = got.expect("allowed").expect("a message").range;
    client.settle(CHANNEL, Settle::Reject, vec![range]);
    assert_eq!(client.drain("dead"), ["x"]);
    assert_eq!(client.drain("copied"), ["x"]);
    let blind = take(&mut client, "blind");
    let shown = properties::decode(&shown(blind.first())).expect("well-formed");
    let shown = shown.headers().as_ref().expect("headers").inner();
    assert!(shown.contains_key("CC") && !shown.contains_key("BCC"));
}

#[test]
fn a_stored_message_keeps_the_keys_that_nobody_sees() {
    let node = Node::new();
    let mut client = with_queues(&node, &["r"]);
    let exchange = |name: &str| AMQPValue::LongString(name.into());
    let key = ("x-dead-letter-routing-key", exchange("second"));
    for (name, further) in [("first", None), ("r2", Some(key))] {
        let mut entries = vec![("x-dead-letter-exchange", exchange(""))];
        entries.extend(further);
        let declare = QueueDeclare {
            arguments: arguments(&entries),
            ..queue(name)
        };
        client.declare_queue(declare).expect("declared");
    }
    let blind = with_headers(&[("BCC", keys(&["r", "r2"]))]);
    let published = client.publish(CHANNEL, sent("", "first", &[("x", blind)]));
    assert_eq!(client.drain("r"), ["x"]);
    published.expect("published");
    drop(client);
    let node = node.restarted();
    let mut client = with_queues(&node, &["second"]);
    client.purge_queue(&QueueName::known("r2")).expect("purged");
    // By the keys of its publish, until a queue puts another in their place.
    for (from, to) in [("first", ["r", "r2"]), ("r2", ["second", "second"])] {
        let got = client.get(CHANNEL, &QueueName::known(from), false);
        let range = got.expect("allowed").expect("a message").range;
        client.settle(CHANNEL, Settle::Reject, vec![range]);
        for queue in to {
            assert!(node.messages(queue).0 == 1, "{from} to {queue}");
        }
    }
    assert_eq!(client.drain("r"), ["x"], "not a second time");
    let last = take(&mut client, "second");
    let traits = last.first().traits();
    assert!(!traits.has_copies() && !traits.has_bcc());
    assert_eq!(shown(last.first()), last.first().header());
}
