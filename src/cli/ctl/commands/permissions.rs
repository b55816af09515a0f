//! What users may do in virtual hosts.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::tool::Tool;

/// The three patterns of a permission.
#[derive(Args)]
struct Patterns {
    /// Regular expression of names it may declare and delete
    #[arg(allow_hyphen_values = true)]
    configure: String,
    /// Regular expression of names it may publish and bind to
    #[arg(allow_hyphen_values = true)]
    write: String,
    /// Regular expression of names it may consume and bind from
    #[arg(allow_hyphen_values = true)]
    read: String,
}

impl Patterns {
    /// In one virtual host, or all.
    fn set(self, tool: &Tool, vhost: Option<String>, user: String) -> Outcome {
        let whereabouts = match &vhost {
            Some(vhost) => format!("vhost \"{vhost}\""),
            None => "all virtual hosts".to_owned(),
        };
        let banner = format!("Setting permissions for user \"{user}\" in {whereabouts} ...");
        let operation = Operation::SetPermissions {
            vhost,
            user,
            configure: self.configure,
            write: self.write,
            read: self.read,
        };
        tool.act(&banner, operation)
    }
}

/// Let a user configure, write and read what matches the patterns, in one virtual host.
#[derive(Args)]
pub(super) struct SetPermissions {
    /// Name
    username: String,
    #[command(flatten)]
    patterns: Patterns,
}

impl Run for SetPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        self.patterns.set(tool, Some(tool.vhost()), self.username)
    }
}

/// The same in all virtual hosts that there are.
#[derive(Args)]
pub(super) struct SetPermissionsGlobally {
    /// Name
    username: String,
    #[command(flatten)]
    patterns: Patterns,
}

impl Run for SetPermissionsGlobally {
    fn run(self, tool: &Tool) -> Outcome {
        self.patterns.set(tool, None, self.username)
    }
}

/// Take a user's permissions in a virtual host away.
#[derive(Args)]
pub(super) struct ClearPermissions {
    /// Name
    username: String,
}

impl Run for ClearPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, user) = (tool.vhost(), self.username);
        let banner = format!("Clearing permissions for user \"{user}\" in vhost \"{vhost}\" ...");
        tool.act(&banner, Operation::ClearPermissions { vhost, user })
    }
}

/// List permissions in a virtual host.
#[derive(Args)]
pub(super) struct ListPermissions;

impl Run for ListPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!("Listing permissions for vhost \"{vhost}\" ...");
        let columns = ["user", "configure", "write", "read"];
        tool.table(&banner, Operation::ListPermissions { vhost }, &columns)
    }
}

/// List a user's permissions.
#[derive(Args)]
pub(super) struct ListUserPermissions {
    /// Name
    username: String,
}

impl Run for ListUserPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let user = self.username;
        let banner = format!("Listing permissions for user \"{user}\" ...");
        let columns = ["vhost", "configure", "write", "read"];
        tool.table(&banner, Operation::ListUserPermissions { user }, &columns)
    }
}

/// Limit the routing keys that a user may use with an exchange.
#[derive(Args)]
pub(super) struct SetTopicPermissions {
    /// Name
    username: String,
    /// Exchange
    exchange: String,
    /// Regular expression of keys it may publish with
    #[arg(allow_hyphen_values = true)]
    write: String,
    /// Regular expression of keys it may bind with
    #[arg(allow_hyphen_values = true)]
    read: String,
}

impl Run for SetTopicPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, user, exchange) = (tool.vhost(), self.username, self.exchange);
        let banner = format!(
            "Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."
        );
        let operation = Operation::SetTopicPermissions {
            vhost,
            user,
            exchange,
            write: self.write,
            read: self.read,
        };
        tool.act(&banner, operation)
    }
}

/// Take these limits away, for one exchange or all.
#[derive(Args)]
pub(super) struct ClearTopicPermissions {
    /// Name
    username: String,
    /// Exchange
    exchange: Option<String>,
}

impl Run for ClearTopicPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, user, exchange) = (tool.vhost(), self.username, self.exchange);
        let on = exchange
            .as_ref()
            .map_or_else(String::new, |exchange| format!(" on \"{exchange}\""));
        let banner =
            format!("Clearing topic permissions{on} for user \"{user}\" in vhost \"{vhost}\" ...");
        let operation = Operation::ClearTopicPermissions {
            vhost,
            user,
            exchange,
        };
        tool.act(&banner, operation)
    }
}

/// List topic permissions in a virtual host.
#[derive(Args)]
pub(super) struct ListTopicPermissions;

impl Run for ListTopicPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!("Listing topic permissions for vhost \"{vhost}\" ...");
        let columns = ["user", "exchange", "write", "read"];
        tool.table(&banner, Operation::ListTopicPermissions { vhost }, &columns)
    }
}

/// List a user's topic permissions.
#[derive(Args)]
pub(super) struct ListUserTopicPermissions {
    /// Name
    username: String,
}

impl Run for ListUserTopicPermissions {
    fn run(self, tool: &Tool) -> Outcome {
        let user = self.username;
        let banner = format!("Listing topic permissions for user \"{user}\" ...");
        let columns = ["vhost", "exchange", "write", "read"];
        let operation = Operation::ListUserTopicPermissions { user };
        tool.table(&banner, operation, &columns)
    }
}
