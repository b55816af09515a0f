//! Exchange types as pure functions: bindings, a routing key and headers in, destinations out.
//!
//! Nothing here knows what a destination is (a queue, an exchange), which exchange asks, who may bind, or that
//! bindings are stored. Alternate exchanges, exchange-to-exchange walks and the removal of duplicates over several
//! exchanges are the caller's. One file per exchange type; [`Kind`] lists them.

mod consistent_hash;
mod destinations;
mod direct;
mod error;
mod fanout;
mod hash;
mod headers;
mod kind;
mod ledger;
mod pool;
mod router;
mod topic;

pub use error::RoutingError;
pub use error::Term;
pub use hash::mix;
pub use hash::stable_hash;
pub use kind::Kind;
pub use router::Router;
