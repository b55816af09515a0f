//! Consuming: streams of deliveries, settling, basic.get.

use crate::broker::Broker;
use crate::broker::get as basic_get;
use crate::broker::publish;
use crate::broker::queue;
use crate::broker::ready;
use crate::publishing::MANY;
use crate::publishing::body;
use futures_lite::StreamExt;
use lapin::Channel;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicNackOptions;
use lapin::options::BasicQosOptions;
use lapin::options::BasicRejectOptions;
use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::equal;
use leveret_compat_tests::assertions::holds;
use leveret_compat_tests::assertions::within;

pub(crate) async fn consumer(
    channel: &Channel,
    queue: &str,
    tag: &str,
    no_ack: bool,
) -> Checked<Consumer> {
    let options = BasicConsumeOptions {
        no_ack,
        ..BasicConsumeOptions::default()
    };
    let started = channel.basic_consume(queue.into(), tag.into(), options, FieldTable::default());
    Ok(within("basic.consume", started).await??)
}

pub(crate) async fn next(consumer: &mut Consumer, what: &str) -> Checked<Delivery> {
    match within(what, consumer.next()).await? {
        Some(delivery) => Ok(delivery?),
        None => Err(format!("{what}: the consumer ended").into()),
    }
}

pub(crate) async fn consume_prefetch_ack(broker: &Broker) -> Checked {
    let name = broker.name("many");
    let channel = broker.channel().await?;
    channel.basic_qos(100, BasicQosOptions::default()).await?;
    let mut deliveries = consumer(&channel, &name, "", false).await?;
    for i in 0..MANY {
        let delivery = next(&mut deliveries, &format!("message {i}")).await?;
        equal(body(i).as_bytes(), &delivery.data[..], "body")?;
        let id = delivery
            .properties
            .message_id()
            .as_ref()
            .map(|id| id.as_str());
        equal(Some(&i.to_string()[..]), id, "message id")?;
        equal(u64::from(i) + 1, delivery.delivery_tag, "delivery tag")?;
        equal(
            &Some(2),
            delivery.properties.delivery_mode(),
            "delivery mode",
        )?;
        equal(&name[..], delivery.routing_key.as_str(), "routing key")?;
        holds(!delivery.redelivered, "redelivered")?;
        if i % 10 == 9 || i % 10 < 5 {
            delivery
                .ack(BasicAckOptions {
                    multiple: i % 10 == 9,
                })
                .await?;
        }
    }
    equal(0, ready(&channel, &name).await?, "messages left")?;
    // Had one not been acked, the end of its channel would make it ready again.
    within("channel.close", channel.close(200, "done".into())).await??;
    let channel = broker.channel().await?;
    equal(
        0,
        ready(&channel, &name).await?,
        "messages after the channel closed",
    )?;
    channel
        .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
        .await?;
    Ok(())
}

pub(crate) async fn requeue_redelivered(broker: &Broker) -> Checked {
    let channel = broker.channel().await?;
    let name = queue(&channel).await?;
    for body in ["a", "b", "c", "d"] {
        publish(&channel, "", &name, body).await?;
    }
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(
            basic_get(&channel, &name, false)
                .await?
                .ok_or("the queue is empty")?,
        );
    }
    got[1].ack(BasicAckOptions::default()).await?;
    got[2].reject(BasicRejectOptions { requeue: true }).await?;
    got[0]
        .nack(BasicNackOptions {
            multiple: false,
            requeue: true,
        })
        .await?;
    // Back at their old positions, before what was never delivered.
    let mut deliveries = consumer(&channel, &name, "", true).await?;
    for (body, redelivered) in [("a", true), ("c", true), ("d", false)] {
        let delivery = next(&mut deliveries, body).await?;
        equal(body.as_bytes(), &delivery.data[..], "body")?;
        equal(redelivered, delivery.redelivered, body)?;
    }
    Ok(())
}

pub(crate) async fn get(broker: &Broker) -> Checked {
    let channel = broker.channel().await?;
    let name = queue(&channel).await?;
    holds(
        basic_get(&channel, &name, false).await?.is_none(),
        "got from an empty queue",
    )?;
    publish(&channel, "", &name, "first").await?;
    publish(&channel, "", &name, "second").await?;
    for (body, left) in [("first", 1), ("second", 0)] {
        let got = basic_get(&channel, &name, true)
            .await?
            .ok_or("the queue is empty")?;
        equal(body.as_bytes(), &got.data[..], "body")?;
        equal(left, got.message_count, "messages left")?;
    }
    holds(
        basic_get(&channel, &name, false).await?.is_none(),
        "got one at the end",
    )
}

pub(crate) async fn cancel_notify(broker: &Broker) -> Checked {
    let channel = broker.channel().await?;
    let name = queue(&channel).await?;
    let mut deliveries = consumer(&channel, &name, "worker", false).await?;
    channel
        .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
        .await?;
    let end = within("the cancel", deliveries.next()).await?;
    holds(end.is_none(), "a delivery after the queue was deleted")?;
    queue(&channel).await?;
    Ok(())
}
