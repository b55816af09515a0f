//! Health checks for load balancers and orchestrators: 200 with `{"status":"ok"}`, or 503 with the reason.

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::connection::host::QueueDeclare;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::acting::name_of;
use crate::management::auth::Caller;
use crate::management::messages;
use crate::management::path::Names;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::QueueName;
use crate::model::RoutingKey;

type Answer = Result<Json<Value>, ApiError>;

/// The queue that the test of a virtual host declares, RabbitMQ's name for it.
const ALIVENESS_QUEUE: &str = "aliveness-test";

fn check_store(api: &Api) -> Answer {
    match api.broker.store().failure() {
        None => Ok(Json(json!({"status": "ok"}))),
        Some(error) => Err(ApiError::Unhealthy {
            reason: error.to_string(),
            details: Value::Null,
        }),
    }
}

fn check_alarms(api: &Api, reason: &str) -> Answer {
    let alarms = api.broker.alarms().names().into_iter();
    let alarms = alarms.map(|name| {
        let resource = if name == "disk" { "disk space" } else { name };
        json!({"node": api.node.name, "resource": resource})
    });
    let alarms: Vec<Value> = alarms.collect();
    if alarms.is_empty() {
        return check_store(api);
    }
    Err(ApiError::Unhealthy {
        reason: reason.to_owned(),
        details: json!({"alarms": alarms}),
    })
}

/// Those of the cluster, which is this node.
pub(super) async fn alarms(_: Caller, State(api): State<Api>) -> Answer {
    check_alarms(&api, "There are alarms in effect in the cluster")
}

/// Those of the node.
pub(super) async fn local_alarms(_: Caller, State(api): State<Api>) -> Answer {
    check_alarms(&api, "There are alarms in effect on the node")
}

/// RabbitMQ's old check of everything on the node.
pub(super) async fn everything(_: Caller, State(api): State<Api>) -> Answer {
    check_store(&api)
}

pub(super) async fn everything_on(
    _: Caller,
    State(api): State<Api>,
    Names(node): Names<String>,
) -> Answer {
    if node != api.node.name {
        return Err(ApiError::NotFound);
    }
    check_store(&api)
}

/// RabbitMQ's test of the whole way of a message: the caller declares a queue, publishes to it and gets what is there.
///
/// The queue stays, so that frequent tests cost no declaration each.
pub(super) async fn aliveness(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost)?;
    let mut acting = api.act(&caller, &vhost)?;
    let queue = name_of(QueueName::new(ALIVENESS_QUEUE))?;
    let declare = QueueDeclare {
        queue: queue.clone(),
        durable: false,
        exclusive: false,
        auto_delete: false,
        arguments: Arguments::default(),
    };
    acting
        .declare_queue(declare)
        .map_err(ApiError::on_channel)?;
    let exchange = name_of(ExchangeName::new(""))?;
    let key = name_of(RoutingKey::new(ALIVENESS_QUEUE))?;
    acting
        .publish(messages::plain(&exchange, &key, b"test_message"))
        .map_err(ApiError::on_channel)?;
    let got = acting.get(&queue, true).map_err(ApiError::on_channel)?;
    match got {
        Some(_) => check_store(&api),
        None => Err(ApiError::Unhealthy {
            reason: format!("{ALIVENESS_QUEUE} queue is empty"),
            details: Value::Null,
        }),
    }
}

pub(super) async fn virtual_hosts(_: Caller, State(api): State<Api>) -> Answer {
    check_store(&api)
}

/// Needs no credentials, as in RabbitMQ.
pub(super) async fn in_service(State(api): State<Api>) -> Answer {
    check_store(&api)
}

/// Whether another client may connect. Needs no credentials.
pub(super) async fn below_connection_limit(State(api): State<Api>) -> Answer {
    check_connections(&api).map(Json)
}

fn check_connections(api: &Api) -> Result<Value, ApiError> {
    let limit = api.broker.options().connection_max;
    let open = api.broker.connections().len() as u64;
    if limit.is_some_and(|limit| open >= limit) {
        return Err(ApiError::Unhealthy {
            reason: "node connection limit is reached".to_owned(),
            details: json!({"limit": limit, "connections": open}),
        });
    }
    Ok(match limit {
        Some(limit) => json!({"status": "ok", "limit": limit, "connections": open}),
        None => json!({"status": "ok", "limit": "infinity", "connections": open}),
    })
}

