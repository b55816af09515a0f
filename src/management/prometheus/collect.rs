//! Which families each of the exporter's pages has.

use std::collections::HashSet;
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::ChannelInfo;
use crate::broker::ConnectionInfo;
use crate::management::prometheus::families::Queues;
use crate::management::prometheus::families::each;
use crate::management::prometheus::families::named;
use crate::management::prometheus::families::of_queues;
use crate::management::prometheus::families::once_each;
use crate::management::prometheus::families::singles;
use crate::management::prometheus::families::summed;
use crate::management::prometheus::names;
use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::NodeFigures;
use crate::management::prometheus::text::Family;
use crate::management::prometheus::text::Kind;
use crate::management::prometheus::text::Number;
use crate::management::prometheus::text::Page;
use crate::management::prometheus::text::labels;
use crate::metrics::machine::Machine;
use crate::queue::QueueType;
use crate::vhost::Exchange;
use crate::vhost::Vhost;

/// There is no Erlang here; dashboards want a text.
const ERLANG: &str = "none";

/// What pages are made from.
pub(super) struct Source<'a> {
    pub(super) broker: &'a Broker,
    pub(super) node: &'a str,
    pub(super) started_at: u64,
    pub(super) now: u64,
}

/// What `/metrics/detailed` is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) families: HashSet<String>,
    /// `None`: all.
    pub(super) vhosts: Option<HashSet<String>>,
}

