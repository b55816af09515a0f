//! Transcripts: what a client sends, what it gets, and what the host was asked; no sockets.

mod channels;
mod confirms;
mod consuming;
mod handshake;
mod lines;
mod publishing;
mod script;
mod wire;
