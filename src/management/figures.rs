//! The figures of objects: which counters each kind has, in which order, and how they are shown.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::broker::Broker;
use crate::broker::ChannelInfo;
use crate::broker::Traffic;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::query::Query;
use crate::management::query::Range;
use crate::management::rates::Measured;
use crate::management::rates::Subject;
use crate::management::tallies::exchange_tally_values;
use crate::management::tallies::queue_tally_values;
use crate::management::tallies::source_values;
use crate::metrics::Messages;
use crate::metrics::machine::Machine;
use crate::model::ChannelId;
use crate::model::ConnectionId;
use crate::model::VhostName;
use crate::queue::Queue;
use crate::vhost::Vhost;

/// Of channels, and the first of virtual hosts.
const MESSAGES: [&str; 11] = [
    "publish",
    "confirm",
    "return_unroutable",
    "drop_unroutable",
    "deliver",
    "deliver_no_ack",
    "get",
    "get_no_ack",
    "get_empty",
    "redeliver",
    "ack",
];

/// So many of these are moved by publishing.
const PUBLISHING: usize = 4;

/// What makes `deliver_get` of [`MESSAGES`].
const DELIVER_GET: [usize; 4] = [4, 5, 6, 7];

/// Of virtual hosts, after [`MESSAGES`].
pub(super) const READY: usize = 11;
pub(super) const UNACKED: usize = 12;
pub(super) const RECEIVED: usize = 13;
pub(super) const SENT: usize = 14;
pub(super) const DISK_READS: usize = 15;
pub(super) const DISK_WRITES: usize = 16;

/// Of queues.
const QUEUE: [&str; 8] = [
    "publish",
    "deliver",
    "deliver_no_ack",
    "get",
    "get_no_ack",
    "get_empty",
    "redeliver",
    "ack",
];
const QUEUE_PUBLISHING: usize = 1;
const QUEUE_DELIVER_GET: [usize; 4] = [1, 2, 3, 4];
const QUEUE_INDEXES: [usize; QUEUE.len()] = [0, 1, 2, 3, 4, 5, 6, 7];
const QUEUE_READY: usize = 8;
const QUEUE_UNACKED: usize = 9;

/// Of the node: gauges, then what comes and goes.
pub(super) const NODE: [&str; 5] = [
    "mem_used",
    "fd_used",
    "sockets_used",
    "proc_used",
    "disk_free",
];
pub(super) const CHURN: [&str; 7] = [
    "connection_created",
    "connection_closed",
    "channel_created",
    "channel_closed",
    "queue_declared",
    "queue_created",
    "queue_deleted",
];

/// For which times samples are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ranges {
    pub(super) lengths: Option<Range>,
    pub(super) messages: Option<Range>,
    pub(super) data: Option<Range>,
    pub(super) node: Option<Range>,
}

impl Ranges {
    pub(super) fn of(query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            lengths: query.range("lengths")?,
            messages: query.range("msg_rates")?,
            data: query.range("data_rates")?,
            node: query.range("node_stats")?,
        })
    }

    fn any(self) -> bool {
        self.lengths
            .or(self.messages)
            .or(self.data)
            .or(self.node)
            .is_some()
    }
}

pub(super) fn message_values(messages: &Messages) -> Vec<u64> {
    vec![
        messages.publish,
        messages.confirm,
        messages.return_unroutable,
        messages.drop_unroutable,
        messages.deliver,
        messages.deliver_no_ack,
        messages.get,
        messages.get_no_ack,
        messages.get_empty,
        messages.redeliver,
        messages.ack,
    ]
}

/// The counters of a queue, and its messages.
pub(super) type QueueValues = [u64; QUEUE.len() + 2];

pub(super) fn queue_values(queue: &Queue) -> QueueValues {
    let (stats, counts) = (queue.stats(), queue.counts());
    [
        stats.publish,
        stats.deliver,
        stats.deliver_no_ack,
        stats.get,
        stats.get_no_ack,
        stats.get_empty,
        stats.redeliver,
        stats.ack,
        counts.ready,
        counts.unacked,
    ]
}

