//! `/api/permissions`, and those of one user or virtual host.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::auth::AuthError;
use crate::auth::PermissionRecord;
use crate::broker::Administered;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::commit::put_status;
use crate::management::listing;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::model::InvalidPattern;

type Answer = Result<Json<Value>, ApiError>;

fn list(api: &Api, query: &Query, wanted: impl Fn(&PermissionRecord) -> bool) -> Answer {
    let directory = api.broker.access().snapshot();
    let rows = directory.permissions().filter(wanted);
    let rows = rows.map(|row| json!(row)).collect();
    listing::reply(query, rows, &["vhost", "user"])
}

pub(super) async fn permissions(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    caller.check_administrator()?;
    list(&api, &query, |_| true)
}

pub(super) async fn of_vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Answer {
    caller.check_administrator()?;
    api.broker.vhost(&vhost).ok_or(ApiError::NotFound)?;
    list(&api, &query, |row| row.vhost == vhost)
}

pub(super) async fn of_user(
    caller: Caller,
    State(api): State<Api>,
    Names(user): Names<String>,
    query: Query,
) -> Answer {
    caller.check_administrator()?;
    check_user(&api, &user)?;
    list(&api, &query, |row| row.user == user)
}

/// 404 unless there is such a user.
pub(super) fn check_user(api: &Api, user: &str) -> Result<(), ApiError> {
    match api.broker.access().snapshot().user(user) {
        Some(_) => Ok(()),
        None => Err(ApiError::NotFound),
    }
}

/// 400 unless there are such a virtual host and such a user.
pub(super) fn check_both(api: &Api, vhost: &str, user: &str) -> Result<(), ApiError> {
    if api.broker.vhost(vhost).is_some() && check_user(api, user).is_ok() {
        Ok(())
    } else {
        Err(ApiError::bad_request("vhost_or_user_not_found"))
    }
}

/// The text of a pattern.
pub(super) fn pattern(value: Value) -> Result<String, ApiError> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(ApiError::bad_request(format!(
            "{value} is not a regular expression"
        ))),
    }
}

/// A permission as a body has it.
pub(super) fn record(
    user: &str,
    vhost: &str,
    body: &mut Body,
) -> Result<PermissionRecord, ApiError> {
    let [configure, write, read] = body.take(["configure", "write", "read"])?;
    Ok(PermissionRecord {
        user: user.to_owned(),
        vhost: vhost.to_owned(),
        configure: pattern(configure)?,
        write: pattern(write)?,
        read: pattern(read)?,
    })
}

/// The answer to a change that cannot be made.
pub(super) fn refuse(user: &str, error: AuthError) -> ApiError {
    match error {
        AuthError::InvalidPattern(InvalidPattern { pattern, reason }) => {
            ApiError::BadRequest(json!(["invalid_regexp", pattern, reason]))
        }
        AuthError::NoSuchUser { .. } => ApiError::BadRequest(json!(["no_such_user", user])),
        error @ (AuthError::NameTooLong { .. }
        | AuthError::Md5 { .. }
        | AuthError::UnknownAlgorithm { .. }
        | AuthError::MalformedHash { .. }) => ApiError::bad_request(error.to_string()),
    }
}

pub(super) async fn permission(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user)): Names<(String, String)>,
) -> Answer {
    caller.check_administrator()?;
    let directory = api.broker.access().snapshot();
    let found = directory.permission(&user, &vhost);
    Ok(Json(json!(found.ok_or(ApiError::NotFound)?)))
}

pub(super) async fn put_permission(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user)): Names<(String, String)>,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    check_both(&api, &vhost, &user)?;
    let record = record(&user, &vhost, &mut body)?;
    let access = api.broker.access();
    let existed = access.snapshot().permission(&user, &vhost).is_some();
    let set = access.set_permission(&record);
    let lsn = set.map_err(|error| refuse(&user, error))?;
    caller.tell(&api, &Administered::PermissionSet(&record));
    api.committed(lsn).await;
    Ok(put_status(existed))
}

pub(super) async fn delete_permission(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, user)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let access = api.broker.access();
    let found = access.snapshot().permission(&user, &vhost);
    found.ok_or(ApiError::NotFound)?;
    let cleared = access.clear_permission(&user, &vhost);
    let lsn = cleared.map_err(|error| refuse(&user, error))?;
    caller.tell(&api, &Administered::PermissionDeleted(&vhost, &user));
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}
