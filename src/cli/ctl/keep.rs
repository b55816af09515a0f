//! What the commands of `upkeep` do.

use std::io;
use std::io::Read;
use std::net::ToSocketAddrs;
use std::path::Path;

use clap::CommandFactory;
use serde_json::Value;

use crate::admin::Operation;
use crate::auth::PasswordHash;
use crate::cli::ctl::Cli;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::Tool;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::USAGE;
use crate::cli::ctl::run::json;
use crate::cli::ctl::run::password;
use crate::cli::ctl::upkeep::Upkeep;

const FEATURE: &[&str] = &[
    "name",
    "state",
    "stability",
    "provided_by",
    "desc",
    "doc_url",
];

const DEPRECATED: &[&str] = &[
    "name",
    "deprecation_phase",
    "state",
    "desc",
    "doc_url",
    "provided_by",
];

const ATTEMPT: &[&str] = &[
    "protocol",
    "auth_attempts",
    "auth_attempts_failed",
    "auth_attempts_succeeded",
];

const PARAMETER: &[&str] = &["component", "name", "value"];

/// What is wrong with an argument, before anybody was asked.
fn bad_argument(text: &str) -> Failure {
    let text = format!("Error (argument validation): Bad argument: {text}");
    Failure::new(DATA, text)
}

fn check_format(format: &str) -> Outcome {
    match format.to_ascii_lowercase().as_str() {
        "json" => Ok(()),
        "erlang" => Err(Failure::new(
            UNAVAILABLE,
            "Erlang's term format is not supported by Leveret: use --format json",
        )),
        _ => Err(bad_argument("Format should be either json or erlang")),
    }
}

/// RabbitMQ's words for a file that cannot be used.
fn file_failure(path: &Path, error: &io::Error, to: &str) -> Failure {
    let path = path.display();
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other is told as it is")]
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("Parent directory or file {path} does not exist"),
        io::ErrorKind::NotADirectory => {
            format!("Parent directory of file {path} is not a directory")
        }
        io::ErrorKind::StorageFull => format!("No space left on device hosting {path}"),
        io::ErrorKind::PermissionDenied => {
            format!("No permissions to {to} file {path} or its parent directory")
        }
        io::ErrorKind::IsADirectory => format!("Path {path} is a directory"),
        _ => format!("Could not {to} file {path}: {error}"),
    };
    Failure::new(DATA, text)
}

