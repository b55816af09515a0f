//! Publishing: confirms, returns, transactions, RPC, properties.

use crate::broker::Broker;
use crate::broker::get;
use crate::broker::open;
use crate::broker::publish;
use crate::broker::publish_with;
use crate::broker::queue;
use crate::broker::ready;
use crate::consuming::consumer;
use crate::consuming::next;
use lapin::BasicProperties;
use lapin::Confirmation;
use lapin::options::BasicAckOptions;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::AMQPValue;
use lapin::types::DecimalValue;
use lapin::types::FieldArray;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::equal;
use leveret_compat_tests::assertions::within;

/// Messages of the two large checks.
pub(crate) const MANY: u32 = 10_000;

pub(crate) fn body(i: u32) -> String {
    format!("message {i} of {MANY}")
}

pub(crate) async fn confirm_publish(broker: &Broker) -> Checked {
    let name = broker.name("many");
    let channel = broker.channel().await?;
    let durable = QueueDeclareOptions::durable();
    channel
        .queue_declare(name.as_str().into(), durable, FieldTable::default())
        .await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let mut confirms = Vec::new();
    for i in 0..MANY {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("text/plain".into())
            .with_message_id(i.to_string().into());
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let payload = body(i);
        confirms.push(
            channel
                .basic_publish(
                    "".into(),
                    name.as_str().into(),
                    options,
                    payload.as_bytes(),
                    properties,
                )
                .await?,
        );
    }
    for (i, confirm) in confirms.into_iter().enumerate() {
        let confirmation = within(&format!("confirm {i}"), confirm).await??;
        equal(Confirmation::Ack(None), confirmation, "confirmation")?;
    }
    equal(MANY, ready(&channel, &name).await?, "messages in the queue")
}

pub(crate) async fn mandatory_return(broker: &Broker) -> Checked {
    let missing = broker.name("nowhere");
    let channel = broker.channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default()
        .with_message_id("r-1".into())
        .with_priority(3);
    let confirm = channel
        .basic_publish(
            "amq.direct".into(),
            missing.as_str().into(),
            options,
            b"nobody",
            properties.clone(),
        )
        .await?;
    let confirmation = within("the confirm", confirm).await??;
    let Confirmation::Ack(Some(returned)) = confirmation else {
        return Err(format!("want an ack with a returned message, got {confirmation:?}").into());
    };
    equal(312, returned.reply_code, "code")?;
    equal("NO_ROUTE", returned.reply_text.as_str(), "text")?;
    equal("amq.direct", returned.exchange.as_str(), "exchange")?;
    equal(&missing[..], returned.routing_key.as_str(), "routing key")?;
    equal(&b"nobody"[..], &returned.data[..], "body")?;
    equal(&properties, &returned.properties, "properties")
}

pub(crate) async fn rpc_reply_queue(broker: &Broker) -> Checked {
    const CALLS: u32 = 200;
    let connection = open(&broker.url).await?;
    let server = within("channel.open", connection.create_channel()).await??;
    let requests = queue_for_requests(broker, &server).await?;
    let mut incoming = consumer(&server, &requests, "server", true).await?;
    tokio::spawn(async move {
        // An error shows as a call without an answer.
        while let Ok(request) = next(&mut incoming, "a request").await {
            let Some(reply_to) = request.properties.reply_to() else {
                continue;
            };
            let id = request
                .properties
                .correlation_id()
                .clone()
                .unwrap_or_default();
            let n: u32 = String::from_utf8_lossy(&request.data).parse().unwrap_or(0);
            let answer = BasicProperties::default().with_correlation_id(id);
            let to = reply_to.as_str();
            let _ = publish_with(&server, "", to, &(n * n).to_string(), answer).await;
        }
    });
    let channel = broker.channel().await?;
    let reply_queue = queue(&channel).await?;
    let mut replies = consumer(&channel, &reply_queue, "", true).await?;
    for i in 0..CALLS {
        let id = format!("call-{i}");
        let request = BasicProperties::default()
            .with_reply_to(reply_queue.as_str().into())
            .with_correlation_id(id.as_str().into());
        publish_with(&channel, "", &requests, &i.to_string(), request).await?;
        let reply = next(&mut replies, &id).await?;
        let answered = reply
            .properties
            .correlation_id()
            .as_ref()
            .map(|id| id.as_str());
        equal(Some(&id[..]), answered, "correlation id")?;
        equal((i * i).to_string().as_bytes(), &reply.data[..], &id)?;
    }
    within("close", connection.close(200, "done".into())).await??;
    Ok(())
}

