//! What is told, in RabbitMQ's names and words, and where each number comes from: a file for each kind of subject.
//!
//! What stands for nothing here (reductions, garbage collection, the message store of an Erlang node) is told as 0, for
//! dashboards ask for it.

mod clients;
mod erlang;
mod global;
mod memory;
mod node;
mod own;
mod queues;

use crate::management::prometheus::text::Kind;
pub(super) use clients::CHANNELS;
pub(super) use clients::CONNECTIONS;
pub(super) use clients::EXCHANGES;
pub(super) use erlang::ERLANG;
pub(super) use erlang::Runtime;
pub(super) use global::GLOBAL;
pub(super) use global::GLOBAL_BY_QUEUE_TYPE;
pub(super) use global::GLOBAL_DEAD;
pub(super) use memory::MEMORY;
pub(super) use memory::Parts;
pub(super) use node::ALARMS;
pub(super) use node::AUTH_ATTEMPTS;
pub(super) use node::NODE;
pub(super) use node::NodeFigures;
pub(super) use own::STORE;
pub(super) use own::VHOSTS;
pub(super) use queues::QUEUES;

/// A number that something has.
pub(super) struct Metric<T> {
    /// The family of RabbitMQ's by which `/metrics/detailed` asks for it.
    pub(super) family: &'static str,
    /// Without its prefix.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) read: fn(&T) -> u64,
}

const fn metric<T>(
    family: &'static str,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&T) -> u64,
) -> Metric<T> {
    Metric {
        family,
        name,
        kind,
        help,
        read,
    }
}
