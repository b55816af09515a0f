//! Pages in redb: rows that are written, changed and removed, and pages that are cut into parts so that redb, which
//! rounds rows up to a power of two, wastes little.

use std::ops::Range;

use redb::ReadableTable;
use redb::Table;
use redb::WriteTransaction;

use crate::model::QueueId;
use crate::store::index::Extent;
use crate::store::tables::EXTENTS;
use crate::store::tables::PAGES;
use crate::store::tables::PARTS;
use crate::store::tables::PartKey;
use crate::store::tables::PlaceKey;
use crate::store::tables::part_key;
use crate::store::tables::place_key;
use crate::store::tables::queue_keys;

/// A page that a checkpoint has made.
pub(crate) struct NewPage {
    pub(crate) queue: QueueId,
    pub(crate) first: u64,
    pub(crate) extent: Extent,
}

/// What redb adds to a row in a page of its own, generously.
const ROW_OVERHEAD: usize = 64;

/// No part is larger.
const PART_BYTES_MAX: usize = 1024 * 1024 - ROW_OVERHEAD;

/// Rows up to this stay whole.
const WHOLE_BYTES_MAX: usize = 16 * 1024 - ROW_OVERHEAD;

/// The tables of pages in one transaction.
pub(crate) struct Pages<'t> {
    pages: Table<'t, &'static PlaceKey, &'static [u8]>,
    parts: Table<'t, &'static PartKey, &'static [u8]>,
    extents: Table<'t, &'static PlaceKey, &'static [u8]>,
}

impl<'t> Pages<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            pages: transaction.open_table(PAGES)?,
            parts: transaction.open_table(PARTS)?,
            extents: transaction.open_table(EXTENTS)?,
        })
    }

    /// Adds a page and its extent row.
    pub(crate) fn insert(
        &mut self,
        key: &PlaceKey,
        page: &[u8],
        row: &[u8],
    ) -> Result<(), redb::Error> {
        if is_whole(page.len()) {
            self.pages.insert(key, page)?;
        } else {
            // An empty row: the page is in parts.
            self.pages.insert(key, &[][..])?;
            for (number, part) in (0..).zip(parts(page.len())) {
                self.parts.insert(&part_key(key, number), &page[part])?;
            }
        }
        self.extents.insert(key, row)?;
        Ok(())
    }

    /// More of a page is settled.
    pub(crate) fn update(&mut self, key: &PlaceKey, row: &[u8]) -> Result<(), redb::Error> {
        self.extents.insert(key, row)?;
        Ok(())
    }

    /// Nothing of a page is left.
    pub(crate) fn remove(&mut self, key: &PlaceKey) -> Result<(), redb::Error> {
        self.extents.remove(key)?;
        let in_parts = self
            .pages
            .remove(key)?
            .is_some_and(|page| page.value().is_empty());
        if in_parts {
            let keys = part_key(key, 0)..=part_key(key, u32::MAX);
            let range = (keys.start(), keys.end());
            self.parts
                .retain_in::<&PartKey, _>(range.0..=range.1, |_, _| false)?;
        }
        Ok(())
    }

    /// A queue is gone. By range and not by what the index knows, so that damaged rows go too.
    pub(crate) fn remove_queue(&mut self, queue: QueueId) -> Result<(), redb::Error> {
        let [first, last] = queue_keys(queue);
        for table in [&mut self.pages, &mut self.extents] {
            if table.range::<&PlaceKey>(&first..=&last)?.next().is_some() {
                table.retain_in::<&PlaceKey, _>(&first..=&last, |_, _| false)?;
            }
        }
        let (first, last) = (
            part_key(&place_key(queue, 0), 0),
            part_key(&place_key(queue, u64::MAX), u32::MAX),
        );
        if self
            .parts
            .range::<&PartKey>(&first..=&last)?
            .next()
            .is_some()
        {
            self.parts
                .retain_in::<&PartKey, _>(&first..=&last, |_, _| false)?;
        }
        Ok(())
    }
}

/// The page at `key`; `None` when it is missing.
pub(crate) fn read(
    pages: &impl ReadableTable<&'static PlaceKey, &'static [u8]>,
    parts: &impl ReadableTable<&'static PartKey, &'static [u8]>,
    key: &PlaceKey,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let Some(row) = pages.get(key)? else {
        return Ok(None);
    };
    if !row.value().is_empty() {
        return Ok(Some(row.value().to_vec()));
    }
    let mut page = Vec::new();
    let (first, last) = (part_key(key, 0), part_key(key, u32::MAX));
    for part in parts.range::<&PartKey>(&first..=&last)? {
        page.extend_from_slice(part?.1.value());
    }
    Ok(Some(page))
}

/// Whether one row wastes little enough.
fn is_whole(bytes: usize) -> bool {
    let taken = (bytes + ROW_OVERHEAD).next_power_of_two();
    bytes <= WHOLE_BYTES_MAX || (bytes <= PART_BYTES_MAX && bytes * 4 >= taken * 3)
}

/// Cuts so many octets into parts that each just fit a power of two, the rest into a small one.
fn parts(bytes: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = bytes - at;
        if left == 0 {
            return None;
        }
        let count = if is_whole(left) {
            left
        } else {
            let largest = (left + ROW_OVERHEAD + 1).next_power_of_two() / 2 - ROW_OVERHEAD;
            largest.min(PART_BYTES_MAX)
        };
        let part = at..at + count;
        at += count;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_everything_and_waste_little() {
        for bytes in (1..400_000)
            .step_by(997)
            .chain([1 << 20, 5 << 20, (3 << 20) + 17])
        {
            let mut end = 0;
            let mut taken = 0;
            for part in parts(bytes) {
                assert_eq!(part.start, end);
                assert!(!part.is_empty() && part.len() <= PART_BYTES_MAX);
                taken += (part.len() + ROW_OVERHEAD).next_power_of_two();
                end = part.end;
            }
            assert_eq!(end, bytes);
            assert!(
                taken <= bytes + bytes / 2 + 32 * 1024,
                "{taken} for {bytes}"
            );
        }
    }
}
