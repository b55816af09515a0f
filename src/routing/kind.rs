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
    /// One destination by the hash of routing key, header or property; the binding key is its weight.
    ConsistentHash,
    /// One destination by the hash of the routing keys.
    ModulusHash,
    /// One destination at random.
    Random,
    /// As [`Kind::Random`] among the queues of this node; there is no other.
    LocalRandom,
    /// As [`Kind::Fanout`]; a new binding gets the latest messages.
    RecentHistory,
    /// As [`Kind::Fanout`] for messages that are not repeated.
    Deduplication,
    /// As another type, which an argument names, after the delay that the message asks for.
    Delayed,
}

impl Kind {
    /// All types, for listings.
    pub const ALL: [Kind; 11] = [
        Kind::Direct,
        Kind::Fanout,
        Kind::Topic,
        Kind::Headers,
        Kind::ConsistentHash,
        Kind::ModulusHash,
        Kind::Random,
        Kind::LocalRandom,
        Kind::RecentHistory,
        Kind::Deduplication,
        Kind::Delayed,
    ];

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
            Self::ConsistentHash => "x-consistent-hash",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::LocalRandom => "x-local-random",
            Self::RecentHistory => "x-recent-history",
            Self::Deduplication => "x-message-deduplication",
            Self::Delayed => "x-delayed-message",
        }
    }

    /// Whether the route of a message depends on its routing keys alone, so that it can be remembered. A consistent hash
    /// may still be asked to hash something else.
    pub fn routes_by_keys(self) -> bool {
        match self {
            Self::Direct
            | Self::Fanout
            | Self::Topic
            | Self::ConsistentHash
            | Self::ModulusHash => true,
            Self::Headers
            | Self::Random
            | Self::LocalRandom
            | Self::RecentHistory
            | Self::Deduplication
            | Self::Delayed => false,
        }
    }

    /// Whether a message goes to one destination of all, which [`Router::pick`](super::Router::pick) finds.
    pub fn picks_one(self) -> bool {
        match self {
            Self::ConsistentHash | Self::ModulusHash | Self::Random | Self::LocalRandom => true,
            Self::Direct
            | Self::Fanout
            | Self::Topic
            | Self::Headers
            | Self::RecentHistory
            | Self::Deduplication
            | Self::Delayed => false,
        }
    }

    /// Whether several routing keys (CC and BCC) may lead to more destinations than one does.
    pub fn matches_each_key(self) -> bool {
        matches!(self, Self::Direct | Self::Topic)
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
