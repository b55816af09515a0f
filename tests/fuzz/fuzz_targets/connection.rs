//! Octets and steps into a whole connection; see `connection`.

#![no_main]

#[path = "../connection.rs"]
mod connection;
#[path = "../toy.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod toy;

libfuzzer_sys::fuzz_target!(|input: &[u8]| connection::connection(input));
