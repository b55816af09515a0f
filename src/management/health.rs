//! Health checks for load balancers and orchestrators: 200 with `{"status":"ok"}`, or 503 with the reason.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::path::Names;

fn check_store(api: &Api) -> Result<Json<Value>, ApiError> {
    match api.broker.store().failure() {
        None => Ok(Json(json!({"status": "ok"}))),
        Some(error) => Err(ApiError::Unhealthy {
            reason: error.to_string(),
            details: Value::Null,
        }),
    }
}

/// The only alarm this version has: the store stopped.
pub(super) async fn alarms(_: Caller, State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    check_store(&api)
}

pub(super) async fn virtual_hosts(
    _: Caller,
    State(api): State<Api>,
) -> Result<Json<Value>, ApiError> {
    check_store(&api)
}

/// Needs no credentials, as in RabbitMQ.
pub(super) async fn in_service(State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    check_store(&api)
}

pub(super) async fn port_listener(
    _: Caller,
    State(api): State<Api>,
    Names(port): Names<String>,
) -> Result<Json<Value>, ApiError> {
    let port: u16 = port
        .parse()
        .map_err(|_| ApiError::bad_request("Invalid port"))?;
    let addresses = api.node.amqp.iter().chain(&api.node.http);
    let ports: Vec<u16> = addresses.map(SocketAddr::port).collect();
    if ports.contains(&port) {
        Ok(Json(json!({"status": "ok", "port": port})))
    } else {
        Err(ApiError::Unhealthy {
            reason: "No active listener".to_owned(),
            details: json!({"missing": port, "ports": ports}),
        })
    }
}
