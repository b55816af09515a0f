//! The node as a whole, and who asks.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::auth::User;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::figures::CHURN;
use crate::management::figures::DISK_READS;
use crate::management::figures::DISK_WRITES;
use crate::management::figures::NODE;
use crate::management::figures::Ranges;
use crate::management::figures::message_stats;
use crate::management::figures::put_lengths;
use crate::management::heavy::heavy;
use crate::management::listing;
use crate::management::nodes;
use crate::management::query::Query;
use crate::management::query::RANGE_SECONDS_MAX;
use crate::management::query::Range;
use crate::management::rates::Measured;
use crate::queue::QueueType;
use crate::routing::Kind;

type Answer = Result<Json<Value>, ApiError>;

/// The exchange types as RabbitMQ describes them.
pub(super) fn exchange_types() -> Value {
    let types = Kind::ALL.into_iter().map(|kind| {
        let description = match kind {
            Kind::Direct => "AMQP direct exchange, as per the AMQP specification",
            Kind::Fanout => "AMQP fanout exchange, as per the AMQP specification",
            Kind::Topic => "AMQP topic exchange, as per the AMQP specification",
            Kind::Headers => "AMQP headers exchange, as per the AMQP specification",
            Kind::ConsistentHash => "Consistent Hashing Exchange",
            Kind::ModulusHash => "Modulus Hashing Exchange",
            Kind::Random => "AMQP random exchange. Like a direct exchange, but randomly chooses who to route to.",
            Kind::LocalRandom => "Picks one random local binding (queue) to route via (to).",
            Kind::RecentHistory => "Recent History Exchange.",
            Kind::Deduplication => "Message Deduplication Exchange.",
            Kind::Delayed => "Delayed Message Exchange.",
        };
        json!({"name": kind.name(), "description": description, "enabled": true})
    });
    types.collect()
}

pub(super) fn listeners(api: &Api) -> Vec<Value> {
    let listener = |protocol: &str, address: &SocketAddr, options: Value| {
        json!({
            "node": api.node.name,
            "protocol": protocol,
            "ip_address": address.ip().to_string(),
            "port": address.port(),
            "socket_opts": options,
            "tls": false,
        })
    };
    let amqp = api.node.amqp.iter().map(|address| {
        let options =
            json!({"backlog": 128, "nodelay": true, "linger": [true, 0], "exit_on_close": false});
        listener("amqp", address, options)
    });
    let http = api.node.http.iter().map(|address| {
        let options = json!({"ip": address.ip().to_string(), "port": address.port()});
        listener("http", address, options)
    });
    amqp.chain(http).collect()
}

pub(super) fn contexts(api: &Api) -> Vec<Value> {
    let contexts = api.node.http.iter().map(|address| {
        json!({
            "node": api.node.name,
            "description": "RabbitMQ Management",
            "path": format!("{}/", api.options.path_prefix),
            "cowboy_opts": "[{sendfile,false}]",
            "ip": address.ip().to_string(),
            "port": address.port().to_string(),
            "ssl_opts": [],
        })
    });
    contexts.collect()
}

pub(super) fn put_churn(row: &mut Map<String, Value>, measured: &Measured, range: Option<Range>) {
    for (index, name) in CHURN.iter().enumerate() {
        measured.put(row, name, &[NODE.len() + index], range);
    }
}

/// `GET /api/overview`: identity, listeners and totals of what the caller may see.
pub(super) async fn overview(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    let options = api.broker.options();
    let ranges = Ranges::of(&query)?;
    let stats_off = query.flag("disable_stats") || api.options.disable_stats;
    let samples = json!([RANGE_SECONDS_MAX]);
    let mut row = Map::new();
    let fields = [
        ("management_version", json!(options.version)),
        ("rates_mode", json!("basic")),
        (
            "sample_retention_policies",
            json!({"global": samples, "basic": samples, "detailed": samples}),
        ),
        ("exchange_types", exchange_types()),
        ("product_version", json!(options.version)),
        ("product_name", json!(options.product)),
        ("rabbitmq_version", json!(options.version)),
        ("leveret_version", json!(env!("CARGO_PKG_VERSION"))),
        ("cluster_name", json!(api.broker.cluster_name())),
        ("cluster_tags", json!({})),
        ("node_tags", json!({})),
        ("erlang_version", json!(nodes::ERLANG)),
        ("erlang_full_version", json!(nodes::ERLANG_FULL)),
        ("crypto_lib_version", json!(nodes::ERLANG)),
        ("release_series_support_status", json!("supported")),
        ("disable_stats", json!(stats_off)),
        ("default_queue_type", json!(QueueType::default().name())),
        ("is_op_policy_updating_enabled", json!(true)),
        (
            "enable_queue_totals",
            json!(api.options.enable_queue_totals),
        ),
        ("require_definition_json_extension", json!(false)),
    ];
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    let monitors = caller.monitors();
    if !stats_off {
        let api = api.clone();
        // It adds up all queues.
        row.extend(heavy(move || totals(&caller, &api, ranges)).await?);
    }
    if monitors {
        row.insert("node".to_owned(), json!(api.node.name));
        row.insert("listeners".to_owned(), listeners(&api).into());
        row.insert("contexts".to_owned(), contexts(&api).into());
    }
    Ok(Json(listing::with_columns(&query, row.into())))
}

