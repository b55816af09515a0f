//! `rabbitmq-plugins`: what RabbitMQ has from plugins is built in here, or is not there. No node is asked.

use clap::Args;
use fancy_regex::Regex;
use serde_json::json;

use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::output;
use crate::cli::ctl::output::Formatter;
use crate::cli::ctl::tool::Tool;

/// RabbitMQ's plugins whose work is done here.
const BUILT_IN: &[&str] = &[
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_message_deduplication",
    "rabbitmq_prometheus",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
    "rabbitmq_web_dispatch",
];

/// RabbitMQ's plugins whose work is not.
const MISSING: &[&str] = &[
    "rabbitmq_amqp1_0",
    "rabbitmq_auth_backend_cache",
    "rabbitmq_auth_backend_http",
    "rabbitmq_auth_backend_ldap",
    "rabbitmq_auth_backend_oauth2",
    "rabbitmq_auth_mechanism_ssl",
    "rabbitmq_federation",
    "rabbitmq_federation_management",
    "rabbitmq_jms_topic_exchange",
    "rabbitmq_mqtt",
    "rabbitmq_peer_discovery_aws",
    "rabbitmq_peer_discovery_common",
    "rabbitmq_peer_discovery_consul",
    "rabbitmq_peer_discovery_etcd",
    "rabbitmq_peer_discovery_k8s",
    "rabbitmq_shovel",
    "rabbitmq_shovel_management",
    "rabbitmq_stomp",
    "rabbitmq_stream",
    "rabbitmq_stream_management",
    "rabbitmq_top",
    "rabbitmq_tracing",
    "rabbitmq_trust_store",
    "rabbitmq_web_mqtt",
    "rabbitmq_web_stomp",
];

/// How many of RabbitMQ's plugins are at work.
pub(in crate::cli) fn built_in_count() -> usize {
    BUILT_IN.len()
}

fn not_found(names: &[&String]) -> Failure {
    let names: Vec<String> = names.iter().map(|name| format!(":{name}")).collect();
    let text = format!("{{:plugins_not_found, [{}]}}", names.join(", "));
    Failure::new(UNAVAILABLE, text)
}

fn check_known(plugins: &[String]) -> Outcome {
    let is_known = |name: &str| BUILT_IN.contains(&name) || MISSING.contains(&name);
    let unknown: Vec<&String> = plugins.iter().filter(|name| !is_known(name)).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(not_found(&unknown))
    }
}

/// List plugins: what is built in.
#[derive(Args)]
pub(super) struct List {
    /// Regular expression of names
    #[arg(default_value = ".*")]
    pattern: String,
    /// Names alone
    #[arg(short, long)]
    minimal: bool,
    /// Those that are on
    #[arg(short, long)]
    enabled: bool,
    /// Those that are on because others need them: none
    #[arg(short = 'E', long = "implicitly-enabled")]
    implicitly_enabled: bool,
}

impl Run for List {
    fn run(self, tool: &Tool) -> Outcome {
        let (minimal, enabled) = (self.minimal, self.enabled);
        let pattern = match self.implicitly_enabled {
            true => "^$",
            false => &self.pattern,
        };
        let pattern = Regex::new(pattern)
            .map_err(|error| Failure::new(DATA, format!("invalid pattern: {error}")))?;
        let mut all: Vec<(&str, bool)> = BUILT_IN.iter().map(|name| (*name, true)).collect();
        if !enabled {
            all.extend(MISSING.iter().map(|name| (*name, false)));
        }
        all.retain(|(name, _)| pattern.is_match(name).unwrap_or(false));
        all.sort_unstable();
        let version = tool.version();
        if tool.is_for_machines() {
            let rows = all.iter().map(|(name, there)| {
                let enabled = if *there { "enabled" } else { "not_enabled" };
                json!({"name": name, "enabled": enabled, "running": there, "version": version})
            });
            let rows: Vec<_> = rows.collect();
            let formatter = tool.formatter();
            let text = if formatter == Formatter::Json {
                json!({"status": "running", "format": "normal", "plugins": rows}).to_string()
            } else {
                output::rows(formatter, true, &["name", "enabled", "version"], &rows)
            };
            tool.print(&format!("{}\n", text.trim_end()));
            return Ok(());
        }
        if minimal {
            for (name, _) in all {
                tool.print(&format!("{name}\n"));
            }
            return Ok(());
        }
        tool.banner(&format!(
            "Listing plugins with pattern \"{}\" ...",
            pattern.as_str()
        ));
        tool.banner(" Configured: E = explicitly enabled; e = implicitly enabled");
        tool.banner(&format!(" | Status: * = running on {}", tool.node()));
        tool.banner(" |/");
        let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, there) in all {
            let mark = if there { "[E*]" } else { "[  ]" };
            tool.print(&format!("{mark} {name:width$} {version}\n"));
        }
        Ok(())
    }
}

