//! The exchange types by name, and what a publisher must bring for each.
//!
//! Behaviour is in the file of each type; [`Router`](super::Router) picks it by [`Kind`].

/// The type of an exchange (specification §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The binding key equals the routing key.
    Direct,
    /// Every binding.
    Fanout,
    /// The binding key is a pattern over the words of the routing key.
    Topic,
    /// The binding's arguments are compared with the message's headers.
    Headers,
}

impl Kind {
    /// All types, for listings.
    pub const ALL: [Kind; 4] = [Kind::Direct, Kind::Fanout, Kind::Topic, Kind::Headers];

    /// The type that clients call `name`; `None` is RabbitMQ's `unknown exchange type`.
    pub fn from_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in `exchange.declare`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }

    /// Whether routing looks at the message's `headers`, so that they must be decoded.
    pub fn needs_headers(self) -> bool {
        match self {
            Self::Headers => true,
            Self::Direct | Self::Fanout | Self::Topic => false,
        }
    }

    /// Whether the routing key (and CC and BCC) makes no difference.
    pub fn ignores_key(self) -> bool {
        match self {
            Self::Fanout | Self::Headers => true,
            Self::Direct | Self::Topic => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("Direct"), None, "names are case-sensitive");
        assert_eq!(Kind::from_name("x-unknown"), None);
    }
}
