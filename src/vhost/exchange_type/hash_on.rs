//! What a consistent-hash exchange hashes: the routing key, a header or a property.

use amq_protocol::types::AMQPValue;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::arguments;
use crate::protocol::identity::identity;
use crate::routing::stable_hash;
use crate::vhost::letter::Letter;

const HEADER: &str = "hash-header";
const PROPERTY: &str = "hash-property";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    CorrelationId,
    MessageId,
    Timestamp,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HashOn {
    Key,
    Header(Box<str>),
    Property(Property),
}

impl HashOn {
    pub(super) fn parse(arguments: &Arguments, resource: &str) -> Result<Self, AmqpError> {
        let text = |name| match arguments.value(name) {
            None => Ok(None),
            Some(value @ AMQPValue::LongString(_)) => Ok(arguments::text(value)),
            // RabbitMQ takes no other type either: it answers with an internal error.
            Some(other) => Err(AmqpError::precondition_failed(format!(
                "invalid type '{}' for arg '{name}' in {resource}",
                arguments::type_name(other)
            ))),
        };
        match (text(HEADER)?, text(PROPERTY)?) {
            (None, None) => Ok(Self::Key),
            (Some(header), None) => Ok(Self::Header(header.into())),
            (None, Some(property)) => match property {
                "correlation_id" => Ok(Self::Property(Property::CorrelationId)),
                "message_id" => Ok(Self::Property(Property::MessageId)),
                "timestamp" => Ok(Self::Property(Property::Timestamp)),
                other => Err(AmqpError::precondition_failed(format!(
                    "Unsupported property: {other}"
                ))),
            },
            (Some(_), Some(_)) => Err(AmqpError::precondition_failed(
                "hash-header and hash-property are mutually exclusive",
            )),
        }
    }

    /// The hash of a message. All that lack the header or property have one.
    pub(super) fn hash(&self, letter: &Letter<'_>) -> u64 {
        match self {
            Self::Key => stable_hash(letter.keys.first().copied().unwrap_or_default().as_bytes()),
            Self::Header(name) => letter
                .header_value(name)
                .map_or(0, |value| stable_hash(&identity(value))),
            Self::Property(Property::CorrelationId) => {
                let id = letter.fields().correlation_id();
                id.map_or(0, |id| stable_hash(id.as_bytes()))
            }
            Self::Property(Property::MessageId) => {
                let id = letter.fields().message_id();
                id.map_or(0, |id| stable_hash(id.as_bytes()))
            }
            Self::Property(Property::Timestamp) => {
                let timestamp = letter.fields().timestamp();
                timestamp.map_or(0, |timestamp| stable_hash(&timestamp.to_be_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[track_caller]
    fn check(entries: &[(&str, AMQPValue)], expected: Result<HashOn, &str>) {
        let mut arguments = Arguments::default();
        for (name, value) in entries {
            arguments.set(name, value.clone());
        }
        let actual = HashOn::parse(&arguments, "exchange 'x' in vhost '/'");
        let actual = actual.map_err(|error| error.text().to_owned());
        assert_eq!(actual, expected.map_err(str::to_owned));
    }

    #[test]
    fn arguments_are_judged_with_rabbitmqs_texts() {
        check(&[], Ok(HashOn::Key));
        check(&[(HEADER, string("h"))], Ok(HashOn::Header("h".into())));
        for (name, property) in [
            ("correlation_id", Property::CorrelationId),
            ("message_id", Property::MessageId),
            ("timestamp", Property::Timestamp),
        ] {
            check(&[(PROPERTY, string(name))], Ok(HashOn::Property(property)));
        }
        check(
            &[(PROPERTY, string("app_id"))],
            Err("Unsupported property: app_id"),
        );
        check(
            &[(HEADER, string("h")), (PROPERTY, string("app_id"))],
            Err("hash-header and hash-property are mutually exclusive"),
        );
        check(
            &[(HEADER, AMQPValue::LongInt(5))],
            Err("invalid type 'signedint' for arg 'hash-header' in exchange 'x' in vhost '/'"),
        );
    }
}
