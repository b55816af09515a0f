//! Objects with all that RabbitMQ's listings can show of them; the caller picks the columns.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::admin::operate::Done;
use crate::admin::operate::Operator;
use crate::broker::ConnectionInfo;
use crate::definitions::arguments_json;
use crate::model::Arguments;
use crate::queue::QueueType;
use crate::vhost::QueueHandle;
use crate::vhost::Target;

impl Operator<'_> {
    pub(super) fn queues(&self, vhost: &str) -> Done {
        let mut queues = self.vhost(vhost)?.queues();
        queues.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(queues.iter().map(|queue| self.queue(queue)).collect())
    }

    fn queue(&self, queue: &QueueHandle) -> Value {
        let applied = queue.applied();
        let now = self.now();
        let (counts, stats, unacked_bytes, memory, ready_ram, capacity) = queue.look(|state| {
            (
                state.counts(),
                state.stats(),
                state.unacked_bytes(),
                state.memory_bytes(),
                state.ready_in_memory(),
                state.consumer_capacity(now),
            )
        });
        let node = &self.node.name;
        let messages = counts.ready + counts.unacked;
        let bytes = counts.ready_bytes + unacked_bytes;
        let owner = queue.owner.map(|owner| self.broker.connection_pid(owner));
        let policy = |policy: &Option<Arc<_>>| policy.as_ref().map(policy_name);
        let mut row = json!({
            "name": queue.name.as_str(),
            "durable": queue.durable,
            "auto_delete": queue.auto_delete,
            "arguments": arguments_json(&queue.arguments),
            "policy": policy(&applied.policy),
            "operator_policy": policy(&applied.operator_policy),
            "effective_policy_definition": applied.definition().unwrap_or_default(),
            "pid": format!("<{node}.2.{}.0>", queue.id.0),
            "owner_pid": owner,
            "exclusive": queue.owner.is_some(),
            "exclusive_consumer_pid": null,
            "exclusive_consumer_tag": null,
            "messages_ready": counts.ready,
            "messages_unacknowledged": counts.unacked,
            "messages": messages,
            "messages_ready_ram": ready_ram,
            "messages_unacknowledged_ram": counts.unacked,
            "messages_ram": ready_ram + counts.unacked,
            "head_message_timestamp": null,
        });
        // Classic queues have none of it in RabbitMQ.
        let replicated = queue.queue_type != QueueType::Classic;
        let more = json!({
            "message_bytes": bytes,
            "message_bytes_ready": counts.ready_bytes,
            "message_bytes_unacknowledged": unacked_bytes,
            "message_bytes_ram": memory,
            "disk_reads": stats.disk_reads,
            "disk_writes": stats.disk_writes,
            "consumers": counts.consumers,
            "consumer_utilisation": capacity,
            "consumer_capacity": capacity,
            "memory": memory,
            "state": "running",
            "type": queue.queue_type.name(),
            "leader": replicated.then_some(node),
            "members": replicated.then_some([node]),
            "online": replicated.then_some([node]),
            "slave_pids": null,
            "synchronised_slave_pids": null,
            "mirror_pids": null,
        });
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        row
    }

    pub(super) fn exchanges(&self, vhost: &str) -> Done {
        let mut exchanges = self.vhost(vhost)?.exchanges();
        exchanges.sort_by(|left, right| left.name.cmp(&right.name));
        let rows = exchanges.iter().map(|exchange| {
            json!({
                "name": exchange.name.as_str(),
                "type": exchange.kind.name(),
                "durable": exchange.durable,
                "auto_delete": exchange.auto_delete,
                "internal": exchange.internal,
                "arguments": arguments_json(&exchange.arguments),
                "policy": exchange.applied().policy.as_ref().map(policy_name),
            })
        });
        Ok(rows.collect())
    }

    /// Those of the default exchange first, which stand nowhere else.
    pub(super) fn bindings(&self, vhost: &str) -> Done {
        let vhost = self.vhost(vhost)?;
        let row = |source: &str, destination: &str, kind: &str, key: &str, arguments: Value| {
            json!({
                "source_name": source, "source_kind": "exchange", "destination_name": destination,
                "destination_kind": kind, "routing_key": key, "arguments": arguments,
            })
        };
        let mut queues = vhost.queues();
        queues.sort_by(|left, right| left.name.cmp(&right.name));
        let named = queues.iter().map(|queue| &queue.name);
        let mut rows: Vec<Value> = named
            .map(|name| row("", name, "queue", name, json!({})))
            .collect();
        let mut exchanges = vhost.exchanges();
        exchanges.retain(|exchange| !exchange.is_default());
        exchanges.sort_by(|left, right| left.name.cmp(&right.name));
        for binding in exchanges.iter().flat_map(|exchange| exchange.bindings()) {
            let (destination, kind) = match &binding.target {
                Target::Queue(queue) => (queue.as_str(), "queue"),
                Target::Exchange(exchange) => (exchange.as_str(), "exchange"),
            };
            let arguments = arguments_json(&binding.arguments);
            let (source, key) = (&binding.source, &binding.routing_key);
            rows.push(row(source, destination, kind, key, arguments));
        }
        Ok(rows.into())
    }

    fn open(&self) -> Vec<Arc<ConnectionInfo>> {
        let mut open = self.broker.connections().list();
        open.sort_by_key(|connection| connection.id);
        open
    }

    pub(super) fn consumers(&self, vhost: &str) -> Done {
        self.vhost(vhost)?;
        let mut rows = Vec::new();
        let open = self.open();
        for connection in open.iter().filter(|open| *open.vhost == *vhost) {
            for channel in connection.channels() {
                let pid = self.broker.channel_pid(connection.id, channel.number);
                for consumer in channel.consumers() {
                    rows.push(json!({
                        "queue_name": consumer.queue.as_str(),
                        "channel_pid": pid,
                        "consumer_tag": consumer.tag.as_str(),
                        "ack_required": !consumer.no_ack,
                        "prefetch_count": consumer.prefetch,
                        "active": true,
                        "activity_status": "up",
                        "arguments": arguments_json(&consumer.arguments),
                    }));
                }
            }
        }
        Ok(rows.into())
    }

    pub(super) fn connections(&self) -> Value {
        let alarm = self.broker.alarms().raised();
        let rows = self.open().into_iter().map(|connection| {
            let (stats, settled) = (&connection.stats, &connection.settled);
            let local = connection.local;
            json!({
                "pid": self.broker.connection_pid(connection.id),
                "name": connection.title,
                "user_provided_name": connection.name,
                "port": local.map(|local| local.port()),
                "host": local.map(|local| local.ip().to_canonical().to_string()),
                "peer_port": connection.peer.port(),
                "peer_host": connection.peer.ip().to_canonical().to_string(),
                "ssl": false,
                "state": connection.state(alarm),
                "channels": connection.channel_count(),
                "protocol": "{0,9,1}",
                "auth_mechanism": settled.mechanism,
                "user": connection.user.as_str(),
                "vhost": connection.vhost.as_str(),
                "timeout": settled.heartbeat,
                "frame_max": settled.frame_max,
                "channel_max": settled.channel_max,
                "client_properties": arguments_json(&Arguments::from(settled.client_properties.clone())),
                "recv_oct": stats.received_bytes.get(),
                "recv_cnt": stats.received_packets.get(),
                "send_oct": stats.sent_bytes.get(),
                "send_cnt": stats.sent_packets.get(),
                "send_pend": u64::from(stats.pending_bytes.get() > 0),
                "connected_at": connection.connected_at,
            })
        });
        rows.collect()
    }

    pub(super) fn channels(&self) -> Value {
        let mut rows = Vec::new();
        for connection in self.open() {
            for channel in connection.channels() {
                let stats = &channel.stats;
                rows.push(json!({
                    "pid": self.broker.channel_pid(connection.id, channel.number),
                    "connection": self.broker.connection_pid(connection.id),
                    "name": connection.channel_title(channel.number),
                    "number": channel.number.0,
                    "user": connection.user.as_str(),
                    "vhost": connection.vhost.as_str(),
                    "transactional": stats.transactional.get() != 0,
                    "confirm": stats.confirms.get() != 0,
                    "consumer_count": channel.consumer_count(),
                    "messages_unacknowledged": stats.unacked.get(),
                    "messages_uncommitted": stats.uncommitted.get(),
                    "acks_uncommitted": stats.acks_uncommitted.get(),
                    "messages_unconfirmed": stats.unconfirmed.get(),
                    "prefetch_count": stats.prefetch.get(),
                    "global_prefetch_count": stats.global_prefetch.get(),
                }));
            }
        }
        rows.into()
    }
}

fn policy_name(policy: &Arc<crate::vhost::policies::Policy>) -> String {
    policy.name.clone()
}
