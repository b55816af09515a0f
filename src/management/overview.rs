//! The node as a whole, and who asks.

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::management::Api;
use crate::management::auth::Caller;

/// `GET /api/overview`: identity, listeners and totals of what the caller may see.
pub(super) async fn overview(caller: Caller, State(api): State<Api>) -> Json<Value> {
    let options = api.broker.options();
    let vhosts = caller.vhosts(&api);
    let (mut ready, mut unacked, mut queues, mut consumers) = (0, 0, 0_usize, 0);
    for queue in vhosts.iter().flat_map(|vhost| vhost.queues()) {
        let (counts, _) = queue.enter(|state, _| state.counts());
        ready += counts.ready;
        unacked += counts.unacked;
        consumers += counts.consumers;
        queues += 1;
    }
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len()).sum();
    let listener = |protocol: &str, address: &std::net::SocketAddr| {
        json!({
            "node": api.node.name, "protocol": protocol, "ip_address": address.ip().to_string(),
            "port": address.port(),
        })
    };
    let amqp = api
        .node
        .amqp
        .iter()
        .map(|address| listener("amqp", address));
    let http = api
        .node
        .http
        .iter()
        .map(|address| listener("http", address));
    Json(json!({
        "product_name": options.product,
        "product_version": options.version,
        "rabbitmq_version": options.version,
        "management_version": options.version,
        "leveret_version": env!("CARGO_PKG_VERSION"),
        "cluster_name": options.cluster_name,
        "node": api.node.name,
        "queue_totals": {
            "messages": ready + unacked,
            "messages_ready": ready,
            "messages_unacknowledged": unacked,
        },
        "object_totals": {
            "connections": api.broker.connections().len(),
            "consumers": consumers,
            "exchanges": exchanges,
            "queues": queues,
        },
        "listeners": amqp.chain(http).collect::<Vec<_>>(),
    }))
}

/// `GET /api/whoami`.
pub(super) async fn whoami(caller: Caller) -> Json<Value> {
    Json(json!({"name": caller.user.name().as_str(), "tags": caller.user.tags()}))
}

/// `GET /api/version`: needs no credentials.
pub(super) async fn version(State(api): State<Api>) -> Json<Value> {
    Json(json!(api.broker.options().version))
}
