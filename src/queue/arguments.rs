//! `x-…` arguments of queue declarations: what they mean, which values are wrong, when two declarations agree.
//!
//! Texts are RabbitMQ's (`rabbit_amqqueue:check_declare_arguments`). An argument that RabbitMQ obeys and this version
//! does not is refused, never ignored: docs/compatibility.md lists them.

use amq_protocol::types::AMQPValue;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::RoutingKey;
use crate::model::arguments;
use crate::model::names::NAME_BYTES_MAX;
use crate::queue::DeadLetter;
use crate::queue::Limits;
use crate::queue::Overflow;

/// Longest TTL or expiry: ten years, as in RabbitMQ.
pub const EXPIRY_MS_MAX: i64 = 315_360_000_000;

/// Arguments that a queue obeys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-message-ttl`, milliseconds.
    pub message_ttl: Option<u64>,
    /// `x-expires`, milliseconds.
    pub expires: Option<u64>,
    /// `x-dead-letter-exchange` and `x-dead-letter-routing-key`.
    pub dead_letter: Option<DeadLetter>,
    /// `x-max-length`, `x-max-length-bytes`, `x-overflow`.
    pub limits: Limits,
}

type Check = fn(&AMQPValue) -> Result<(), String>;

/// Every argument that RabbitMQ checks, in the order in which it does, which is also the order of comparison.
const CHECKED: &[(&str, Check)] = &[
    ("x-expires", check_expires),
    ("x-message-ttl", check_expiry),
    ("x-dead-letter-exchange", check_name),
    ("x-dead-letter-routing-key", check_name),
    ("x-max-length", check_not_negative),
    ("x-max-length-bytes", check_not_negative),
    ("x-max-in-memory-length", check_not_negative),
    ("x-max-in-memory-bytes", check_not_negative),
    ("x-max-priority", unsupported),
    ("x-overflow", check_overflow),
    ("x-queue-mode", check_queue_mode),
    ("x-queue-version", check_queue_version),
    ("x-single-active-consumer", check_single_active_consumer),
    ("x-queue-type", check_queue_type),
    ("x-queue-leader-locator", check_text),
    ("x-queue-master-locator", check_text),
];

/// Arguments that belong to another type of queue.
const OF_OTHER_TYPES: &[&str] = &[
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-quorum-initial-group-size",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "x-initial-cluster-size",
];

impl QueueArguments {
    /// Judges and reads the arguments of a declaration; `resource` is such as `queue 'q' in vhost '/'`.
    pub fn parse(arguments: &Arguments, resource: &str) -> Result<Self, AmqpError> {
        for (key, check) in CHECKED {
            if let Some(value) = arguments.value(key) {
                let checked = check(value).and_then(|()| check_together(key, arguments));
                checked.map_err(|why| {
                    AmqpError::precondition_failed(format!(
                        "invalid arg '{key}' for {resource}: {why}"
                    ))
                })?;
            }
        }
        if let Some(key) = OF_OTHER_TYPES
            .iter()
            .find(|key| arguments.value(key).is_some())
        {
            return Err(AmqpError::precondition_failed(format!(
                "invalid arg '{key}' for {resource} of queue type rabbit_classic_queue"
            )));
        }
        let number = |key| {
            arguments
                .value(key)
                .and_then(arguments::integer)
                .map(i64::unsigned_abs)
        };
        Ok(Self {
            message_ttl: number("x-message-ttl"),
            expires: number("x-expires"),
            dead_letter: dead_letter(arguments),
            limits: Limits {
                length: number("x-max-length"),
                body_bytes: number("x-max-length-bytes"),
                overflow: overflow(arguments).unwrap_or_default(),
            },
        })
    }
}

