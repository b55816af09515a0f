//! Bytes ↔ frames, and nothing else: protocol header, envelope, methods, content headers, field tables.
//!
//! It never sees a queue, a channel's state or a socket. What the peer sends is judged here for its form alone; what
//! it means is for `connection` to say. No input, however malformed, panics, recurses without bound or allocates more
//! than a small multiple of its own length.

pub mod content;
pub mod copies;
pub mod encode;
pub mod envelope;
pub mod erlang;
pub mod header;
pub mod identity;
mod layout;
pub mod method;
pub mod output;
pub mod properties;
pub mod raw_table;
pub mod table;
#[cfg(test)]
mod tests;
