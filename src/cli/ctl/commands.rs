//! RabbitMQ's commands and their arguments.

use clap::Subcommand;

use crate::cli::ctl::upkeep::Upkeep;

/// A command of `rabbitmqctl`, `rabbitmq-diagnostics`, `rabbitmq-queues`, `rabbitmq-upgrade` or `rabbitmq-plugins`.
#[derive(Debug, Clone, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum Command {
    /// Create a user; without a password it is read from standard input.
    AddUser {
        /// Name
        username: String,
        /// Password
        #[arg(allow_hyphen_values = true)]
        password: Option<String>,
        /// The password is the base64 of a salted SHA-256 hash
        #[arg(long = "pre-hashed-password")]
        pre_hashed_password: bool,
    },
    /// Change a user's password; without one it is read from standard input.
    ChangePassword {
        /// Name
        username: String,
        /// Password
        #[arg(allow_hyphen_values = true)]
        password: Option<String>,
    },
    /// Take a user's password away: nobody can log in with one.
    ClearPassword {
        /// Name
        username: String,
    },
    /// Try whether a user can log in with a password.
    AuthenticateUser {
        /// Name
        username: String,
        /// Password
        #[arg(allow_hyphen_values = true)]
        password: Option<String>,
    },
    /// Delete a user and close its connections.
    DeleteUser {
        /// Name
        username: String,
    },
    /// Replace a user's tags, such as administrator, monitoring, policymaker, management; none clears them.
    SetUserTags {
        /// Name
        username: String,
        /// Tags
        tags: Vec<String>,
    },
    /// List users with their tags.
    ListUsers,
    /// Let a user configure, write and read what matches the patterns, in one virtual host.
    SetPermissions {
        /// Name
        username: String,
        /// Regular expression of names it may declare and delete
        #[arg(allow_hyphen_values = true)]
        configure: String,
        /// Regular expression of names it may publish and bind to
        #[arg(allow_hyphen_values = true)]
        write: String,
        /// Regular expression of names it may consume and bind from
        #[arg(allow_hyphen_values = true)]
        read: String,
    },
    /// The same in all virtual hosts that there are.
    SetPermissionsGlobally {
        /// Name
        username: String,
        /// As in set_permissions
        #[arg(allow_hyphen_values = true)]
        configure: String,
        /// As in set_permissions
        #[arg(allow_hyphen_values = true)]
        write: String,
        /// As in set_permissions
        #[arg(allow_hyphen_values = true)]
        read: String,
    },
    /// Take a user's permissions in a virtual host away.
    ClearPermissions {
        /// Name
        username: String,
    },
    /// List permissions in a virtual host.
    ListPermissions,
    /// List a user's permissions.
    ListUserPermissions {
        /// Name
        username: String,
    },
    /// Limit the routing keys that a user may use with an exchange.
    SetTopicPermissions {
        /// Name
        username: String,
        /// Exchange
        exchange: String,
        /// Regular expression of keys it may publish with
        #[arg(allow_hyphen_values = true)]
        write: String,
        /// Regular expression of keys it may bind with
        #[arg(allow_hyphen_values = true)]
        read: String,
    },
    /// Take these limits away, for one exchange or all.
    ClearTopicPermissions {
        /// Name
        username: String,
        /// Exchange
        exchange: Option<String>,
    },
    /// List topic permissions in a virtual host.
    ListTopicPermissions,
    /// List a user's topic permissions.
    ListUserTopicPermissions {
        /// Name
        username: String,
    },
    /// Create a virtual host; one that is there stays as it is.
    AddVhost {
        /// Name
        vhost: String,
        /// For people
        #[arg(long)]
        description: Option<String>,
        /// For tools, with commas
        #[arg(long, value_delimiter = ',')]
        tags: Option<Vec<String>>,
        /// classic, quorum or stream
        #[arg(long = "default-queue-type")]
        default_queue_type: Option<String>,
    },
    /// Change what is noted about a virtual host.
    UpdateVhostMetadata {
        /// Name
        vhost: String,
        /// For people
        #[arg(long)]
        description: Option<String>,
        /// For tools, with commas
        #[arg(long, value_delimiter = ',')]
        tags: Option<Vec<String>>,
        /// classic, quorum or stream
        #[arg(long = "default-queue-type")]
        default_queue_type: Option<String>,
    },
    /// Replace a virtual host's tags.
    SetVhostTags {
        /// Name
        vhost: String,
        /// Tags
        tags: Vec<String>,
    },
    /// Refuse to delete a virtual host from now on.
    EnableVhostDeletionProtection {
        /// Name
        vhost: String,
    },
    /// Allow to delete a virtual host again.
    DisableVhostDeletionProtection {
        /// Name
        vhost: String,
    },
    /// Delete a virtual host with everything in it.
    DeleteVhost {
        /// Name
        vhost: String,
    },
    /// List virtual hosts.
    ListVhosts {
        /// name, description, tags, default_queue_type, tracing, ... [default: name]
        columns: Vec<String>,
    },
    /// Limit a virtual host: '{"max-connections": 256, "max-queues": 1024}'.
    SetVhostLimits {
        /// JSON
        #[arg(allow_hyphen_values = true)]
        definition: String,
    },
    /// Take a virtual host's limits away.
    ClearVhostLimits,
    /// List limits of virtual hosts.
    ListVhostLimits {
        /// Of all virtual hosts
        #[arg(long)]
        global: bool,
    },
    /// Limit a user: '{"max-connections": 5, "max-channels": 50}'.
    SetUserLimits {
        /// Name
        username: String,
        /// JSON
        #[arg(allow_hyphen_values = true)]
        definition: String,
    },
    /// Take a user's limit away.
    ClearUserLimits {
        /// Name
        username: String,
        /// max-connections, max-channels or all
        limit: String,
    },
    /// List limits of users.
    ListUserLimits {
        /// Of this user
        #[arg(long)]
        user: Option<String>,
        /// Of all users
        #[arg(long)]
        global: bool,
    },
    /// Set a policy: set_policy ttl '^q' '{"message-ttl": 1000}' --apply-to queues.
    SetPolicy {
        /// Name
        name: String,
        /// Regular expression of names that it applies to
        #[arg(allow_hyphen_values = true)]
        pattern: String,
        /// JSON
        definition: String,
        /// Of those that match the one with the highest applies
        #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
        priority: i64,
        /// all, queues, classic_queues, quorum_queues, streams or exchanges
        #[arg(long = "apply-to", default_value = "all")]
        apply_to: String,
    },
    /// Delete a policy.
    ClearPolicy {
        /// Name
        name: String,
    },
    /// List policies in a virtual host.
    ListPolicies,
    /// Set an operator policy, which goes before arguments and policies.
    SetOperatorPolicy {
        /// Name
        name: String,
        /// Regular expression of names that it applies to
        #[arg(allow_hyphen_values = true)]
        pattern: String,
        /// JSON
        definition: String,
        /// Of those that match the one with the highest applies
        #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
        priority: i64,
        /// all, queues, classic_queues, quorum_queues or streams
        #[arg(long = "apply-to", default_value = "all")]
        apply_to: String,
    },
    /// Delete an operator policy.
    ClearOperatorPolicy {
        /// Name
        name: String,
    },
    /// List operator policies in a virtual host.
    ListOperatorPolicies,
    /// Keep a value with the node.
    SetGlobalParameter {
        /// Name
        name: String,
        /// JSON
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Forget such a value.
    ClearGlobalParameter {
        /// Name
        name: String,
    },
    /// List such values.
    ListGlobalParameters,
    /// Name the cluster that this node is.
    SetClusterName {
        /// Name
        name: String,
    },
    /// Copy what is published and delivered in a virtual host to amq.rabbitmq.trace.
    TraceOn,
    /// Stop copying.
    TraceOff,
    /// List queues.
    ListQueues {
        /// Only those that are up, which all are
        #[arg(long)]
        online: bool,
        /// Only those that are down: none
        #[arg(long)]
        offline: bool,
        /// Only those of this node, which all are
        #[arg(long)]
        local: bool,
        /// Such as name, messages, consumers, memory, policy [default: name messages]
        columns: Vec<String>,
    },
    /// List exchanges.
    ListExchanges {
        /// name, type, durable, auto_delete, internal, arguments, policy [default: name type]
        columns: Vec<String>,
    },
    /// List bindings.
    ListBindings {
        /// source_name, source_kind, destination_name, destination_kind, routing_key, arguments [default: all]
        columns: Vec<String>,
    },
    /// List connections.
    ListConnections {
        /// Such as pid, name, user, vhost, state, channels, recv_oct [default: user peer_host peer_port state]
        columns: Vec<String>,
    },
    /// List channels.
    ListChannels {
        /// Such as pid, connection, number, vhost, prefetch_count [default: pid user consumer_count messages_unacknowledged]
        columns: Vec<String>,
    },
    /// List consumers.
    ListConsumers {
        /// Such as queue_name, consumer_tag, ack_required, prefetch_count
        columns: Vec<String>,
    },
    /// Drop all ready messages of a queue.
    PurgeQueue {
        /// Name
        queue: String,
    },
    /// Delete a queue.
    DeleteQueue {
        /// Name
        queue: String,
        /// Only if it is empty
        #[arg(short = 'e', long = "if-empty")]
        if_empty: bool,
        /// Only if nobody consumes from it
        #[arg(short = 'u', long = "if-unused")]
        if_unused: bool,
    },
    /// Close a connection.
    CloseConnection {
        /// As in list_connections pid
        pid: String,
        /// Told to the client
        reason: String,
    },
    /// Close the connections to a virtual host, or all.
    CloseAllConnections {
        /// To all virtual hosts
        #[arg(long)]
        global: bool,
        /// At most so many; 0 is all
        #[arg(long, default_value_t = 0)]
        limit: usize,
        /// Told to the clients
        reason: String,
    },
    /// Close a user's connections.
    CloseAllUserConnections {
        /// Name
        username: String,
        /// Told to the clients
        reason: String,
    },
    /// How the node is.
    Status,
    /// What the cluster is: this node.
    ClusterStatus,
    /// Whether the node's process answers.
    Ping,
    /// Whether the node is up.
    CheckRunning,
    /// Tell whether it is.
    IsRunning,
    /// Tell whether it is starting.
    IsBooting,
    /// Fail when an alarm is up.
    CheckAlarms,
    /// Fail when an alarm of this node is up.
    CheckLocalAlarms,
    /// Tell which alarms are up.
    Alarms,
    /// Fail when one of the node's ports cannot be connected to.
    CheckPortConnectivity {
        /// At this address
        #[arg(long)]
        address: Option<std::net::IpAddr>,
    },
    /// Fail when nobody listens on a port.
    CheckPortListener {
        /// Port
        port: u16,
    },
    /// Fail when nobody listens for a protocol.
    CheckProtocolListener {
        /// amqp, http or http/prometheus
        protocol: String,
    },
    /// Fail when a virtual host is down.
    CheckVirtualHosts,
    /// Fail when a queue would lose its quorum without this node: none is replicated.
    CheckIfNodeIsQuorumCritical,
    /// Does nothing, as in RabbitMQ.
    CheckIfNodeIsMirrorSyncCritical,
    /// Does nothing, as in RabbitMQ.
    NodeHealthCheck,
    /// Where the node listens.
    Listeners,
    /// The version that the node presents.
    ServerVersion,
    /// The version that the node presents, without asking it.
    Version,
    /// The settings that hold.
    Environment,
    /// Wait until the node is up.
    AwaitStartup,
    /// Wait until so many nodes are up; there is one.
    AwaitOnlineNodes {
        /// Number
        count: u32,
    },
    /// Wait until the process is there and the node up.
    Wait {
        /// File with the process's number
        pidfile: Option<std::path::PathBuf>,
        /// The process's number
        #[arg(short = 'P', long)]
        pid: Option<u32>,
    },
    /// Change how much memory the node may use, until it stops: a part, or `absolute 2GB`.
    SetVmMemoryHighWatermark {
        /// 0.4, or `absolute` and a size
        #[arg(num_args = 1..=2, required = true)]
        bound: Vec<String>,
    },
    /// Change how much of the disk must stay free, until it stops: `1GB`, or `mem_relative 1.0`.
    SetDiskFreeLimit {
        /// A size, or `mem_relative` and a part of the memory
        #[arg(num_args = 1..=2, required = true)]
        bound: Vec<String>,
    },
    /// Stop the node.
    #[command(alias = "shutdown")]
    Stop {
        /// Wait until this file's process is gone
        pidfile: Option<std::path::PathBuf>,
    },
    /// List plugins: what is built in.
    List {
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
    },
    /// Enable plugins: those that are built in are enabled.
    Enable {
        /// Names
        #[arg(required = true)]
        plugins: Vec<String>,
        /// The node need not run; it never needs to
        #[arg(long)]
        offline: bool,
        /// The node is asked; it never needs to be
        #[arg(long)]
        online: bool,
    },
    /// Disable plugins: those that are built in cannot be.
    Disable {
        /// Names
        #[arg(required = true)]
        plugins: Vec<String>,
        /// The node need not run
        #[arg(long)]
        offline: bool,
        /// The node is asked
        #[arg(long)]
        online: bool,
    },
    /// Enable exactly these plugins: what is built in is enabled whatever is said.
    Set {
        /// Names
        plugins: Vec<String>,
        /// The node need not run; it never needs to
        #[arg(long)]
        offline: bool,
        /// The node is asked; it never needs to be
        #[arg(long)]
        online: bool,
    },
    /// Fail when a plugin is not enabled.
    IsEnabled {
        /// Names
        #[arg(required = true)]
        plugins: Vec<String>,
        /// The node need not run
        #[arg(long)]
        offline: bool,
    },
    #[command(flatten)]
    Upkeep(Upkeep),
}
