//! What a line is about: RabbitMQ's categories, each of which can have a level of its own.

use tracing::Metadata;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Connections: that they come and go, logins.
    Connection,
    /// Channels: errors that close them.
    Channel,
    /// Queues and what they have on the disk.
    Queue,
    /// Copies on other nodes.
    Mirroring,
    /// Links to other brokers.
    Federation,
    /// Formats that are taken over from earlier versions.
    Upgrade,
    /// Users and what they may.
    User,
    /// Groups of nodes.
    Ra,
    /// Everything else.
    Default,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Connection,
        Self::Channel,
        Self::Queue,
        Self::Mirroring,
        Self::Federation,
        Self::Upgrade,
        Self::User,
        Self::Ra,
        Self::Default,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Channel => "channel",
            Self::Queue => "queue",
            Self::Mirroring => "mirroring",
            Self::Federation => "federation",
            Self::Upgrade => "upgrade",
            Self::User => "user",
            Self::Ra => "ra",
            Self::Default => "default",
        }
    }

    /// As RabbitMQ's lines in JSON have it.
    pub(super) fn domain(self) -> &'static str {
        match self {
            Self::Connection => "rabbitmq.connection",
            Self::Channel => "rabbitmq.channel",
            Self::Queue => "rabbitmq.queue",
            Self::Mirroring => "rabbitmq.mirroring",
            Self::Federation => "rabbitmq.federation",
            Self::Upgrade => "rabbitmq.upgrade",
            Self::User => "rabbitmq.user",
            Self::Ra => "rabbitmq.ra",
            Self::Default => "rabbitmq",
        }
    }

    /// A line is of the category that its target names, or else of the one that its module is about.
    pub(super) fn of(line: &Metadata<'_>) -> Self {
        Self::of_target(line.target())
    }

    fn of_target(target: &str) -> Self {
        const MODULES: [(&str, Category); 5] = [
            ("leveret::server", Category::Connection),
            ("leveret::connection", Category::Connection),
            ("leveret::queue", Category::Queue),
            ("leveret::vhost::pager", Category::Queue),
            ("leveret::auth", Category::User),
        ];
        let named = Self::ALL.into_iter().find(|known| known.name() == target);
        let by_module = || {
            let found = MODULES.iter().find(|(module, _)| within(target, module));
            found.map_or(Self::Default, |(_, category)| *category)
        };
        named.unwrap_or_else(by_module)
    }
}

fn within(target: &str, module: &str) -> bool {
    let rest = target.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_modules_decide() {
        for (target, category) in [
            ("connection", Category::Connection),
            ("channel", Category::Channel),
            ("upgrade", Category::Upgrade),
            ("leveret::server::accept", Category::Connection),
            ("leveret::servers", Category::Default),
            ("leveret::queue", Category::Queue),
            ("leveret::store::ring", Category::Default),
            ("hyper::proto", Category::Default),
        ] {
            assert_eq!(Category::of_target(target), category, "{target}");
        }
    }
}
