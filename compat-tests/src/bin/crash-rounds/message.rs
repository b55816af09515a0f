//! Messages that prove themselves: who published them, which one it is, and every byte of them.
//!
//! A body follows from its id alone, so that a reader can tell a whole message from a damaged or
//! foreign one without any other state.

use std::fmt;

/// Names a message: its publisher, and its number in that publisher's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MessageId {
    pub(crate) publisher: u16,
    pub(crate) sequence: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.publisher, self.sequence)
    }
}

/// One step of SplitMix64.
fn mixed(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl MessageId {
    fn hash(self) -> u64 {
        mixed(u64::from(self.publisher) << 48 ^ self.sequence)
    }

    /// Mostly small, some beyond 16 KiB, a few beyond one frame (128 KiB).
    fn body_bytes(self) -> usize {
        let hash = self.hash();
        let range = match hash % 1000 {
            0..700 => 24..500,
            700..960 => 500..5_000,
            960..997 => 5_000..40_000,
            _ => 130_000..300_000,
        };
        range.start + (hash >> 32) as usize % range.len()
    }

    /// The body of the message with this id.
    pub(crate) fn body(self) -> Vec<u8> {
        let mut body = format!("{self} ").into_bytes();
        let wanted = self.body_bytes().max(body.len());
        let mut word = self.hash();
        while body.len() < wanted {
            word = mixed(word);
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.truncate(wanted);
        body
    }

    /// The id of a body, if every byte of it is as it should be.
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        let end = body.iter().position(|byte| *byte == b' ')?;
        let text = std::str::from_utf8(&body[..end]).ok()?;
        let (publisher, sequence) = text.split_once('/')?;
        let id = Self {
            publisher: publisher.parse().ok()?,
            sequence: sequence.parse().ok()?,
        };
        (id.body() == body).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_gives_its_id_and_a_damaged_one_none() {
        for sequence in 0..2_000 {
            let id = MessageId {
                publisher: 3,
                sequence,
            };
            let mut body = id.body();
            assert_eq!(MessageId::of(&body), Some(id));
            let last = body.len() - 1;
            body[last] ^= 1;
            assert_eq!(MessageId::of(&body), None);
            assert_eq!(MessageId::of(&body[..last]), None);
        }
    }

    #[test]
    fn bodies_of_all_sizes_occur() {
        let mut sizes: Vec<_> = (0..5_000)
            .map(|sequence| {
                MessageId {
                    publisher: 0,
                    sequence,
                }
                .body()
                .len()
            })
            .collect();
        sizes.sort_unstable();
        assert!(
            sizes[0] < 100 && sizes[4_999] > 131_072,
            "{} {}",
            sizes[0],
            sizes[4_999]
        );
    }
}
