//! What is told, in RabbitMQ's names and words, and where each number comes from.
//!
//! What stands for nothing here (reductions, garbage collection, the message store of an Erlang node) is told as 0, for
//! dashboards ask for it.

use crate::broker::AlarmState;
use crate::broker::ChannelInfo;
use crate::broker::ConnectionInfo;
use crate::management::prometheus::text::Kind;
use crate::metrics::ChurnCounts;
use crate::metrics::Messages;
use crate::metrics::QueueCounts;
use crate::metrics::machine::Machine;
use crate::queue::Queue;
use crate::store::StoreStats;
use crate::vhost::Exchange;

/// A number that something has.
pub(super) struct Metric<T> {
    /// The family of RabbitMQ's by which `/metrics/detailed` asks for it.
    pub(super) family: &'static str,
    /// Without its prefix.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) read: fn(&T) -> u64,
}

const fn metric<T>(
    family: &'static str,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&T) -> u64,
) -> Metric<T> {
    Metric {
        family,
        name,
        kind,
        help,
        read,
    }
}

/// The node at one moment.
pub(super) struct NodeFigures {
    pub(super) churn: ChurnCounts,
    pub(super) machine: Machine,
    pub(super) alarms: AlarmState,
}

/// Of the node.
pub(super) const NODE: &[Metric<NodeFigures>] = &[
    metric(
        "connection_churn_metrics",
        "connections_opened_total",
        Kind::Counter,
        "Total number of connections opened",
        |n| n.churn.connection_created,
    ),
    metric(
        "connection_churn_metrics",
        "connections_closed_total",
        Kind::Counter,
        "Total number of connections closed or terminated",
        |n| n.churn.connection_closed,
    ),
    metric(
        "connection_churn_metrics",
        "channels_opened_total",
        Kind::Counter,
        "Total number of channels opened",
        |n| n.churn.channel_created,
    ),
    metric(
        "connection_churn_metrics",
        "channels_closed_total",
        Kind::Counter,
        "Total number of channels closed",
        |n| n.churn.channel_closed,
    ),
    metric(
        "connection_churn_metrics",
        "queues_declared_total",
        Kind::Counter,
        "Total number of queues declared",
        |n| n.churn.queue_declared,
    ),
    metric(
        "connection_churn_metrics",
        "queues_created_total",
        Kind::Counter,
        "Total number of queues created",
        |n| n.churn.queue_created,
    ),
    metric(
        "connection_churn_metrics",
        "queues_deleted_total",
        Kind::Counter,
        "Total number of queues deleted",
        |n| n.churn.queue_deleted,
    ),
    metric(
        "node_coarse_metrics",
        "process_open_fds",
        Kind::Gauge,
        "Open file descriptors",
        |n| n.machine.files_open,
    ),
    metric(
        "node_coarse_metrics",
        "process_open_tcp_sockets",
        Kind::Gauge,
        "Open TCP sockets",
        |n| n.machine.sockets_open,
    ),
    metric(
        "node_coarse_metrics",
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory used in bytes",
        |n| n.machine.memory_used,
    ),
    metric(
        "node_coarse_metrics",
        "disk_space_available_bytes",
        Kind::Gauge,
        "Disk space available in bytes",
        |n| n.machine.disk_free,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_processes_used",
        Kind::Gauge,
        "Erlang processes used",
        |n| n.machine.threads,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_gc_runs_total",
        Kind::Counter,
        "Total number of Erlang garbage collector runs",
        |_| 0,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_gc_reclaimed_bytes_total",
        Kind::Counter,
        "Total number of bytes of memory reclaimed by Erlang garbage collector",
        |_| 0,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_scheduler_context_switches_total",
        Kind::Counter,
        "Total number of Erlang scheduler context switches",
        |_| 0,
    ),
    metric(
        "node_metrics",
        "process_max_fds",
        Kind::Gauge,
        "Open file descriptors limit",
        |n| n.machine.files_max,
    ),
    metric(
        "node_metrics",
        "process_max_tcp_sockets",
        Kind::Gauge,
        "Open TCP sockets limit",
        |n| n.machine.files_max,
    ),
    metric(
        "node_metrics",
        "resident_memory_limit_bytes",
        Kind::Gauge,
        "Memory high watermark in bytes",
        |n| n.alarms.memory_limit.unwrap_or(0),
    ),
    metric(
        "node_metrics",
        "disk_space_available_limit_bytes",
        Kind::Gauge,
        "Free disk space low watermark in bytes",
        |n| n.alarms.disk_limit.unwrap_or(0),
    ),
    metric(
        "node_metrics",
        "erlang_processes_limit",
        Kind::Gauge,
        "Erlang processes limit",
        |_| 1_048_576,
    ),
    metric(
        "node_metrics",
        "erlang_scheduler_run_queue",
        Kind::Gauge,
        "Erlang scheduler run queue",
        |_| 0,
    ),
    metric(
        "node_metrics",
        "erlang_net_ticktime_seconds",
        Kind::Gauge,
        "Inter-node heartbeat interval",
        |_| 60,
    ),
    metric(
        "node_persister_metrics",
        "io_read_ops_total",
        Kind::Counter,
        "Total number of I/O read operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_read_bytes_total",
        Kind::Counter,
        "Total number of I/O bytes read",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_write_ops_total",
        Kind::Counter,
        "Total number of I/O write operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_write_bytes_total",
        Kind::Counter,
        "Total number of I/O bytes written",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_sync_ops_total",
        Kind::Counter,
        "Total number of I/O sync operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_seek_ops_total",
        Kind::Counter,
        "Total number of I/O seek operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_reopen_ops_total",
        Kind::Counter,
        "Total number of times files have been reopened",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "schema_db_ram_tx_total",
        Kind::Counter,
        "Total number of Schema DB memory transactions",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "schema_db_disk_tx_total",
        Kind::Counter,
        "Total number of Schema DB disk transactions",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "msg_store_read_total",
        Kind::Counter,
        "Total number of Message Store read operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "msg_store_write_total",
        Kind::Counter,
        "Total number of Message Store write operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "queue_index_read_ops_total",
        Kind::Counter,
        "Total number of Queue Index read operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "queue_index_write_ops_total",
        Kind::Counter,
        "Total number of Queue Index write operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_read_time_seconds_total",
        Kind::Counter,
        "Total I/O read time",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_write_time_seconds_total",
        Kind::Counter,
        "Total I/O write time",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_sync_time_seconds_total",
        Kind::Counter,
        "Total I/O sync time",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_seek_time_seconds_total",
        Kind::Counter,
        "Total I/O seek time",
        |_| 0,
    ),
];

