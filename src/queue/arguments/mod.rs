//! `x-…` arguments of queue declarations: what they mean, which values are wrong, when two declarations agree.
//!
//! Texts are RabbitMQ's (`rabbit_amqqueue:check_declare_arguments`). An argument that RabbitMQ obeys and this version
//! does not is refused, never ignored: docs/compatibility.md lists them.

mod equivalence;
mod policy;
mod table;
#[cfg(test)]
mod tests;
mod values;

use amq_protocol::types::AMQPValue;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::RoutingKey;
use crate::model::arguments;
use crate::queue::DeadLetter;
use crate::queue::Limits;
use crate::queue::Overflow;
use crate::queue::stream::Retention;
pub use equivalence::check_equivalent;
pub use equivalence::inequivalent;
pub use policy::with_policy;

/// Longest TTL or expiry: ten years, as in RabbitMQ.
pub const EXPIRY_MS_MAX: i64 = 315_360_000_000;

/// Highest `x-max-priority`.
pub const PRIORITY_MAX: u8 = 255;

/// `x-queue-type`: whose rules a queue follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QueueType {
    /// Classic, the default.
    #[default]
    Classic,
    /// Quorum: a durable queue that stores everything.
    Quorum,
    /// Stream: messages stay when they were read.
    Stream,
}

impl QueueType {
    /// The type that these arguments ask for.
    pub fn of(arguments: &Arguments, resource: &str) -> Result<Self, AmqpError> {
        let key = "x-queue-type";
        let Some(value) = arguments.value(key) else {
            return Ok(Self::Classic);
        };
        values::text(value).map_err(|why| table::invalid(key, resource, &why))?;
        match arguments::text(value) {
            // The names of RabbitMQ's modules are those that listings and 3.13's own defaults use.
            Some("classic" | "rabbit_classic_queue" | "undefined") => Ok(Self::Classic),
            Some("quorum" | "rabbit_quorum_queue") => Ok(Self::Quorum),
            Some("stream" | "rabbit_stream_queue") => Ok(Self::Stream),
            other => Err(table::invalid(
                key,
                resource,
                &format!("\"unsupported queue type '{}'\"", other.unwrap_or_default()),
            )),
        }
    }

    /// The type of that name, as operators write it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Classic, Self::Quorum, Self::Stream]
            .into_iter()
            .find(|queue_type| queue_type.name() == name)
    }

    /// As clients and listings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// RabbitMQ's module, as its error texts name the type.
    pub fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }

    /// Judges a declaration's properties; the order is RabbitMQ's.
    pub fn check_properties(
        self,
        auto_delete: bool,
        exclusive: bool,
        durable: bool,
        resource: &str,
    ) -> Result<(), AmqpError> {
        let wrong = match self {
            Self::Classic => None,
            Self::Quorum | Self::Stream if auto_delete => Some("auto-delete"),
            Self::Quorum | Self::Stream if exclusive => Some("exclusive-owner"),
            Self::Quorum | Self::Stream if !durable => Some("non-durable"),
            Self::Quorum | Self::Stream => None,
        };
        match wrong {
            None => Ok(()),
            Some(property) => Err(AmqpError::precondition_failed(format!(
                "invalid property '{property}' for {resource}"
            ))),
        }
    }
}

