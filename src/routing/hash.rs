//! Hashes that are the same on every node and after every restart, which those of the standard library's maps are not.
//!
//! FNV-1a with a finalizer: what is hashed is short, and nobody gains by collisions but uneven load on his own queues.

use std::hash::Hash;
use std::hash::Hasher;

/// Hashes octets.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hasher = StableHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Spreads a number over all 64 bits (the finalizer of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The hash of a destination: stable as far as its [`Hash`] is.
pub(super) fn of<D: Hash>(destination: &D) -> u64 {
    let mut hasher = StableHasher::default();
    destination.hash(&mut hasher);
    hasher.finish()
}

struct StableHasher(u64);

impl Default for StableHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_stay_what_they_were() {
        assert_eq!(stable_hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(stable_hash(b"order.1"), stable_hash(b"order.1"));
        assert_ne!(stable_hash(b"order.1"), stable_hash(b"order.2"));
    }
}
