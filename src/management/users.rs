//! `/api/users`. Password hashes leave the node here and nowhere else, for administrators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::auth::AuthError;
use crate::auth::HashingAlgorithm;
use crate::auth::PasswordHash;
use crate::auth::PermissionRecord;
use crate::auth::User;
use crate::broker::Administered;
use crate::broker::LimitKind;
use crate::broker::LimitSet;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::body::tags;
use crate::management::commit::put_status;
use crate::management::listing;
use crate::management::path::Names;
use crate::management::permissions;
use crate::management::query::Query;
use crate::model::Lsn;
use crate::model::UserName;

type Answer = Result<Json<Value>, ApiError>;

fn user_json(api: &Api, user: &User) -> Value {
    let record = user.record();
    json!({
        "name": record.name,
        "password_hash": record.password_hash,
        "hashing_algorithm": record.hashing_algorithm,
        "tags": record.tags,
        "limits": api.broker.limits(LimitKind::User).of(user.name()),
    })
}

fn list(api: &Api, query: &Query, wanted: impl Fn(&User) -> bool) -> Answer {
    let directory = api.broker.access().snapshot();
    let users = directory.users().filter(|user| wanted(user));
    let rows = users.map(|user| user_json(api, user)).collect();
    listing::reply(query, rows, &["name"])
}

pub(super) async fn users(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    caller.check_administrator()?;
    list(&api, &query, |_| true)
}

pub(super) async fn without_permissions(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Answer {
    caller.check_administrator()?;
    let directory = api.broker.access().snapshot();
    list(&api, &query, |user| {
        directory.permissions_of(user.name()).is_empty()
    })
}

pub(super) async fn user(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Answer {
    caller.check_administrator()?;
    let directory = api.broker.access().snapshot();
    let user = directory.user(&name).ok_or(ApiError::NotFound)?;
    Ok(Json(user_json(&api, user)))
}

fn refuse(error: &AuthError) -> ApiError {
    ApiError::bad_request(error.to_string())
}

/// `tags`, or what stood for them in RabbitMQ 2.
fn user_tags(body: &Body) -> Result<Vec<String>, ApiError> {
    match (body.0.get("tags"), body.flag("administrator")?) {
        (Some(value), _) => tags(value),
        (None, Some(true)) => Ok(vec!["administrator".to_owned()]),
        (None, Some(false)) => Ok(Vec::new()),
        (None, None) => Err(ApiError::bad_request("tags_not_present")),
    }
}

/// Without a word about it the user has no password.
fn password(name: &str, body: &Body) -> Result<PasswordHash, ApiError> {
    let text = |key: &str, value: &Value| {
        let refused = || ApiError::bad_request(format!("{key} is not a text"));
        value.as_str().map(str::to_owned).ok_or_else(refused)
    };
    match (body.0.get("password"), body.0.get("password_hash")) {
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "both_password_and_password_hash_are_provided",
        )),
        (Some(password), None) => Ok(PasswordHash::new(&text("password", password)?)),
        (None, Some(hash)) => {
            let hash = text("password_hash", hash)?;
            let algorithm = match body.0.get("hashing_algorithm") {
                None => HashingAlgorithm::of_hash(&hash).name().to_owned(),
                Some(algorithm) => text("hashing_algorithm", algorithm)?,
            };
            PasswordHash::decode(name, &algorithm, &hash).map_err(|error| match error {
                AuthError::MalformedHash { .. } => {
                    ApiError::BadRequest(json!(["not_base64", hash]))
                }
                AuthError::NameTooLong { .. }
                | AuthError::NoSuchUser { .. }
                | AuthError::Md5 { .. }
                | AuthError::UnknownAlgorithm { .. }
                | AuthError::InvalidPattern(_) => refuse(&error),
            })
        }
        (None, None) => Ok(PasswordHash::none()),
    }
}

