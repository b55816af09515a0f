//! What is known of each queue without reading it: where its messages lie, which are settled, which positions were used.
//!
//! The index is ahead of the disk by what is being written. It costs one entry a block, not one a message. Messages
//! themselves are never here.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Range;

use crate::model::Position;
use crate::model::QueueId;
use crate::store::Outline;
use crate::store::Span;
use crate::store::block::BLOCK_BYTES_MAX;
use crate::store::tables::PageFacts;
use crate::store::tables::bitmap_bytes;

/// All queues that the store knows.
pub(crate) type Index = HashMap<QueueId, QueueIndex, foldhash::fast::RandomState>;

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct QueueIndex {
    /// Positions below it may have been used.
    pub(crate) next: u64,
    /// The same as far as what is on the disk (or on its way there) says it.
    pub(crate) next_stated: u64,
    /// Blocks by their first position. They do not overlap.
    pub(crate) extents: BTreeMap<u64, Extent>,
}

impl QueueIndex {
    /// The block that has `position`, if any: its first position and the position after its last.
    pub(crate) fn extent_at(&self, position: u64) -> Option<Range<u64>> {
        let (first, extent) = self.extents.range(..=position).next_back()?;
        let end = first + u64::from(extent.positions);
        (position < end).then_some(*first..end)
    }

    /// Whether a block has one of these positions.
    pub(crate) fn overlaps(&self, positions: &Range<u64>) -> bool {
        let before_end = self.extents.range(..positions.end).next_back();
        before_end
            .is_some_and(|(first, extent)| first + u64::from(extent.positions) > positions.start)
    }

    /// Where messages are, without those that only wait to be written.
    pub(crate) fn outline(&self) -> Outline {
        let mut spans: Vec<Span> = Vec::new();
        for (first, extent) in &self.extents {
            for open in extent.open(0..extent.positions) {
                let span = Span {
                    positions: first + u64::from(open.start)..first + u64::from(open.end),
                    // Of a block that is consumed in part nobody knows which bodies were large.
                    body_bytes: (!extent.is_partial() && extent.facts_known())
                        .then_some(extent.body_bytes),
                    expiring: extent.expiring,
                };
                match spans.last_mut() {
                    Some(last) if last.positions.end == span.positions.start => {
                        if let (Some(bytes), Some(more)) = (last.body_bytes, span.body_bytes) {
                            last.positions.end = span.positions.end;
                            last.body_bytes = Some(bytes + more);
                            last.expiring |= span.expiring;
                        } else {
                            spans.push(span);
                        }
                    }
                    _ => spans.push(span),
                }
            }
        }
        Outline {
            spans,
            next: Position(self.next),
        }
    }

    /// Messages stored and not settled.
    pub(crate) fn messages(&self) -> u64 {
        self.extents
            .values()
            .map(|extent| u64::from(extent.positions - extent.settled))
            .sum()
    }
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a segment of the ring.
    Ring {
        /// Number of the segment.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// How many octets.
        bytes: u32,
        /// The block's checksum.
        checksum: u32,
    },
    /// In redb; the checksum where it is known.
    Page(Option<u32>),
}

/// One block and how far it is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    positions: u32,
    settled: u32,
    /// Empty while nothing is settled and there are no gaps; both have a set bit.
    bits: Box<[u8]>,
    /// Octets of all its bodies, settled or not; zero where a file of an old format does not tell.
    pub(crate) body_bytes: u64,
    /// Some message has the property `expiration`.
    pub(crate) expiring: bool,
    /// Where it lies.
    pub(crate) place: Place,
}

impl Extent {
    /// A block with so many positions; `bits` as they stand in the extent row.
    pub(crate) fn new(
        positions: u32,
        bits: &[u8],
        body_bytes: u64,
        expiring: bool,
        place: Place,
    ) -> Self {
        let mut bits: Box<[u8]> = bits.into();
        // Bits of no position count for nothing.
        let (in_last, last) = (positions % 8, positions as usize / 8);
        if let Some(last) = bits.get_mut(last).filter(|_| in_last > 0) {
            *last &= (1 << in_last) - 1;
        }
        let settled = bits.iter().map(|byte| byte.count_ones()).sum::<u32>();
        Self {
            positions,
            settled: settled.min(positions),
            bits,
            body_bytes,
            expiring,
            place,
        }
    }

    pub(crate) fn positions(&self) -> u32 {
        self.positions
    }

    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// What reading it costs, in octets of bodies; a guess where a file of an old format does not tell.
    pub(crate) fn read_bytes(&self) -> u64 {
        match self.place {
            Place::Page(None) => BLOCK_BYTES_MAX as u64,
            Place::Page(Some(_)) | Place::Ring { .. } => self.body_bytes,
        }
    }

