//! Plain data that every floor shares: names, ids, messages, arguments, reply codes, limits.
//!
//! Nothing here knows of sockets, queues, disks or clocks.

pub mod arguments;
pub mod delivery;
pub mod error;
pub mod ids;
pub mod limits;
pub mod message;
pub mod names;
pub mod outbox;
pub mod pattern;
pub mod release;
pub mod reply_code;

pub use arguments::Arguments;
pub use delivery::Delivered;
pub use delivery::Delivery;
pub use error::AmqpError;
pub use ids::ChannelId;
pub use ids::ConnectionId;
pub use ids::ConsumerId;
pub use ids::DeliveryTag;
pub use ids::Lsn;
pub use ids::Position;
pub use ids::QueueId;
pub use message::MessageRef;
pub use message::Run;
pub use message::RunBuilder;
pub use message::SharedBody;
pub use names::ConsumerTag;
pub use names::ExchangeName;
pub use names::QueueName;
pub use names::RoutingKey;
pub use names::UserName;
pub use names::VhostName;
pub use outbox::Outbox;
pub use pattern::InvalidPattern;
pub use pattern::Pattern;
pub use release::Permitted;
pub use release::Release;
pub use reply_code::ReplyCode;