/// Needs no credentials.
pub(super) async fn ready_to_serve(state: State<Api>) -> Answer {
    check_connections(&state.0)?;
    check_store(&state.0)
}

/// A single node is never one of several.
pub(super) async fn alone(_: Caller) -> Json<Value> {
    Json(json!({"status": "ok", "reason": "single node cluster"}))
}

/// What a cluster of one cannot lack: every queue has its leader, this node, and there are as many nodes as there should be.
pub(super) async fn complete(_: Caller) -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The same in a virtual host, which must be there.
pub(super) async fn leaders_in(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    caller.vhost(&api, &vhost)?;
    Ok(Json(json!({"status": "ok"})))
}

pub(super) async fn leaders_in_matching(
    caller: Caller,
    state: State<Api>,
    Names((vhost, _)): Names<(String, String)>,
) -> Answer {
    leaders_in(caller, state, Names(vhost)).await
}

/// The store can be used, and there is something in it.
pub(super) async fn with_data(_: Caller, State(api): State<Api>) -> Answer {
    if api.broker.vhosts().is_empty() {
        return Err(ApiError::Unhealthy {
            reason:
                "Metadata store has not yet been initialized: it reports to have no virtual hosts"
                    .to_owned(),
            details: Value::Null,
        });
    }
    check_store(&api)
}

/// There are no certificates that could expire.
pub(super) async fn certificates(
    _: Caller,
    Names((within, unit)): Names<(String, String)>,
) -> Answer {
    if !["days", "weeks", "months", "years"].contains(&unit.as_str()) {
        return Err(ApiError::bad_request(
            "Time unit not recognised. Supported units: days, weeks, months, years.",
        ));
    }
    match within.parse::<u32>() {
        Ok(_) => Ok(Json(json!({"status": "ok"}))),
        Err(_) => Err(ApiError::bad_request("Invalid expiration value.")),
    }
}

pub(super) async fn port_listener(
    _: Caller,
    State(api): State<Api>,
    Names(port): Names<String>,
) -> Answer {
    let port: u16 = port
        .parse()
        .map_err(|_| ApiError::bad_request("Invalid port"))?;
    let addresses = api.node.amqp.iter().chain(&api.node.http);
    let mut ports: Vec<u16> = addresses.map(std::net::SocketAddr::port).collect();
    ports.dedup();
    if ports.contains(&port) {
        Ok(Json(json!({"status": "ok", "port": port})))
    } else {
        Err(ApiError::Unhealthy {
            reason: "No active listener".to_owned(),
            details: json!({"missing": port, "ports": ports}),
        })
    }
}

/// RabbitMQ's name of a protocol that has many.
fn protocol(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "amqp" | "amqp091" | "amqp0-9-1" | "amqp0.9.1" | "amqp-0-9-1" | "amqp10" | "amqp1.0" => {
            "amqp".to_owned()
        }
        "http" | "management" => "http".to_owned(),
        "amqps" | "amqp/ssl" => "amqp/ssl".to_owned(),
        "cli" | "distribution" => "clustering".to_owned(),
        other => other.to_owned(),
    }
}

pub(super) async fn protocol_listener(
    _: Caller,
    State(api): State<Api>,
    Names(wanted): Names<String>,
) -> Answer {
    let mut here = Vec::new();
    here.extend((!api.node.amqp.is_empty()).then_some("amqp"));
    here.extend((!api.node.http.is_empty()).then_some("http"));
    let names: Vec<&str> = wanted.split(',').map(str::trim).collect();
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !here.contains(&protocol(name).as_str()))
        .collect();
    if !missing.is_empty() {
        return Err(ApiError::Unhealthy {
            reason: "No active listener".to_owned(),
            details: json!({"missing": missing, "protocols": here}),
        });
    }
    Ok(Json(match names.as_slice() {
        [one] => json!({"status": "ok", "protocol": protocol(one), "protocols": here}),
        _ => json!({"status": "ok", "protocols": here}),
    }))
}
