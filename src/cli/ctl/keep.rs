//! What the commands of `upkeep` do.

use clap::CommandFactory;

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
use crate::cli::ctl::output::rows;
use crate::cli::ctl::run::json;
use crate::cli::ctl::run::password;
use crate::cli::ctl::upkeep::Upkeep;
use crate::definitions;

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

const PARAMETER: &[&str] = &["component", "name", "value"];

/// What is wrong with an argument, before anybody was asked.
pub(super) fn bad_argument(text: &str) -> Failure {
    let text = format!("Error (argument validation): Bad argument: {text}");
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
            Upkeep::Browse {
                queue: name,
                position: from,
                age,
                limit,
                truncate,
                header,
                body,
            } => {
                let header = header.iter().map(|header| {
                    let (name, value) = header.split_once('=').ok_or_else(|| {
                        bad_argument(&format!("{header} is no name=value of a header"))
                    })?;
                    Ok((name.to_owned(), value.to_owned()))
                });
                let headers = header.collect::<Result<_, Failure>>()?;
                let age_ms = age
                    .map(|age| {
                        definitions::age(&age)
                            .ok_or_else(|| bad_argument(&format!("{age} is no age")))
                    })
                    .transpose()?;
                self.browse(Operation::Browse {
                    vhost,
                    name,
                    from,
                    age_ms,
                    limit,
                    truncate,
                    headers,
                    body,
                })
            }
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
                let status = self.call(Operation::Status)?;
                let files = status["log_files"].as_array();
                for file in files
                    .into_iter()
                    .flatten()
                    .filter_map(serde_json::Value::as_str)
                {
                    self.done(file);
                }
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
            Upkeep::CheckForQuorumQueuesWithoutAnElectedLeader { .. } => {
                self.call(Operation::Status)?;
                self.done("Cluster reported no quorum queues without an elected leader");
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
    pub(super) fn names(&self, operation: Operation) -> Result<Vec<String>, Failure> {
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

    fn browse(&self, operation: Operation) -> Outcome {
        if let Operation::Browse { name, vhost, .. } = &operation {
            self.banner(&format!(
                "Showing messages of queue '{name}' in vhost '{vhost}' ..."
            ));
        }
        let looked = self.call(operation)?;
        let messages = looked["messages"].as_array();
        let messages = messages.map_or(&[][..], Vec::as_slice);
        let headers = !self.options.silent && !self.options.no_table_headers;
        self.print(&rows(self.options.formatter, headers, BROWSED, messages));
        // On standard error, for it is no message.
        if let Some(next) = looked["next_position"].as_u64() {
            eprintln!("There may be more: --position {next}");
        }
        Ok(())
    }
}
