//! The memory that all queues of a node share.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// A queue may always hold so much.
const SHARE_BYTES_MIN: u64 = 16 * 1024;

/// What the messages of all queues may hold of the node's memory.
#[derive(Debug)]
pub struct Memory {
    held_bytes: AtomicU64,
    bytes_max: u64,
}

impl Memory {
    /// A budget of so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self {
            held_bytes: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// What all queues hold.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// What one queue may hold: as much as is free, so that one queue gets half of all, two a third each, and there is
    /// always room for another.
    pub(super) fn share(&self) -> u64 {
        let free = self.bytes_max.saturating_sub(self.held_bytes());
        free.max(SHARE_BYTES_MIN.min(self.bytes_max))
    }

    pub(super) fn change(&self, from: u64, to: u64) {
        if to >= from {
            self.held_bytes.fetch_add(to - from, Ordering::Relaxed);
        } else {
            self.held_bytes.fetch_sub(from - to, Ordering::Relaxed);
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}
