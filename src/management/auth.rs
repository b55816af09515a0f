//! Who asks: HTTP Basic credentials against the broker's users, and which virtual hosts they may see.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::auth::Credentials;
use crate::auth::Refusal;
use crate::auth::User;
use crate::broker::Administered;
use crate::broker::Protocol;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::listener::Peer;
use crate::management::query::decoded;
use crate::vhost::Vhost;

/// Tags that open the management API.
pub(super) const MANAGEMENT_TAGS: &[&str] =
    &["management", "policymaker", "monitoring", "administrator"];

/// A user with one of the management tags.
pub(super) struct Caller {
    pub(super) user: Arc<User>,
    pub(super) peer: SocketAddr,
    /// The only virtual host that lists are to tell of (`x-vhost`).
    pub(super) only: Option<String>,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .ok_or(ApiError::NoCredentials)?;
        let credentials = header
            .to_str()
            .ok()
            .and_then(|header| header.strip_prefix("Basic "))
            .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
            .and_then(|decoded| {
                let colon = decoded.iter().position(|byte| *byte == b':')?;
                let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
                Some(Credentials {
                    user,
                    password: decoded[colon + 1..].to_vec(),
                })
            })
            .ok_or(ApiError::NoCredentials)?;
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let peer = peer.map_or(nowhere, |ConnectInfo(Peer(peer))| *peer);
        let loopback = peer.ip().to_canonical().is_loopback();
        let only = parts.headers.get("x-vhost");
        let only = only.and_then(|only| only.to_str().ok());
        let only = only.filter(|only| !only.is_empty()).map(decoded);
        let user = api
            .broker
            .access()
            .log_in(Protocol::Http, &credentials, loopback)
            .map_err(|refusal| {
                tracing::warn!(%refusal, "HTTP login refused; if it should have been let in, check its password, tags and loopback_users");
                match refusal {
                    Refusal::NotFromLoopback { .. } => {
                        ApiError::NotAuthorised("User can only log in via localhost".to_owned())
                    }
                    Refusal::UnknownUser { .. }
                    | Refusal::WrongPassword { .. }
                    | Refusal::BlankPassword { .. } => ApiError::WrongCredentials,
                }
            })?;
        if MANAGEMENT_TAGS.iter().any(|tag| user.has_tag(tag)) {
            Ok(Self { user, peer, only })
        } else {
            Err(ApiError::NotAuthorised("Not management user".to_owned()))
        }
    }
}

impl Caller {
    /// Tells who listens to events of what this caller has done.
    pub(super) fn tell(&self, api: &Api, what: &Administered<'_>) {
        let now = (api.clock)();
        api.broker.tell_administered(what, self.user.name(), now);
    }

    /// Sees all connections and names of virtual hosts.
    pub(super) fn monitors(&self) -> bool {
        self.user.has_tag("monitoring") || self.user.has_tag("administrator")
    }

    /// The virtual hosts whose contents the user may see.
    pub(super) fn vhosts(&self, api: &Api) -> Vec<Arc<Vhost>> {
        let mut vhosts = api.broker.vhosts();
        vhosts.retain(|vhost| {
            let wanted = self.only.as_ref();
            wanted.is_none_or(|only| **vhost.name() == **only) && self.may_see(api, vhost.name())
        });
        vhosts
    }

    /// The virtual host of that name, if the user may see it.
    pub(super) fn vhost(&self, api: &Api, name: &str) -> Result<Arc<Vhost>, ApiError> {
        let vhost = api.broker.vhost(name).ok_or(ApiError::NotFound)?;
        if self.may_see(api, name) {
            Ok(vhost)
        } else {
            let why = "User not authorised to access virtual host";
            Err(ApiError::NotAuthorised(why.to_owned()))
        }
    }

    /// The virtual hosts whose names, limits and figures the user may see: for who watches the node, all.
    pub(super) fn watched_vhosts(&self, api: &Api) -> Vec<Arc<Vhost>> {
        match self.monitors() {
            true => api.broker.vhosts(),
            false => self.vhosts(api),
        }
    }

    /// As [`Caller::vhost`], of those that [`Caller::watched_vhosts`] has.
    pub(super) fn watched_vhost(&self, api: &Api, name: &str) -> Result<Arc<Vhost>, ApiError> {
        match self.monitors() {
            true => api.broker.vhost(name).ok_or(ApiError::NotFound),
            false => self.vhost(api, name),
        }
    }

    /// As [`Caller::vhost`], for who wants to add something to it.
    pub(super) fn vhost_to_change(&self, api: &Api, name: &str) -> Result<Arc<Vhost>, ApiError> {
        match self.vhost(api, name) {
            Err(ApiError::NotFound) => Err(ApiError::Missing("vhost_not_found")),
            found => found,
        }
    }

    /// Figures of the node are for who watches it.
    pub(super) fn check_monitor(&self) -> Result<(), ApiError> {
        self.allow(self.monitors(), "Not monitor user")
    }

    /// Parameters are for who makes policies.
    pub(super) fn check_policymaker(&self) -> Result<(), ApiError> {
        let allowed = self.user.has_tag("policymaker") || self.user.has_tag("administrator");
        self.allow(allowed, "User not authorised to access object")
    }

    /// What belongs to `owner` is for them, and for others if that is `allowed`.
    pub(super) fn check_own(&self, owner: &str, allowed: bool) -> Result<(), ApiError> {
        let own = *self.user.name().as_str() == *owner;
        self.allow(own || allowed, "User not authorised to access object")
    }

    /// Users, permissions, virtual hosts and operator policies are for administrators.
    pub(super) fn check_administrator(&self) -> Result<(), ApiError> {
        self.allow(self.user.has_tag("administrator"), "Not administrator user")
    }

    /// Policies of a virtual host are for those who make policies and may see it. One that does not exist hides nothing.
    pub(super) fn check_policies(&self, api: &Api, vhost: &str) -> Result<(), ApiError> {
        let visible = || api.broker.vhost(vhost).is_none() || self.may_see(api, vhost);
        let allowed =
            self.user.has_tag("administrator") || (self.user.has_tag("policymaker") && visible());
        self.allow(allowed, "User not authorised to access object")
    }

    fn allow(&self, allowed: bool, refusal: &str) -> Result<(), ApiError> {
        if allowed {
            return Ok(());
        }
        tracing::warn!(user = %self.user.name(), refusal, "HTTP access denied; if it should have been allowed, give the user the tag that it needs (rabbitmqctl set_user_tags)");
        Err(ApiError::NotAuthorised(refusal.to_owned()))
    }

    fn may_see(&self, api: &Api, vhost: &str) -> bool {
        self.user.has_tag("administrator") || api.broker.access().may_enter(self.user.name(), vhost)
    }
}