async fn queue_for_requests(broker: &Broker, server: &lapin::Channel) -> Checked<String> {
    let name = broker.name("rpc");
    let options = QueueDeclareOptions {
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    server
        .queue_declare(name.as_str().into(), options, FieldTable::default())
        .await?;
    Ok(name)
}

pub(crate) async fn tx(broker: &Broker) -> Checked {
    let channel = broker.channel().await?;
    let name = queue(&channel).await?;
    channel.tx_select().await?;
    publish(&channel, "", &name, "rolled back").await?;
    channel.tx_rollback().await?;
    publish(&channel, "", &name, "committed").await?;
    equal(
        0,
        ready(&channel, &name).await?,
        "messages before the commit",
    )?;
    channel.tx_commit().await?;
    equal(
        1,
        ready(&channel, &name).await?,
        "messages after the commit",
    )?;
    let got = get(&channel, &name, false)
        .await?
        .ok_or("the queue is empty")?;
    equal(&b"committed"[..], &got.data[..], "body")?;
    channel
        .basic_ack(got.delivery_tag, BasicAckOptions::default())
        .await?;
    channel.tx_commit().await?;
    within("channel.close", channel.close(200, "done".into())).await??;
    equal(
        0,
        ready(&broker.channel().await?, &name).await?,
        "messages after the ack",
    )
}

pub(crate) async fn properties_round_trip(broker: &Broker) -> Checked {
    let channel = broker.channel().await?;
    let name = queue(&channel).await?;
    let mut inner = FieldTable::default();
    inner.insert("deep".into(), AMQPValue::Boolean(true));
    let list = vec![AMQPValue::LongInt(1), AMQPValue::FieldTable(inner.clone())];
    let mut headers = FieldTable::default();
    for (key, value) in [
        ("bool", AMQPValue::Boolean(true)),
        ("byte", AMQPValue::ShortShortInt(-7)),
        ("short", AMQPValue::ShortInt(-300)),
        ("int", AMQPValue::LongInt(70_000)),
        ("long", AMQPValue::LongLongInt(1 << 40)),
        ("unsigned", AMQPValue::LongUInt(4_000_000_000)),
        ("float", AMQPValue::Float(1.5)),
        ("double", AMQPValue::Double(2.25)),
        (
            "decimal",
            AMQPValue::DecimalValue(DecimalValue {
                scale: 2,
                value: 314,
            }),
        ),
        ("text", AMQPValue::LongString("Grüße".into())),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("none", AMQPValue::Void),
        ("list", AMQPValue::FieldArray(FieldArray::from(list))),
        ("table", AMQPValue::FieldTable(inner)),
    ] {
        headers.insert(key.into(), value);
    }
    let sent = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_headers(headers)
        .with_delivery_mode(1)
        .with_priority(4)
        .with_correlation_id("correlation".into())
        .with_reply_to("reply".into())
        .with_expiration("600000".into())
        .with_message_id("id".into())
        .with_timestamp(1_700_000_001)
        .with_type("kind".into())
        .with_user_id(broker.user.as_str().into())
        .with_app_id("compat".into());
    publish_with(&channel, "", &name, "", sent.clone()).await?;
    let got = get(&channel, &name, true)
        .await?
        .ok_or("the queue is empty")?;
    equal(0, got.data.len(), "body bytes")?;
    equal(&sent, &got.properties, "properties")
}