fn totals(caller: &Caller, api: &Api, ranges: Ranges) -> Map<String, Value> {
    let mut row = Map::new();
    let vhosts = match caller.monitors() && caller.only.is_none() {
        true => api.broker.vhosts(),
        false => caller.vhosts(api),
    };
    let measured = api.measured_vhosts(vhosts.iter().map(Arc::as_ref), ranges);
    let measured = Measured::sum(measured);
    let mut stats = message_stats(&measured, ranges.messages).unwrap_or_default();
    if !stats.is_empty() {
        measured.put(&mut stats, "disk_reads", &[DISK_READS], ranges.messages);
        measured.put(&mut stats, "disk_writes", &[DISK_WRITES], ranges.messages);
    }
    row.insert("message_stats".to_owned(), stats.into());
    let mut churn = Map::new();
    put_churn(&mut churn, &api.measured_node(ranges), ranges.messages);
    row.insert("churn_rates".to_owned(), churn.into());
    let mut totals = Map::new();
    if measured.now.is_empty() {
        for name in ["messages", "messages_ready", "messages_unacknowledged"] {
            totals.insert(name.to_owned(), json!(0));
            totals.insert(format!("{name}_details"), json!({"rate": 0.0}));
        }
    } else {
        put_lengths(&mut totals, &measured, false, ranges.lengths);
    }
    row.insert("queue_totals".to_owned(), totals.into());
    row.insert(
        "object_totals".to_owned(),
        object_totals(caller, api, &vhosts),
    );
    row.insert("statistics_db_event_queue".to_owned(), json!(0));
    row
}

fn object_totals(caller: &Caller, api: &Api, vhosts: &[Arc<crate::vhost::Vhost>]) -> Value {
    let mut open = api.broker.connections().list();
    open.retain(|open| caller.monitors() || open.user == *caller.user.name());
    let channels: usize = open.iter().map(|open| open.channel_count()).sum();
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len()).sum();
    let queues: usize = vhosts.iter().map(|vhost| vhost.queue_count()).sum();
    let mut totals = json!({
        "connections": open.len(),
        "channels": channels,
        "exchanges": exchanges,
        "queues": queues,
    });
    if caller.monitors() {
        let consumers = open.iter().flat_map(|open| open.channels());
        let consumers: usize = consumers.map(|channel| channel.consumer_count()).sum();
        totals["consumers"] = json!(consumers);
    }
    totals
}

/// `GET /api/whoami`.
pub(super) async fn whoami(caller: Caller, State(api): State<Api>) -> Json<Value> {
    Json(about(&caller.user, &api))
}

/// What a user hears about itself.
pub(super) fn about(user: &User, api: &Api) -> Value {
    let mut row = json!({
        "name": user.name().as_str(),
        "tags": user.tags(),
        "is_internal_user": true,
    });
    let minutes = api.options.login_session_timeout;
    if minutes > 0 {
        row["login_session_timeout"] = json!(minutes);
    }
    row
}

/// `GET /api/version`: needs no credentials.
pub(super) async fn version(State(api): State<Api>) -> Json<Value> {
    Json(json!(api.broker.options().version))
}

/// `GET /api/config/effective`: every setting as it is in force, a line each; RabbitMQ's is a text too, an Erlang term.
pub(super) async fn settings(caller: Caller, State(api): State<Api>) -> Result<String, ApiError> {
    caller.check_administrator()?;
    let settings = api.node.settings.iter();
    Ok(settings
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect())
}

/// What the web interface loads.
pub(super) async fn extensions(_: Caller) -> Json<Value> {
    Json(json!([{"javascript": "dispatcher.js"}]))
}

/// How the web interface logs in: not by OAuth. Needs no credentials.
pub(super) async fn auth() -> Json<Value> {
    Json(json!({"oauth_enabled": false}))
}
