//! A blob: consecutive messages of one queue in one row.
//!
//! ```text
//! offset  octets
//! 0       4      CRC32C of the row's key and of everything that follows
//! 4       1      version of this layout: 2
//! 5       1      zero
//! 6       2      number of stretches of messages that entered the queue at the same time (u16)
//! 8       4      number of messages
//! 12      8      for each stretch: number of its messages (u16), when they entered (48 bits, milliseconds since the
//!                Unix epoch)
//! …       12     for each message: octets of its route (u16), traits (2 octets), octets of its header (u32) and of its
//!                body (u32)
//! …              for each message: route, header, body
//! ```
//!
//! In version 1 octets 5 to 7 are zero and there are no stretches. Integers are little-endian. Which of the messages are
//! settled is not known here.

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

const VERSION: u8 = 2;
/// Without times. Files of format 1 have these blobs.
const VERSION_TIMELESS: u8 = 1;
const HEAD_BYTES: usize = 12;
const ENTRY_BYTES: usize = 12;

/// Octets a message adds to a blob.
pub(crate) fn message_bytes(message: MessageRef<'_>) -> usize {
    ENTRY_BYTES + message.held_bytes()
}

/// Octets of a blob whose messages add `messages_bytes` and have so many stretches.
pub(crate) fn blob_bytes(messages_bytes: usize, stretches: usize) -> usize {
    HEAD_BYTES + stretches * STRETCH_BYTES + messages_bytes
}

/// Octets a stretch adds to a blob.
pub(crate) const STRETCH_BYTES: usize = 8;

/// The last time that a stretch can hold; later ones are cut to it.
const TIME_MAX: u64 = (1 << 48) - 1;

/// Neighbouring messages of a blob that entered the queue at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Number of messages; no blob has more than [`BLOB_MESSAGES_MAX`].
    pub(crate) messages: u16,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
}

impl Stretch {
    /// One message.
    pub(crate) fn new(at: u64) -> Self {
        Self { messages: 1, at }
    }

    fn to_bytes(self) -> [u8; STRETCH_BYTES] {
        (self.at.min(TIME_MAX) << 16 | u64::from(self.messages)).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; STRETCH_BYTES]) -> Self {
        let number = u64::from_le_bytes(bytes);
        Self {
            messages: number as u16,
            at: number >> 16,
        }
    }
}

