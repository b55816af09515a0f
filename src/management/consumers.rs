//! `/api/consumers`, and what other lists tell of consumers, channels and connections.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::broker::ChannelInfo;
use crate::broker::ConnectionInfo;
use crate::broker::ConsumerInfo;
use crate::definitions::arguments_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::by_vhost::ByVhost;
use crate::management::listing::Key;
use crate::management::listing::Listed;
use crate::management::query::Query;
use crate::model::ChannelId;
use crate::queue::Activity;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;

/// What an Erlang process would tell of its memory: nothing here. Not negative, which some clients cannot read.
pub(super) fn garbage_collection() -> Value {
    json!({
        "fullsweep_after": 0, "max_heap_size": 0, "min_bin_vheap_size": 0, "min_heap_size": 0, "minor_gcs": 0,
    })
}

pub(super) fn host(address: std::net::IpAddr) -> String {
    address.to_canonical().to_string()
}

pub(super) fn connection_details(connection: &ConnectionInfo) -> Value {
    json!({
        "name": connection.title,
        "peer_host": host(connection.peer.ip()),
        "peer_port": connection.peer.port(),
    })
}

pub(super) fn channel_details(api: &Api, connection: &ConnectionInfo, channel: ChannelId) -> Value {
    json!({
        "connection_name": connection.title,
        "name": connection.channel_title(channel),
        "node": api.node.name,
        "number": channel.0,
        "peer_host": host(connection.peer.ip()),
        "peer_port": connection.peer.port(),
        "user": connection.user.as_str(),
    })
}

fn row(
    api: &Api,
    connection: &ConnectionInfo,
    channel: &ChannelInfo,
    consumer: &ConsumerInfo,
) -> Value {
    let vhost = api.broker.vhost(&connection.vhost);
    let queue = vhost.and_then(|vhost| vhost.queue(&consumer.queue));
    let activity = queue.map_or(Activity::Up, |queue| {
        queue.look(|state| state.activity(consumer.id))
    });
    json!({
        "arguments": arguments_json(&consumer.arguments),
        "ack_required": !consumer.no_ack,
        "active": activity != Activity::Waiting,
        "activity_status": activity.name(),
        "channel_details": channel_details(api, connection, channel.number),
        "consumer_tag": consumer.tag.as_str(),
        "exclusive": consumer.exclusive,
        "prefetch_count": consumer.prefetch,
        "queue": {"name": consumer.queue.as_str(), "vhost": connection.vhost.as_str()},
    })
}

fn rows(
    api: &Api,
    connections: &[Arc<ConnectionInfo>],
    wanted: impl Fn(&ConsumerInfo) -> bool,
) -> Vec<Value> {
    let mut rows = Vec::new();
    for connection in connections {
        for channel in connection.channels() {
            rows.extend(of_channel_where(api, connection, &channel, &wanted));
        }
    }
    rows
}

fn of_channel_where(
    api: &Api,
    connection: &ConnectionInfo,
    channel: &ChannelInfo,
    wanted: impl Fn(&ConsumerInfo) -> bool,
) -> Vec<Value> {
    let consumers = channel.consumers().into_iter();
    let consumers = consumers.filter(|consumer| wanted(consumer));
    consumers
        .map(|consumer| row(api, connection, channel, &consumer))
        .collect()
}

/// Those of a channel.
pub(super) fn of_channel(
    api: &Api,
    connection: &ConnectionInfo,
    channel: &ChannelInfo,
) -> Vec<Value> {
    of_channel_where(api, connection, channel, |_| true)
}

/// Those of a queue.
pub(super) fn of_queue(api: &Api, queue: &QueueHandle) -> Vec<Value> {
    let mut connections = api.broker.connections().list();
    connections.retain(|connection| connection.vhost == queue.vhost);
    rows(api, &connections, |consumer| consumer.queue == queue.name)
}

/// Consumers as lists show them, with their channels and connections.
pub(super) struct Consumers(Api);

impl Listed for Consumers {
    type Item = (Arc<ConnectionInfo>, Arc<ChannelInfo>, Arc<ConsumerInfo>);

    fn row(&self, (connection, channel, consumer): Self::Item) -> Value {
        row(&self.0, &connection, &channel, &consumer)
    }

    fn key(&self, (connection, _, consumer): &Self::Item, key: &mut Key<'_>) {
        key.push(&connection.vhost);
        key.push(&consumer.queue);
        key.push(&consumer.tag);
    }

    fn name<'i>(&self, _: &'i Self::Item) -> Option<&'i str> {
        None
    }
}

impl ByVhost for Consumers {
    fn wanted(api: Api, _: &Query) -> Result<Self, ApiError> {
        Ok(Self(api))
    }

    fn items(&self, vhosts: &[Arc<Vhost>]) -> Vec<Self::Item> {
        let mut connections = self.0.broker.connections().list();
        connections.retain(|open| vhosts.iter().any(|vhost| *vhost.name() == open.vhost));
        let mut items = Vec::new();
        for connection in connections {
            for channel in connection.channels() {
                let consumers = channel.consumers().into_iter();
                items.extend(
                    consumers
                        .map(|consumer| (Arc::clone(&connection), Arc::clone(&channel), consumer)),
                );
            }
        }
        items
    }
}
