//! What a run does: PerfTest's options, as values.

use std::time::Duration;

use amq_protocol::types::FieldTable;

/// A rate that holds for some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateStep {
    /// Messages a second.
    pub rate: f64,
    /// For how long.
    pub time: Duration,
}

/// Consumers that ask with `basic.get`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Polling {
    /// Pause after a queue was found empty.
    pub interval: Duration,
    /// Requests that a consumer sends at once.
    pub in_flight: u64,
}

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `amqp://user:password@host:port/vhost`.
    pub uri: String,
    /// Names the run in queues and routing keys.
    pub id: String,
    /// Connections that publish.
    pub producers: usize,
    /// Connections that consume.
    pub consumers: usize,
    /// Queues, in which producers and consumers take turns; empty: each consumer has one of its own.
    pub queues: Vec<String>,
    /// Arguments of queues.
    pub queue_arguments: FieldTable,
    /// Arguments of consumers.
    pub consumer_arguments: FieldTable,
    /// Queues and exchanges are there already.
    pub predeclared: bool,
    /// Queues go with their last consumer.
    pub auto_delete: bool,
    /// Exchange that is published to; empty is the default exchange, with the queues' names as keys.
    pub exchange: String,
    /// Its type.
    pub exchange_type: String,
    /// Routing key; without one, the run's id.
    pub routing_key: Option<String>,
    /// Octets of a body.
    pub size: usize,
    /// Messages are persistent, and queues durable.
    pub persistent: bool,
    /// Messages are mandatory.
    pub mandatory: bool,
    /// Messages that may wait for their confirm; `None`: without confirms.
    pub confirm: Option<usize>,
    /// Messages that a consumer may hold; 0 is without limit.
    pub prefetch: u16,
    /// Consumers acknowledge so many messages at once.
    pub ack_every: u64,
    /// Consumers do not acknowledge.
    pub auto_ack: bool,
    /// Each producer's rates, one after the other and again; empty: as fast as it goes.
    pub rates: Vec<RateStep>,
    /// Consumers ask for each message; `None`: they are sent them.
    pub polling: Option<Polling>,
    /// Messages a second of each consumer.
    pub consumer_rate: Option<f64>,
    /// Each producer ends after so many messages.
    pub producer_messages: Option<u64>,
    /// Each consumer ends after so many messages.
    pub consumer_messages: Option<u64>,
    /// How long it runs.
    pub time: Option<Duration>,
    /// Between two lines of progress.
    pub interval: Duration,
    /// Each message is written by itself, as most clients do.
    pub write_each: bool,
    /// Producers open and close connections and channels instead of publishing.
    pub churn: bool,
    /// Whose CPU time and memory to report.
    pub broker_pid: Option<u32>,
}
