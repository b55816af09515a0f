//! `rabbitmq-plugins`: what RabbitMQ has from plugins is built in here, or is not there. No node is asked.
//!
//! What is built in counts as enabled because something else needs it. What somebody enabled by name is kept beside, for tools
//! that ask for it before they change anything: in a file of the data directory that looks like RabbitMQ's.

use clap::Args;
use fancy_regex::Regex;
use serde_json::json;

use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::output;
use crate::cli::ctl::output::Formatter;
use crate::cli::ctl::tool::Tool;

/// RabbitMQ's plugins whose work is done here.
pub(super) const BUILT_IN: &[&str] = &[
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

/// RabbitMQ's words for names that it has not.
fn check_known(plugins: &[String], exit: u8, told: fn(&[&str]) -> String) -> Outcome {
    let is_known = |name: &str| BUILT_IN.contains(&name) || MISSING.contains(&name);
    let names = plugins.iter().map(String::as_str);
    let unknown: Vec<&str> = names.filter(|name| !is_known(name)).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(exit, told(&unknown))),
    }
}

fn not_found(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!(":{name}")).collect();
    format!("{{:plugins_not_found, [{}]}}", names.join(", "))
}

fn cannot_be_set(names: &[&str]) -> String {
    format!("The following plugins were not found: {}", names.join(", "))
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
    /// More about each
    #[arg(short, long)]
    verbose: bool,
    /// Those that were enabled by name
    #[arg(short = 'E', long)]
    enabled: bool,
    /// All that are enabled: what is built in
    #[arg(short = 'e', long = "implicitly-enabled")]
    implicitly_enabled: bool,
}

impl Run for List {
    fn run(self, tool: &Tool) -> Outcome {
        tool.check_no_terms()?;
        if self.verbose && self.minimal {
            return Err(bad_argument("Cannot set both verbose and minimal"));
        }
        let pattern = Regex::new(&self.pattern)
            .map_err(|error| Failure::new(DATA, format!("invalid pattern: {error}")))?;
        let named = named(tool);
        let is_named = |name: &str| named.iter().any(|it| it == name);
        let mut all: Vec<(&str, bool)> = BUILT_IN.iter().map(|name| (*name, true)).collect();
        if !self.enabled && !self.implicitly_enabled {
            all.extend(MISSING.iter().map(|name| (*name, false)));
        }
        all.retain(|(name, _)| !self.enabled || is_named(name));
        all.retain(|(name, _)| pattern.is_match(name).unwrap_or(false));
        all.sort_unstable();
        let version = tool.version();
        if tool.is_for_machines() {
            let rows = all.iter().map(|(name, there)| {
                let enabled = match (*there, is_named(name)) {
                    (_, true) => "enabled",
                    (true, false) => "implicit",
                    (false, false) => "not_enabled",
                };
                json!({
                    "name": name, "enabled": enabled, "running": there, "version": version,
                    "running_version": if *there { version } else { "" },
                })
            });
            let rows: Vec<_> = rows.collect();
            let text = if tool.formatter() == Formatter::Json {
                let format = match (self.verbose, self.minimal) {
                    (true, _) => "verbose",
                    (false, true) => "minimal",
                    (false, false) => "normal",
                };
                json!({"status": "running", "format": format, "plugins": rows}).to_string()
            } else {
                output::rows(
                    tool.formatter(),
                    true,
                    &["name", "enabled", "version"],
                    &rows,
                )
            };
            tool.print(&format!("{}\n", text.trim_end()));
            return Ok(());
        }
        tool.banner(&format!(
            "Listing plugins with pattern \"{}\" ...",
            pattern.as_str()
        ));
        if self.minimal {
            for (name, _) in all {
                tool.print(&format!("{name}\n"));
            }
            tool.flush();
            return Ok(());
        }
        tool.banner(" Configured: E = explicitly enabled; e = implicitly enabled");
        tool.banner(&format!(" | Status: * = running on {}", tool.node()));
        tool.banner(" |/");
        let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, there) in all {
            let mark = match (there, is_named(name)) {
                (_, true) => "[E*]",
                (true, false) => "[e*]",
                (false, false) => "[  ]",
            };
            tool.print(&match self.verbose {
                false => format!("{mark} {name:width$} {version}\n"),
                true => format!(
                    "{mark} {name}\n     Version:     \t{version}\n     Dependencies:\t[]\n"
                ),
            });
        }
        Ok(())
    }
}

/// The file of what was enabled by name, in the data directory.
const FILE_NAME: &str = "enabled_plugins";

/// What was enabled by name.
fn named(tool: &Tool) -> Vec<String> {
    let text = std::fs::read_to_string(tool.data_dir().join(FILE_NAME)).unwrap_or_default();
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = names.filter(|name| BUILT_IN.contains(name));
    names.map(str::to_owned).collect()
}

