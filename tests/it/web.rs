//! HTTP requests for tests, one connection each.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::broker::PATIENCE;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body, which must be JSON and say so.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// `GET` as guest.
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, Some("guest:guest"))
}

/// Any request; `credentials` are `user:password`.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    credentials: Option<&str>,
) -> Answer {
    let authorization = credentials.map_or_else(String::new, |credentials| {
        format!("Authorization: Basic {}\r\n", STANDARD.encode(credentials))
    });
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Connection: close\r\n\r\n"
    );
    send(address, head.as_bytes())
}

/// `PUT` of JSON as guest.
pub(crate) fn put(address: SocketAddr, path: &str, body: &serde_json::Value) -> Answer {
    with_body(address, "PUT", path, "guest:guest", &body.to_string())
}

/// A request with a body; `credentials` are `user:password`.
pub(crate) fn with_body(
    address: SocketAddr,
    method: &str,
    path: &str,
    credentials: &str,
    body: &str,
) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        STANDARD.encode(credentials),
        body.len()
    );
    send(address, request.as_bytes())
}

/// Sends octets that end the connection when answered.
pub(crate) fn send(address: SocketAddr, octets: &[u8]) -> Answer {
    let answer = String::from_utf8(send_raw(address, octets)).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut answer = Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = joined(body);
    }
    answer
}

/// The chunks of a body in one.
fn joined(mut chunks: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        whole.push_str(&rest[..size]);
        chunks = rest[size..]
            .strip_prefix("\r\n")
            .expect("the end of a chunk");
    }
    whole
}

/// As [`send`], with whatever comes back.
pub(crate) fn send_raw(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(octets).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    answer
}
