//! Which release series of RabbitMQ a node takes the place of, and what it still permits that RabbitMQ is about to drop.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

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

/// A deprecated feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deprecated {
    /// See [`Permitted::transient_nonexcl_queues`].
    TransientNonexclQueues,
    /// See [`Permitted::global_qos`].
    GlobalQos,
    /// See [`Permitted::queue_master_locator`].
    QueueMasterLocator,
    /// See [`Permitted::classic_queue_mirroring`].
    ClassicQueueMirroring,
}

/// Which features this process has warned of.
static TOLD: Told = Told::new();

struct Told([AtomicBool; 4]);

impl Told {
    const fn new() -> Self {
        Self([const { AtomicBool::new(false) }; 4])
    }

    /// Whether this is the first time.
    fn is_new(&self, feature: Deprecated) -> bool {
        !self.0[feature as usize].swap(true, Ordering::Relaxed)
    }
}

impl Deprecated {
    /// As the settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TransientNonexclQueues => "transient_nonexcl_queues",
            Self::GlobalQos => "global_qos",
            Self::QueueMasterLocator => "queue_master_locator",
            Self::ClassicQueueMirroring => "classic_queue_mirroring",
        }
    }

    /// Somebody uses it, and may: a warning, for the first time only (RabbitMQ: once a day).
    pub fn warn(self) {
        if TOLD.is_new(self) {
            let text = self.when_permitted();
            tracing::warn!("Deprecated features: `{}`: {text}", self.name());
        }
    }

    /// RabbitMQ's words to the operator, on one line.
    fn when_permitted(self) -> String {
        let feature = self.name();
        let (text, removed) = match self {
            Self::ClassicQueueMirroring => (
                "Classic mirrored queues are deprecated. By default, they can still be used for now. Their use will not be \
                 permitted by default in the next minor RabbitMQ version (if any) and they will be removed from RabbitMQ 4.0.0. \
                 To continue using classic mirrored queues when they are not permitted by default"
                    .to_owned(),
                "they were removed",
            ),
            Self::TransientNonexclQueues | Self::GlobalQos | Self::QueueMasterLocator => (
                format!(
                    "Feature `{feature}` is deprecated. By default, this feature can still be used for now. Its use will not be \
                     permitted by default in a future minor RabbitMQ version and the feature will be removed from a future major \
                     RabbitMQ version; actual versions to be determined. To continue using this feature when it is not \
                     permitted by default"
                ),
                "the feature was removed",
            ),
        };
        format!(
            "{text}, set the following parameter in your configuration: \
             \"deprecated_features.permit.{feature} = true\" To test RabbitMQ as if {removed}, set this in your \
             configuration: \"deprecated_features.permit.{feature} = false\""
        )
    }
}

/// RabbitMQ's words to who uses a feature that the settings forbid.
pub fn denied(feature: Deprecated) -> String {
    let feature = feature.name();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_told_of_once_and_by_its_name() {
        let told = Told::new();
        let all = [
            Deprecated::TransientNonexclQueues,
            Deprecated::GlobalQos,
            Deprecated::QueueMasterLocator,
            Deprecated::ClassicQueueMirroring,
        ];
        for feature in all {
            assert!(told.is_new(feature), "{feature:?}");
            assert!(!told.is_new(feature), "{feature:?}");
            let switch = format!("\"deprecated_features.permit.{} = false\"", feature.name());
            assert!(feature.when_permitted().ends_with(&switch));
        }
    }
}
