//! A blob: consecutive messages of one queue in one row.
//!
//! ```text
//! offset  octets
//! 0       4      CRC32C of the row's key and of everything that follows
//! 4       1      version of this layout: 1
//! 5       3      zero
//! 8       4      number of messages
//! 12      12     for each message: octets of its route (u16), traits (2 octets), octets of its header (u32) and of its
//!                body (u32)
//! …              for each message: route, header, body
//! ```
//!
//! Integers are little-endian. Which of the messages are settled is not known here.

use crate::model::MessageRef;
use crate::model::message::Traits;
use crate::store::tables::PlaceKey;
use crate::store::tables::checksum;

/// Largest blob of several messages; a larger message has a blob of its own.
///
/// With the row's key and redb's own bytes it just fits a page of 16 KiB: redb rounds pages up to a power of two.
pub(crate) const BLOB_BYTES_MAX: usize = 16 * 1024 - 64;

/// No blob has more messages.
pub(crate) const BLOB_MESSAGES_MAX: u64 = ((BLOB_BYTES_MAX - HEAD_BYTES) / ENTRY_BYTES) as u64;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 12;
const ENTRY_BYTES: usize = 12;

/// Octets a message adds to a blob.
pub(crate) fn message_bytes(message: MessageRef<'_>) -> usize {
    ENTRY_BYTES + message.held_bytes()
}

/// Octets of a blob whose messages add `messages_bytes`.
pub(crate) fn blob_bytes(messages_bytes: usize) -> usize {
    HEAD_BYTES + messages_bytes
}

/// Writes the blob of `messages` into `blob`, which has exactly its size.
pub(crate) fn encode(key: &PlaceKey, messages: &[MessageRef<'_>], blob: &mut [u8]) {
    blob[4..8].copy_from_slice(&[VERSION, 0, 0, 0]);
    blob[8..12].copy_from_slice(&(messages.len() as u32).to_le_bytes());
    let (entries, mut content) = blob[HEAD_BYTES..].split_at_mut(messages.len() * ENTRY_BYTES);
    for (message, entry) in messages.iter().zip(entries.chunks_exact_mut(ENTRY_BYTES)) {
        let [route, header, body] = [message.route(), message.header(), message.body()];
        entry[0..2].copy_from_slice(&(route.len() as u16).to_le_bytes());
        entry[2..4].copy_from_slice(&message.traits().to_bytes());
        entry[4..8].copy_from_slice(&(header.len() as u32).to_le_bytes());
        entry[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
        for part in [route, header, body] {
            let (place, rest) = content.split_at_mut(part.len());
            place.copy_from_slice(part);
            content = rest;
        }
    }
    assert!(
        content.is_empty(),
        "a blob has exactly the size of its messages"
    );
    let crc = checksum(key, &blob[4..]);
    blob[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Why a blob cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("it is missing")]
    Missing,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("its version {0} is not known")]
    Version(u8),
    #[error("its lengths do not add up")]
    Lengths,
}

/// One message of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) route: &'a [u8],
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) traits: Traits,
}

/// Checks the blob stored under `key` and takes it apart.
pub(crate) fn decode<'a>(key: &PlaceKey, blob: &'a [u8]) -> Result<Vec<Part<'a>>, Damage> {
    let (crc, content) = blob.split_first_chunk::<4>().ok_or(Damage::Lengths)?;
    if checksum(key, content) != u32::from_le_bytes(*crc) {
        return Err(Damage::Checksum);
    }
    let (head, content) = content.split_first_chunk::<8>().ok_or(Damage::Lengths)?;
    let [version, _, _, _, count @ ..] = *head;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let count = u32::from_le_bytes(count) as usize;
    let entries_bytes = count.checked_mul(ENTRY_BYTES).ok_or(Damage::Lengths)?;
    let (entries, mut content) = content
        .split_at_checked(entries_bytes)
        .ok_or(Damage::Lengths)?;
    let mut take = |len: usize| {
        let (part, rest) = content.split_at_checked(len).ok_or(Damage::Lengths)?;
        content = rest;
        Ok(part)
    };
    let mut parts = Vec::with_capacity(count);
    for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
        let [r0, r1, t0, t1, h0, h1, h2, h3, b0, b1, b2, b3] = *entry;
        let part = Part {
            route: take(usize::from(u16::from_le_bytes([r0, r1])))?,
            header: take(u32::from_le_bytes([h0, h1, h2, h3]) as usize)?,
            body: take(u32::from_le_bytes([b0, b1, b2, b3]) as usize)?,
            traits: Traits::from_bytes([t0, t1]),
        };
        if !is_route(part.route) {
            return Err(Damage::Lengths);
        }
        parts.push(part);
    }
    if content.is_empty() {
        Ok(parts)
    } else {
        Err(Damage::Lengths)
    }
}

