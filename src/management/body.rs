//! A request's body: one JSON object, whatever the content type says, with RabbitMQ's answers for everything else.

use axum::body::Bytes;
use axum::body::to_bytes;
use axum::extract::FromRequest;
use axum::extract::Request;
use serde_json::Map;
use serde_json::Value;

use crate::management::Api;
use crate::management::ApiError;

/// Characters of a line that Erlang prints a term on.
const ERLANG_LINE: usize = 80;

/// The object's entries; unknown ones are ignored by who asks for others.
pub(super) struct Body(pub(super) Map<String, Value>);

impl FromRequest<Api> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        parse(&octets(request, api).await?).map(Self)
    }
}

/// A body of whatever kind, up to the limit.
pub(super) async fn octets(request: Request, api: &Api) -> Result<Bytes, ApiError> {
    to_bytes(request.into_body(), api.options.body_bytes_max)
        .await
        .map_err(|_| ApiError::bad_request("Exceeded HTTP request body size limit"))
}

pub(super) fn parse(octets: &[u8]) -> Result<Map<String, Value>, ApiError> {
    // Clients that have nothing to say send any of these.
    if matches!(octets, b"" | b"null" | b"undefined") {
        return Ok(Map::new());
    }
    match serde_json::from_slice(octets) {
        Ok(Value::Object(entries)) => Ok(entries),
        Ok(Value::String(_)) => Err(ApiError::bad_request(
            "invalid payload: the request body JSON-decoded to a string. Is the input doubly-JSON-encoded?",
        )),
        _ => Err(ApiError::bad_request("not_json")),
    }
}

impl Body {
    /// The values under `keys`, all of which must be there.
    pub(super) fn take<const N: usize>(&mut self, keys: [&str; N]) -> Result<[Value; N], ApiError> {
        let missing: Vec<String> = keys
            .iter()
            .filter(|key| !self.0.contains_key(**key))
            .map(|key| format!("{{key_missing,{key}}}"))
            .collect();
        if missing.is_empty() {
            Ok(keys.map(|key| self.0.remove(key).unwrap_or_default()))
        } else {
            let line = format!("[{}]", missing.join(","));
            // Erlang breaks what is longer than its lines.
            Err(ApiError::bad_request(if line.len() >= ERLANG_LINE {
                format!("[{}]", missing.join(",\n "))
            } else {
                line
            }))
        }
    }

    /// The value under `key`.
    pub(super) fn take_optional(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// The flag under `key`, which may be written as a text.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(ApiError::BadRequest(serde_json::json!([
                "not_boolean",
                other
            ]))),
        }
    }
}

/// Tags as a text with commas, or as a list; `null` is none.
pub(super) fn tags(value: &Value) -> Result<Vec<String>, ApiError> {
    let trimmed = |tag: &str| tag.trim().to_owned();
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => {
            let tags = text.split(',').filter(|tag| !tag.is_empty());
            Ok(tags.map(trimmed).collect())
        }
        Value::Array(items) => {
            let tags = items.iter().map(|item| item.as_str().map(trimmed));
            tags.collect::<Option<_>>()
                .ok_or_else(|| ApiError::bad_request("tags are not texts"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(ApiError::bad_request("tags are not texts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(answer: Result<impl Sized, ApiError>) -> ApiError {
        answer.err().expect("refused")
    }

    #[test]
    fn only_an_object_is_a_body() {
        for nothing in ["", "null", "undefined", "{}"] {
            assert_eq!(parse(nothing.as_bytes()), Ok(Map::new()), "{nothing}");
        }
        for other in ["x", "[1]", "1", "{", "true", "\u{ff}"] {
            assert_eq!(
                parse(other.as_bytes()),
                Err(ApiError::bad_request("not_json")),
                "{other}"
            );
        }
        let twice = refusal(parse(b"\"{}\""));
        assert!(
            matches!(twice, ApiError::BadRequest(Value::String(text)) if text.contains("doubly"))
        );
    }

    #[test]
    fn missing_keys_are_all_named() {
        let mut body = Body(parse(br#"{"a":1}"#).expect("an object"));
        assert_eq!(
            refusal(body.take(["a", "b", "c"])),
            ApiError::bad_request("[{key_missing,b},{key_missing,c}]")
        );
        assert_eq!(body.take(["a"]), Ok([json!(1)]));
    }

    #[test]
    fn flags_may_be_texts() {
        let body = Body(parse(br#"{"a":true,"b":"false","c":"x"}"#).expect("an object"));
        assert_eq!(body.flag("a"), Ok(Some(true)));
        assert_eq!(body.flag("b"), Ok(Some(false)));
        assert_eq!(body.flag("d"), Ok(None));
        assert_eq!(
            refusal(body.flag("c")),
            ApiError::BadRequest(json!(["not_boolean", "x"]))
        );
    }
}
