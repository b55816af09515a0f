//! Health checks for load balancers and orchestrators: 200 with `{"status":"ok"}`, or 503 with the reason.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;

fn check_store(api: &Api) -> Result<Json<Value>, ApiError> {
    match api.broker.store().failure() {
        None => Ok(Json(json!({"status": "ok"}))),
        Some(error) => Err(ApiError::Unhealthy(error.to_string())),
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
    Path(port): Path<u16>,
) -> Result<Json<Value>, ApiError> {
    let mut ports = api
        .node
        .amqp
        .iter()
        .chain(&api.node.http)
        .map(|address| address.port());
    if ports.any(|open| open == port) {
        Ok(Json(json!({"status": "ok", "port": port})))
    } else {
        Err(ApiError::Unhealthy(format!(
            "No active listener on port {port}"
        )))
    }
}
