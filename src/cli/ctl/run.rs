//! From a command to what the node is asked, and back.

use std::io::BufRead;

use serde_json::Value;

use crate::admin::Bound;
use crate::admin::Operation;
use crate::admin::Owner;
use crate::admin::Policies;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::Tool;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::columns::BINDING;
use crate::cli::ctl::columns::CHANNEL;
use crate::cli::ctl::columns::CONNECTION;
use crate::cli::ctl::columns::CONSUMER;
use crate::cli::ctl::columns::EXCHANGE;
use crate::cli::ctl::columns::PERMISSION;
use crate::cli::ctl::columns::QUEUE;
use crate::cli::ctl::columns::VHOST;
use crate::cli::ctl::commands::Command;
use crate::settings::bytes_of;

/// A password from standard input, where none was given.
pub(super) fn password(given: Option<String>) -> Result<String, Failure> {
    if let Some(password) = given {
        return Ok(password);
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    match read {
        Ok(octets) if octets > 0 && !password.is_empty() => Ok(password),
        _ => Err(Failure::new(
            SOFTWARE,
            "Password is not provided via argument or stdin",
        )),
    }
}

pub(super) fn json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(UNAVAILABLE, format!("JSON decoding error: {error}: {text}")))
}

/// A part from 0 to `max`.
fn part(text: &str, max: f64, wrong: &str) -> Result<Bound, Failure> {
    match text.parse::<f64>() {
        Ok(part) if (0.0..=max).contains(&part) => Ok(Bound::Relative(part)),
        _ => Err(Failure::new(
            DATA,
            format!("Error (argument validation): Bad argument: {wrong}"),
        )),
    }
}

fn size(text: &str) -> Result<Bound, Failure> {
    let octets = bytes_of(text)
        .ok_or_else(|| Failure::new(DATA, format!("{text} is no size such as 512MiB or 2GB")))?;
    Ok(Bound::Absolute(octets))
}

