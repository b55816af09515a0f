//! `/api/connections` and `/api/channels`. Who is no monitor sees their own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::broker::ChannelInfo;
use crate::broker::ConnectionInfo;
use crate::definitions::arguments_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::consumers;
use crate::management::figures::Ranges;
use crate::management::figures::connection_values;
use crate::management::figures::message_stats;
use crate::management::figures::message_values;
use crate::management::listing;
use crate::management::listing::Key;
use crate::management::listing::Listed;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::rates::Subject;
use crate::management::tallies;
use crate::management::time::rfc3339;
use crate::model::Arguments;
use crate::model::ReplyCode;

type Answer = Result<Json<Value>, ApiError>;

fn connection_json(api: &Api, connection: &ConnectionInfo, ranges: Ranges) -> Value {
    let stats = &connection.stats;
    let settled = &connection.settled;
    let local = connection.local.unwrap_or(connection.peer);
    let properties = Arguments::from(settled.client_properties.clone());
    let mut row = Map::new();
    let fields = [
        ("name", json!(connection.title)),
        ("node", json!(api.node.name)),
        ("type", json!("network")),
        ("protocol", json!("AMQP 0-9-1")),
        (
            "state",
            json!(connection.state(api.broker.alarms().raised())),
        ),
        ("user", json!(connection.user.as_str())),
        ("user_who_performed_action", json!(connection.user.as_str())),
        ("vhost", json!(connection.vhost.as_str())),
        ("host", json!(consumers::host(local.ip()))),
        ("port", json!(local.port())),
        ("peer_host", json!(consumers::host(connection.peer.ip()))),
        ("peer_port", json!(connection.peer.port())),
        ("ssl", json!(false)),
        ("auth_mechanism", json!(settled.mechanism)),
        ("timeout", json!(settled.heartbeat)),
        ("frame_max", json!(settled.frame_max)),
        ("channel_max", json!(settled.channel_max)),
        ("channels", json!(connection.channel_count())),
        ("client_properties", arguments_json(&properties)),
        ("connected_at", json!(connection.connected_at)),
        ("recv_cnt", json!(stats.received_packets.get())),
        ("send_cnt", json!(stats.sent_packets.get())),
        ("send_pend", json!(stats.pending_bytes.get())),
        ("garbage_collection", consumers::garbage_collection()),
        ("reductions", json!(0)),
        ("reductions_details", json!({"rate": 0.0})),
    ];
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    for key in [
        "ssl_protocol",
        "ssl_key_exchange",
        "ssl_cipher",
        "ssl_hash",
        "peer_cert_subject",
        "peer_cert_issuer",
        "peer_cert_validity",
    ] {
        row.insert(key.to_owned(), Value::Null);
    }
    if let Some(name) = &connection.name {
        row.insert("user_provided_name".to_owned(), json!(name));
    }
    let subject = Subject::Connection(connection.id);
    let measured = api.measured(subject, connection_values(connection), ranges);
    measured.put(&mut row, "recv_oct", &[0], ranges.data);
    measured.put(&mut row, "send_oct", &[1], ranges.data);
    row.into()
}

