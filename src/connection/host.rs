//! What the machines ask of the node they run in.
//!
//! The connection and channel machines decide everything that the protocol alone decides; what needs exchanges, queues,
//! users or the disk they ask of a [`Host`], which `broker` implements. Calls do not block and do not wait: whatever
//! must first reach the disk answers with the [`Lsn`] to wait for, and the machine holds its reply back until
//! `Connection::committed` has seen it.
//!
//! Names arrive as the client sent them, already stripped of CR and LF and with "the last declared queue" filled in.
//! Errors carry RabbitMQ's texts; the machine adds class and method of the failing command.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::FieldTable;

use crate::metrics::ChannelStats;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::RoutingKey;
use crate::model::Run;
use crate::model::VhostName;
use crate::protocol::method::MethodId;

/// What a SASL exchange came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The user is who they say.
    Accepted,
    /// Refused; the reason is in the log, not on the wire.
    Refused,
    /// The response was malformed or the mechanism is not offered; closes the connection silently after a pause.
    Invalid(AmqpError),
}

/// `exchange.declare`, not passive.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeDeclare {
    /// Name.
    pub exchange: ExchangeName,
    /// Type as sent.
    pub kind: String,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted with its last binding as source.
    pub auto_delete: bool,
    /// Not published to by clients.
    pub internal: bool,
    /// Arguments.
    pub arguments: Arguments,
}

/// `queue.declare`, not passive.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueDeclare {
    /// Name; empty asks for a server-made one.
    pub queue: QueueName,
    /// Survives a restart.
    pub durable: bool,
    /// Belongs to this connection alone.
    pub exclusive: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// Arguments.
    pub arguments: Arguments,
}

/// Answer to `queue.declare`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDeclared {
    /// Name, made up by the server if none was given.
    pub queue: QueueName,
    /// Ready messages.
    pub message_count: u64,
    /// Consumers.
    pub consumer_count: u64,
    /// The reply waits for this.
    pub commit: Lsn,
}

/// The destination of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindTarget {
    /// `queue.bind`.
    Queue(QueueName),
    /// `exchange.bind`.
    Exchange(ExchangeName),
}

/// `queue.bind`, `exchange.bind` and their opposites.
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    /// Where messages come from.
    pub source: ExchangeName,
    /// Where they go.
    pub target: BindTarget,
    /// Binding key.
    pub routing_key: RoutingKey,
    /// Arguments; part of the binding's identity.
    pub arguments: Arguments,
}

/// `basic.consume`; the machine has checked the tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Consume {
    /// Queue.
    pub queue: QueueName,
    /// Tag, made up by the machine if none was given.
    pub tag: ConsumerTag,
    /// Deliveries need no acknowledgement.
    pub no_ack: bool,
    /// Sole consumer of the queue.
    pub exclusive: bool,
    /// Unacknowledged messages this consumer may hold; 0 is unlimited.
    pub prefetch: u16,
    /// Arguments (`x-priority`).
    pub arguments: Arguments,
}

/// Consecutive publishes on one channel to one exchange with one routing key.
#[derive(Debug, Clone)]
pub struct Publish {
    /// The messages.
    pub run: Run,
    /// Return what no queue takes.
    pub mandatory: bool,
}

/// What became of a [`Publish`].
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Confirms wait for this.
    pub commit: Lsn,
    /// Messages (indexes into the run, ascending) that no queue took. Only filled for mandatory publishes.
    pub unrouted: Vec<Range<usize>>,
    /// Messages that a queue refused: negative confirms.
    pub refused: Vec<Range<usize>>,
    /// The messages that went on, when these are not those that came: they are returned so.
    pub rewritten: Option<Run>,
    /// Why the message after these, and all behind it, were not taken.
    pub fault: Option<AmqpError>,
    /// Copies that went to queues.
    pub routed: u64,
    /// Messages that no queue took and that nobody wants back.
    pub dropped: u64,
    /// The exchange that they were published to, by a number of the host's own; for counts.
    pub exchange: u64,
}

/// A [`Publish`] of a transaction, checked and routed.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The messages as they will go on.
    pub publish: Publish,
    /// Where to, for the host alone to know.
    pub route: Arc<dyn Any + Send + Sync>,
}

/// Answer to `basic.get`.
#[derive(Debug, Clone)]
pub struct Got {
    /// One message; settled already if the get was no-ack.
    pub range: Delivered,
    /// Ready messages left in the queue.
    pub message_count: u64,
}

/// What happens to delivered messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// Done: forget them.
    Ack,
    /// `reject`, `nack` or `recover` with requeue, and what is left when a channel ends: back to the old position.
    Requeue,
    /// `reject` or `nack` without requeue: dead-letter or drop.
    Reject,
}

/// One buffered step of a transaction, in the order of the client's commands.
#[derive(Debug, Clone)]
pub enum TxStep {
    /// Messages to enqueue.
    Publish(Staged),
    /// Deliveries to settle.
    Settle(Settle, Vec<Delivered>),
}

/// An error and where it happened.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// What is told.
    pub error: &'a AmqpError,
    /// On which channel; 0 is the connection as a whole.
    pub channel: ChannelId,
    /// What is to blame.
    pub method: MethodId,
    /// RabbitMQ's name for where the connection stands, such as `running`.
    pub state: &'static str,
}