    /// Whether each of these gaps is one here.
    pub(crate) fn knows_gaps(&self, gaps: &[u8]) -> bool {
        let covered = |(gaps, bits): (&u8, &u8)| gaps & !bits == 0;
        gaps.is_empty()
            || (gaps.len() == self.bits.len() && gaps.iter().zip(&self.bits).all(covered))
    }

    /// Whether [`Extent::body_bytes`] is known.
    fn facts_known(&self) -> bool {
        !matches!(self.place, Place::Page(None))
    }

    /// What its row says of its page.
    pub(crate) fn facts(&self) -> Option<PageFacts> {
        let checksum = match self.place {
            Place::Ring { checksum, .. } => Some(checksum),
            Place::Page(checksum) => checksum,
        };
        checksum.map(|checksum| PageFacts {
            checksum,
            body_bytes: self.body_bytes,
            expiring: self.expiring,
        })
    }

    /// Settles positions by their index in the block; whether that changed anything.
    pub(crate) fn settle(&mut self, indexes: Range<u32>) -> bool {
        if self.bits.is_empty() {
            if indexes == (0..self.positions) {
                // The usual end of a block needs no bitmap.
                let changed = self.settled < self.positions;
                self.settled = self.positions;
                return changed;
            }
            if self.settled == self.positions {
                return false;
            }
            self.bits = vec![0; bitmap_bytes(self.positions)].into();
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

    /// Settles these positions of the queue, of a block that begins with `first`.
    pub(crate) fn settle_places(&mut self, first: u64, positions: Range<u64>) {
        if positions.start < positions.end {
            let indexes = (positions.start - first) as u32..(positions.end - first) as u32;
            self.settle(indexes);
        }
    }

    /// Whether it lies in the ring, in this segment or an older one.
    pub(crate) fn is_in_ring(&self, through: u64) -> bool {
        matches!(self.place, Place::Ring { segment, .. } if segment <= through)
    }

    /// The same as a page of redb.
    pub(crate) fn into_page(mut self) -> Self {
        if let Place::Ring { checksum, .. } = self.place {
            self.place = Place::Page(Some(checksum));
        }
        self
    }

    /// Nothing is left.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled == self.positions
    }

    /// Something is settled, or there are gaps.
    pub(crate) fn is_partial(&self) -> bool {
        self.settled > 0
    }

    /// The stretches of messages that are left among these, by index.
    pub(crate) fn open(&self, indexes: Range<u32>) -> Vec<Range<u32>> {
        if self.is_settled() || indexes.is_empty() {
            return Vec::new();
        }
        if self.bits.is_empty() {
            return vec![indexes];
        }
        let mut stretches: Vec<Range<u32>> = Vec::new();
        for index in indexes.filter(|index| !is_set(&self.bits, *index)) {
            match stretches.last_mut() {
                Some(last) if last.end == index => last.end += 1,
                _ => stretches.push(index..index + 1),
            }
        }
        stretches
    }
}

fn is_set(bits: &[u8], index: u32) -> bool {
    bits.get(index as usize / 8)
        .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(bits: &[u8]) -> Extent {
        Extent::new(10, bits, 0, false, Place::Page(None))
    }

    #[test]
    fn a_block_is_settled_when_its_last_message_is() {
        let mut part = extent(&[]);
        assert_eq!(part.open(0..10), vec![0..10_u32; 1]);
        assert!(part.settle(2..5));
        assert!(!part.settle(3..4), "settled already");
        assert_eq!(part.open(0..10), [0..2, 5..10]);
        assert_eq!(part.open(1..7), [1..2, 5..7]);
        assert_eq!(extent(part.bits()), part);
        part.settle(5..10);
        assert!(!part.is_settled());
        part.settle(0..2);
        assert!(part.is_settled() && part.open(0..10).is_empty());
    }

    #[test]
    fn a_block_settled_at_once_has_no_bitmap() {
        let mut whole = extent(&[]);
        assert!(whole.settle(0..10) && whole.is_settled());
        assert!(whole.bits().is_empty() && !whole.settle(0..10) && !whole.settle(1..2));
    }

    #[test]
    fn gaps_hold_nothing() {
        let mut queue = QueueIndex::default();
        queue.extents.insert(5, extent(&[0b110, 0]));
        assert_eq!(queue.messages(), 8);
        assert!(queue.overlaps(&(14..20)) && !queue.overlaps(&(15..20)));
        assert_eq!(queue.extent_at(14), Some(5..15));
        assert_eq!(queue.extent_at(15), None);
    }
}
