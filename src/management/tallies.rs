//! Who does what with whom: `deliveries`, `publishes`, `incoming` and `outgoing` of single channels, queues and exchanges.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::broker::ChannelInfo;
use crate::broker::ConnectionInfo;
use crate::management::Api;
use crate::management::consumers::channel_details;
use crate::management::figures::Ranges;
use crate::management::rates::Subject;
use crate::metrics::ExchangeTally;
use crate::metrics::QueueTally;
use crate::model::QueueId;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;

/// Of a channel and a queue; `deliver_get` comes after them.
const QUEUE: [&str; 6] = [
    "get",
    "get_no_ack",
    "deliver",
    "deliver_no_ack",
    "redeliver",
    "ack",
];
const QUEUE_DELIVER_GET: [usize; 4] = [0, 1, 2, 3];

/// Of a channel and an exchange.
const EXCHANGE: [&str; 3] = ["publish", "return_unroutable", "drop_unroutable"];

pub(super) fn queue_tally_values(tally: &QueueTally) -> Vec<u64> {
    vec![
        tally.get.get(),
        tally.get_no_ack.get(),
        tally.deliver.get(),
        tally.deliver_no_ack.get(),
        tally.redeliver.get(),
        tally.ack.get(),
    ]
}

pub(super) fn exchange_tally_values(tally: &ExchangeTally) -> Vec<u64> {
    vec![
        tally.publish.get(),
        tally.return_unroutable.get(),
        tally.drop_unroutable.get(),
    ]
}

/// How many messages came to the queue from an exchange, by its id.
pub(super) fn source_values(queue: &QueueHandle, exchange: u64) -> Vec<u64> {
    queue.look(|state| {
        let mut sources = state.sources().iter();
        let found = sources.find(|(known, _)| *known == exchange);
        vec![found.map_or(0, |(_, count)| *count)]
    })
}

fn named(name: &str, vhost: &str) -> Value {
    json!({"name": name, "vhost": vhost})
}

fn with_queue(
    api: &Api,
    open: &ConnectionInfo,
    channel: &ChannelInfo,
    (queue, tally): (QueueId, &QueueTally),
    ranges: Ranges,
) -> Value {
    let subject = Subject::ChannelAndQueue(open.id, channel.number, queue);
    let measured = api.measured(subject, queue_tally_values(tally), ranges);
    let mut stats = Map::new();
    for (index, name) in QUEUE.iter().enumerate() {
        measured.put(&mut stats, name, &[index], ranges.messages);
    }
    let of = &QUEUE_DELIVER_GET;
    measured.put(&mut stats, "deliver_get", of, ranges.messages);
    stats.into()
}

fn with_exchange(
    api: &Api,
    open: &ConnectionInfo,
    channel: &ChannelInfo,
    (exchange, tally): (u64, &ExchangeTally),
    ranges: Ranges,
) -> Value {
    let subject = Subject::ChannelAndExchange(open.id, channel.number, exchange);
    let measured = api.measured(subject, exchange_tally_values(tally), ranges);
    let mut stats = Map::new();
    for (index, name) in EXCHANGE.iter().enumerate() {
        measured.put(&mut stats, name, &[index], ranges.messages);
    }
    stats.into()
}

fn from_exchange(api: &Api, queue: &QueueHandle, exchange: u64, ranges: Ranges) -> Value {
    let subject = Subject::QueueAndExchange(queue.id, exchange);
    let measured = api.measured(subject, source_values(queue, exchange), ranges);
    let mut stats = Map::new();
    measured.put(&mut stats, "publish", &[0], ranges.messages);
    stats.into()
}

/// The channels of a virtual host's connections.
fn channels(api: &Api, vhost: &str) -> Vec<(Arc<ConnectionInfo>, Arc<ChannelInfo>)> {
    let mut open = api.broker.connections().list();
    open.retain(|open| *open.vhost == *vhost);
    open.sort_by_key(|open| open.id);
    let of = |open: &Arc<ConnectionInfo>| {
        let open = Arc::clone(open);
        let channels = open.channels().into_iter();
        channels.map(move |channel| (Arc::clone(&open), channel))
    };
    open.iter().flat_map(of).collect()
}

