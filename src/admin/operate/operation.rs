//! What can be asked of a node, as it stands on the line of a request.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// Ordinary policies, or those of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policies {
    /// Ordinary ones.
    Ordinary,
    /// Those of operators.
    Operator,
}

/// Whose limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A virtual host's.
    Vhost,
    /// A user's.
    User,
}

/// What alarms are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// Of the process.
    Memory,
    /// That of the data directory.
    Disk,
}

/// A bound of memory or disk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// A part of the memory there is.
    Relative(f64),
    /// Octets.
    Absolute(u64),
}

/// Something to be done or told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the names are RabbitMQ's commands and their arguments"
)]
pub enum Operation {
    AddUser {
        name: String,
        password: String,
        hashed: bool,
    },
    ChangePassword {
        name: String,
        /// None: nobody can log in with one.
        password: Option<String>,
    },
    AuthenticateUser {
        name: String,
        password: String,
    },
    DeleteUser {
        name: String,
    },
    SetUserTags {
        name: String,
        tags: Vec<String>,
    },
    ListUsers,
    SetPermissions {
        /// None: in all.
        vhost: Option<String>,
        user: String,
        configure: String,
        write: String,
        read: String,
    },
    ClearPermissions {
        vhost: String,
        user: String,
    },
    ListPermissions {
        vhost: String,
    },
    ListUserPermissions {
        user: String,
    },
    SetTopicPermissions {
        vhost: String,
        user: String,
        exchange: String,
        write: String,
        read: String,
    },
    ClearTopicPermissions {
        vhost: String,
        user: String,
        exchange: Option<String>,
    },
    ListTopicPermissions {
        vhost: String,
    },
    ListUserTopicPermissions {
        user: String,
    },
    AddVhost {
        name: String,
        description: Option<String>,
        tags: Option<Vec<String>>,
        default_queue_type: Option<String>,
    },
    UpdateVhost {
        name: String,
        description: Option<String>,
        tags: Option<Vec<String>>,
        default_queue_type: Option<String>,
    },
    ProtectVhost {
        name: String,
        protected: bool,
    },
    DeleteVhost {
        name: String,
    },
    ListVhosts,
    Trace {
        vhost: String,
        on: bool,
    },
    SetLimits {
        owner: Owner,
        name: String,
        definition: Value,
    },
    ClearLimits {
        owner: Owner,
        name: String,
        /// None: all.
        limit: Option<String>,
    },
    ListLimits {
        owner: Owner,
        /// None: of all.
        name: Option<String>,
    },
    SetPolicy {
        policies: Policies,
        vhost: String,
        name: String,
        pattern: String,
        definition: Value,
        priority: i64,
        apply_to: String,
    },
    ClearPolicy {
        policies: Policies,
        vhost: String,
        name: String,
    },
    ListPolicies {
        policies: Policies,
        vhost: String,
    },
    SetGlobalParameter {
        name: String,
        value: Value,
    },
    ClearGlobalParameter {
        name: String,
    },
    ListGlobalParameters,
    ListQueues {
        vhost: String,
    },
    /// What a listing shows that has nothing to show.
    ListNothing,
    ListExchanges {
        vhost: String,
    },
    ListBindings {
        vhost: String,
    },
    ListConsumers {
        vhost: String,
    },
    ListConnections,
    ListChannels,
    /// Show ready messages without touching them.
    Browse {
        vhost: String,
        name: String,
        from: u64,
        /// Not from a position on, but with what has been there for so long at most.
        age_ms: Option<u64>,
        limit: usize,
        truncate: Option<usize>,
        headers: Vec<(String, String)>,
        body: Option<String>,
    },
    PurgeQueue {
        vhost: String,
        name: String,
    },
    QuorumStatus {
        vhost: String,
        name: String,
    },
    DeleteQueue {
        vhost: String,
        name: String,
        if_empty: bool,
        if_unused: bool,
    },
    CloseConnection {
        pid: String,
        reason: String,
    },
    CloseConnections {
        vhost: Option<String>,
        user: Option<String>,
        /// 0: all.
        limit: usize,
        reason: String,
    },
    /// Whether the process is there, and what runs in it.
    Ping,
    Status,
    Environment,
    /// The variables of the process's environment that set something.
    Variables,
    SetMemoryWatermark(Bound),
    SetDiskLimit(Bound),
    /// Raise an alarm whatever the machine says, or no longer.
    HoldAlarm {
        resource: Resource,
        up: bool,
    },
    SetLogLevel {
        level: String,
    },
    Stop,
    StopApplication,
    StartApplication,
    Reset,
    /// Take no new connections.
    Suspend {
        /// Close those that there are.
        drain: bool,
    },
    Resume {
        /// End maintenance too.
        revive: bool,
    },
    /// Events as they come.
    WatchEvents {
        /// None: from now on.
        from: Option<u64>,
    },
    ListAuthAttempts,
    ForgetAuthAttempts,
    ExportDefinitions,
    /// The document is the request's body.
    ImportDefinitions {
        /// Not when the same document was the last to be imported so.
        skip_if_unchanged: bool,
    },
    SetParameter {
        vhost: String,
        component: String,
        name: String,
        value: Value,
    },
    ClearParameter {
        vhost: String,
        component: String,
        name: String,
    },
    ListParameters {
        vhost: String,
    },
    ListFeatures,
    EnableFeature {
        /// None: all.
        name: Option<String>,
    },
    ListDeprecated {
        used: bool,
    },
}
