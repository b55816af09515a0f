//! `GET /api/queues/{vhost}/{name}/messages`: ready messages as they lie, without touching them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::auth::Right;
use crate::definitions;
use crate::definitions::LIMIT_MAX;
use crate::definitions::Look;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::heavy::heavy;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::queues;
use crate::model::Position;
use crate::queue::Begin;

/// Messages of an answer when the client does not say.
const LIMIT: usize = 100;

/// What the client wants to see.
fn wanted(query: &Query, now: u64) -> Result<Look, ApiError> {
    let number = |key: &str| match query.value(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| ApiError::bad_request(format!("{key} is not a number"))),
    };
    let limit = number("limit")?.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(LIMIT_MAX));
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
            "position", "age", "limit", "truncate", "encoding", "body~", "columns",
        ]
        .contains(&key)
            || key.starts_with("header.")
    };
    if let Some((unknown, _)) = query.pairs().iter().find(|(key, _)| !known(key)) {
        return Err(ApiError::bad_request(format!(
            "unknown parameter {unknown}"
        )));
    }
    let begin = match (number("position")?, query.value("age")) {
        (Some(_), Some(_)) => {
            let text = "position and age both say where to begin: give one of them";
            return Err(ApiError::bad_request(text));
        }
        (position, None) => Begin::At(Position(position.unwrap_or(0))),
        (None, Some(text)) => {
            let age = definitions::age(text).ok_or_else(|| {
                ApiError::bad_request(
                    "age is not a number of seconds, or one with a unit (10m, 1h, 7D)",
                )
            })?;
            Begin::Since(now.saturating_sub(age))
        }
    };
    Ok(Look {
        begin,
        limit,
        truncate: number("truncate")?.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        always_base64,
        headers: headers.collect(),
        body: query.value("body~").map(str::to_owned),
    })
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
    let now = api.now();
    let wanted = wanted(&query, now)?;
    let queue = Arc::clone(&queue);
    // It may wait for the disk.
    heavy(move || wanted.at(&queue, now)).await.map(Json)
}
