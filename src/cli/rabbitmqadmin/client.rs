//! One request to the management API, and its answer.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::client::conn::http1;
use hyper::header;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::cli::rabbitmqadmin::Failure;
use crate::cli::rabbitmqadmin::options::Options;

/// A client of one node.
pub(super) struct Client<'a> {
    options: &'a Options,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Client<'a> {
    pub(super) fn new(options: &'a Options) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Failure::told(error.to_string()))?;
        Ok(Self { options, runtime })
    }

    pub(super) fn get(&self, path: &str) -> Result<String, Failure> {
        self.request(Method::GET, path, String::new())
    }

    /// Asks and waits. An answer that is an error is one here too, in the words of RabbitMQ's tool.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<String, Failure> {
        let path = format!("{}/api{path}", self.options.path_prefix);
        let patience = Duration::from_secs(self.options.timeout_seconds);
        let asked = self.ask(method, &path, body);
        let (status, text) = self.runtime.block_on(async {
            let answer = tokio::time::timeout(patience, asked).await;
            answer.unwrap_or_else(|_| {
                let seconds = self.options.timeout_seconds;
                Err(Failure::told(format!(
                    "Timed out getting HTTP response (request timeout: {seconds} seconds)"
                )))
            })
        })?;
        let reason = || {
            let parsed = serde_json::from_str::<Value>(&text).ok();
            let reason = parsed.as_ref().and_then(|body| body["reason"].as_str());
            reason.map_or_else(|| text.clone(), str::to_owned)
        };
        match status {
            StatusCode::BAD_REQUEST => Err(Failure::told(reason())),
            StatusCode::UNAUTHORIZED => Err(Failure::told(format!("Access refused: {path}"))),
            StatusCode::NOT_FOUND => Err(Failure::told(format!("Not found: {path}"))),
            StatusCode::SERVICE_UNAVAILABLE => Err(Failure {
                exit: super::UNAVAILABLE,
                text: format!("*** {}\n", reason()),
            }),
            status if status.as_u16() > 400 => Err(Failure::told(format!(
                "Received response {status} for path {path}\n{text}"
            ))),
            _ => Ok(text),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, String), Failure> {
        let options = self.options;
        let host = options.host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, options.port)).await;
        let stream = stream.map_err(|error| no_connection(&error))?;
        let broken =
            |error: hyper::Error| Failure::told(format!("Error getting HTTP response:\n\n{error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        tokio::spawn(connection);
        let login = format!("{}:{}", options.username, options.password);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, format!("{}:{}", options.host, options.port))
            .header(
                header::AUTHORIZATION,
                format!("Basic {}", STANDARD.encode(login)),
            );
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::usage(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let octets = answer.into_body().collect().await.map_err(broken)?;
        let text = String::from_utf8_lossy(&octets.to_bytes()).into_owned();
        Ok((status, text))
    }
}

/// As Python words it.
fn no_connection(error: &io::Error) -> Failure {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    Failure::told(match error.raw_os_error() {
        Some(number) => format!("Could not connect: [Errno {number}] {words}"),
        None => format!("Could not connect: {text}"),
    })
}

/// A name as it stands in a path.
pub(super) fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for octet in name.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                quoted.push(octet.into());
            }
            _ => quoted += &format!("%{octet:02X}"),
        }
    }
    quoted
}
