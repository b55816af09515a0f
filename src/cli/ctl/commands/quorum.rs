//! Queues that RabbitMQ replicates: here each has one member, this node.

use clap::Args;
use fancy_regex::Regex;
use serde_json::json;

use crate::admin::Operation;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::output::items;
use crate::cli::ctl::tool::Tool;

/// The one member of a quorum queue, with the numbers of the store, which is its log.
#[derive(Args)]
pub(super) struct QuorumStatus {
    /// Name
    queue: String,
}

impl Run for QuorumStatus {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, name, node) = (tool.vhost(), self.queue, tool.node());
        tool.banner(&format!("Status of quorum queue {name} on node {node} ..."));
        let members = tool.call(Operation::QuorumStatus { vhost, name })?;
        let columns = [
            "Node Name",
            "Raft State",
            "Membership",
            "Last Log Index",
            "Last Written",
            "Last Applied",
            "Commit Index",
            "Snapshot Index",
            "Term",
            "Machine Version",
        ];
        tool.pretty(&columns, items(&members));
        Ok(())
    }
}

/// Balance the leaders of queues over the nodes: there is one, and it is told how many it leads.
#[derive(Args)]
pub(super) struct Rebalance {
    /// all, classic, quorum or stream
    queues: String,
    /// Regular expression of virtual hosts
    #[arg(long = "vhost-pattern", default_value = ".*")]
    vhosts: String,
    /// Regular expression of queues
    #[arg(long = "queue-pattern", default_value = ".*")]
    names: String,
}

impl Run for Rebalance {
    fn run(self, tool: &Tool) -> Outcome {
        let kinds: &[(&str, &str)] = match &*self.queues {
            "all" => &[QUORUM, STREAM],
            "quorum" => &[QUORUM],
            "stream" => &[STREAM],
            // They have one copy in RabbitMQ 4 too.
            "classic" => &[],
            other => {
                let text =
                    format!("type {other} is not supported. Try one of all, quorum, stream.");
                return Err(Failure::new(UNAVAILABLE, text));
            }
        };
        tool.banner(&match &*self.queues {
            "stream" => "Re-balancing leaders of streams...".to_owned(),
            kind => format!("Re-balancing leaders of {kind} queues..."),
        });
        let (vhosts, names) = (pattern(&self.vhosts)?, pattern(&self.names)?);
        let mut counts = vec![0_u64; kinds.len()];
        for vhost in tool.names(Operation::ListVhosts)? {
            if !vhosts.is_match(&vhost).unwrap_or(false) {
                continue;
            }
            let queues = tool.call(Operation::ListQueues { vhost })?;
            for queue in items(&queues) {
                let name = queue["name"].as_str().unwrap_or_default();
                if !names.is_match(name).unwrap_or(false) {
                    continue;
                }
                for ((kind, _), count) in kinds.iter().zip(&mut counts) {
                    *count += u64::from(queue["type"] == *kind);
                }
            }
        }
        let mut row = json!({"Node name": tool.node()});
        let mut columns = vec!["Node name"];
        for ((_, column), count) in kinds.iter().zip(counts).filter(|(_, count)| *count > 0) {
            row[*column] = count.into();
            columns.push(column);
        }
        // Without a queue there is no row.
        if columns.len() > 1 {
            tool.pretty(&columns, &[row]);
        }
        Ok(())
    }
}

/// A type of queues, and how its column is called.
const QUORUM: (&str, &str) = ("quorum", "Number of quorum queues");
const STREAM: (&str, &str) = ("stream", "Number of streams");

fn pattern(text: &str) -> Result<Regex, Failure> {
    Regex::new(text).map_err(|error| Failure::new(DATA, format!("invalid pattern: {error}")))
}