impl Tool {
    pub(super) fn run(&self, command: Command) -> Outcome {
        let vhost = self.options.vhost.clone();
        let node = self.node();
        match command {
            Command::AddUser {
                username: name,
                password: given,
                pre_hashed_password: hashed,
            } => {
                let password = password(given)?;
                self.banner(&format!("Adding user \"{name}\" ..."));
                self.call(Operation::AddUser {
                    name,
                    password,
                    hashed,
                })?;
                self.banner(
                    "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help \
                     set_permissions' to learn more.",
                );
                if self.options.formatter.is_for_machines() {
                    self.done("");
                }
                Ok(())
            }
            Command::ChangePassword {
                username: name,
                password: given,
            } => {
                let password = Some(password(given)?);
                let banner = format!("Changing password for user \"{name}\" ...");
                self.act(&banner, Operation::ChangePassword { name, password })
            }
            Command::ClearPassword { username: name } => {
                let banner = format!("Clearing password for user \"{name}\" ...");
                let password = None;
                self.act(&banner, Operation::ChangePassword { name, password })
            }
            Command::AuthenticateUser {
                username: name,
                password: given,
            } => {
                let password = password(given)?;
                self.banner(&format!("Authenticating user \"{name}\" ..."));
                self.call(Operation::AuthenticateUser { name, password })?;
                self.done("Success");
                Ok(())
            }
            Command::DeleteUser { username: name } => {
                let banner = format!("Deleting user \"{name}\" ...");
                self.act(&banner, Operation::DeleteUser { name })
            }
            Command::SetUserTags {
                username: name,
                tags,
            } => {
                let shown = tags.join(", ");
                let banner = format!("Setting tags for user \"{name}\" to [{shown}] ...");
                self.act(&banner, Operation::SetUserTags { name, tags })
            }
            Command::ListUsers => {
                let columns = ["user", "tags"];
                self.list(
                    &["Listing users ..."],
                    Operation::ListUsers,
                    &[],
                    &columns,
                    &columns,
                )
            }
            Command::SetPermissions {
                username: user,
                configure,
                write,
                read,
            } => {
                let banner =
                    format!("Setting permissions for user \"{user}\" in vhost \"{vhost}\" ...");
                let vhost = Some(vhost);
                let operation = Operation::SetPermissions {
                    vhost,
                    user,
                    configure,
                    write,
                    read,
                };
                self.act(&banner, operation)
            }
            Command::SetPermissionsGlobally {
                username: user,
                configure,
                write,
                read,
            } => {
                let banner =
                    format!("Setting permissions for user \"{user}\" in all virtual hosts ...");
                let vhost = None;
                let operation = Operation::SetPermissions {
                    vhost,
                    user,
                    configure,
                    write,
                    read,
                };
                self.act(&banner, operation)
            }
            Command::ClearPermissions { username: user } => {
                let banner =
                    format!("Clearing permissions for user \"{user}\" in vhost \"{vhost}\" ...");
                self.act(&banner, Operation::ClearPermissions { vhost, user })
            }
            Command::ListPermissions => {
                let banner = format!("Listing permissions for vhost \"{vhost}\" ...");
                let [configure, write, read] = PERMISSION;
                let columns = ["user", configure, write, read];
                let operation = Operation::ListPermissions { vhost };
                self.list(&[&banner], operation, &[], &columns, &columns)
            }
            Command::ListUserPermissions { username: user } => {
                let banner = format!("Listing permissions for user \"{user}\" ...");
                let [configure, write, read] = PERMISSION;
                let columns = ["vhost", configure, write, read];
                let operation = Operation::ListUserPermissions { user };
                self.list(&[&banner], operation, &[], &columns, &columns)
            }
            Command::SetTopicPermissions {
                username: user,
                exchange,
                write,
                read,
            } => {
                let banner = format!(
                    "Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."
                );
                let operation = Operation::SetTopicPermissions {
                    vhost,
                    user,
                    exchange,
                    write,
                    read,
                };
                self.act(&banner, operation)
            }
            Command::ClearTopicPermissions {
                username: user,
                exchange,
            } => {
                let on = exchange
                    .as_ref()
                    .map_or_else(String::new, |exchange| format!(" on \"{exchange}\""));
                let banner = format!(
                    "Clearing topic permissions{on} for user \"{user}\" in vhost \"{vhost}\" ..."
                );
                let operation = Operation::ClearTopicPermissions {
                    vhost,
                    user,
                    exchange,
                };
                self.act(&banner, operation)
            }
            Command::ListTopicPermissions => {
                let banner = format!("Listing topic permissions for vhost \"{vhost}\" ...");
                let columns = ["user", "exchange", "write", "read"];
                let operation = Operation::ListTopicPermissions { vhost };
                self.list(&[&banner], operation, &[], &columns, &columns)
            }
            Command::ListUserTopicPermissions { username: user } => {
                let banner = format!("Listing topic permissions for user \"{user}\" ...");
                let columns = ["vhost", "exchange", "write", "read"];
                let operation = Operation::ListUserTopicPermissions { user };
                self.list(&[&banner], operation, &[], &columns, &columns)
            }
            Command::AddVhost {
                vhost: name,
                description,
                tags,
                default_queue_type,
            } => {
                let banner = format!("Adding vhost \"{name}\" ...");
                let operation = Operation::AddVhost {
                    name,
                    description,
                    tags,
                    default_queue_type,
                };
                self.act(&banner, operation)
            }
            Command::UpdateVhostMetadata {
                vhost: name,
                description,
                tags,
                default_queue_type,
            } => {
                let banner = format!("Updating metadata of vhost \"{name}\" ...");
                let operation = Operation::UpdateVhost {
                    name,
                    description,
                    tags,
                    default_queue_type,
                };
                self.act(&banner, operation)
            }
            Command::SetVhostTags { vhost: name, tags } => {
                let shown = tags.join(", ");
                let banner = format!("Setting tags for virtual host \"{name}\" to [{shown}] ...");
                let operation = Operation::UpdateVhost {
                    name,
                    description: None,
                    tags: Some(tags),
                    default_queue_type: None,
                };
                self.act(&banner, operation)
            }
            Command::EnableVhostDeletionProtection { vhost: name } => {
                let banner = format!(
                    "Protecting virtual host \"{name}\" from removal by updating its metadata..."
                );
                let protected = true;
                self.act(&banner, Operation::ProtectVhost { name, protected })
            }
            Command::DisableVhostDeletionProtection { vhost: name } => {
                let banner = format!(
                    "Removing deletion protection from virtual host \"{name}\" by updating its metadata..."
                );
                let protected = false;
                self.act(&banner, Operation::ProtectVhost { name, protected })
            }
            Command::DeleteVhost { vhost: name } => {
                let banner = format!("Deleting vhost \"{name}\" ...");
                self.act(&banner, Operation::DeleteVhost { name })
            }
            Command::ListVhosts { columns } => self.list(
                &["Listing vhosts ..."],
                Operation::ListVhosts,
                &columns,
                &["name"],
                VHOST,
            ),
            Command::SetVhostLimits { definition } => {
                let banner =
                    format!("Setting vhost limits to \"{definition}\" for vhost \"{vhost}\" ...");
                let definition = json(&definition)?;
                let operation = Operation::SetLimits {
                    owner: Owner::Vhost,
                    name: vhost,
                    definition,
                };
                self.act(&banner, operation)
            }
            Command::ClearVhostLimits => {
                let banner = format!("Clearing vhost \"{vhost}\" limits ...");
                let operation = Operation::ClearLimits {
                    owner: Owner::Vhost,
                    name: vhost,
                    limit: None,
                };
                self.act(&banner, operation)
            }
            Command::ListVhostLimits { global } => {
                let banner = match global {
                    true => "Listing limits for all vhosts ...".to_owned(),
                    false => format!("Listing limits for vhost \"{vhost}\" ..."),
                };
                let operation = Operation::ListLimits {
                    owner: Owner::Vhost,
                    name: (!global).then_some(vhost),
                };
                self.list_limits(&banner, operation, "vhost", !global)
            }
            Command::SetUserLimits {
                username: name,
                definition,
            } => {
                let banner =
                    format!("Setting user limits to \"{definition}\" for user \"{name}\" ...");
                let definition = json(&definition)?;
                let operation = Operation::SetLimits {
                    owner: Owner::User,
                    name,
                    definition,
                };
                self.act(&banner, operation)
            }
            Command::ClearUserLimits {
                username: name,
                limit,
            } => {
                let (banner, limit) = match limit.as_str() {
                    "all" => (format!("Clearing all limits for user \"{name}\" ..."), None),
                    limit => (
                        format!("Clearing \"{limit}\" limit for user \"{name}\" ..."),
                        Some(limit.to_owned()),
                    ),
                };
                let owner = Owner::User;
                self.act(&banner, Operation::ClearLimits { owner, name, limit })
            }
            Command::ListUserLimits { user, global } => {
                let name = user.filter(|_| !global);
                let banner = match &name {
                    None => "Listing limits for all users ...".to_owned(),
                    Some(name) => format!("Listing limits for user \"{name}\" ..."),
                };
                let owner = Owner::User;
                let of_one = name.is_some();
                let operation = Operation::ListLimits { owner, name };
                self.list_limits(&banner, operation, "user", of_one)
            }
            Command::SetPolicy {
                name,
                pattern,
                definition,
                priority,
                apply_to,
            } => {
                let banner = format!(
                    "Setting policy \"{name}\" for pattern \"{pattern}\" to \"{definition}\" with priority \"{priority}\" for vhost \"{vhost}\" ..."
                );
                let operation = Operation::SetPolicy {
                    policies: Policies::Ordinary,
                    vhost,
                    name,
                    pattern,
                    definition: json(&definition)?,
                    priority,
                    apply_to,
                };
                self.act(&banner, operation)
            }
            Command::SetOperatorPolicy {
                name,
                pattern,
                definition,
                priority,
                apply_to,
            } => {
                let banner = format!(
                    "Setting operator policy override \"{name}\" for pattern \"{pattern}\" to \"{definition}\" with priority \"{priority}\" for vhost \"{vhost}\" ..."
                );
                let operation = Operation::SetPolicy {
                    policies: Policies::Operator,
                    vhost,
                    name,
                    pattern,
                    definition: json(&definition)?,
                    priority,
                    apply_to,
                };
                self.act(&banner, operation)
            }
            Command::ClearPolicy { name } => {
                let banner = format!("Clearing policy \"{name}\" on vhost \"{vhost}\" ...");
                let policies = Policies::Ordinary;
                let operation = Operation::ClearPolicy {
                    policies,
                    vhost,
                    name,
                };
                self.act(&banner, operation)
            }
            Command::ClearOperatorPolicy { name } => {
                let banner =
                    format!("Clearing operator policy \"{name}\" on vhost \"{vhost}\" ...");
                let policies = Policies::Operator;
                let operation = Operation::ClearPolicy {
                    policies,
                    vhost,
                    name,
                };
                self.act(&banner, operation)
            }
            Command::ListPolicies => {
                let banner = format!("Listing policies for vhost \"{vhost}\" ...");
                self.list_policies(&banner, Policies::Ordinary, vhost)
            }
            Command::ListOperatorPolicies => {
                let banner = format!("Listing operator policy overrides for vhost \"{vhost}\" ...");
                self.list_policies(&banner, Policies::Operator, vhost)
            }
            Command::SetGlobalParameter { name, value } => {
                let banner =
                    format!("Setting global runtime parameter \"{name}\" to \"{value}\" ...");
                let value = json(&value)?;
                self.act(&banner, Operation::SetGlobalParameter { name, value })
            }
            Command::ClearGlobalParameter { name } => {
                let banner = format!("Clearing global runtime parameter \"{name}\" ...");
                self.act(&banner, Operation::ClearGlobalParameter { name })
            }
            Command::ListGlobalParameters => {
                let columns = ["name", "value"];
                self.list(
                    &["Listing global runtime parameters ..."],
                    Operation::ListGlobalParameters,
                    &[],
                    &columns,
                    &columns,
                )
            }
            Command::SetClusterName { name } => {
                let banner = format!("Setting cluster name to {name} ...");
                let operation = Operation::SetGlobalParameter {
                    name: "cluster_name".to_owned(),
                    value: name.into(),
                };
                self.act(&banner, operation)
            }
            Command::TraceOn => {
                let banner = format!("Starting tracing for vhost \"{vhost}\" ...");
                self.banner(&banner);
                let done = format!("Trace enabled for vhost {vhost}");
                self.call(Operation::Trace { vhost, on: true })?;
                self.done(&done);
                Ok(())
            }
            Command::TraceOff => {
                let banner = format!("Stopping tracing for vhost \"{vhost}\" ...");
                self.banner(&banner);
                let done = format!("Trace disabled for vhost {vhost}");
                self.call(Operation::Trace { vhost, on: false })?;
                self.done(&done);
                Ok(())
            }
            Command::ListQueues {
                offline, columns, ..
            } => {
                let seconds = self.options.timeout.unwrap_or(60);
                let timeout = format!("Timeout: {seconds}.0 seconds ...");
                let banner = [
                    timeout.as_str(),
                    &format!("Listing queues for vhost {vhost} ..."),
                ];
                let usual = ["name", "messages"];
                // All of one node are up.
                if offline {
                    return self.list(&banner, Operation::ListNothing, &columns, &usual, QUEUE);
                }
                self.list(
                    &banner,
                    Operation::ListQueues { vhost },
                    &columns,
                    &usual,
                    QUEUE,
                )
            }
            Command::ListExchanges { columns } => {
                let banner = format!("Listing exchanges for vhost {vhost} ...");
                let operation = Operation::ListExchanges { vhost };
                self.list(&[&banner], operation, &columns, &["name", "type"], EXCHANGE)
            }
            Command::ListBindings { columns } => {
                let banner = format!("Listing bindings for vhost {vhost}...");
                let operation = Operation::ListBindings { vhost };
                self.list(&[&banner], operation, &columns, BINDING, BINDING)
            }
            Command::ListConnections { columns } => {
                let usual = ["user", "peer_host", "peer_port", "state"];
                let banner = ["Listing connections ..."];
                self.list(
                    &banner,
                    Operation::ListConnections,
                    &columns,
                    &usual,
                    CONNECTION,
                )
            }
            Command::ListChannels { columns } => {
                let usual = ["pid", "user", "consumer_count", "messages_unacknowledged"];
                let banner = ["Listing channels ..."];
                self.list(&banner, Operation::ListChannels, &columns, &usual, CHANNEL)
            }
            Command::ListConsumers { columns } => {
                let banner = format!("Listing consumers in vhost {vhost} ...");
                let operation = Operation::ListConsumers { vhost };
                self.list(&[&banner], operation, &columns, &CONSUMER[..7], CONSUMER)
            }
            Command::PurgeQueue { queue: name } => {
                let banner = format!("Purging queue '{name}' in vhost '{vhost}' ...");
                self.act(&banner, Operation::PurgeQueue { vhost, name })
            }
            Command::DeleteQueue {
                queue: name,
                if_empty,
                if_unused,
            } => {
                let conditions = [
                    if if_empty { "if queue is empty " } else { "" },
                    if if_unused { "if queue is unused " } else { "" },
                ];
                let conditions = conditions.concat();
                self.banner(&format!(
                    "Deleting queue '{name}' on vhost '{vhost}' {conditions}..."
                ));
                let deleted = self.call(Operation::DeleteQueue {
                    vhost,
                    name,
                    if_empty,
                    if_unused,
                })?;
                self.done(&format!(
                    "Queue was successfully deleted with {} ready messages",
                    deleted["ready"]
                ));
                Ok(())
            }
            Command::CloseConnection { pid, reason } => {
                let banner = format!("Closing connection {pid}, reason: {reason}...");
                self.act(&banner, Operation::CloseConnection { pid, reason })
            }
            Command::CloseAllConnections {
                global,
                limit,
                reason,
            } => {
                self.banner(&match (global, limit) {
                    (true, _) => format!(
                        "Closing all connections to node {node} (across all vhosts), reason: {reason}..."
                    ),
                    (false, 0) => {
                        format!("Closing all connections in vhost {vhost}, reason: {reason}...")
                    }
                    (false, limit) => format!(
                        "Closing {limit} connections in vhost {vhost}, reason: {reason}..."
                    ),
                });
                let closed = self.call(Operation::CloseConnections {
                    vhost: (!global).then_some(vhost),
                    user: None,
                    limit,
                    reason,
                })?;
                self.done(&format!("Closed {} connections", closed["closed"]));
                Ok(())
            }
            Command::CloseAllUserConnections {
                username: user,
                reason,
            } => {
                let banner = format!("Closing connections of user {user}, reason: {reason}...");
                let operation = Operation::CloseConnections {
                    vhost: None,
                    user: Some(user),
                    limit: 0,
                    reason,
                };
                self.act(&banner, operation)
            }
            Command::SetVmMemoryHighWatermark { bound } => {
                let (banner, bound) = match &bound[..] {
                    [word, text] if word == "absolute" => (
                        format!("Setting memory threshold on {node} to {text} bytes ..."),
                        size(text)?,
                    ),
                    [text] => (
                        format!("Setting memory threshold on {node} to {text} ..."),
                        part(
                            text,
                            1.0,
                            "The threshold should be a fraction between 0.0 and 1.0",
                        )?,
                    ),
                    _ => return Err(Failure::new(DATA, "either a part, or absolute and a size")),
                };
                self.act(&banner, Operation::SetMemoryWatermark(bound))
            }
            Command::SetDiskFreeLimit { bound } => {
                let (banner, bound) = match &bound[..] {
                    [word, text] if word == "mem_relative" => (
                        format!(
                            "Setting disk free limit on {node} to {text} times the total RAM ..."
                        ),
                        part(
                            text,
                            1000.0,
                            "The relative limit should be a number from 0 to 1000",
                        )?,
                    ),
                    [text] => (
                        format!("Setting disk free limit on {node} to {text} bytes ..."),
                        size(text)?,
                    ),
                    _ => {
                        return Err(Failure::new(
                            DATA,
                            "either a size, or mem_relative and a part",
                        ));
                    }
                };
                self.act(&banner, Operation::SetDiskLimit(bound))
            }
            Command::Status => self.status(),
            Command::ClusterStatus => self.cluster_status(),
            Command::Ping => self.ping(),
            Command::CheckRunning => self.check_running(),
            Command::IsRunning => self.is_running(false),
            Command::IsBooting => self.is_running(true),
            Command::CheckAlarms => self.check_alarms(false, true),
            Command::CheckLocalAlarms => self.check_alarms(true, true),
            Command::Alarms => self.check_alarms(false, false),
            Command::CheckPortConnectivity { address } => self.check_port_connectivity(address),
            Command::CheckPortListener { port } => self.check_port_listener(port),
            Command::CheckProtocolListener { protocol } => self.check_protocol_listener(&protocol),
            Command::CheckVirtualHosts => self.check_vhosts(),
            Command::CheckIfNodeIsQuorumCritical => self.is_alone("quorum of any quorum queues"),
            Command::CheckIfNodeIsMirrorSyncCritical => {
                self.is_alone("data safety of any classic mirrored queues")
            }
            Command::NodeHealthCheck => {
                self.banner("This command is DEPRECATED and is a no-op. It will be removed in a future version.");
                Ok(())
            }
            Command::Listeners => self.listeners(),
            Command::ServerVersion => self.server_version(),
            Command::Version => {
                self.done(&self.settings.version);
                Ok(())
            }
            Command::Environment => self.environment(),
            Command::AwaitStartup => self.await_startup(),
            Command::AwaitOnlineNodes { count } => self.await_online_nodes(count),
            Command::Wait { pidfile, pid } => self.wait(pidfile.as_deref(), pid),
            Command::Stop { pidfile } => self.stop(pidfile.as_deref()),
            Command::List {
                pattern,
                minimal,
                enabled,
                implicitly_enabled,
            } => self.list_plugins(
                if implicitly_enabled { "^$" } else { &pattern },
                minimal,
                enabled,
            ),
            Command::Enable {
                plugins, offline, ..
            }
            | Command::Set {
                plugins, offline, ..
            } => self.enable_plugins(&plugins, offline),
            Command::Disable { plugins, .. } => self.disable_plugins(&plugins),
            Command::IsEnabled { plugins, offline } => self.check_plugins(&plugins, offline),
            Command::Upkeep(command) => self.keep(command),
        }
    }

