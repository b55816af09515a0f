//! `deprecated_features.permit.*`: what RabbitMQ is about to drop, and whether it may be used here.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Permitted;

/// Of RabbitMQ's names those that mean something here; any other is an unknown key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeprecatedFeatures {
    /// Queues that are neither durable nor exclusive.
    #[serde(rename = "permit.transient_nonexcl_queues")]
    pub transient_nonexcl_queues: bool,
    /// A prefetch for a whole channel.
    #[serde(rename = "permit.global_qos")]
    pub global_qos: bool,
    /// `queue-master-locator`.
    #[serde(rename = "permit.queue_master_locator")]
    pub queue_master_locator: bool,
    /// Policies with `ha-*` keys.
    #[serde(rename = "permit.classic_queue_mirroring")]
    pub classic_queue_mirroring: bool,
}

impl Default for DeprecatedFeatures {
    fn default() -> Self {
        Self {
            transient_nonexcl_queues: true,
            global_qos: true,
            queue_master_locator: true,
            classic_queue_mirroring: true,
        }
    }
}

impl DeprecatedFeatures {
    /// As the floors below take it.
    pub fn permitted(self) -> Permitted {
        Permitted {
            transient_nonexcl_queues: self.transient_nonexcl_queues,
            global_qos: self.global_qos,
            queue_master_locator: self.queue_master_locator,
            classic_queue_mirroring: self.classic_queue_mirroring,
        }
    }
}
