//! One message after the other through each kind of exchange, then what each queue holds.

use crate::broker::Broker;
use crate::broker::get;
use crate::broker::publish;
use crate::broker::publish_with;
use crate::broker::queue;
use lapin::BasicProperties;
use lapin::Channel;
use lapin::ExchangeKind;
use lapin::options::ExchangeBindOptions;
use lapin::options::ExchangeDeclareOptions;
use lapin::options::ExchangeDeleteOptions;
use lapin::options::ExchangeUnbindOptions;
use lapin::options::QueueBindOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::equal;

pub(crate) async fn exchange_types(broker: &Broker) -> Checked {
    let channel = broker.channel().await?;
    direct(broker, &channel).await?;
    fanout(broker, &channel).await?;
    topic(broker, &channel).await?;
    headers(broker, &channel).await?;
    alternate(broker, &channel).await?;
    exchange_to_exchange(broker, &channel).await
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Checked {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    Ok(channel
        .exchange_declare(name.into(), kind, options, arguments)
        .await?)
}

async fn delete(channel: &Channel, name: &str) -> Checked {
    Ok(channel
        .exchange_delete(name.into(), ExchangeDeleteOptions::default())
        .await?)
}

async fn bind(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
    arguments: FieldTable,
) -> Checked {
    let options = QueueBindOptions::default();
    Ok(channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            arguments,
        )
        .await?)
}

async fn bound(channel: &Channel, exchange: &str, key: &str) -> Checked<String> {
    let name = queue(channel).await?;
    bind(channel, &name, exchange, key, FieldTable::default()).await?;
    Ok(name)
}

async fn expect_bodies(channel: &Channel, what: &str, queue: &str, wanted: &[&str]) -> Checked {
    let mut bodies = Vec::new();
    while let Some(message) = get(channel, queue, true).await? {
        bodies.push(String::from_utf8_lossy(&message.data).into_owned());
    }
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    equal(wanted, &bodies[..], what)
}

async fn direct(broker: &Broker, channel: &Channel) -> Checked {
    let name = broker.name("direct");
    exchange(channel, &name, ExchangeKind::Direct, FieldTable::default()).await?;
    let red = bound(channel, &name, "red").await?;
    let both = bound(channel, &name, "red").await?;
    bind(channel, &both, &name, "blue", FieldTable::default()).await?;
    for key in ["red", "blue", "green"] {
        publish(channel, &name, key, key).await?;
    }
    publish(channel, "", &red, "default").await?;
    expect_bodies(channel, "direct and default", &red, &["red", "default"]).await?;
    expect_bodies(channel, "direct", &both, &["red", "blue"]).await?;
    channel
        .queue_unbind(
            both.as_str().into(),
            name.as_str().into(),
            "blue".into(),
            FieldTable::default(),
        )
        .await?;
    publish(channel, &name, "blue", "unbound").await?;
    expect_bodies(channel, "direct, unbound", &both, &[]).await?;
    delete(channel, &name).await
}

async fn fanout(broker: &Broker, channel: &Channel) -> Checked {
    let name = broker.name("fanout");
    exchange(channel, &name, ExchangeKind::Fanout, FieldTable::default()).await?;
    let first = bound(channel, &name, "").await?;
    let second = bound(channel, &name, "ignored").await?;
    publish(channel, &name, "anything", "all").await?;
    expect_bodies(channel, "fanout", &first, &["all"]).await?;
    expect_bodies(channel, "fanout", &second, &["all"]).await?;
    delete(channel, &name).await
}

