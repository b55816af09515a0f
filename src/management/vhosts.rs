//! `/api/vhosts`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::auth::PermissionRecord;
use crate::broker::Administered;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::body::tags;
use crate::management::commit::put_status;
use crate::management::path::Names;
use crate::model::VhostName;
use crate::queue::QueueType;
use crate::vhost::Vhost;
use crate::vhost::VhostMetadata;

type Answer = Result<Json<Value>, ApiError>;

fn vhost_json(vhost: &Vhost, node: &str) -> Value {
    let (mut ready, mut unacked) = (0, 0);
    for queue in vhost.queues() {
        let (counts, _) = queue.enter(|state, _| state.counts());
        ready += counts.ready;
        unacked += counts.unacked;
    }
    let noted = vhost.metadata();
    let mut metadata = json!({"description": noted.description, "tags": noted.tags});
    if let Some(queue_type) = noted.default_queue_type {
        metadata["default_queue_type"] = json!(queue_type.name());
    }
    json!({
        "name": vhost.name().as_str(),
        "description": noted.description,
        "tags": noted.tags,
        "default_queue_type": noted.default_queue_type.map_or("undefined", QueueType::name),
        "metadata": metadata,
        "tracing": vhost.tracing(),
        "cluster_state": {node: "running"},
        "messages": ready + unacked,
        "messages_ready": ready,
        "messages_unacknowledged": unacked,
    })
}

pub(super) async fn vhosts(caller: Caller, State(api): State<Api>) -> Answer {
    let vhosts = if caller.monitors() {
        api.broker.vhosts()
    } else {
        caller.vhosts(&api)
    };
    let rows = vhosts.iter();
    Ok(Json(
        rows.map(|vhost| vhost_json(vhost, &api.node.name))
            .collect(),
    ))
}

pub(super) async fn vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost)?;
    Ok(Json(vhost_json(&vhost, &api.node.name)))
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
    let lsn = api.broker.delete_vhost(&name).ok_or(ApiError::NotFound)?;
    caller.tell(&api, &Administered::VhostDeleted(&name));
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}
