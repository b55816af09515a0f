//! The other side of the local door.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use socket2::Domain;
use socket2::SockAddr;
use socket2::Socket;
use socket2::Type;

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
    /// The node is there and says nothing.
    #[error("the broker did not answer in time")]
    TimedOut,
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
    call_within(data_dir, request, &[], None)
}

/// The same, with octets that the request is about, for as long as nobody is silent for longer than `patience`.
pub fn call_within(
    data_dir: &Path,
    request: &Request,
    body: &[u8],
    patience: Option<Duration>,
) -> Result<Value, CallError> {
    if patience.is_some_and(|patience| patience.is_zero()) {
        return Err(CallError::TimedOut);
    }
    let path = data_dir.join(SOCKET_NAME);
    let mut stream = connect(&path, patience).map_err(|error| {
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
        if is(&[io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]) {
            CallError::NoBroker(data_dir.to_owned())
        } else if is(&[io::ErrorKind::PermissionDenied]) {
            CallError::NotAllowed(path.clone())
        } else {
            no_answer(error)
        }
    })?;
    let answer = converse(&mut stream, request, body).map_err(no_answer)?;
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

/// A socket that is waited for says so in one of two ways.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are told as they are"
)]
fn no_answer(error: io::Error) -> CallError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallError::TimedOut,
        _ => CallError::NoAnswer(error),
    }
}

/// Connecting waits too, where a node takes no callers any more.
fn connect(path: &Path, patience: Option<Duration>) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(patience)?;
    socket.set_read_timeout(patience)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
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
