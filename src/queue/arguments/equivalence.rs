//! When a redeclaration agrees with what exists, and RabbitMQ's text for when it does not (specification §4.2).

use amq_protocol::types::AMQPValue;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::arguments;
use crate::queue::QueueType;
use crate::queue::arguments::table;

/// Judges a redeclaration's arguments against those the queue has: RabbitMQ's text for the first that differs.
pub fn check_equivalent(
    queue_type: QueueType,
    current: &Arguments,
    received: &Arguments,
    resource: &str,
) -> Result<(), AmqpError> {
    let differing = table::compared(queue_type)
        .iter()
        .find(|key| !equivalent(key, current.value(key), received.value(key)));
    match differing {
        None => Ok(()),
        Some(key) => Err(inequivalent(
            key,
            received.value(key),
            current.value(key),
            resource,
        )),
    }
}

fn equivalent(key: &str, current: Option<&AMQPValue>, received: Option<&AMQPValue>) -> bool {
    match (current, received) {
        (None, None) => true,
        (Some(left), Some(right)) => arguments::same(left, right),
        // No type is the default type.
        (Some(one), None) | (None, Some(one)) => {
            key == "x-queue-type" && matches!(arguments::text(one), Some("classic"))
        }
    }
}

/// RabbitMQ's text for an argument that differs between a declaration and what exists (spec §4.2).
pub fn inequivalent(
    key: &str,
    received: Option<&AMQPValue>,
    current: Option<&AMQPValue>,
    resource: &str,
) -> AmqpError {
    let (received, current) = match (received, current) {
        (Some(received), Some(current)) => (
            format!("'{}'", plain(received)),
            format!("'{}'", plain(current)),
        ),
        (received, current) => (with_type(received), with_type(current)),
    };
    AmqpError::precondition_failed(format!(
        "inequivalent arg '{key}' for {resource}: received {received} but current is {current}"
    ))
}

fn with_type(value: Option<&AMQPValue>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => {
            format!(
                "the value '{}' of type '{}'",
                plain(value),
                arguments::type_name(value)
            )
        }
    }
}

fn plain(value: &AMQPValue) -> String {
    if let Some(number) = arguments::integer(value) {
        return number.to_string();
    }
    match (arguments::text(value), value) {
        (Some(text), _) => text.to_owned(),
        (None, AMQPValue::Boolean(flag)) => flag.to_string(),
        (None, AMQPValue::Double(number)) => format!("{number:?}"),
        (None, AMQPValue::Float(number)) => format!("{:?}", f64::from(*number)),
        (None, AMQPValue::Timestamp(seconds)) => seconds.to_string(),
        (None, AMQPValue::Void) => "undefined".to_owned(),
        (None, other) => format!("{other:?}"),
    }
}
