//! One table of all `x-…` arguments of queues: which type of queue has them, how their values are judged, and in which
//! order RabbitMQ judges and compares them (its `declare_args/0` and the queue types' `capabilities/0`).
//!
//! What the values then do is not known here.

use amq_protocol::types::AMQPValue;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::queue::QueueType;
use crate::queue::arguments::values;

type Check = fn(&AMQPValue) -> Result<(), String>;

/// One argument.
struct Row {
    key: &'static str,
    check: Check,
    /// Types that have it. RabbitMQ 3.13 and 4.x together: what either takes is taken.
    of: &'static [QueueType],
}

const fn row(key: &'static str, check: Check, of: &'static [QueueType]) -> Row {
    Row { key, check, of }
}

const ALL: &[QueueType] = &[QueueType::Classic, QueueType::Quorum, QueueType::Stream];
const BOTH: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];
const CLASSIC: &[QueueType] = &[QueueType::Classic];
const QUORUM: &[QueueType] = &[QueueType::Quorum];
const STREAM: &[QueueType] = &[QueueType::Stream];

/// In the order in which RabbitMQ judges values. `x-queue-type`, which it judges before all others, is not here.
///
/// `x-delivery-limit` on classic queues is ours. The locators decide nothing on one node; they are kept for listings.
const ROWS: &[Row] = &[
    row("x-expires", values::expires, BOTH),
    row("x-message-ttl", values::expiry, BOTH),
    row("x-dead-letter-exchange", values::name, BOTH),
    row("x-dead-letter-routing-key", values::name, BOTH),
    row("x-dead-letter-strategy", values::strategy, QUORUM),
    row("x-max-length", values::not_negative, BOTH),
    row("x-max-length-bytes", values::not_negative, ALL),
    row("x-max-in-memory-length", values::not_negative, QUORUM),
    row("x-max-in-memory-bytes", values::not_negative, QUORUM),
    row("x-max-priority", values::max_priority, CLASSIC),
    row("x-overflow", values::overflow, BOTH),
    row("x-queue-mode", values::queue_mode, CLASSIC),
    row("x-queue-version", values::queue_version, CLASSIC),
    row("x-single-active-consumer", values::boolean, BOTH),
    row("x-quorum-initial-group-size", values::group_size, QUORUM),
    row("x-max-age", values::max_age, STREAM),
    row(
        "x-stream-max-segment-size-bytes",
        values::not_negative,
        STREAM,
    ),
    row("x-initial-cluster-size", values::group_size, STREAM),
    row("x-delivery-limit", values::any, BOTH),
    row("x-queue-leader-locator", values::leader_locator, ALL),
    row("x-queue-master-locator", values::any, CLASSIC),
];

/// The order in which a redeclaration is compared. An argument that is not here may differ.
pub(super) fn compared(queue_type: QueueType) -> &'static [&'static str] {
    match queue_type {
        QueueType::Classic => &[
            "x-expires",
            "x-message-ttl",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-max-length",
            "x-max-length-bytes",
            "x-max-priority",
            "x-overflow",
            "x-queue-mode",
            "x-queue-version",
            "x-single-active-consumer",
            "x-queue-type",
            "x-queue-master-locator",
            "x-queue-leader-locator",
            "x-delivery-limit",
        ],
        QueueType::Quorum => &[
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-dead-letter-strategy",
            "x-expires",
            "x-max-length",
            "x-max-length-bytes",
            "x-max-in-memory-length",
            "x-max-in-memory-bytes",
            "x-overflow",
            "x-single-active-consumer",
            "x-queue-type",
            "x-quorum-initial-group-size",
            "x-delivery-limit",
            "x-message-ttl",
            "x-queue-leader-locator",
        ],
        QueueType::Stream => &[
            "x-max-length-bytes",
            "x-queue-type",
            "x-max-age",
            "x-stream-max-segment-size-bytes",
            "x-initial-cluster-size",
            "x-queue-leader-locator",
        ],
    }
}

/// Judges all arguments of a declaration: first the values of those that the type has, then whether there are any
/// that belong to other types.
pub(super) fn judge(
    queue_type: QueueType,
    arguments: &Arguments,
    resource: &str,
) -> Result<(), AmqpError> {
    for row in ROWS.iter().filter(|row| row.of.contains(&queue_type)) {
        if let Some(value) = arguments.value(row.key) {
            (row.check)(value)
                .and_then(|()| together(row.key, arguments))
                .map_err(|why| invalid(row.key, resource, &why))?;
        }
    }
    let foreign = |key: &str| {
        let row = ROWS.iter().find(|row| row.key == key);
        row.is_some_and(|row| !row.of.contains(&queue_type))
    };
    match arguments.iter().find(|(key, _)| foreign(key)) {
        None => Ok(()),
        Some((key, _)) => Err(AmqpError::precondition_failed(format!(
            "invalid arg '{key}' for {resource} of queue type {}",
            queue_type.module()
        ))),
    }
}

/// What depends on another argument.
fn together(key: &str, arguments: &Arguments) -> Result<(), String> {
    let lacks_exchange = arguments.value("x-dead-letter-exchange").is_none();
    if key == "x-dead-letter-routing-key" && lacks_exchange {
        return Err("routing_key_but_no_dlx_defined".to_owned());
    }
    Ok(())
}

/// RabbitMQ's text for an argument's wrong value; `why` as Erlang prints it.
pub(super) fn invalid(key: &str, resource: &str, why: &str) -> AmqpError {
    AmqpError::precondition_failed(format!("invalid arg '{key}' for {resource}: {why}"))
}
