//! A block: messages of one queue at nearly consecutive positions. Ring frames and redb pages are made of blocks.
//!
//! ```text
//! offset  octets
//! 0       4      CRC32C of everything that follows
//! 4       1      version of this layout: 3
//! 5       1      flags: 1 when some message has the property `expiration`
//! 6       2      number of stretches of messages that entered the queue at the same time (u16)
//! 8       4      number of positions
//! 12      8      for each stretch: number of its positions (u16), when its messages entered (48 bits, milliseconds
//!                since the Unix epoch)
//! …       12     for each position: octets of the message's route (u16), traits (2 octets), octets of its header (u32)
//!                and of its body (u32)
//! …              for each message: route, header, body
//! ```
//!
//! A position whose entry has a route of no octets is a *gap*: no message of this block is there. Integers are
//! little-endian. Which of the messages are settled is not known here.
//!
//! Versions 1 and 2 stand in files of formats 1 and 2: their checksum covers the row's key too, they have no gaps and no
//! flags, and version 1 has no stretches.

use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message::Traits;
use crate::store::tables::PlaceKey;

/// Largest block of several messages; a larger message has a block of its own.
///
/// With the row's key and redb's own bytes it just fits a page of 64 KiB: redb rounds pages up to a power of two.
pub(crate) const BLOCK_BYTES_MAX: usize = 64 * 1024 - 64;

/// No block has more positions.
pub(crate) const BLOCK_POSITIONS_MAX: u64 = ((BLOCK_BYTES_MAX - HEAD_BYTES) / ENTRY_BYTES) as u64;

pub(super) const VERSION: u8 = 3;
/// Checksum with the key, no gaps.
const VERSION_KEYED: u8 = 2;
/// As [`VERSION_KEYED`], without times.
const VERSION_TIMELESS: u8 = 1;
pub(super) const FLAG_EXPIRING: u8 = 1;
pub(super) const HEAD_BYTES: usize = 12;
pub(super) const ENTRY_BYTES: usize = 12;
pub(super) const STRETCH_BYTES: usize = 8;

/// The last time that a stretch can hold; later ones are cut to it.
const TIME_MAX: u64 = (1 << 48) - 1;

/// Neighbouring positions whose messages entered the queue at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Number of positions; no block has more than [`BLOCK_POSITIONS_MAX`].
    pub(super) positions: u16,
    /// When, in milliseconds since the Unix epoch.
    pub(super) at: u64,
}

impl Stretch {
    pub(super) fn to_bytes(self) -> [u8; STRETCH_BYTES] {
        (self.at.min(TIME_MAX) << 16 | u64::from(self.positions)).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; STRETCH_BYTES]) -> Self {
        let number = u64::from_le_bytes(bytes);
        Self {
            positions: number as u16,
            at: number >> 16,
        }
    }
}

/// Why a block cannot be read.
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

/// A block that was read.
#[derive(Debug)]
pub(crate) struct Block {
    /// A message for each position; those of gaps must not be looked at.
    run: Run,
    stretches: Vec<Stretch>,
    gaps: Vec<u8>,
}

/// What the checksum of a block must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seal<'a> {
    /// The checksum in the block, and this one; [`None`] where nothing else states it.
    Stated(Option<u32>),
    /// The checksum in the block, which covers this key too, as in versions 1 and 2.
    Keyed(&'a PlaceKey),
}

/// Whether a block of so many octets can have so many positions: before room is made for them.
pub(crate) fn may_have_positions(positions: u32, bytes: u32) -> bool {
    let entries = u64::from(positions) * ENTRY_BYTES as u64;
    positions > 0 && entries + HEAD_BYTES as u64 <= u64::from(bytes)
}

/// The checksum that a block states, however wrong.
pub(crate) fn stated_checksum(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|crc| u32::from_le_bytes(*crc))
}

