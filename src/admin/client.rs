//! The other side of the local door.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use crate::admin::Request;
use crate::admin::SOCKET_NAME;

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error("no broker runs on {path}: nothing answers on its socket {SOCKET_NAME}", path = .0.display())]
    NoBroker(PathBuf),
    /// The socket is another user's.
    #[error("{path} belongs to another user: run this as the user of the broker, or as root", path = .0.display())]
    NotAllowed(PathBuf),
    /// The node went away, or answered something else.
    #[error("the broker did not answer: {0}")]
    NoAnswer(io::Error),
    /// The node's own words.
    #[error("{0}")]
    Refused(String),
    /// The node's own words, with the exit code that RabbitMQ has for it.
    #[error("{text}")]
    Failed {
        /// The words.
        text: String,
        /// The exit code.
        exit: u8,
    },
}

/// Asks the node that runs on `data_dir`. Blocks until it has answered.
pub fn call(data_dir: &Path, request: &Request) -> Result<Value, CallError> {
    call_with_body(data_dir, request, &[])
}

/// The same, with octets that the request is about.
pub fn call_with_body(data_dir: &Path, request: &Request, body: &[u8]) -> Result<Value, CallError> {
    let path = data_dir.join(SOCKET_NAME);
    let mut stream = UnixStream::connect(&path).map_err(|error| {
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
        if is(&[io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]) {
            CallError::NoBroker(data_dir.to_owned())
        } else if is(&[io::ErrorKind::PermissionDenied]) {
            CallError::NotAllowed(path.clone())
        } else {
            CallError::NoAnswer(error)
        }
    })?;
    let answer = converse(&mut stream, request, body).map_err(CallError::NoAnswer)?;
    let malformed = || CallError::NoAnswer(io::ErrorKind::InvalidData.into());
    let mut answer: Value = serde_json::from_slice(&answer).map_err(|_| malformed())?;
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        let text = error.to_owned();
        let exit = answer.get("exit").and_then(Value::as_u64);
        return Err(match exit.and_then(|exit| u8::try_from(exit).ok()) {
            Some(exit) => CallError::Failed { text, exit },
            None => CallError::Refused(text),
        });
    }
    answer.get_mut("ok").map(Value::take).ok_or_else(malformed)
}

fn converse(stream: &mut UnixStream, request: &Request, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_value(request)?;
    if !body.is_empty() {
        line["body_bytes"] = body.len().into();
    }
    let mut line = line.to_string().into_bytes();
    line.push(b'\n');
    stream.write_all(&line)?;
    // A node that refuses it answers before it has read all of it.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
