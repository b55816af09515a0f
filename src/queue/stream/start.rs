//! `x-stream-offset`: where a consumer of a stream begins.

use amq_protocol::types::AMQPValue;

use crate::model::arguments;
use crate::queue::arguments::age_ms;

/// Where a consumer of a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the oldest message that is there.
    First,
    /// With the messages that came together last.
    Last,
    /// With what comes from now on.
    #[default]
    Next,
    /// With this offset, or the oldest after it.
    Offset(u64),
    /// With what came at this time or later, in milliseconds since the Unix epoch.
    Time(u64),
}

impl Start {
    /// What an argument asks for; `None` when that is nothing that can be meant. `now` is in milliseconds since the Unix
    /// epoch.
    pub fn of(value: &AMQPValue, now: u64) -> Option<Self> {
        if let Some(offset) = arguments::integer(value) {
            // One below 0 is before everything, as in RabbitMQ.
            return Some(Self::Offset(u64::try_from(offset).unwrap_or(0)));
        }
        if let AMQPValue::Timestamp(seconds) = value {
            return Some(Self::Time(seconds.saturating_mul(1000)));
        }
        match arguments::text(value)? {
            "first" => Some(Self::First),
            "last" => Some(Self::Last),
            "next" => Some(Self::Next),
            age => Some(Self::Time(now.saturating_sub(age_ms(age)?))),
        }
    }
}