/// Checks a block and takes it apart without a copy.
pub(crate) fn decode(bytes: Vec<u8>, seal: Seal<'_>) -> Result<Block, Damage> {
    let (crc, content) = bytes.split_first_chunk::<4>().ok_or(Damage::Lengths)?;
    let crc = u32::from_le_bytes(*crc);
    let (found, known) = match seal {
        Seal::Stated(stated) => {
            if stated.is_some_and(|stated| stated != crc) {
                return Err(Damage::Checksum);
            }
            (crc32c::crc32c(content), &[VERSION][..])
        }
        Seal::Keyed(key) => {
            let versions = &[VERSION_KEYED, VERSION_TIMELESS][..];
            (
                crc32c::crc32c_append(crc32c::crc32c(key), content),
                versions,
            )
        }
    };
    if found != crc {
        return Err(Damage::Checksum);
    }
    let head = content.first_chunk::<8>().ok_or(Damage::Lengths)?;
    let [version, _, s0, s1, count @ ..] = *head;
    if !known.contains(&version) {
        return Err(Damage::Version(version));
    }
    let count = u32::from_le_bytes(count) as usize;
    let stretch_count = match version {
        VERSION_TIMELESS => 0,
        _ => usize::from(u16::from_le_bytes([s0, s1])),
    };
    let entries_at = HEAD_BYTES + stretch_count * STRETCH_BYTES;
    let content_at = count
        .checked_mul(ENTRY_BYTES)
        .and_then(|entries| entries.checked_add(entries_at))
        .filter(|at| *at <= bytes.len())
        .ok_or(Damage::Lengths)?;
    let stretches: Vec<_> = bytes[HEAD_BYTES..entries_at]
        .as_chunks::<STRETCH_BYTES>()
        .0
        .iter()
        .map(|bytes| Stretch::from_bytes(*bytes))
        .collect();
    let timed: usize = stretches
        .iter()
        .map(|stretch| usize::from(stretch.positions))
        .sum();
    if count == 0 || (version != VERSION_TIMELESS && timed != count) {
        return Err(Damage::Lengths);
    }
    let entries = entries(&bytes, entries_at, content_at, version)?;
    let mut gaps = Vec::new();
    let mut builder = RunBuilder::over(bytes);
    for (index, entry) in entries.iter().enumerate() {
        if entry.route == 0 {
            gaps.resize(count.div_ceil(8), 0);
            gaps[index / 8] |= 1 << (index % 8);
        }
        builder.found(
            entry.at,
            entry.route,
            entry.header,
            entry.body,
            entry.traits,
        );
    }
    Ok(Block {
        run: builder.finish(),
        stretches,
        gaps,
    })
}

struct Entry {
    at: usize,
    route: usize,
    header: usize,
    body: usize,
    traits: Traits,
}

fn entries(
    bytes: &[u8],
    entries_at: usize,
    content_at: usize,
    version: u8,
) -> Result<Vec<Entry>, Damage> {
    let mut at = content_at;
    let raw = bytes[entries_at..content_at].as_chunks::<ENTRY_BYTES>().0;
    let mut entries = Vec::with_capacity(raw.len());
    for entry in raw {
        let [r0, r1, t0, t1, h0, h1, h2, h3, b0, b1, b2, b3] = *entry;
        let entry = Entry {
            at,
            route: usize::from(u16::from_le_bytes([r0, r1])),
            header: u32::from_le_bytes([h0, h1, h2, h3]) as usize,
            body: u32::from_le_bytes([b0, b1, b2, b3]) as usize,
            traits: Traits::from_bytes([t0, t1]),
        };
        let end = at + entry.route + entry.header + entry.body;
        let is_gap = version == VERSION && [entry.route, entry.header, entry.body] == [0; 3];
        let route = bytes.get(at..at + entry.route).ok_or(Damage::Lengths)?;
        if end > bytes.len() || !(is_gap || is_route(route)) {
            return Err(Damage::Lengths);
        }
        at = end;
        entries.push(entry);
    }
    if at == bytes.len() {
        Ok(entries)
    } else {
        Err(Damage::Lengths)
    }
}

impl Block {
    /// Number of its positions.
    pub(crate) fn positions(&self) -> u32 {
        self.run.len() as u32
    }

