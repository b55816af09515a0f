//! The one integration binary: a file per feature.

#![allow(
    clippy::disallowed_methods,
    reason = "tests over real sockets measure real time"
)]
#![allow(clippy::unwrap_used, reason = "a helper that panics is a failed test")]

mod alarms;
mod bad_input;
mod broker;
mod bystander;
mod connection;
mod corpus;
mod ctl;
mod ctl_every;
mod ctl_scripts;
mod ctl_upkeep;
mod durability;
mod floors;
mod http;
mod logs;
mod operating;
mod perf;
mod process;
mod prometheus;
mod rabbitmqadmin;
#[path = "../fuzz/toy.rs"]
mod toy;
mod web;
mod wire;
