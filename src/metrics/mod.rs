//! Counters and gauges: named once here, bumped anywhere above.
//!
//! They live in what they count (a queue, an exchange, a channel, a connection, the node) and grow by one addition a batch.
//! Nobody sums them but who reads: rates, listings and metrics are made by whoever shows them. A counter of something that
//! ends is added to its owner's total, so that totals never fall.

mod channel;
mod connection;
mod count;
mod exchange;
mod histogram;
mod history;
pub mod machine;
mod messages;
mod node;
mod queue;
mod tally;

pub use channel::ChannelStats;
pub use connection::ConnectionStats;
pub use count::Count;
pub use count::SharedCount;
pub use exchange::ExchangeCounts;
pub use exchange::ExchangeStats;
pub use histogram::BOUNDS;
pub use histogram::CONFIRM_BOUNDS_US;
pub use histogram::Histogram;
pub use histogram::SharedHistogram;
pub use histogram::WAIT_BOUNDS_MS;
pub use history::DeadCounts;
pub use history::QueueHistory;
pub use history::Strategy;
pub use messages::Messages;
pub use node::Churn;
pub use node::ChurnCounts;
pub use queue::QueueCounts;
pub use tally::ChannelTallies;
pub use tally::ExchangeTally;
pub use tally::QueueTally;
pub use tally::Tallies;
