//! Of the node and its alarms.

use crate::broker::AlarmState;
use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::metric;
use crate::management::prometheus::text::Kind;
use crate::metrics::ChurnCounts;
use crate::metrics::machine::Machine;

/// The node at one moment.
pub(in crate::management::prometheus) struct NodeFigures {
    pub(in crate::management::prometheus) churn: ChurnCounts,
    pub(in crate::management::prometheus) machine: Machine,
    pub(in crate::management::prometheus) alarms: AlarmState,
}

/// Of the node.
pub(in crate::management::prometheus) const NODE: &[Metric<NodeFigures>] = &[
    metric(
        "connection_churn_metrics",
        "connections_opened_total",
        Kind::Counter,
        "Total number of connections opened",
        |n| n.churn.connection_created,
    ),
    metric(
        "connection_churn_metrics",
        "connections_closed_total",
        Kind::Counter,
        "Total number of connections closed or terminated",
        |n| n.churn.connection_closed,
    ),
    metric(
        "connection_churn_metrics",
        "channels_opened_total",
        Kind::Counter,
        "Total number of channels opened",
        |n| n.churn.channel_created,
    ),
    metric(
        "connection_churn_metrics",
        "channels_closed_total",
        Kind::Counter,
        "Total number of channels closed",
        |n| n.churn.channel_closed,
    ),
    metric(
        "connection_churn_metrics",
        "queues_declared_total",
        Kind::Counter,
        "Total number of queues declared",
        |n| n.churn.queue_declared,
    ),
    metric(
        "connection_churn_metrics",
        "queues_created_total",
        Kind::Counter,
        "Total number of queues created",
        |n| n.churn.queue_created,
    ),
    metric(
        "connection_churn_metrics",
        "queues_deleted_total",
        Kind::Counter,
        "Total number of queues deleted",
        |n| n.churn.queue_deleted,
    ),
    metric(
        "node_coarse_metrics",
        "process_open_fds",
        Kind::Gauge,
        "Open file descriptors",
        |n| n.machine.files_open,
    ),
    metric(
        "node_coarse_metrics",
        "process_open_tcp_sockets",
        Kind::Gauge,
        "Open TCP sockets",
        |n| n.machine.sockets_open,
    ),
    metric(
        "node_coarse_metrics",
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory used in bytes",
        |n| n.machine.memory_used,
    ),
    metric(
        "node_coarse_metrics",
        "disk_space_available_bytes",
        Kind::Gauge,
        "Disk space available in bytes",
        |n| n.machine.disk_free,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_processes_used",
        Kind::Gauge,
        "Erlang processes used",
        |n| n.machine.threads,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_gc_runs_total",
        Kind::Counter,
        "Total number of Erlang garbage collector runs",
        |_| 0,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_gc_reclaimed_bytes_total",
        Kind::Counter,
        "Total number of bytes of memory reclaimed by Erlang garbage collector",
        |_| 0,
    ),
    metric(
        "node_coarse_metrics",
        "erlang_scheduler_context_switches_total",
        Kind::Counter,
        "Total number of Erlang scheduler context switches",
        |n| n.machine.context_switches,
    ),
    metric(
        "node_metrics",
        "process_max_fds",
        Kind::Gauge,
        "Open file descriptors limit",
        |n| n.machine.files_max,
    ),
    metric(
        "node_metrics",
        "process_max_tcp_sockets",
        Kind::Gauge,
        "Open TCP sockets limit",
        |n| n.machine.files_max,
    ),
    metric(
        "node_metrics",
        "resident_memory_limit_bytes",
        Kind::Gauge,
        "Memory high watermark in bytes",
        |n| n.alarms.memory_limit.unwrap_or(0),
    ),
    metric(
        "node_metrics",
        "disk_space_available_limit_bytes",
        Kind::Gauge,
        "Free disk space low watermark in bytes",
        |n| n.alarms.disk_limit.unwrap_or(0),
    ),
    metric(
        "node_metrics",
        "erlang_processes_limit",
        Kind::Gauge,
        "Erlang processes limit",
        |_| 1_048_576,
    ),
    metric(
        "node_metrics",
        "erlang_scheduler_run_queue",
        Kind::Gauge,
        "Erlang scheduler run queue",
        |_| 0,
    ),
    metric(
        "node_metrics",
        "erlang_net_ticktime_seconds",
        Kind::Gauge,
        "Inter-node heartbeat interval",
        |_| 60,
    ),
    metric(
        "node_persister_metrics",
        "io_read_ops_total",
        Kind::Counter,
        "Total number of I/O read operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_read_bytes_total",
        Kind::Counter,
        "Total number of I/O bytes read",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_write_ops_total",
        Kind::Counter,
        "Total number of I/O write operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_write_bytes_total",
        Kind::Counter,
        "Total number of I/O bytes written",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_sync_ops_total",
        Kind::Counter,
        "Total number of I/O sync operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_seek_ops_total",
        Kind::Counter,
        "Total number of I/O seek operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_reopen_ops_total",
        Kind::Counter,
        "Total number of times files have been reopened",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "schema_db_ram_tx_total",
        Kind::Counter,
        "Total number of Schema DB memory transactions",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "schema_db_disk_tx_total",
        Kind::Counter,
        "Total number of Schema DB disk transactions",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "msg_store_read_total",
        Kind::Counter,
        "Total number of Message Store read operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "msg_store_write_total",
        Kind::Counter,
        "Total number of Message Store write operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "queue_index_read_ops_total",
        Kind::Counter,
        "Total number of Queue Index read operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "queue_index_write_ops_total",
        Kind::Counter,
        "Total number of Queue Index write operations",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_read_time_seconds_total",
        Kind::Counter,
        "Total I/O read time",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_write_time_seconds_total",
        Kind::Counter,
        "Total I/O write time",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_sync_time_seconds_total",
        Kind::Counter,
        "Total I/O sync time",
        |_| 0,
    ),
    metric(
        "node_persister_metrics",
        "io_seek_time_seconds_total",
        Kind::Counter,
        "Total I/O seek time",
        |_| 0,
    ),
];

/// Whether each alarm is up.
pub(in crate::management::prometheus) const ALARMS: &[Metric<NodeFigures>] = &[
    metric(
        "alarms",
        "alarms_file_descriptor_limit",
        Kind::Untyped,
        "is 1 if file descriptor limit alarm is in effect",
        |_| 0,
    ),
    metric(
        "alarms",
        "alarms_free_disk_space_watermark",
        Kind::Untyped,
        "is 1 if free disk space watermark alarm is in effect",
        |n| u64::from(n.alarms.disk),
    ),
    metric(
        "alarms",
        "alarms_memory_used_watermark",
        Kind::Untyped,
        "is 1 if VM memory watermark alarm is in effect",
        |n| u64::from(n.alarms.memory),
    ),
];

/// Logins, of a protocol or of all: those that succeeded, and those that failed.
pub(in crate::management::prometheus) const AUTH_ATTEMPTS: &[Metric<(u64, u64)>] = &[
    metric(
        "auth_attempt_metrics",
        "auth_attempts_total",
        Kind::Counter,
        "Total number of authentication attempts",
        |(succeeded, failed)| succeeded + failed,
    ),
    metric(
        "auth_attempt_metrics",
        "auth_attempts_succeeded_total",
        Kind::Counter,
        "Total number of successful authentication attempts",
        |(succeeded, _)| *succeeded,
    ),
    metric(
        "auth_attempt_metrics",
        "auth_attempts_failed_total",
        Kind::Counter,
        "Total number of failed authentication attempts",
        |(_, failed)| *failed,
    ),
];
