//! The sans-IO connection machine: handshake, heartbeat, limits, close; it owns its channels.

pub mod host;
