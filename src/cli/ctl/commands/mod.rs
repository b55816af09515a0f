//! The commands. Each is described once: a struct that holds its arguments, with what `help` says of them, and `Run` beside
//! it, which is what it does. A file has those that are about one thing; the table below is all there are.

mod application;
mod cluster;
mod connections;
mod definitions;
mod eval;
mod events;
mod facts;
mod features;
mod health;
mod limits;
mod lists;
mod logs;
mod parameters;
mod permissions;
mod plugins;
mod policies;
mod queues;
mod quorum;
mod report;
mod state;
mod status;
mod users;
mod vhosts;
mod waits;
mod watermarks;

use clap::Parser;
use clap::Subcommand;
use serde_json::Value;

use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::USAGE;
use crate::cli::ctl::tool::Options;
use crate::cli::ctl::tool::Tool;
pub(in crate::cli) use plugins::built_in_count;

/// What a command does, once its words have been understood.
trait Run {
    fn run(self, tool: &Tool) -> Outcome;
}

/// One for each group of commands.
const EXAMPLES: &str = "\
Examples, by what they are about:
  users            add_user shop secret; set_user_tags shop monitoring; list_users
  permissions      set_permissions -p orders shop '^shop-' '^shop-' '^shop-'
  virtual hosts    add_vhost orders --default-queue-type quorum; set_vhost_limits -p orders '{\"max-queues\": 100}'
  policies         set_policy -p orders ttl '^tmp-' '{\"message-ttl\": 60000}' --apply-to queues
  parameters       set_parameter -p orders vhost-limits limits '{\"max-connections\": 50}'
  definitions      export_definitions /backup/definitions.json; import_definitions /backup/definitions.json
  queues           list_queues -p orders name messages consumers; browse orders --limit 10; purge_queue orders
  connections      list_connections user peer_host state; close_all_user_connections shop maintenance
  health           ping; check_running; check_alarms; check_port_connectivity; status --formatter json
  alarms           set_vm_memory_high_watermark 0.6; set_disk_free_limit 2GB
  the node         stop_app; reset; start_app; drain; revive; set_log_level debug; report; stop
  plugins          list; enable rabbitmq_management; is_enabled rabbitmq_management

`help COMMAND` tells about one command. Scripts: -q leaves banners out, -s column names too, --formatter json is for programs.";

/// Operate the broker that runs on this machine, with RabbitMQ's commands.
#[derive(Parser)]
#[command(
    name = "leveret ctl",
    version,
    subcommand_required = true,
    after_help = EXAMPLES
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Its options, and what is to be done with them.
    pub(super) fn into_parts(self) -> (Options, impl FnOnce(&Tool) -> Outcome) {
        let Self { options, command } = self;
        (options, move |tool: &Tool| command.run(tool))
    }
}

macro_rules! commands {
    ($($file:ident: $($command:ident)+;)+) => {
        #[derive(Subcommand)]
        #[command(rename_all = "snake_case")]
        enum Command {
            $($($command($file::$command),)+)+
        }

        impl Run for Command {
            fn run(self, tool: &Tool) -> Outcome {
                match self {
                    $($(Self::$command(command) => command.run(tool),)+)+
                }
            }
        }
    };
}

// By file, in the order of `help`; `list_queues` is `ListQueues`.
commands! {
    users: AddUser ChangePassword ClearPassword AuthenticateUser DeleteUser SetUserTags ListUsers HashPassword
        ListNodeAuthAttemptStats ResetNodeAuthAttemptMetrics;
    permissions: SetPermissions SetPermissionsGlobally ClearPermissions ListPermissions ListUserPermissions
        SetTopicPermissions ClearTopicPermissions ListTopicPermissions ListUserTopicPermissions;
    vhosts: AddVhost UpdateVhostMetadata SetVhostTags EnableVhostDeletionProtection DisableVhostDeletionProtection
        DeleteVhost ListVhosts TraceOn TraceOff RestartVhost ReconcileVhosts;
    limits: SetVhostLimits ClearVhostLimits ListVhostLimits SetUserLimits ClearUserLimits ListUserLimits;
    policies: SetPolicy ClearPolicy ListPolicies SetOperatorPolicy ClearOperatorPolicy ListOperatorPolicies;
    parameters: SetParameter ClearParameter ListParameters SetGlobalParameter ClearGlobalParameter
        ListGlobalParameters SetClusterName;
    definitions: ExportDefinitions ImportDefinitions;
    lists: ListQueues ListUnresponsiveQueues ListExchanges ListBindings ListConnections ListChannels ListConsumers;
    queues: PurgeQueue DeleteQueue Browse;
    quorum: QuorumStatus Rebalance;
    connections: CloseConnection CloseAllConnections CloseAllUserConnections;
    status: Status ClusterStatus;
    health: Ping CheckRunning IsRunning IsBooting CheckAlarms CheckLocalAlarms Alarms CheckPortConnectivity
        CheckPortListener CheckProtocolListener CheckVirtualHosts CheckCertificateExpiration NodeHealthCheck;
    cluster: CheckIfNodeIsQuorumCritical CheckIfNodeIsMirrorSyncCritical
        CheckIfNewQuorumQueueReplicasHaveFinishedInitialSync CheckForQuorumQueuesWithoutAnElectedLeader
        AwaitOnlineQuorumPlusOne AwaitOnlineSynchronizedMirror HasReachedTargetClusterSize PostUpgrade
        DiscoverPeers;
    facts: Listeners ServerVersion Version Environment OsEnv MetadataStoreStatus MemoryBreakdown
        ResolveHostname Certificates Autocomplete;
    eval: Eval;
    report: Report;
    waits: AwaitStartup AwaitOnlineNodes Wait;
    watermarks: SetVmMemoryHighWatermark SetDiskFreeLimit;
    events: ConsumeEventStream;
    logs: SetLogLevel RotateLogs LogLocation LogTail LogTailStream;
    features: ListFeatureFlags EnableFeatureFlag ListDeprecatedFeatures CheckIfAnyDeprecatedFeaturesAreUsed
        CheckIfClusterHasClassicQueueMirroringPolicy;
    application: Stop Shutdown StopApp StartApp Reset ForceReset ForceBoot SuspendListeners ResumeListeners Drain Revive;
    plugins: List Enable Disable Set IsEnabled;
}

/// An argument that is JSON.
fn json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(UNAVAILABLE, format!("JSON decoding error. Reason: {error}")))
}

/// A call that was refused as a whole, in the quotes that RabbitMQ has where there is no more to say.
fn refused(text: &str) -> Failure {
    let text = format!("Error (argument validation): \"{text}\"");
    Failure::new(USAGE, text)
}

/// A unit that there is not.
fn bad_unit(unit: &str, known: &[&str]) -> Failure {
    let known = known.join(", ");
    refused(&format!(
        "unit '{unit}' is not supported. Please use one of: {known}"
    ))
}

/// What is wrong with an argument, before anybody was asked.
fn bad_argument(text: &str) -> Failure {
    let text = format!("Error (argument validation): Bad argument: {text}");
    Failure::new(DATA, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn each_command_says_what_it_does() {
        for command in <Cli as clap::CommandFactory>::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