/// Two short strings and nothing else: who reads a message relies on it.
fn is_route(route: &[u8]) -> bool {
    let after_string = |bytes: &[u8]| {
        let len = usize::from(*bytes.first()?);
        bytes.get(1 + len..).map(<[u8]>::len)
    };
    let Some(rest) = after_string(route) else {
        return false;
    };
    after_string(&route[route.len() - rest..]) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::QueueId;
    use crate::model::Run;
    use crate::model::RunBuilder;
    use crate::store::tables::place_key;

    fn run() -> Run {
        let mut builder = RunBuilder::default();
        let traits = Traits::new(true, true, false, false, false, 3);
        builder.push(b"\x01x\x03key", &[1, 2, 3], b"body", traits);
        builder.push(b"\0\0", &[0, 0], b"", Traits::default());
        builder.finish()
    }

    fn blob_of(key: &PlaceKey, run: &Run) -> Vec<u8> {
        let messages: Vec<_> = run.iter().collect();
        let mut blob = vec![0; blob_bytes(run.iter().map(message_bytes).sum())];
        encode(key, &messages, &mut blob);
        blob
    }

    #[test]
    fn what_was_encoded_comes_back() {
        let (key, run) = (place_key(QueueId(1), 2), run());
        let blob = blob_of(&key, &run);
        let parts = decode(&key, &blob).expect("intact");
        let back: Vec<_> = parts
            .iter()
            .map(|p| (p.route, p.header, p.body, p.traits))
            .collect();
        let wanted: Vec<_> = run
            .iter()
            .map(|m| (m.route(), m.header(), m.body(), m.traits()))
            .collect();
        assert_eq!(back, wanted);
    }

    /// Files out there look like this: when it fails, the layout has changed and needs a new version.
    #[test]
    fn the_layout_is_version_1() {
        let key = place_key(QueueId(1), 2);
        let traits = Traits::new(true, true, false, false, false, 3);
        let mut builder = RunBuilder::default();
        builder.push(b"\x01x\x03key", &[1, 2, 3], b"body", traits);
        let mut wanted = vec![96, 129, 89, 164];
        wanted.extend_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
        wanted.extend_from_slice(&[6, 0, 3, 3, 3, 0, 0, 0, 4, 0, 0, 0]);
        wanted.extend_from_slice(b"\x01x\x03key\x01\x02\x03body");
        assert_eq!(blob_of(&key, &builder.finish()), wanted);
    }

    #[test]
    fn each_damaged_octet_and_each_cut_is_found() {
        let key = place_key(QueueId(1), 2);
        let blob = blob_of(&key, &run());
        for octet in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[octet] ^= 1;
            assert_eq!(
                decode(&key, &damaged),
                Err(Damage::Checksum),
                "octet {octet}"
            );
            assert!(decode(&key, &blob[..octet]).is_err(), "cut at {octet}");
        }
        let elsewhere = place_key(QueueId(1), 3);
        assert_eq!(decode(&elsewhere, &blob), Err(Damage::Checksum));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_damage_even_under_a_right_checksum() {
        let key = place_key(QueueId(1), 2);
        let blob = blob_of(&key, &run());
        for octet in 5..HEAD_BYTES + ENTRY_BYTES {
            for value in [0, 1, 7, 0x7f, 0xff] {
                let mut odd = blob.clone();
                odd[octet] = value;
                let crc = checksum(&key, &odd[4..]);
                odd[..4].copy_from_slice(&crc.to_le_bytes());
                // It may still be a blob; it must not be a panic.
                let _ = decode(&key, &odd);
            }
        }
        let mut newer = blob;
        newer[4] = 2;
        let crc = checksum(&key, &newer[4..]);
        newer[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode(&key, &newer), Err(Damage::Version(2)));
    }
}
