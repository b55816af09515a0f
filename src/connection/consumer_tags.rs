//! Server-made consumer tags: `amq.ctag-` and 22 characters.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::ConsumerTag;

/// A sequence of tags that depends on its seed alone.
///
/// Tags are no secrets; the only promise is that they do not repeat. The numbers are SplitMix64's, whose period is 2^64.
#[derive(Debug)]
pub(super) struct ConsumerTags {
    state: u64,
}

impl ConsumerTags {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next_tag(&mut self) -> ConsumerTag {
        let mut random = [0; 16];
        random[..8].copy_from_slice(&self.next_number().to_be_bytes());
        random[8..].copy_from_slice(&self.next_number().to_be_bytes());
        ConsumerTag::known(&format!("amq.ctag-{}", URL_SAFE_NO_PAD.encode(random)))
    }

    fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_look_like_rabbitmqs_and_differ() {
        let mut tags = ConsumerTags::new(7);
        let (one, two) = (tags.next_tag(), tags.next_tag());
        assert_ne!(one, two);
        let random = one.strip_prefix("amq.ctag-").expect("the prefix");
        assert_eq!(random.len(), 22);
        assert!(
            random
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_ne!(one, ConsumerTags::new(8).next_tag());
    }
}
