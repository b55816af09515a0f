//! Byte layout of the file: tables, keys, extent rows. What stands inside a blob is `blob.rs`'s business.
//!
//! Integers in keys are big-endian, so that byte order is numeric order; integers in values are little-endian. All have
//! a fixed width. A *place* is a queue's id and a position, 16 octets.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | `format`, `clean` | u64: [`FORMAT`]; 1 when the last user closed the file, else 0 |
//! | `definitions` | kind (1 octet), key | the definition |
//! | `queues` | queue id (8 octets) | u64: positions below it may have been used |
//! | `blobs` | place of the first message | consecutive messages (`blob.rs`) |
//! | `extents` | the same place | how many messages the blob has and which are settled (below) |
//!
//! Extent row: CRC32C of the key and of what follows (u32), number of messages (u32), and when some of them are settled
//! a bitmap of one bit a message, lowest bit first, 1 for settled.
//!
//! Invariants: each blob has an extent row and the other way round; extents of a queue do not overlap; the row of a
//! blob whose messages are all settled does not exist. Extents stand apart from blobs so that opening and settling do
//! not read messages. A queue's row in `queues` is written when its extents alone no longer tell which positions were
//! used; it runs ahead by [`POSITIONS_RESERVED`], so that a queue that stays empty does not rewrite it in each commit.

use redb::TableDefinition;

use crate::model::Position;
use crate::model::QueueId;

/// Version of the layout; grows with each change that an older version could not read. 2: blobs tell when their messages
/// entered.
pub(crate) const FORMAT: u64 = 2;

/// The oldest version that is still read. A file of an older version than [`FORMAT`] is of this one as soon as it was
/// opened, for what is written from then on is.
pub(crate) const FORMAT_MIN: u64 = 1;

/// By how many positions a queue's row in [`QUEUES`] runs ahead. After a restart that many positions may be skipped.
pub(crate) const POSITIONS_RESERVED: u64 = 4096;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const META_FORMAT: &str = "format";
pub(crate) const META_CLEAN: &str = "clean";

pub(crate) const DEFINITIONS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("definitions");
pub(crate) const QUEUES: TableDefinition<'_, &[u8; 8], u64> = TableDefinition::new("queues");
pub(crate) const BLOBS: TableDefinition<'_, &PlaceKey, &[u8]> = TableDefinition::new("blobs");
pub(crate) const EXTENTS: TableDefinition<'_, &PlaceKey, &[u8]> = TableDefinition::new("extents");

/// A queue and a position as they stand in a key.
pub(crate) type PlaceKey = [u8; 16];

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

/// An extent row: `settled` is empty or has a bit for each of `count` messages.
pub(crate) fn extent_row(key: &PlaceKey, count: u32, settled: &[u8]) -> Vec<u8> {
    let mut row = vec![0; 4];
    row.extend_from_slice(&count.to_le_bytes());
    row.extend_from_slice(settled);
    let crc = checksum(key, &row[4..]);
    row[..4].copy_from_slice(&crc.to_le_bytes());
    row
}

/// Number of messages and bitmap of an extent row; `None` when it is damaged.
pub(crate) fn parse_extent_row<'a>(key: &PlaceKey, row: &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (crc, content) = row.split_first_chunk::<4>()?;
    let (count, settled) = content.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count);
    let intact = checksum(key, content) == u32::from_le_bytes(*crc)
        && count > 0
        && (settled.is_empty() || settled.len() == bitmap_bytes(count));
    intact.then_some((count, settled))
}

/// Octets in a bitmap of `count` messages.
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

    #[test]
    fn keys_sort_by_queue_and_position() {
        let places = [(1, 2), (1, 255), (1, 256), (2, 1), (256, 0)];
        let keys = places.map(|(queue, first)| place_key(QueueId(queue), first));
        assert!(keys.is_sorted());
        assert_eq!(place(&keys[2]), (QueueId(1), Position(256)));
    }

    /// Files out there look like this: when it fails, the layout has changed and needs a new [`FORMAT`].
    #[test]
    fn the_layout_is_format_2() {
        let key = place_key(QueueId(0x0102), 0x0304);
        assert_eq!(key, [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        let row = [50, 192, 201, 182, 9, 0, 0, 0, 0b1010, 1];
        assert_eq!(extent_row(&key, 9, &[0b1010, 1]), row);
        assert_eq!(definition_key(3, b"q"), [3, b'q']);
        assert_eq!(FORMAT, 2);
    }

    #[test]
    fn an_extent_row_comes_back_and_a_damaged_one_does_not() {
        let key = place_key(QueueId(7), 9);
        let row = extent_row(&key, 9, &[0b1010, 1]);
        assert_eq!(parse_extent_row(&key, &row), Some((9, &[0b1010, 1][..])));
        for byte in 0..row.len() {
            let mut damaged = row.clone();
            damaged[byte] ^= 0x10;
            assert_eq!(parse_extent_row(&key, &damaged), None, "octet {byte}");
        }
        assert_eq!(parse_extent_row(&place_key(QueueId(7), 10), &row), None);
    }
}
