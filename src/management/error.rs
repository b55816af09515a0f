//! Errors as RabbitMQ's management API answers them: a status and `{"error": …, "reason": …}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// No credentials came: the client is to ask for them.
    NoCredentials,
    /// User or password is wrong.
    WrongCredentials,
    /// The user may not do that; RabbitMQ answers 401, not 403.
    NotAuthorised(String),
    /// There is no such object or path.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// Something that the request needs is not there, named as RabbitMQ's module does.
    Missing(&'static str),
    /// The same, in words.
    MissingText(String),
    /// A page that cannot be.
    InvalidPage {
        /// RabbitMQ's word.
        error: &'static str,
        /// Why.
        reason: String,
    },
    /// Something stands in the way.
    Protected(String),
    /// The request makes no sense. The reason is a text, or an Erlang tuple as a list.
    BadRequest(Value),
    /// A fault of ours, which stands in the log.
    Broken,
    /// A health check failed.
    Unhealthy {
        /// In RabbitMQ's words, for scripts compare them.
        reason: String,
        /// More fields of the answer, an object.
        details: Value,
    },
}

impl ApiError {
    /// A request that makes no sense, for a reason in words.
    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::BadRequest(Value::String(reason.into()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error, reason) = match self {
            Self::NoCredentials => {
                let challenge = "Basic realm=\"RabbitMQ Management\"";
                let body = json!({"error": "not_authorised", "reason": "Login failed"});
                let headers = [(header::WWW_AUTHENTICATE, challenge)];
                return (StatusCode::UNAUTHORIZED, headers, Json(body)).into_response();
            }
            Self::WrongCredentials => (
                StatusCode::UNAUTHORIZED,
                "not_authorized",
                "Not_Authorized".to_owned(),
            ),
            Self::NotAuthorised(reason) => (StatusCode::UNAUTHORIZED, "not_authorised", reason),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Object Not Found",
                "Not Found".to_owned(),
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method Not Allowed".to_owned(),
            ),
            Self::Missing(what) => (StatusCode::NOT_FOUND, "not_found", what.to_owned()),
            Self::MissingText(what) => (StatusCode::NOT_FOUND, "not_found", what),
            Self::InvalidPage { error, reason } => (StatusCode::BAD_REQUEST, error, reason),
            Self::Protected(reason) => (
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                reason,
            ),
            Self::Broken => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_server_error",
                "see the log of the node".to_owned(),
            ),
            Self::BadRequest(reason) => {
                let body = json!({"error": "bad_request", "reason": reason});
                return (StatusCode::BAD_REQUEST, Json(body)).into_response();
            }
            Self::Unhealthy { reason, details } => {
                let mut body = json!({"status": "failed", "reason": reason});
                if let (Value::Object(body), Value::Object(details)) = (&mut body, details) {
                    body.extend(details);
                }
                return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
            }
        };
        (status, Json(json!({"error": error, "reason": reason}))).into_response()
    }
}

pub(super) async fn not_found() -> ApiError {
    ApiError::NotFound
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}
