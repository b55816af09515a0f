//! The delayed exchange (the community's plugin `rabbitmq-delayed-message-exchange`): it routes as the type that an
//! argument names, when the time has come that a message's `x-delay` asks for.
//!
//! What waits lies in a queue of the exchange's own that nobody can name. It is taken in and confirmed as by any other
//! queue; what is due leaves it as the dead leave theirs (`vhost/dead_letter`).

use std::sync::Arc;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::arguments;
use crate::protocol::properties;
use crate::protocol::properties::Fields;
use crate::protocol::raw_table;
use crate::protocol::raw_table::RawTable;
use crate::queue::Queue;
use crate::queue::delay::X_DELAY;
use crate::queue::delay::asked_delay;
use crate::routing::Kind;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueHandle;
use crate::vhost::QueueSpec;
use crate::vhost::Vhost;

const X_DELAYED_TYPE: &str = "x-delayed-type";

/// The type that a delayed exchange routes as.
pub(super) fn rule(arguments: &Arguments) -> Result<Kind, AmqpError> {
    let name = arguments.value(X_DELAYED_TYPE).and_then(arguments::text);
    let Some(name) = name else {
        return Err(AmqpError::precondition_failed(
            "Invalid argument, 'x-delayed-type' must be an existing exchange type",
        ));
    };
    match Kind::from_name(name) {
        Some(Kind::Delayed) => Err(AmqpError::precondition_failed(
            "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
        )),
        Some(kind) => Ok(kind),
        None => Err(AmqpError::precondition_failed(format!(
            "unknown exchange type '{name}'"
        ))),
    }
}

/// The properties of a message whose delay is over: it is negative now, so that no other exchange delays it again.
pub(crate) fn released_properties(header: &[u8]) -> Vec<u8> {
    let Some(delay) = asked_delay(header) else {
        return header.to_vec();
    };
    let before = Fields(header).headers_bytes().unwrap_or_default();
    let mut negated = vec![b'l'];
    negated.extend_from_slice(&delay.saturating_neg().to_be_bytes());
    // Sorted and each key once, as RabbitMQ does where it adds headers.
    let mut entries: Vec<(&[u8], &[u8])> = vec![(X_DELAY.as_bytes(), &negated)];
    entries.extend(raw_table::entries(before).map(|(key, value)| (key, value.bytes())));
    entries.sort_by_key(|(key, _)| *key);
    entries.dedup_by_key(|(key, _)| *key);
    let mut table = RawTable::new();
    for (key, value) in entries {
        table.raw(key, value);
    }
    properties::with_headers(header, &table.finish())
}

impl Vhost {
    /// The queue in which messages of a delayed exchange wait. Only its exchange knows it, and the timers.
    pub(in crate::vhost) fn make_delay_line(
        &self,
        exchange: &ExchangeSpec,
        id: QueueId,
        next: Position,
        now: u64,
    ) -> Arc<QueueHandle> {
        let spec = QueueSpec {
            name: QueueName::known(""),
            durable: exchange.durable,
            auto_delete: false,
            owner: None,
            arguments: Arguments::default(),
        };
        let mut state = Queue::for_delayed(id, exchange.durable, next, now);
        let paging = &self.shared.paging;
        state.page_with(Arc::clone(&paging.memory), paging.pager());
        let line = QueueHandle::for_delayed(spec, id, self, exchange.name.clone(), state);
        let line = Arc::new(line);
        self.shared.queues.insert(id, Arc::clone(&line));
        line
    }

    /// Deletes what waited in exchanges that are gone. The caller holds no queue's lock.
    pub(in crate::vhost) fn delete_ended_lines(&self) {
        let ended = std::mem::take(&mut *self.ended_lines.lock());
        for line in ended {
            self.shared.queues.remove(&line.id);
            line.enter(|state, records| state.delete(records));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::protocol::basic::AMQPProperties;
    use amq_protocol::types::AMQPValue;
    use amq_protocol::types::FieldTable;

    #[test]
    fn a_delay_that_is_over_is_negative() {
        for (delay, expected) in [
            (AMQPValue::LongInt(5000), -5000),
            (AMQPValue::LongString("5000".into()), -5000),
            (AMQPValue::LongLongInt(i64::MIN), i64::MAX),
        ] {
            let mut headers = FieldTable::default();
            headers.insert("y".into(), AMQPValue::Boolean(true));
            headers.insert("a".into(), AMQPValue::Boolean(true));
            headers.insert(X_DELAY.into(), delay);
            let before = AMQPProperties::default()
                .with_headers(headers.clone())
                .with_message_id("id".into());
            headers.insert(X_DELAY.into(), AMQPValue::LongLongInt(expected));
            let after = released_properties(&properties::encode(&before));
            assert_eq!(properties::decode(&after), Ok(before.with_headers(headers)));
        }
        let without = properties::encode(&AMQPProperties::default());
        assert_eq!(released_properties(&without), without);
    }
}
