//! Consumers: those that settle a part of what they get until the broker dies, and the one that
//! empties a queue after a restart.

use crate::ledger::Arrival;
use crate::ledger::Ledger;
use crate::ledger::QueueIndex;
use crate::message::MessageId;
use crate::topology::queue_name;
use futures_lite::StreamExt;
use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::options::BasicCancelOptions;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicNackOptions;
use lapin::options::BasicQosOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::until_over;
use leveret_compat_tests::assertions::within;
use parking_lot::Mutex;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

async fn consume(channel: &Channel, queue: QueueIndex, no_ack: bool) -> Checked<Consumer> {
    let options = BasicConsumeOptions {
        no_ack,
        ..BasicConsumeOptions::default()
    };
    let name = queue_name(queue).into();
    let started = channel.basic_consume(name, "".into(), options, FieldTable::default());
    Ok(within("basic.consume", started).await??)
}

fn arrival(delivery: &Delivery) -> Arrival {
    Arrival {
        id: MessageId::of(&delivery.data),
        redelivered: delivery.redelivered,
    }
}

/// Settles some deliveries, gives some back, holds others, until the broker is gone.
pub(crate) async fn work(
    url: String,
    queue: QueueIndex,
    seed: u64,
    ledger: Arc<Mutex<Ledger>>,
    is_over: watch::Receiver<bool>,
) {
    // An error is the crash we wait for, or shows as a broker that ended by itself.
    let _ = until_over(is_over, try_work(&url, queue, seed, &ledger)).await;
}

async fn try_work(url: &str, queue: QueueIndex, seed: u64, ledger: &Mutex<Ledger>) -> Checked {
    let mut rng = StdRng::seed_from_u64(seed);
    let connecting = Connection::connect(url, ConnectionProperties::default());
    let connection = within("connecting", connecting).await??;
    let channel = within("channel.open", connection.create_channel()).await??;
    channel
        .basic_qos(rng.random_range(20..200), BasicQosOptions::default())
        .await?;
    let mut deliveries = consume(&channel, queue, false).await?;
    let mut last_fresh: HashMap<u16, MessageId> = HashMap::new();
    let mut held = Vec::new();
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let arrival = arrival(&delivery);
        let Some(id) = ledger.lock().arrived(queue, arrival) else {
            continue;
        };
        if !arrival.redelivered
            && let Some(before) = last_fresh.insert(id.publisher, id)
            && before >= id
        {
            ledger
                .lock()
                .problem(format!("queue {queue}: {id} was delivered after {before}"));
        }
        match rng.random_range(0..100) {
            0..35 => {
                ledger.lock().acking(queue, id);
                delivery.ack(BasicAckOptions::default()).await?;
            }
            // Any of those that are held, the oldest and the newest alike.
            35..60 => {
                held.push((delivery.delivery_tag, id));
                let (tag, id) = held.swap_remove(rng.random_range(0..held.len()));
                ledger.lock().acking(queue, id);
                channel.basic_ack(tag, BasicAckOptions::default()).await?;
            }
            60..66 => {
                held.push((delivery.delivery_tag, id));
                for (_, id) in held.drain(..) {
                    ledger.lock().acking(queue, id);
                }
                delivery.ack(BasicAckOptions { multiple: true }).await?;
            }
            66..75 => {
                delivery
                    .nack(BasicNackOptions {
                        requeue: true,
                        multiple: false,
                    })
                    .await?;
            }
            _ => held.push((delivery.delivery_tag, id)),
        }
    }
    Ok(())
}

/// Takes `count` messages, all that are there, and settles them at the end.
pub(crate) async fn drain(
    channel: &Channel,
    queue: QueueIndex,
    count: usize,
    no_ack: bool,
) -> Checked<Vec<Arrival>> {
    let mut deliveries = consume(channel, queue, no_ack).await?;
    let mut arrivals = Vec::with_capacity(count);
    let mut last = None;
    while arrivals.len() < count {
        let what = format!("message {} of {count} in queue {queue}", arrivals.len());
        let Some(delivery) = within(&what, deliveries.next()).await? else {
            return Err(format!("{what}: the consumer ended").into());
        };
        let delivery = delivery?;
        arrivals.push(arrival(&delivery));
        last = Some(delivery);
    }
    if let Some(last) = last
        && !no_ack
    {
        last.ack(BasicAckOptions { multiple: true }).await?;
    }
    let cancelled = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
    within("basic.cancel", cancelled).await??;
    Ok(arrivals)
}
