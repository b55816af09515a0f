//! What single values of policies may be, with RabbitMQ's words for those that are wrong.

use serde_json::Value;

use crate::vhost::policies::term::term;

fn wrong(value: &Value, what: &str) -> Result<(), String> {
    Err(format!("{} is not a valid {what}", term(value)))
}

pub(super) fn any(_: &Value) -> Result<(), String> {
    Ok(())
}

pub(super) fn cache_persistence(value: &Value) -> Result<(), String> {
    if matches!(value.as_str(), Some("disk" | "memory")) {
        return Ok(());
    }
    Err(format!(
        "\"x-cache-persistence\" must be either \"disk\" or \"memory\", got {}",
        term(value)
    ))
}

pub(super) fn positive(name: &str, value: &Value) -> Result<(), String> {
    if value.as_u64().is_some_and(|number| number > 0) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" must be an integer greater than 0, got {}",
        term(value)
    ))
}

pub(super) fn deduplication(value: &Value) -> Result<(), String> {
    if value.is_boolean() {
        return Ok(());
    }
    Err(format!(
        "\"x-message-deduplication\" must be a boolean, got {}",
        term(value)
    ))
}

pub(super) fn text(value: &Value, what: &str) -> Result<(), String> {
    if value.is_string() {
        Ok(())
    } else {
        wrong(value, what)
    }
}

pub(super) fn one_of(allowed: &[&str], value: &Value, what: &str) -> Result<(), String> {
    match value.as_str() {
        Some(word) if allowed.contains(&word) => Ok(()),
        _ => wrong(value, what),
    }
}

pub(super) fn at_least(min: i64, value: &Value, what: &str) -> Result<(), String> {
    // Beyond i64 there are only larger ones.
    let number = value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX));
    match number {
        Some(number) if number >= min => Ok(()),
        _ => wrong(value, what),
    }
}

pub(super) fn between(min: i64, max: i64, value: &Value, what: &str) -> Result<(), String> {
    match value.as_i64() {
        Some(number) if (min..=max).contains(&number) => Ok(()),
        _ => wrong(value, what),
    }
}

pub(super) fn version(value: &Value) -> Result<(), String> {
    between(1, 2, value, "queue-version value")
}

pub(super) fn master_locator(value: &Value) -> Result<(), String> {
    one_of(&["min-masters", "client-local", "random"], value, "")
        .map_err(|_| format!("{} invalid queue-master-locator value", term(value)))
}

/// `7D`: a number above 0 and a unit.
pub(super) fn age(value: &Value) -> Result<(), String> {
    let parts = value.as_str().map(|age| {
        let digits = age.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = age.split_at(digits);
        let above_zero = number.bytes().any(|digit| digit != b'0');
        (above_zero, unit)
    });
    match parts {
        Some((true, "Y" | "M" | "D" | "h" | "m" | "s")) => Ok(()),
        _ => wrong(value, "max age"),
    }
}
