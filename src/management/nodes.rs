//! The node, as one of a cluster of one: `/api/nodes`, its memory, its name, logins, features.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::auth::PasswordHash;
use crate::broker::FEATURES;
use crate::broker::Protocol;
use crate::logs;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::figures::NODE;
use crate::management::figures::Ranges;
use crate::management::listing;
use crate::management::overview::contexts;
use crate::management::overview::exchange_types;
use crate::management::overview::put_churn;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::metrics::machine::Machine;

type Answer = Result<Json<Value>, ApiError>;

/// There is no Erlang here; clients want a text.
pub(super) const ERLANG: &str = "none";
pub(super) const ERLANG_FULL: &str = "Leveret has no Erlang";

/// What RabbitMQ has from plugins and is built in here.
const PLUGINS: [&str; 9] = [
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_message_deduplication",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
];

/// Figures of RabbitMQ's that stand for nothing here.
const NOTHING: [&str; 20] = [
    "gc_num",
    "gc_bytes_reclaimed",
    "context_switches",
    "io_read_count",
    "io_read_bytes",
    "io_read_avg_time",
    "io_write_count",
    "io_write_bytes",
    "io_write_avg_time",
    "io_sync_count",
    "io_sync_avg_time",
    "io_seek_count",
    "io_seek_avg_time",
    "io_reopen_count",
    "mnesia_ram_tx_count",
    "mnesia_disk_tx_count",
    "msg_store_read_count",
    "msg_store_write_count",
    "queue_index_read_count",
    "queue_index_write_count",
];

fn mechanisms(api: &Api) -> Value {
    let all = [
        ("PLAIN", "SASL PLAIN authentication mechanism"),
        ("AMQPLAIN", "QPid AMQPLAIN mechanism"),
        ("ANONYMOUS", "SASL ANONYMOUS authentication mechanism"),
    ];
    let offered = &api.broker.options().auth_mechanisms;
    let rows = all.into_iter().map(|(name, description)| {
        let enabled = offered.iter().any(|offered| offered == name);
        json!({"name": name, "description": description, "enabled": enabled})
    });
    rows.collect()
}

fn node_json(api: &Api, ranges: Ranges) -> Value {
    let options = api.broker.options();
    let machine = Machine::look(&options.data_dir);
    let alarms = api.broker.alarms();
    let data_dir = options.data_dir.display().to_string();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let version = &options.version;
    let mut row = Map::new();
    let fields = [
        ("name", json!(api.node.name)),
        ("type", json!("disc")),
        ("running", json!(true)),
        ("being_drained", json!(false)),
        ("partitions", json!([])),
        ("os_pid", json!(std::process::id().to_string())),
        ("fd_total", json!(machine.files_max)),
        ("sockets_total", json!(machine.files_max)),
        ("mem_limit", json!(alarms.memory_limit.unwrap_or(0))),
        ("mem_alarm", json!(alarms.memory)),
        ("mem_calculation_strategy", json!("rss")),
        ("disk_free_limit", json!(alarms.disk_limit.unwrap_or(0))),
        ("disk_free_alarm", json!(alarms.disk)),
        ("proc_total", json!(1_048_576)),
        ("rates_mode", json!("basic")),
        ("uptime", json!(api.now().saturating_sub(api.started_at))),
        ("run_queue", json!(0)),
        ("processors", json!(cores)),
        ("exchange_types", exchange_types()),
        ("auth_mechanisms", mechanisms(api)),
        (
            "applications",
            json!([
                {"name": "rabbit", "description": "RabbitMQ", "version": version},
                {"name": "rabbitmq_management", "description": "RabbitMQ Management Console", "version": version},
            ]),
        ),
        ("contexts", contexts(api).into()),
        ("log_files", json!(logs::locations())),
        ("db_dir", json!(data_dir)),
        ("config_files", json!([])),
        ("net_ticktime", json!(60)),
        ("enabled_plugins", json!(PLUGINS)),
        (
            "ra_open_file_metrics",
            json!({"ra_log_wal": 0, "ra_log_segment_writer": 0}),
        ),
        ("rabbitmq_version", json!(version)),
        ("erlang_version", json!(ERLANG)),
        ("erlang_full_version", json!(ERLANG_FULL)),
        ("crypto_lib_version", json!(ERLANG)),
        ("cluster_links", json!([])),
        (
            "metrics_gc_queue_length",
            json!({
                "connection_closed": 0, "channel_closed": 0, "consumer_deleted": 0, "exchange_deleted": 0,
                "queue_deleted": 0, "vhost_deleted": 0, "node_node_deleted": 0, "channel_consumer_deleted": 0,
            }),
        ),
    ];
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    for name in NOTHING {
        let zero = if name.ends_with("avg_time") {
            json!(0.0)
        } else {
            json!(0)
        };
        row.insert(name.to_owned(), zero);
        row.insert(format!("{name}_details"), json!({"rate": 0.0}));
    }
    let measured = api.measured_node(ranges);
    for (index, name) in NODE.iter().enumerate() {
        measured.put(&mut row, name, &[index], ranges.node);
    }
    put_churn(&mut row, &measured, ranges.node);
    row.into()
}

pub(super) async fn nodes(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    caller.check_monitor()?;
    let rows = vec![node_json(&api, Ranges::of(&query)?)];
    listing::reply(&query, rows, &["name"])
}

fn check_node(api: &Api, name: &str) -> Result<(), ApiError> {
    if name == api.node.name {
        Ok(())
    } else {
        Err(ApiError::NotFound)
    }
}

pub(super) async fn node(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    query: Query,
) -> Answer {
    caller.check_monitor()?;
    check_node(&api, &name)?;
    let mut row = node_json(&api, Ranges::of(&query)?);
    if query.flag("memory") {
        row["memory"] = memory_json(&api);
    }
    Ok(Json(listing::with_columns(&query, row)))
}

