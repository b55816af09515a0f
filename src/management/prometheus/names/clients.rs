//! Of exchanges, connections and channels.

use crate::broker::ChannelInfo;
use crate::broker::ConnectionInfo;
use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::metric;
use crate::management::prometheus::text::Kind;
use crate::vhost::Exchange;

/// Of exchanges.
pub(in crate::management::prometheus) const EXCHANGES: &[Metric<Exchange>] = &[metric(
    "exchange_metrics",
    "exchange_messages_published_total",
    Kind::Counter,
    "Total number of messages published into an exchange",
    |e| e.stats.counts().publish_in,
)];

/// Of channels.
pub(in crate::management::prometheus) const CHANNELS: &[Metric<ChannelInfo>] = &[
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
pub(in crate::management::prometheus) const CONNECTIONS: &[Metric<ConnectionInfo>] = &[
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
