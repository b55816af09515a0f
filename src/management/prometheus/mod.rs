//! The exporter for Prometheus: RabbitMQ's `rabbitmq_prometheus`, on a port and a thread of its own.
//!
//! Numbers are read from where they are counted when somebody asks; nothing is gathered in between. Pages are made while they
//! are sent, see [`text`].

mod collect;
mod families;
mod gzip;
mod names;
mod nodewide;
mod pieces;
mod text;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header::ACCEPT;
use axum::http::header::ALLOW;
use axum::http::header::CONTENT_ENCODING;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::routing::get;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::management::Clock;
use crate::management::listener::IDLE_TIME_MAX;
use crate::management::listener::Peer;
use crate::management::listener::WatchedListener;
use collect::Source;
use collect::Wanted;
use gzip::Compressed;
use pieces::InPieces;
use text::Page;

/// RabbitMQ's name for the first page.
const DEFAULT: &str = "default";

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What an operator can set about the exporter.
#[derive(Debug, Clone)]
pub struct PrometheusOptions {
    /// `rabbit@host`.
    pub node: String,
    /// Where the pages are, such as `/metrics`.
    pub path: String,
    /// The first page is about every object too.
    pub per_object: bool,
}

/// An exporter that is open.
pub struct Prometheus {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

#[derive(Clone)]
struct Exporter {
    broker: Arc<Broker>,
    options: Arc<PrometheusOptions>,
    clock: Clock,
    started_at: u64,
}

impl Prometheus {
    /// Serves on `listeners` (non-blocking).
    pub fn start(
        broker: Arc<Broker>,
        options: PrometheusOptions,
        clock: Clock,
        listeners: Vec<TcpListener>,
    ) -> io::Result<Self> {
        let exporter = Exporter {
            broker,
            options: Arc::new(options),
            started_at: clock(),
            clock,
        };
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("prometheus".to_owned())
            .spawn(move || runtime.block_on(serve(exporter, listeners, stopped)))?;
        Ok(Self { thread, stop })
    }

    /// Stops serving and joins the thread.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!(
                "the exporter's thread ended in a panic; this is a fault of Leveret: please report it with the lines before this one"
            );
        }
    }
}

async fn serve(
    exporter: Exporter,
    listeners: Vec<TcpListener>,
    mut stopped: watch::Receiver<bool>,
) {
    for listener in listeners {
        let service = router(exporter.clone()).into_make_service_with_connect_info::<Peer>();
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let listener = WatchedListener::new(listener, IDLE_TIME_MAX);
                tokio::spawn(async move {
                    if let Err(error) = axum::serve(listener, service).await {
                        tracing::error!(%error, "the exporter stopped: Prometheus gets nothing any more; restart the node");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot serve metrics: Prometheus gets nothing; restart the node")
            }
        }
    }
    // The tasks, and with them the listeners, end with the runtime.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn router(exporter: Exporter) -> Router {
    let path = exporter.options.path.clone();
    let mut router = Router::new();
    // A slash at the end means nothing.
    for end in ["", "/"] {
        let pages = format!("{path}/{{registry}}{end}");
        router = router
            .route(&format!("{path}{end}"), only_read(get(first)))
            .route(&pages, only_read(get(registry)));
    }
    router.fallback(nothing_there).with_state(exporter)
}

/// What else may be asked of a page: who asks for its head hears, as from RabbitMQ, that nothing is sent.
fn only_read(page: MethodRouter<Exporter>) -> MethodRouter<Exporter> {
    const ALLOWED: [(HeaderName, &str); 1] = [(ALLOW, "HEAD, GET, OPTIONS")];
    let head = async |headers: HeaderMap| match takes_text(&headers) {
        // Of no length, which is not told.
        true => {
            let nothing = Body::new(InPieces(Page::new([])));
            (StatusCode::NO_CONTENT, nothing).into_response()
        }
        false => StatusCode::NOT_ACCEPTABLE.into_response(),
    };
    page.head(head)
        .options(async || ALLOWED)
        .fallback(async || (StatusCode::METHOD_NOT_ALLOWED, ALLOWED))
}

async fn nothing_there() -> impl IntoResponse {
    let text = r#"{"error":"Object Not Found","reason":"Not Found"}"#;
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::NOT_FOUND, json, text)
}

