//! Feature flags and deprecated features: what RabbitMQ lets operators enable, and what it is about to drop.

use crate::broker::Broker;
use crate::model::Release;
use crate::vhost::QueueHandle;
use crate::vhost::policies::PolicyKind;

/// What RabbitMQ 3.13 lets operators enable, and what is always there here.
pub const FEATURES: [(&str, &str); 12] = [
    (
        "classic_mirrored_queue_version",
        "Support setting version for classic mirrored queues",
    ),
    (
        "direct_exchange_routing_v2",
        "v2 direct exchange routing implementation",
    ),
    (
        "drop_unroutable_metric",
        "Count unroutable publishes to be dropped in stats",
    ),
    (
        "empty_basic_get_metric",
        "Count AMQP `basic.get` on empty queues in stats",
    ),
    ("feature_flags_v2", "Feature flags subsystem V2"),
    (
        "implicit_default_bindings",
        "Default bindings are now implicit, instead of being stored in the database",
    ),
    ("maintenance_mode_status", "Maintenance mode status"),
    ("quorum_queue", "Support queues of type `quorum`"),
    ("stream_queue", "Support queues of type `stream`"),
    ("stream_filtering", "Support for stream filtering."),
    (
        "user_limits",
        "Configure connection and channel limits for a user",
    ),
    (
        "virtual_host_metadata",
        "Virtual host metadata (description, tags, etc)",
    ),
];

/// What RabbitMQ is about to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deprecated {
    /// RabbitMQ's name of it.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// How far RabbitMQ has come with it.
    pub phase: &'static str,
    /// Whether it may be used here.
    pub permitted: bool,
}

impl Broker {
    /// All of them; whether `global_qos` is permitted the front doors know.
    pub fn deprecated_features(&self, global_qos: bool) -> Vec<Deprecated> {
        let permitted = self.options.permitted;
        let mirrors = match self.options.release {
            Release::V3 => "permitted_by_default",
            Release::V4 => "removed",
        };
        let usual = "permitted_by_default";
        let feature = |name, description, phase, permitted| Deprecated {
            name,
            description,
            phase,
            permitted,
        };
        vec![
            feature(
                "classic_queue_mirroring",
                "Classic mirrored queues are deprecated.",
                mirrors,
                permitted.classic_queue_mirroring,
            ),
            feature("global_qos", "Global QoS is deprecated.", usual, global_qos),
            feature(
                "queue_master_locator",
                "queue-master-locator is deprecated.",
                usual,
                permitted.queue_master_locator,
            ),
            feature(
                "transient_nonexcl_queues",
                "Transient non-exclusive queues are deprecated.",
                usual,
                permitted.transient_nonexcl_queues,
            ),
        ]
    }

    /// Whether something that is declared uses it now.
    pub fn uses_deprecated(&self, name: &str) -> bool {
        let vhosts = self.vhosts();
        let any_queue = |wanted: &dyn Fn(&QueueHandle) -> bool| {
            let mut queues = vhosts.iter().flat_map(|vhost| vhost.queues());
            queues.any(|queue| wanted(&queue))
        };
        match name {
            "transient_nonexcl_queues" => {
                any_queue(&|queue| !queue.durable && queue.owner.is_none())
            }
            "queue_master_locator" => {
                any_queue(&|queue| queue.arguments.value("x-queue-master-locator").is_some())
            }
            "classic_queue_mirroring" => vhosts.iter().any(|vhost| {
                let policies = vhost.policies(PolicyKind::Ordinary);
                policies
                    .iter()
                    .any(|policy| policy.definition.contains_key("ha-mode"))
            }),
            "global_qos" => {
                let open = self.connections().list();
                let mut channels = open.iter().flat_map(|open| open.channels());
                channels.any(|channel| channel.stats.global_prefetch.get() > 0)
            }
            _ => false,
        }
    }
}