/// What the broker, or a script in tests, does for a connection.
pub trait Host {
    /// `connection.start`'s server properties.
    fn server_properties(&self) -> FieldTable;

    /// Mechanism names in the order to offer them.
    fn mechanisms(&self) -> Vec<String>;

    /// Checks `start-ok`. `client_properties` are the client's, for listings.
    fn login(&mut self, mechanism: &str, response: &[u8], client_properties: &FieldTable) -> Login;

    /// What `tune-ok` settled: channels, octets of a frame, seconds between heartbeats. For listings.
    fn tuned(&mut self, channel_max: u16, frame_max: u32, heartbeat: u16) {
        let _ = (channel_max, frame_max, heartbeat);
    }

    /// `connection.open`.
    fn open(&mut self, vhost: &VhostName) -> Result<(), AmqpError>;

    /// The connection ends: exclusive queues go. Called once if [`Host::open`] succeeded and else never, after each
    /// channel's [`Host::close_channel`], before `close-ok` is sent. Returns what the reply waits for.
    fn close(&mut self) -> Lsn;

    /// `channel.open`.
    fn open_channel(&mut self, channel: ChannelId) -> Result<(), AmqpError>;

    /// Where the machine counts what happens on a channel that was opened just now. For listings.
    fn counts(&mut self, channel: ChannelId, stats: &Arc<ChannelStats>) {
        let _ = (channel, stats);
    }

    /// The channel ends for whatever reason: its consumers go, then `unacked` returns to the queues.
    fn close_channel(&mut self, channel: ChannelId, unacked: Vec<Delivered>);

    /// `exchange.declare`.
    fn declare_exchange(&mut self, declare: ExchangeDeclare) -> Result<Lsn, AmqpError>;

    /// `exchange.declare` with `passive`.
    fn check_exchange(&mut self, exchange: &ExchangeName) -> Result<(), AmqpError>;

    /// `exchange.delete`.
    fn delete_exchange(
        &mut self,
        exchange: &ExchangeName,
        if_unused: bool,
    ) -> Result<Lsn, AmqpError>;

    /// `queue.declare`.
    fn declare_queue(&mut self, declare: QueueDeclare) -> Result<QueueDeclared, AmqpError>;

    /// `queue.declare` with `passive`.
    fn check_queue(&mut self, queue: &QueueName) -> Result<QueueDeclared, AmqpError>;

    /// `queue.delete`: number of messages that went with it, and what the reply waits for.
    fn delete_queue(
        &mut self,
        queue: &QueueName,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(u64, Lsn), AmqpError>;

    /// `queue.purge`: number of messages removed, and what the reply waits for.
    fn purge_queue(&mut self, queue: &QueueName) -> Result<(u64, Lsn), AmqpError>;

    /// `queue.bind`, `exchange.bind`.
    fn bind(&mut self, bind: Bind) -> Result<Lsn, AmqpError>;

    /// `queue.unbind`, `exchange.unbind`.
    fn unbind(&mut self, bind: Bind) -> Result<Lsn, AmqpError>;

    /// Routes and enqueues. When one of the messages is at fault those before it were enqueued, as with RabbitMQ, which
    /// takes them one by one; on error there were none.
    fn publish(&mut self, channel: ChannelId, publish: Publish) -> Result<Published, AmqpError>;

    /// Checks and routes a publish on a transactional channel now; it is enqueued by [`Host::commit`].
    fn stage(&mut self, channel: ChannelId, publish: Publish) -> Result<Staged, AmqpError>;

    /// `tx.commit`: all steps or none reach the disk. Results of the publish steps, in order.
    ///
    /// On error nothing happened: the machine still has the steps' deliveries, and returns them as the channel ends.
    fn commit(
        &mut self,
        channel: ChannelId,
        steps: Vec<TxStep>,
    ) -> Result<Vec<Published>, AmqpError>;

    /// `basic.qos` with `global`: a limit that all consumers of the channel share; 0 is unlimited.
    fn limit_channel(&mut self, channel: ChannelId, prefetch: u16);

    /// `basic.consume`. Deliveries arrive through the outbox, never before this returns.
    fn consume(&mut self, channel: ChannelId, consume: Consume) -> Result<ConsumerId, AmqpError>;

    /// `basic.cancel`: nothing more is pushed for the consumer. What the outbox already holds for it is still delivered;
    /// the machine waits for that before it answers.
    fn cancel(&mut self, channel: ChannelId, consumer: ConsumerId);

    /// `basic.get`.
    fn get(
        &mut self,
        channel: ChannelId,
        queue: &QueueName,
        no_ack: bool,
    ) -> Result<Option<Got>, AmqpError>;

    /// How long deliveries of this queue may stay without acknowledgement; `None` is for ever.
    fn consumer_timeout(&mut self, queue: QueueId) -> Option<Duration>;

    /// An error is told to the client, or before login kept from it. For the log.
    fn failed(&mut self, failure: &Failure<'_>) {
        let _ = failure;
    }

    /// Settles deliveries of one channel.
    ///
    /// [`Settle::Requeue`] may come for a channel or a consumer that is gone: the outbox held deliveries for it.
    fn settle(&mut self, channel: ChannelId, settle: Settle, ranges: Vec<Delivered>);
}
