//! What callers do to exchanges and queues: as they would over AMQP, with its checks; and how refusals are answered.

use std::sync::Arc;

use serde_json::Value;

use crate::broker::Acting;
use crate::definitions::arguments_from_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ReplyCode;
use crate::model::names::NameTooLong;
use crate::vhost::Vhost;

/// A name out of a path.
pub(super) fn name_of<T>(name: Result<T, NameTooLong>) -> Result<T, ApiError> {
    name.map_err(|too_long| ApiError::bad_request(too_long.to_string()))
}

impl Api {
    /// Lets the caller act in a virtual host. An administrator without a permission there may see it and no more.
    pub(super) fn act(&self, caller: &Caller, vhost: &Arc<Vhost>) -> Result<Acting, ApiError> {
        let acting = self
            .broker
            .act_for(&caller.user, vhost, caller.peer, self.now());
        acting.ok_or_else(ApiError::access_refused)
    }
}

impl ApiError {
    pub(super) fn access_refused() -> Self {
        Self::NotAuthorised("Access refused.".to_owned())
    }

    /// The answer to a declaration, a deletion or a binding that AMQP refuses.
    pub(super) fn declaring(error: AmqpError) -> Self {
        let text = error.text().to_owned();
        let code = error.code();
        if code == ReplyCode::NotFound {
            return Self::MissingText(text);
        }
        if code == ReplyCode::AccessRefused || code == ReplyCode::NotAllowed {
            tracing::warn!(
                reason = text,
                "HTTP access denied; if it should have been allowed, give the user the permission (rabbitmqctl set_permissions)"
            );
            return Self::access_refused();
        }
        Self::bad_request(text)
    }

    /// The answer to a publish or a get that AMQP refuses: that of a channel which is closed.
    pub(super) fn on_channel(error: AmqpError) -> Self {
        let text = format!("{} - {}", error.code().name(), error.text());
        let code = error.code();
        if code == ReplyCode::NotFound {
            return Self::MissingText(text);
        }
        if code == ReplyCode::AccessRefused {
            return Self::NotAuthorised(text);
        }
        Self::bad_request(format!("{} {text}", code as u16))
    }
}

impl Body {
    /// The table under `key`.
    pub(super) fn arguments(&self, key: &str) -> Result<Arguments, ApiError> {
        let value = self.0.get(key).unwrap_or(&Value::Null);
        arguments_from_json(value).map_err(|invalid| ApiError::bad_request(invalid.to_string()))
    }

    /// There is one node only.
    pub(super) fn check_node(&self, api: &Api) -> Result<(), ApiError> {
        match self.0.get("node").and_then(Value::as_str) {
            Some(node) if node != api.node.name => Err(ApiError::bad_request(format!(
                "Node {node} could not be contacted"
            ))),
            _ => Ok(()),
        }
    }
}
