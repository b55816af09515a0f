//! `x-stream-filter`: which messages a consumer of a stream wants to see, by the value that their publisher gave them.
//!
//! RabbitMQ filters chunks, and clients have to look again; here each message is judged by itself, so that nothing comes
//! that was not asked for.

use amq_protocol::types::AMQPValue;

use crate::model::Arguments;
use crate::model::MessageRef;
use crate::protocol::properties;
use crate::protocol::raw_table;

/// The header in which publishers give a message its value.
const VALUE: &str = "x-stream-filter-value";

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    values: Vec<Vec<u8>>,
    unfiltered: bool,
}

impl Filter {
    /// The filter that these arguments of a consumer ask for.
    pub fn of(arguments: &Arguments) -> Option<Self> {
        let text = |value: &AMQPValue| {
            let AMQPValue::LongString(text) = value else {
                return None;
            };
            Some(text.as_bytes().to_vec())
        };
        let asked = arguments.value("x-stream-filter")?;
        let values = if let AMQPValue::FieldArray(values) = asked {
            // Others are not looked at, as in RabbitMQ.
            values.as_slice().iter().filter_map(text).collect()
        } else {
            vec![text(asked)?]
        };
        let unfiltered = arguments.value("x-stream-match-unfiltered");
        Some(Self {
            values,
            unfiltered: unfiltered == Some(&AMQPValue::Boolean(true)),
        })
    }

    pub(super) fn passes(&self, message: MessageRef<'_>) -> bool {
        let headers = match message.traits().has_headers() {
            true => properties::Fields(message.header()).headers_bytes(),
            false => None,
        };
        let value = headers.and_then(|headers| raw_table::entry(headers, VALUE)?.text());
        match value {
            Some(value) => self.values.iter().any(|wanted| wanted == value),
            None => self.unfiltered,
        }
    }
}