/// Arguments that a queue obeys: a plain value, which may be replaced while the queue lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-queue-type`.
    pub queue_type: QueueType,
    /// `x-message-ttl`, milliseconds.
    pub message_ttl: Option<u64>,
    /// `x-expires`, milliseconds.
    pub expires: Option<u64>,
    /// `x-dead-letter-exchange` and `x-dead-letter-routing-key`.
    pub dead_letter: Option<DeadLetter>,
    /// `x-dead-letter-strategy: at-least-once`, which needs a dead-letter exchange and `x-overflow: reject-publish`: else
    /// RabbitMQ falls back, and so does this.
    pub dead_letter_surely: bool,
    /// `x-max-length`, `x-max-length-bytes`, `x-overflow`.
    pub limits: Limits,
    /// `x-max-priority`, above 0.
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`.
    pub single_active_consumer: bool,
    /// `x-delivery-limit`; a negative one is no limit.
    pub delivery_limit: Option<i64>,
    /// `x-consumer-timeout`, milliseconds; [`u64::MAX`] is never.
    pub consumer_timeout: Option<u64>,
    /// `x-message-deduplication`, of the community's plugin.
    pub deduplicate: bool,
    /// What a stream keeps.
    pub retention: Retention,
}

impl QueueArguments {
    /// Judges and reads the arguments of a declaration; `resource` is such as `queue 'q' in vhost '/'`.
    pub fn parse(arguments: &Arguments, resource: &str) -> Result<Self, AmqpError> {
        let queue_type = QueueType::of(arguments, resource)?;
        table::judge(queue_type, arguments, resource)?;
        Ok(Self::read(queue_type, arguments))
    }

    /// Reads arguments that were judged before.
    pub fn read(queue_type: QueueType, arguments: &Arguments) -> Self {
        if queue_type == QueueType::Stream {
            return Self::of_stream(arguments);
        }
        let number = |key| {
            arguments
                .value(key)
                .and_then(arguments::integer)
                .map(i64::unsigned_abs)
        };
        let overflow = overflow(queue_type, arguments).unwrap_or_default();
        let strategy = arguments.value("x-dead-letter-strategy");
        let surely = strategy.and_then(arguments::text) == Some("at-least-once");
        let dead_letter = dead_letter(arguments);
        Self {
            queue_type,
            message_ttl: number("x-message-ttl"),
            expires: number("x-expires"),
            dead_letter_surely: surely
                && queue_type == QueueType::Quorum
                && overflow == Overflow::RejectPublish
                && dead_letter.is_some(),
            dead_letter,
            limits: Limits {
                length: number("x-max-length"),
                body_bytes: number("x-max-length-bytes"),
                overflow,
            },
            max_priority: number("x-max-priority")
                .and_then(|max| u8::try_from(max).ok())
                .filter(|max| *max > 0),
            single_active_consumer: arguments.value("x-single-active-consumer")
                == Some(&AMQPValue::Boolean(true)),
            delivery_limit: arguments.value("x-delivery-limit").map(delivery_limit),
            consumer_timeout: arguments.value("x-consumer-timeout").map(timeout),
            deduplicate: arguments
                .value("x-message-deduplication")
                .is_some_and(|value| *value != AMQPValue::Boolean(false)),
            retention: Retention::default(),
        }
    }

    /// A stream has nothing else.
    fn of_stream(arguments: &Arguments) -> Self {
        let number = |key| {
            let number = arguments.value(key).and_then(arguments::integer);
            number.and_then(|number| u64::try_from(number).ok())
        };
        let age = arguments.value("x-max-age").and_then(arguments::text);
        Self {
            queue_type: QueueType::Stream,
            consumer_timeout: arguments.value("x-consumer-timeout").map(timeout),
            retention: Retention {
                bytes_max: number("x-max-length-bytes"),
                age_ms_max: age.and_then(age_ms),
                segment_bytes: number("x-stream-max-segment-size-bytes"),
            },
            ..Self::default()
        }
    }
}

/// Milliseconds of an age such as `7D`: a number above 0 and one of `Y`, `M`, `D`, `h`, `m`, `s`.
pub fn age_ms(age: &str) -> Option<u64> {
    let unit_at = age.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = age.split_at(unit_at);
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let unit = match unit {
        "Y" => 365 * DAY,
        "M" => 30 * DAY,
        "D" => DAY,
        "h" => 3600 * SECOND,
        "m" => 60 * SECOND,
        "s" => SECOND,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    (number > 0).then(|| number.saturating_mul(unit))
}

/// What is no number is above every count to Erlang, and so no limit.
fn delivery_limit(value: &AMQPValue) -> i64 {
    arguments::integer(value).unwrap_or(-1)
}

/// RabbitMQ does not judge it; what is no number never passes.
fn timeout(value: &AMQPValue) -> u64 {
    arguments::integer(value).map_or(u64::MAX, |timeout| timeout.max(0).unsigned_abs())
}

/// Read from arguments that were judged.
fn dead_letter(arguments: &Arguments) -> Option<DeadLetter> {
    let text = |key| arguments.value(key).and_then(arguments::text);
    Some(DeadLetter {
        exchange: ExchangeName::new(text("x-dead-letter-exchange")?).ok()?,
        routing_key: text("x-dead-letter-routing-key").and_then(|key| RoutingKey::new(key).ok()),
    })
}

fn overflow(queue_type: QueueType, arguments: &Arguments) -> Option<Overflow> {
    match arguments.value("x-overflow").and_then(arguments::text)? {
        "drop-head" => Some(Overflow::DropHead),
        "reject-publish" => Some(Overflow::RejectPublish),
        // RabbitMQ logs that quorum queues do not have it, and goes on with their default.
        "reject-publish-dlx" if queue_type == QueueType::Quorum => None,
        "reject-publish-dlx" => Some(Overflow::RejectPublishDeadLetter),
        _ => None,
    }
}
