//! Definitions: everything that operators and clients have declared, as one JSON document in RabbitMQ's format.
//!
//! Front doors, the command line and the start of the node share this; it acts on the broker and knows no door.

mod export;
mod import;
mod json;
mod messages;
#[cfg(test)]
mod tests;

pub use export::of_node;
pub use export::of_vhost;
pub use import::ImportError;
pub use import::Imported;
pub use import::Skipped;
pub use import::import;
pub use json::InvalidProperty;
pub use json::InvalidValue;
pub use json::argument_json;
pub use json::arguments_from_json;
pub use json::arguments_json;
pub use json::properties_from_json;
pub use json::properties_json;
pub use messages::LIMIT_MAX;
pub use messages::Look;
pub use messages::age;
pub use messages::message_json;
