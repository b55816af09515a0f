//! What is of the node as a whole: what all clients did, also those that are gone, how long things took, its runtime and its memory.

use crate::broker::Protocol;
use crate::logs;
use crate::management::prometheus::collect::Source;
use crate::management::prometheus::families::Queues;
use crate::management::prometheus::families::labelled;
use crate::management::prometheus::families::named;
use crate::management::prometheus::families::singles;
use crate::management::prometheus::names;
use crate::management::prometheus::names::Parts;
use crate::management::prometheus::names::Runtime;
use crate::management::prometheus::text::Family;
use crate::management::prometheus::text::Kind;
use crate::management::prometheus::text::Number;
use crate::management::prometheus::text::labels;
use crate::metrics::BOUNDS;
use crate::metrics::CONFIRM_BOUNDS_US;
use crate::metrics::Histogram;
use crate::metrics::QueueCounts;
use crate::metrics::QueueHistory;
use crate::metrics::Strategy;
use crate::metrics::WAIT_BOUNDS_MS;
use crate::metrics::machine::Machine;
use crate::queue::QueueType;
use crate::vhost::QueueHandle;

/// The label of everything that came over AMQP 0-9-1.
const PROTOCOL: (&str, &str) = ("protocol", "amqp091");

const OLDEST: &str = "queue_oldest_message_age_seconds";
const OLDEST_HELP: &str =
    "How long the ready message has waited that has waited longest, where that is known";