/// Whether each alarm is up.
pub(super) const ALARMS: &[Metric<NodeFigures>] = &[
    metric(
        "alarms",
        "alarms_file_descriptor_limit",
        Kind::Untyped,
        "is 1 if file descriptor limit alarm is in effect",
        |_| 0,
    ),
    metric(
        "alarms",
        "alarms_free_disk_space_watermark",
        Kind::Untyped,
        "is 1 if free disk space watermark alarm is in effect",
        |n| u64::from(n.alarms.disk),
    ),
    metric(
        "alarms",
        "alarms_memory_used_watermark",
        Kind::Untyped,
        "is 1 if VM memory watermark alarm is in effect",
        |n| u64::from(n.alarms.memory),
    ),
];

/// Of queues.
pub(super) const QUEUES: &[Metric<Queue>] = &[
    metric(
        "queue_coarse_metrics",
        "queue_messages_ready",
        Kind::Gauge,
        "Messages ready to be delivered to consumers",
        |q| q.counts().ready,
    ),
    metric(
        "queue_coarse_metrics",
        "queue_messages_unacked",
        Kind::Gauge,
        "Messages delivered to consumers but not yet acknowledged",
        |q| q.counts().unacked,
    ),
    metric(
        "queue_coarse_metrics",
        "queue_messages",
        Kind::Gauge,
        "Sum of ready and unacknowledged messages - total queue depth",
        |q| q.counts().ready + q.counts().unacked,
    ),
    metric(
        "queue_coarse_metrics",
        "queue_process_reductions_total",
        Kind::Counter,
        "Total number of queue process reductions",
        |_| 0,
    ),
    metric(
        "queue_consumer_count",
        "queue_consumers",
        Kind::Gauge,
        "Consumers on a queue",
        |q| q.counts().consumers,
    ),
    metric(
        "queue_metrics",
        "queue_consumers",
        Kind::Gauge,
        "Consumers on a queue",
        |q| q.counts().consumers,
    ),
    metric(
        "queue_metrics",
        "queue_consumer_capacity",
        Kind::Gauge,
        "Consumer capacity",
        |q| u64::from(q.has_ready_consumer()),
    ),
    metric(
        "queue_metrics",
        "queue_consumer_utilisation",
        Kind::Gauge,
        "Same as consumer capacity",
        |q| u64::from(q.has_ready_consumer()),
    ),
    metric(
        "queue_metrics",
        "queue_process_memory_bytes",
        Kind::Gauge,
        "Memory in bytes used by the Erlang queue process",
        Queue::memory_bytes,
    ),
    metric(
        "queue_metrics",
        "queue_messages_ram",
        Kind::Gauge,
        "Ready and unacknowledged messages stored in memory",
        |q| q.ready_in_memory() + q.counts().unacked,
    ),
    metric(
        "queue_metrics",
        "queue_messages_ram_bytes",
        Kind::Gauge,
        "Size of ready and unacknowledged messages stored in memory",
        Queue::memory_bytes,
    ),
    metric(
        "queue_metrics",
        "queue_messages_ready_ram",
        Kind::Gauge,
        "Ready messages stored in memory",
        Queue::ready_in_memory,
    ),
    metric(
        "queue_metrics",
        "queue_messages_unacked_ram",
        Kind::Gauge,
        "Unacknowledged messages stored in memory",
        |q| q.counts().unacked,
    ),
    metric(
        "queue_metrics",
        "queue_messages_bytes",
        Kind::Gauge,
        "Size in bytes of ready and unacknowledged messages",
        |q| q.counts().ready_bytes + q.unacked_bytes(),
    ),
    metric(
        "queue_metrics",
        "queue_messages_ready_bytes",
        Kind::Gauge,
        "Size in bytes of ready messages",
        |q| q.counts().ready_bytes,
    ),
    metric(
        "queue_metrics",
        "queue_messages_unacked_bytes",
        Kind::Gauge,
        "Size in bytes of all unacknowledged messages",
        Queue::unacked_bytes,
    ),
    metric(
        "queue_metrics",
        "queue_disk_reads_total",
        Kind::Counter,
        "Total number of times queue read messages from disk",
        |q| q.stats().disk_reads,
    ),
    metric(
        "queue_metrics",
        "queue_disk_writes_total",
        Kind::Counter,
        "Total number of times queue wrote messages to disk",
        |q| q.stats().disk_writes,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_get_ack_total",
        Kind::Counter,
        "Total number of messages fetched from a queue with basic.get in manual acknowledgement mode",
        |q| q.stats().get,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_get_total",
        Kind::Counter,
        "Total number of messages fetched from a queue with basic.get in automatic acknowledgement mode",
        |q| q.stats().get_no_ack,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_messages_delivered_ack_total",
        Kind::Counter,
        "Total number of messages delivered from a queue to consumers in manual acknowledgement mode",
        |q| q.stats().deliver,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_messages_delivered_total",
        Kind::Counter,
        "Total number of messages delivered from a queue to consumers in automatic acknowledgement mode",
        |q| q.stats().deliver_no_ack,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_messages_redelivered_total",
        Kind::Counter,
        "Total number of messages redelivered from a queue to consumers",
        |q| q.stats().redeliver,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_messages_acked_total",
        Kind::Counter,
        "Total number of messages acknowledged by consumers on a queue",
        |q| q.stats().ack,
    ),
    metric(
        "queue_delivery_metrics",
        "queue_get_empty_total",
        Kind::Counter,
        "Total number of times basic.get operations fetched no message on a queue",
        |q| q.stats().get_empty,
    ),
];

