//! `/api/definitions`: everything out, and in again.

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::definitions;
use crate::definitions::Imported;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::octets;
use crate::management::body::parse;
use crate::management::heavy::heavy;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::vhost::Vhost;

fn answer(query: &Query, document: Value) -> Response {
    let mut answer = Json(document).into_response();
    if let Some(name) = query.value("download") {
        // What could end the quotes, or the header, has no place in the name of a file.
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_graphic() && *c != '"')
            .collect();
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            answer
                .headers_mut()
                .insert(header::CONTENT_DISPOSITION, value);
        }
    }
    answer
}

pub(super) async fn export(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<Response, ApiError> {
    caller.check_administrator()?;
    heavy(move || answer(&query, definitions::of_node(&api.broker))).await
}

pub(super) async fn export_vhost(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Result<Response, ApiError> {
    caller.check_administrator()?;
    let missing = || ApiError::bad_request("vhost_not_found");
    let vhost = api.broker.vhost(&vhost).ok_or_else(missing)?;
    heavy(move || answer(&query, definitions::of_vhost(&api.broker, &vhost))).await
}

/// The file in a form, or the body itself.
fn document(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        return read(body);
    }
    let boundary = kind
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="));
    let file = boundary.and_then(|boundary| part(body, boundary.trim_matches('"'), "file"));
    read(file.ok_or_else(|| ApiError::bad_request("the form has no field file"))?)
}

fn read(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    parse(body).map_err(|_| ApiError::bad_request("failed_to_parse_json"))
}

/// The content of one field of a form.
fn part<'b>(body: &'b [u8], boundary: &str, name: &str) -> Option<&'b [u8]> {
    let mark = format!("--{boundary}");
    let wanted = format!("name=\"{name}\"");
    let mut rest = &body[find(body, mark.as_bytes())? + mark.len()..];
    loop {
        let end = find(rest, format!("\r\n{mark}").as_bytes())?;
        let head = find(rest, b"\r\n\r\n").filter(|head| *head <= end)?;
        let headers = std::str::from_utf8(&rest[..head]).ok()?;
        if headers.contains(&wanted) {
            return rest.get(head + 4..end);
        }
        rest = &rest[end + 2 + mark.len()..];
    }
}

fn find(within: &[u8], wanted: &[u8]) -> Option<usize> {
    within
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Entries that were left out are told in the answer, a 400 as RabbitMQ's, which stops at the first of them; all others are
/// taken.
async fn import(
    api: &Api,
    caller: &Caller,
    vhost: Option<Arc<Vhost>>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let body = octets(request, api).await?;
    let (broker, now) = (Arc::clone(&api.broker), api.now());
    let imported = heavy(move || {
        let document = document(&headers, &body)?.into();
        let imported = definitions::import(&broker, &document, vhost.as_ref(), now);
        imported.map_err(|error| ApiError::bad_request(error.to_string()))
    });
    let imported = imported.await??;
    api.broker.tell_changes(caller.user.name(), api.now());
    api.committed(imported.commit).await;
    Ok(told(&imported))
}

fn told(imported: &Imported) -> Response {
    if imported.skipped.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let rows = imported.skipped.iter().map(|skipped| {
        json!({"section": skipped.section, "name": skipped.name, "reason": skipped.reason})
    });
    let reason = imported
        .skipped
        .iter()
        .map(|skipped| skipped.reason.as_str());
    let body = json!({
        "error": "bad_request",
        "reason": reason.collect::<Vec<_>>().join("; "),
        "taken": imported.taken,
        "skipped": rows.collect::<Vec<_>>(),
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

pub(super) async fn import_all(
    caller: Caller,
    State(api): State<Api>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.check_administrator()?;
    import(&api, &caller, None, request).await
}

pub(super) async fn import_into(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.check_administrator()?;
    let vhost = api
        .broker
        .vhost(&vhost)
        .ok_or(ApiError::Missing("vhost_not_found"))?;
    import(&api, &caller, Some(vhost), request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_the_file_in_it() {
        let body =
            b"--B\r\nContent-Disposition: form-data; name=\"redirect\"\r\n\r\n../\r\n--B\r\n\
                     Content-Disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n\
                     Content-Type: application/json\r\n\r\n{\"a\": 1}\r\n--B--\r\n";
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("multipart/form-data; boundary=B");
        headers.insert(header::CONTENT_TYPE, kind);
        assert_eq!(document(&headers, body).unwrap()["a"], 1);
        for broken in [
            &b""[..],
            b"--B",
            b"--B\r\n\r\n",
            b"--B\r\nname=\"file\"\r\n--B--",
            b"--C",
        ] {
            assert!(document(&headers, broken).is_err());
        }
        assert_eq!(document(&HeaderMap::new(), b"{\"a\": 2}").unwrap()["a"], 2);
    }
}
