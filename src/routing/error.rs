//! Why a binding is refused, in RabbitMQ's words.

use std::fmt;

use amq_protocol::types::AMQPValue;

use crate::model::arguments::type_name;

/// A binding that the exchange's type does not take; its text is the explanation of a 406.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RoutingError {
    /// `x-match` is none of the four words.
    #[error("Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x", Term(.value))]
    MatchWord {
        /// What came instead.
        value: AMQPValue,
    },
    /// `x-match` is not a string.
    #[error("Invalid x-match field type {} (value {}); expected longstr", type_name(.value), Term(.value))]
    MatchType {
        /// What came instead.
        value: AMQPValue,
    },
    /// The weight for a consistent hash is no integer.
    #[error("The binding key must be an integer: {}", Term(&AMQPValue::LongString(.key.as_str().into())))]
    WeightFormat {
        /// What came instead.
        key: String,
    },
    /// The weight for a consistent hash is zero or negative.
    #[error("The binding key must be greater than 0")]
    WeightTooSmall,
    /// Bindings of `x-local-random` have no key.
    #[error("Non empty binding '{key}' key not permitted")]
    KeyNotEmpty {
        /// The key.
        key: String,
    },
    /// Bindings of `x-local-random` lead to queues.
    #[error("Destination not found")]
    NotAQueue,
    /// And only to classic ones.
    #[error("Queue type {module} not valid for this exchange type")]
    QueueType {
        /// RabbitMQ's module for it.
        module: &'static str,
    },
}

/// Prints a value as RabbitMQ's texts do, which is as an Erlang term.
pub struct Term<'a>(pub &'a AMQPValue);

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AMQPValue::Boolean(value) => value.fmt(f),
            AMQPValue::ShortShortInt(value) => value.fmt(f),
            AMQPValue::ShortShortUInt(value) => value.fmt(f),
            AMQPValue::ShortInt(value) => value.fmt(f),
            AMQPValue::ShortUInt(value) => value.fmt(f),
            AMQPValue::LongInt(value) => value.fmt(f),
            AMQPValue::LongUInt(value) => value.fmt(f),
            AMQPValue::LongLongInt(value) => value.fmt(f),
            AMQPValue::Timestamp(value) => value.fmt(f),
            AMQPValue::Float(value) => write!(f, "{:?}", f64::from(*value)),
            AMQPValue::Double(value) => write!(f, "{value:?}"),
            AMQPValue::DecimalValue(value) => write!(f, "{{{},{}}}", value.scale, value.value),
            AMQPValue::ShortString(value) => binary(value.as_str().as_bytes(), f),
            AMQPValue::LongString(value) => binary(value.as_bytes(), f),
            AMQPValue::ByteArray(value) => binary(value.as_slice(), f),
            AMQPValue::FieldArray(array) => list(array.as_slice(), f, |value, f| {
                write!(f, "{{{},{}}}", type_name(value), Term(value))
            }),
            AMQPValue::FieldTable(table) => list(table, f, |(key, value), f| {
                f.write_str("{")?;
                binary(key.as_str().as_bytes(), f)?;
                write!(f, ",{},{}}}", type_name(value), Term(value))
            }),
            AMQPValue::Void => f.write_str("undefined"),
        }
    }
}

/// `<<"text">>`, `<<"tëxt"/utf8>>` or, when it is not printable, `<<1,2,3>>`.
fn binary(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty() && text.chars().all(printable));
    let Some(text) = text else {
        f.write_str("<<")?;
        for (position, byte) in bytes.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{byte}")?;
        }
        return f.write_str(">>");
    };
    f.write_str("<<\"")?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str(if text.is_ascii() { "\">>" } else { "\"/utf8>>" })
}

fn printable(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\t') || !character.is_control()
}

fn list<T>(
    items: impl IntoIterator<Item = T>,
    f: &mut fmt::Formatter<'_>,
    print: impl Fn(T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            f.write_str(",")?;
        }
        print(item, f)?;
    }
    f.write_str("]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::types::FieldArray;
    use amq_protocol::types::FieldTable;

    #[track_caller]
    fn check_term(value: AMQPValue, printed: &str) {
        assert_eq!(Term(&value).to_string(), printed);
    }

    #[test]
    fn values_print_as_erlang_terms() {
        check_term(AMQPValue::LongString("x".into()), r#"<<"x">>"#);
        check_term(AMQPValue::LongString("a\"b".into()), r#"<<"a\"b">>"#);
        check_term(AMQPValue::LongString("é".into()), r#"<<"é"/utf8>>"#);
        check_term(AMQPValue::LongString(vec![0, 255].into()), "<<0,255>>");
        check_term(AMQPValue::LongString("".into()), "<<>>");
        check_term(AMQPValue::LongInt(-1), "-1");
        check_term(AMQPValue::Boolean(true), "true");
        check_term(AMQPValue::Double(1.0), "1.0");
        check_term(AMQPValue::Void, "undefined");
        check_term(
            AMQPValue::FieldArray(FieldArray::from(vec![
                AMQPValue::LongInt(1),
                AMQPValue::LongString("a".into()),
            ])),
            r#"[{signedint,1},{longstr,<<"a">>}]"#,
        );
        let mut table = FieldTable::default();
        table.insert("k".into(), AMQPValue::Boolean(false));
        check_term(AMQPValue::FieldTable(table), r#"[{<<"k">>,bool,false}]"#);
    }
}
