//! Messages as JSON, and looks at the ready messages of a queue that touch none of them.

use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::definitions::arguments_json;
use crate::definitions::properties_json;
use crate::model::Arguments;
use crate::model::MessageRef;
use crate::protocol::properties;
use crate::queue::Begin;
use crate::queue::Browsed;
use crate::queue::QueueType;
use crate::queue::arguments::age_ms;
use crate::vhost::QueueHandle;

/// Messages of an answer, at most.
pub const LIMIT_MAX: usize = 1000;
/// Octets of messages that one look goes through; the next goes on where it ended.
const LOOK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Octets of messages in an answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What somebody wants to see of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// From there on.
    pub begin: Begin,
    /// So many messages.
    pub limit: usize,
    /// So many octets of each body.
    pub truncate: Option<usize>,
    /// Bodies as base64, also those that are text.
    pub always_base64: bool,
    /// Headers with their values, as text.
    pub headers: Vec<(String, String)>,
    /// What bodies contain.
    pub body: Option<String>,
}

/// Milliseconds of an age: a number of seconds, or one with the unit of `x-max-age` (`Y`, `M`, `D`, `h`, `m`, `s`).
pub fn age(text: &str) -> Option<u64> {
    match text.parse::<u64>() {
        Ok(seconds) => Some(seconds.saturating_mul(1000)),
        Err(_) => age_ms(text),
    }
}

impl Look {
    /// The messages, and from where on another look would show more. Blocks on the disk.
    pub fn at(&self, queue: &QueueHandle, now: u64) -> Value {
        let streamed = queue.queue_type == QueueType::Stream;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let next = queue.browse(self.begin, now, LOOK_BYTES_MAX, |browsed| {
            if self.takes(browsed.message) {
                bytes += browsed.message.held_bytes() as u64;
                rows.push(Value::Object(self.row(&browsed, streamed)));
            }
            match rows.len() < self.limit && bytes < ANSWER_BYTES_MAX {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        json!({"messages": rows, "next_position": next})
    }

    fn takes(&self, message: MessageRef<'_>) -> bool {
        let in_body = self.body.as_ref().is_none_or(|part| {
            let part = part.as_bytes();
            part.is_empty()
                || message
                    .body()
                    .windows(part.len())
                    .any(|window| window == part)
        });
        in_body && (self.headers.is_empty() || self.takes_headers(message))
    }

    fn takes_headers(&self, message: MessageRef<'_>) -> bool {
        let Some(headers) = properties::headers(message.header()) else {
            return false;
        };
        let headers = arguments_json(&Arguments::from(headers));
        self.headers
            .iter()
            .all(|(name, wanted)| match headers.get(name) {
                Some(Value::String(text)) => text == wanted,
                Some(other) => format!("{other}").as_str() == wanted,
                None => false,
            })
    }

    fn row(&self, browsed: &Browsed<'_>, streamed: bool) -> Map<String, Value> {
        let message = browsed.message;
        let (cut, encoding) = (self.truncate, self.always_base64);
        let mut row = message_json(message, message.header(), cut, encoding);
        row.insert("position".to_owned(), json!(browsed.position.0));
        row.insert("redelivered".to_owned(), json!(browsed.redelivered));
        row.insert("delivery_count".to_owned(), json!(browsed.returns));
        if streamed {
            row.insert(
                "offset".to_owned(),
                json!(browsed.position.0.saturating_sub(1)),
            );
        }
        row
    }
}

/// A body as JSON can have it.
fn payload(octets: &[u8], always_base64: bool) -> [(&'static str, Value); 2] {
    match std::str::from_utf8(octets) {
        Ok(text) if !always_base64 => [
            ("payload", json!(text)),
            ("payload_encoding", json!("string")),
        ],
        _ => [
            ("payload", json!(STANDARD.encode(octets))),
            ("payload_encoding", json!("base64")),
        ],
    }
}

/// The part of a message that clients see.
pub fn message_json(
    message: MessageRef<'_>,
    header: &[u8],
    truncate: Option<usize>,
    always_base64: bool,
) -> Map<String, Value> {
    let octets = message.body();
    let shown = &octets[..octets.len().min(truncate.unwrap_or(usize::MAX))];
    let decoded = properties::decode(header).map(|given| properties_json(&given));
    let mut row = Map::new();
    row.insert("payload_bytes".to_owned(), json!(octets.len()));
    row.insert("exchange".to_owned(), json!(message.exchange()));
    row.insert("routing_key".to_owned(), json!(message.routing_key()));
    row.insert(
        "properties".to_owned(),
        decoded.unwrap_or_else(|_| json!({})),
    );
    let payload = payload(shown, always_base64);
    row.extend(payload.map(|(key, value)| (key.to_owned(), value)));
    row
}