/// A field of a queue that is a sum of some of its values, or the rate of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueFigure {
    pub(super) of: &'static [usize],
    pub(super) rate: bool,
}

impl QueueFigure {
    /// The one with this dotted name.
    pub(super) fn named(column: &str) -> Option<Self> {
        let (figure, rate) = match column.strip_suffix("_details.rate") {
            Some(figure) => (figure, true),
            None => (column, false),
        };
        let of: &[usize] = match figure.strip_prefix("message_stats.") {
            Some("deliver_get") => &QUEUE_DELIVER_GET,
            Some(name) => {
                let index = QUEUE.iter().position(|known| *known == name)?;
                &QUEUE_INDEXES[index..=index]
            }
            None => match figure {
                "messages" => &[QUEUE_READY, QUEUE_UNACKED],
                "messages_ready" => &[QUEUE_READY],
                "messages_unacknowledged" => &[QUEUE_UNACKED],
                _ => return None,
            },
        };
        Some(Self { of, rate })
    }
}

/// All of one virtual host. `traffic` is that of its clients.
fn vhost_values(vhost: &Vhost, traffic: &Traffic) -> Vec<u64> {
    let mut values = message_values(&traffic.messages);
    values.extend([0, 0, traffic.received_bytes, traffic.sent_bytes, 0, 0]);
    // Not in place: a queue that ends is removed under its own lock.
    for queue in vhost.queues() {
        let (counts, stats) = queue.look(|state| (state.counts(), state.stats()));
        values[READY] += counts.ready;
        values[UNACKED] += counts.unacked;
        values[DISK_READS] += stats.disk_reads;
        values[DISK_WRITES] += stats.disk_writes;
    }
    values
}

fn node_values(broker: &Broker) -> Vec<u64> {
    let machine = Machine::look(&broker.options().data_dir);
    let churn = broker.churn().counts();
    vec![
        machine.memory_used,
        machine.files_open,
        machine.sockets_open,
        machine.threads,
        machine.disk_free,
        churn.connection_created,
        churn.connection_closed,
        churn.channel_created,
        churn.channel_closed,
        churn.queue_declared,
        churn.queue_created,
        churn.queue_deleted,
    ]
}

/// `message_stats` of a channel or a virtual host; `None` when nothing has happened.
pub(super) fn message_stats(
    measured: &Measured,
    range: Option<Range>,
) -> Option<Map<String, Value>> {
    grouped(measured, &MESSAGES, PUBLISHING, &DELIVER_GET, range)
}

/// The same of a queue.
pub(super) fn queue_message_stats(
    measured: &Measured,
    range: Option<Range>,
) -> Option<Map<String, Value>> {
    grouped(
        measured,
        &QUEUE,
        QUEUE_PUBLISHING,
        &QUEUE_DELIVER_GET,
        range,
    )
}

/// Those that publishing moves, the first so many, are shown together, and so are the others: once one of them has moved.
fn grouped(
    measured: &Measured,
    names: &[&str],
    publishing: usize,
    deliver_get: &[usize],
    range: Option<Range>,
) -> Option<Map<String, Value>> {
    let mut stats = Map::new();
    for group in [0..publishing, publishing..names.len()] {
        let indexes: Vec<usize> = group.collect();
        if measured.total(&indexes) == 0 {
            continue;
        }
        for index in &indexes {
            measured.put(&mut stats, names[*index], &[*index], range);
        }
        if indexes.contains(&deliver_get[0]) {
            measured.put(&mut stats, "deliver_get", deliver_get, range);
        }
    }
    (!stats.is_empty()).then_some(stats)
}

/// Messages of a queue, by state.
pub(super) fn put_lengths(
    row: &mut Map<String, Value>,
    measured: &Measured,
    of_queue: bool,
    range: Option<Range>,
) {
    let (ready, unacked) = match of_queue {
        true => (QUEUE_READY, QUEUE_UNACKED),
        false => (READY, UNACKED),
    };
    measured.put(row, "messages", &[ready, unacked], range);
    measured.put(row, "messages_ready", &[ready], range);
    measured.put(row, "messages_unacknowledged", &[unacked], range);
}

