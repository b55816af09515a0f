//! The exclusive queues of one connection: what must go when it ends.
//!
//! Most connections have few for long; some make one for each request, and it goes by itself (auto-delete, `x-expires`).
//! Those are forgotten now and then, so that a connection's memory follows what it has and not what it had.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::QueueId;
use crate::vhost::QueueHandle;

/// Below this many nothing is looked through.
const FORGET_FROM: usize = 64;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Exclusive {
    queues: HashMap<QueueId, Arc<QueueHandle>>,
    forget_at: usize,
}

impl Exclusive {
    /// Adds a queue; one that is there already stays once. `exists` tells which of the others still do.
    pub(super) fn add(&mut self, queue: Arc<QueueHandle>, exists: impl Fn(&QueueHandle) -> bool) {
        self.queues.insert(queue.id, queue);
        if self.queues.len() > self.forget_at.max(FORGET_FROM) {
            self.queues.retain(|_, queue| exists(queue));
            // Each look pays for as many additions as it looked at.
            self.forget_at = self.queues.len() * 2;
        }
    }

    /// A queue was deleted.
    pub(super) fn remove(&mut self, queue: QueueId) {
        self.queues.remove(&queue);
    }

    /// All of them; none is left.
    pub(super) fn take(&mut self) -> Vec<Arc<QueueHandle>> {
        std::mem::take(&mut self.queues).into_values().collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }
}
