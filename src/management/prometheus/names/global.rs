//! Of all clients and queues together, also those that are gone.

use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::metric;
use crate::management::prometheus::text::Kind;
use crate::metrics::DeadCounts;
use crate::metrics::Messages;
use crate::metrics::QueueCounts;

/// Of all clients together, since the node started.
pub(in crate::management::prometheus) const GLOBAL: &[Metric<Messages>] = &[
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
pub(in crate::management::prometheus) const GLOBAL_BY_QUEUE_TYPE: &[Metric<QueueCounts>] = &[
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

/// What died in queues of a type, by what became of it.
pub(in crate::management::prometheus) const GLOBAL_DEAD: &[Metric<DeadCounts>] = &[
    metric(
        "global",
        "global_messages_dead_lettered_maxlen_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to overflow drop-head or reject-publish-dlx",
        |m| m.maxlen,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_expired_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to message TTL exceeded",
        |m| m.expired,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_rejected_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to basic.reject or basic.nack",
        |m| m.rejected,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_delivery_limit_total",
        Kind::Counter,
        "Total number of messages dead-lettered due to delivery-limit exceeded",
        |m| m.delivery_limit,
    ),
    metric(
        "global",
        "global_messages_dead_lettered_confirmed_total",
        Kind::Counter,
        "Total number of messages dead-lettered and confirmed by target queues",
        |m| m.confirmed,
    ),
];
