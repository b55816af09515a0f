//! Replays the fuzzers' corpus: what they once found, and real clients' traffic, on every test run.

use std::fs;
use std::path::Path;

#[path = "../fuzz/codec.rs"]
mod codec;
#[path = "../fuzz/connection.rs"]
pub(crate) mod connection;

/// Runs `body` on every input of `target`.
fn replay(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("a readable entry").path();
        let input = fs::read(&path).expect("a readable input");
        // Named before it runs, for a panic inside the library does not say which input it was.
        println!("{}", path.display());
        body(&input);
        inputs += 1;
    }
    assert!(inputs > 0, "no inputs in {}", folder.display());
}

#[test]
fn envelopes() {
    replay("envelope", codec::envelope);
}

#[test]
fn methods() {
    replay("methods", codec::methods);
}

#[test]
fn tables() {
    replay("tables", codec::tables);
}

#[test]
fn connections() {
    replay("connection", connection::connection);
}
