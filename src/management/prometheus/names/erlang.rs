//! What an Erlang node tells of its runtime, as far as something here comes close: the least that dashboards and checks ask for.
//!
//! Threads stand for processes, open files for ports, messages in memory for the processes' memory. What has no counterpart is 0.

use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::metric;
use crate::management::prometheus::text::Kind;
use crate::metrics::machine::Machine;

/// The process at one moment.
pub(in crate::management::prometheus) struct Runtime {
    pub(in crate::management::prometheus) machine: Machine,
    /// What all connections have received, also those that are gone.
    pub(in crate::management::prometheus) received_bytes: u64,
    /// The same for what was sent to them.
    pub(in crate::management::prometheus) sent_bytes: u64,
}

/// Of the runtime, without labels.
pub(in crate::management::prometheus) const ERLANG: &[Metric<Runtime>] = &[
    metric(
        "erlang",
        "erlang_vm_process_count",
        Kind::Gauge,
        "The number of processes currently existing at the local node.",
        |r| r.machine.threads,
    ),
    metric(
        "erlang",
        "erlang_vm_process_limit",
        Kind::Gauge,
        "The maximum number of simultaneously existing processes at the local node.",
        |_| 1_048_576,
    ),
    metric(
        "erlang",
        "erlang_vm_port_count",
        Kind::Gauge,
        "The number of ports currently existing at the local node.",
        |r| r.machine.files_open,
    ),
    metric(
        "erlang",
        "erlang_vm_port_limit",
        Kind::Gauge,
        "The maximum number of simultaneously existing ports at the local node.",
        |r| r.machine.files_max,
    ),
    metric(
        "erlang",
        "erlang_vm_ets_tables",
        Kind::Gauge,
        "Erlang VM ETS Tables count.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_ets_limit",
        Kind::Gauge,
        "The maximum number of ETS tables allowed.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_dets_tables",
        Kind::Gauge,
        "Erlang VM DETS Tables count.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_dirty_io_schedulers",
        Kind::Gauge,
        "The number of scheduler dirty I/O scheduler threads used by the emulator.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_bytes_output_total",
        Kind::Counter,
        "Total number of bytes output to ports.",
        |r| r.sent_bytes,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_bytes_received_total",
        Kind::Counter,
        "Total number of bytes received through ports.",
        |r| r.received_bytes,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_context_switches",
        Kind::Counter,
        "Total number of context switches since the system started.",
        |r| r.machine.context_switches,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_dirty_cpu_run_queue_length",
        Kind::Gauge,
        "Length of the dirty CPU run-queue.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_dirty_io_run_queue_length",
        Kind::Gauge,
        "Length of the dirty IO run-queue.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_garbage_collection_number_of_gcs",
        Kind::Counter,
        "Garbage collection: number of GCs.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_garbage_collection_bytes_reclaimed",
        Kind::Counter,
        "Garbage collection: bytes reclaimed.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_reductions_total",
        Kind::Counter,
        "Total reductions.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_run_queues_length",
        Kind::Gauge,
        "Length of normal run-queues.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_run_queues_length_total",
        Kind::Gauge,
        "Total length of normal run-queues.",
        |_| 0,
    ),
    metric(
        "erlang",
        "erlang_vm_statistics_runtime_milliseconds",
        Kind::Counter,
        "The sum of the runtime for all threads in the Erlang runtime system. Can be greater than wall clock time.",
        |r| r.machine.cpu_millis,
    ),
];
