//! Commands of clusters that a node which is one by itself answers truthfully.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::tool::Tool;

const QUORUM_SECONDS: u64 = 120;

/// A check of the node's part in a cluster.
fn is_alone(tool: &Tool, critical_for: &str) -> Outcome {
    let node = tool.node();
    tool.banner(&format!(
        "Checking if node {node} is critical for {critical_for} ..."
    ));
    tool.answer(
        Operation::Status,
        &format!(
            "Node {node} seems to be the only one in a single node cluster, the check does not apply"
        ),
    )
}

/// A wait for other nodes.
fn does_not_apply(tool: &Tool, banner: &str) -> Outcome {
    tool.banner(banner);
    tool.answer(
        Operation::Status,
        "Target node seems to be the only one in a single node cluster, the command does not apply",
    )
}

/// Fail when a queue would lose its quorum without this node: none is replicated.
#[derive(Args)]
pub(super) struct CheckIfNodeIsQuorumCritical;

impl Run for CheckIfNodeIsQuorumCritical {
    fn run(self, tool: &Tool) -> Outcome {
        is_alone(tool, "quorum of any quorum queues")
    }
}

/// Does nothing, as in RabbitMQ.
#[derive(Args)]
pub(super) struct CheckIfNodeIsMirrorSyncCritical;

impl Run for CheckIfNodeIsMirrorSyncCritical {
    fn run(self, tool: &Tool) -> Outcome {
        is_alone(tool, "data safety of any classic mirrored queues")
    }
}

/// Wait until quorum queues have a quorum and one more: does not apply to a single node.
#[derive(Args)]
pub(super) struct AwaitOnlineQuorumPlusOne;

impl Run for AwaitOnlineQuorumPlusOne {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!(
            "Will wait for a quorum + 1 of nodes to be online for all quorum queues for {} seconds...",
            tool.seconds(QUORUM_SECONDS)
        );
        does_not_apply(tool, &banner)
    }
}

/// Wait until mirrors are synchronised: does not apply to a single node.
#[derive(Args)]
pub(super) struct AwaitOnlineSynchronizedMirror;

impl Run for AwaitOnlineSynchronizedMirror {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!(
            "Will wait for a synchronised mirror be online for all classic mirrored queues for {} seconds...",
            tool.seconds(QUORUM_SECONDS)
        );
        does_not_apply(tool, &banner)
    }
}

/// Fail when a quorum queue has copies that are not complete: no queue has others.
#[derive(Args)]
pub(super) struct CheckIfNewQuorumQueueReplicasHaveFinishedInitialSync;

impl Run for CheckIfNewQuorumQueueReplicasHaveFinishedInitialSync {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let words = format!("Node {node} reported no queues with promotable replicas");
        tool.answer(Operation::Status, &words)
    }
}

/// Fail when a quorum queue has no leader: each has, as long as the node runs.
#[derive(Args)]
pub(super) struct CheckForQuorumQueuesWithoutAnElectedLeader {
    /// Regular expression of queues, or --across-all-vhosts
    #[arg(value_name = "PATTERN")]
    _pattern: Option<String>,
    /// Not in one virtual host alone
    #[arg(long = "across-all-vhosts")]
    _across_all_vhosts: bool,
}

impl Run for CheckForQuorumQueuesWithoutAnElectedLeader {
    fn run(self, tool: &Tool) -> Outcome {
        let words = "Cluster reported no quorum queues without an elected leader";
        tool.answer(Operation::Status, words)
    }
}

/// What is to be done after an upgrade: nothing.
#[derive(Args)]
pub(super) struct PostUpgrade;

impl Run for PostUpgrade {
    fn run(self, tool: &Tool) -> Outcome {
        tool.act("Executing post upgrade tasks...", Operation::Status)
    }
}

/// Tell whether all nodes of the cluster are there: the one is.
#[derive(Args)]
pub(super) struct HasReachedTargetClusterSize;

impl Run for HasReachedTargetClusterSize {
    fn run(self, tool: &Tool) -> Outcome {
        tool.answer(Operation::Status, "true")
    }
}

/// Look for nodes of the cluster: there are none.
#[derive(Args)]
pub(super) struct DiscoverPeers;

impl Run for DiscoverPeers {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner("Discovering peers nodes ...");
        tool.answer(Operation::Status, "No peers discovered")
    }
}