/// Of exchanges.
pub(super) const EXCHANGES: &[Metric<Exchange>] = &[metric(
    "exchange_metrics",
    "exchange_messages_published_total",
    Kind::Counter,
    "Total number of messages published into an exchange",
    |e| e.stats.counts().publish_in,
)];

/// Of channels.
pub(super) const CHANNELS: &[Metric<ChannelInfo>] = &[
    metric(
        "channel_metrics",
        "channel_consumers",
        Kind::Gauge,
        "Consumers on a channel",
        |c| c.consumer_count() as u64,
    ),
    metric(
        "channel_metrics",
        "channel_messages_unacked",
        Kind::Gauge,
        "Delivered but not yet acknowledged messages",
        |c| c.stats.unacked.get(),
    ),
    metric(
        "channel_metrics",
        "channel_messages_unconfirmed",
        Kind::Gauge,
        "Published but not yet confirmed messages",
        |c| c.stats.unconfirmed.get(),
    ),
    metric(
        "channel_metrics",
        "channel_messages_uncommitted",
        Kind::Gauge,
        "Messages received in a transaction but not yet committed",
        |c| c.stats.uncommitted.get(),
    ),
    metric(
        "channel_metrics",
        "channel_acks_uncommitted",
        Kind::Gauge,
        "Message acknowledgements in a transaction not yet committed",
        |c| c.stats.acks_uncommitted.get(),
    ),
    metric(
        "channel_metrics",
        "consumer_prefetch",
        Kind::Gauge,
        "Limit of unacknowledged messages for each consumer",
        |c| c.stats.prefetch.get(),
    ),
    metric(
        "channel_metrics",
        "channel_prefetch",
        Kind::Gauge,
        "Deprecated and will be removed in a future version",
        |c| c.stats.global_prefetch.get(),
    ),
    metric(
        "channel_process_metrics",
        "channel_process_reductions_total",
        Kind::Counter,
        "Total number of channel process reductions",
        |_| 0,
    ),
    metric(
        "channel_exchange_metrics",
        "channel_messages_published_total",
        Kind::Counter,
        "Total number of messages published into an exchange on a channel",
        |c| c.stats.publish.get(),
    ),
    metric(
        "channel_exchange_metrics",
        "channel_messages_confirmed_total",
        Kind::Counter,
        "Total number of messages published into an exchange and confirmed on the channel",
        |c| c.stats.confirm.get(),
    ),
    metric(
        "channel_exchange_metrics",
        "channel_messages_unroutable_returned_total",
        Kind::Counter,
        "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
        |c| c.stats.return_unroutable.get(),
    ),
    metric(
        "channel_exchange_metrics",
        "channel_messages_unroutable_dropped_total",
        Kind::Counter,
        "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
        |c| c.stats.drop_unroutable.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_get_ack_total",
        Kind::Counter,
        "Total number of messages fetched with basic.get in manual acknowledgement mode",
        |c| c.stats.get.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_get_total",
        Kind::Counter,
        "Total number of messages fetched with basic.get in automatic acknowledgement mode",
        |c| c.stats.get_no_ack.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_messages_delivered_ack_total",
        Kind::Counter,
        "Total number of messages delivered to consumers in manual acknowledgement mode",
        |c| c.stats.deliver.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_messages_delivered_total",
        Kind::Counter,
        "Total number of messages delivered to consumers in automatic acknowledgement mode",
        |c| c.stats.deliver_no_ack.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_messages_redelivered_total",
        Kind::Counter,
        "Total number of messages redelivered to consumers",
        |c| c.stats.redeliver.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_messages_acked_total",
        Kind::Counter,
        "Total number of messages acknowledged by consumers",
        |c| c.stats.ack.get(),
    ),
    metric(
        "channel_queue_metrics",
        "channel_get_empty_total",
        Kind::Counter,
        "Total number of times basic.get operations fetched no message",
        |c| c.stats.get_empty.get(),
    ),
];

