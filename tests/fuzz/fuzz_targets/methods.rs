//! Payloads of method and header frames; see `codec.rs`.

#![no_main]

#[path = "../codec.rs"]
#[allow(dead_code, reason = "each target uses one of the bodies")]
mod codec;

libfuzzer_sys::fuzz_target!(|input: &[u8]| codec::methods(input));
