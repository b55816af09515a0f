//! Definitions out of a node, as RabbitMQ writes them.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::broker::Broker;
use crate::broker::LimitKind;
use crate::definitions::arguments_json;
use crate::vhost::Target;
use crate::vhost::Vhost;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;

/// Everything of the node.
pub fn of_node(broker: &Broker) -> Value {
    let options = broker.options();
    let vhosts = broker.vhosts();
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    put("rabbit_version", json!(options.version));
    put("rabbitmq_version", json!(options.version));
    put("product_name", json!(options.product));
    put("product_version", json!(options.version));
    put("rabbitmq_definition_format", json!("cluster"));
    put("original_cluster_name", json!(broker.cluster_name()));
    put(
        "explanation",
        json!(format!(
            "Definitions of cluster '{}'",
            broker.cluster_name()
        )),
    );
    put("users", users(broker));
    put(
        "vhosts",
        vhosts
            .iter()
            .map(|vhost| vhost_json(broker, vhost))
            .collect(),
    );
    put("permissions", permissions(broker));
    put("topic_permissions", topic_permissions(broker));
    let globals = broker.parameters().all().into_iter();
    let globals = globals.map(|(name, value)| json!({"name": name, "value": value}));
    put("global_parameters", globals.collect());
    for (key, rows) in contents(broker, &vhosts, true) {
        put(key, rows);
    }
    document.into()
}

/// Everything within one virtual host.
pub fn of_vhost(broker: &Broker, vhost: &Arc<Vhost>) -> Value {
    let options = broker.options();
    let noted = vhost.metadata();
    let described = vhost_json(broker, vhost);
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    put("rabbit_version", json!(options.version));
    put("rabbitmq_version", json!(options.version));
    put("product_name", json!(options.product));
    put("product_version", json!(options.version));
    put("rabbitmq_definition_format", json!("single_virtual_host"));
    put("original_vhost_name", json!(vhost.name().as_str()));
    put(
        "explanation",
        json!(format!(
            "Definitions of virtual host '{}'",
            vhost.name().as_str()
        )),
    );
    put("metadata", described["metadata"].clone());
    put("description", json!(noted.description));
    put(
        "default_queue_type",
        json!(noted.default_queue_type.unwrap_or_default().name()),
    );
    put("limits", described["limits"].clone());
    for (key, rows) in contents(broker, std::slice::from_ref(vhost), false) {
        put(key, rows);
    }
    document.into()
}

fn users(broker: &Broker) -> Value {
    let directory = broker.access().snapshot();
    let mut users: Vec<_> = directory.users().collect();
    users.sort_by(|left, right| left.name().cmp(right.name()));
    let rows = users.into_iter().map(|user| {
        let record = user.record();
        json!({
            "name": record.name,
            "password_hash": record.password_hash,
            "hashing_algorithm": record.hashing_algorithm,
            "tags": record.tags,
            "limits": broker.limits(LimitKind::User).of(user.name()),
        })
    });
    rows.collect()
}

fn vhost_json(broker: &Broker, vhost: &Vhost) -> Value {
    let noted = vhost.metadata();
    let mut metadata = json!({"description": noted.description, "tags": noted.tags});
    if let Some(queue_type) = noted.default_queue_type {
        metadata["default_queue_type"] = json!(queue_type.name());
    }
    if noted.protected_from_deletion {
        metadata["protected_from_deletion"] = json!(true);
    }
    // Earlier versions of RabbitMQ read it beside the metadata.
    json!({
        "name": vhost.name().as_str(),
        "description": noted.description,
        "tags": noted.tags,
        "limits": broker.limits(LimitKind::Vhost).of(vhost.name()),
        "metadata": metadata,
    })
}

fn permissions(broker: &Broker) -> Value {
    let directory = broker.access().snapshot();
    let mut rows: Vec<_> = directory.permissions().collect();
    rows.sort_by(|left, right| (&left.user, &left.vhost).cmp(&(&right.user, &right.vhost)));
    rows.iter().map(|row| json!(row)).collect()
}

fn topic_permissions(broker: &Broker) -> Value {
    let directory = broker.access().snapshot();
    let mut rows: Vec<_> = directory.topic_permissions().collect();
    rows.sort_by_key(|row| (&row.user, &row.vhost, &row.exchange));
    rows.into_iter().map(|row| json!(row)).collect()
}

fn policy_value(policy: &Policy) -> Value {
    json!({
        "pattern": policy.pattern.source(),
        "definition": policy.definition,
        "priority": policy.priority,
        "apply-to": policy.apply_to.name(),
    })
}

/// What lies in virtual hosts. `named`: each row tells in which.
fn contents(broker: &Broker, vhosts: &[Arc<Vhost>], named: bool) -> Vec<(&'static str, Value)> {
    let (mut parameters, mut policies) = (Vec::new(), Vec::new());
    let (mut queues, mut exchanges, mut bindings) = (Vec::new(), Vec::new(), Vec::new());
    for vhost in vhosts {
        let row = |mut row: Value| {
            if named && let Some(row) = row.as_object_mut() {
                row.insert("vhost".to_owned(), json!(vhost.name().as_str()));
            }
            row
        };
        for policy in vhost.policies(PolicyKind::Operator) {
            let value = policy_value(&policy);
            parameters.push(row(json!({
                "component": "operator_policy", "name": policy.name, "value": value,
            })));
        }
        let limits = broker.limits(LimitKind::Vhost).of(vhost.name());
        if !limits.is_empty() {
            parameters.push(row(json!({
                "component": "vhost-limits", "name": "limits", "value": limits,
            })));
        }
        for policy in vhost.policies(PolicyKind::Ordinary) {
            let mut value = policy_value(&policy);
            value["name"] = json!(policy.name);
            policies.push(row(value));
        }
        let mut all = vhost.queues();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        // Nobody else may use those that belong to a connection, and they go with it.
        for queue in all.iter().filter(|queue| queue.owner.is_none()) {
            queues.push(row(json!({
                "name": queue.name.as_str(),
                "type": queue.queue_type.name(),
                "durable": queue.durable,
                "auto_delete": queue.auto_delete,
                "arguments": arguments_json(&queue.arguments),
            })));
        }
        let mut all = vhost.exchanges();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        for exchange in &all {
            let by_itself = exchange.is_default() || exchange.name.starts_with("amq.");
            if !by_itself {
                exchanges.push(row(json!({
                    "name": exchange.name.as_str(),
                    "type": exchange.kind.name(),
                    "durable": exchange.durable,
                    "auto_delete": exchange.auto_delete,
                    "internal": exchange.internal,
                    "arguments": arguments_json(&exchange.arguments),
                })));
            }
            for binding in exchange.bindings() {
                let (destination, kind) = match &binding.target {
                    Target::Queue(name) => (name.as_str(), "queue"),
                    Target::Exchange(name) => (name.as_str(), "exchange"),
                };
                let private = |name: &str| {
                    let queue = vhost.queue(name);
                    kind == "queue" && queue.is_some_and(|queue| queue.owner.is_some())
                };
                if private(destination) {
                    continue;
                }
                bindings.push(row(json!({
                    "source": binding.source.as_str(),
                    "destination": destination,
                    "destination_type": kind,
                    "routing_key": binding.routing_key.as_str(),
                    "arguments": arguments_json(&binding.arguments),
                })));
            }
        }
    }
    vec![
        ("parameters", parameters.into()),
        ("policies", policies.into()),
        ("queues", queues.into()),
        ("exchanges", exchanges.into()),
        ("bindings", bindings.into()),
    ]
}
