//! Where the memory of the process is, in RabbitMQ's parts.
//!
//! Known is what the messages of queues take, and output that waits for clients. All the rest of the resident memory (code, connections,
//! names, caches, what the allocator keeps) is `other_system`; parts that there are none of are 0.

use crate::management::prometheus::names::Metric;
use crate::management::prometheus::names::metric;
use crate::management::prometheus::text::Kind;

/// Octets by what they are for; their sum is the resident memory.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::management::prometheus) struct Parts {
    /// Output that clients have not taken.
    pub(in crate::management::prometheus) connections: u64,
    /// Messages of classic queues.
    pub(in crate::management::prometheus) classic: u64,
    /// Messages of quorum queues.
    pub(in crate::management::prometheus) quorum: u64,
    /// Messages of streams.
    pub(in crate::management::prometheus) stream: u64,
    /// Everything else.
    pub(in crate::management::prometheus) other: u64,
}

/// Of the node's memory.
pub(in crate::management::prometheus) const MEMORY: &[Metric<Parts>] = &[
    metric(
        "memory",
        "memory_code_module_bytes",
        Kind::Gauge,
        "Code module memory footprint",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_client_connection_reader_bytes",
        Kind::Gauge,
        "Client connection reader processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_client_connection_writer_bytes",
        Kind::Gauge,
        "Client connection writer processes footprint in bytes",
        |p| p.connections,
    ),
    metric(
        "memory",
        "memory_client_connection_channel_bytes",
        Kind::Gauge,
        "Client connection channel processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_client_connection_other_bytes",
        Kind::Gauge,
        "Client connection other processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_classic_queue_erlang_process_bytes",
        Kind::Gauge,
        "Classic queue processes footprint in bytes",
        |p| p.classic,
    ),
    metric(
        "memory",
        "memory_quorum_queue_erlang_process_bytes",
        Kind::Gauge,
        "Quorum queue processes footprint in bytes",
        |p| p.quorum,
    ),
    metric(
        "memory",
        "memory_quorum_queue_dlx_erlang_process_bytes",
        Kind::Gauge,
        "Quorum queue DLX worker processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_stream_erlang_process_bytes",
        Kind::Gauge,
        "Stream processes footprint in bytes",
        |p| p.stream,
    ),
    metric(
        "memory",
        "memory_stream_replica_reader_erlang_process_bytes",
        Kind::Gauge,
        "Stream replica reader processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_stream_coordinator_erlang_process_bytes",
        Kind::Gauge,
        "Stream coordinator processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_plugin_bytes",
        Kind::Gauge,
        "Total plugin footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_modern_metadata_store_bytes",
        Kind::Gauge,
        "Modern metadata store footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_other_erlang_process_bytes",
        Kind::Gauge,
        "Other processes footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_metrics_bytes",
        Kind::Gauge,
        "Metric table footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_management_stats_db_bytes",
        Kind::Gauge,
        "Management stats database footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_classic_metadata_store_bytes",
        Kind::Gauge,
        "Classic metadata store footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_quorum_queue_ets_table_bytes",
        Kind::Gauge,
        "Quorum queue ETS tables footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_modern_metadata_store_ets_table_bytes",
        Kind::Gauge,
        "Modern metadata store ETS tables footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_other_ets_table_bytes",
        Kind::Gauge,
        "Other ETS tables footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_binary_heap_bytes",
        Kind::Gauge,
        "Binary heap size in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_message_index_bytes",
        Kind::Gauge,
        "Message index footprint in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_atom_table_bytes",
        Kind::Gauge,
        "Atom table size in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_other_system_bytes",
        Kind::Gauge,
        "Other runtime footprint in bytes",
        |p| p.other,
    ),
    metric(
        "memory",
        "memory_runtime_allocated_unused_bytes",
        Kind::Gauge,
        "Runtime allocated but unused blocks size in bytes",
        |_| 0,
    ),
    metric(
        "memory",
        "memory_runtime_reserved_unallocated_bytes",
        Kind::Gauge,
        "Runtime reserved but unallocated blocks size in bytes",
        |_| 0,
    ),
];