fn channel_json(
    api: &Api,
    connection: &ConnectionInfo,
    channel: &ChannelInfo,
    ranges: Ranges,
) -> Map<String, Value> {
    let stats = &channel.stats;
    let mut row = Map::new();
    let fields = [
        ("name", json!(connection.channel_title(channel.number))),
        ("number", json!(channel.number.0)),
        ("node", json!(api.node.name)),
        ("user", json!(connection.user.as_str())),
        ("user_who_performed_action", json!(connection.user.as_str())),
        ("vhost", json!(connection.vhost.as_str())),
        ("state", json!("running")),
        ("transactional", json!(stats.transactional.get() > 0)),
        ("confirm", json!(stats.confirms.get() > 0)),
        ("consumer_count", json!(channel.consumer_count())),
        ("messages_unacknowledged", json!(stats.unacked.get())),
        ("messages_unconfirmed", json!(stats.unconfirmed.get())),
        ("messages_uncommitted", json!(stats.uncommitted.get())),
        ("acks_uncommitted", json!(stats.acks_uncommitted.get())),
        ("pending_raft_commands", json!(0)),
        ("prefetch_count", json!(stats.prefetch.get())),
        ("global_prefetch_count", json!(stats.global_prefetch.get())),
        (
            "connection_details",
            consumers::connection_details(connection),
        ),
        ("garbage_collection", consumers::garbage_collection()),
        ("reductions", json!(0)),
        ("reductions_details", json!({"rate": 0.0})),
    ];
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    // As in RabbitMQ one that is used is not idle at all.
    let idle_since = channel.idle_since();
    if idle_since <= api.now() {
        row.insert("idle_since".to_owned(), json!(rfc3339(idle_since)));
    }
    let subject = Subject::Channel(connection.id, channel.number);
    let measured = api.measured(subject, message_values(&stats.messages()), ranges);
    if let Some(stats) = message_stats(&measured, ranges.messages) {
        row.insert("message_stats".to_owned(), stats.into());
    }
    row
}

/// Those that the caller may see.
fn visible(caller: &Caller, api: &Api, vhost: Option<&str>) -> Vec<Arc<ConnectionInfo>> {
    let mut all = api.broker.connections().list();
    let vhost = vhost.or(caller.only.as_deref());
    all.retain(|open| {
        (caller.monitors() || open.user == *caller.user.name())
            && vhost.is_none_or(|vhost| *open.vhost == *vhost)
    });
    all
}

/// Connections as lists show them.
struct Connections {
    api: Api,
    ranges: Ranges,
}

impl Listed for Connections {
    type Item = Arc<ConnectionInfo>;

    fn row(&self, open: Self::Item) -> Value {
        connection_json(&self.api, &open, self.ranges)
    }

    fn key(&self, open: &Self::Item, key: &mut Key<'_>) {
        key.push(&open.vhost);
        key.push(&open.title);
    }

    fn name<'i>(&self, open: &'i Self::Item) -> Option<&'i str> {
        Some(&open.title)
    }
}

/// Channels as lists show them, with their connections and names.
struct Channels {
    api: Api,
    ranges: Ranges,
}

impl Listed for Channels {
    type Item = (Arc<ConnectionInfo>, Arc<ChannelInfo>, Arc<str>);

    fn row(&self, (open, channel, _): Self::Item) -> Value {
        channel_json(&self.api, &open, &channel, self.ranges).into()
    }

    fn key(&self, (open, _, name): &Self::Item, key: &mut Key<'_>) {
        key.push(&open.vhost);
        key.push(name);
    }

    fn name<'i>(&self, (_, _, name): &'i Self::Item) -> Option<&'i str> {
        Some(name)
    }
}

async fn connection_list(
    api: Api,
    query: Query,
    open: Vec<Arc<ConnectionInfo>>,
) -> Result<Response, ApiError> {
    let ranges = Ranges::of(&query)?;
    listing::answer(query, Connections { api, ranges }, |_| open).await
}

async fn channel_list(
    api: Api,
    query: Query,
    open: Vec<Arc<ConnectionInfo>>,
) -> Result<Response, ApiError> {
    let ranges = Ranges::of(&query)?;
    listing::answer(query, Channels { api, ranges }, move |_| {
        let of = |open: &Arc<ConnectionInfo>| {
            let open = Arc::clone(open);
            let channels = open.channels().into_iter();
            channels.map(move |channel| {
                let name = open.channel_title(channel.number).into();
                (Arc::clone(&open), channel, name)
            })
        };
        open.iter().flat_map(of).collect()
    })
    .await
}