/// Writes the blob of `messages` into `blob`, which has exactly its size.
pub(crate) fn encode(
    key: &PlaceKey,
    messages: &[MessageRef<'_>],
    times: &[Stretch],
    blob: &mut [u8],
) {
    blob[4..6].copy_from_slice(&[VERSION, 0]);
    blob[6..8].copy_from_slice(&(times.len() as u16).to_le_bytes());
    blob[8..12].copy_from_slice(&(messages.len() as u32).to_le_bytes());
    let (stretches, rest) = blob[HEAD_BYTES..].split_at_mut(times.len() * STRETCH_BYTES);
    for (time, place) in times.iter().zip(stretches.chunks_exact_mut(STRETCH_BYTES)) {
        place.copy_from_slice(&time.to_bytes());
    }
    let (entries, mut content) = rest.split_at_mut(messages.len() * ENTRY_BYTES);
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
    /// When it entered the queue, in milliseconds since the Unix epoch; blobs of version 1 do not tell.
    pub(crate) enqueued_at: Option<u64>,
}

/// Checks the blob stored under `key` and takes it apart.
pub(crate) fn decode<'a>(key: &PlaceKey, blob: &'a [u8]) -> Result<Vec<Part<'a>>, Damage> {
    let (crc, content) = blob.split_first_chunk::<4>().ok_or(Damage::Lengths)?;
    if checksum(key, content) != u32::from_le_bytes(*crc) {
        return Err(Damage::Checksum);
    }
    let (head, content) = content.split_first_chunk::<8>().ok_or(Damage::Lengths)?;
    let [version, _, s0, s1, count @ ..] = *head;
    let stretches = match version {
        VERSION => usize::from(u16::from_le_bytes([s0, s1])),
        VERSION_TIMELESS => 0,
        _ => return Err(Damage::Version(version)),
    };
    let count = u32::from_le_bytes(count) as usize;
    let (stretches, content) = content
        .split_at_checked(stretches * STRETCH_BYTES)
        .ok_or(Damage::Lengths)?;
    let mut times = stretches
        .as_chunks::<STRETCH_BYTES>()
        .0
        .iter()
        .map(|bytes| Stretch::from_bytes(*bytes))
        .flat_map(|stretch| std::iter::repeat_n(stretch.at, usize::from(stretch.messages)));
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
            enqueued_at: match version {
                VERSION_TIMELESS => None,
                _ => Some(times.next().ok_or(Damage::Lengths)?),
            },
        };
        if !is_route(part.route) {
            return Err(Damage::Lengths);
        }
        parts.push(part);
    }
    if content.is_empty() && times.next().is_none() {
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

    const NOW: u64 = 0x0102_0304_0506;

    fn run() -> Run {
        let mut builder = RunBuilder::default();
        let traits = Traits::new(true, true, false, false, false, 3);
        builder.push(b"\x01x\x03key", &[1, 2, 3], b"body", traits);
        builder.push(b"\0\0", &[0, 0], b"", Traits::default());
        builder.finish()
    }

    fn blob_of(key: &PlaceKey, run: &Run) -> Vec<u8> {
        let messages: Vec<_> = run.iter().collect();
        let times = [Stretch {
            messages: run.len() as u16,
            at: NOW,
        }];
        let mut blob = vec![0; blob_bytes(run.iter().map(message_bytes).sum(), 1)];
        encode(key, &messages, &times, &mut blob);
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
        assert!(parts.iter().all(|part| part.enqueued_at == Some(NOW)));
    }

    #[test]
    fn each_message_keeps_its_time() {
        let (key, run) = (place_key(QueueId(1), 2), run());
        let messages: Vec<_> = run.iter().collect();
        let times = [Stretch::new(5), Stretch::new(u64::MAX)];
        let mut blob = vec![0; blob_bytes(run.iter().map(message_bytes).sum(), 2)];
        encode(&key, &messages, &times, &mut blob);
        let parts = decode(&key, &blob).expect("intact");
        let times: Vec<_> = parts.iter().map(|part| part.enqueued_at).collect();
        assert_eq!(times, [Some(5), Some(TIME_MAX)]);
    }

    #[test]
    fn a_blob_of_version_1_is_still_read() {
        let mut blob = vec![96, 129, 89, 164];
        blob.extend_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
        blob.extend_from_slice(&[6, 0, 3, 3, 3, 0, 0, 0, 4, 0, 0, 0]);
        blob.extend_from_slice(b"\x01x\x03key\x01\x02\x03body");
        let parts = decode(&place_key(QueueId(1), 2), &blob).expect("intact");
        assert_eq!((parts[0].body, parts[0].enqueued_at), (&b"body"[..], None));
    }

    /// Files out there look like this: when it fails, the layout has changed and needs a new version.
    #[test]
    fn the_layout_is_version_2() {
        let key = place_key(QueueId(1), 2);
        let traits = Traits::new(true, true, false, false, false, 3);
        let mut builder = RunBuilder::default();
        builder.push(b"\x01x\x03key", &[1, 2, 3], b"body", traits);
        let mut wanted = vec![112, 55, 222, 245];
        wanted.extend_from_slice(&[2, 0, 1, 0, 1, 0, 0, 0]);
        wanted.extend_from_slice(&[1, 0, 6, 5, 4, 3, 2, 1]);
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
        newer[4] = 3;
        let crc = checksum(&key, &newer[4..]);
        newer[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode(&key, &newer), Err(Damage::Version(3)));
    }
}
