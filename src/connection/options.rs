//! What a connection's machine may be told to do otherwise. Defaults are RabbitMQ 3.13's.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::SharedHistogram;
use crate::model::limits::FRAME_SIZE_MIN;

/// Settings of one connection.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// Largest frame in octets that we offer, envelope included; 0 is unlimited.
    pub frame_max: u32,
    /// Largest frame in octets before `tune-ok`.
    pub initial_frame_max: u32,
    /// Number of open channels that we offer; 0 is unlimited.
    pub channel_max: u16,
    /// Heartbeat interval in seconds that we offer; 0 is none. The client decides.
    pub heartbeat: u16,
    /// From the first octet to `open-ok`.
    pub handshake_timeout: Duration,
    /// Largest body in octets (`max_message_size`); never more than
    /// [`MESSAGE_BYTES_HARD_MAX`](crate::model::limits::MESSAGE_BYTES_HARD_MAX).
    ///
    /// Worst-case memory of a channel that receives: this, what a transaction holds, and one read.
    pub max_message_bytes: u64,
    /// Consumers on one channel; `None` is unlimited.
    pub consumer_max_per_channel: Option<u32>,
    /// Prefetch of consumers on a channel that never sent `basic.qos`; 0 is unlimited.
    pub default_prefetch: u16,
    /// `basic.qos` with `global` is obeyed, else it is as without.
    pub global_qos: bool,
    /// How often a channel's oldest delivery is looked at, whether it should have been acknowledged by now.
    pub channel_tick_interval: Duration,
    /// Messages, in octets, that one channel's uncommitted transaction may hold. RabbitMQ has no such limit.
    pub transaction_bytes_max: u64,
    /// Where server-made consumer tags start; to be random, so that tags of two connections differ.
    pub seed: u64,
    /// Where it is counted how long publishers waited for their confirms.
    pub confirm_latency: Arc<SharedHistogram>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            frame_max: 131_072,
            initial_frame_max: FRAME_SIZE_MIN,
            channel_max: 2047,
            heartbeat: 60,
            handshake_timeout: Duration::from_secs(10),
            max_message_bytes: 134_217_728,
            consumer_max_per_channel: None,
            default_prefetch: 0,
            global_qos: true,
            channel_tick_interval: Duration::from_secs(60),
            transaction_bytes_max: 1024 * 1024 * 1024,
            seed: 0,
            confirm_latency: Arc::default(),
        }
    }
}
