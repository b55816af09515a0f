//! Checks that end well or not, for whoever watches the node.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::TIMED_OUT;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::commands::bad_unit;
use crate::cli::ctl::commands::state::alarms;
use crate::cli::ctl::commands::state::listener;
use crate::cli::ctl::commands::state::ports;
use crate::cli::ctl::commands::state::ports_in_words;
use crate::cli::ctl::output::items;
use crate::cli::ctl::output::plain;
use crate::cli::ctl::tool::Tool;

const NOT_RUNNING: &str = "is not running or has not fully booted yet (check with is_booting)";

const PING_SECONDS: u64 = 60;
const CONNECT_SECONDS: u64 = 30;

/// Whether the node's process answers.
#[derive(Args)]
pub(super) struct Ping;

impl Run for Ping {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let milliseconds = tool.seconds(PING_SECONDS) * 1000;
        tool.banner(&format!(
            "Will ping {node}. This only checks if the OS process is running and registered with epmd. Timeout: {milliseconds} ms."
        ));
        tool.call(Operation::Ping).map_err(|failure| {
            let text = format!("Failed to connect and authenticate to {node} in {milliseconds} ms");
            let text = match failure.exit {
                TIMED_OUT => text,
                _ => format!("{text}\n{}", failure.text),
            };
            Failure::new(UNAVAILABLE, text)
        })?;
        tool.done("Ping succeeded");
        Ok(())
    }
}

/// Whether the node is up.
#[derive(Args)]
pub(super) struct CheckRunning;

impl Run for CheckRunning {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&format!(
            "Checking if RabbitMQ is running on node {node} ..."
        ));
        if tool.call(Operation::Ping)?["running"] != true {
            let text = format!("RabbitMQ on node {node} {NOT_RUNNING}");
            return Err(Failure::new(UNAVAILABLE, text));
        }
        tool.done(&format!(
            "RabbitMQ on node {node} is fully booted and running"
        ));
        Ok(())
    }
}

/// Tell whether it is.
#[derive(Args)]
pub(super) struct IsRunning;

impl Run for IsRunning {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let state = tool.call(Operation::Ping);
        let running = state.is_ok_and(|state| state["running"] == true);
        tool.banner(&format!("Asking node {node} for its status ..."));
        let words = match running {
            true => "is fully booted and running",
            false => NOT_RUNNING,
        };
        tool.done(&format!("RabbitMQ on node {node} {words}"));
        Ok(())
    }
}

/// Tell whether it is starting.
#[derive(Args)]
pub(super) struct IsBooting;

impl Run for IsBooting {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&format!("Asking node {node} for its boot status ..."));
        tool.done(&format!("RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not started booting yet"));
        Ok(())
    }
}

/// Words when no alarm is up, or which are.
fn look_at_alarms(tool: &Tool, known: &str, none: &str) -> Result<Option<String>, Failure> {
    let node = tool.node();
    tool.banner(&format!(
        "Asking node {node} to report any {known} resource alarms ..."
    ));
    let alarms = alarms(node, &tool.call(Operation::Status)?);
    if alarms.is_empty() {
        tool.done(&format!("Node {node} reported no {none}"));
        return Ok(None);
    }
    Ok(Some(alarms.join("\n")))
}

const ANY_ALARM: &str = "alarms, local or clusterwide";

/// Fail when an alarm is up.
#[derive(Args)]
pub(super) struct CheckAlarms;

impl Run for CheckAlarms {
    fn run(self, tool: &Tool) -> Outcome {
        match look_at_alarms(tool, "local", ANY_ALARM)? {
            Some(alarms) => Err(Failure::new(UNAVAILABLE, alarms)),
            None => Ok(()),
        }
    }
}

/// Fail when an alarm of this node is up.
#[derive(Args)]
pub(super) struct CheckLocalAlarms;

impl Run for CheckLocalAlarms {
    fn run(self, tool: &Tool) -> Outcome {
        match look_at_alarms(tool, "local", "local alarms")? {
            Some(alarms) => Err(Failure::new(UNAVAILABLE, alarms)),
            None => Ok(()),
        }
    }
}

/// Tell which alarms are up.
#[derive(Args)]
pub(super) struct Alarms;

impl Run for Alarms {
    fn run(self, tool: &Tool) -> Outcome {
        if let Some(alarms) = look_at_alarms(tool, "known", ANY_ALARM)? {
            tool.done(&alarms);
        }
        Ok(())
    }
}

/// Fail when one of the node's ports cannot be connected to.
#[derive(Args)]
pub(super) struct CheckPortConnectivity {
    /// At this address
    #[arg(long)]
    address: Option<IpAddr>,
}

