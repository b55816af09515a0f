//! The firehose: what it shows of messages published and delivered.

use amq_protocol::types::FieldArray;
use amq_protocol::types::ShortString;

use super::*;
use crate::vhost::TRACE_EXCHANGE;

fn switch(node: &Node, on: bool) {
    node.vhost("/").expect("always there").set_tracing(on);
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn texts(of: &[&str]) -> AMQPValue {
    let texts: Vec<_> = of.iter().map(|of| text(of)).collect();
    AMQPValue::FieldArray(FieldArray::from(texts))
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(ShortString::from(*key), value.clone());
    }
    table
}

/// A client whose queue `trace` has all that the firehose says.
fn watcher(node: &Node) -> Client {
    let mut client = node.client();
    client.queue("trace");
    client.bind_queue(TRACE_EXCHANGE, "trace", "#");
    switch(node, true);
    client
}

/// Routing key, headers and body of the next copy.
fn next(client: &mut Client) -> Option<(String, FieldTable, String)> {
    let got = client.get(CHANNEL, &QueueName::known("trace"), true);
    let run = got.expect("allowed")?.range.run;
    let message = run.first();
    assert_eq!(message.exchange(), TRACE_EXCHANGE);
    let properties = properties::decode(message.header()).expect("well-formed");
    let headers = properties.headers().clone().expect("has headers");
    assert_eq!(
        properties::encode(&AMQPProperties::default().with_headers(headers.clone())).len(),
        message.header().len(),
        "and no other property"
    );
    let body = String::from_utf8_lossy(message.body()).into_owned();
    Some((message.routing_key().to_owned(), headers, body))
}

#[test]
fn copies_tell_all_of_a_message() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut client = node.client();
    client.queue("q");
    let headers = table(&[
        ("CC", texts(&["none"])),
        ("BCC", texts(&["q"])),
        ("n", AMQPValue::LongInt(5)),
    ]);
    let properties = AMQPProperties::default()
        .with_content_type("text/plain".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(3)
        .with_expiration("60000".into())
        .with_timestamp(1_700_000_000)
        .with_type("kind".into());
    let publish = Publish {
        run: run_of("", "q", &[("body", properties)]),
        mandatory: false,
    };
    client.publish(CHANNEL, publish).expect("published");

    let shown = table(&[
        ("type", text("kind")),
        ("timestamp", AMQPValue::LongInt(1_700_000_000)),
        ("expiration", text("60000")),
        ("priority", AMQPValue::LongInt(3)),
        ("delivery_mode", AMQPValue::LongInt(2)),
        (
            "headers",
            AMQPValue::FieldTable(table(&[
                ("CC", texts(&["none"])),
                ("n", AMQPValue::LongInt(5)),
            ])),
        ),
        ("content_type", text("text/plain")),
    ]);
    let common = [
        ("exchange_name", text("")),
        ("properties", AMQPValue::FieldTable(shown)),
        ("node", text("test")),
        ("vhost", text("/")),
        ("connection", text("127.0.0.1:1234")),
        ("channel", AMQPValue::LongInt(1)),
        ("user", text("guest")),
    ];
    let with = |further: &[(&str, AMQPValue)]| {
        let mut all = common.to_vec();
        all.extend(further.iter().cloned());
        table(&all)
    };
    let (key, headers, body) = next(&mut watcher).expect("a copy");
    assert_eq!((&*key, &*body), ("publish.", "body"));
    let expected = with(&[
        ("routing_keys", texts(&["q", "none", "q"])),
        // RabbitMQ shows what the default exchange was asked for.
        ("routed_queues", texts(&["none", "q"])),
    ]);
    assert_eq!(headers, expected);

    let got = client.get(CHANNEL, &QueueName::known("q"), false);
    let range = got.expect("allowed").expect("a message").range;
    client.settle(CHANNEL, Settle::Requeue, vec![range]);
    client.consumer("q");
    assert_eq!(bodies(&client.deliveries()), ["body"]);
    for redelivered in [0, 1] {
        let (key, headers, body) = next(&mut watcher).expect("a copy");
        assert_eq!((&*key, &*body), ("deliver.q", "body"));
        let expected = with(&[
            ("routing_keys", texts(&["q", "none", "q"])),
            ("redelivered", AMQPValue::LongInt(redelivered)),
        ]);
        assert_eq!(headers, expected);
    }
    assert!(
        next(&mut watcher).is_none(),
        "its own copies are not copied"
    );
}

#[test]
fn it_shows_what_is_routed_and_what_is_not() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut client = node.client();
    client.exchange("x", "topic");
    client.queue("a");
    client.queue("b");
    client.bind_queue("x", "a", "#");
    client.bind_queue("x", "b", "k");
    client.send("x", "k", &["1", "2"]);
    client.send("amq.direct", "nowhere", &["3"]);
    client
        .publish(CHANNEL, publish("x", "", &["4"]))
        .expect("published");
    let routed = |headers: &FieldTable| headers.inner().get("routed_queues").cloned();
    for (body, exchange, queues) in [
        ("1", "x", &["a", "b"][..]),
        ("2", "x", &["a", "b"]),
        ("3", "amq.direct", &[]),
        ("4", "x", &["a"]),
    ] {
        let (key, headers, shown) = next(&mut watcher).expect("a copy");
        assert_eq!((key, &*shown), (format!("publish.{exchange}"), body));
        assert_eq!(routed(&headers), Some(texts(queues)));
    }
    switch(&node, false);
    client.send("x", "k", &["5"]);
    assert!(next(&mut watcher).is_none());
}

#[test]
fn it_shows_publishes_of_transactions_at_once() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut client = node.client();
    client.queue("q");
    let steps = vec![client.staged(publish("", "q", &["x"]))];
    assert_eq!(next(&mut watcher).expect("a copy").0, "publish.");
    client.commit(CHANNEL, steps).expect("committed");
    assert!(next(&mut watcher).is_none());
}

#[test]
fn long_names_are_cut_in_the_routing_key() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut client = node.client();
    let name = "é".repeat(127);
    client.exchange(&name, "fanout");
    client.send(&name, "", &["x"]);
    let (key, ..) = next(&mut watcher).expect("a copy");
    assert!(key.len() <= 255 && key.starts_with("publish.é"));
}
