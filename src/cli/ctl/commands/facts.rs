//! What is to be known of a node and of the machine that it runs on.

use std::net::ToSocketAddrs;

use clap::Args;
use clap::CommandFactory;
use serde_json::Value;
use serde_json::json;

use crate::admin::Operation;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Cli;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::commands::bad_unit;
use crate::cli::ctl::commands::state::listener;
use crate::cli::ctl::output::Formatter;
use crate::cli::ctl::output::items;
use crate::cli::ctl::output::plain;
use crate::cli::ctl::tool::Tool;

/// Where the node listens.
#[derive(Args)]
pub(super) struct Listeners;

impl Run for Listeners {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&format!(
            "Asking node {node} to report its protocol listeners ..."
        ));
        let state = tool.call(Operation::Status)?;
        let listeners = &state["listeners"];
        let shown = json!({"result": "ok", "node": node, "listeners": listeners});
        if !tool.prints_json(&shown)? {
            for it in items(listeners) {
                tool.print(&format!("{}\n", listener(it)));
            }
        }
        Ok(())
    }
}

/// The version that the node presents.
#[derive(Args)]
pub(super) struct ServerVersion;

impl Run for ServerVersion {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Asking node {} for its RabbitMQ version...", tool.node());
        tool.banner(&banner);
        let state = tool.call(Operation::Status)?;
        tool.done(&plain(&state["rabbitmq_version"]));
        Ok(())
    }
}

/// The version that the node presents, without asking it.
#[derive(Args)]
pub(super) struct Version;

impl Run for Version {
    fn run(self, tool: &Tool) -> Outcome {
        tool.done(tool.version());
        Ok(())
    }
}

/// The settings that hold.
#[derive(Args)]
pub(super) struct Environment;

impl Run for Environment {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(&format!(
            "Application environment of node {} ...",
            tool.node()
        ));
        let settings = tool.call(Operation::Environment)?;
        if !tool.prints_json(&settings)? {
            for (key, value) in settings.as_object().into_iter().flatten() {
                tool.print(&format!("{key} = {value}\n"));
            }
        }
        Ok(())
    }
}

/// The variables of the node's environment that set something.
#[derive(Args)]
pub(super) struct OsEnv;

impl Run for OsEnv {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&format!(
            "Listing RabbitMQ-specific environment variables defined on node {node}..."
        ));
        let variables = tool.call(Operation::Variables)?;
        let rows = variables.as_object().into_iter().flatten();
        if tool.formatter() == Formatter::Csv {
            let rows = rows.map(|(name, value)| json!({"variable": name, "value": value}));
            tool.rows(&["variable", "value"], &rows.collect::<Vec<_>>());
            return Ok(());
        }
        let shown = json!({"result": "ok", "node": node, "variables": variables});
        if !tool.prints_json(&shown)? {
            let lines: Vec<String> = rows
                .map(|(name, value)| format!("{name}={}", plain(value)))
                .collect();
            tool.done(&match lines.is_empty() {
                true => format!("Node {node} reported no relevant environment variables."),
                false => lines.join("\n"),
            });
        }
        Ok(())
    }
}

/// What keeps definitions.
#[derive(Args)]
pub(super) struct MetadataStoreStatus;

impl Run for MetadataStoreStatus {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Status of metadata store on node {} ...", tool.node());
        tool.banner(&banner);
        tool.call(Operation::Status)?;
        tool.pretty(&["Metadata Store"], &[json!({"Metadata Store": "redb"})]);
        Ok(())
    }
}

/// How much memory is used for what.
#[derive(Args)]
pub(super) struct MemoryBreakdown {
    /// bytes, kb, mb or gb
    #[arg(long, default_value = "gb")]
    unit: String,
}

impl Run for MemoryBreakdown {
    fn run(self, tool: &Tool) -> Outcome {
        let unit = self.unit;
        let divisor = match unit.to_ascii_lowercase().as_str() {
            "b" | "bytes" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            _ => return Err(bad_unit(&unit, &["bytes", "kb", "mb", "gb"])),
        };
        tool.banner(&format!(
            "Reporting memory breakdown on node {}...",
            tool.node()
        ));
        let state = tool.call(Operation::Status)?;
        let total = state["memory"]["total"]["rss"].as_f64().unwrap_or(0.0);
        let queues = state["memory"]["queue_messages"].as_f64().unwrap_or(0.0);
        let mut parts = [("messages", queues), ("other", (total - queues).max(0.0))];
        parts.sort_by(|left, right| right.1.total_cmp(&left.1));
        let percentage = |octets: f64| 100.0 * octets / total.max(1.0);
        let shown = parts.map(|(name, octets)| {
            let part = json!({"bytes": octets, "percentage": percentage(octets)});
            (name.to_owned(), part)
        });
        if tool.prints_json(&Value::Object(shown.into_iter().collect()))? {
            return Ok(());
        }
        for (name, octets) in parts {
            let (amount, percentage) = (octets / divisor, percentage(octets));
            tool.print(&format!("{name}: {amount:.4} {unit} ({percentage:.2}%)\n"));
        }
        Ok(())
    }
}

/// The addresses of a host.
#[derive(Args)]
pub(super) struct ResolveHostname {
    /// Name
    hostname: String,
    /// ipv4 or ipv6
    #[arg(long = "address-family", default_value = "ipv4")]
    address_family: String,
    /// On this machine, which is the node's
    #[arg(long)]
    offline: bool,
}

impl Run for ResolveHostname {
    fn run(self, tool: &Tool) -> Outcome {
        let (host, family) = (self.hostname, self.address_family);
        let (shown, v6) = match family.to_ascii_lowercase().as_str() {
            "ipv4" | "inet" => ("IPv4", false),
            "ipv6" | "inet6" => ("IPv6", true),
            _ => {
                let text =
                    format!("unsupported IP address family {family}. Valid values are: ipv4, ipv6");
                return Err(bad_argument(&text));
            }
        };
        tool.banner(&format!(
            "Asking node {} to resolve hostname {host} to {shown} addresses...",
            tool.node()
        ));
        let failed = |why: &str| {
            let text = format!("Hostname does not resolve (resolution failed with an {why})");
            Failure::new(DATA, text)
        };
        let found = (host.as_str(), 0).to_socket_addrs();
        let found = found.map_err(|error| failed(&format!("error: {error}")))?;
        let mut found: Vec<_> = found.map(|address| address.ip()).collect();
        found.retain(|address| address.is_ipv6() == v6);
        found.dedup();
        if found.is_empty() {
            return Err(failed("nxdomain"));
        }
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        tool.done(&lines.join("\n"));
        Ok(())
    }
}

/// List certificates of listeners: there are none.
#[derive(Args)]
pub(super) struct Certificates;

impl Run for Certificates {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(&format!("Certificates of node {} ...", tool.node()));
        tool.answer(Operation::Status, "#{}")
    }
}

/// The commands that begin with a text.
#[derive(Args)]
pub(super) struct Autocomplete {
    /// The text
    #[arg(default_value = "")]
    prefix: String,
}

impl Run for Autocomplete {
    fn run(self, tool: &Tool) -> Outcome {
        for command in Cli::command().get_subcommands() {
            if command.get_name().starts_with(&self.prefix) {
                tool.print(&format!("{}\n", command.get_name()));
            }
        }
        Ok(())
    }
}
