//! What operators do to a node: users, virtual hosts, policies, limits, queues, connections, and the node itself.
//!
//! The rules are the broker's; here are the words and exit codes of RabbitMQ's command line for what goes wrong. Changes are
//! on the disk before they are answered.

mod lists;
mod node;
mod users;
mod vhosts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::auth::AuthError;
use crate::broker::Administered;
use crate::broker::Broker;
use crate::model::Lsn;
use crate::vhost::Vhost;

/// Who does what is done at the local door, as RabbitMQ names its command line.
const ACTING: &str = "rmq-cli";

/// Facts about the node that the broker does not know.
#[derive(Clone)]
pub struct NodeFacts {
    /// `rabbit@host`.
    pub name: String,
    /// Protocols and where they are listened for.
    pub listeners: Vec<(&'static str, SocketAddr)>,
    /// Where everything durable lives.
    pub data_dir: PathBuf,
    /// The settings that hold, by key, without passwords.
    pub settings: BTreeMap<String, Value>,
    /// When the node started, in milliseconds since the Unix epoch.
    pub started_at: u64,
    /// Milliseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Begins to stop the node.
    pub stop: Arc<dyn Fn() + Send + Sync>,
}

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
    PurgeQueue {
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
    Status,
    Environment,
    SetMemoryWatermark(Bound),
    SetDiskLimit(Bound),
    Stop,
}

/// Why it was not done, in RabbitMQ's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) exit: u8,
    pub(super) text: String,
}

/// `EX_USAGE`
const USAGE: u8 = 64;
/// `EX_DATAERR`
const DATA: u8 = 65;
/// `EX_NOUSER`
const NO_USER: u8 = 67;
/// `EX_UNAVAILABLE`
const UNAVAILABLE: u8 = 69;
/// `EX_SOFTWARE`
const SOFTWARE: u8 = 70;

impl Failed {
    fn new(exit: u8, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit, text }
    }

    fn no_user(name: &str) -> Self {
        Self::new(NO_USER, format!("User \"{name}\" does not exist"))
    }

    fn no_vhost(name: &str) -> Self {
        Self::new(DATA, format!("Virtual host '{name}' does not exist"))
    }
}

impl From<AuthError> for Failed {
    fn from(error: AuthError) -> Self {
        match &error {
            AuthError::NoSuchUser { user } => Self::no_user(user),
            AuthError::NameTooLong { .. }
            | AuthError::Md5 { .. }
            | AuthError::UnknownAlgorithm { .. }
            | AuthError::MalformedHash { .. }
            | AuthError::InvalidPattern(_) => Self::new(DATA, error.to_string()),
        }
    }
}

type Done = Result<Value, Failed>;

/// The broker, and what is asked of it.
struct Operator<'a> {
    broker: &'a Broker,
    node: &'a NodeFacts,
}

impl Operator<'_> {
    fn now(&self) -> u64 {
        (self.node.clock)()
    }

    fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Failed> {
        self.broker
            .vhost(name)
            .ok_or_else(|| Failed::no_vhost(name))
    }

    fn check_user(&self, name: &str) -> Result<(), Failed> {
        match self.broker.access().snapshot().user(name) {
            Some(_) => Ok(()),
            None => Err(Failed::no_user(name)),
        }
    }

    fn tell(&self, what: &Administered<'_>) {
        self.broker.tell_administered(what, ACTING, self.now());
    }

    /// Waits until it is on the disk.
    fn stored(&self, lsn: Lsn) -> Done {
        self.broker
            .store()
            .wait(lsn)
            .map_err(|error| Failed::new(UNAVAILABLE, error.to_string()))?;
        Ok(Value::Null)
    }
}

/// Does it.
pub(super) fn run(broker: &Broker, node: &NodeFacts, operation: Operation) -> Done {
    let operator = Operator { broker, node };
    match operation {
        Operation::AddUser { .. }
        | Operation::ChangePassword { .. }
        | Operation::AuthenticateUser { .. }
        | Operation::DeleteUser { .. }
        | Operation::SetUserTags { .. }
        | Operation::ListUsers
        | Operation::SetPermissions { .. }
        | Operation::ClearPermissions { .. }
        | Operation::ListPermissions { .. }
        | Operation::ListUserPermissions { .. }
        | Operation::SetTopicPermissions { .. }
        | Operation::ClearTopicPermissions { .. }
        | Operation::ListTopicPermissions { .. }
        | Operation::ListUserTopicPermissions { .. } => operator.users(operation),
        Operation::AddVhost { .. }
        | Operation::UpdateVhost { .. }
        | Operation::DeleteVhost { .. }
        | Operation::ListVhosts
        | Operation::Trace { .. }
        | Operation::SetLimits { .. }
        | Operation::ClearLimits { .. }
        | Operation::ListLimits { .. }
        | Operation::SetPolicy { .. }
        | Operation::ClearPolicy { .. }
        | Operation::ListPolicies { .. }
        | Operation::SetGlobalParameter { .. }
        | Operation::ClearGlobalParameter { .. }
        | Operation::ListGlobalParameters => operator.vhosts(operation),
        Operation::ListNothing => Ok(Value::Array(Vec::new())),
        Operation::ListQueues { vhost } => operator.queues(&vhost),
        Operation::ListExchanges { vhost } => operator.exchanges(&vhost),
        Operation::ListBindings { vhost } => operator.bindings(&vhost),
        Operation::ListConsumers { vhost } => operator.consumers(&vhost),
        Operation::ListConnections => Ok(operator.connections()),
        Operation::ListChannels => Ok(operator.channels()),
        Operation::PurgeQueue { .. }
        | Operation::DeleteQueue { .. }
        | Operation::CloseConnection { .. }
        | Operation::CloseConnections { .. }
        | Operation::Status
        | Operation::Environment
        | Operation::SetMemoryWatermark(_)
        | Operation::SetDiskLimit(_)
        | Operation::Stop => operator.node(operation),
    }
}