    /// Octets of all bodies.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.run.body_bytes()
    }

    /// Positions without a message; a bitmap as in `Draft::gaps`.
    pub(crate) fn gaps(&self) -> &[u8] {
        &self.gaps
    }

    /// The messages from index `start` up to `end`, among which no gap may be, cut where they entered at different
    /// times: index of the first, the messages, when they entered where that is known.
    pub(crate) fn runs(
        &self,
        start: u32,
        end: u32,
    ) -> impl Iterator<Item = (u32, Run, Option<u64>)> {
        let mut at = start;
        let mut stretch_end = 0;
        let mut stretches = self.stretches.iter();
        let mut time = None;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            while stretch_end <= at {
                match stretches.next() {
                    Some(stretch) => {
                        stretch_end += u32::from(stretch.positions);
                        time = Some(stretch.at);
                    }
                    None => {
                        stretch_end = end;
                        time = None;
                    }
                }
            }
            let until = stretch_end.min(end);
            let piece = (at, self.run.slice(at as usize..until as usize), time);
            at = until;
            Some(piece)
        })
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
    use crate::store::draft::Draft;
    use crate::store::draft::GAP_MAX;
    use crate::store::tables::place_key;

    const NOW: u64 = 0x0102_0304_0506;

    fn run() -> Run {
        let mut builder = RunBuilder::default();
        let traits = Traits::new(true, true, false, false, false, 3);
        builder.push(b"\x01x\x03key", &[1, 2, 3], b"body", traits);
        builder.push(b"\0\0", &[0, 0], b"", Traits::default());
        builder.finish()
    }

    fn draft_of(first: u64, run: &Run) -> Draft {
        let mut draft = Draft::default();
        assert_eq!(draft.take(first, &mut run.clone(), NOW), run.len());
        draft
    }

    fn reseal(block: &mut [u8]) {
        let crc = crc32c::crc32c(&block[4..]);
        block[..4].copy_from_slice(&crc.to_le_bytes());
    }

    #[test]
    fn what_was_encoded_comes_back() {
        let run = run();
        let draft = draft_of(2, &run);
        let bytes = draft.encode();
        assert_eq!((draft.bytes(), draft.body_bytes()), (bytes.len(), 4));
        let block = decode(bytes, Seal::Stated(None)).expect("intact");
        let [(0, back, Some(NOW))] = &block.runs(0, 2).collect::<Vec<_>>()[..] else {
            panic!("one run");
        };
        let parts = |run: &Run| -> Vec<_> {
            let parts = run.iter().map(|m| {
                let parts = [m.route(), m.header(), m.body()].map(<[u8]>::to_vec);
                (parts, m.traits())
            });
            parts.collect()
        };
        assert_eq!(parts(back), parts(&run));
        assert!(block.gaps().is_empty());
    }

    #[test]
    fn gaps_and_times_are_kept() {
        let mut draft = Draft::default();
        let run = run();
        assert_eq!(draft.take(10, &mut run.clone(), 5), 2);
        assert_eq!(draft.take(15, &mut run.clone(), 5), 2);
        assert_eq!(draft.take(18, &mut run.clone(), u64::MAX), 2);
        assert_eq!(draft.take(20 + GAP_MAX + 1, &mut run.clone(), 5), 0);
        assert_eq!((draft.first(), draft.positions()), (10, 10));
        assert_eq!(draft.gaps(), [0b1001_1100, 0]);
        let block = decode(draft.encode(), Seal::Stated(None)).expect("intact");
        assert_eq!(block.gaps(), draft.gaps());
        let runs = |start, end| -> Vec<_> {
            block
                .runs(start, end)
                .map(|(at, run, time)| (at, run.len(), time))
                .collect()
        };
        assert_eq!(runs(5, 10)[1..], [(7, 3, Some(TIME_MAX))]);
        assert_eq!(runs(0, 2), [(0, 2, Some(5))]);
        assert_eq!(runs(8, 10), [(8, 2, Some(TIME_MAX))]);
    }

    #[test]
    fn a_block_is_full_at_its_limit_but_takes_one_message_of_any_size() {
        let mut builder = RunBuilder::default();
        let body = vec![7; BLOCK_BYTES_MAX / 2 - 40];
        for _ in 0..3 {
            builder.push(b"\0\0", &[0, 0], &body, Traits::default());
        }
        builder.push(
            b"\0\0",
            &[0, 0],
            &vec![8; 3 * BLOCK_BYTES_MAX],
            Traits::default(),
        );
        let mut run = builder.finish();
        let mut blocks = Vec::new();
        while !run.is_empty() {
            let mut draft = Draft::default();
            draft.take(1, &mut run, NOW);
            assert_eq!(
                draft.take(1 + u64::from(draft.positions()), &mut run, NOW),
                0
            );
            assert_eq!(draft.encode().len(), draft.bytes());
            blocks.push(draft.positions());
            if run.is_empty() {
                break;
            }
        }
        assert_eq!(blocks, [2, 1, 1]);
    }

    #[test]
    fn blocks_of_the_same_messages_are_the_same() {
        let run = run();
        assert!(draft_of(1, &run).same_as(&draft_of(7, &run)));
        assert!(!draft_of(1, &run).same_as(&draft_of(1, &run.slice(0..1))));
    }

    #[test]
    fn blocks_of_older_versions_are_still_read() {
        let key = place_key(QueueId(1), 2);
        let entry = b"\x06\0\x03\x03\x03\0\0\0\x04\0\0\0\x01x\x03key\x01\x02\x03body";
        let mut first = vec![96, 129, 89, 164, 1, 0, 0, 0, 1, 0, 0, 0];
        first.extend_from_slice(entry);
        let mut second = vec![
            112, 55, 222, 245, 2, 0, 1, 0, 1, 0, 0, 0, 1, 0, 6, 5, 4, 3, 2, 1,
        ];
        second.extend_from_slice(entry);
        for (bytes, time) in [(first, None), (second, Some(NOW))] {
            let block = decode(bytes.clone(), Seal::Keyed(&key)).expect("intact");
            let runs: Vec<_> = block.runs(0, 1).collect();
            assert_eq!((runs[0].1.first().body(), runs[0].2), (&b"body"[..], time));
            let elsewhere = place_key(QueueId(1), 3);
            assert!(decode(bytes, Seal::Keyed(&elsewhere)).is_err());
        }
    }

    /// Files out there look like this: when it fails, the layout has changed and needs a new version.
    #[test]
    fn the_layout_is_version_3() {
        let traits = Traits::new(true, true, false, false, false, 3);
        let mut builder = RunBuilder::default();
        builder.push(b"\x01x\x03key", &[1, 2, 3], b"body", traits);
        let mut wanted = vec![3, 0, 1, 0, 1, 0, 0, 0];
        wanted.extend_from_slice(&[1, 0, 6, 5, 4, 3, 2, 1]);
        wanted.extend_from_slice(&[6, 0, 3, 3, 3, 0, 0, 0, 4, 0, 0, 0]);
        wanted.extend_from_slice(b"\x01x\x03key\x01\x02\x03body");
        let block = draft_of(2, &builder.finish()).encode();
        assert_eq!(block[4..], wanted);
        assert_eq!(stated_checksum(&block), Some(crc32c::crc32c(&wanted)));
    }

    #[test]
    fn each_damaged_octet_and_each_cut_is_found() {
        let block = draft_of(2, &run()).encode();
        for octet in 0..block.len() {
            let mut damaged = block.clone();
            damaged[octet] ^= 1;
            let damage = decode(damaged, Seal::Stated(None)).expect_err("damaged");
            assert_eq!(damage, Damage::Checksum, "octet {octet}");
            let cut = decode(block[..octet].to_vec(), Seal::Stated(None));
            assert!(cut.is_err(), "cut at {octet}");
        }
        let stated = stated_checksum(&block).map(|crc| crc ^ 1);
        let other = decode(block, Seal::Stated(stated)).expect_err("another block");
        assert_eq!(other, Damage::Checksum);
    }

    #[test]
    fn lengths_that_do_not_add_up_are_damage_even_under_a_right_checksum() {
        let block = draft_of(2, &run()).encode();
        for octet in 5..HEAD_BYTES + STRETCH_BYTES + 2 * ENTRY_BYTES {
            for value in [0, 1, 7, 0x7f, 0xff] {
                let mut odd = block.clone();
                odd[octet] = value;
                reseal(&mut odd);
                // It may still be a block; it must not be a panic.
                if let Ok(block) = decode(odd, Seal::Stated(None)) {
                    let _ = block.runs(0, block.positions()).count();
                }
            }
        }
        let mut newer = block;
        newer[4] = 4;
        reseal(&mut newer);
        let damage = decode(newer, Seal::Stated(None)).expect_err("newer");
        assert_eq!(damage, Damage::Version(4));
    }
}
