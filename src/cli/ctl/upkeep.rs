//! Commands that keep a node going: definitions, parameters, the application within the process, features, maintenance,
//! reports; and those of RabbitMQ's clusters that one node answers truthfully.

use std::path::PathBuf;

use clap::Subcommand;

/// See the module's documentation.
#[derive(Debug, Clone, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum Upkeep {
    /// Write definitions to a file: export_definitions /backup/definitions.json.
    ExportDefinitions {
        /// File, or - for standard output
        file: PathBuf,
        /// json
        #[arg(long, default_value = "json")]
        format: String,
    },
    /// Take definitions: import_definitions /backup/definitions.json.
    ImportDefinitions {
        /// File; without one standard input
        file: Option<PathBuf>,
        /// json
        #[arg(long, default_value = "json")]
        format: String,
        /// Not when the same definitions were the last that were imported so
        #[arg(long = "skip-if-unchanged")]
        skip_if_unchanged: bool,
    },
    /// Show ready messages and leave them as they are: browse orders --limit 10 --header kind=invoice.
    Browse {
        /// Queue
        queue: String,
        /// From this position on, as the last look said
        #[arg(long, default_value_t = 0)]
        position: u64,
        /// Begin with the first that has been there for at most so long: seconds, or 10m, 1h, 7D
        #[arg(long, conflicts_with = "position")]
        age: Option<String>,
        /// So many messages, at most 1000
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// So many octets of each body
        #[arg(long)]
        truncate: Option<usize>,
        /// Only with this header: name=value; may be given several times
        #[arg(long, value_name = "NAME=VALUE")]
        header: Vec<String>,
        /// Only bodies that contain this
        #[arg(long)]
        body: Option<String>,
    },
    /// Set a runtime parameter: set_parameter vhost-limits limits '{"max-queues": 100}'.
    SetParameter {
        /// vhost-limits or operator_policy
        component: String,
        /// Name
        name: String,
        /// JSON
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Clear a runtime parameter.
    ClearParameter {
        /// vhost-limits or operator_policy
        component: String,
        /// Name
        name: String,
    },
    /// List runtime parameters of a virtual host.
    ListParameters,
    /// Everything that is to be known of the node, for somebody who is to help.
    Report,
    /// Change what is logged, until the node stops: set_log_level debug.
    SetLogLevel {
        /// debug, info, warning, error, critical or none
        level: String,
    },
    /// Does nothing, as in RabbitMQ.
    RotateLogs,
    /// Where the log goes.
    LogLocation,
    /// List feature flags, all of which are enabled.
    ListFeatureFlags {
        /// name, state, stability, provided_by, desc, doc_url [default: name state]
        columns: Vec<String>,
    },
    /// Enable a feature flag, or all: they are.
    EnableFeatureFlag {
        /// Name, or all
        feature: String,
        /// Also experimental ones
        #[arg(long = "opt-in", alias = "experimental")]
        opt_in: bool,
    },
    /// List what RabbitMQ is about to drop.
    ListDeprecatedFeatures {
        /// Only what is used
        #[arg(long)]
        used: bool,
        /// name, deprecation_phase, state, desc, doc_url, provided_by [default: name deprecation_phase state]
        columns: Vec<String>,
    },
    /// Fail when something deprecated is used.
    CheckIfAnyDeprecatedFeaturesAreUsed,
    /// Fail when a policy mirrors classic queues.
    CheckIfClusterHasClassicQueueMirroringPolicy,
    /// Close all connections and listeners, and the store; the process stays, and with it its local socket.
    StopApp,
    /// Start again after stop_app.
    StartApp,
    /// Throw away users, virtual hosts, queues, messages: all that is in the store. After stop_app.
    Reset,
    /// The same as reset.
    ForceReset,
    /// Does nothing on a node that is a cluster by itself. After stop_app.
    ForceBoot,
    /// Take no new AMQP connections.
    SuspendListeners,
    /// Take AMQP connections again.
    ResumeListeners,
    /// Put the node into maintenance: no new AMQP connections, and those that are open are closed.
    Drain,
    /// Take the node out of maintenance.
    Revive,
    /// The base64 of a salted SHA-256 hash, as add_user --pre-hashed-password takes it.
    HashPassword {
        /// Password; without one it is read from standard input
        #[arg(allow_hyphen_values = true)]
        password: Option<String>,
    },
    /// Say whether a virtual host runs, which each does.
    RestartVhost,
    /// Say that all virtual hosts are there, which they are.
    ReconcileVhosts,
    /// List queues that do not answer: none.
    ListUnresponsiveQueues {
        /// As in list_queues
        #[arg(value_name = "COLUMN")]
        _columns: Vec<String>,
    },
    /// How much memory is used for what.
    MemoryBreakdown {
        /// bytes, kb, mb or gb
        #[arg(long, default_value = "gb")]
        unit: String,
    },
    /// The addresses of a host.
    ResolveHostname {
        /// Name
        hostname: String,
        /// ipv4 or ipv6
        #[arg(long = "address-family", default_value = "ipv4")]
        address_family: String,
        /// On this machine, which is the node's
        #[arg(long)]
        offline: bool,
    },
    /// List logins that were tried, by protocol.
    #[command(alias = "list_node_auth_attempts")]
    ListNodeAuthAttemptStats,
    /// Forget the logins that were tried.
    ResetNodeAuthAttemptMetrics,
    /// List certificates of listeners: there are none.
    Certificates,
    /// Fail when a listener's certificate expires soon.
    CheckCertificateExpiration {
        /// So many units
        #[arg(long, default_value_t = 4)]
        within: u32,
        /// days, weeks, months or years
        #[arg(long, default_value = "weeks")]
        unit: String,
    },
    /// Look for nodes of the cluster: there are none.
    DiscoverPeers,
    /// The commands that begin with a text.
    Autocomplete {
        /// The text
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Answer one of the few expressions that scripts ask: eval 'node().'.
    Eval {
        /// rabbit_nodes:reached_target_cluster_size(), rabbit_nodes:cluster_name(), rabbit_misc:version(), node()
        expression: String,
    },
    /// Balance the leaders of queues over the nodes: there is one.
    Rebalance {
        /// all, classic, quorum or stream
        #[arg(default_value = "all", value_name = "QUEUES")]
        _queues: String,
        /// Regular expression of virtual hosts
        #[arg(long = "vhost-pattern")]
        _vhosts: Option<String>,
        /// Regular expression of queues
        #[arg(long = "queue-pattern")]
        _names: Option<String>,
    },
    /// What is to be done after an upgrade: nothing.
    PostUpgrade,
    /// Wait until quorum queues have a quorum and one more: does not apply to a single node.
    AwaitOnlineQuorumPlusOne,
    /// Wait until mirrors are synchronised: does not apply to a single node.
    AwaitOnlineSynchronizedMirror,
    /// Fail when a quorum queue has copies that are not complete: no queue has others.
    CheckIfNewQuorumQueueReplicasHaveFinishedInitialSync,
    /// Fail when a quorum queue has no leader: each has, as long as the node runs.
    CheckForQuorumQueuesWithoutAnElectedLeader {
        /// Regular expression of queues, or --across-all-vhosts
        #[arg(value_name = "PATTERN")]
        _pattern: Option<String>,
        /// Not in one virtual host alone
        #[arg(long = "across-all-vhosts")]
        _across_all_vhosts: bool,
    },
    /// Tell whether all nodes of the cluster are there: the one is.
    HasReachedTargetClusterSize,
}
