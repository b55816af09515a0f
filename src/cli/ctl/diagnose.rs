//! How the node is: status, health checks, waiting for it.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::TIMED_OUT;
use crate::cli::ctl::Tool;
use crate::cli::ctl::UNAVAILABLE;
use crate::server::Clock;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

const NOT_RUNNING: &str = "is not running or has not fully booted yet (check with is_booting)";

const STARTUP_SECONDS: u64 = 300;
const WAIT_SECONDS: u64 = 10;
const CONNECT_SECONDS: u64 = 30;

/// A number with a unit, as RabbitMQ rounds it.
fn gigabytes(octets: &Value) -> String {
    format!("{:.4} gb", octets.as_f64().unwrap_or(0.0) / 1e9)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn listener_line(listener: &Value) -> String {
    format!(
        "Interface: {}, port: {}, protocol: {}, purpose: {}",
        text(&listener["interface"]),
        listener["port"],
        text(&listener["protocol"]),
        text(&listener["purpose"])
    )
}

/// Whether there is such a process, and not only what is left of one for its parent to see.
fn is_running(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    // The name before the state may hold anything.
    let state = status.map(|text| text.rsplit(") ").next().unwrap_or_default().chars().next());
    state.is_ok_and(|state| !matches!(state, Some('Z' | 'X')))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Tool {
    fn state(&self) -> Result<Value, Failure> {
        self.call(Operation::Status)
    }

    fn prints_json(&self, value: &Value) -> bool {
        let machine = self.options.formatter.is_for_machines();
        if machine {
            self.print(&format!("{value}\n"));
        }
        machine
    }

    fn section(&self, title: &str, lines: &[String]) {
        self.print(&format!("{title}\n\n"));
        for line in lines {
            self.print(&format!("{line}\n"));
        }
        self.print("\n");
    }

    pub(super) fn status(&self) -> Outcome {
        self.banner(&format!("Status of node {} ...", self.node()));
        let state = self.state()?;
        if self.prints_json(&state) {
            return Ok(());
        }
        let line = |label: &str, value: &Value| format!("{label}: {}", text(value));
        self.section(
            "Runtime",
            &[
                line("OS PID", &state["pid"]),
                line("OS", &state["os"]),
                line("Uptime (seconds)", &state["uptime"]),
                line("Is under maintenance?", &state["is_under_maintenance"]),
                line("RabbitMQ version", &state["rabbitmq_version"]),
                line("Leveret version", &state["leveret_version"]),
                line("Node name", &state["node"]),
                format!(
                    "Erlang processes: {} used, {} limit",
                    state["processes"]["used"], state["processes"]["limit"]
                ),
            ],
        );
        self.section(
            "Data directory",
            &[line("Node data directory", &state["data_directory"])],
        );
        let logs: Vec<String> = items(&state["log_files"])
            .iter()
            .map(|file| format!(" * {}", file.as_str().unwrap_or_default()))
            .collect();
        self.section("Log file(s)", &logs);
        let alarms: Vec<String> = items(&state["alarms"])
            .iter()
            .map(|name| self.alarm(name))
            .collect();
        match alarms.is_empty() {
            true => self.section("Alarms", &["(none)".to_owned()]),
            false => self.section("Alarms", &alarms),
        }
        let setting = &state["vm_memory_high_watermark_setting"];
        let setting = match setting.get("absolute") {
            Some(octets) => gigabytes(octets),
            None => format!("{} of available memory", setting["relative"]),
        };
        self.section(
            "Memory",
            &[
                format!(
                    "Total memory used: {}",
                    gigabytes(&state["memory"]["total"]["rss"])
                ),
                "Calculation strategy: rss".to_owned(),
                format!(
                    "Memory high watermark setting: {setting}, computed to: {}",
                    gigabytes(&state["vm_memory_high_watermark_limit"])
                ),
            ],
        );
        self.section(
            "File Descriptors",
            &[format!(
                "Total: {}, limit: {}",
                state["file_descriptors"]["total_used"], state["file_descriptors"]["total_limit"]
            )],
        );
        self.section(
            "Free Disk Space",
            &[
                format!(
                    "Low free disk space watermark: {}",
                    gigabytes(&state["disk_free_limit"])
                ),
                format!("Free disk space: {}", gigabytes(&state["disk_free"])),
            ],
        );
        let totals = &state["totals"];
        self.section(
            "Totals",
            &[
                line("Connection count", &totals["connection_count"]),
                line("Queue count", &totals["queue_count"]),
                line("Virtual host count", &totals["virtual_host_count"]),
            ],
        );
        let listeners = items(&state["listeners"]).iter().map(listener_line);
        self.section("Listeners", &listeners.collect::<Vec<_>>());
        Ok(())
    }

    pub(super) fn cluster_status(&self) -> Outcome {
        self.banner(&format!("Cluster status of node {} ...", self.node()));
        let state = self.state()?;
        let node = self.node().to_owned();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shown = serde_json::json!({
            "cluster_name": state["cluster_name"],
            "cluster_tags": {},
            "disk_nodes": [node],
            "ram_nodes": [],
            "running_nodes": [node],
            "partitions": {},
            "versions": {&node: {"rabbitmq_name": state["product_name"], "rabbitmq_version": state["rabbitmq_version"], "erlang_version": "none"}},
            "alarms": state["alarms"],
            "listeners": {&node: state["listeners"]},
            "cpu_cores": {&node: cores},
            "maintenance_status": {&node: "not under maintenance"},
            "feature_flags": [],
        });
        if self.prints_json(&shown) {
            return Ok(());
        }
        self.section(
            "Basics",
            &[
                format!("Cluster name: {}", text(&state["cluster_name"])),
                format!("Total CPU cores available cluster-wide: {cores}"),
            ],
        );
        self.section("Disk Nodes", std::slice::from_ref(&node));
        self.section("Running Nodes", std::slice::from_ref(&node));
        let version = text(&state["rabbitmq_version"]);
        self.section("Versions", &[format!("{node}: RabbitMQ {version}")]);
        self.section(
            "CPU Cores",
            &[format!("Node: {node}, available CPU cores: {cores}")],
        );
        self.section(
            "Maintenance status",
            &[format!("Node: {node}, status: not under maintenance")],
        );
        let alarms: Vec<String> = items(&state["alarms"])
            .iter()
            .map(|name| self.alarm(name))
            .collect();
        match alarms.is_empty() {
            true => self.section("Alarms", &["(none)".to_owned()]),
            false => self.section("Alarms", &alarms),
        }
        self.section("Network Partitions", &["(none)".to_owned()]);
        let listeners = items(&state["listeners"]).iter().map(|listener| {
            let line = listener_line(listener).replacen("Interface", "interface", 1);
            format!("Node: {node}, {line}")
        });
        self.section("Listeners", &listeners.collect::<Vec<_>>());
        Ok(())
    }

    fn alarm(&self, name: &Value) -> String {
        match name.as_str() {
            Some("disk") => format!("Free disk space alarm on node {}", self.node()),
            _ => format!("Memory alarm on node {}", self.node()),
        }
    }

    pub(super) fn ping(&self) -> Outcome {
        let milliseconds = self.options.timeout.unwrap_or(60) * 1000;
        self.banner(&format!(
            "Will ping {}. This only checks if the OS process is running and registered with epmd. Timeout: {milliseconds} ms.",
            self.node()
        ));
        self.call(Operation::Ping).map_err(|failure| {
            let node = self.node();
            let text = format!(
                "Failed to connect and authenticate to {node} in {milliseconds} ms\n{}",
                failure.text
            );
            Failure::new(UNAVAILABLE, text)
        })?;
        self.done("Ping succeeded");
        Ok(())
    }

    pub(super) fn check_running(&self) -> Outcome {
        let node = self.node();
        self.banner(&format!(
            "Checking if RabbitMQ is running on node {node} ..."
        ));
        if self.call(Operation::Ping)?["running"] != true {
            let text = format!("RabbitMQ on node {node} {NOT_RUNNING}");
            return Err(Failure::new(UNAVAILABLE, text));
        }
        self.done(&format!(
            "RabbitMQ on node {node} is fully booted and running"
        ));
        Ok(())
    }

    /// Tells and does not fail.
    pub(super) fn is_running(&self, booting: bool) -> Outcome {
        let node = self.node();
        let state = self.call(Operation::Ping);
        let running = state.is_ok_and(|state| state["running"] == true);
        if booting {
            self.banner(&format!("Asking node {node} for its boot status ..."));
            self.done(&format!("RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not started booting yet"));
        } else {
            self.banner(&format!("Asking node {node} for its status ..."));
            let words = match running {
                true => "is fully booted and running",
                false => NOT_RUNNING,
            };
            self.done(&format!("RabbitMQ on node {node} {words}"));
        }
        Ok(())
    }

    pub(super) fn check_alarms(&self, local: bool, fails: bool) -> Outcome {
        let node = self.node();
        self.banner(&match (fails, local) {
            (true, _) => format!("Asking node {node} to report any local resource alarms ..."),
            (false, _) => format!("Asking node {node} to report any known resource alarms ..."),
        });
        let state = self.state()?;
        let alarms: Vec<String> = items(&state["alarms"])
            .iter()
            .map(|name| self.alarm(name))
            .collect();
        if alarms.is_empty() {
            self.done(&match local {
                true => format!("Node {node} reported no local alarms"),
                false => format!("Node {node} reported no alarms, local or clusterwide"),
            });
            return Ok(());
        }
        let lines = alarms.join("\n");
        match fails {
            true => Err(Failure::new(UNAVAILABLE, lines)),
            false => {
                self.done(&lines);
                Ok(())
            }
        }
    }

    pub(super) fn listeners(&self) -> Outcome {
        let node = self.node();
        self.banner(&format!(
            "Asking node {node} to report its protocol listeners ..."
        ));
        let state = self.state()?;
        let listeners = &state["listeners"];
        let shown = serde_json::json!({"result": "ok", "node": node, "listeners": listeners});
        if !self.prints_json(&shown) {
            for listener in items(listeners) {
                self.print(&format!("{}\n", listener_line(listener)));
            }
        }
        Ok(())
    }

    fn ports(state: &Value) -> Vec<u64> {
        let ports = items(&state["listeners"]).iter();
        ports
            .filter_map(|listener| listener["port"].as_u64())
            .collect()
    }

    pub(super) fn check_port_listener(&self, port: u16) -> Outcome {
        let node = self.node();
        self.banner(&format!(
            "Asking node {node} if there's an active listener on port {port} ..."
        ));
        let ports = Self::ports(&self.state()?);
        if ports.contains(&port.into()) {
            self.done(&format!(
                "A listener for port {port} is running on node {node}."
            ));
            return Ok(());
        }
        let ports: Vec<String> = ports.iter().map(u64::to_string).collect();
        let text = format!(
            "No listener for port {port} is active on node {node}. Found listeners that use the following ports: {}",
            ports.join(", ")
        );
        Err(Failure::new(UNAVAILABLE, text))
    }

    pub(super) fn check_protocol_listener(&self, protocol: &str) -> Outcome {
        let node = self.node();
        self.banner(&format!(
            "Asking node {node} if there's an active listener for protocol {protocol} ..."
        ));
        let wanted = match protocol.to_ascii_lowercase().as_str() {
            "amqp" | "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "0-9-1" => "amqp".to_owned(),
            "prometheus" => "http/prometheus".to_owned(),
            other => other.to_owned(),
        };
        let state = self.state()?;
        let protocols: Vec<String> = items(&state["listeners"])
            .iter()
            .map(|listener| text(&listener["protocol"]))
            .collect();
        if protocols.contains(&wanted) {
            self.done(&format!(
                "A listener for protocol {protocol} is running on node {node}."
            ));
            return Ok(());
        }
        let text = format!(
            "No listener for protocol {protocol} is active on node {node}. Found listeners for the following protocols: {}",
            protocols.join(", ")
        );
        Err(Failure::new(UNAVAILABLE, text))
    }

    pub(super) fn check_port_connectivity(&self, address: Option<IpAddr>) -> Outcome {
        let node = self.node();
        self.banner(&match address {
            None => format!("Testing TCP connections to all active listeners on node {node} using hostname resolution ..."),
            Some(address) => format!("Testing TCP connections to all active listeners on node {node} using {address} for node IP address ..."),
        });
        let state = self.state()?;
        let patience = Duration::from_secs(self.options.timeout.unwrap_or(CONNECT_SECONDS));
        let mut failed = Vec::new();
        for listener in items(&state["listeners"]) {
            let interface = text(&listener["interface"]);
            let interface = interface.trim_matches(['[', ']']).parse::<IpAddr>();
            let port = listener["port"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok());
            let (Ok(interface), Some(port)) = (interface, port) else {
                continue;
            };
            // Whoever listens everywhere listens here too.
            let reached = match interface.is_unspecified() {
                true => Ipv4Addr::LOCALHOST.into(),
                false => interface,
            };
            let target = SocketAddr::from((address.unwrap_or(reached), port));
            if TcpStream::connect_timeout(&target, patience).is_err() {
                failed.push(listener_line(listener));
            }
        }
        if !failed.is_empty() {
            let text = format!(
                "Connection to ports of the following listeners on node {node} failed: \n{}",
                failed.join("\n")
            );
            return Err(Failure::new(UNAVAILABLE, text));
        }
        let ports: Vec<String> = Self::ports(&state).iter().map(u64::to_string).collect();
        self.done(&format!(
            "Successfully connected to ports {} on node {node} (using node hostname resolution)",
            ports.join(", ")
        ));
        Ok(())
    }

    pub(super) fn check_vhosts(&self) -> Outcome {
        let node = self.node();
        self.banner(&format!(
            "Checking if all vhosts are running on node {node} ..."
        ));
        let state = self.state()?;
        match state["store_failure"].as_str() {
            None => {
                self.done(&format!("Node {node} reported all vhosts as running"));
                Ok(())
            }
            Some(error) => {
                let names: Vec<String> = items(&state["vhosts"]).iter().map(text).collect();
                let text = format!(
                    "Some virtual hosts on node {node} are down: {}\n{error}",
                    names.join(", ")
                );
                Err(Failure::new(UNAVAILABLE, text))
            }
        }
    }

    pub(super) fn environment(&self) -> Outcome {
        self.banner(&format!(
            "Application environment of node {} ...",
            self.node()
        ));
        let settings = self.call(Operation::Environment)?;
        if !self.prints_json(&settings) {
            for (key, value) in settings.as_object().into_iter().flatten() {
                self.print(&format!("{key} = {value}\n"));
            }
        }
        Ok(())
    }

    pub(super) fn server_version(&self) -> Outcome {
        self.banner(&format!(
            "Asking node {} for its RabbitMQ version...",
            self.node()
        ));
        let state = self.state()?;
        self.done(&text(&state["rabbitmq_version"]));
        Ok(())
    }

    /// Tries until `ready` has an answer.
    fn until<T>(
        &self,
        seconds: u64,
        what: &str,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Failure> {
        self.flush();
        let clock = Clock::start();
        let seconds = self.options.timeout.unwrap_or(seconds);
        let end = clock.now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            if clock.now() >= end {
                let text = format!(
                    "operation {what} on node {} timed out. Timeout value used: {}",
                    self.node(),
                    seconds * 1000
                );
                return Err(Failure::new(TIMED_OUT, text));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Silent when the node is up.
    pub(super) fn await_startup(&self) -> Outcome {
        self.until(STARTUP_SECONDS, "await_startup", || self.state().ok())?;
        Ok(())
    }

    pub(super) fn await_online_nodes(&self, count: u32) -> Outcome {
        let node = self.node();
        let seconds = self.options.timeout.unwrap_or(STARTUP_SECONDS);
        self.banner(&format!(
            "Will wait for at least {count} nodes to join the cluster of {node}. Timeout: {seconds} seconds."
        ));
        self.until(STARTUP_SECONDS, "await_online_nodes", || {
            self.state().ok().filter(|_| count <= 1)
        })?;
        Ok(())
    }

    pub(super) fn wait(&self, pidfile: Option<&Path>, pid: Option<u32>) -> Outcome {
        let node = self.node();
        let pid = match (pidfile, pid) {
            (_, Some(pid)) => pid,
            (Some(file), None) => {
                self.banner(&format!(
                    "Waiting for pid file '{}' to appear",
                    file.display()
                ));
                let pid = self.until(WAIT_SECONDS, "wait", || {
                    std::fs::read_to_string(file).ok()?.trim().parse().ok()
                })?;
                self.banner(&format!("pid is {pid}"));
                pid
            }
            (None, None) => {
                return Err(Failure::new(
                    crate::cli::ctl::USAGE,
                    "a pid file or --pid is needed",
                ));
            }
        };
        self.banner(&format!(
            "Waiting for erlang distribution on node '{node}' while OS process '{pid}' is running"
        ));
        self.banner(&format!(
            "Waiting for applications 'rabbit_and_plugins' to start on node '{node}'"
        ));
        let up = self.until(WAIT_SECONDS, "wait", || {
            match (is_running(&pid.to_string()), self.state().is_ok()) {
                (false, _) => Some(false),
                (true, true) => Some(true),
                (true, false) => None,
            }
        })?;
        if !up {
            let text = format!("process {pid} is not running");
            return Err(Failure::new(SOFTWARE, text));
        }
        self.done(&format!(
            "Applications 'rabbit_and_plugins' are running on node '{node}'"
        ));
        Ok(())
    }

    pub(super) fn stop(&self, pidfile: Option<&Path>) -> Outcome {
        let node = self.node();
        self.banner(&format!("Stopping and halting node {node} ..."));
        let state = self.call(Operation::Ping)?;
        self.call(Operation::Stop)?;
        let named = pidfile.and_then(|file| std::fs::read_to_string(file).ok());
        let pid = named.map_or_else(|| state["pid"].to_string(), |pid| pid.trim().to_owned());
        self.until(STARTUP_SECONDS, "stop", || {
            (!is_running(&pid)).then_some(())
        })?;
        self.done("");
        Ok(())
    }
}
