//! Names out of a request's path, percent-decoded.

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::management::Api;
use crate::management::ApiError;

/// One name, or several as a tuple. What cannot be decoded is a bad request, answered in JSON as all else.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, api).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}
