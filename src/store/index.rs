//! What the writer knows of each queue without reading it: extents, used positions, settles that came early.
//!
//! The index is ahead of the file by the group being written and equal to it after each commit. It costs one entry a
//! blob, not one a message. Messages themselves are never here.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Range;

use crate::model::QueueId;
use crate::store::tables::bitmap_bytes;

/// Most ranges of early settles kept for one queue; past it the lowest is forgotten, and should its put still come, that
/// message comes back after a restart.
const EARLY_RANGES_MAX: usize = 1024;

/// All queues that the file knows.
pub(crate) type Index = HashMap<QueueId, QueueIndex, foldhash::fast::RandomState>;

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct QueueIndex {
    /// Positions below it may have been used.
    pub(crate) next: u64,
    /// The same as far as the queue's row says it.
    pub(crate) next_stored: u64,
    /// Blobs by their first position. They do not overlap.
    pub(crate) extents: BTreeMap<u64, Extent>,
    /// Positions settled before they were put: two threads may hand over a put and its settle in the wrong order.
    pub(crate) early: Option<Box<Ranges>>,
}

impl QueueIndex {
    /// The position after the last blob.
    fn extents_end(&self) -> u64 {
        self.extents
            .last_key_value()
            .map_or(0, |(first, extent)| first + u64::from(extent.count))
    }

    /// Whether neither the row nor the extents in the file say that positions below [`QueueIndex::next`] were used.
    pub(crate) fn needs_row(&self) -> bool {
        self.next > self.next_stored.max(self.extents_end())
    }

    /// The blob that holds `position`, if any: its first position and the position after its last.
    pub(crate) fn extent_at(&self, position: u64) -> Option<Range<u64>> {
        let (first, extent) = self.extents.range(..=position).next_back()?;
        let end = first + u64::from(extent.count);
        (position < end).then_some(*first..end)
    }

    /// Whether a blob holds one of these positions.
    pub(crate) fn overlaps(&self, positions: &Range<u64>) -> bool {
        let before_end = self.extents.range(..positions.end).next_back();
        before_end.is_some_and(|(first, extent)| first + u64::from(extent.count) > positions.start)
    }

    /// Remembers that positions which nobody put yet are settled.
    pub(crate) fn settle_early(&mut self, positions: Range<u64>) {
        let early = self.early.get_or_insert_default();
        early.insert(positions);
        while early.len() > EARLY_RANGES_MAX {
            early.forget_first();
        }
    }

    /// Takes out of `positions`, which are put now, those that are settled already; returns the others.
    pub(crate) fn not_settled_early(&mut self, positions: Range<u64>) -> Vec<Range<u64>> {
        let Some(early) = &mut self.early else {
            return vec![positions];
        };
        let open = early.take(positions);
        if early.len() == 0 {
            self.early = None;
        }
        open
    }

    /// Messages stored and not settled.
    pub(crate) fn messages(&self) -> u64 {
        self.extents
            .values()
            .map(|extent| u64::from(extent.count - extent.settled))
            .sum()
    }
}

/// How far a blob is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    count: u32,
    settled: u32,
    /// Empty while nothing is settled.
    bits: Box<[u8]>,
}

