//! What runs behind the local door. The door is open as long as the process runs; the broker behind it can be stopped,
//! wiped and started again, as RabbitMQ's application within its runtime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::RwLock;

use crate::broker::Broker;

/// A broker with what listens for it.
pub struct Application {
    /// The broker.
    pub broker: Arc<Broker>,
    /// Protocols and where they are listened for.
    pub listeners: Vec<(&'static str, SocketAddr)>,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at: u64,
    /// No new connections are taken, for an operator has said so.
    pub suspended: AtomicBool,
    /// The node is under maintenance, for an operator has said so.
    pub drained: AtomicBool,
}

/// The place of the application: empty while it is stopped.
#[derive(Default)]
pub struct Slot(RwLock<Option<Arc<Application>>>);

impl Slot {
    /// What runs.
    pub fn running(&self) -> Option<Arc<Application>> {
        self.0.read().clone()
    }

    /// Puts an application there, or takes it away.
    pub fn set(&self, application: Option<Application>) {
        *self.0.write() = application.map(Arc::new);
    }
}

/// What an operator can do to the application as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Stop it; the process and its local door stay.
    Stop,
    /// Start it.
    Start,
    /// Throw everything away that it has kept.
    Reset,
    /// Take no AMQP connections any more.
    Suspend,
    /// Take them again.
    Resume,
}