    /// Those of one are printed without names of columns, as RabbitMQ does.
    fn list_limits(
        &self,
        banner: &str,
        operation: Operation,
        owner: &str,
        of_one: bool,
    ) -> Outcome {
        if of_one && !self.options.formatter.is_for_machines() {
            self.banner(banner);
            let rows = self.call(operation)?;
            for row in rows.as_array().into_iter().flatten() {
                self.done(row["limits"].as_str().unwrap_or_default());
            }
            return Ok(());
        }
        let columns = [owner, "limits"];
        self.list(&[banner], operation, &[], &columns, &columns)
    }

    fn is_alone(&self, critical_for: &str) -> Outcome {
        let node = self.node();
        self.banner(&format!(
            "Checking if node {node} is critical for {critical_for} ..."
        ));
        self.call(Operation::Status)?;
        self.done(&format!(
            "Node {node} seems to be the only one in a single node cluster, the check does not apply"
        ));
        Ok(())
    }

    fn list_policies(&self, banner: &str, policies: Policies, vhost: String) -> Outcome {
        let columns = [
            "vhost",
            "name",
            "pattern",
            "apply-to",
            "definition",
            "priority",
        ];
        let operation = Operation::ListPolicies { policies, vhost };
        self.list(&[banner], operation, &[], &columns, &columns)
    }
}
