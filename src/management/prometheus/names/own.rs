//! What RabbitMQ has none of.

use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::metric;
use crate::management::prometheus::text::Kind;
use crate::metrics::Messages;
use crate::store::StoreStats;

/// How the store is doing; RabbitMQ has none of it.
pub(in crate::management::prometheus) const STORE: &[Metric<StoreStats>] = &[
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
pub(in crate::management::prometheus) const VHOSTS: &[Metric<Messages>] = &[
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
