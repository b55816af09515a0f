//! `/api/topic-permissions`, and those of one user or virtual host.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::auth::TopicPermissionRecord;
use crate::broker::Administered;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::commit::put_status;
use crate::management::listing;
use crate::management::path::Names;
use crate::management::permissions;
use crate::management::permissions::check_both;
use crate::management::permissions::check_user;
use crate::management::permissions::pattern;
use crate::management::query::Query;

type Answer = Result<Json<Value>, ApiError>;

fn rows(api: &Api, wanted: impl Fn(&TopicPermissionRecord) -> bool) -> Vec<Value> {
    let directory = api.broker.access().snapshot();
    let mut rows: Vec<_> = directory
        .topic_permissions()
        .filter(|row| wanted(row))
        .collect();
    rows.sort_by_key(|row| (&row.vhost, &row.user, &row.exchange));
    rows.into_iter().map(|row| json!(row)).collect()
}

pub(super) async fn topic_permissions(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Answer {
    caller.check_administrator()?;
    listing::reply(&query, rows(&api, |_| true), &["vhost", "user", "exchange"])
}

pub(super) async fn of_vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    caller.check_administrator()?;
    api.broker.vhost(&vhost).ok_or(ApiError::NotFound)?;
    Ok(Json(rows(&api, |row| row.vhost == vhost).into()))
}

pub(super) async fn of_user(
    caller: Caller,
    State(api): State<Api>,
    Names(user): Names<String>,
) -> Answer {
    caller.check_administrator()?;
    check_user(&api, &user)?;
    Ok(Json(rows(&api, |row| row.user == user).into()))
}

/// All rows of a user in a virtual host; none is not found.
fn found(api: &Api, vhost: &str, user: &str) -> Result<Vec<Value>, ApiError> {
    let rows = rows(api, |row| row.vhost == vhost && row.user == user);
    if rows.is_empty() {
        Err(ApiError::NotFound)
    } else {
        Ok(rows)
    }
}

pub(super) async fn of_both(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user)): Names<(String, String)>,
) -> Answer {
    caller.check_administrator()?;
    Ok(Json(found(&api, &vhost, &user)?.into()))
}

/// As RabbitMQ: the exchange in the path chooses nothing.
pub(super) async fn of_exchange(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user, _)): Names<(String, String, String)>,
) -> Answer {
    caller.check_administrator()?;
    Ok(Json(found(&api, &vhost, &user)?.into()))
}

async fn put(
    caller: Caller,
    api: Api,
    vhost: String,
    user: String,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    check_both(&api, &vhost, &user)?;
    let [exchange, write, read] = body.take(["exchange", "write", "read"])?;
    let existed = found(&api, &vhost, &user).is_ok();
    let record = TopicPermissionRecord {
        user: user.clone(),
        vhost,
        exchange: pattern(exchange)?,
        write: pattern(write)?,
        read: pattern(read)?,
    };
    let set = api.broker.access().set_topic_permission(record.clone());
    let lsn = set.map_err(|error| permissions::refuse(&user, error))?;
    caller.tell(&api, &Administered::TopicPermissionSet(&record));
    api.committed(lsn).await;
    Ok(put_status(existed))
}

pub(super) async fn put_topic_permission(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user)): Names<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    put(caller, api, vhost, user, body).await
}

/// The body names the exchange here too.
pub(super) async fn put_topic_permission_of_exchange(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user, _)): Names<(String, String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    put(caller, api, vhost, user, body).await
}

async fn delete(
    caller: Caller,
    api: Api,
    (vhost, user): (String, String),
    exchange: Option<&str>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    found(&api, &vhost, &user)?;
    let access = api.broker.access();
    let lsn = access.clear_topic_permissions(&user, &vhost, exchange);
    caller.tell(&api, &Administered::TopicPermissionDeleted(&vhost, &user));
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete_topic_permissions(
    caller: Caller,
    State(api): State<Api>,
    Names(path): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    delete(caller, api, path, None).await
}

pub(super) async fn delete_topic_permission(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user, exchange)): Names<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let exchange = if exchange == "amq.default" {
        ""
    } else {
        &exchange
    };
    delete(caller, api, (vhost, user), Some(exchange)).await
}
