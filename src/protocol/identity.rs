//! What makes two header values the same to those who hash or remember them.

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;

use crate::model::arguments;
use crate::protocol::encode;

/// Equal for integers of one value and for strings of the same octets, whatever type they came in; all else is compared
/// as it is on the wire.
pub fn identity(value: &AMQPValue) -> Vec<u8> {
    let (tag, octets) = if let Some(number) = arguments::integer(value) {
        (b'n', number.to_be_bytes().to_vec())
    } else if let AMQPValue::LongString(text) = value {
        (b's', text.as_bytes().to_vec())
    } else if let AMQPValue::ByteArray(bytes) = value {
        (b's', bytes.as_slice().to_vec())
    } else {
        let mut table = FieldTable::default();
        table.insert("".into(), value.clone());
        (b'o', encode::table(&table))
    };
    let mut identity = octets;
    identity.push(tag);
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn values_are_compared_without_their_wire_types() {
        assert_eq!(
            identity(&AMQPValue::LongInt(5)),
            identity(&AMQPValue::ShortShortUInt(5))
        );
        assert_ne!(identity(&AMQPValue::LongInt(5)), identity(&string("5")));
        assert_eq!(
            identity(&string("ab")),
            identity(&AMQPValue::ByteArray(b"ab".as_slice().into()))
        );
        assert_ne!(
            identity(&AMQPValue::Boolean(true)),
            identity(&AMQPValue::Boolean(false))
        );
        assert_ne!(identity(&AMQPValue::Void), identity(&string("")));
    }
}
