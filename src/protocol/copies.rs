//! `CC` and `BCC`: further routing keys in a message's headers (specification §6.10).
//!
//! Works on the wire form of properties that [`scan`](crate::protocol::properties::scan) has passed; nothing but the
//! keys is decoded. Who asks first looks at the traits, so that other messages pay nothing.
//!
//! A message keeps its `BCC`, for a dead one goes where these keys lead, too; [`shown`] takes it away wherever properties
//! leave the broker.

use std::borrow::Cow;

use crate::model::MessageRef;
use crate::model::message::Traits;
use crate::protocol::properties;
use crate::protocol::properties::Fields;
use crate::protocol::raw_table;
use crate::protocol::raw_table::RawTable;
use crate::protocol::raw_table::RawValue;

/// Keys for all to see.
const CC: &str = "CC";
/// Keys that no consumer sees.
const BCC: &str = "BCC";

/// A header that should be an array of routing keys is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{{unacceptable_type_in_header,{header:?},{kind}}}")]
pub struct CopiesError {
    header: &'static str,
    /// RabbitMQ's name of the type.
    kind: &'static str,
}

/// The keys in `CC`, then those in `BCC`. Elements that are no strings are ignored; octets that are not UTF-8 are
/// replaced, for no binding has such.
pub fn copies(properties: &[u8]) -> Result<Vec<String>, CopiesError> {
    let table = headers(properties);
    let mut keys = keys(table, CC)?;
    keys.extend(self::keys(table, BCC)?);
    Ok(keys)
}

/// All routing keys of a published message: its own first, then those of [`copies`].
pub fn all_keys(message: MessageRef<'_>) -> Vec<String> {
    let mut keys = vec![message.routing_key().to_owned()];
    if message.traits().has_copies() {
        keys.extend(copies(message.header()).unwrap_or_default());
    }
    keys
}

/// Properties as clients may see them.
pub fn shown(properties: &[u8], traits: Traits) -> Cow<'_, [u8]> {
    match traits.has_bcc() {
        true => Cow::Owned(without_bcc(properties)),
        false => Cow::Borrowed(properties),
    }
}

/// The same properties without the header `BCC`.
pub fn without_bcc(properties: &[u8]) -> Vec<u8> {
    let before = headers(properties);
    let mut after = RawTable::new();
    let mut removed = false;
    for (key, value) in raw_table::entries(before) {
        // Only the first, as in RabbitMQ: the others were no routing keys either.
        if key == BCC.as_bytes() && !std::mem::replace(&mut removed, true) {
            continue;
        }
        after.raw(key, value.bytes());
    }
    properties::with_headers(properties, &after.finish())
}

fn headers(properties: &[u8]) -> &[u8] {
    Fields(properties).headers_bytes().unwrap_or_default()
}

fn keys(table: &[u8], header: &'static str) -> Result<Vec<String>, CopiesError> {
    let Some(value) = raw_table::entry(table, header) else {
        return Ok(Vec::new());
    };
    let Some(values) = value.values() else {
        let kind = value.type_name();
        return Err(CopiesError { header, kind });
    };
    let keys = values.filter_map(RawValue::text);
    Ok(keys
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::basic::AMQPProperties;
    use amq_protocol::types::AMQPValue;
    use amq_protocol::types::FieldArray;
    use amq_protocol::types::FieldTable;
    use amq_protocol::types::ShortString;

    use super::*;

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn array(keys: &[&str]) -> AMQPValue {
        let values: Vec<_> = keys.iter().map(|key| text(key)).collect();
        AMQPValue::FieldArray(FieldArray::from(values))
    }

    fn with(headers: &[(&str, AMQPValue)]) -> Vec<u8> {
        let mut table = FieldTable::default();
        for (key, value) in headers {
            table.insert(ShortString::from(*key), value.clone());
        }
        properties::encode(&AMQPProperties::default().with_headers(table))
    }

    fn has_copies(properties: &[u8]) -> bool {
        properties::scan(properties)
            .expect("well-formed")
            .has_copies()
    }

    #[test]
    fn keys_are_found_in_both_headers() {
        let properties = with(&[("BCC", array(&["c"])), ("CC", array(&["a", "b"]))]);
        assert!(has_copies(&properties));
        assert_eq!(copies(&properties).expect("arrays"), ["a", "b", "c"]);

        let mixed = FieldArray::from(vec![AMQPValue::LongInt(1), text("a"), AMQPValue::Void]);
        let properties = with(&[("CC", AMQPValue::FieldArray(mixed))]);
        assert_eq!(copies(&properties).expect("an array"), ["a"]);
    }

    #[test]
    fn only_the_outermost_table_is_looked_at() {
        let mut inner = FieldTable::default();
        inner.insert(ShortString::from("CC"), array(&["a"]));
        let properties = with(&[
            ("cc", array(&["a"])),
            ("CCC", array(&["a"])),
            ("xx", AMQPValue::FieldTable(inner)),
        ]);
        assert!(!has_copies(&properties));
        assert!(copies(&properties).expect("none").is_empty());
        assert!(
            !properties::scan(&properties)
                .expect("well-formed")
                .has_bcc()
        );
    }

    #[test]
    fn other_types_are_named_as_rabbitmq_names_them() {
        for (value, kind) in [
            (text("a"), "longstr"),
            (AMQPValue::Boolean(true), "bool"),
            (AMQPValue::LongInt(1), "signedint"),
            (AMQPValue::LongLongInt(1), "long"),
            (AMQPValue::Void, "void"),
            (AMQPValue::FieldTable(FieldTable::default()), "table"),
            (AMQPValue::Timestamp(1), "timestamp"),
            (AMQPValue::Double(1.0), "double"),
        ] {
            let properties = with(&[("BCC", value)]);
            assert!(has_copies(&properties));
            let error = copies(&properties).expect_err("no array");
            let text = format!("{{unacceptable_type_in_header,\"BCC\",{kind}}}");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn bcc_goes_and_all_else_stays() {
        let kept = [("CC", array(&["a"])), ("other", AMQPValue::LongInt(1))];
        let mut sent = kept.to_vec();
        sent.push(("BCC", array(&["b"])));
        let check = |sent: &[u8], expected: &[u8]| {
            let traits = properties::scan(sent).expect("well-formed");
            assert_eq!(shown(sent, traits), expected);
        };
        check(&with(&sent), &with(&kept));
        check(&with(&kept), &with(&kept));
        // The table stays when nothing is left in it, as in RabbitMQ.
        check(&with(&[("BCC", array(&["b"]))]), &with(&[]));
    }
}
