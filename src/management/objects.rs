//! Lists of exchanges, queues, bindings and connections.

use axum::Json;
use axum::extract::State;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use amq_protocol::types::AMQPValue;

use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::path::Names;
use crate::model::Arguments;
use crate::model::arguments;
use crate::vhost::Binding;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Target;
use crate::vhost::Vhost;

type Answer = Result<Json<Value>, ApiError>;

fn value_json(value: &AMQPValue) -> Value {
    if let Some(number) = arguments::integer(value) {
        return json!(number);
    }
    match value {
        AMQPValue::Boolean(flag) => json!(flag),
        AMQPValue::Float(number) => json!(number),
        AMQPValue::Double(number) => json!(number),
        AMQPValue::Timestamp(seconds) => json!(seconds),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_json).collect(),
        AMQPValue::FieldTable(table) => arguments_json(&Arguments::from(table.clone())),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::ByteArray(bytes) => json!(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::DecimalValue(decimal) => {
            json!(f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::ShortShortInt(_)
        | AMQPValue::ShortShortUInt(_)
        | AMQPValue::ShortInt(_)
        | AMQPValue::ShortUInt(_)
        | AMQPValue::LongInt(_)
        | AMQPValue::LongUInt(_)
        | AMQPValue::LongLongInt(_)
        | AMQPValue::Void => Value::Null,
    }
}

/// A table as the API shows it.
pub fn arguments_json(arguments: &Arguments) -> Value {
    let entries: Map<String, Value> = arguments
        .iter()
        .map(|(key, value)| (key.to_owned(), value_json(value)))
        .collect();
    Value::Object(entries)
}

fn queue_json(queue: &QueueHandle, node: &str) -> Value {
    let (counts, _) = queue.enter(|state, _| state.counts());
    let applied = queue.applied();
    json!({
        "name": queue.name.as_str(),
        "vhost": queue.vhost.as_str(),
        "type": queue.queue_type.name(),
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.owner.is_some(),
        "arguments": arguments_json(&queue.arguments),
        "node": node,
        "state": "running",
        "policy": applied.policy.as_ref().map(|policy| &policy.name),
        "operator_policy": applied.operator_policy.as_ref().map(|policy| &policy.name),
        "effective_policy_definition": applied.definition().unwrap_or_default(),
        "consumers": counts.consumers,
        "messages": counts.ready + counts.unacked,
        "messages_ready": counts.ready,
        "messages_unacknowledged": counts.unacked,
        "message_bytes_ready": counts.ready_bytes,
    })
}

fn exchange_json(vhost: &Vhost, exchange: &Exchange) -> Value {
    let mut row = json!({
        "name": exchange.name.as_str(),
        "vhost": vhost.name().as_str(),
        "type": exchange.kind.name(),
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": arguments_json(&exchange.arguments),
    });
    if let Some(delayed) = exchange.messages_delayed() {
        row["messages_delayed"] = json!(delayed);
    }
    // Unlike queues, exchanges without a policy have no such fields.
    if let Some(policy) = exchange.applied().policy {
        row["policy"] = json!(policy.name);
    }
    row
}

fn binding_json(vhost: &Vhost, binding: &Binding) -> Value {
    let (destination, kind) = match &binding.target {
        Target::Queue(queue) => (queue.as_str(), "queue"),
        Target::Exchange(exchange) => (exchange.as_str(), "exchange"),
    };
    json!({
        "source": binding.source.as_str(),
        "vhost": vhost.name().as_str(),
        "destination": destination,
        "destination_type": kind,
        "routing_key": binding.routing_key.as_str(),
        "arguments": arguments_json(&binding.arguments),
    })
}

fn sorted(vhost: &Vhost, node: &str) -> Vec<Value> {
    let mut queues = vhost.queues();
    queues.sort_by(|left, right| left.name.cmp(&right.name));
    queues.iter().map(|queue| queue_json(queue, node)).collect()
}

fn sorted_exchanges(vhost: &Vhost) -> Vec<Value> {
    let mut exchanges = vhost.exchanges();
    exchanges.sort_by(|left, right| left.name.cmp(&right.name));
    exchanges
        .iter()
        .map(|exchange| exchange_json(vhost, exchange))
        .collect()
}

fn all_bindings(vhost: &Vhost) -> Vec<Value> {
    let mut exchanges = vhost.exchanges();
    exchanges.sort_by(|left, right| left.name.cmp(&right.name));
    let explicit = exchanges.iter().flat_map(|exchange| exchange.bindings());
    explicit
        .map(|binding| binding_json(vhost, &binding))
        .collect()
}

pub(super) async fn queues(caller: Caller, State(api): State<Api>) -> Answer {
    let vhosts = caller.vhosts(&api);
    Ok(Json(
        vhosts
            .iter()
            .flat_map(|vhost| sorted(vhost, &api.node.name))
            .collect(),
    ))
}

pub(super) async fn queues_in(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    Ok(Json(
        sorted(&*caller.vhost(&api, &vhost)?, &api.node.name).into(),
    ))
}

pub(super) async fn queue(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
) -> Answer {
    let queue = caller
        .vhost(&api, &vhost)?
        .queue(&name)
        .ok_or(ApiError::NotFound)?;
    Ok(Json(queue_json(&queue, &api.node.name)))
}

pub(super) async fn exchanges(caller: Caller, State(api): State<Api>) -> Answer {
    let vhosts = caller.vhosts(&api);
    Ok(Json(
        vhosts
            .iter()
            .flat_map(|vhost| sorted_exchanges(vhost))
            .collect(),
    ))
}

pub(super) async fn exchanges_in(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    Ok(Json(sorted_exchanges(&*caller.vhost(&api, &vhost)?).into()))
}

pub(super) async fn exchange(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost)?;
    let name = if name == "amq.default" { "" } else { &name };
    let exchange = vhost.exchange(name).ok_or(ApiError::NotFound)?;
    Ok(Json(exchange_json(&vhost, &exchange)))
}

pub(super) async fn bindings(caller: Caller, State(api): State<Api>) -> Answer {
    let vhosts = caller.vhosts(&api);
    Ok(Json(
        vhosts
            .iter()
            .flat_map(|vhost| all_bindings(vhost))
            .collect(),
    ))
}

pub(super) async fn bindings_in(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    Ok(Json(all_bindings(&*caller.vhost(&api, &vhost)?).into()))
}

pub(super) async fn connections(caller: Caller, State(api): State<Api>) -> Answer {
    let mut connections = api.broker.connections().list();
    connections.retain(|connection| caller.monitors() || connection.user == *caller.user.name());
    connections.sort_by_key(|connection| connection.id);
    let rows = connections.iter().map(|connection| {
        json!({
            "name": connection.peer.to_string(),
            "user": connection.user.as_str(),
            "vhost": connection.vhost.as_str(),
            "peer_host": connection.peer.ip().to_string(),
            "peer_port": connection.peer.port(),
            "protocol": "AMQP 0-9-1",
            "state": "running",
            "user_provided_name": connection.name,
        })
    });
    Ok(Json(rows.collect()))
}