impl Tool {
    pub(super) fn keep(&self, command: Upkeep) -> Outcome {
        let vhost = self.options.vhost.clone();
        let node = self.node();
        match command {
            Upkeep::ExportDefinitions { file, format } => self.export(&file, &format),
            Upkeep::ImportDefinitions {
                file,
                format,
                skip_if_unchanged,
            } => self.import(file.as_deref(), &format, skip_if_unchanged),
            Upkeep::SetParameter {
                component,
                name,
                value,
            } => {
                let banner = format!(
                    "Setting runtime parameter \"{name}\" for component \"{component}\" to \"{value}\" in vhost \"{vhost}\" ..."
                );
                let value = json(&value)?;
                let operation = Operation::SetParameter {
                    vhost,
                    component,
                    name,
                    value,
                };
                self.act(&banner, operation)
            }
            Upkeep::ClearParameter { component, name } => {
                let banner = format!(
                    "Clearing runtime parameter \"{name}\" for component \"{component}\" on vhost \"{vhost}\" ..."
                );
                let operation = Operation::ClearParameter {
                    vhost,
                    component,
                    name,
                };
                self.act(&banner, operation)
            }
            Upkeep::ListParameters => {
                let banner = format!("Listing runtime parameters for vhost \"{vhost}\" ...");
                let operation = Operation::ListParameters { vhost };
                self.list(&[&banner], operation, &[], PARAMETER, PARAMETER)
            }
            Upkeep::Report => self.report(),
            Upkeep::SetLogLevel { level } => {
                // The words come after, for a level that there is not has none.
                self.call(Operation::SetLogLevel {
                    level: level.clone(),
                })?;
                self.banner(&format!("Setting log level to \"{level}\" ..."));
                self.done("");
                Ok(())
            }
            Upkeep::RotateLogs => Err(Failure::new(
                UNAVAILABLE,
                "This command does not rotate logs anymore [deprecated]",
            )),
            Upkeep::LogLocation => {
                self.banner(&format!("Log file location(s) on node {node} ..."));
                self.call(Operation::Status)?;
                self.done("<stderr>");
                Ok(())
            }
            Upkeep::ListFeatureFlags { columns } => self.list(
                &["Listing feature flags ..."],
                Operation::ListFeatures,
                &columns,
                &FEATURE[..2],
                FEATURE,
            ),
            Upkeep::EnableFeatureFlag { feature, .. } => {
                let (banner, name) = match feature.as_str() {
                    "all" => ("Enabling all feature flags ...".to_owned(), None),
                    name => (
                        format!("Enabling feature flag \"{name}\" ..."),
                        Some(name.to_owned()),
                    ),
                };
                self.act(&banner, Operation::EnableFeature { name })
            }
            Upkeep::ListDeprecatedFeatures { used, columns } => {
                let banner = match used {
                    true => "Listing deprecated features in use ...",
                    false => "Listing deprecated features ...",
                };
                let operation = Operation::ListDeprecated { used };
                self.list(&[banner], operation, &columns, &DEPRECATED[..3], DEPRECATED)
            }
            Upkeep::CheckIfAnyDeprecatedFeaturesAreUsed => {
                self.banner("Checking if any deprecated features are used ...");
                let used = self.names(Operation::ListDeprecated { used: true })?;
                if used.is_empty() {
                    self.done("Cluster reported no deprecated features in use");
                    return Ok(());
                }
                Err(Failure::new(UNAVAILABLE, used.join("\n")))
            }
            Upkeep::CheckIfClusterHasClassicQueueMirroringPolicy => {
                self.banner("Checking if cluster has any classic queue mirroring policy ...");
                let used = self.names(Operation::ListDeprecated { used: true })?;
                if used.iter().all(|name| name != "classic_queue_mirroring") {
                    self.done("Cluster reported no policies that enable classic queue mirroring");
                    return Ok(());
                }
                let text = "Cluster reported policies enabling classic queue mirroring";
                Err(Failure::new(UNAVAILABLE, text))
            }
            Upkeep::StopApp => {
                let banner = format!("Stopping rabbit application on node {node} ...");
                self.act(&banner, Operation::StopApplication)
            }
            Upkeep::StartApp => {
                let banner = format!("Starting node {node} ...");
                self.act(&banner, Operation::StartApplication)
            }
            Upkeep::Reset => self.reset(&format!("Resetting node {node} ..."), Operation::Reset),
            Upkeep::ForceReset => {
                let banner = format!("Forcefully resetting node {node} ...");
                self.reset(&banner, Operation::Reset)
            }
            Upkeep::ForceBoot => {
                self.check_stopped()?;
                self.done("");
                Ok(())
            }
            Upkeep::SuspendListeners => {
                let banner = format!(
                    "Will suspend client connection listeners on node {node}. The node will no longer accept client connections!"
                );
                self.act(&banner, Operation::Suspend { drain: false })
            }
            Upkeep::ResumeListeners => {
                let banner = format!(
                    "Will resume client connection listeners on node {node}. The node will now accept client connections"
                );
                self.act(&banner, Operation::Resume)
            }
            Upkeep::Drain => {
                let banner = format!(
                    "Will put node {node} into maintenance mode. The node will no longer serve any client traffic!"
                );
                self.act(&banner, Operation::Suspend { drain: true })
            }
            Upkeep::Revive => {
                let banner = format!(
                    "Will put node {node} back into regular operating mode. The node will again serve client traffic and host primary queue replicas."
                );
                self.act(&banner, Operation::Resume)
            }
            Upkeep::HashPassword { password: given } => {
                self.banner(&match &given {
                    Some(_) => "Will hash the given password".to_owned(),
                    None => "Will hash provided password".to_owned(),
                });
                let password = password(given)?;
                self.done(&PasswordHash::new(&password).encode());
                Ok(())
            }
            Upkeep::RestartVhost => {
                self.banner(&format!(
                    "Trying to restart vhost '{vhost}' on node '{node}' ..."
                ));
                let vhosts = self.names(Operation::ListVhosts)?;
                if vhosts.contains(&vhost) {
                    self.done(&format!(
                        "Vhost '{vhost}' is already running on node '{node}'"
                    ));
                    return Ok(());
                }
                let text = format!(
                    "Failed to start vhost '{vhost}' on node '{node}'Reason: {{:no_such_vhost, \"{vhost}\"}}"
                );
                Err(Failure::new(SOFTWARE, text))
            }
            Upkeep::ReconcileVhosts => {
                self.banner(
                    "Will try to initiate virtual host reconciliation on all reachable cluster nodes...",
                );
                self.call(Operation::ListVhosts)?;
                self.done("Will reconcile all virtual hosts in the cluster. This operation is asynchronous.");
                Ok(())
            }
            Upkeep::ListUnresponsiveQueues { .. } => {
                let banner = format!("Listing unresponsive queues for vhost {vhost} ...");
                self.list(
                    &[&banner],
                    Operation::ListNothing,
                    &[],
                    &["name"],
                    &["name"],
                )
            }
            Upkeep::MemoryBreakdown { unit } => self.memory_breakdown(&unit),
            Upkeep::ResolveHostname {
                hostname,
                address_family,
                ..
            } => self.resolve(&hostname, &address_family),
            Upkeep::ListNodeAuthAttemptStats => {
                let banner = format!("Listing authentication\n attempts for node \"{node}\" ...");
                let operation = Operation::ListAuthAttempts;
                self.list(&[&banner], operation, &[], ATTEMPT, ATTEMPT)
            }
            Upkeep::ResetNodeAuthAttemptMetrics => {
                let banner = format!("Reset auth attempt metrics on node {node} ...");
                self.act(&banner, Operation::ForgetAuthAttempts)
            }
            Upkeep::Certificates => {
                self.banner(&format!("Certificates of node {node} ..."));
                self.call(Operation::Status)?;
                self.done("#{}");
                Ok(())
            }
            Upkeep::CheckCertificateExpiration { within, unit } => {
                self.banner(&format!(
                    "Checking certificate expiration on node {node} ..."
                ));
                let known = ["days", "weeks", "months", "years"];
                if !known.contains(&unit.as_str()) {
                    return Err(bad_argument(&format!("Invalid unit {unit}")));
                }
                self.call(Operation::Status)?;
                let unit = if within == 1 {
                    unit.trim_end_matches('s')
                } else {
                    &unit
                };
                self.done(&format!(
                    "No certificates are expiring within {within} {unit}."
                ));
                Ok(())
            }
            Upkeep::DiscoverPeers => {
                self.banner("Discovering peers nodes ...");
                self.call(Operation::Status)?;
                self.done("No peers discovered");
                Ok(())
            }
            Upkeep::Autocomplete { prefix } => {
                for command in Cli::command().get_subcommands() {
                    if command.get_name().starts_with(&prefix) {
                        self.print(&format!("{}\n", command.get_name()));
                    }
                }
                Ok(())
            }
            Upkeep::Eval { expression } => self.eval(&expression),
            Upkeep::Rebalance { .. } => {
                self.banner("Re-balancing leaders of all queues...");
                self.call(Operation::Status)?;
                self.done("");
                Ok(())
            }
            Upkeep::PostUpgrade => {
                self.banner("Executing post upgrade tasks...");
                self.call(Operation::Status)?;
                self.done("");
                Ok(())
            }
            Upkeep::AwaitOnlineQuorumPlusOne => {
                let seconds = self.options.timeout.unwrap_or(120);
                self.does_not_apply(&format!(
                    "Will wait for a quorum + 1 of nodes to be online for all quorum queues for {seconds} seconds..."
                ))
            }
            Upkeep::AwaitOnlineSynchronizedMirror => {
                let seconds = self.options.timeout.unwrap_or(120);
                self.does_not_apply(&format!(
                    "Will wait for a synchronised mirror be online for all classic mirrored queues for {seconds} seconds..."
                ))
            }
            Upkeep::CheckIfNewQuorumQueueReplicasHaveFinishedInitialSync => {
                self.call(Operation::Status)?;
                self.done(&format!(
                    "Node {node} reported no queues with promotable replicas"
                ));
                Ok(())
            }
            Upkeep::HasReachedTargetClusterSize => {
                self.call(Operation::Status)?;
                self.done("true");
                Ok(())
            }
        }
    }

