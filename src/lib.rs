//! Leveret: an AMQP 0-9-1 broker that takes RabbitMQ's place.

pub mod admin;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod connection;
pub mod definitions;
pub mod logs;
pub mod management;
pub mod metrics;
pub mod model;
pub mod perf;
pub mod protocol;
pub mod queue;
pub mod routing;
pub mod server;
pub mod settings;
pub mod store;
pub mod vhost;
