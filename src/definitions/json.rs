//! Argument tables and message properties as JSON, in RabbitMQ's mapping.

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::ShortString;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::Arguments;
use crate::model::arguments;
use crate::model::names::NAME_BYTES_MAX;

/// A value that no table can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// A key is too long.
    #[error("key of {0} bytes is longer than 255")]
    Key(usize),
    /// A number is no 64-bit integer and no double.
    #[error("number {0} is out of range")]
    Number(String),
    /// Tables lie too deep in each other.
    #[error("values are nested too deeply")]
    Depth,
    /// Not an object.
    #[error("{0} is not an object")]
    Object(String),
}

/// Tables and lists within each other; the wire allows more, JSON less.
const DEPTH_MAX: usize = 100;

fn value_json(value: &AMQPValue) -> Value {
    if let Some(number) = arguments::integer(value) {
        return json!(number);
    }
    match value {
        AMQPValue::Boolean(flag) => json!(flag),
        AMQPValue::Float(number) => json!(number),
        AMQPValue::Double(number) => json!(number),
        AMQPValue::Timestamp(seconds) => json!(seconds),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_json).collect(),
        AMQPValue::FieldTable(table) => table_json(table),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::ByteArray(bytes) => json!(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::DecimalValue(decimal) => {
            json!(f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::ShortShortInt(_)
        | AMQPValue::ShortShortUInt(_)
        | AMQPValue::ShortInt(_)
        | AMQPValue::ShortUInt(_)
        | AMQPValue::LongInt(_)
        | AMQPValue::LongUInt(_)
        | AMQPValue::LongLongInt(_)
        | AMQPValue::Void => Value::Null,
    }
}

fn table_json(table: &FieldTable) -> Value {
    let entries = table.inner().iter();
    let entries = entries.map(|(key, value)| (key.as_str().to_owned(), value_json(value)));
    Value::Object(entries.collect())
}

/// A table as the API shows it.
pub fn arguments_json(arguments: &Arguments) -> Value {
    table_json(arguments.table())
}

/// One of its entries.
pub fn argument_json(arguments: &Arguments, key: &str) -> Option<Value> {
    arguments.table().inner().get(key).map(value_json)
}

fn json_value(value: &Value, depth: usize) -> Result<AMQPValue, InvalidValue> {
    if depth > DEPTH_MAX {
        return Err(InvalidValue::Depth);
    }
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => AMQPValue::LongLongInt(whole),
            (None, Some(real)) if !number.is_u64() => AMQPValue::Double(real),
            (None, _) => return Err(InvalidValue::Number(number.to_string())),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items
                .iter()
                .map(|item| json_value(item, depth + 1))
                .collect();
            AMQPValue::FieldArray(items?.into())
        }
        Value::Object(entries) => AMQPValue::FieldTable(json_table(entries, depth + 1)?),
    })
}

fn json_table(entries: &Map<String, Value>, depth: usize) -> Result<FieldTable, InvalidValue> {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        if key.len() > NAME_BYTES_MAX {
            return Err(InvalidValue::Key(key.len()));
        }
        table.insert(ShortString::from(key.as_str()), json_value(value, depth)?);
    }
    Ok(table)
}

/// The table that JSON tells of; `null` and an empty list are an empty one.
pub fn arguments_from_json(value: &Value) -> Result<Arguments, InvalidValue> {
    match value {
        Value::Null => Ok(Arguments::default()),
        Value::Array(items) if items.is_empty() => Ok(Arguments::default()),
        Value::Object(entries) => json_table(entries, 0).map(Arguments::from),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(InvalidValue::Object(value.to_string()))
        }
    }
}

/// Those properties that are there.
pub fn properties_json(properties: &AMQPProperties) -> Value {
    let mut all = Map::new();
    let mut text = |key: &str, value: &Option<ShortString>| {
        if let Some(value) = value {
            all.insert(key.to_owned(), json!(value.as_str()));
        }
    };
    text("content_type", properties.content_type());
    text("content_encoding", properties.content_encoding());
    text("correlation_id", properties.correlation_id());
    text("reply_to", properties.reply_to());
    text("expiration", properties.expiration());
    text("message_id", properties.message_id());
    text("type", properties.kind());
    text("user_id", properties.user_id());
    text("app_id", properties.app_id());
    text("cluster_id", properties.cluster_id());
    if let Some(headers) = properties.headers() {
        all.insert("headers".to_owned(), table_json(headers));
    }
    if let Some(mode) = properties.delivery_mode() {
        all.insert("delivery_mode".to_owned(), json!(mode));
    }
    if let Some(priority) = properties.priority() {
        all.insert("priority".to_owned(), json!(priority));
    }
    if let Some(timestamp) = properties.timestamp() {
        all.insert("timestamp".to_owned(), json!(timestamp));
    }
    Value::Object(all)
}