/// Plugins, and whether the node is to be asked, which it never needs to be.
#[derive(Args)]
struct Change {
    /// The node need not run
    #[arg(long)]
    offline: bool,
    /// The node is asked
    #[arg(long)]
    online: bool,
}

fn enable(tool: &Tool, plugins: &[String], offline: bool) -> Outcome {
    check_known(plugins)?;
    let missing: Vec<&str> = plugins
        .iter()
        .map(String::as_str)
        .filter(|name| MISSING.contains(name))
        .collect();
    if !missing.is_empty() {
        let text = format!(
            "{} not supported by this version of Leveret",
            missing.join(", ")
        );
        return Err(Failure::new(UNAVAILABLE, text));
    }
    tool.banner(&format!("Enabling plugins on node {}:", tool.node()));
    for name in plugins {
        tool.banner(name);
    }
    tool.banner("The plugins have been configured:");
    for name in plugins {
        tool.banner(&format!("  {name}"));
    }
    if offline {
        tool.banner("Offline change; changes will take effect at broker restart.");
    } else {
        tool.banner(&format!(
            "Applying plugin configuration to {}...",
            tool.node()
        ));
    }
    tool.done("Plugin configuration unchanged.");
    Ok(())
}

/// Enable plugins: those that are built in are enabled.
#[derive(Args)]
pub(super) struct Enable {
    /// Names
    #[arg(required = true)]
    plugins: Vec<String>,
    #[command(flatten)]
    change: Change,
}

impl Run for Enable {
    fn run(self, tool: &Tool) -> Outcome {
        enable(tool, &self.plugins, self.change.offline)
    }
}

/// Enable exactly these plugins: what is built in is enabled whatever is said.
#[derive(Args)]
pub(super) struct Set {
    /// Names
    plugins: Vec<String>,
    #[command(flatten)]
    change: Change,
}

impl Run for Set {
    fn run(self, tool: &Tool) -> Outcome {
        enable(tool, &self.plugins, self.change.offline)
    }
}

/// Disable plugins: those that are built in cannot be.
#[derive(Args)]
pub(super) struct Disable {
    /// Names
    #[arg(required = true)]
    plugins: Vec<String>,
    #[command(flatten)]
    _change: Change,
}

impl Run for Disable {
    fn run(self, tool: &Tool) -> Outcome {
        let plugins = self.plugins;
        check_known(&plugins)?;
        let built_in: Vec<&str> = plugins
            .iter()
            .map(String::as_str)
            .filter(|name| BUILT_IN.contains(name))
            .collect();
        if built_in.is_empty() {
            tool.done("Plugin configuration unchanged.");
            return Ok(());
        }
        let text = format!(
            "{} built in and cannot be disabled; http_listen and prometheus_listen in the settings switch the listeners off",
            built_in.join(", ")
        );
        Err(Failure::new(UNAVAILABLE, text))
    }
}

/// Fail when a plugin is not enabled.
#[derive(Args)]
pub(super) struct IsEnabled {
    /// Names
    #[arg(required = true)]
    plugins: Vec<String>,
    /// The node need not run
    #[arg(long)]
    offline: bool,
}

impl Run for IsEnabled {
    fn run(self, tool: &Tool) -> Outcome {
        let (plugins, offline) = (self.plugins, self.offline);
        let names = plugins.join(", ");
        let (noun, verb) = match plugins.len() {
            1 => ("Plugin", "is"),
            _ => ("Plugins", "are"),
        };
        let on_node = match offline {
            true => String::new(),
            false => format!(" on node {}", tool.node()),
        };
        tool.banner(&format!(
            "Asking node {} if {} {names} {verb} enabled...",
            tool.node(),
            noun.to_lowercase()
        ));
        if plugins.iter().all(|name| BUILT_IN.contains(&name.as_str())) {
            tool.done(&format!("{noun} {names} {verb} enabled{on_node}"));
            return Ok(());
        }
        let enabled = BUILT_IN.join(", ");
        let text = format!(
            "{noun} {names} {verb} not enabled{on_node}. Enabled plugins and dependencies: {enabled}"
        );
        Err(Failure::new(UNAVAILABLE, text))
    }
}