/// Permissions that a new user comes with, by virtual host.
fn new_permissions(
    api: &Api,
    user: &str,
    value: &Map<String, Value>,
) -> Result<Vec<PermissionRecord>, ApiError> {
    let record = |(vhost, patterns): (&String, &Value)| {
        if api.broker.vhost(vhost).is_none() {
            return Err(ApiError::BadRequest(json!(["no_such_vhost", vhost])));
        }
        let mut body = Body(patterns.as_object().cloned().unwrap_or_default());
        permissions::record(user, vhost, &mut body)
    };
    value.iter().map(record).collect()
}

pub(super) async fn put_user(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let name =
        UserName::new(&name).map_err(|too_long| ApiError::bad_request(too_long.to_string()))?;
    let access = api.broker.access();
    let existed = access.snapshot().user(&name).is_some();
    let tags = user_tags(&body)?;
    let password = password(&name, &body)?;
    if access
        .snapshot()
        .user(&name)
        .is_some_and(|user| is_protected(user))
    {
        return Err(ApiError::bad_request(PROTECTED));
    }
    let limits = limits(&api, &body)?;
    let permissions = match body.0.get("permissions") {
        Some(Value::Object(permissions)) if !existed => new_permissions(&api, &name, permissions)?,
        _ => Vec::new(),
    };
    let has_word = body.0.contains_key("password") || body.0.contains_key("password_hash");
    let mut lsn = access.put_user(&name, password, tags.clone());
    if !existed {
        caller.tell(&api, &Administered::UserCreated(&name));
    } else if has_word {
        caller.tell(&api, &Administered::PasswordChanged(&name));
    }
    if existed || !tags.is_empty() {
        caller.tell(&api, &Administered::TagsSet(&name, &tags));
    }
    for permission in &permissions {
        let set = access.set_permission(permission);
        lsn = lsn.max(set.map_err(|error| permissions::refuse(&permission.user, error))?);
        caller.tell(&api, &Administered::PermissionSet(permission));
    }
    if let Some(limits) = limits {
        lsn = lsn.max(api.broker.limits(LimitKind::User).replace(&name, limits));
    }
    api.committed(lsn).await;
    Ok(put_status(existed))
}

const PROTECTED: &str = "user is protected from changes over HTTP";

/// A user whom nobody changes or deletes over HTTP.
fn is_protected(user: &User) -> bool {
    user.has_tag("protected")
}

/// The limits that a body sets; without a word those that are set stay.
fn limits(api: &Api, body: &Body) -> Result<Option<LimitSet>, ApiError> {
    let Some(Value::Object(given)) = body.0.get("limits") else {
        return Ok(None);
    };
    let known = api.broker.limits(LimitKind::User);
    let judge = |(name, value): (&String, &Value)| {
        let judged = known.judge(name, value);
        let number = judged.map_err(|invalid| ApiError::bad_request(invalid.to_string()))?;
        Ok((name.clone(), number))
    };
    given.iter().map(judge).collect::<Result<_, _>>().map(Some)
}

pub(super) async fn delete_user(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let directory = api.broker.access().snapshot();
    if directory.user(&name).is_some_and(|user| is_protected(user)) {
        return Err(ApiError::bad_request(PROTECTED));
    }
    let lsn = remove(&caller, &api, &name).ok_or(ApiError::NotFound)?;
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `None` when there is no such user.
fn remove(caller: &Caller, api: &Api, name: &str) -> Option<Lsn> {
    let lsn = api.broker.delete_user(name).ok()?;
    caller.tell(api, &Administered::UserDeleted(name));
    Some(lsn)
}

/// Those that are not there, or are protected, are passed over.
pub(super) async fn delete_users(
    caller: Caller,
    State(api): State<Api>,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let [names] = body.take(["users"])?;
    let Value::Array(names) = names else {
        return Err(ApiError::bad_request("users are not a list"));
    };
    let mut lsn = Lsn::NONE;
    let directory = api.broker.access().snapshot();
    for name in names.iter().filter_map(Value::as_str) {
        if directory.user(name).is_some_and(|user| !is_protected(user)) {
            lsn = lsn.max(remove(&caller, &api, name).unwrap_or(Lsn::NONE));
        }
    }
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}