/// Keeps what was enabled by name. Where there is no data directory yet nothing is kept, for it would belong to whoever runs
/// this and not to the broker.
fn keep(tool: &Tool, mut names: Vec<String>) -> Result<Vec<String>, Failure> {
    names.sort_unstable();
    names.dedup();
    let path = tool.data_dir().join(FILE_NAME);
    if tool.data_dir().is_dir() {
        let text = format!("[{}].\n", names.join(","));
        std::fs::write(&path, text).map_err(|error| {
            let path = path.display();
            Failure::new(
                DATA,
                format!("Could not update enabled plugins file at {path}: {error}"),
            )
        })?;
    }
    Ok(names)
}

/// Where a change is to be made, which makes no difference to what is built in.
#[derive(Args)]
struct Mode {
    /// The node need not run
    #[arg(long)]
    offline: bool,
    /// The node is asked
    #[arg(long)]
    online: bool,
}

impl Mode {
    fn check(&self) -> Outcome {
        match self.online && self.offline {
            true => Err(bad_argument("Cannot set both online and offline")),
            false => Ok(()),
        }
    }
}

fn banner(tool: &Tool, what: &str, plugins: &[String]) {
    tool.banner(&format!("{what} plugins on node {}:", tool.node()));
    for name in plugins {
        tool.banner(name);
    }
}

/// What is enabled by name, and that nothing else has changed.
fn tell(tool: &Tool, names: &[String], end: &str) {
    if tool.is_for_machines() {
        return tool.done(end);
    }
    tool.print(match names.is_empty() {
        true => "All plugins have been disabled.\n",
        false => "The following plugins have been configured:\n",
    });
    for name in names {
        tool.print(&format!("  {name}\n"));
    }
    tool.print(&format!(
        "Applying plugin configuration to {}...\n{end}\n",
        tool.node()
    ));
}

fn check_there(plugins: &[String]) -> Outcome {
    let names = plugins.iter().map(String::as_str);
    let missing: Vec<&str> = names.filter(|name| MISSING.contains(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} not supported by this version of Leveret",
        missing.join(", ")
    );
    Err(Failure::new(UNAVAILABLE, text))
}

const UNCHANGED: &str = "Plugin configuration unchanged.";

/// Enable plugins: those that are built in are, and are named as enabled from now on.
#[derive(Args)]
pub(super) struct Enable {
    /// Names
    #[arg(required = true)]
    plugins: Vec<String>,
    #[command(flatten)]
    mode: Mode,
}

impl Run for Enable {
    fn run(self, tool: &Tool) -> Outcome {
        self.mode.check()?;
        banner(tool, "Enabling", &self.plugins);
        check_known(&self.plugins, SOFTWARE, not_found)?;
        check_there(&self.plugins)?;
        let names = keep(tool, [named(tool), self.plugins].concat())?;
        tell(tool, &names, UNCHANGED);
        Ok(())
    }
}

/// Name exactly these plugins as enabled; the others that are built in stay, as if something needed them.
#[derive(Args)]
pub(super) struct Set {
    /// Names
    plugins: Vec<String>,
    #[command(flatten)]
    mode: Mode,
}

impl Run for Set {
    fn run(self, tool: &Tool) -> Outcome {
        self.mode.check()?;
        banner(tool, "Enabling", &self.plugins);
        check_known(&self.plugins, DATA, cannot_be_set)?;
        check_there(&self.plugins)?;
        let names = keep(tool, self.plugins)?;
        let end = match self.mode.offline && !names.is_empty() {
            true => format!("set {} plugins.", names.len()),
            false => "nothing to do.".to_owned(),
        };
        tell(tool, &names, &end);
        Ok(())
    }
}

/// Disable plugins: those that are built in cannot be.
#[derive(Args)]
pub(super) struct Disable {
    /// Names
    #[arg(required = true)]
    plugins: Vec<String>,
    #[command(flatten)]
    mode: Mode,
}

impl Run for Disable {
    fn run(self, tool: &Tool) -> Outcome {
        self.mode.check()?;
        banner(tool, "Disabling", &self.plugins);
        check_known(&self.plugins, SOFTWARE, not_found)?;
        let names = self.plugins.iter().map(String::as_str);
        let built_in: Vec<&str> = names.filter(|name| BUILT_IN.contains(name)).collect();
        if built_in.is_empty() {
            tell(tool, &named(tool), UNCHANGED);
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
        let absent = plugins.iter().map(String::as_str);
        let absent: Vec<&str> = absent.filter(|name| !BUILT_IN.contains(name)).collect();
        let (noun, verb) = match absent.len() {
            1 => ("Plugin", "is"),
            _ => ("Plugins", "are"),
        };
        let names = absent.join(", ");
        let text = format!(
            "{noun} {names} {verb} not enabled{on_node}. Enabled plugins and dependencies: {enabled}"
        );
        Err(Failure::new(UNAVAILABLE, text))
    }
}
