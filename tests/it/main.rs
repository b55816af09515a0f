//! The one integration binary: a file per feature.

#![allow(
    clippy::disallowed_methods,
    reason = "tests over real sockets measure real time"
)]

mod broker;
mod bystander;
mod connection;
mod corpus;
mod floors;
mod process;
#[path = "../fuzz/toy.rs"]
mod toy;
mod web;
mod wire;
