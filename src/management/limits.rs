//! `/api/vhost-limits` and `/api/user-limits`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::broker::LimitKind;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::listing;
use crate::management::path::Names;
use crate::management::permissions::check_user;
use crate::management::query::Query;

type Answer = Result<Json<Value>, ApiError>;

fn rows(api: &Api, kind: LimitKind, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let owner = match kind {
        LimitKind::Vhost => "vhost",
        LimitKind::User => "user",
    };
    let all = api.broker.limits(kind).all().into_iter();
    let wanted = all.filter(|(name, _)| wanted(name));
    wanted
        .map(|(name, limits)| json!({owner: name, "value": limits}))
        .collect()
}

pub(super) async fn vhost_limits(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    let visible = caller.watched_vhosts(&api);
    let rows = rows(&api, LimitKind::Vhost, |name| {
        visible.iter().any(|vhost| **vhost.name() == *name)
    });
    listing::reply(&query, rows, &["vhost"])
}

pub(super) async fn limits_of_vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Answer {
    caller.watched_vhost(&api, &vhost)?;
    let rows = rows(&api, LimitKind::Vhost, |name| name == vhost);
    listing::reply(&query, rows, &["vhost"])
}

pub(super) async fn user_limits(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    caller.check_administrator()?;
    listing::reply(&query, rows(&api, LimitKind::User, |_| true), &["user"])
}

pub(super) async fn limits_of_user(
    caller: Caller,
    State(api): State<Api>,
    Names(user): Names<String>,
    query: Query,
) -> Answer {
    caller.check_administrator()?;
    check_user(&api, &user)?;
    let rows = rows(&api, LimitKind::User, |name| name == user);
    listing::reply(&query, rows, &["user"])
}

fn check_owner(api: &Api, kind: LimitKind, owner: &str) -> Result<(), ApiError> {
    match kind {
        LimitKind::Vhost if api.broker.vhost(owner).is_none() => {
            Err(ApiError::Missing("vhost_not_found"))
        }
        LimitKind::User if check_user(api, owner).is_err() => {
            Err(ApiError::BadRequest(json!(["no_such_user", owner])))
        }
        LimitKind::Vhost | LimitKind::User => Ok(()),
    }
}

async fn put(
    api: &Api,
    kind: LimitKind,
    (owner, name): (&str, &str),
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    check_owner(api, kind, owner)?;
    let [value] = body.take(["value"])?;
    let limits = api.broker.limits(kind);
    let value = limits.judge(name, &value).map_err(|invalid| {
        ApiError::bad_request(match kind {
            LimitKind::Vhost => format!("Validation failed\n\n{invalid}\n"),
            LimitKind::User => invalid.to_string(),
        })
    })?;
    let lsn = limits.set(owner, name, value);
    api.broker.apply_queue_limits();
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(
    api: &Api,
    kind: LimitKind,
    (owner, name): (&str, &str),
) -> Result<StatusCode, ApiError> {
    check_owner(api, kind, owner)?;
    let lsn = api.broker.limits(kind).clear(owner, name);
    api.broker.apply_queue_limits();
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn put_vhost_limit(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    put(&api, LimitKind::Vhost, (&vhost, &name), body).await
}

pub(super) async fn delete_vhost_limit(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    delete(&api, LimitKind::Vhost, (&vhost, &name)).await
}

pub(super) async fn put_user_limit(
    caller: Caller,
    State(api): State<Api>,
    Names((user, name)): Names<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    put(&api, LimitKind::User, (&user, &name), body).await
}

pub(super) async fn delete_user_limit(
    caller: Caller,
    State(api): State<Api>,
    Names((user, name)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    delete(&api, LimitKind::User, (&user, &name)).await
}