pub(super) async fn connections(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<Response, ApiError> {
    let open = visible(&caller, &api, None);
    connection_list(api, query, open).await
}

pub(super) async fn connections_in(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Result<Response, ApiError> {
    caller.vhost(&api, &vhost)?;
    let open = visible(&caller, &api, Some(&vhost));
    connection_list(api, query, open).await
}

pub(super) async fn channels(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<Response, ApiError> {
    let open = visible(&caller, &api, None);
    channel_list(api, query, open).await
}

pub(super) async fn channels_in(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Result<Response, ApiError> {
    caller.vhost(&api, &vhost)?;
    let open = visible(&caller, &api, Some(&vhost));
    channel_list(api, query, open).await
}

/// The connection of that name, if the caller may look at it.
fn find(caller: &Caller, api: &Api, name: &str) -> Result<Arc<ConnectionInfo>, ApiError> {
    let open = api
        .broker
        .connections()
        .find(name)
        .ok_or(ApiError::NotFound)?;
    caller.check_own(&open.user, caller.monitors())?;
    Ok(open)
}

pub(super) async fn connection(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    query: Query,
) -> Answer {
    let open = find(&caller, &api, &name)?;
    let row = connection_json(&api, &open, Ranges::of(&query)?);
    Ok(Json(listing::with_columns(&query, row)))
}

pub(super) async fn channels_of(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let open = find(&caller, &api, &name)?;
    channel_list(api, query, vec![open]).await
}

/// Sessions are AMQP 1.0's; a connection of AMQP 0-9-1 has none.
pub(super) async fn sessions_of(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Answer {
    find(&caller, &api, &name)?;
    Ok(Json(json!([])))
}

fn close_text(headers: &HeaderMap) -> String {
    let reason = headers
        .get("x-reason")
        .and_then(|reason| reason.to_str().ok());
    reason.unwrap_or("Closed via management plugin").to_owned()
}

pub(super) async fn close(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let open = api
        .broker
        .connections()
        .find(&name)
        .ok_or(ApiError::NotFound)?;
    caller.check_own(&open.user, caller.user.has_tag("administrator"))?;
    let text = close_text(&headers);
    let connections = api.broker.connections();
    connections.close(
        |other| other.id == open.id,
        ReplyCode::ConnectionForced,
        text,
    );
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn connections_of_user(
    caller: Caller,
    State(api): State<Api>,
    Names(user): Names<String>,
    query: Query,
) -> Answer {
    let rows = visible(&caller, &api, None);
    let rows = rows.iter().filter(|open| *open.user == *user).map(|open| {
        json!({
            "name": open.title, "vhost": open.vhost.as_str(), "user": open.user.as_str(), "node": api.node.name,
        })
    });
    listing::reply(&query, rows.collect(), &["vhost", "name"])
}

pub(super) async fn close_those_of_user(
    caller: Caller,
    State(api): State<Api>,
    Names(user): Names<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let own = *caller.user.name().as_str() == *user;
    if !own {
        caller.check_administrator()?;
    }
    let text = close_text(&headers);
    let connections = api.broker.connections();
    connections.close(
        |other| *other.user == *user,
        ReplyCode::ConnectionForced,
        text,
    );
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn channel(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    query: Query,
) -> Answer {
    let parts = name
        .strip_suffix(')')
        .and_then(|name| name.rsplit_once(" ("));
    let (connection, number) = parts.ok_or(ApiError::NotFound)?;
    let open = find(&caller, &api, connection)?;
    let mut channels = open.channels().into_iter();
    let channel = channels
        .find(|channel| channel.number.0.to_string() == number)
        .ok_or(ApiError::NotFound)?;
    let ranges = Ranges::of(&query)?;
    let mut row = channel_json(&api, &open, &channel, ranges);
    let consumers = consumers::of_channel(&api, &open, &channel);
    row.insert("consumer_details".to_owned(), consumers.into());
    let deliveries = tallies::deliveries_of_channel(&api, &open, &channel, ranges);
    row.insert("deliveries".to_owned(), deliveries.into());
    let publishes = tallies::publishes_of_channel(&api, &open, &channel, ranges);
    row.insert("publishes".to_owned(), publishes.into());
    Ok(Json(listing::with_columns(&query, row.into())))
}
