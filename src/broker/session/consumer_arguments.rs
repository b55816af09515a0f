//! The arguments of `basic.consume`: which queues have them, and what they mean.

use amq_protocol::types::AMQPValue;

use crate::connection::host::Consume;
use crate::model::AmqpError;
use crate::model::Release;
use crate::model::arguments;
use crate::protocol::erlang;
use crate::queue::QueueType;
use crate::queue::stream::Start;

const FAILOVER: &str = "x-cancel-on-ha-failover";
const OFFSET: &str = "x-stream-offset";

/// The arguments of consumers, in the order in which RabbitMQ judges them, and which queues have them.
const ARGUMENTS: &[(&str, &[QueueType])] = &[
    ("x-priority", &[QueueType::Classic, QueueType::Quorum]),
    (FAILOVER, &[QueueType::Classic]),
    (OFFSET, &[QueueType::Stream]),
];

/// Further ones of RabbitMQ 4; 3.13 lets everyone have them.
const ARGUMENTS_4: &[(&str, &[QueueType])] = &[
    ("x-stream-filter", &[QueueType::Stream]),
    ("x-stream-match-unfiltered", &[QueueType::Stream]),
];

/// Judges a consumer's arguments, as far as RabbitMQ does.
pub(super) fn check(
    consume: &Consume,
    queue_type: QueueType,
    release: Release,
    resource: &str,
) -> Result<(), AmqpError> {
    // In 4 it is a key like any other, which nobody looks at.
    let later = match release {
        Release::V3 => &[],
        Release::V4 => ARGUMENTS_4,
    };
    let arguments = ARGUMENTS
        .iter()
        .filter(|(key, _)| release == Release::V3 || *key != FAILOVER)
        .chain(later);
    let known = |(_, of): &(&str, &[QueueType])| of.contains(&queue_type);
    for (key, _) in arguments.clone().filter(|row| known(row)) {
        let Some(value) = consume.arguments.value(key) else {
            continue;
        };
        let why = match (*key, arguments::integer(value), value) {
            ("x-priority", None, value) => {
                format!("\"expected integer, got {}\"", arguments::type_name(value))
            }
            ("x-priority", Some(_), _) => continue,
            (OFFSET, _, value) if Start::of(value, 0).is_some() => continue,
            (OFFSET, _, value) => format!(
                "{{invalid_stream_offset_arg,{{{},{}}}}}",
                arguments::type_name(value),
                plain(value)
            ),
            (FAILOVER, _, AMQPValue::Boolean(_)) => continue,
            (key, _, _) if key != FAILOVER => continue,
            (_, _, value) => format!("{{unacceptable_type,{}}}", arguments::type_name(value)),
        };
        return Err(AmqpError::precondition_failed(format!(
            "invalid arg '{key}' for {resource}: {why}"
        )));
    }
    let foreign = |row: &&(&str, &[QueueType])| {
        let (key, _) = row;
        !known(row) && consume.arguments.value(key).is_some()
    };
    match arguments.clone().find(foreign) {
        None => Ok(()),
        Some((key, _)) => Err(AmqpError::precondition_failed(format!(
            "invalid arg '{key}' for {resource} of queue type {}",
            queue_type.module()
        ))),
    }
}

/// A value as Erlang prints it.
fn plain(value: &AMQPValue) -> String {
    match (arguments::integer(value), value) {
        (Some(number), _) => number.to_string(),
        (None, AMQPValue::LongString(text)) => erlang::binary(text.as_bytes()),
        (None, AMQPValue::Boolean(flag)) => flag.to_string(),
        // RabbitMQ breaks on these.
        (None, _) => "_".to_owned(),
    }
}

/// Where a consumer of a stream begins. Read from arguments that were judged.
pub(super) fn start(consume: &Consume, now: u64) -> Start {
    let value = consume.arguments.value(OFFSET);
    value
        .and_then(|value| Start::of(value, now))
        .unwrap_or_default()
}

/// Read from arguments that were judged.
pub(super) fn priority(consume: &Consume) -> i32 {
    let number = consume.arguments.value("x-priority");
    let number = number.and_then(arguments::integer).unwrap_or(0);
    number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
