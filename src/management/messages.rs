//! `publish` and `get`: single messages over HTTP, for people and tests.

use amq_protocol::protocol::basic::AMQPProperties;
use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::connection::host::Settle;
use crate::definitions::InvalidProperty;
use crate::definitions::message_json;
use crate::definitions::properties_from_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::acting::name_of;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::exchanges::named;
use crate::management::path::Names;
use crate::model::ExchangeName;
use crate::model::RoutingKey;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message;
use crate::model::message::Traits;
use crate::protocol::properties;

type Answer = Result<Json<Value>, ApiError>;

/// Messages that one `get` fetches, whatever the client says.
const GET_MAX: u64 = 100_000;

fn octets(payload: &Value, encoding: &Value) -> Result<Vec<u8>, ApiError> {
    let Value::String(payload) = payload else {
        return Err(ApiError::bad_request("payload_not_string"));
    };
    match encoding.as_str() {
        Some("string") => Ok(payload.clone().into_bytes()),
        Some("base64") => STANDARD
            .decode(payload)
            .map_err(|_| ApiError::BadRequest(json!(["not_base64", payload]))),
        _ => Err(ApiError::BadRequest(json!([
            "unsupported_encoding",
            encoding
        ]))),
    }
}

fn message(exchange: &ExchangeName, body: &mut Body) -> Result<Run, ApiError> {
    let keys = ["routing_key", "properties", "payload", "payload_encoding"];
    let [key, given, payload, encoding] = body.take(keys)?;
    let key = key
        .as_str()
        .ok_or_else(|| ApiError::bad_request("routing_key is not a text"))?;
    let key = name_of(RoutingKey::new(key))?;
    let given = match given {
        Value::Object(given) => given,
        // So an empty table is written by some languages.
        Value::Array(items) if items.is_empty() => Map::new(),
        Value::Null => Map::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(ApiError::bad_request("properties are not an object"));
        }
    };
    let refused = |InvalidProperty(word, key)| ApiError::BadRequest(json!([word, key]));
    let header = properties::encode(&properties_from_json(&given).map_err(refused)?);
    let invalid = |error| ApiError::bad_request(format!("properties: {error}"));
    let traits = properties::scan(&header).map_err(invalid)?;
    Ok(single(
        exchange,
        &key,
        &header,
        &octets(&payload, &encoding)?,
        traits,
    ))
}

/// A message without properties.
pub(super) fn plain(exchange: &ExchangeName, key: &RoutingKey, payload: &[u8]) -> Run {
    let header = properties::encode(&AMQPProperties::default());
    single(exchange, key, &header, payload, Traits::default())
}

fn single(
    exchange: &ExchangeName,
    key: &RoutingKey,
    header: &[u8],
    payload: &[u8],
    traits: Traits,
) -> Run {
    let mut builder = RunBuilder::default();
    builder.push(&message::route(exchange, key), header, payload, traits);
    builder.finish()
}

pub(super) async fn publish(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    mut body: Body,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost)?;
    let exchange = vhost.exchange(named(&name));
    let exchange = exchange.ok_or(ApiError::Missing("exchange_not_found"))?;
    let message = message(&exchange.name, &mut body)?;
    if message.body_bytes() > api.options.max_message_bytes {
        return Err(ApiError::bad_request(
            "406 PRECONDITION_FAILED - message size is too large",
        ));
    }
    let sent = api
        .act(&caller, &vhost)?
        .publish(message)
        .map_err(ApiError::on_channel)?;
    if sent.refused {
        return Err(ApiError::bad_request(
            "rejected Unable to publish message. Check queue limits.",
        ));
    }
    api.committed(sent.commit).await;
    Ok(Json(json!({ "routed": sent.routed })))
}

/// What becomes of fetched messages.
fn ackmode(body: &Body, value: &Value) -> Result<Option<Settle>, ApiError> {
    // As clients of RabbitMQ 3.6 and before say it.
    let requeue = body.flag("requeue").ok().flatten();
    match (value.as_str(), requeue) {
        (Some("ack_requeue_false"), _) => Ok(None),
        (Some("ack_requeue_true" | "reject_requeue_true"), _) => Ok(Some(Settle::Requeue)),
        (Some("reject_requeue_false"), _) => Ok(Some(Settle::Reject)),
        (other, _) => Err(ApiError::bad_request(format!(
            "Invalid ackmode value: {}. Valid values are: ack_requeue_true, ack_requeue_false, \
             reject_requeue_true, reject_requeue_false",
            other.unwrap_or_default()
        ))),
    }
}

fn whole(value: &Value) -> Option<u64> {
    let written = value.as_str().and_then(|text| text.parse().ok());
    written.or(value.as_u64())
}

pub(super) async fn get(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    mut body: Body,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost)?;
    let queue = vhost
        .queue(&name)
        .ok_or(ApiError::Missing("queue_not_found"))?;
    let [mode, count, encoding] = body.take(["ackmode", "count", "encoding"])?;
    let settle = ackmode(&body, &mode)?;
    let count = whole(&count).ok_or_else(|| ApiError::BadRequest(json!(["not_integer", count])))?;
    let always_base64 = match encoding.as_str() {
        Some("auto") => false,
        Some("base64") => true,
        _ => {
            return Err(ApiError::bad_request(
                "Unsupported encoding. Please use auto or base64.",
            ));
        }
    };
    let truncate = match body.0.get("truncate") {
        None => None,
        Some(value) => {
            let bytes =
                whole(value).ok_or_else(|| ApiError::BadRequest(json!(["not_integer", value])))?;
            Some(usize::try_from(bytes).unwrap_or(usize::MAX))
        }
    };
    let mut acting = api.act(&caller, &vhost)?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    while (rows.len() as u64) < count.min(GET_MAX) && bytes < api.options.body_bytes_max {
        let got = acting.get(&queue.name, settle.is_none());
        let Some(got) = got.map_err(ApiError::on_channel)? else {
            break;
        };
        let message = got.range.run.first();
        let counted = properties::with_delivery_count(message.header(), got.range.returns);
        let header = if got.range.returns > 0 {
            &counted
        } else {
            message.header()
        };
        let mut row = message_json(message, header, truncate, always_base64);
        row.insert("redelivered".to_owned(), json!(got.range.redelivered));
        row.insert("message_count".to_owned(), json!(got.message_count));
        bytes += message.held_bytes();
        rows.push(Value::Object(row));
    }
    if let Some(settle) = settle {
        acting.settle(settle);
    }
    drop(acting);
    Ok(Json(rows.into()))
}
