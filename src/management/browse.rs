//! `GET /api/queues/{vhost}/{name}/messages`: ready messages as they lie, without touching them.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::auth::Right;
use crate::definitions::arguments_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::heavy::heavy;
use crate::management::messages::message_json;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::queues;
use crate::model::Arguments;
use crate::model::MessageRef;
use crate::model::Position;
use crate::protocol::properties;
use crate::queue::Browsed;
use crate::queue::QueueType;
use crate::vhost::QueueHandle;

/// Messages of an answer when the client does not say.
const LIMIT: usize = 100;
/// The same, at most.
const LIMIT_MAX: usize = 1000;
/// Octets of messages that one request looks at; the next goes on where it ended.
const LOOK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Octets of messages in an answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the client wants to see.
struct Wanted {
    from: u64,
    limit: usize,
    truncate: Option<usize>,
    always_base64: bool,
    /// Headers with their values, as text.
    headers: Vec<(String, String)>,
    /// What bodies contain.
    body: Option<String>,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, ApiError> {
        let number = |key: &str| match query.value(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| ApiError::bad_request(format!("{key} is not a number"))),
        };
        let limit =
            number("limit")?.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(LIMIT_MAX));
        if limit == 0 || limit > LIMIT_MAX {
            return Err(ApiError::bad_request(format!(
                "limit must be from 1 to {LIMIT_MAX}"
            )));
        }
        let always_base64 = match query.value("encoding") {
            None | Some("auto") => false,
            Some("base64") => true,
            Some(_) => {
                return Err(ApiError::bad_request(
                    "Unsupported encoding. Please use auto or base64.",
                ));
            }
        };
        let headers = query.pairs().iter().filter_map(|(key, value)| {
            let name = key.strip_prefix("header.")?;
            Some((name.to_owned(), value.clone()))
        });
        let known = |key: &str| {
            [
                "position", "limit", "truncate", "encoding", "body~", "columns",
            ]
            .contains(&key)
                || key.starts_with("header.")
        };
        if let Some((unknown, _)) = query.pairs().iter().find(|(key, _)| !known(key)) {
            return Err(ApiError::bad_request(format!(
                "unknown parameter {unknown}"
            )));
        }
        Ok(Self {
            from: number("position")?.unwrap_or(0),
            limit,
            truncate: number("truncate")?.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            always_base64,
            headers: headers.collect(),
            body: query.value("body~").map(str::to_owned),
        })
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
}

fn row(browsed: &Browsed<'_>, wanted: &Wanted, streamed: bool) -> Map<String, Value> {
    let message = browsed.message;
    let (cut, encoding) = (wanted.truncate, wanted.always_base64);
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

fn look(queue: &QueueHandle, wanted: &Wanted, now: u64) -> Value {
    let streamed = queue.queue_type == QueueType::Stream;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let next = queue.browse(Position(wanted.from), now, LOOK_BYTES_MAX, |browsed| {
        if wanted.takes(browsed.message) {
            bytes += browsed.message.held_bytes() as u64;
            rows.push(Value::Object(row(&browsed, wanted, streamed)));
        }
        match rows.len() < wanted.limit && bytes < ANSWER_BYTES_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    json!({"messages": rows, "next_position": next})
}

pub(super) async fn messages(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let (vhost, queue) = queues::find(&caller, &api, &vhost, &name)?;
    let access = api.broker.access();
    if !access.check(caller.user.name(), vhost.name(), Right::Read, &name) {
        return Err(ApiError::access_refused());
    }
    if queue.owner.is_some() {
        return Err(ApiError::bad_request(
            "the queue belongs to a connection alone",
        ));
    }
    let wanted = Wanted::of(&query)?;
    let now = api.now();
    let queue = Arc::clone(&queue);
    // It may wait for the disk.
    heavy(move || look(&queue, &wanted, now)).await.map(Json)
}
