//! `/api/parameters` and `/api/global-parameters`.
//!
//! The components of parameters are those that a RabbitMQ without further plugins has: operator policies and limits of
//! virtual hosts. Ordinary policies are not shown here, as in RabbitMQ.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::broker::LimitKind;
use crate::broker::LimitSet;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::commit::put_status;
use crate::management::listing;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::vhost::Vhost;
use crate::vhost::policies::PolicyKind;

type Answer = Result<Json<Value>, ApiError>;

const LIMITS: &str = "vhost-limits";
const OPERATOR_POLICIES: &str = "operator_policy";
/// The name of the one parameter that holds a virtual host's limits.
const LIMITS_NAME: &str = "limits";

fn rows(api: &Api, vhost: &Vhost) -> Vec<Value> {
    let name = vhost.name().as_str();
    let policies = vhost.policies(PolicyKind::Operator).into_iter();
    let policies = policies.map(|policy| {
        json!({
            "vhost": name,
            "component": OPERATOR_POLICIES,
            "name": policy.name,
            "value": {
                "pattern": policy.pattern.source(),
                "definition": policy.definition,
                "priority": policy.priority,
                "apply-to": policy.apply_to.name(),
            },
        })
    });
    let limits = api.broker.limits(LimitKind::Vhost).of(name);
    let limits = (!limits.is_empty())
        .then(|| json!({"vhost": name, "component": LIMITS, "name": LIMITS_NAME, "value": limits}));
    policies.chain(limits).collect()
}

fn list(
    caller: &Caller,
    api: &Api,
    query: &Query,
    component: Option<&str>,
    vhost: Option<&str>,
) -> Answer {
    caller.check_policymaker()?;
    let vhosts = match vhost {
        Some(vhost) => vec![caller.vhost(api, vhost)?],
        None => caller.vhosts(api),
    };
    let mut all: Vec<Value> = vhosts.iter().flat_map(|vhost| rows(api, vhost)).collect();
    if let Some(component) = component {
        all.retain(|row| row["component"] == component);
    }
    listing::reply(query, all, &["vhost", "component", "name"])
}

pub(super) async fn parameters(caller: Caller, State(api): State<Api>, query: Query) -> Answer {
    list(&caller, &api, &query, None, None)
}

pub(super) async fn of_component(
    caller: Caller,
    State(api): State<Api>,
    Names(component): Names<String>,
    query: Query,
) -> Answer {
    list(&caller, &api, &query, Some(&component), None)
}

pub(super) async fn of_component_in(
    caller: Caller,
    State(api): State<Api>,
    Names((component, vhost)): Names<(String, String)>,
    query: Query,
) -> Answer {
    list(&caller, &api, &query, Some(&component), Some(&vhost))
}

fn find(api: &Api, (component, vhost, name): (&str, &str, &str)) -> Result<Value, ApiError> {
    let vhost = api.broker.vhost(vhost).ok_or(ApiError::NotFound)?;
    let mut all = rows(api, &vhost).into_iter();
    let found = all.find(|row| row["component"] == component && row["name"] == name);
    found.ok_or(ApiError::NotFound)
}

pub(super) async fn parameter(
    caller: Caller,
    State(api): State<Api>,
    Names((component, vhost, name)): Names<(String, String, String)>,
    query: Query,
) -> Answer {
    caller.check_policies(&api, &vhost)?;
    let row = find(&api, (&component, &vhost, &name))?;
    Ok(Json(listing::with_columns(&query, row)))
}

fn invalid(why: &str) -> ApiError {
    ApiError::bad_request(format!("Validation failed\n\n{why}\n"))
}

/// The limits that a parameter's value sets, all of them or none.
pub(super) fn limit_set(api: &Api, value: &Value) -> Result<LimitSet, String> {
    let Some(entries) = value.as_object() else {
        return Err(format!("{value} is not an object"));
    };
    let limits = api.broker.limits(LimitKind::Vhost);
    let judge = |(name, value): (&String, &Value)| {
        let judged = limits.judge(name, value);
        judged
            .map(|number| (name.clone(), number))
            .map_err(|error| error.to_string())
    };
    entries.iter().map(judge).collect()
}

pub(super) async fn put_parameter(
    caller: Caller,
    State(api): State<Api>,
    Names((component, vhost, name)): Names<(String, String, String)>,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_policies(&api, &vhost)?;
    if api.broker.vhost(&vhost).is_none() {
        return Err(ApiError::Missing("vhost_not_found"));
    }
    let [value] = body.take(["value"])?;
    match component.as_str() {
        LIMITS if name == LIMITS_NAME => {}
        LIMITS => return Err(invalid(&format!("Unexpected name {name}"))),
        "policy" => return Err(invalid("policies may not be set using this method")),
        OPERATOR_POLICIES => {
            return Err(invalid(
                "operator policies may not be set using this method",
            ));
        }
        other => return Err(invalid(&format!("component {other} not found"))),
    }
    // Limits bind their users too.
    caller.check_administrator()?;
    let limits = limit_set(&api, &value).map_err(|why| invalid(&why))?;
    let existed = find(&api, (LIMITS, &vhost, LIMITS_NAME)).is_ok();
    let lsn = api.broker.limits(LimitKind::Vhost).replace(&vhost, limits);
    api.broker.apply_queue_limits();
    api.committed(lsn).await;
    Ok(put_status(existed))
}

pub(super) async fn delete_parameter(
    caller: Caller,
    State(api): State<Api>,
    Names((component, vhost, name)): Names<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    caller.check_policies(&api, &vhost)?;
    find(&api, (&component, &vhost, &name))?;
    if component != LIMITS {
        return Err(invalid(
            "operator policies may not be cleared using this method",
        ));
    }
    caller.check_administrator()?;
    let lsn = api.broker.limits(LimitKind::Vhost).clear_all(&vhost);
    api.broker.apply_queue_limits();
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn global_parameters(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Answer {
    caller.check_policymaker()?;
    let rows = api.broker.parameters().all().into_iter();
    let rows = rows.map(|(name, value)| json!({"name": name, "value": value}));
    listing::reply(&query, rows.collect(), &["name"])
}

pub(super) async fn global_parameter(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    query: Query,
) -> Answer {
    caller.check_policymaker()?;
    let value = api
        .broker
        .parameters()
        .value(&name)
        .ok_or(ApiError::NotFound)?;
    let row = json!({"name": name, "value": value});
    Ok(Json(listing::with_columns(&query, row)))
}

pub(super) async fn put_global_parameter(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_policymaker()?;
    let [value] = body.take(["value"])?;
    let parameters = api.broker.parameters();
    let existed = parameters.value(&name).is_some();
    let lsn = parameters.set(&name, value);
    api.committed(lsn).await;
    Ok(put_status(existed))
}

pub(super) async fn delete_global_parameter(
    caller: Caller,
    State(api): State<Api>,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    caller.check_policymaker()?;
    let cleared = api.broker.parameters().clear(&name);
    let lsn = cleared.ok_or(ApiError::NotFound)?;
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}
