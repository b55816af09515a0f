//! What operators do to a node: users, virtual hosts, policies, limits, queues, connections, and the node itself.
//!
//! The rules are the broker's; here are the words and exit codes of RabbitMQ's command line for what goes wrong. Changes are
//! on the disk before they are answered.

mod definitions;
mod features;
mod lists;
mod node;
mod operation;
mod parameters;
mod users;
mod vhosts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::admin::Application;
use crate::admin::Control;
use crate::admin::Slot;
use crate::auth::AuthError;
use crate::broker::Administered;
use crate::broker::Broker;
use crate::model::Lsn;
use crate::model::ReplyCode;
use crate::vhost::Vhost;

pub use operation::Bound;
pub use operation::Operation;
pub use operation::Owner;
pub use operation::Policies;
pub use operation::Resource;

/// Who does what is done at the local door, as RabbitMQ names its command line.
const ACTING: &str = "rmq-cli";

/// Replaces the level of the log by one of RabbitMQ's.
pub type SetLogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Facts about the node that the broker does not know.
#[derive(Clone)]
pub struct NodeFacts {
    /// `rabbit@host`.
    pub name: String,
    /// What runs.
    pub application: Arc<Slot>,
    /// Where everything durable lives.
    pub data_dir: PathBuf,
    /// The settings that hold, by key, without passwords.
    pub settings: BTreeMap<String, Value>,
    /// The variables of the environment that set something, without passwords.
    pub variables: BTreeMap<String, String>,
    /// Where settings were read.
    pub config_files: Vec<String>,
    /// Whether the prefetch of channels is permitted, which the AMQP door decides.
    pub global_qos: bool,
    /// Octets that may follow a request: the longest definitions that can be imported.
    pub body_bytes_max: u64,
    /// Milliseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Begins to stop the node.
    pub stop: Arc<dyn Fn() + Send + Sync>,
    /// Does something to the application, and waits until it is done.
    pub control: Arc<dyn Fn(Control) -> Result<(), String> + Send + Sync>,
    /// Replaces the level of the log.
    pub set_log_level: SetLogLevel,
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
pub(super) const DATA: u8 = 65;
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

/// The application, and what is asked of it.
struct Operator<'a> {
    running: &'a Application,
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

/// Does it. Most of it needs an application that runs, some that none does.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others need an application that runs"
)]
pub(super) fn run(node: &NodeFacts, operation: Operation, body: &[u8]) -> Done {
    let needs = |state: &str, how: &str| {
        let text = format!(
            "Error: this command requires the 'rabbit' app to be {state} on the target node. {how} with 'rabbitmqctl {}'.",
            if state == "running" {
                "start_app"
            } else {
                "stop_app"
            }
        );
        Failed::new(USAGE, text)
    };
    let control = |control: Control| {
        (node.control)(control)
            .map(|()| Value::Null)
            .map_err(|why| Failed::new(UNAVAILABLE, why))
    };
    let running = node.application.running();
    match operation {
        Operation::Ping => Ok(serde_json::json!({
            "running": running.is_some(),
            "pid": std::process::id(),
            "vhosts": running.map_or(0, |running| running.broker.vhosts().len()),
        })),
        Operation::Stop => {
            tracing::info!("asked to stop at the local door");
            (node.stop)();
            Ok(Value::Null)
        }
        Operation::SetLogLevel { level } => (node.set_log_level)(&level)
            .map(|()| Value::Null)
            .map_err(|why| Failed::new(UNAVAILABLE, why)),
        Operation::StopApplication => {
            // What is held here would keep the store open.
            drop(running);
            control(Control::Stop)
        }
        Operation::StartApplication => control(Control::Start),
        Operation::Reset if running.is_some() => Err(needs("stopped", "Stop it")),
        Operation::Reset => control(Control::Reset),
        Operation::Suspend { drain } if running.is_some() => {
            control(Control::Suspend)?;
            if let Some(running) = running.filter(|_| drain) {
                running.drained.store(true, Ordering::Relaxed);
                running.broker.connections().close(
                    |_| true,
                    ReplyCode::ConnectionForced,
                    "Node was put into maintenance mode",
                );
            }
            Ok(Value::Null)
        }
        Operation::Resume { revive } if running.is_some() => {
            control(Control::Resume)?;
            if let Some(running) = running.filter(|_| revive) {
                running.drained.store(false, Ordering::Relaxed);
            }
            Ok(Value::Null)
        }
        operation => {
            let running = running.ok_or_else(|| needs("running", "Start it"))?;
            let operator = Operator {
                running: &running,
                broker: &running.broker,
                node,
            };
            operator.run(operation, body)
        }
    }
}

impl Operator<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is left was done by `run` before there was an operator"
    )]
    fn run(&self, operation: Operation, body: &[u8]) -> Done {
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
            | Operation::ListUserTopicPermissions { .. } => self.users(operation),
            Operation::AddVhost { .. }
            | Operation::UpdateVhost { .. }
            | Operation::ProtectVhost { .. }
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
            | Operation::ListGlobalParameters => self.vhosts(operation),
            Operation::ListNothing => Ok(Value::Array(Vec::new())),
            Operation::ListQueues { vhost } => self.queues(&vhost),
            Operation::ListExchanges { vhost } => self.exchanges(&vhost),
            Operation::ListBindings { vhost } => self.bindings(&vhost),
            Operation::ListConsumers { vhost } => self.consumers(&vhost),
            Operation::ListConnections => Ok(self.connections()),
            Operation::ListChannels => Ok(self.channels()),
            Operation::ExportDefinitions => Ok(self.export_definitions()),
            Operation::ImportDefinitions { skip_if_unchanged } => {
                self.import_definitions(body, skip_if_unchanged)
            }
            Operation::SetParameter {
                vhost,
                component,
                name,
                value,
            } => self.set_parameter(&vhost, &component, &name, &value),
            Operation::ClearParameter {
                vhost,
                component,
                name,
            } => self.clear_parameter(&vhost, &component, &name),
            Operation::ListParameters { vhost } => self.list_parameters(&vhost),
            Operation::WatchEvents { from } => Ok(self.watch_events(from)),
            Operation::ListAuthAttempts => Ok(self.auth_attempts()),
            Operation::ForgetAuthAttempts => {
                self.broker.access().forget_attempts();
                Ok(Value::Null)
            }
            Operation::ListFeatures => Ok(self.features()),
            Operation::EnableFeature { name } => self.enable_feature(name.as_deref()),
            Operation::ListDeprecated { used } => Ok(self.deprecated(used)),
            operation => self.node(operation),
        }
    }
}
