//! Bounds of the protocol that are not settings.

/// No single message may be larger, whatever the settings say (RabbitMQ's hard limit).
pub const MESSAGE_BYTES_HARD_MAX: u64 = 512 * 1024 * 1024;

/// Deepest nesting of tables and arrays that is decoded.
///
/// RabbitMQ has no such limit; ours keeps recursion in the decoder bounded.
pub const TABLE_DEPTH_MAX: usize = 128;

/// Smallest `frame_max` a peer may ask for (RabbitMQ 3.13; specification §4.2.3).
pub const FRAME_SIZE_MIN: u32 = 4096;

/// Frame header and end octet around each payload.
pub const FRAME_OVERHEAD_BYTES: usize = 8;