async fn topic(broker: &Broker, channel: &Channel) -> Checked {
    let name = broker.name("topic");
    exchange(channel, &name, ExchangeKind::Topic, FieldTable::default()).await?;
    let cases: [(&str, &[&str]); 7] = [
        ("stock.*", &["stock.usd"]),
        ("stock.#", &["stock", "stock.usd", "stock.usd.nyse"]),
        ("*.usd.*", &["stock.usd.nyse", "bond.usd.nyse"]),
        ("#.nyse", &["stock.usd.nyse", "bond.usd.nyse"]),
        ("#.usd.#", &["stock.usd", "stock.usd.nyse", "bond.usd.nyse"]),
        ("*", &["stock"]),
        (
            "#",
            &["stock", "stock.usd", "stock.usd.nyse", "bond.usd.nyse"],
        ),
    ];
    let mut queues = Vec::new();
    for (pattern, _) in cases {
        queues.push(bound(channel, &name, pattern).await?);
    }
    for key in ["stock", "stock.usd", "stock.usd.nyse", "bond.usd.nyse"] {
        publish(channel, &name, key, key).await?;
    }
    for ((pattern, wanted), queue) in cases.into_iter().zip(&queues) {
        expect_bodies(channel, pattern, queue, wanted).await?;
    }
    delete(channel, &name).await
}

async fn headers(broker: &Broker, channel: &Channel) -> Checked {
    let name = broker.name("headers");
    exchange(channel, &name, ExchangeKind::Headers, FieldTable::default()).await?;
    let mut queues = Vec::new();
    for how in ["all", "any"] {
        let arguments = table([
            ("x-match", text(how)),
            ("kind", text("pdf")),
            ("pages", AMQPValue::LongInt(2)),
        ]);
        let bound = queue(channel).await?;
        bind(channel, &bound, &name, "", arguments).await?;
        queues.push(bound);
    }
    for (body, kind, pages) in [
        ("both", "pdf", 2),
        ("kind", "pdf", 3),
        ("neither", "txt", 3),
    ] {
        let headers = table([("kind", text(kind)), ("pages", AMQPValue::LongInt(pages))]);
        let properties = BasicProperties::default().with_headers(headers);
        publish_with(channel, &name, "", body, properties).await?;
    }
    expect_bodies(channel, "headers all", &queues[0], &["both"]).await?;
    expect_bodies(channel, "headers any", &queues[1], &["both", "kind"]).await?;
    delete(channel, &name).await
}

async fn alternate(broker: &Broker, channel: &Channel) -> Checked {
    let (name, fallback) = (broker.name("alternated"), broker.name("fallback"));
    exchange(
        channel,
        &fallback,
        ExchangeKind::Fanout,
        FieldTable::default(),
    )
    .await?;
    let arguments = table([("alternate-exchange", text(&fallback))]);
    exchange(channel, &name, ExchangeKind::Direct, arguments).await?;
    let known = bound(channel, &name, "known").await?;
    let rest = bound(channel, &fallback, "").await?;
    publish(channel, &name, "known", "known").await?;
    publish(channel, &name, "unknown", "unknown").await?;
    expect_bodies(channel, "alternate exchange", &known, &["known"]).await?;
    expect_bodies(channel, "alternate exchange", &rest, &["unknown"]).await?;
    delete(channel, &name).await?;
    delete(channel, &fallback).await
}

async fn exchange_to_exchange(broker: &Broker, channel: &Channel) -> Checked {
    let (source, destination) = (broker.name("source"), broker.name("destination"));
    exchange(channel, &source, ExchangeKind::Topic, FieldTable::default()).await?;
    exchange(
        channel,
        &destination,
        ExchangeKind::Fanout,
        FieldTable::default(),
    )
    .await?;
    channel
        .exchange_bind(
            destination.as_str().into(),
            source.as_str().into(),
            "orders.#".into(),
            ExchangeBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let name = bound(channel, &destination, "").await?;
    bind(channel, &name, &source, "orders.new", FieldTable::default()).await?;
    for key in ["orders.new", "orders.old", "users.new"] {
        publish(channel, &source, key, key).await?;
    }
    // Reached on two ways, the queue gets one copy.
    expect_bodies(
        channel,
        "exchange to exchange",
        &name,
        &["orders.new", "orders.old"],
    )
    .await?;
    channel
        .exchange_unbind(
            destination.as_str().into(),
            source.as_str().into(),
            "orders.#".into(),
            ExchangeUnbindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    publish(channel, &source, "orders.old", "unbound").await?;
    expect_bodies(channel, "exchange to exchange, unbound", &name, &[]).await?;
    delete(channel, &source).await?;
    delete(channel, &destination).await
}