/// Of connections.
pub(super) const CONNECTIONS: &[Metric<ConnectionInfo>] = &[
    metric(
        "connection_coarse_metrics",
        "connection_incoming_bytes_total",
        Kind::Counter,
        "Total number of bytes received on a connection",
        |c| c.stats.received_bytes.get(),
    ),
    metric(
        "connection_coarse_metrics",
        "connection_outgoing_bytes_total",
        Kind::Counter,
        "Total number of bytes sent on a connection",
        |c| c.stats.sent_bytes.get(),
    ),
    metric(
        "connection_coarse_metrics",
        "connection_process_reductions_total",
        Kind::Counter,
        "Total number of connection process reductions",
        |_| 0,
    ),
    metric(
        "connection_metrics",
        "connection_incoming_packets_total",
        Kind::Counter,
        "Total number of packets received on a connection",
        |c| c.stats.received_packets.get(),
    ),
    metric(
        "connection_metrics",
        "connection_outgoing_packets_total",
        Kind::Counter,
        "Total number of packets sent on a connection",
        |c| c.stats.sent_packets.get(),
    ),
    metric(
        "connection_metrics",
        "connection_pending_packets",
        Kind::Gauge,
        "Number of packets waiting to be sent on a connection",
        |c| u64::from(c.stats.pending_bytes.get() > 0),
    ),
    metric(
        "connection_metrics",
        "connection_channels",
        Kind::Gauge,
        "Channels on a connection",
        |c| c.channel_count() as u64,
    ),
];

