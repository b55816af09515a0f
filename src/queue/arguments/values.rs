//! What is wrong with an argument's value, as Erlang prints it (`rabbit_amqqueue:check_…_arg`).

use amq_protocol::types::AMQPValue;

use crate::model::arguments;
use crate::model::names::NAME_BYTES_MAX;
use crate::queue::arguments::EXPIRY_MS_MAX;
use crate::queue::arguments::PRIORITY_MAX;
use crate::queue::arguments::age_ms;

/// RabbitMQ does not look at it either.
pub(super) fn any(_: &AMQPValue) -> Result<(), String> {
    Ok(())
}

fn integer(value: &AMQPValue) -> Result<i64, String> {
    arguments::integer(value)
        .ok_or_else(|| format!("\"expected integer, got {}\"", arguments::type_name(value)))
}

fn unacceptable(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", arguments::type_name(value))
}

pub(super) fn not_negative(value: &AMQPValue) -> Result<(), String> {
    match integer(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        _ => Ok(()),
    }
}

pub(super) fn expiry(value: &AMQPValue) -> Result<(), String> {
    not_negative(value)?;
    match integer(value)? {
        number if number > EXPIRY_MS_MAX => Err(format!("{{value_too_large,{number}}}")),
        _ => Ok(()),
    }
}

pub(super) fn expires(value: &AMQPValue) -> Result<(), String> {
    expiry(value)?;
    not_zero(value)
}

fn not_zero(value: &AMQPValue) -> Result<(), String> {
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn group_size(value: &AMQPValue) -> Result<(), String> {
    not_negative(value)?;
    not_zero(value)
}

pub(super) fn max_priority(value: &AMQPValue) -> Result<(), String> {
    not_negative(value)?;
    match integer(value)? {
        number if number > i64::from(PRIORITY_MAX) => {
            Err(format!("{{max_value_exceeded,{number}}}"))
        }
        _ => Ok(()),
    }
}

pub(super) fn boolean(value: &AMQPValue) -> Result<(), String> {
    if matches!(value, AMQPValue::Boolean(_)) {
        Ok(())
    } else {
        Err(unacceptable(value))
    }
}

pub(super) fn text(value: &AMQPValue) -> Result<(), String> {
    match arguments::text(value) {
        Some(_) => Ok(()),
        None => Err(unacceptable(value)),
    }
}

/// A name that has to go onto the wire as a short string.
pub(super) fn name(value: &AMQPValue) -> Result<(), String> {
    text(value)?;
    match arguments::text(value) {
        Some(text) if text.len() > NAME_BYTES_MAX => {
            Err(format!("\"longer than {NAME_BYTES_MAX} bytes\""))
        }
        _ => Ok(()),
    }
}

fn one_of(
    value: &AMQPValue,
    known: &[&str],
    why: impl FnOnce(&str) -> String,
) -> Result<(), String> {
    text(value)?;
    match arguments::text(value) {
        Some(text) if !known.contains(&text) => Err(why(text)),
        _ => Ok(()),
    }
}

pub(super) fn overflow(value: &AMQPValue) -> Result<(), String> {
    let known = ["drop-head", "reject-publish", "reject-publish-dlx"];
    one_of(value, &known, |_| "invalid_overflow".to_owned())
}

pub(super) fn strategy(value: &AMQPValue) -> Result<(), String> {
    let known = ["at-most-once", "at-least-once"];
    one_of(value, &known, |_| "invalid_dlx_strategy".to_owned())
}

pub(super) fn leader_locator(value: &AMQPValue) -> Result<(), String> {
    // The last one is 4.x's alone.
    let known = [
        "client-local",
        "balanced",
        "random",
        "least-leaders",
        "min-masters",
    ];
    one_of(value, &known, |_| "invalid_queue_locator_arg".to_owned())
}

pub(super) fn max_age(value: &AMQPValue) -> Result<(), String> {
    text(value)?;
    match arguments::text(value).and_then(age_ms) {
        Some(_) => Ok(()),
        None => Err("invalid_max_age".to_owned()),
    }
}

pub(super) fn queue_mode(value: &AMQPValue) -> Result<(), String> {
    one_of(value, &["default", "lazy"], |mode| {
        format!("\"unsupported queue mode '{mode}'\"")
    })
}

pub(super) fn queue_version(value: &AMQPValue) -> Result<(), String> {
    not_negative(value)?;
    match integer(value)? {
        1 | 2 => Ok(()),
        other => Err(format!("\"unsupported queue version '{other}'\"")),
    }
}