/// A property that cannot be what it was given as; RabbitMQ's word and the property's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProperty(pub &'static str, pub String);

/// The properties that JSON tells of; unknown keys mean nothing.
pub fn properties_from_json(
    entries: &Map<String, Value>,
) -> Result<AMQPProperties, InvalidProperty> {
    let mut properties = AMQPProperties::default();
    let text = |key: &str, value: &Value| match value.as_str() {
        Some(text) if text.len() <= NAME_BYTES_MAX => Ok(ShortString::from(text)),
        Some(_) => Err(InvalidProperty("too_long", key.to_owned())),
        None => Err(InvalidProperty("not_string", key.to_owned())),
    };
    let octet = |key: &str, value: &Value| {
        let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
        number.ok_or_else(|| InvalidProperty("not_int", key.to_owned()))
    };
    for (key, value) in entries {
        if value.is_null() {
            continue;
        }
        properties = match key.as_str() {
            "content_type" => properties.with_content_type(text(key, value)?),
            "content_encoding" => properties.with_content_encoding(text(key, value)?),
            "correlation_id" => properties.with_correlation_id(text(key, value)?),
            "reply_to" => properties.with_reply_to(text(key, value)?),
            "expiration" => properties.with_expiration(text(key, value)?),
            "message_id" => properties.with_message_id(text(key, value)?),
            "type" => properties.with_type(text(key, value)?),
            "user_id" => properties.with_user_id(text(key, value)?),
            "app_id" => properties.with_app_id(text(key, value)?),
            "cluster_id" => properties.with_cluster_id(text(key, value)?),
            "delivery_mode" => properties.with_delivery_mode(octet(key, value)?),
            "priority" => properties.with_priority(octet(key, value)?),
            "timestamp" => {
                let seconds = value.as_u64();
                let invalid = || InvalidProperty("not_int", key.clone());
                properties.with_timestamp(seconds.ok_or_else(invalid)?)
            }
            "headers" => {
                let table = arguments_from_json(value);
                let invalid = |_| InvalidProperty("not_table", key.clone());
                properties.with_headers(table.map_err(invalid)?.table().clone())
            }
            _ => properties,
        };
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_survive_the_way_through_json() {
        let written = json!({
            "whole": 5, "real": 1.5, "flag": true, "text": "t", "none": null,
            "list": [1, "a", {"k": false}], "table": {"in": {"in": -1}},
        });
        let arguments = arguments_from_json(&written).unwrap();
        assert_eq!(arguments_json(&arguments), written);
        assert_eq!(arguments_from_json(&json!([])), Ok(Arguments::default()));
        assert_eq!(arguments_from_json(&json!(null)), Ok(Arguments::default()));
    }

    #[test]
    fn what_no_table_can_hold_is_refused() {
        let long = "k".repeat(256);
        for (value, error) in [
            (json!({ long: 1 }), InvalidValue::Key(256)),
            (
                json!({"k": u64::MAX}),
                InvalidValue::Number(u64::MAX.to_string()),
            ),
            (json!("text"), InvalidValue::Object("\"text\"".to_owned())),
            (json!([1]), InvalidValue::Object("[1]".to_owned())),
        ] {
            assert_eq!(arguments_from_json(&value), Err(error));
        }
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(
            arguments_from_json(&json!({"k": deep})),
            Err(InvalidValue::Depth)
        );
    }

    #[test]
    fn properties_survive_the_way_through_json() {
        let written = json!({
            "content_type": "text/plain", "content_encoding": "gzip", "headers": {"h": 1}, "delivery_mode": 2,
            "priority": 5, "correlation_id": "c", "reply_to": "r", "expiration": "10", "message_id": "m",
            "timestamp": 123, "type": "t", "user_id": "u", "app_id": "a", "cluster_id": "l",
        });
        let properties = properties_from_json(written.as_object().unwrap()).unwrap();
        assert_eq!(properties_json(&properties), written);
    }

    #[test]
    fn properties_of_another_type_are_refused() {
        for (written, word) in [
            (json!({"priority": "high"}), "not_int"),
            (json!({"priority": 256}), "not_int"),
            (json!({"timestamp": "now"}), "not_int"),
            (json!({"expiration": 5}), "not_string"),
            (json!({"headers": "h"}), "not_table"),
            (json!({"app_id": "a".repeat(256)}), "too_long"),
        ] {
            let refused = properties_from_json(written.as_object().unwrap()).unwrap_err();
            assert_eq!(refused.0, word, "{written}");
        }
    }
}
