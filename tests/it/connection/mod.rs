//! Transcripts of the connection machine: what a client sends, what it gets, and what the host was asked. No sockets.

mod channels;
mod closing;
mod confirms;
mod consuming;
mod content;
mod frames;
mod handshake;
mod lines;
mod liveness;
mod methods;
mod properties;
mod publishing;
mod script;
mod settling;
mod transactions;
mod wire;