/// Read from arguments that were judged.
fn dead_letter(arguments: &Arguments) -> Option<DeadLetter> {
    let text = |key| arguments.value(key).and_then(arguments::text);
    Some(DeadLetter {
        exchange: ExchangeName::new(text("x-dead-letter-exchange")?).ok()?,
        routing_key: text("x-dead-letter-routing-key").and_then(|key| RoutingKey::new(key).ok()),
    })
}

fn overflow(arguments: &Arguments) -> Option<Overflow> {
    match arguments.value("x-overflow").and_then(arguments::text)? {
        "drop-head" => Some(Overflow::DropHead),
        "reject-publish" => Some(Overflow::RejectPublish),
        "reject-publish-dlx" => Some(Overflow::RejectPublishDeadLetter),
        _ => None,
    }
}

/// Judges what depends on another argument.
fn check_together(key: &str, arguments: &Arguments) -> Result<(), String> {
    let lacks_exchange = arguments.value("x-dead-letter-exchange").is_none();
    if key == "x-dead-letter-routing-key" && lacks_exchange {
        return Err("routing_key_but_no_dlx_defined".to_owned());
    }
    Ok(())
}

/// Judges a redeclaration's arguments against those the queue has: RabbitMQ's text for the first that differs.
pub fn check_equivalent(
    current: &Arguments,
    received: &Arguments,
    resource: &str,
) -> Result<(), AmqpError> {
    let differing = CHECKED
        .iter()
        .map(|(key, _)| *key)
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
        (None, other) => format!("{other:?}"),
    }
}

fn integer(value: &AMQPValue) -> Result<i64, String> {
    arguments::integer(value)
        .ok_or_else(|| format!("\"expected integer, got {}\"", arguments::type_name(value)))
}

fn check_not_negative(value: &AMQPValue) -> Result<(), String> {
    match integer(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        _ => Ok(()),
    }
}

fn check_expiry(value: &AMQPValue) -> Result<(), String> {
    check_not_negative(value)?;
    match integer(value)? {
        number if number > EXPIRY_MS_MAX => Err(format!("{{value_too_large,{number}}}")),
        _ => Ok(()),
    }
}

fn check_expires(value: &AMQPValue) -> Result<(), String> {
    check_expiry(value)?;
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

fn check_text(value: &AMQPValue) -> Result<(), String> {
    match arguments::text(value) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{{unacceptable_type,{}}}",
            arguments::type_name(value)
        )),
    }
}

/// A name that has to go onto the wire as a short string.
fn check_name(value: &AMQPValue) -> Result<(), String> {
    check_text(value)?;
    match arguments::text(value) {
        Some(text) if text.len() > NAME_BYTES_MAX => {
            Err(format!("\"longer than {NAME_BYTES_MAX} bytes\""))
        }
        _ => Ok(()),
    }
}

fn check_overflow(value: &AMQPValue) -> Result<(), String> {
    check_text(value)?;
    match arguments::text(value) {
        Some("drop-head" | "reject-publish" | "reject-publish-dlx") => Ok(()),
        _ => Err("invalid_overflow".to_owned()),
    }
}

fn check_queue_mode(value: &AMQPValue) -> Result<(), String> {
    check_text(value)?;
    match arguments::text(value) {
        Some("default" | "lazy") => Ok(()),
        _ => Err("invalid_queue_mode".to_owned()),
    }
}

fn check_queue_version(value: &AMQPValue) -> Result<(), String> {
    match integer(value)? {
        1 | 2 => Ok(()),
        other => Err(format!("\"unsupported queue version '{other}'\"")),
    }
}

fn check_single_active_consumer(value: &AMQPValue) -> Result<(), String> {
    if !matches!(value, AMQPValue::Boolean(_)) {
        return Err(format!(
            "{{unacceptable_type,{}}}",
            arguments::type_name(value)
        ));
    }
    if *value == AMQPValue::Boolean(true) {
        unsupported(value)
    } else {
        Ok(())
    }
}