/// What the process holds, by what it is for: known are the messages of queues.
fn memory_json(api: &Api) -> Value {
    let used = Machine::look(&api.broker.options().data_dir).memory_used;
    let queues = api.broker.queue_memory_bytes();
    let mut row = Map::new();
    for name in [
        "connection_readers",
        "connection_writers",
        "connection_channels",
        "connection_other",
        "queue_slave_procs",
        "quorum_queue_procs",
        "quorum_queue_dlx_procs",
        "stream_queue_procs",
        "stream_queue_replica_reader_procs",
        "stream_queue_coordinator_procs",
        "plugins",
        "metrics",
        "mgmt_db",
        "mnesia",
        "quorum_ets",
        "other_ets",
        "binary",
        "msg_index",
        "code",
        "atom",
        "other_system",
        "allocated_unused",
        "reserved_unallocated",
    ] {
        row.insert(name.to_owned(), json!(0));
    }
    row.insert("queue_procs".to_owned(), json!(queues));
    row.insert("other_proc".to_owned(), json!(used.saturating_sub(queues)));
    row.insert("strategy".to_owned(), json!("rss"));
    row.insert(
        "total".to_owned(),
        json!({"erlang": used, "rss": used, "allocated": used}),
    );
    row.into()
}

pub(super) async fn memory(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Answer {
    caller.check_monitor()?;
    check_node(&api, &name)?;
    Ok(Json(json!({"memory": memory_json(&api)})))
}

/// In hundredths of all.
pub(super) async fn memory_relative(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Answer {
    caller.check_monitor()?;
    check_node(&api, &name)?;
    let mut row = memory_json(&api);
    let all = row["total"]["rss"].as_u64().unwrap_or(0).max(1);
    if let Some(row) = row.as_object_mut() {
        row.remove("strategy");
        for value in row.values_mut() {
            if let Some(bytes) = value.as_u64() {
                *value = json!(bytes * 100 / all);
            }
        }
        row.insert("total".to_owned(), json!(100));
    }
    Ok(Json(json!({ "memory": row })))
}

pub(super) async fn cluster_name(_: Caller, State(api): State<Api>) -> Json<Value> {
    Json(json!({"name": api.broker.cluster_name()}))
}

pub(super) async fn put_cluster_name(
    caller: Caller,
    State(api): State<Api>,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let [name] = body.take(["name"])?;
    if !name.is_string() {
        return Err(ApiError::bad_request("name is not a text"));
    }
    let lsn = api.broker.parameters().set("cluster_name", name);
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn attempts(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    query: Query,
) -> Answer {
    caller.check_monitor()?;
    check_node(&api, &name)?;
    let row = |protocol: Protocol, name: &str| {
        let (succeeded, failed) = api.broker.access().attempts(protocol);
        json!({
            "protocol": name,
            "auth_attempts": succeeded + failed,
            "auth_attempts_failed": failed,
            "auth_attempts_succeeded": succeeded,
        })
    };
    let rows = vec![
        row(Protocol::Amqp091, "amqp091"),
        row(Protocol::Http, "http"),
    ];
    listing::reply(&query, rows, &["protocol"])
}

/// Where logins come from is not counted, as in RabbitMQ without `track_auth_attempt_source`.
pub(super) async fn attempts_by_source(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Answer {
    caller.check_monitor()?;
    check_node(&api, &name)?;
    Ok(Json(json!([])))
}

pub(super) async fn forget_attempts(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    check_node(&api, &name)?;
    api.broker.access().forget_attempts();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn hash_password(caller: Caller, Names(password): Names<String>) -> Answer {
    caller.check_administrator()?;
    Ok(Json(json!({"ok": PasswordHash::new(&password).encode()})))
}

/// One node balances nothing.
pub(super) async fn rebalance(caller: Caller) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    Ok(StatusCode::NO_CONTENT)
}

/// There is no database of statistics to reset: figures are counted where they arise.
pub(super) async fn reset(caller: Caller) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reset_node(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    check_node(&api, &name)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn feature_flags(_: Caller, query: Query) -> Answer {
    let rows = FEATURES.iter().map(|(name, description)| {
        json!({
            "name": name,
            "desc": description,
            "doc_url": "",
            "state": "enabled",
            "stability": "required",
            "provided_by": "rabbit",
        })
    });
    listing::reply(&query, rows.collect(), &["name"])
}

pub(super) async fn enable_feature_flag(
    caller: Caller,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    match FEATURES.iter().any(|(known, _)| *known == name) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::bad_request("unsupported")),
    }
}

pub(super) async fn deprecated_features(_: Caller, State(api): State<Api>, query: Query) -> Answer {
    let all = api.broker.deprecated_features(api.options.global_qos);
    let rows = all.iter().map(|feature| {
        json!({
            "name": feature.name,
            "desc": feature.description,
            "deprecation_phase": feature.phase,
            "doc_url": "",
            "provided_by": "rabbit",
            "state": if feature.permitted { "permitted" } else { "denied" },
        })
    });
    listing::reply(&query, rows.collect(), &["name"])
}

/// Those of them that something declared uses now.
pub(super) async fn deprecated_features_used(
    _: Caller,
    State(api): State<Api>,
    query: Query,
) -> Answer {
    let mut all = api.broker.deprecated_features(api.options.global_qos);
    all.retain(|feature| api.broker.uses_deprecated(feature.name));
    let rows = all.iter().map(|feature| {
        json!({
            "name": feature.name,
            "desc": feature.description,
            "deprecation_phase": feature.phase,
            "doc_url": "",
            "provided_by": "rabbit",
        })
    });
    listing::reply(&query, rows.collect(), &["name"])
}