impl Source<'_> {
    /// What clients do, also those that are gone.
    pub(super) fn global(&self) -> Vec<Family> {
        let traffic = self.broker.connections().traffic();
        let all = traffic.values().map(|traffic| traffic.messages).sum();
        let mut families = labelled("rabbitmq_", names::GLOBAL, &[(labels(&[PROTOCOL]), all)]);
        let channels: Vec<_> = self
            .broker
            .connections()
            .list()
            .iter()
            .flat_map(|connection| connection.channels())
            .collect();
        let publishers = channels
            .iter()
            .filter(|channel| channel.stats.publish.get() > 0);
        let consumers: usize = channels
            .iter()
            .map(|channel| channel.consumer_count())
            .sum();
        for (name, help, count) in [
            (
                "publishers",
                "Current number of publishers",
                publishers.count(),
            ),
            ("consumers", "Current number of consumers", consumers),
        ] {
            let row = (labels(&[PROTOCOL]), Number::Whole(count as u64));
            let name = format!("rabbitmq_global_{name}");
            families.push(Family::of(name, Kind::Gauge, help, std::iter::once(row)));
        }
        let counts = self.broker.queue_counts();
        let types = [
            (QueueType::Classic, "rabbit_classic_queue"),
            (QueueType::Quorum, "rabbit_quorum_queue"),
            (QueueType::Stream, "rabbit_stream_queue"),
        ];
        let of = |kind| -> QueueCounts { counts.get(&kind).copied().unwrap_or_default() };
        let by_type =
            types.map(|(kind, name)| (labels(&[PROTOCOL, ("queue_type", name)]), of(kind)));
        families.extend(labelled("rabbitmq_", names::GLOBAL_BY_QUEUE_TYPE, &by_type));
        let histories = self.broker.queue_histories();
        let of = |kind| -> QueueHistory { histories.get(&kind).copied().unwrap_or_default() };
        families.extend(dead_letters(of(QueueType::Classic), of(QueueType::Quorum)));
        let waited = types.map(|(kind, name)| (vec![("queue_type", name)], of(kind).waited));
        families.push(histogram(
            "leveret_queue_wait_seconds",
            "How long messages had waited in their queues when they were delivered or fetched",
            (&WAIT_BOUNDS_MS, 1_000.0),
            &waited[..2],
        ));
        families.push(histogram(
            "leveret_confirm_latency_seconds",
            "How long publishers waited for their confirms",
            (&CONFIRM_BOUNDS_US, 1_000_000.0),
            &[(Vec::new(), self.broker.confirm_latency())],
        ));
        let mut vhosts: Vec<_> = self.broker.vhosts();
        vhosts.sort_by(|left, right| left.name().cmp(right.name()));
        let rows: Vec<_> = vhosts
            .iter()
            .map(|vhost| {
                let messages = traffic.get(vhost.name()).map(|traffic| traffic.messages);
                (
                    labels(&[("vhost", vhost.name())]),
                    messages.unwrap_or_default(),
                )
            })
            .collect();
        families.extend(labelled("", names::VHOSTS, &rows));
        families
    }

    /// Of the log.
    pub(super) fn log_lines_dropped(&self) -> Family {
        let rows = logs::lost().into_iter().map(|(output, count)| {
            let labels = labels(&[("output", output)]);
            (labels, Number::Whole(count))
        });
        Family::of(
            "leveret_log_lines_dropped_total",
            Kind::Counter,
            "Total number of log lines that were lost, for want of room or because they could not be written",
            rows,
        )
    }

    /// What an Erlang node tells of its runtime.
    pub(super) fn runtime(&self) -> Vec<Family> {
        let traffic = self.broker.connections().traffic();
        let machine = Machine::look(&self.broker.options().data_dir);
        let runtime = Runtime {
            machine,
            received_bytes: traffic.values().map(|traffic| traffic.received_bytes).sum(),
            sent_bytes: traffic.values().map(|traffic| traffic.sent_bytes).sum(),
        };
        let mut families = singles("", names::ERLANG, &runtime, |_| true);
        let messages = self.broker.queue_memory_bytes();
        let system = machine.memory_used.saturating_sub(messages);
        let kinds = [("processes", messages), ("system", system)];
        let rows = kinds.map(|(kind, bytes)| (labels(&[("kind", kind)]), Number::Whole(bytes)));
        families.push(Family::of(
            "erlang_vm_memory_bytes_total",
            Kind::Gauge,
            "The total amount of memory currently allocated. This is the same as the sum of the memory size for processes and system.",
            rows.into_iter(),
        ));
        // There are no atoms, no tables, and binaries count with the processes.
        let usages = ["atom", "binary", "code", "ets", "other"].map(|usage| {
            let bytes = if usage == "other" { system } else { 0 };
            (labels(&[("usage", usage)]), Number::Whole(bytes))
        });
        families.push(Family::of(
            "erlang_vm_memory_system_bytes_total",
            Kind::Gauge,
            "The total amount of memory currently allocated for the emulator that is not directly related to any Erlang process. \
             Memory presented as processes is not included in this memory.",
            usages.into_iter(),
        ));
        families
    }

    /// The resident memory by what is known of it.
    pub(super) fn memory_parts(&self) -> Parts {
        let mut parts = Parts::default();
        for queue in self.queues(&|_| true).iter() {
            let part = match queue.queue_type {
                QueueType::Classic => &mut parts.classic,
                QueueType::Quorum => &mut parts.quorum,
                QueueType::Stream => &mut parts.stream,
            };
            *part += queue.look(|state| state.memory_bytes());
        }
        for connection in self.broker.connections().list() {
            parts.connections += connection.stats.pending_bytes.get();
        }
        let known = parts.classic + parts.quorum + parts.stream + parts.connections;
        let used = Machine::look(&self.broker.options().data_dir).memory_used;
        parts.other = used.saturating_sub(known);
        parts
    }

    /// How many logins there were, by protocol.
    pub(super) fn auth_attempts(&self, prefix: &str) -> Vec<Family> {
        let protocols = [(Protocol::Amqp091, "amqp091"), (Protocol::Http, "http")];
        let attempts = protocols.map(|(protocol, name)| {
            let attempts = self.broker.access().attempts(protocol);
            (labels(&[("protocol", name)]), attempts)
        });
        labelled(prefix, names::AUTH_ATTEMPTS, &attempts)
    }

    /// How long the oldest ready message of each queue has waited. Nothing is said of streams, and of messages that nobody has read
    /// since the node started.
    pub(super) fn oldest(&self, prefix: &str, queues: &Queues) -> Family {
        let (queues, now) = (std::sync::Arc::clone(queues), self.now);
        let rows = (0..queues.len()).filter_map(move |index| {
            let queue = &queues[index];
            let labels = labels(&[("vhost", &queue.vhost), ("queue", &queue.name)]);
            Some((labels, Number::Real(age_of_oldest(queue, now)?)))
        });
        Family::of(named(prefix, OLDEST), Kind::Gauge, OLDEST_HELP, rows)
    }

    /// That of the queue where it is the longest.
    pub(super) fn oldest_of_all(&self) -> Family {
        let queues = self.queues(&|_| true);
        let ages = queues
            .iter()
            .filter_map(|queue| age_of_oldest(queue, self.now));
        let oldest = Number::Real(ages.fold(0.0, f64::max));
        Family::single(named("leveret_", OLDEST), Kind::Gauge, OLDEST_HELP, oldest)
    }
}

