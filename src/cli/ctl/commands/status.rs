//! How the node is: its state section by section.

use clap::Args;
use serde_json::Value;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::plugins::BUILT_IN;
use crate::cli::ctl::commands::state::alarms;
use crate::cli::ctl::commands::state::listener;
use crate::cli::ctl::output::Formatter;
use crate::cli::ctl::output::items;
use crate::cli::ctl::output::plain;
use crate::cli::ctl::terms;
use crate::cli::ctl::terms::Language;
use crate::cli::ctl::tool::Tool;

/// A number with a unit, as RabbitMQ rounds it.
fn gigabytes(octets: &Value) -> String {
    format!("{:.4} gb", octets.as_f64().unwrap_or(0.0) / 1e9)
}

fn section(tool: &Tool, title: &str, lines: &[String]) {
    tool.print(&format!("{title}\n\n"));
    for line in lines {
        tool.print(&format!("{line}\n"));
    }
    tool.print("\n");
}

/// A section that says so when it is empty.
fn section_or_none(tool: &Tool, title: &str, lines: &[String]) {
    match lines.is_empty() {
        true => section(tool, title, &["(none)".to_owned()]),
        false => section(tool, title, lines),
    }
}

/// How the node is.
#[derive(Args)]
pub(super) struct Status;

impl Run for Status {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(&format!("Status of node {} ...", tool.node()));
        let mut state = tool.call(Operation::Status)?;
        state["active_plugins"] = BUILT_IN.into();
        if tool.prints_json(&state)? {
            return Ok(());
        }
        let line = |label: &str, value: &Value| format!("{label}: {}", plain(value));
        section(
            tool,
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
        let plugins = items(&state["active_plugins"]).iter();
        let plugins: Vec<String> = plugins.map(|name| format!(" * {}", plain(name))).collect();
        section(
            tool,
            "Plugins",
            &[
                &["Enabled plugins:".to_owned(), String::new()],
                &plugins[..],
            ]
            .concat(),
        );
        let directory = line("Node data directory", &state["data_directory"]);
        section(tool, "Data directory", &[directory]);
        let files = items(&state["config_files"]).iter();
        let files: Vec<String> = files.map(|file| format!(" * {}", plain(file))).collect();
        section_or_none(tool, "Config files", &files);
        let logs = items(&state["log_files"]).iter();
        let logs: Vec<String> = logs.map(|file| format!(" * {}", plain(file))).collect();
        section(tool, "Log file(s)", &logs);
        section_or_none(tool, "Alarms", &alarms(tool.node(), &state));
        let setting = &state["vm_memory_high_watermark_setting"];
        let setting = match setting.get("absolute") {
            Some(octets) => gigabytes(octets),
            None => format!("{} of available memory", setting["relative"]),
        };
        section(
            tool,
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
        let files = &state["file_descriptors"];
        let files = format!(
            "Total: {}, limit: {}",
            files["total_used"], files["total_limit"]
        );
        section(tool, "File Descriptors", &[files]);
        section(
            tool,
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
        section(
            tool,
            "Totals",
            &[
                line("Connection count", &totals["connection_count"]),
                line("Queue count", &totals["queue_count"]),
                line("Virtual host count", &totals["virtual_host_count"]),
            ],
        );
        let listeners: Vec<String> = items(&state["listeners"]).iter().map(listener).collect();
        section(tool, "Listeners", &listeners);
        Ok(())
    }
}

/// What Chef reads of a cluster, as terms.
fn cluster_terms(node: &str, state: &Value, maintenance: &str) -> String {
    let node = terms::atom(node);
    let text = |text: &str| Language::Erlang.text(text);
    let name = text(&plain(&state["cluster_name"]));
    let alarms: Vec<String> = items(&state["alarms"]).iter().map(plain).collect();
    let alarms = alarms.join(",");
    let maintenance = text(maintenance);
    format!(
        "[{{nodes,[{{disc,[{node}]}}]}},\n {{running_nodes,[{node}]}},\n {{cluster_name,{name}}},\n {{partitions,[]}},\n \
         {{alarms,[{{{node},[{alarms}]}}]}},\n {{maintenance_status,[{{{node},{maintenance}}}]}}]\n"
    )
}

/// What the cluster is: this node.
#[derive(Args)]
pub(super) struct ClusterStatus;

impl Run for ClusterStatus {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(&format!("Cluster status of node {} ...", tool.node()));
        let state = tool.call(Operation::Status)?;
        let features = tool.call(Operation::ListFeatures)?;
        let node = tool.node().to_owned();
        let maintenance = match state["is_under_maintenance"] == true {
            true => "marked for maintenance",
            false => "not under maintenance",
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if tool.formatter() == Formatter::Erlang {
            tool.print(&cluster_terms(&node, &state, maintenance));
            return Ok(());
        }
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
            "maintenance_status": {&node: maintenance},
            "feature_flags": features,
        });
        if tool.prints_json(&shown)? {
            return Ok(());
        }
        section(
            tool,
            "Basics",
            &[
                format!("Cluster name: {}", plain(&state["cluster_name"])),
                format!("Total CPU cores available cluster-wide: {cores}"),
            ],
        );
        section(tool, "Disk Nodes", std::slice::from_ref(&node));
        section(tool, "Running Nodes", std::slice::from_ref(&node));
        let version = plain(&state["rabbitmq_version"]);
        section(tool, "Versions", &[format!("{node}: RabbitMQ {version}")]);
        let cores = format!("Node: {node}, available CPU cores: {cores}");
        section(tool, "CPU Cores", &[cores]);
        let maintenance = format!("Node: {node}, status: {maintenance}");
        section(tool, "Maintenance status", &[maintenance]);
        section_or_none(tool, "Alarms", &alarms(&node, &state));
        section_or_none(tool, "Network Partitions", &[]);
        let listeners = items(&state["listeners"]).iter().map(|it| {
            let line = listener(it).replacen("Interface", "interface", 1);
            format!("Node: {node}, {line}")
        });
        section(tool, "Listeners", &listeners.collect::<Vec<_>>());
        let features = items(&features).iter().map(|feature| {
            let (name, state) = (plain(&feature["name"]), plain(&feature["state"]));
            format!("Flag: {name}, state: {state}")
        });
        section(tool, "Feature flags", &features.collect::<Vec<_>>());
        Ok(())
    }
}
