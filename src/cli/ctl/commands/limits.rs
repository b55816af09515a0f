//! Limits of virtual hosts and of users.

use clap::Args;

use crate::admin::Operation;
use crate::admin::Owner;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::json;
use crate::cli::ctl::tool::Tool;

/// Limits of one owner, or of all. Those of one are printed without names of columns, as RabbitMQ does.
fn list(tool: &Tool, owner: Owner, name: Option<String>) -> Outcome {
    let noun = match owner {
        Owner::Vhost => "vhost",
        Owner::User => "user",
    };
    let banner = match &name {
        None => format!("Listing limits for all {noun}s ..."),
        Some(name) => format!("Listing limits for {noun} \"{name}\" ..."),
    };
    let of_one = name.is_some();
    let operation = Operation::ListLimits { owner, name };
    if of_one && !tool.is_for_machines() {
        tool.banner(&banner);
        let rows = tool.call(operation)?;
        let none = match owner {
            Owner::Vhost => "",
            Owner::User => "{}",
        };
        let limits = rows[0]["limits"].as_str().unwrap_or(none);
        // An empty text is a line too.
        match limits {
            "" => tool.print("\n"),
            limits => tool.done(limits),
        }
        return Ok(());
    }
    tool.table(&banner, operation, &[noun, "limits"])
}

/// Limit a virtual host: '{"max-connections": 256, "max-queues": 1024}'.
#[derive(Args)]
pub(super) struct SetVhostLimits {
    /// JSON
    #[arg(allow_hyphen_values = true)]
    definition: String,
}

impl Run for SetVhostLimits {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, text) = (tool.vhost(), self.definition);
        let banner = format!("Setting vhost limits to \"{text}\" for vhost \"{name}\" ...");
        tool.banner(&banner);
        let operation = Operation::SetLimits {
            owner: Owner::Vhost,
            name,
            definition: json(&text)?,
        };
        tool.answer(operation, "")
    }
}

/// Take a virtual host's limits away.
#[derive(Args)]
pub(super) struct ClearVhostLimits;

impl Run for ClearVhostLimits {
    fn run(self, tool: &Tool) -> Outcome {
        let name = tool.vhost();
        let banner = format!("Clearing vhost \"{name}\" limits ...");
        let operation = Operation::ClearLimits {
            owner: Owner::Vhost,
            name,
            limit: None,
        };
        tool.act(&banner, operation)
    }
}

/// List limits of virtual hosts.
#[derive(Args)]
pub(super) struct ListVhostLimits {
    /// Of all virtual hosts
    #[arg(long)]
    global: bool,
}

impl Run for ListVhostLimits {
    fn run(self, tool: &Tool) -> Outcome {
        list(tool, Owner::Vhost, (!self.global).then(|| tool.vhost()))
    }
}

/// Limit a user: '{"max-connections": 5, "max-channels": 50}'.
#[derive(Args)]
pub(super) struct SetUserLimits {
    /// Name
    username: String,
    /// JSON
    #[arg(allow_hyphen_values = true)]
    definition: String,
}

impl Run for SetUserLimits {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, text) = (self.username, self.definition);
        let banner = format!("Setting user limits to \"{text}\" for user \"{name}\" ...");
        tool.banner(&banner);
        let operation = Operation::SetLimits {
            owner: Owner::User,
            name,
            definition: json(&text)?,
        };
        tool.answer(operation, "")
    }
}

/// Take a user's limit away.
#[derive(Args)]
pub(super) struct ClearUserLimits {
    /// Name
    username: String,
    /// max-connections, max-channels or all
    limit: String,
}

impl Run for ClearUserLimits {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, limit) = (self.username, Some(self.limit).filter(|it| it != "all"));
        let banner = match &limit {
            None => format!("Clearing all limits for user \"{name}\" ..."),
            Some(limit) => format!("Clearing \"{limit}\" limit for user \"{name}\" ..."),
        };
        let owner = Owner::User;
        tool.act(&banner, Operation::ClearLimits { owner, name, limit })
    }
}

/// List limits of users.
#[derive(Args)]
pub(super) struct ListUserLimits {
    /// Of this user
    #[arg(long, default_value = "guest")]
    user: String,
    /// Of all users
    #[arg(long)]
    global: bool,
}

impl Run for ListUserLimits {
    fn run(self, tool: &Tool) -> Outcome {
        list(tool, Owner::User, (!self.global).then_some(self.user))
    }
}