/// Of all clients together, since the node started.
pub(super) const GLOBAL: &[Metric<Messages>] = &[
    metric(
        "global",
        "global_messages_received_total",
        Kind::Counter,
        "Total number of messages received from publishers",
        |m| m.publish,
    ),
    metric(
        "global",
        "global_messages_received_confirm_total",
        Kind::Counter,
        "Total number of messages received from publishers expecting confirmations",
        |m| m.publish_confirm,
    ),
    metric(
        "global",
        "global_messages_routed_total",
        Kind::Counter,
        "Total number of messages routed to queues or streams",
        |m| m.routed,
    ),
    metric(
        "global",
        "global_messages_unroutable_dropped_total",
        Kind::Counter,
        "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
        |m| m.drop_unroutable,
    ),
    metric(
        "global",
        "global_messages_unroutable_returned_total",
        Kind::Counter,
        "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
        |m| m.return_unroutable,
    ),
    metric(
        "global",
        "global_messages_confirmed_total",
        Kind::Counter,
        "Total number of messages confirmed to publishers",
        |m| m.confirm,
    ),
];

/// Of all queues of a type, since the node started.
pub(super) const GLOBAL_BY_QUEUE_TYPE: &[Metric<QueueCounts>] = &[
    metric(
        "global",
        "global_messages_delivered_total",
        Kind::Counter,
        "Total number of messages delivered to consumers",
        |m| m.deliver_get(),
    ),
    metric(
        "global",
        "global_messages_delivered_consume_manual_ack_total",
        Kind::Counter,
        "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
        |m| m.deliver,
    ),
    metric(
        "global",
        "global_messages_delivered_consume_auto_ack_total",
        Kind::Counter,
        "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
        |m| m.deliver_no_ack,
    ),
    metric(
        "global",
        "global_messages_delivered_get_manual_ack_total",
        Kind::Counter,
        "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
        |m| m.get,
    ),
    metric(
        "global",
        "global_messages_delivered_get_auto_ack_total",
        Kind::Counter,
        "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
        |m| m.get_no_ack,
    ),
    metric(
        "global",
        "global_messages_get_empty_total",
        Kind::Counter,
        "Total number of times basic.get operations fetched no message",
        |m| m.get_empty,
    ),
    metric(
        "global",
        "global_messages_redelivered_total",
        Kind::Counter,
        "Total number of messages redelivered to consumers",
        |m| m.redeliver,
    ),
    metric(
        "global",
        "global_messages_acknowledged_total",
        Kind::Counter,
        "Total number of messages acknowledged by consumers",
        |m| m.ack,
    ),
];

