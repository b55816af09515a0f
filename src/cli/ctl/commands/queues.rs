//! What is done to one queue.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::output;
use crate::cli::ctl::tool::Tool;
use crate::definitions;

const BROWSED: &[&str] = &[
    "position",
    "exchange",
    "routing_key",
    "redelivered",
    "delivery_count",
    "payload_bytes",
    "payload_encoding",
    "properties",
    "payload",
];

/// Drop all ready messages of a queue.
#[derive(Args)]
pub(super) struct PurgeQueue {
    /// Name
    queue: String,
}

impl Run for PurgeQueue {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, name) = (tool.vhost(), self.queue);
        let banner = format!("Purging queue '{name}' in vhost '{vhost}' ...");
        tool.act(&banner, Operation::PurgeQueue { vhost, name })
    }
}

/// Delete a queue.
#[derive(Args)]
pub(super) struct DeleteQueue {
    /// Name
    queue: String,
    /// Only if it is empty
    #[arg(short = 'e', long = "if-empty")]
    if_empty: bool,
    /// Only if nobody consumes from it
    #[arg(short = 'u', long = "if-unused")]
    if_unused: bool,
}

impl Run for DeleteQueue {
    fn run(self, tool: &Tool) -> Outcome {
        let (vhost, name) = (tool.vhost(), self.queue);
        let empty = if self.if_empty {
            "if queue is empty "
        } else {
            ""
        };
        let unused = if self.if_unused {
            "if queue is unused "
        } else {
            ""
        };
        tool.banner(&format!(
            "Deleting queue '{name}' on vhost '{vhost}' {empty}{unused}..."
        ));
        let deleted = tool.call(Operation::DeleteQueue {
            vhost,
            name,
            if_empty: self.if_empty,
            if_unused: self.if_unused,
        })?;
        tool.done(&format!(
            "Queue was successfully deleted with {} ready messages",
            deleted["ready"]
        ));
        Ok(())
    }
}

/// Show ready messages and leave them as they are: browse orders --limit 10 --header kind=invoice.
#[derive(Args)]
pub(super) struct Browse {
    /// Queue
    queue: String,
    /// From this position on, as the last look said
    #[arg(long, default_value_t = 0)]
    position: u64,
    /// Begin with the first that has been there for at most so long: seconds, or 10m, 1h, 7D
    #[arg(long, conflicts_with = "position")]
    age: Option<String>,
    /// So many messages, at most 1000
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// So many octets of each body
    #[arg(long)]
    truncate: Option<usize>,
    /// Only with this header: name=value; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Only bodies that contain this
    #[arg(long)]
    body: Option<String>,
}

impl Run for Browse {
    fn run(self, tool: &Tool) -> Outcome {
        let headers = self.header.iter().map(|header| {
            let (name, value) = header
                .split_once('=')
                .ok_or_else(|| bad_argument(&format!("{header} is no name=value of a header")))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let headers = headers.collect::<Result<_, Failure>>()?;
        let age = self.age.map(|age| {
            definitions::age(&age).ok_or_else(|| bad_argument(&format!("{age} is no age")))
        });
        let (vhost, name) = (tool.vhost(), self.queue);
        tool.banner(&format!(
            "Showing messages of queue '{name}' in vhost '{vhost}' ..."
        ));
        let looked = tool.call(Operation::Browse {
            vhost,
            name,
            from: self.position,
            age_ms: age.transpose()?,
            limit: self.limit,
            truncate: self.truncate,
            headers,
            body: self.body,
        })?;
        tool.rows(BROWSED, output::items(&looked["messages"]));
        // On standard error, for it is no message.
        if let Some(next) = looked["next_position"].as_u64() {
            eprintln!("There may be more: --position {next}");
        }
        Ok(())
    }
}
