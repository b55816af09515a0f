//! Closing connections.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::tool::Tool;

/// Close a connection.
#[derive(Args)]
pub(super) struct CloseConnection {
    /// As in list_connections pid
    pid: String,
    /// Told to the client
    reason: String,
}

impl Run for CloseConnection {
    fn run(self, tool: &Tool) -> Outcome {
        let (pid, reason) = (self.pid, self.reason);
        let banner = format!("Closing connection {pid}, reason: {reason}...");
        tool.act(&banner, Operation::CloseConnection { pid, reason })
    }
}

/// Close the connections to a virtual host, or all.
#[derive(Args)]
pub(super) struct CloseAllConnections {
    /// To all virtual hosts
    #[arg(long)]
    global: bool,
    /// At most so many; 0 is all
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Told to the clients
    reason: String,
}

impl Run for CloseAllConnections {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, limit, reason) = (tool.vhost(), self.limit, self.reason);
        tool.banner(&match (self.global, limit) {
            (true, _) => format!(
                "Closing all connections to node {} (across all vhosts), reason: {reason}...",
                tool.node()
            ),
            (false, 0) => {
                format!("Closing all connections in vhost {vhost}, reason: {reason}...")
            }
            (false, limit) => {
                format!("Closing {limit} connections in vhost {vhost}, reason: {reason}...")
            }
        });
        let closed = tool.call(Operation::CloseConnections {
            vhost: (!self.global).then_some(vhost),
            user: None,
            limit,
            reason,
        })?;
        tool.done(&format!("Closed {} connections", closed["closed"]));
        Ok(())
    }
}

/// Close a user's connections.
#[derive(Args)]
pub(super) struct CloseAllUserConnections {
    /// Name
    username: String,
    /// Told to the clients
    reason: String,
}

impl Run for CloseAllUserConnections {
    fn run(self, tool: &Tool) -> Outcome {
        let (user, reason) = (self.username, self.reason);
        let banner = format!("Closing connections of user {user}, reason: {reason}...");
        let operation = Operation::CloseConnections {
            vhost: None,
            user: Some(user),
            limit: 0,
            reason,
        };
        tool.act(&banner, operation)
    }
}