async fn first(State(exporter): State<Exporter>, headers: HeaderMap) -> Response {
    let page = if exporter.options.per_object {
        "per-object"
    } else {
        DEFAULT
    };
    exporter.answer(&headers, page, None)
}

async fn registry(
    State(exporter): State<Exporter>,
    Path(registry): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    exporter.answer(&headers, &registry, query.as_deref())
}

impl Exporter {
    fn answer(&self, headers: &HeaderMap, registry: &str, query: Option<&str>) -> Response {
        if !takes_text(headers) {
            return StatusCode::NOT_ACCEPTABLE.into_response();
        }
        match self.page(registry, query) {
            Some(page) if gzip::is_taken(headers) => {
                let heads = [(CONTENT_TYPE, TEXT), (CONTENT_ENCODING, gzip::NAME)];
                (heads, Body::new(InPieces(Compressed::new(page)))).into_response()
            }
            Some(page) => ([(CONTENT_TYPE, TEXT)], Body::new(InPieces(page))).into_response(),
            None => {
                let plain = [(CONTENT_TYPE, "text/plain")];
                (StatusCode::NOT_FOUND, plain, "Unknown Registry").into_response()
            }
        }
    }

    fn page(&self, registry: &str, query: Option<&str>) -> Option<Page> {
        let source = Source {
            broker: &self.broker,
            node: &self.options.node,
            started_at: self.started_at,
            now: (self.clock)(),
        };
        match registry {
            DEFAULT => Some(source.aggregated()),
            "per-object" => Some(source.per_object()),
            "detailed" => {
                let wanted = wanted(query.unwrap_or_default());
                Some(source.detailed(&wanted))
            }
            "memory-breakdown" => Some(source.memory_breakdown()),
            _ => None,
        }
    }
}

/// Whether a client can read what is here; who says nothing can.
fn takes_text(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().peekable();
    let readable = ["text/plain", "text/*", "*/*"];
    accepted.peek().is_none()
        || accepted
            .filter_map(|value| value.to_str().ok())
            .any(|value| readable.iter().any(|readable| value.contains(readable)))
}

/// What `family=…&vhost=…` asks for. Other parameters mean nothing, as in RabbitMQ.
fn wanted(query: &str) -> Wanted {
    let mut wanted = Wanted::default();
    for pair in query.split('&') {
        // As in RabbitMQ a name alone asks for nothing.
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        match name {
            "family" => wanted.families.insert(decoded(value)),
            "vhost" => wanted.vhosts.get_or_insert_default().insert(decoded(value)),
            _ => false,
        };
    }
    wanted
}

/// Without the encoding of a query; what is no encoding stays.
fn decoded(text: &str) -> String {
    let octets = text.as_bytes();
    let mut plain = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let hex = octets.get(at + 1..at + 3);
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        let octet = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (octets[at], octet) {
            (b'%', Some(octet)) => {
                plain.push(octet);
                at += 3;
                continue;
            }
            (b'+', _) => plain.push(b' '),
            (other, _) => plain.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let wanted = wanted("vhost=%2F&family=queue_metrics&vhost=a+b%25&family=x&queue=q&%2");
        let vhosts = wanted.vhosts.expect("a filter");
        let mut vhosts: Vec<_> = vhosts.iter().map(String::as_str).collect();
        vhosts.sort_unstable();
        assert_eq!(vhosts, ["/", "a b%"]);
        assert!(wanted.families.contains("queue_metrics") && wanted.families.len() == 2);
        assert_eq!(decoded("%zz%"), "%zz%");
    }

    #[track_caller]
    fn check_accept(value: Option<&str>, takes: bool) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT, value.parse().expect("a header"));
        }
        assert_eq!(takes_text(&headers), takes, "{value:?}");
    }

    #[test]
    fn whoever_cannot_read_text_gets_none() {
        check_accept(None, true);
        check_accept(Some("*/*"), true);
        check_accept(
            Some("application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.3"),
            true,
        );
        check_accept(Some("application/vnd.google.protobuf"), false);
    }
}
