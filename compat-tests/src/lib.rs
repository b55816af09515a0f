//! Compatibility tests: unmodified clients, and crashes, against the real broker.
//!
//! The library holds what its binaries share. It knows the broker only from outside: an address,
//! a binary to start, a data directory. Nothing here links the broker's code.

pub mod assertions;
pub mod naming;