fn check_queue_type(value: &AMQPValue) -> Result<(), String> {
    check_text(value)?;
    match arguments::text(value) {
        Some("classic" | "rabbit_classic_queue") => Ok(()),
        Some("quorum" | "stream" | "rabbit_quorum_queue" | "rabbit_stream_queue") => {
            unsupported(value)
        }
        other => Err(format!(
            "\"unsupported queue type '{}'\"",
            other.unwrap_or_default()
        )),
    }
}

fn unsupported(_: &AMQPValue) -> Result<(), String> {
    Err("\"not supported by this version of Leveret\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "queue 'q' in vhost '/'";

    fn arguments(entries: &[(&str, AMQPValue)]) -> Arguments {
        let mut arguments = Arguments::default();
        for (key, value) in entries {
            arguments.set(key, value.clone());
        }
        arguments
    }

    #[track_caller]
    fn check_refused(key: &str, value: AMQPValue, why: &str) {
        let error = QueueArguments::parse(&arguments(&[(key, value)]), RESOURCE)
            .expect_err("the argument is wrong");
        assert_eq!(
            error.text(),
            format!("invalid arg '{key}' for {RESOURCE}: {why}")
        );
    }

    #[test]
    fn wrong_values_get_rabbitmqs_texts() {
        check_refused("x-expires", AMQPValue::LongInt(0), "{value_zero,0}");
        check_refused(
            "x-message-ttl",
            AMQPValue::LongInt(-1),
            "{value_negative,-1}",
        );
        check_refused(
            "x-message-ttl",
            AMQPValue::LongString("60".into()),
            "\"expected integer, got longstr\"",
        );
        check_refused(
            "x-message-ttl",
            AMQPValue::LongLongInt(EXPIRY_MS_MAX + 1),
            "{value_too_large,315360000001}",
        );
        check_refused(
            "x-max-length",
            AMQPValue::LongInt(-1),
            "{value_negative,-1}",
        );
        check_refused(
            "x-max-length-bytes",
            AMQPValue::LongString("3".into()),
            "\"expected integer, got longstr\"",
        );
        check_refused(
            "x-overflow",
            AMQPValue::LongString("drop".into()),
            "invalid_overflow",
        );
        check_refused(
            "x-dead-letter-exchange",
            AMQPValue::LongInt(1),
            "{unacceptable_type,signedint}",
        );
        check_refused(
            "x-dead-letter-routing-key",
            AMQPValue::LongString("key".into()),
            "routing_key_but_no_dlx_defined",
        );
        check_refused(
            "x-queue-type",
            AMQPValue::LongString("heap".into()),
            "\"unsupported queue type 'heap'\"",
        );
    }

    #[test]
    fn integers_are_equal_across_types() {
        let current = arguments(&[("x-message-ttl", AMQPValue::LongInt(1000))]);
        let same = arguments(&[("x-message-ttl", AMQPValue::LongLongInt(1000))]);
        assert_eq!(check_equivalent(&current, &same, RESOURCE), Ok(()));
    }

    #[test]
    fn differing_arguments_are_named_as_rabbitmq_names_them() {
        let current = arguments(&[("x-message-ttl", AMQPValue::LongInt(1000))]);
        let other = arguments(&[("x-message-ttl", AMQPValue::LongInt(2000))]);
        assert_eq!(
            check_equivalent(&current, &other, RESOURCE)
                .unwrap_err()
                .text(),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '2000' but current is '1000'"
        );
        assert_eq!(
            check_equivalent(&current, &Arguments::default(), RESOURCE)
                .unwrap_err()
                .text(),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the \
             value '1000' of type 'signedint'"
        );
    }

    #[test]
    fn unknown_arguments_and_the_default_type_do_not_count() {
        let current = arguments(&[("x-mine", AMQPValue::Boolean(true))]);
        let received = arguments(&[("x-queue-type", AMQPValue::LongString("classic".into()))]);
        assert_eq!(check_equivalent(&current, &received, RESOURCE), Ok(()));
    }
}
