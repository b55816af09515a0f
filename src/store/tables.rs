//! Byte layout of the redb file: tables, keys, extent rows. What stands inside a page is `block.rs`'s business.
//!
//! Integers in keys are big-endian, so that byte order is numeric order; integers in values are little-endian. All have
//! a fixed width. A *place* is a queue's id and a position, 16 octets.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | `format`, `clean`, `ring_from`, `ring_key` | u64: [`FORMAT`]; 1 when there was no checkpoint yet and the file is new, or was closed cleanly in format 2 or older; the first ring segment that is not in here yet; what checksums of ring frames begin with |
//! | `definitions` | kind (1 octet), key | the definition |
//! | `queues` | queue id (8 octets) | u64: positions below it may have been used |
//! | `blobs` | place of the first position | a page: a block (`block.rs`) |
//! | `parts` | place, number of the part (4 octets) | a part of a page that would waste room as one row |
//! | `extents` | place of the first position | what the page has and which of it is settled (below) |
//!
//! Extent row: CRC32C of the key and of what follows (u32), number of positions with the highest bit set (u32), checksum of
//! the page (u32), octets of its bodies (u64), 1 when some message has the property `expiration` (1 octet), and when
//! some positions are settled or have no message a bitmap of one bit a position, lowest bit first, 1 for those. In files
//! of format 1 and 2 the highest bit is not set and the bitmap follows at once.
//!
//! Invariants: each page has an extent row and the other way round; extents of a queue do not overlap; the row of a
//! page that has nothing left does not exist. Extents stand apart from pages so that opening and settling do not read
//! messages. A queue's row in `queues` runs ahead by [`POSITIONS_RESERVED`] where its extents do not tell which positions
//! were used.

use redb::TableDefinition;

use crate::model::Position;
use crate::model::QueueId;

/// Version of the layout; grows with each change that an older version could not read. 2: blobs tell when their messages
/// entered. 3: the ring, pages of 64 KiB.
pub(crate) const FORMAT: u64 = 3;

/// The oldest version that is still read. A file of an older version than [`FORMAT`] is of this one as soon as it was
/// opened, for what is written from then on is.
pub(crate) const FORMAT_MIN: u64 = 1;

/// The last version without a ring.
pub(crate) const FORMAT_WITHOUT_RING: u64 = 2;

/// By how many positions a queue's row in [`QUEUES`], or a record of the ring, runs ahead. After a restart that many
/// positions may be skipped.
pub(crate) const POSITIONS_RESERVED: u64 = 1 << 20;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const META_FORMAT: &str = "format";
pub(crate) const META_CLEAN: &str = "clean";
pub(crate) const META_RING_FROM: &str = "ring_from";
pub(crate) const META_RING_KEY: &str = "ring_key";

pub(crate) const DEFINITIONS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("definitions");
pub(crate) const QUEUES: TableDefinition<'_, &[u8; 8], u64> = TableDefinition::new("queues");
pub(crate) const PAGES: TableDefinition<'_, &PlaceKey, &[u8]> = TableDefinition::new("blobs");
pub(crate) const PARTS: TableDefinition<'_, &PartKey, &[u8]> = TableDefinition::new("parts");
pub(crate) const EXTENTS: TableDefinition<'_, &PlaceKey, &[u8]> = TableDefinition::new("extents");

/// A queue and a position as they stand in a key.
pub(crate) type PlaceKey = [u8; 16];

/// A place and the number of a part.
pub(crate) type PartKey = [u8; 20];

/// The key of a place.
pub(crate) fn place_key(queue: QueueId, first: u64) -> PlaceKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&queue.0.to_be_bytes());
    key[8..].copy_from_slice(&first.to_be_bytes());
    key
}

/// The place a key stands for.
pub(crate) fn place(key: &PlaceKey) -> (QueueId, Position) {
    let number = u128::from_be_bytes(*key);
    (QueueId((number >> 64) as u64), Position(number as u64))
}

/// The key of one part of the page at `key`.
pub(crate) fn part_key(key: &PlaceKey, number: u32) -> PartKey {
    let mut part = [0; 20];
    part[..16].copy_from_slice(key);
    part[16..].copy_from_slice(&number.to_be_bytes());
    part
}

/// The first and the last key a queue can have.
pub(crate) fn queue_keys(queue: QueueId) -> [PlaceKey; 2] {
    [place_key(queue, 0), place_key(queue, u64::MAX)]
}

/// The key of a definition.
pub(crate) fn definition_key(kind: u8, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(kind);
    bytes.extend_from_slice(key);
    bytes
}

/// What an extent row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtentRow<'a> {
    /// Number of positions.
    pub(crate) positions: u32,
    /// Of its page; files of formats 1 and 2 do not tell.
    pub(crate) page: Option<PageFacts>,
    /// Empty or a bit for each position.
    pub(crate) settled: &'a [u8],
}