/// What died in queues of a type, whether it was dead-lettered or dropped.
pub(super) const GLOBAL_DEAD: &[Metric<QueueCounts>] = &[
    metric(
        "global",
        "global_messages_dead_lettered_maxlen_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to overflow drop-head or reject-publish-dlx",
        |m| m.dead_maxlen,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_expired_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to message TTL exceeded",
        |m| m.dead_expired,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_rejected_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to basic.reject or basic.nack",
        |m| m.dead_rejected,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_delivery_limit_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to delivery-limit exceeded",
        |m| m.dead_delivery_limit,
    ),
];

/// How the store is doing; RabbitMQ has none of it.
pub(super) const STORE: &[Metric<StoreStats>] = &[
    metric(
        "store",
        "leveret_store_ring_segments",
        Kind::Gauge,
        "Files of the redo ring",
        |s| s.ring_segments,
    ),
    metric(
        "store",
        "leveret_store_ring_bytes",
        Kind::Gauge,
        "Size of the redo ring in bytes",
        |s| s.ring_bytes,
    ),
    metric(
        "store",
        "leveret_store_ring_used_bytes",
        Kind::Gauge,
        "Bytes of the redo ring that the database may not have yet",
        |s| s.ring_used_bytes,
    ),
    metric(
        "store",
        "leveret_store_checkpoints_total",
        Kind::Counter,
        "Total number of checkpoints",
        |s| s.checkpoints,
    ),
    metric(
        "store",
        "leveret_store_waiting_bytes",
        Kind::Gauge,
        "Bytes that wait for their commit",
        |s| s.waiting_bytes,
    ),
    metric(
        "store",
        "leveret_store_congested",
        Kind::Gauge,
        "Is 1 if publishers wait for the disk",
        |s| u64::from(s.congested),
    ),
    metric(
        "store",
        "leveret_store_ring_full",
        Kind::Gauge,
        "Is 1 if commits wait for a checkpoint",
        |s| u64::from(s.ring_full),
    ),
    metric(
        "store",
        "leveret_store_disk_full",
        Kind::Gauge,
        "Is 1 if commits wait for room on the disk",
        |s| u64::from(s.disk_full),
    ),
];

/// What clients of a virtual host do; RabbitMQ has none of it.
pub(super) const VHOSTS: &[Metric<Messages>] = &[
    metric(
        "vhost",
        "leveret_vhost_messages_published_total",
        Kind::Counter,
        "Total number of messages published in a virtual host",
        |m| m.publish,
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_confirmed_total",
        Kind::Counter,
        "Total number of messages confirmed in a virtual host",
        |m| m.confirm,
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_routed_total",
        Kind::Counter,
        "Total number of messages routed to queues or streams of a virtual host",
        |m| m.routed,
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_unroutable_dropped_total",
        Kind::Counter,
        "Total number of messages dropped as unroutable in a virtual host",
        |m| m.drop_unroutable,
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_unroutable_returned_total",
        Kind::Counter,
        "Total number of messages returned as unroutable in a virtual host",
        |m| m.return_unroutable,
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_delivered_total",
        Kind::Counter,
        "Total number of messages delivered to consumers or fetched in a virtual host",
        |m| m.deliver_get(),
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_redelivered_total",
        Kind::Counter,
        "Total number of messages redelivered in a virtual host",
        |m| m.redeliver,
    ),
    metric(
        "vhost",
        "leveret_vhost_messages_acked_total",
        Kind::Counter,
        "Total number of messages acknowledged in a virtual host",
        |m| m.ack,
    ),
];
