//! `/api/vhosts`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::auth::PermissionRecord;
use crate::broker::Administered;
use crate::broker::NotDeleted;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::body::tags;
use crate::management::commit::put_status;
use crate::management::figures::RECEIVED;
use crate::management::figures::Ranges;
use crate::management::figures::SENT;
use crate::management::figures::message_stats;
use crate::management::figures::put_lengths;
use crate::management::heavy::heavy;
use crate::management::listing;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::rates::Measured;
use crate::model::VhostName;
use crate::queue::QueueType;
use crate::vhost::Vhost;
use crate::vhost::VhostMetadata;

type Answer = Result<Json<Value>, ApiError>;

fn vhost_json(vhost: &Vhost, node: &str, measured: Option<&Measured>, ranges: Ranges) -> Value {
    let noted = vhost.metadata();
    let mut metadata = json!({"description": noted.description, "tags": noted.tags});
    if let Some(queue_type) = noted.default_queue_type {
        metadata["default_queue_type"] = json!(queue_type.name());
    }
    let mut row = json!({
        "name": vhost.name().as_str(),
        "description": noted.description,
        "tags": noted.tags,
        "default_queue_type": noted.default_queue_type.map_or("undefined", QueueType::name),
        "metadata": metadata,
        "tracing": vhost.tracing(),
        "protected_from_deletion": noted.protected_from_deletion,
        "cluster_state": {node: "running"},
    });
    if let (Some(measured), Some(row)) = (measured, row.as_object_mut()) {
        put_lengths(row, measured, false, ranges.lengths);
        if let Some(stats) = message_stats(measured, ranges.messages) {
            row.insert("message_stats".to_owned(), stats.into());
        }
        if measured.total(&[RECEIVED, SENT]) > 0 {
            measured.put(row, "recv_oct", &[RECEIVED], ranges.data);
            measured.put(row, "send_oct", &[SENT], ranges.data);
        }
    }
    row
}

fn rows(api: &Api, query: &Query, vhosts: &[Arc<Vhost>]) -> Result<Vec<Value>, ApiError> {
    let ranges = Ranges::of(query)?;
    let node = &api.node.name;
    if query.flag("disable_stats") || api.options.disable_stats {
        let rows = vhosts.iter();
        return Ok(rows
            .map(|vhost| vhost_json(vhost, node, None, ranges))
            .collect());
    }
    let measured = api.measured_vhosts(vhosts.iter().map(Arc::as_ref), ranges);
    let pairs = vhosts.iter().zip(&measured);
    Ok(pairs
        .map(|(vhost, measured)| vhost_json(vhost, node, Some(measured), ranges))
        .collect())
}

pub(super) async fn vhosts(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    let vhosts = caller.watched_vhosts(&api);
    // It adds up all queues.
    heavy(move || listing::reply(&query, rows(&api, &query, &vhosts)?, &["name"])).await?
}

pub(super) async fn vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Answer {
    let vhost = caller.watched_vhost(&api, &vhost)?;
    heavy(move || {
        let row = rows(&api, &query, &[vhost])?.pop().unwrap_or_default();
        Ok(Json(listing::with_columns(&query, row)))
    })
    .await?
}

/// What a body says about a virtual host; what it does not say is nothing, as in RabbitMQ.
fn metadata(body: &Body, known: Option<&VhostMetadata>) -> Result<VhostMetadata, ApiError> {
    let text = |key: &str| match body.0.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::bad_request(format!("{key} is not a text"))),
    };
    let old_key = text("defaultqueuetype")?;
    let default_queue_type = match text("default_queue_type")?.or(old_key) {
        None => known.and_then(|known| known.default_queue_type),
        Some(name) => {
            let refused = || ApiError::bad_request(format!("unsupported queue type '{name}'"));
            Some(QueueType::from_name(&name).ok_or_else(refused)?)
        }
    };
    Ok(VhostMetadata {
        description: text("description")?.unwrap_or_default(),
        tags: body.0.get("tags").map_or_else(|| Ok(Vec::new()), tags)?,
        default_queue_type,
        protected_from_deletion: known.is_some_and(|known| known.protected_from_deletion),
    })
}

pub(super) async fn put_vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let name =
        VhostName::new(&name).map_err(|too_long| ApiError::bad_request(too_long.to_string()))?;
    let known = api.broker.vhost(&name);
    let noted = known.as_ref().map(|vhost| vhost.metadata());
    let metadata = metadata(&body, noted.as_deref())?;
    let tracing = body.flag("tracing")?;
    let lsn = match &known {
        Some(vhost) => api.broker.update_vhost(vhost, metadata),
        None => create(&caller, &api, &name, metadata)?,
    };
    if let (Some(tracing), Some(vhost)) = (tracing, api.broker.vhost(&name)) {
        vhost.set_tracing(tracing);
    }
    api.committed(lsn).await;
    Ok(put_status(known.is_some()))
}

/// Whoever makes a virtual host may do everything in it.
fn create(
    caller: &Caller,
    api: &Api,
    name: &VhostName,
    metadata: VhostMetadata,
) -> Result<crate::model::Lsn, ApiError> {
    let made = api.broker.create_vhost(name, metadata);
    if let Some(vhost) = api.broker.vhost(name) {
        caller.tell(api, &Administered::VhostCreated(&vhost));
    }
    let everything = PermissionRecord {
        user: caller.user.name().to_string(),
        vhost: name.to_string(),
        configure: ".*".to_owned(),
        write: ".*".to_owned(),
        read: ".*".to_owned(),
    };
    let permitted = api
        .broker
        .access()
        .set_permission(&everything)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    caller.tell(api, &Administered::PermissionSet(&everything));
    Ok(made.max(permitted))
}

pub(super) async fn delete_vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let lsn = api.broker.delete_vhost(&name).map_err(|why| match why {
        NotDeleted::Unknown => ApiError::NotFound,
        NotDeleted::Protected => ApiError::Protected(format!(
            "Refusing to delete virtual host '{name}' because it is protected from deletion"
        )),
    })?;
    caller.tell(&api, &Administered::VhostDeleted(&name));
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_protection(
    caller: &Caller,
    api: &Api,
    name: &str,
    protected_from_deletion: bool,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    let vhost = api.broker.vhost(name).ok_or(ApiError::NotFound)?;
    let metadata = VhostMetadata {
        protected_from_deletion,
        ..VhostMetadata::clone(&vhost.metadata())
    };
    let lsn = api.broker.update_vhost(&vhost, metadata);
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn protect(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    set_protection(&caller, &api, &name, true).await
}

pub(super) async fn unprotect(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    set_protection(&caller, &api, &name, false).await
}

/// A virtual host that is down would be started again; here none ever is.
pub(super) async fn start(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, node)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    caller.vhost(&api, &vhost)?;
    if node != api.node.name {
        return Err(ApiError::bad_request(format!(
            "Node {node} is not a cluster member"
        )));
    }
    Ok(StatusCode::NO_CONTENT)
}
