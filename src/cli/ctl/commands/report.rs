//! Everything about a node in one text.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::facts::Environment;
use crate::cli::ctl::commands::lists::ListBindings;
use crate::cli::ctl::commands::lists::ListChannels;
use crate::cli::ctl::commands::lists::ListConnections;
use crate::cli::ctl::commands::lists::ListExchanges;
use crate::cli::ctl::commands::lists::ListQueues;
use crate::cli::ctl::commands::parameters::ListGlobalParameters;
use crate::cli::ctl::commands::parameters::ListParameters;
use crate::cli::ctl::commands::permissions::ListPermissions;
use crate::cli::ctl::commands::policies::ListPolicies;
use crate::cli::ctl::commands::status::ClusterStatus;
use crate::cli::ctl::commands::status::Status;
use crate::cli::ctl::tool::Tool;

/// One command of it, and an empty line.
fn part(tool: &Tool, command: impl Run) -> Outcome {
    command.run(tool)?;
    tool.print("\n");
    Ok(())
}

/// Everything that is to be known of the node, for somebody who is to help.
#[derive(Args)]
pub(super) struct Report;

impl Run for Report {
    /// What RabbitMQ's report has, one after the other.
    fn run(self, tool: &Tool) -> Outcome {
        tool.print(&format!(
            "Reporting server status of node {} ...\n\n",
            tool.node()
        ));
        part(tool, Status)?;
        part(tool, ClusterStatus)?;
        part(tool, Environment)?;
        part(tool, ListConnections::default())?;
        part(tool, ListChannels::default())?;
        part(tool, ListGlobalParameters)?;
        for vhost in tool.names(Operation::ListVhosts)? {
            let within = tool.within(&vhost);
            part(&within, ListQueues::default())?;
            part(&within, ListExchanges::default())?;
            part(&within, ListBindings::default())?;
            part(&within, ListPermissions)?;
            part(&within, ListPolicies)?;
            part(&within, ListParameters)?;
        }
        Ok(())
    }
}
