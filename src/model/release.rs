//! Which release series of RabbitMQ a node takes the place of, and what it still permits that RabbitMQ is about to drop.

/// Decides what no setting decides: where the series differ in behaviour or in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Release {
    /// 3.13, the last of 3.x.
    #[default]
    V3,
    /// 4.0 and later.
    V4,
}

/// Deprecated features that may be used (`deprecated_features.permit.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permitted {
    /// Queues that are neither durable nor exclusive.
    pub transient_nonexcl_queues: bool,
    /// A prefetch for a whole channel; where it is not permitted, it counts for each consumer.
    pub global_qos: bool,
    /// The argument and policy key that `queue-leader-locator` has replaced.
    pub queue_master_locator: bool,
    /// Policies with `ha-*` keys.
    pub classic_queue_mirroring: bool,
}

impl Default for Permitted {
    fn default() -> Self {
        Self {
            transient_nonexcl_queues: true,
            global_qos: true,
            queue_master_locator: true,
            classic_queue_mirroring: true,
        }
    }
}

/// RabbitMQ's words to who uses a feature that the settings forbid.
pub fn denied(feature: &str) -> String {
    format!(
        "Feature `{feature}` is deprecated.\n\
         Its use is not permitted per the configuration (overriding the default, which is permitted):\n    \
         \"deprecated_features.permit.{feature} = false\"\n\
         Its use will not be permitted by default in a future minor RabbitMQ version and the feature will be removed from a \
         future major RabbitMQ version; actual versions to be determined.\n\
         To continue using this feature when it is not permitted by default, set the following parameter in your \
         configuration:\n    \
         \"deprecated_features.permit.{feature} = true\""
    )
}