/// What a channel got from which queue. Queues that are gone are not told of.
pub(super) fn deliveries_of_channel(
    api: &Api,
    open: &ConnectionInfo,
    channel: &ChannelInfo,
    ranges: Ranges,
) -> Vec<Value> {
    let tallies = channel.stats.queues.all().into_iter();
    let row = |(id, tally): (u64, Arc<QueueTally>)| {
        let queue = api.broker.queue_by_id(QueueId(id))?;
        Some(json!({
            "stats": with_queue(api, open, channel, (queue.id, &tally), ranges),
            "queue": named(&queue.name, &queue.vhost),
        }))
    };
    tallies.filter_map(row).collect()
}

/// What a channel published to which exchange. Exchanges that are gone are not told of.
pub(super) fn publishes_of_channel(
    api: &Api,
    open: &ConnectionInfo,
    channel: &ChannelInfo,
    ranges: Ranges,
) -> Vec<Value> {
    let vhost = api.broker.vhost(&open.vhost);
    let exchanges = vhost.map(|vhost| vhost.exchanges()).unwrap_or_default();
    let tallies = channel.stats.exchanges.all().into_iter();
    let row = |(id, tally): (u64, Arc<ExchangeTally>)| {
        let exchange = exchanges.iter().find(|exchange| exchange.id == id)?;
        Some(json!({
            "stats": with_exchange(api, open, channel, (id, &tally), ranges),
            "exchange": named(&exchange.name, &open.vhost),
        }))
    };
    tallies.filter_map(row).collect()
}

/// What a queue gave to which channel.
pub(super) fn deliveries_of_queue(api: &Api, queue: &QueueHandle, ranges: Ranges) -> Vec<Value> {
    let channels = channels(api, &queue.vhost).into_iter();
    let row = |(open, channel): (Arc<ConnectionInfo>, Arc<ChannelInfo>)| {
        let tally = channel.stats.queues.of(queue.id.0)?;
        Some(json!({
            "stats": with_queue(api, &open, &channel, (queue.id, &tally), ranges),
            "channel_details": channel_details(api, &open, channel.number),
        }))
    };
    channels.filter_map(row).collect()
}

/// What a queue got from which exchange that is still there.
pub(super) fn incoming_of_queue(
    api: &Api,
    vhost: &Vhost,
    queue: &QueueHandle,
    ranges: Ranges,
) -> Vec<Value> {
    let sources = queue.look(|state| state.sources().to_vec()).into_iter();
    let exchanges = vhost.exchanges();
    let row = |(id, _): (u64, u64)| {
        let exchange = exchanges.iter().find(|exchange| exchange.id == id)?;
        Some(json!({
            "stats": from_exchange(api, queue, id, ranges),
            "exchange": named(&exchange.name, vhost.name()),
        }))
    };
    sources.filter_map(row).collect()
}

/// What an exchange got from which channel.
pub(super) fn incoming_of_exchange(
    api: &Api,
    vhost: &Vhost,
    exchange: &Exchange,
    ranges: Ranges,
) -> Vec<Value> {
    let channels = channels(api, vhost.name()).into_iter();
    let row = |(open, channel): (Arc<ConnectionInfo>, Arc<ChannelInfo>)| {
        let tally = channel.stats.exchanges.of(exchange.id)?;
        Some(json!({
            "stats": with_exchange(api, &open, &channel, (exchange.id, &tally), ranges),
            "channel_details": channel_details(api, &open, channel.number),
        }))
    };
    channels.filter_map(row).collect()
}

/// Which queues got what was published to an exchange.
pub(super) fn outgoing_of_exchange(
    api: &Api,
    vhost: &Vhost,
    exchange: &Exchange,
    ranges: Ranges,
) -> Vec<Value> {
    let mut queues = vhost.queues();
    queues.retain(|queue| {
        queue.look(|state| {
            let mut sources = state.sources().iter();
            sources.any(|(id, _)| *id == exchange.id)
        })
    });
    queues.sort_by(|left, right| left.name.cmp(&right.name));
    queues
        .iter()
        .map(|queue| {
            json!({
                "stats": from_exchange(api, queue, exchange.id, ranges),
                "queue": named(&queue.name, &queue.vhost),
            })
        })
        .collect()
}
