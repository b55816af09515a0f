//! One connection's counters. Its task changes them, nobody else.

use crate::metrics::Count;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct ConnectionStats {
    /// Octets read.
    pub received_bytes: Count,
    /// Reads.
    pub received_packets: Count,
    /// Octets written.
    pub sent_bytes: Count,
    /// Writes.
    pub sent_packets: Count,
    /// Octets that the peer has not taken yet.
    pub pending_bytes: Count,
    /// Not 0: it is not read, for the disk is behind.
    pub held_back: Count,
    /// Not 0: it is not read, for it publishes and an alarm is up.
    pub blocked: Count,
}