/// In seconds; 0 where nothing waits.
fn age_of_oldest(queue: &QueueHandle, now: u64) -> Option<f64> {
    let since = match queue.queue_type {
        QueueType::Stream => return None,
        QueueType::Classic | QueueType::Quorum => queue.look(|state| state.oldest()),
    };
    match since {
        None => Some(0.0),
        Some(0) => None,
        Some(since) => Some(now.saturating_sub(since) as f64 / 1_000.0),
    }
}

/// Series exist for what can be, as RabbitMQ has it: classic queues count no returns and wait for no confirms.
fn dead_letters(classic: QueueHistory, quorum: QueueHistory) -> Vec<Family> {
    let strategies = [
        ("disabled", Strategy::Disabled),
        ("at_most_once", Strategy::AtMostOnce),
        ("at_least_once", Strategy::AtLeastOnce),
    ];
    let types = [
        ("rabbit_classic_queue", classic, &strategies[..2]),
        ("rabbit_quorum_queue", quorum, &strategies[..]),
    ];
    let families = names::GLOBAL_DEAD.iter().map(|metric| {
        let mut rows = Vec::new();
        for (kind, history, strategies) in types {
            for (name, strategy) in strategies {
                let surely = *strategy == Strategy::AtLeastOnce;
                let exists = match metric.name {
                    "global_messages_dead_lettered_maxlen_total" => !surely,
                    "global_messages_dead_lettered_confirmed_total" => surely,
                    "global_messages_dead_lettered_delivery_limit_total" => strategies.len() == 3,
                    _ => true,
                };
                if exists {
                    let labels = labels(&[("queue_type", kind), ("dead_letter_strategy", name)]);
                    let count = (metric.read)(&history.dead(*strategy));
                    rows.push((labels, Number::Whole(count)));
                }
            }
        }
        let name = named("rabbitmq_", metric.name);
        Family::of(name, metric.kind, metric.help, rows.into_iter())
    });
    families.collect()
}

/// Buckets, sum and count of each of few subjects; bounds and how many of their unit are a second.
fn histogram(
    name: &str,
    help: &'static str,
    (bounds, second): (&[u64; BOUNDS], f64),
    subjects: &[(Vec<(&str, &str)>, Histogram)],
) -> Family {
    let mut rows = Vec::new();
    for (pairs, histogram) in subjects {
        let mut count = 0;
        for (place, more) in histogram.counts.iter().enumerate() {
            count += more;
            let bound = bounds.get(place);
            let bound = bound.map_or_else(
                || "+Inf".to_owned(),
                |bound| (*bound as f64 / second).to_string(),
            );
            let pairs: Vec<_> = pairs.iter().copied().chain([("le", &*bound)]).collect();
            let series = format!("_bucket{}", labels(&pairs));
            rows.push((series, Number::Whole(count)));
        }
        let labels = labels(pairs);
        let sum = Number::Real(histogram.sum as f64 / second);
        rows.push((format!("_sum{labels}"), sum));
        rows.push((format!("_count{labels}"), Number::Whole(count)));
    }
    Family::of(name, Kind::Histogram, help, rows.into_iter())
}
