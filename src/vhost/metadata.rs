//! What an operator notes about a virtual host.

use crate::queue::QueueType;

/// See the module's documentation. It is stored and replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VhostMetadata {
    /// For people.
    pub description: String,
    /// For tools.
    pub tags: Vec<String>,
    /// The type of durable, shared queues that are declared without one.
    pub default_queue_type: Option<QueueType>,
    /// It cannot be deleted.
    pub protected_from_deletion: bool,
}
