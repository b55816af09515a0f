//! Figures of a store for metrics. Taking them costs two short locks; nothing is counted for them alone.

use crate::store::Store;
use crate::store::tables::FORMAT;

/// How a store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStats {
    /// Files of the ring.
    pub ring_segments: u64,
    /// Octets of these files.
    pub ring_bytes: u64,
    /// Octets of them that hold what redb may not have yet.
    pub ring_used_bytes: u64,
    /// Checkpoints done since the store was opened.
    pub checkpoints: u64,
    /// Roughly the octets that wait for their commit.
    pub waiting_bytes: u64,
    /// Publishers should not be read, see [`Store::congested`].
    pub congested: bool,
    /// The ring is full: what waits is held back until a checkpoint has ended.
    pub ring_full: bool,
    /// The disk is full: what waits is held back until it has room.
    pub disk_full: bool,
}

impl Store {
    /// The version of what is on the disk.
    pub const FORMAT: u64 = FORMAT;

    /// How the store is doing now.
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let waiting_bytes = shared.inbox.bytes() as u64;
        let core = shared.core.lock();
        let [ring_segments, ring_bytes, ring_used_bytes] = core.ring.usage();
        StoreStats {
            ring_segments,
            ring_bytes,
            ring_used_bytes,
            checkpoints: core.checkpoints,
            waiting_bytes,
            congested: shared.inbox.congested(),
            ring_full: core.held_back,
            disk_full: shared.patience.is_full(),
        }
    }
}
