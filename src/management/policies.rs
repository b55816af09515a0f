//! `/api/policies` and `/api/operator-policies`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::broker::Administered;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::commit::put_status;
use crate::management::path::Names;
use crate::model::Lsn;
use crate::vhost::Vhost;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;

type Answer = Result<Json<Value>, ApiError>;

fn policy_json(vhost: &str, policy: &Policy) -> Value {
    json!({
        "vhost": vhost,
        "name": policy.name,
        "pattern": policy.pattern.source(),
        "apply-to": policy.apply_to.name(),
        "definition": policy.definition,
        "priority": policy.priority,
    })
}

/// By ascending priority, as RabbitMQ lists them.
fn list(vhosts: &[Arc<Vhost>], kind: PolicyKind) -> Value {
    let mut all: Vec<_> = vhosts
        .iter()
        .flat_map(|vhost| {
            vhost
                .policies(kind)
                .into_iter()
                .map(move |policy| (vhost, policy))
        })
        .collect();
    let priority = |policy: &Policy| policy.priority.as_f64().unwrap_or_default();
    all.sort_by(|(_, left), (_, right)| priority(left).total_cmp(&priority(right)));
    let rows = all.iter();
    rows.map(|(vhost, policy)| policy_json(vhost.name(), policy))
        .collect()
}

/// Who may look at one policy and change it.
fn check(caller: &Caller, api: &Api, kind: PolicyKind, vhost: &str) -> Result<(), ApiError> {
    match kind {
        PolicyKind::Ordinary => caller.check_policies(api, vhost),
        PolicyKind::Operator => caller.check_administrator(),
    }
}

fn find(api: &Api, kind: PolicyKind, vhost: &str, name: &str) -> Result<Arc<Policy>, ApiError> {
    let vhost = api.broker.vhost(vhost).ok_or(ApiError::NotFound)?;
    vhost.policy(kind, name).ok_or(ApiError::NotFound)
}

async fn put(
    caller: Caller,
    api: Api,
    kind: PolicyKind,
    (vhost, name): (String, String),
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    check(&caller, &api, kind, &vhost)?;
    let vhost = api
        .broker
        .vhost(&vhost)
        .ok_or(ApiError::Missing("vhost_not_found"))?;
    let [pattern, definition] = body.take(["pattern", "definition"])?;
    let spec = PolicySpec {
        name,
        pattern,
        definition,
        priority: body.take_optional("priority"),
        apply_to: body.take_optional("apply-to"),
    };
    let policy = Policy::judge(kind, spec, api.broker.options().permitted).map_err(|invalid| {
        let text = invalid.to_string();
        ApiError::bad_request(match kind {
            // The web interface shows the text of this one.
            PolicyKind::Ordinary => text.replace('<', "&lt;").replace('>', "&gt;"),
            PolicyKind::Operator => text,
        })
    })?;
    let existed = vhost.policy(kind, &policy.name).is_some();
    let name = policy.name.clone();
    let lsn = vhost.set_policy(kind, policy, (api.clock)());
    // What was so before is not told again.
    if lsn != Lsn::NONE
        && let Some(policy) = vhost.policy(kind, &name)
    {
        caller.tell(&api, &Administered::PolicySet(vhost.name(), &policy));
    }
    api.committed(lsn).await;
    Ok(put_status(existed))
}

async fn delete(
    caller: Caller,
    api: Api,
    kind: PolicyKind,
    (vhost, name): (String, String),
) -> Result<StatusCode, ApiError> {
    check(&caller, &api, kind, &vhost)?;
    find(&api, kind, &vhost, &name)?;
    if let Some(vhost) = api.broker.vhost(&vhost) {
        let lsn = vhost.clear_policy(kind, &name, (api.clock)());
        let cleared = match kind {
            PolicyKind::Ordinary => Administered::PolicyCleared(vhost.name(), &name),
            PolicyKind::Operator => Administered::OperatorPolicyCleared(vhost.name(), &name),
        };
        caller.tell(&api, &cleared);
        api.committed(lsn).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

macro_rules! handlers {
    ($kind:expr, $all:ident, $all_in:ident, $one:ident, $put:ident, $delete:ident) => {
        pub(super) async fn $all(caller: Caller, State(api): State<Api>) -> Answer {
            Ok(Json(list(&caller.vhosts(&api), $kind)))
        }

        pub(super) async fn $all_in(
            caller: Caller,
            State(api): State<Api>,
            Names(vhost): Names<String>,
        ) -> Answer {
            Ok(Json(list(&[caller.vhost(&api, &vhost)?], $kind)))
        }

        pub(super) async fn $one(
            caller: Caller,
            State(api): State<Api>,
            Names((vhost, name)): Names<(String, String)>,
        ) -> Answer {
            check(&caller, &api, $kind, &vhost)?;
            let policy = find(&api, $kind, &vhost, &name)?;
            Ok(Json(policy_json(&vhost, &policy)))
        }

        pub(super) async fn $put(
            caller: Caller,
            State(api): State<Api>,
            Names(path): Names<(String, String)>,
            body: Body,
        ) -> Result<StatusCode, ApiError> {
            put(caller, api, $kind, path, body).await
        }

        pub(super) async fn $delete(
            caller: Caller,
            State(api): State<Api>,
            Names(path): Names<(String, String)>,
        ) -> Result<StatusCode, ApiError> {
            delete(caller, api, $kind, path).await
        }
    };
}

handlers!(
    PolicyKind::Ordinary,
    policies,
    policies_in,
    policy,
    put_policy,
    delete_policy
);
handlers!(
    PolicyKind::Operator,
    operator_policies,
    operator_policies_in,
    operator_policy,
    put_operator_policy,
    delete_operator_policy
);
