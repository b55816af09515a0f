//! The node's state as its commands share it: alarms and listeners, in RabbitMQ's words.

use serde_json::Value;

use crate::cli::ctl::output::items;
use crate::cli::ctl::output::plain;

/// Which alarms are up.
pub(super) fn alarms(node: &str, state: &Value) -> Vec<String> {
    let alarms = items(&state["alarms"]).iter();
    let words = alarms.map(|name| match name.as_str() {
        Some("disk") => format!("Free disk space alarm on node {node}"),
        _ => format!("Memory alarm on node {node}"),
    });
    words.collect()
}

/// Where and for what the node listens.
pub(super) fn listener(listener: &Value) -> String {
    format!(
        "Interface: {}, port: {}, protocol: {}, purpose: {}",
        plain(&listener["interface"]),
        listener["port"],
        plain(&listener["protocol"]),
        plain(&listener["purpose"])
    )
}

/// The ports that it listens on.
pub(super) fn ports(state: &Value) -> Vec<u64> {
    let ports = items(&state["listeners"]).iter();
    ports
        .filter_map(|listener| listener["port"].as_u64())
        .collect()
}

/// A list in a sentence.
pub(super) fn ports_in_words(state: &Value) -> String {
    let ports: Vec<String> = ports(state).iter().map(u64::to_string).collect();
    ports.join(", ")
}
