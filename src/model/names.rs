//! Names as types: parsed once at the edge, shared by reference count afterwards.
//!
//! All are AMQP short strings: UTF-8, at most 255 octets (specification §4.2.5.3).

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A short string holds at most this many octets.
pub const NAME_BYTES_MAX: usize = 255;

/// The pseudo queue of direct reply-to; with a dot and more after it, the name of one consumer's replies
/// (specification §6.9).
pub const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The name without CR and LF, which RabbitMQ drops where queues and exchanges are declared, deleted and bound.
pub fn stripped(name: &str) -> String {
    name.replace(['\r', '\n'], "")
}

/// The name is longer than an AMQP short string can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("name of {bytes} bytes is longer than 255")]
pub struct NameTooLong {
    /// Length of the refused name.
    pub bytes: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name that came from outside.
            pub fn new(name: &str) -> Result<Self, NameTooLong> {
                if name.len() > NAME_BYTES_MAX {
                    return Err(NameTooLong { bytes: name.len() });
                }
                Ok(Self(Arc::from(name)))
            }

            /// A name that is known to fit, such as one decoded from a short string.
            ///
            /// # Panics
            /// When it does not fit.
            pub fn known(name: &str) -> Self {
                assert!(name.len() <= NAME_BYTES_MAX, "{} is longer than a short string", stringify!($name));
                Self(Arc::from(name))
            }

            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name!(
    /// Name of a virtual host; `/` is the one made at first start.
    VhostName
);
name!(
    /// Name of a queue, unique in its virtual host.
    QueueName
);
name!(
    /// Name of an exchange, unique in its virtual host; the empty name is the default exchange.
    ExchangeName
);
name!(
    /// A publish's routing key or a binding's binding key.
    RoutingKey
);
name!(
    /// Name of a user.
    UserName
);
name!(
    /// Names a consumer within its channel.
    ConsumerTag
);