impl Extent {
    /// A blob with `count` messages; `bits` as they stand in the extent row.
    pub(crate) fn new(count: u32, bits: &[u8]) -> Self {
        let settled = bits.iter().map(|byte| byte.count_ones()).sum::<u32>();
        Self {
            count,
            settled: settled.min(count),
            bits: bits.into(),
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Settles messages by their index in the blob; whether that changed anything.
    pub(crate) fn settle(&mut self, indexes: Range<u32>) -> bool {
        if self.bits.is_empty() {
            self.bits = vec![0; bitmap_bytes(self.count)].into();
        }
        let before = self.settled;
        for index in indexes {
            let byte = &mut self.bits[index as usize / 8];
            let bit = 1 << (index % 8);
            self.settled += u32::from(*byte & bit == 0);
            *byte |= bit;
        }
        self.settled > before
    }

    /// Nothing is left.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled == self.count
    }

    /// The stretches of messages that are left, by index.
    pub(crate) fn open(&self) -> Vec<Range<u32>> {
        let is_settled = |index: u32| {
            self.bits
                .get(index as usize / 8)
                .is_some_and(|b| b >> (index % 8) & 1 == 1)
        };
        let mut stretches: Vec<Range<u32>> = Vec::new();
        for index in (0..self.count).filter(|index| !is_settled(*index)) {
            match stretches.last_mut() {
                Some(last) if last.end == index => last.end += 1,
                _ => stretches.push(index..index + 1),
            }
        }
        stretches
    }
}

/// A set of positions as ranges that neither touch nor overlap.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    by_start: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn len(&self) -> usize {
        self.by_start.len()
    }

    fn forget_first(&mut self) {
        self.by_start.pop_first();
    }

    pub(crate) fn insert(&mut self, mut range: Range<u64>) {
        while let Some((&start, &end)) = self.by_start.range(..=range.end).next_back()
            && end >= range.start
        {
            self.by_start.remove(&start);
            range = range.start.min(start)..range.end.max(end);
        }
        self.by_start.insert(range.start, range.end);
    }

    /// Removes what is in `range`; returns the parts of `range` that were not there.
    pub(crate) fn take(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut end_of_missing = range.end;
        while let Some((&start, &end)) = self.by_start.range(..range.end).next_back()
            && end > range.start
        {
            self.by_start.remove(&start);
            if start < range.start {
                self.by_start.insert(start, range.start);
            }
            if end > range.end {
                self.by_start.insert(range.end, end);
            }
            if end < end_of_missing {
                missing.push(end..end_of_missing);
            }
            end_of_missing = start.max(range.start);
        }
        if range.start < end_of_missing {
            missing.push(range.start..end_of_missing);
        }
        missing.reverse();
        missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_blob_is_settled_when_its_last_message_is() {
        let mut extent = Extent::new(10, &[]);
        assert_eq!(extent.open(), vec![0..10_u32; 1]);
        assert!(extent.settle(2..5));
        assert!(!extent.settle(3..4), "settled already");
        assert_eq!(extent.open(), [0..2, 5..10]);
        assert_eq!(Extent::new(10, extent.bits()), extent);
        extent.settle(5..10);
        assert!(!extent.is_settled());
        extent.settle(0..2);
        assert!(extent.is_settled() && extent.open().is_empty());
    }

    #[test]
    fn early_settles_are_bounded() {
        let mut queue = QueueIndex::default();
        for position in 0..10_000 {
            queue.settle_early(position * 2..position * 2 + 1);
        }
        let early = queue.early.expect("some are kept");
        assert_eq!(early.len(), EARLY_RANGES_MAX);
        assert!(early.by_start.contains_key(&19_998), "the newest stays");
    }

    proptest! {
        #[test]
        fn ranges_are_a_set_of_positions(
            operations in prop::collection::vec((any::<bool>(), 0u64..40, 1u64..10), 0..40)
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (insert, start, len) in operations {
                let range = start..start + len;
                if insert {
                    ranges.insert(range.clone());
                    set.extend(range);
                } else {
                    let missing: Vec<u64> = ranges.take(range.clone()).into_iter().flatten().collect();
                    let wanted: Vec<u64> = range.clone().filter(|p| !set.contains(p)).collect();
                    prop_assert_eq!(missing, wanted);
                    set.retain(|position| !range.contains(position));
                }
                let all: Vec<u64> = ranges.by_start.iter().flat_map(|(s, e)| *s..*e).collect();
                prop_assert!(all.iter().eq(set.iter()));
                let touching = ranges.by_start.iter().zip(ranges.by_start.keys().skip(1));
                prop_assert!(touching.into_iter().all(|((_, end), next)| end < next));
            }
        }
    }
}
