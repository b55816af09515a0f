//! `POST /api/login`: a form's name and password, for the web interface.

use axum::Json;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use crate::auth::Credentials;
use crate::broker::Protocol;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::MANAGEMENT_TAGS;
use crate::management::body::octets;
use crate::management::listener::Peer;
use crate::management::overview::about;
use crate::management::query::Query;

pub(super) async fn log_in(
    State(api): State<Api>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().copied();
    let loopback =
        peer.is_some_and(|ConnectInfo(Peer(peer))| peer.ip().to_canonical().is_loopback());
    let form = octets(request, &api).await?;
    let form = Query::parse(std::str::from_utf8(&form).unwrap_or_default());
    let (Some(name), Some(password)) = (form.value("username"), form.value("password")) else {
        return Err(ApiError::bad_request("username and password are needed"));
    };
    let credentials = Credentials::new(name, password);
    let access = api.broker.access();
    let user = access
        .log_in(Protocol::Http, &credentials, loopback)
        .map_err(|refusal| {
            tracing::warn!(%refusal, "HTTP login refused; if it should have been let in, check its password, tags and loopback_users");
            ApiError::WrongCredentials
        })?;
    if !MANAGEMENT_TAGS.iter().any(|tag| user.has_tag(tag)) {
        return Err(ApiError::NotAuthorised("Not management user".to_owned()));
    }
    let token = STANDARD.encode(format!("{name}:{password}"));
    Ok(Json(json!({
        "token": {"type": "basic", "value": token},
        "user": about(&user, &api),
    })))
}