impl Run for CheckPortConnectivity {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&match self.address {
            None => format!("Testing TCP connections to all active listeners on node {node} using hostname resolution ..."),
            Some(address) => format!("Testing TCP connections to all active listeners on node {node} using {address} for node IP address ..."),
        });
        let state = tool.call(Operation::Status)?;
        let patience = Duration::from_secs(tool.seconds(CONNECT_SECONDS));
        let mut failed = Vec::new();
        for it in items(&state["listeners"]) {
            let interface = plain(&it["interface"]);
            let interface = interface.trim_matches(['[', ']']).parse::<IpAddr>();
            let port = it["port"].as_u64().map(u16::try_from);
            let (Ok(interface), Some(Ok(port))) = (interface, port) else {
                continue;
            };
            // Whoever listens everywhere listens here too.
            let reached = match interface.is_unspecified() {
                true => Ipv4Addr::LOCALHOST.into(),
                false => interface,
            };
            let target = SocketAddr::from((self.address.unwrap_or(reached), port));
            if TcpStream::connect_timeout(&target, patience).is_err() {
                failed.push(listener(it));
            }
        }
        if !failed.is_empty() {
            let text = format!(
                "Connection to ports of the following listeners on node {node} failed: \n{}",
                failed.join("\n")
            );
            return Err(Failure::new(UNAVAILABLE, text));
        }
        tool.done(&format!(
            "Successfully connected to ports {} on node {node} (using node hostname resolution)",
            ports_in_words(&state)
        ));
        Ok(())
    }
}

/// Fail when nobody listens on a port.
#[derive(Args)]
pub(super) struct CheckPortListener {
    /// Port
    port: String,
}

impl Run for CheckPortListener {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let port = self.port.parse::<u64>().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| bad_argument("Argument must be a positive integer"))?;
        tool.banner(&format!(
            "Asking node {node} if there's an active listener on port {port} ..."
        ));
        let state = tool.call(Operation::Status)?;
        if ports(&state).contains(&port) {
            tool.done(&format!(
                "A listener for port {port} is running on node {node}."
            ));
            return Ok(());
        }
        let text = format!(
            "No listener for port {port} is active on node {node}. Found listeners that use the following ports: {}",
            ports_in_words(&state)
        );
        Err(Failure::new(UNAVAILABLE, text))
    }
}

/// Fail when nobody listens for a protocol.
#[derive(Args)]
pub(super) struct CheckProtocolListener {
    /// amqp, http or http/prometheus
    protocol: String,
}

impl Run for CheckProtocolListener {
    fn run(self, tool: &Tool) -> Outcome {
        let (node, protocol) = (tool.node(), self.protocol);
        tool.banner(&format!(
            "Asking node {node} if there's an active listener for protocol {protocol} ..."
        ));
        let wanted = match protocol.to_ascii_lowercase().as_str() {
            "amqp" | "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "0-9-1" => "amqp".to_owned(),
            "prometheus" => "http/prometheus".to_owned(),
            other => other.to_owned(),
        };
        let state = tool.call(Operation::Status)?;
        let listeners = items(&state["listeners"]).iter();
        let protocols: Vec<String> = listeners.map(|it| plain(&it["protocol"])).collect();
        if protocols.contains(&wanted) {
            tool.done(&format!(
                "A listener for protocol {wanted} is running on node {node}."
            ));
            return Ok(());
        }
        let text = format!(
            "No listener for protocol {protocol} is active on node {node}. Found listeners for the following protocols: {}",
            protocols.join(", ")
        );
        Err(Failure::new(UNAVAILABLE, text))
    }
}

/// Fail when a virtual host is down.
#[derive(Args)]
pub(super) struct CheckVirtualHosts;

impl Run for CheckVirtualHosts {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&format!(
            "Checking if all vhosts are running on node {node} ..."
        ));
        let state = tool.call(Operation::Status)?;
        let Some(error) = state["store_failure"].as_str() else {
            tool.done(&format!("Node {node} reported all vhosts as running"));
            return Ok(());
        };
        let names: Vec<String> = items(&state["vhosts"]).iter().map(plain).collect();
        let text = format!(
            "Some virtual hosts on node {node} are down: {}\n{error}",
            names.join(", ")
        );
        Err(Failure::new(UNAVAILABLE, text))
    }
}

/// Does nothing, as in RabbitMQ.
#[derive(Args)]
pub(super) struct NodeHealthCheck;

impl Run for NodeHealthCheck {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(
            "This command is DEPRECATED and is a no-op. It will be removed in a future version.",
        );
        Ok(())
    }
}

/// Fail when a listener's certificate expires soon.
#[derive(Args)]
pub(super) struct CheckCertificateExpiration {
    /// So many units
    #[arg(long, default_value_t = 4)]
    within: u32,
    /// days, weeks, months or years
    #[arg(long, default_value = "weeks")]
    unit: String,
}

impl Run for CheckCertificateExpiration {
    fn run(self, tool: &Tool) -> Outcome {
        let (within, unit) = (self.within, self.unit);
        let banner = format!(
            "Checking certificate expiration on node {} ...",
            tool.node()
        );
        let known = ["days", "weeks", "months", "years"];
        if !known.contains(&&*unit) {
            return Err(bad_unit(&unit, &known));
        }
        tool.banner(&banner);
        let unit = match within {
            1 => unit.trim_end_matches('s'),
            _ => &unit,
        };
        let words = format!("No certificates are expiring within {within} {unit}.");
        tool.answer(Operation::Status, &words)
    }
}