impl Source<'_> {
    /// `/metrics`: sums over all objects.
    pub(super) fn aggregated(&self) -> Page {
        let mut families = self.node();
        families.extend(summed(names::QUEUES, &self.queue_sums()));
        let exchanges = self.exchanges(|_| true);
        families.extend(summed(
            names::EXCHANGES,
            &sums(names::EXCHANGES, &exchanges),
        ));
        let connections = self.broker.connections().list();
        families.extend(summed(
            names::CONNECTIONS,
            &sums(names::CONNECTIONS, &connections),
        ));
        let channels: Vec<_> = connections
            .iter()
            .flat_map(|connection| connection.channels())
            .collect();
        families.extend(summed(names::CHANNELS, &sums(names::CHANNELS, &channels)));
        families.push(self.oldest_of_all());
        families.push(self.published_to_queues());
        families.extend(self.auth_attempts("rabbitmq_"));
        families.extend(self.totals());
        families.extend(self.identity("aggregated"));
        Page::new(families)
    }

    /// `/metrics/per-object`: every object by itself.
    pub(super) fn per_object(&self) -> Page {
        let mut families = self.node();
        families.extend(self.objects("rabbitmq_", |_| true, &|_| true));
        families.push(self.queue_info("rabbitmq_", &self.queues(&|_| true)));
        families.push(self.oldest("leveret_", &self.queues(&|_| true)));
        families.extend(self.auth_attempts("rabbitmq_"));
        families.extend(self.totals());
        families.extend(self.identity("per-object"));
        Page::new(families)
    }

    /// `/metrics/memory-breakdown`: where the memory is.
    pub(super) fn memory_breakdown(&self) -> Page {
        let mut families = singles("rabbitmq_", names::MEMORY, &self.memory_parts(), |_| true);
        families.extend(self.identity("memory-breakdown"));
        Page::new(families)
    }

    /// `/metrics/detailed`: the families and virtual hosts that are asked for.
    pub(super) fn detailed(&self, wanted: &Wanted) -> Page {
        const PREFIX: &str = "rabbitmq_detailed_";
        let is_wanted = |family: &str| {
            // The same name in both.
            let doubled =
                family == "queue_consumer_count" && wanted.families.contains("queue_metrics");
            wanted.families.contains(family) && !doubled
        };
        let vhosts = wanted.vhosts.as_ref();
        let vhost = |name: &str| vhosts.is_none_or(|vhosts| vhosts.contains(name));
        let figures = self.figures();
        let mut families = singles(PREFIX, names::NODE, &figures, is_wanted);
        if is_wanted("node_metrics") {
            families.push(self.uptime(PREFIX));
        }
        if is_wanted("auth_attempt_metrics") {
            families.extend(self.auth_attempts(PREFIX));
        }
        if is_wanted("queue_oldest_message_age") {
            families.push(self.oldest("leveret_detailed_", &self.queues(&vhost)));
        }
        families.extend(self.objects(PREFIX, is_wanted, &vhost));
        families.extend(self.cluster_wide(is_wanted));
        let about_queues = [
            "queue_coarse_metrics",
            "queue_consumer_count",
            "queue_metrics",
        ];
        if about_queues
            .iter()
            .any(|family| wanted.families.contains(*family))
        {
            families.push(self.queue_info(PREFIX, &self.queues(&vhost)));
        }
        families.extend(self.identity("detailed"));
        Page::new(families)
    }

    fn figures(&self) -> NodeFigures {
        NodeFigures {
            churn: self.broker.churn().counts(),
            machine: Machine::look(&self.broker.options().data_dir),
            alarms: self.broker.alarms(),
        }
    }

    /// What belongs to no object that comes and goes.
    fn node(&self) -> Vec<Family> {
        let figures = self.figures();
        let mut families = singles("rabbitmq_", names::NODE, &figures, |_| true);
        families.push(self.uptime("rabbitmq_"));
        families.extend(singles("rabbitmq_", names::ALARMS, &figures, |_| true));
        families.extend(singles(
            "",
            names::STORE,
            &self.broker.store().stats(),
            |_| true,
        ));
        families.push(self.log_lines_dropped());
        families.extend(self.global());
        families.extend(self.runtime());
        let started = Number::Whole(self.started_at / 1000);
        families.push(Family::single(
            "process_start_time_seconds",
            Kind::Gauge,
            "Start time of the process since unix epoch in seconds.",
            started,
        ));
        families
    }

    fn uptime(&self, prefix: &str) -> Family {
        let seconds = self.now.saturating_sub(self.started_at) as f64 / 1000.0;
        let name = named(prefix, "erlang_uptime_seconds");
        Family::single(name, Kind::Gauge, "Node uptime", Number::Real(seconds))
    }

    pub(super) fn queues(&self, wanted: &dyn Fn(&str) -> bool) -> Queues {
        let vhosts = self.broker.vhosts().into_iter();
        let vhosts = vhosts.filter(|vhost| wanted(vhost.name()));
        Arc::new(vhosts.flat_map(|vhost| vhost.queues()).collect())
    }

    fn exchanges(&self, wanted: impl Fn(&str) -> bool) -> Vec<InVhost<Exchange>> {
        let vhosts = self.broker.vhosts().into_iter();
        vhosts
            .filter(|vhost| wanted(vhost.name()))
            .flat_map(|vhost| {
                let exchanges = vhost.exchanges().into_iter();
                exchanges.map(move |it| InVhost {
                    vhost: Arc::clone(&vhost),
                    it,
                })
            })
            .collect()
    }

    /// One look a queue for all numbers.
    fn queue_sums(&self) -> Vec<u64> {
        let mut sums = vec![0_u64; names::QUEUES.len()];
        for queue in self.queues(&|_| true).iter() {
            queue.look(|state| {
                for (sum, metric) in sums.iter_mut().zip(names::QUEUES) {
                    *sum = sum.saturating_add((metric.read)(state));
                }
            });
        }
        sums
    }

    fn published_to_queues(&self) -> Family {
        let counts = self.broker.queue_counts();
        let count = counts.values().map(|counts| counts.publish).sum();
        Family::single(
            "rabbitmq_queue_messages_published_total",
            Kind::Counter,
            "Total number of messages published to queues",
            Number::Whole(count),
        )
    }

    fn objects(
        &self,
        prefix: &'static str,
        is_wanted: impl Fn(&str) -> bool,
        vhost: &dyn Fn(&str) -> bool,
    ) -> Vec<Family> {
        let mut families = Vec::new();
        let queues = self.queues(vhost);
        families.extend(of_queues(prefix, &queues, &is_wanted));
        let exchanges = Arc::new(self.exchanges(vhost));
        for metric in once_each(names::EXCHANGES, &is_wanted) {
            let read = metric.read;
            families.push(each(prefix, metric, &exchanges, move |exchange| {
                let labels = labels(&[
                    ("vhost", exchange.vhost.name()),
                    ("exchange", &exchange.it.name),
                ]);
                (labels, Number::Whole(read(&exchange.it)))
            }));
        }
        let connections = Arc::new(self.broker.connections().list());
        for metric in once_each(names::CONNECTIONS, &is_wanted) {
            let read = metric.read;
            families.push(each(prefix, metric, &connections, move |connection| {
                // RabbitMQ's label of connections, too.
                let id = format!("<0.{}.0>", connection.id.0);
                let labels = labels(&[("channel", &id)]);
                (labels, Number::Whole(read(connection)))
            }));
        }
        let of_connection = |connection: &Arc<ConnectionInfo>| {
            let id = connection.id.0;
            let vhost = connection.vhost.to_string();
            let channels = connection.channels().into_iter();
            channels.map(move |channel| {
                let pid = format!("<0.{id}.{}>", channel.number.0);
                (pid, vhost.clone(), channel)
            })
        };
        let channels: Vec<(String, String, Arc<ChannelInfo>)> =
            connections.iter().flat_map(of_connection).collect();
        let channels = Arc::new(channels);
        for metric in once_each(names::CHANNELS, &is_wanted) {
            let read = metric.read;
            let has_vhost = matches!(
                metric.family,
                "channel_exchange_metrics" | "channel_queue_metrics"
            );
            families.push(each(
                prefix,
                metric,
                &channels,
                move |(pid, vhost, channel)| {
                    let pairs = [("channel", pid.as_str()), ("vhost", vhost.as_str())];
                    let pairs = if has_vhost { &pairs[..] } else { &pairs[..1] };
                    (labels(pairs), Number::Whole(read(channel)))
                },
            ));
        }
        families
    }

    /// What is the same on every node of a cluster. As in RabbitMQ it is told of all virtual hosts.
    fn cluster_wide(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Family> {
        let mut families = Vec::new();
        if is_wanted("vhost_status") {
            let vhosts = self.broker.vhosts().into_iter();
            let rows: Vec<_> = vhosts
                .map(|vhost| (labels(&[("vhost", vhost.name())]), Number::Whole(1)))
                .collect();
            families.push(Family::of(
                "rabbitmq_cluster_vhost_status",
                Kind::Gauge,
                "Whether a given vhost is running",
                rows.into_iter(),
            ));
        }
        let mut exchanges = self.exchanges(|_| true);
        exchanges.retain(|exchange| !exchange.it.is_default() && !exchange.it.internal);
        let exchanges = Arc::new(exchanges);
        let metrics: [(&str, &Metric<Exchange>); 2] = [
            (
                "exchange_bindings",
                &Metric {
                    family: "exchange_bindings",
                    name: "exchange_bindings",
                    kind: Kind::Gauge,
                    help: "Number of bindings for an exchange. This value is cluster-wide.",
                    read: |exchange| exchange.bindings().len() as u64,
                },
            ),
            (
                "exchange_names",
                &Metric {
                    family: "exchange_names",
                    name: "exchange_name",
                    kind: Kind::Gauge,
                    help: "Enumerates exchanges without any additional info. This value is cluster-wide. A cheaper alternative to `exchange_bindings`",
                    read: |_| 1,
                },
            ),
        ];
        for (family, metric) in metrics {
            if !is_wanted(family) {
                continue;
            }
            let read = metric.read;
            families.push(each(
                "rabbitmq_cluster_",
                metric,
                &exchanges,
                move |exchange| {
                    let labels = labels(&[
                        ("vhost", exchange.vhost.name()),
                        ("exchange", &exchange.it.name),
                        ("type", exchange.it.kind.name()),
                    ]);
                    (labels, Number::Whole(read(&exchange.it)))
                },
            ));
        }
        families
    }

    fn queue_info(&self, prefix: &'static str, queues: &Queues) -> Family {
        let queues = Arc::clone(queues);
        let rows = (0..queues.len()).map(move |index| {
            let queue = &queues[index];
            let kind = match queue.queue_type {
                QueueType::Classic => "rabbit_classic_queue",
                QueueType::Quorum => "rabbit_quorum_queue",
                QueueType::Stream => "rabbit_stream_queue",
            };
            let labels = labels(&[
                ("vhost", &queue.vhost),
                ("queue", &queue.name),
                ("queue_type", kind),
                ("membership", "leader"),
            ]);
            (labels, Number::Whole(1))
        });
        let help = "Metadata about a queue: its type and this node's membership (leader/follower)";
        Family::of(named(prefix, "queue_info"), Kind::Gauge, help, rows)
    }

    fn totals(&self) -> Vec<Family> {
        let connections = self.broker.connections().list();
        let channels = connections.iter().flat_map(|open| open.channels());
        let (mut channel_count, mut consumers) = (0, 0);
        for channel in channels {
            channel_count += 1;
            consumers += channel.consumer_count();
        }
        let queues: usize = self
            .broker
            .vhosts()
            .iter()
            .map(|vhost| vhost.queue_count())
            .sum();
        let totals = [
            (
                "connections",
                "Connections currently open",
                connections.len(),
            ),
            ("channels", "Channels currently open", channel_count),
            ("consumers", "Consumers currently connected", consumers),
            ("queues", "Queues available", queues),
            (
                "unreachable_cluster_peers_count",
                "Number of peers in the cluster the current node cannot reach.",
                0,
            ),
        ];
        totals
            .map(|(name, help, count)| {
                let name = named("rabbitmq_", name);
                Family::single(name, Kind::Gauge, help, Number::Whole(count as u64))
            })
            .into()
    }

    /// Exactly one series each: dashboards join everything with them.
    fn identity(&self, endpoint: &str) -> [Family; 2] {
        let options = self.broker.options();
        let id = self.broker.parameters().value("internal_cluster_id");
        let id = id.as_ref().and_then(serde_json::Value::as_str);
        let build = labels(&[
            ("product_name", &options.product),
            ("product_version", &options.version),
            ("rabbitmq_version", &options.version),
            ("prometheus_plugin_version", &options.version),
            ("prometheus_client_version", env!("CARGO_PKG_VERSION")),
            ("erlang_version", ERLANG),
        ]);
        let identity = labels(&[
            ("rabbitmq_node", self.node),
            ("rabbitmq_cluster", &self.broker.cluster_name()),
            ("rabbitmq_cluster_permanent_id", id.unwrap_or_default()),
            ("rabbitmq_endpoint", endpoint),
        ]);
        [
            (
                "rabbitmq_build_info",
                "RabbitMQ & Erlang/OTP version info",
                build,
            ),
            (
                "rabbitmq_identity_info",
                "RabbitMQ node & cluster identity info",
                identity,
            ),
        ]
        .map(|(name, help, labels)| {
            let row = (labels, Number::Whole(1));
            Family::of(name, Kind::Untyped, help, std::iter::once(row))
        })
    }
}

/// Something with the virtual host that it lives in.
struct InVhost<T> {
    vhost: Arc<Vhost>,
    it: Arc<T>,
}

/// What numbers are read from.
trait Subject<T> {
    fn subject(&self) -> &T;
}

impl Subject<Exchange> for InVhost<Exchange> {
    fn subject(&self) -> &Exchange {
        &self.it
    }
}

impl Subject<ConnectionInfo> for Arc<ConnectionInfo> {
    fn subject(&self) -> &ConnectionInfo {
        self
    }
}

impl Subject<ChannelInfo> for Arc<ChannelInfo> {
    fn subject(&self) -> &ChannelInfo {
        self
    }
}

fn sums<T>(metrics: &[Metric<T>], all: &[impl Subject<T>]) -> Vec<u64> {
    let sum = |metric: &Metric<T>| all.iter().map(|one| (metric.read)(one.subject())).sum();
    metrics.iter().map(sum).collect()
}