    fn does_not_apply(&self, banner: &str) -> Outcome {
        self.banner(banner);
        self.call(Operation::Status)?;
        self.done("Target node seems to be the only one in a single node cluster, the command does not apply");
        Ok(())
    }

    /// The names in a list.
    fn names(&self, operation: Operation) -> Result<Vec<String>, Failure> {
        let rows = self.call(operation)?;
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        let names = rows.iter().filter_map(|row| row["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn check_stopped(&self) -> Outcome {
        if self.call(Operation::Ping)?["running"] == true {
            let text = "Error: this command requires the 'rabbit' app to be stopped on the target node. Stop it with 'rabbitmqctl stop_app'.";
            return Err(Failure::new(USAGE, text));
        }
        Ok(())
    }

    fn reset(&self, banner: &str, operation: Operation) -> Outcome {
        self.check_stopped()?;
        self.act(banner, operation)
    }

    fn export(&self, file: &Path, format: &str) -> Outcome {
        check_format(format)?;
        let to_stdout = file == Path::new("-");
        let directory = file.parent().filter(|parent| *parent != Path::new(""));
        if let Some(directory) = directory
            && !directory.exists()
        {
            let text = format!("Directory {} does not exist", directory.display());
            return Err(bad_argument(&text));
        }
        if !to_stdout {
            self.banner(&format!(
                "Exporting definitions in JSON to a file at \"{}\" ...",
                file.display()
            ));
        }
        let document = self.call(Operation::ExportDefinitions)?.to_string();
        if to_stdout {
            self.print(&document);
            return Ok(());
        }
        std::fs::write(file, document).map_err(|error| file_failure(file, &error, "write to"))?;
        self.done("");
        Ok(())
    }

    fn import(&self, file: Option<&Path>, format: &str, skip_if_unchanged: bool) -> Outcome {
        check_format(format)?;
        let file = file.filter(|file| *file != Path::new("-"));
        if let Some(file) = file
            && !file.exists()
        {
            let text = format!("File {} does not exist", file.display());
            return Err(bad_argument(&text));
        }
        let document = match file {
            Some(file) => {
                let shown = file.display();
                self.banner(&format!(
                    "Importing definitions in JSON from a file at \"{shown}\" ..."
                ));
                let read = std::fs::read(file);
                let read = read.map_err(|error| file_failure(file, &error, "read from"))?;
                if read.is_empty() {
                    return Err(Failure::new(DATA, format!("File {shown} is zero-sized")));
                }
                read
            }
            None => {
                self.banner("Importing definitions in JSON from standard input ...");
                let mut document = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut document);
                read.map_err(|error| {
                    Failure::new(DATA, format!("Could not read from standard input: {error}"))
                })?;
                document
            }
        };
        // Here too, for nobody need be asked about what is no JSON.
        serde_json::from_slice::<serde::de::IgnoredAny>(&document).map_err(|error| {
            let text = format!("Failed to deserialise input (format: JSON) (error: {error})");
            Failure::new(DATA, text)
        })?;
        self.call_with_body(
            Operation::ImportDefinitions { skip_if_unchanged },
            &document,
        )?;
        if self.options.formatter.is_for_machines() {
            self.done("");
        } else {
            self.banner(
                "Successfully started definition import. This process is asynchronous and can take some time.",
            );
        }
        Ok(())
    }

    fn memory_breakdown(&self, unit: &str) -> Outcome {
        let divisor = match unit.to_ascii_lowercase().as_str() {
            "b" | "bytes" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            _ => return Err(bad_argument(&format!("Invalid unit {unit}"))),
        };
        self.banner(&format!(
            "Reporting memory breakdown on node {}...",
            self.node()
        ));
        let state = self.call(Operation::Status)?;
        let total = state["memory"]["total"]["rss"].as_f64().unwrap_or(0.0);
        let queues = state["memory"]["queue_messages"].as_f64().unwrap_or(0.0);
        let mut parts = [("messages", queues), ("other", (total - queues).max(0.0))];
        parts.sort_by(|left, right| right.1.total_cmp(&left.1));
        if self.options.formatter.is_for_machines() {
            let parts = parts.map(|(name, octets)| {
                let part = serde_json::json!({"bytes": octets, "percentage": 100.0 * octets / total.max(1.0)});
                (name.to_owned(), part)
            });
            let parts = Value::Object(parts.into_iter().collect());
            self.print(&format!("{parts}\n"));
            return Ok(());
        }
        for (name, octets) in parts {
            let amount = octets / divisor;
            let percentage = 100.0 * octets / total.max(1.0);
            self.print(&format!("{name}: {amount:.4} {unit} ({percentage:.2}%)\n"));
        }
        Ok(())
    }

    fn resolve(&self, host: &str, family: &str) -> Outcome {
        let (shown, v6) = match family.to_ascii_lowercase().as_str() {
            "ipv4" | "inet" => ("IPv4", false),
            "ipv6" | "inet6" => ("IPv6", true),
            _ => {
                return Err(bad_argument(&format!(
                    "unsupported IP address family {family}"
                )));
            }
        };
        self.banner(&format!(
            "Asking node {} to resolve hostname {host} to {shown} addresses...",
            self.node()
        ));
        let failed = |why: &str| {
            let text = format!("Failed to resolve host '{host}' to {shown} addresses: {why}");
            Failure::new(UNAVAILABLE, text)
        };
        let found = (host, 0).to_socket_addrs();
        let found = found.map_err(|error| failed(&error.to_string()))?;
        let mut found: Vec<_> = found.map(|address| address.ip()).collect();
        found.retain(|address| address.is_ipv6() == v6);
        found.dedup();
        if found.is_empty() {
            return Err(failed("there is none"));
        }
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        self.done(&lines.join("\n"));
        Ok(())
    }

    /// The few expressions that deployment scripts ask.
    fn eval(&self, expression: &str) -> Outcome {
        let state = self.call(Operation::Status)?;
        let asked: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
        let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
        let answer = match asked.trim_end_matches('.') {
            "rabbit_nodes:reached_target_cluster_size()" => "true".to_owned(),
            "rabbit_nodes:cluster_name()" => format!("<<\"{}\">>", text("cluster_name")),
            "rabbit_misc:version()" => format!("\"{}\"", text("rabbitmq_version")),
            "node()" => format!("'{}'", text("node")),
            _ => {
                let text = "there is no Erlang runtime in Leveret; `eval` knows node(), rabbit_nodes:cluster_name(), \
                            rabbit_nodes:reached_target_cluster_size() and rabbit_misc:version()";
                return Err(Failure::new(UNAVAILABLE, text));
            }
        };
        self.print(&format!("{answer}\n"));
        Ok(())
    }

    /// What RabbitMQ's report has, one after the other.
    fn report(&self) -> Outcome {
        use crate::cli::ctl::commands::Command;
        self.print(&format!(
            "Reporting server status of node {} ...\n\n",
            self.node()
        ));
        let none = Vec::new;
        let node = [
            Command::Status,
            Command::ClusterStatus,
            Command::Environment,
            Command::ListConnections { columns: none() },
            Command::ListChannels { columns: none() },
            Command::ListGlobalParameters,
        ];
        for command in node {
            self.run(command)?;
            self.print("\n");
        }
        for vhost in self.names(Operation::ListVhosts)? {
            let within = [
                Command::ListQueues {
                    online: false,
                    offline: false,
                    local: false,
                    columns: none(),
                },
                Command::ListExchanges { columns: none() },
                Command::ListBindings { columns: none() },
                Command::ListPermissions,
                Command::ListPolicies,
                Command::Upkeep(Upkeep::ListParameters),
            ];
            let tool = self.within(&vhost);
            for command in within {
                tool.run(command)?;
                tool.print("\n");
            }
        }
        Ok(())
    }
}