impl Api {
    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    /// The figures that `subject` has now, with their rates.
    pub(super) fn measured(&self, subject: Subject, values: Vec<u64>, ranges: Ranges) -> Measured {
        self.meters.look(subject, self.now(), values, ranges.any())
    }

    /// The figures of these virtual hosts.
    pub(super) fn measured_vhosts<'v>(
        &self,
        vhosts: impl Iterator<Item = &'v Vhost>,
        ranges: Ranges,
    ) -> Vec<Measured> {
        let traffic = self.broker.connections().traffic();
        let measured = |vhost: &Vhost| {
            let traffic = traffic.get(vhost.name()).copied().unwrap_or_default();
            let values = vhost_values(vhost, &traffic);
            self.measured(Subject::Vhost(vhost.name().clone()), values, ranges)
        };
        vhosts.map(measured).collect()
    }

    /// The node's figures.
    pub(super) fn measured_node(&self, ranges: Ranges) -> Measured {
        self.measured(Subject::Node, node_values(&self.broker), ranges)
    }

    fn channel(&self, connection: ConnectionId, number: ChannelId) -> Option<Arc<ChannelInfo>> {
        let connection = self.broker.connections().get(connection)?;
        let mut channels = connection.channels().into_iter();
        channels.find(|channel| channel.number == number)
    }

    /// Samples everything that somebody looks at.
    pub(super) fn sample(&self) {
        let now = self.now();
        let mut traffic: Option<HashMap<VhostName, Traffic>> = None;
        for subject in self.meters.due(now) {
            let values = match &subject {
                Subject::Node => Some(node_values(&self.broker)),
                Subject::Vhost(name) => self.broker.vhost(name).map(|vhost| {
                    let all = traffic.get_or_insert_with(|| self.broker.connections().traffic());
                    vhost_values(&vhost, &all.get(name).copied().unwrap_or_default())
                }),
                Subject::Queue(id) => {
                    let queue = self.broker.queue_by_id(*id);
                    queue.map(|queue| queue.look(queue_values).to_vec())
                }
                Subject::Exchange(vhost, name) => {
                    let vhost = self.broker.vhost(vhost);
                    let exchange = vhost.and_then(|vhost| vhost.exchange(name));
                    exchange.map(|exchange| exchange_values(&exchange))
                }
                Subject::Connection(id) => {
                    let connection = self.broker.connections().get(*id);
                    connection.map(|connection| connection_values(&connection))
                }
                Subject::Channel(id, number) => {
                    let channel = self.channel(*id, *number);
                    channel.map(|channel| message_values(&channel.stats.messages()))
                }
                Subject::ChannelAndQueue(id, number, queue) => {
                    let channel = self.channel(*id, *number);
                    let tally = channel.and_then(|channel| channel.stats.queues.of(queue.0));
                    tally.map(|tally| queue_tally_values(&tally))
                }
                Subject::ChannelAndExchange(id, number, exchange) => {
                    let channel = self.channel(*id, *number);
                    let tally = channel.and_then(|channel| channel.stats.exchanges.of(*exchange));
                    tally.map(|tally| exchange_tally_values(&tally))
                }
                Subject::QueueAndExchange(id, exchange) => {
                    let queue = self.broker.queue_by_id(*id);
                    queue.map(|queue| source_values(&queue, *exchange))
                }
            };
            self.meters.sample(&subject, now, values.as_deref());
        }
    }
}

pub(super) fn exchange_values(exchange: &crate::vhost::Exchange) -> Vec<u64> {
    let counts = exchange.stats.counts();
    vec![counts.publish_in, counts.publish_out]
}

pub(super) fn connection_values(connection: &crate::broker::ConnectionInfo) -> Vec<u64> {
    vec![
        connection.stats.received_bytes.get(),
        connection.stats.sent_bytes.get(),
    ]
}