/// What is known of a page without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// Its checksum.
    pub(crate) checksum: u32,
    /// Octets of all bodies.
    pub(crate) body_bytes: u64,
    /// Some message has the property `expiration`.
    pub(crate) expiring: bool,
}

const WITH_FACTS: u32 = 1 << 31;

impl ExtentRow<'_> {
    pub(crate) fn encode(&self, key: &PlaceKey) -> Vec<u8> {
        let mut row = vec![0; 4];
        match self.page {
            Some(facts) => {
                row.extend_from_slice(&(self.positions | WITH_FACTS).to_le_bytes());
                row.extend_from_slice(&facts.checksum.to_le_bytes());
                row.extend_from_slice(&facts.body_bytes.to_le_bytes());
                row.push(u8::from(facts.expiring));
            }
            None => row.extend_from_slice(&self.positions.to_le_bytes()),
        }
        row.extend_from_slice(self.settled);
        let crc = checksum(key, &row[4..]);
        row[..4].copy_from_slice(&crc.to_le_bytes());
        row
    }

    /// `None` when it is damaged.
    pub(crate) fn parse<'a>(key: &PlaceKey, row: &'a [u8]) -> Option<ExtentRow<'a>> {
        let (crc, content) = row.split_first_chunk::<4>()?;
        if checksum(key, content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (positions, mut settled) = content.split_first_chunk::<4>()?;
        let positions = u32::from_le_bytes(*positions);
        let mut page = None;
        if positions & WITH_FACTS != 0 {
            let (checksum, rest) = settled.split_first_chunk::<4>()?;
            let (body_bytes, rest) = rest.split_first_chunk::<8>()?;
            let (expiring, rest) = rest.split_first()?;
            settled = rest;
            page = Some(PageFacts {
                checksum: u32::from_le_bytes(*checksum),
                body_bytes: u64::from_le_bytes(*body_bytes),
                expiring: *expiring != 0,
            });
        }
        let positions = positions & !WITH_FACTS;
        let intact = (1..=POSITIONS_MAX).contains(&positions)
            && (settled.is_empty() || settled.len() == bitmap_bytes(positions));
        intact.then_some(ExtentRow {
            positions,
            page,
            settled,
        })
    }
}

/// No block of any format has more positions.
const POSITIONS_MAX: u32 = 1 << 16;

/// Octets in a bitmap of `count` positions.
pub(crate) fn bitmap_bytes(count: u32) -> usize {
    count.div_ceil(8) as usize
}

/// Covers the key too, so that content that stands in a wrong place is found.
pub(crate) fn checksum(key: &PlaceKey, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: PageFacts = PageFacts {
        checksum: 0x0807_0605,
        body_bytes: 99,
        expiring: true,
    };

    fn row(page: Option<PageFacts>) -> ExtentRow<'static> {
        ExtentRow {
            positions: 9,
            page,
            settled: &[0b1010, 1],
        }
    }

    #[test]
    fn keys_sort_by_queue_and_position() {
        let places = [(1, 2), (1, 255), (1, 256), (2, 1), (256, 0)];
        let keys = places.map(|(queue, first)| place_key(QueueId(queue), first));
        assert!(keys.is_sorted());
        assert_eq!(place(&keys[2]), (QueueId(1), Position(256)));
        assert_eq!(part_key(&keys[0], 1)[15..], [2, 0, 0, 0, 1]);
    }

    /// Files out there look like this: when it fails, the layout has changed and needs a new [`FORMAT`].
    #[test]
    fn the_layout_is_format_3() {
        let key = place_key(QueueId(0x0102), 0x0304);
        assert_eq!(key, [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        let old = [50, 192, 201, 182, 9, 0, 0, 0, 0b1010, 1];
        assert_eq!(row(None).encode(&key), old);
        let new = [
            9, 0, 0, 128, 5, 6, 7, 8, 99, 0, 0, 0, 0, 0, 0, 0, 1, 0b1010, 1,
        ];
        assert_eq!(row(Some(FACTS)).encode(&key)[4..], new);
        assert_eq!(definition_key(3, b"q"), [3, b'q']);
        assert_eq!(FORMAT, 3);
    }

    #[test]
    fn an_extent_row_comes_back_and_a_damaged_one_does_not() {
        let key = place_key(QueueId(7), 9);
        for row in [row(None), row(Some(FACTS))] {
            let bytes = row.encode(&key);
            assert_eq!(ExtentRow::parse(&key, &bytes), Some(row));
            for byte in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[byte] ^= 0x10;
                assert_eq!(ExtentRow::parse(&key, &damaged), None, "octet {byte}");
            }
            assert_eq!(ExtentRow::parse(&place_key(QueueId(7), 10), &bytes), None);
        }
    }
}
