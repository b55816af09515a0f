//! What a queue was declared as, and which rules follow from that.

use crate::model::Release;
use crate::queue::QueueArguments;
use crate::queue::QueueType;
use crate::queue::consumers::Succession;
use crate::queue::ready::Order;

/// What a queue does with messages. All but the arguments, which policies change, is fixed at its declaration.
#[derive(Debug, Clone, Default)]
pub struct QueueOptions {
    /// Persistent messages are stored.
    pub durable: bool,
    /// The queue is to be deleted when its last consumer goes.
    pub auto_delete: bool,
    /// Parsed arguments.
    pub arguments: QueueArguments,
    /// The delivery limit of a quorum queue whose arguments have none.
    pub delivery_limit_default: Option<u64>,
    /// Whose rules it follows.
    pub release: Release,
}

impl QueueOptions {
    pub(super) fn is_stream(&self) -> bool {
        self.arguments.queue_type == QueueType::Stream
    }

    pub(super) fn is_quorum(&self) -> bool {
        self.arguments.queue_type == QueueType::Quorum
    }

    /// How often a message may come back; `None` is without limit, and then only quorum queues count.
    pub(super) fn delivery_limit(&self) -> Option<u64> {
        match self.arguments.delivery_limit {
            // As in RabbitMQ 4: -1 is without limit.
            Some(limit) => u64::try_from(limit).ok(),
            None if self.is_quorum() => self.delivery_limit_default,
            None => None,
        }
    }

    pub(super) fn order(&self) -> Order {
        match self.arguments.max_priority {
            _ if self.is_quorum() && self.release == Release::V4 => Order::Weighted,
            _ if self.is_quorum() => Order::Arrival,
            Some(max) => Order::Priority(max),
            None => Order::Position,
        }
    }

    pub(super) fn succession(&self) -> Option<Succession> {
        self.arguments
            .single_active_consumer
            .then_some(match (self.is_quorum(), self.release) {
                (false, _) => Succession::Priority,
                (true, Release::V3) => Succession::Age,
                (true, Release::V4) => Succession::HandOver,
            })
    }
}
