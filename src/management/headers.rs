//! Headers of all answers, and those that let pages of other origins ask (CORS).

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use crate::management::Api;

const POLICY: &str = "script-src 'self' 'unsafe-eval' 'unsafe-inline'; object-src 'self'";

/// Puts headers around every answer. What any path answers to `OPTIONS` is which methods it has.
pub(super) async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if let Some(uri) = without_last_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    let is_options = request.method() == Method::OPTIONS;
    let asked = request.headers().clone();
    let mut answer = next.run(request).await;
    if is_options && answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        *answer.status_mut() = StatusCode::OK;
        *answer.body_mut() = axum::body::Body::empty();
        let headers = answer.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::CONTENT_TYPE);
    }
    let headers = answer.headers_mut();
    if let Some(allowed) = headers.get(header::ALLOW).and_then(in_order) {
        headers.insert(header::ALLOW, allowed);
    }
    let fixed = HeaderValue::from_static;
    headers.insert(header::VARY, fixed("accept, accept-encoding, origin"));
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(fixed("no-cache"));
    allow(&api, &asked, is_options, headers);
    answer
}

/// The methods of a path as RabbitMQ names them.
fn in_order(allowed: &HeaderValue) -> Option<HeaderValue> {
    let allowed: Vec<&str> = allowed.to_str().ok()?.split(',').map(str::trim).collect();
    let mut methods = ["HEAD", "GET", "POST", "PUT", "DELETE"].to_vec();
    methods.retain(|method| allowed.contains(method));
    methods.push("OPTIONS");
    methods.join(", ").parse().ok()
}

/// One slash at the end of a path means nothing; Go's client has one behind every list.
fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let path = uri
        .path()
        .strip_suffix('/')
        .filter(|path| !path.is_empty())?;
    match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

fn allow(api: &Api, asked: &HeaderMap, is_options: bool, headers: &mut HeaderMap) {
    let allowed = &api.options.cors_allow_origins;
    let Some(origin) = asked.get(header::ORIGIN) else {
        return;
    };
    let all = allowed.iter().any(|allowed| allowed == "*");
    let named = origin
        .to_str()
        .is_ok_and(|origin| allowed.iter().any(|allowed| allowed == origin));
    if !all && !named {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if named {
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    if !is_options {
        return;
    }
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        api.options.cors_max_age.into(),
    );
    if let Some(methods) = headers.get(header::ALLOW).cloned() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_stand_in_the_order_of_rabbitmq() {
        for (allowed, expected) in [
            ("GET,HEAD,PUT,DELETE", "HEAD, GET, PUT, DELETE, OPTIONS"),
            ("POST", "POST, OPTIONS"),
        ] {
            assert_eq!(
                in_order(&HeaderValue::from_static(allowed)).expect("methods"),
                expected
            );
        }
    }

    #[test]
    fn one_slash_at_the_end_is_left_out() {
        for (path, expected) in [
            ("/api/queues/", Some("/api/queues")),
            ("/api/queues/%2F/?page=1", Some("/api/queues/%2F?page=1")),
            ("/api/queues/%2F//", Some("/api/queues/%2F/")),
            ("/api/queues", None),
            ("/", None),
        ] {
            let uri: Uri = path.parse().expect("a URI");
            let without = without_last_slash(&uri).map(|uri| uri.to_string());
            assert_eq!(without.as_deref(), expected, "{path}");
        }
    }
}
