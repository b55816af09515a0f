//! Virtual hosts: what there is, what is noted about them, tracing.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::tool::Tool;

/// What is noted about a virtual host.
#[derive(Args)]
struct Notes {
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// For tools, with commas
    #[arg(long, value_delimiter = ',')]
    tags: Option<Vec<String>>,
    /// classic, quorum or stream
    #[arg(long = "default-queue-type")]
    default_queue_type: Option<String>,
}

/// Create a virtual host; one that is there stays as it is.
#[derive(Args)]
pub(super) struct AddVhost {
    /// Name
    vhost: String,
    #[command(flatten)]
    notes: Notes,
}

impl Run for AddVhost {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Adding vhost \"{}\" ...", self.vhost);
        let operation = Operation::AddVhost {
            name: self.vhost,
            description: self.notes.description,
            tags: self.notes.tags,
            default_queue_type: self.notes.default_queue_type,
        };
        tool.act(&banner, operation)
    }
}

/// Change what is noted about a virtual host.
#[derive(Args)]
pub(super) struct UpdateVhostMetadata {
    /// Name
    vhost: String,
    #[command(flatten)]
    notes: Notes,
}

impl Run for UpdateVhostMetadata {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Updating metadata of vhost \"{}\" ...", self.vhost);
        let operation = Operation::UpdateVhost {
            name: self.vhost,
            description: self.notes.description,
            tags: self.notes.tags,
            default_queue_type: self.notes.default_queue_type,
        };
        tool.act(&banner, operation)
    }
}

/// Replace a virtual host's tags.
#[derive(Args)]
pub(super) struct SetVhostTags {
    /// Name
    vhost: String,
    /// Tags
    tags: Vec<String>,
}

impl Run for SetVhostTags {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, tags) = (self.vhost, self.tags);
        let shown = tags.join(", ");
        let banner = format!("Setting tags for virtual host \"{name}\" to [{shown}] ...");
        let operation = Operation::UpdateVhost {
            name,
            description: None,
            tags: Some(tags),
            default_queue_type: None,
        };
        tool.act(&banner, operation)
    }
}

/// Refuse to delete a virtual host from now on.
#[derive(Args)]
pub(super) struct EnableVhostDeletionProtection {
    /// Name
    vhost: String,
}

impl Run for EnableVhostDeletionProtection {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, protected) = (self.vhost, true);
        let banner =
            format!("Protecting virtual host \"{name}\" from removal by updating its metadata...");
        tool.act(&banner, Operation::ProtectVhost { name, protected })
    }
}

/// Allow to delete a virtual host again.
#[derive(Args)]
pub(super) struct DisableVhostDeletionProtection {
    /// Name
    vhost: String,
}

impl Run for DisableVhostDeletionProtection {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, protected) = (self.vhost, false);
        let banner = format!(
            "Removing deletion protection from virtual host \"{name}\" by updating its metadata..."
        );
        tool.act(&banner, Operation::ProtectVhost { name, protected })
    }
}

/// Delete a virtual host with everything in it.
#[derive(Args)]
pub(super) struct DeleteVhost {
    /// Name
    vhost: String,
}

impl Run for DeleteVhost {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.vhost;
        let banner = format!("Deleting vhost \"{name}\" ...");
        tool.act(&banner, Operation::DeleteVhost { name })
    }
}

/// List virtual hosts.
#[derive(Args)]
pub(super) struct ListVhosts {
    /// name, description, tags, default_queue_type, tracing, ... [default: name]
    columns: Vec<String>,
}

impl Run for ListVhosts {
    fn run(self, tool: &Tool) -> Outcome {
        let known = [
            "name",
            "description",
            "tags",
            "default_queue_type",
            "protected_from_deletion",
            "tracing",
            "cluster_state",
            "metadata",
        ];
        let banner = ["Listing vhosts ..."];
        let asked = &self.columns;
        tool.list(&banner, Operation::ListVhosts, asked, &["name"], &known)
    }
}

/// Copy what is published and delivered in a virtual host to amq.rabbitmq.trace.
#[derive(Args)]
pub(super) struct TraceOn;

impl Run for TraceOn {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, on) = (tool.vhost(), true);
        tool.banner(&format!("Starting tracing for vhost \"{vhost}\" ..."));
        let done = format!("Trace enabled for vhost {vhost}");
        tool.answer(Operation::Trace { vhost, on }, &done)
    }
}

/// Stop copying.
#[derive(Args)]
pub(super) struct TraceOff;

impl Run for TraceOff {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, on) = (tool.vhost(), false);
        tool.banner(&format!("Stopping tracing for vhost \"{vhost}\" ..."));
        let done = format!("Trace disabled for vhost {vhost}");
        tool.answer(Operation::Trace { vhost, on }, &done)
    }
}

/// Say whether a virtual host runs, which each does.
#[derive(Args)]
pub(super) struct RestartVhost;

impl Run for RestartVhost {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, node) = (tool.vhost(), tool.node());
        tool.banner(&format!(
            "Trying to restart vhost '{vhost}' on node '{node}' ..."
        ));
        if tool.names(Operation::ListVhosts)?.contains(&vhost) {
            tool.done(&format!(
                "Vhost '{vhost}' is already running on node '{node}'"
            ));
            return Ok(());
        }
        let text = format!(
            "Failed to start vhost '{vhost}' on node '{node}'Reason: {{:no_such_vhost, \"{vhost}\"}}"
        );
        Err(Failure::new(SOFTWARE, text))
    }
}

/// Say that all virtual hosts are there, which they are.
#[derive(Args)]
pub(super) struct ReconcileVhosts;

impl Run for ReconcileVhosts {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(
            "Will try to initiate virtual host reconciliation on all reachable cluster nodes...",
        );
        tool.answer(
            Operation::ListVhosts,
            "Will reconcile all virtual hosts in the cluster. This operation is asynchronous.",
        )
    }
}
