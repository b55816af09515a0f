//! The redo ring: a few zero-filled files, *segments*, that are filled with frames one after the other and used again
//! when what they hold is settled or in redb.
//!
//! It knows where the next frame goes; what frames say is `frame`'s business, what is in them when the store opens
//! `scan`'s. It starts with one small segment and grows as traffic asks for more.

pub(crate) mod frame;
pub(crate) mod scan;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::store::disk::Disk;
use crate::store::disk::DiskFile;
use crate::store::ring::frame::FRAME_ALIGN;

/// The ring's first segment; each further one is [`GROWTH`] times as large, up to the largest.
const FIRST_SEGMENT_BYTES: u64 = 1024 * 1024;
const GROWTH: u64 = 4;

const FILE_SUFFIX: &str = ".ring";

/// How large a ring may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingLimits {
    /// Octets of a segment; a frame that is larger gets a segment of its own.
    pub(crate) segment_bytes: u64,
    /// Number of segments.
    pub(crate) segments: usize,
}

/// One file of the ring.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// Where a frame goes.
pub(crate) struct FramePlace {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// What the ring wants done, before it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Another segment of so many octets.
    Segment(u64),
    /// What is in the segments up to this one is to go to redb.
    Checkpoint(u64),
}

/// See the module's documentation.
pub(crate) struct Ring {
    limits: RingLimits,
    /// By number, the last is being filled.
    segments: BTreeMap<u64, Segment>,
    free: Vec<Segment>,
    /// Where the next frame goes in the last segment.
    offset: u64,
    next_segment: u64,
    next_frame: u64,
    next_name: u64,
}

impl Ring {
    /// A ring of the segments that were found, by their numbers, and of files that hold nothing any more. The next frame
    /// goes behind `offset` of the last one.
    pub(crate) fn new(
        limits: RingLimits,
        segments: BTreeMap<u64, Segment>,
        free: Vec<Segment>,
        offset: u64,
        [next_segment, next_frame, next_name]: [u64; 3],
    ) -> Self {
        Self {
            limits,
            segments,
            free,
            offset,
            next_segment,
            next_frame,
            next_name,
        }
    }

    /// The number in a file's name; `None` for files of others.
    pub(crate) fn name_number(name: &str) -> Option<u64> {
        let number: u64 = name.strip_suffix(FILE_SUFFIX)?.parse().ok()?;
        (file_name(number) == name && number < u64::MAX).then_some(number)
    }

    /// A name that no file has.
    pub(crate) fn new_name(&mut self) -> String {
        let number = self.next_name;
        self.next_name += 1;
        file_name(number)
    }

    /// The number of the next frame.
    pub(crate) fn next_frame(&self) -> u64 {
        self.next_frame
    }

    /// The segment that frames go to; `None` before the first.
    pub(crate) fn active(&self) -> Option<u64> {
        self.segments.last_key_value().map(|(number, _)| *number)
    }

    /// The oldest segment that is in use.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.segments.first_key_value().map(|(number, _)| *number)
    }

    /// A place for the next frame, of so many octets; `None` when there is no room.
    pub(crate) fn place(&mut self, bytes: u64) -> Option<FramePlace> {
        if !self.fits_last(bytes) {
            let at = self.free.iter().position(|free| free.bytes >= bytes)?;
            let segment = self.free.remove(at);
            self.segments.insert(self.next_segment, segment);
            self.next_segment += 1;
            self.offset = 0;
        }
        let (number, segment) = self.segments.last_key_value()?;
        let place = FramePlace {
            segment: *number,
            offset: self.offset,
            file: Arc::clone(&segment.file),
        };
        self.offset += bytes;
        self.next_frame += 1;
        Some(place)
    }

    /// The segment that a frame of so many octets needs.
    pub(crate) fn segment_bytes_for(&self, frame_bytes: u64) -> u64 {
        self.next_segment_bytes().max(frame_bytes)
    }

    fn next_segment_bytes(&self) -> u64 {
        let largest = self.segments.values().chain(&self.free);
        let largest = largest.map(|segment| segment.bytes).max();
        let grown = largest.map_or(FIRST_SEGMENT_BYTES, |bytes| bytes.saturating_mul(GROWTH));
        let limit = self.limits.segment_bytes.max(FRAME_ALIGN);
        grown.min(limit).next_multiple_of(FRAME_ALIGN)
    }

    /// What should be done now, while there is still room.
    pub(crate) fn need(&self) -> Option<Need> {
        let active = self.segments.last_key_value().map(|(_, segment)| segment);
        let half_full = active.is_none_or(|active| self.offset * 2 > active.bytes);
        if !self.free.is_empty() || !half_full {
            return None;
        }
        if !self.is_full() {
            return Some(Need::Segment(self.next_segment_bytes()));
        }
        // All but the one that is being filled may go; the oldest does.
        (self.segments.len() > 1)
            .then(|| self.oldest().map(Need::Checkpoint))
            .flatten()
    }

    /// Whether a frame of so many octets finds room.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.fits_last(bytes) || self.free.iter().any(|free| free.bytes >= bytes)
    }

    fn fits_last(&self, bytes: u64) -> bool {
        self.segments
            .last_key_value()
            .is_some_and(|(_, segment)| self.offset + bytes <= segment.bytes)
    }

    /// What must be done so that a frame of so many octets finds room; `None` when there is room.
    pub(crate) fn need_for(&self, bytes: u64) -> Option<Need> {
        if self.has_room(bytes) {
            return None;
        }
        // Also for a frame that gets a segment of its own, else such segments would have no bound.
        match self.oldest() {
            Some(oldest) if self.is_full() => Some(Need::Checkpoint(oldest)),
            _ => Some(Need::Segment(self.segment_bytes_for(bytes))),
        }
    }

    /// As many segments are in use as there may be.
    pub(crate) fn is_full(&self) -> bool {
        self.segments.len() >= self.limits.segments.max(2)
    }

    /// Files, their octets, and the octets of what is in use of them.
    pub(crate) fn usage(&self) -> [u64; 3] {
        let in_use: u64 = self.segments.values().map(|segment| segment.bytes).sum();
        let free: u64 = self.free.iter().map(|segment| segment.bytes).sum();
        let last = self.segments.last_key_value();
        let unused = last.map_or(0, |(_, segment)| segment.bytes - self.offset);
        let files = (self.segments.len() + self.free.len()) as u64;
        [files, in_use + free, in_use - unused]
    }

    /// Takes out the empty files that this ring would not have made, or too many of them: left by a crash while they were
    /// made, or by other limits.
    pub(crate) fn take_unfit(&mut self) -> Vec<Segment> {
        let mut room = self
            .limits
            .segments
            .max(2)
            .saturating_sub(self.segments.len());
        let fitting = self.limits.segment_bytes;
        let mut unfit = Vec::new();
        for segment in std::mem::take(&mut self.free) {
            if room > 0 && segment.bytes == fitting {
                room -= 1;
                self.free.push(segment);
            } else {
                unfit.push(segment);
            }
        }
        unfit
    }

    /// Another empty segment.
    pub(crate) fn add(&mut self, segment: Segment) {
        self.free.push(segment);
    }

    /// What segments up to `through` hold is in redb: they are used again. Answers the files that are too small, or too
    /// many, for that.
    pub(crate) fn release(&mut self, through: u64) -> Vec<Segment> {
        let kept = self.segments.split_off(&(through + 1));
        let released = std::mem::replace(&mut self.segments, kept);
        let mut surplus = Vec::new();
        for segment in released.into_values() {
            let room = self.segments.len() + self.free.len() < self.limits.segments.max(2);
            if room && segment.bytes == self.limits.segment_bytes {
                self.free.push(segment);
            } else {
                surplus.push(segment);
            }
        }
        surplus
    }

    /// Lets nothing more into the segment that is being filled, so that it can be written to redb; answers its number.
    pub(crate) fn turn(&mut self) -> Option<u64> {
        let (number, segment) = self.segments.last_key_value()?;
        self.offset = segment.bytes;
        Some(*number)
    }

    /// The file of a segment; `None` when it is not in use (any more).
    pub(crate) fn file(&self, segment: u64) -> Option<Arc<dyn DiskFile>> {
        self.segments
            .get(&segment)
            .map(|segment| Arc::clone(&segment.file))
    }
}

fn file_name(number: u64) -> String {
    format!("{number:04}{FILE_SUFFIX}")
}

/// Makes a segment's file.
pub(crate) fn create(disk: &dyn Disk, name: String, bytes: u64) -> io::Result<Segment> {
    let file = disk.create(&name, bytes)?;
    Ok(Segment { name, file, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::disk::SimulatedDisk;

    const LIMITS: RingLimits = RingLimits {
        segment_bytes: 8 * FIRST_SEGMENT_BYTES,
        segments: 3,
    };

    struct Rig {
        ring: Ring,
        disk: SimulatedDisk,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                ring: Ring::new(LIMITS, BTreeMap::new(), Vec::new(), 0, [1; 3]),
                disk: SimulatedDisk::default(),
            }
        }

        fn grow(&mut self, bytes: u64) {
            let name = self.ring.new_name();
            self.ring
                .add(create(&self.disk, name, bytes).expect("created"));
        }

        /// Segment and offset.
        fn place(&mut self, bytes: u64) -> Option<(u64, u64)> {
            self.ring
                .place(bytes)
                .map(|place| (place.segment, place.offset))
        }
    }

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn it_grows_as_traffic_asks_and_then_goes_round() {
        let mut rig = Rig::new();
        assert_eq!(rig.ring.need(), Some(Need::Segment(MIB)));
        assert_eq!(rig.place(4096), None);
        rig.grow(MIB);
        assert_eq!(rig.place(4096), Some((1, 0)));
        assert_eq!(rig.ring.need(), None);
        assert_eq!(rig.place(MIB / 2), Some((1, 4096)));
        assert_eq!(rig.ring.need(), Some(Need::Segment(4 * MIB)));
        rig.grow(4 * MIB);
        assert_eq!(rig.ring.need(), None);
        assert_eq!(rig.place(MIB), Some((2, 0)));
        assert_eq!(rig.place(2 * MIB), Some((2, MIB)));
        assert_eq!(rig.ring.need(), Some(Need::Segment(8 * MIB)));
        rig.grow(8 * MIB);
        assert_eq!(rig.place(8 * MIB), Some((3, 0)));
        assert_eq!((rig.ring.oldest(), rig.ring.active()), (Some(1), Some(3)));
        assert_eq!(rig.ring.need(), Some(Need::Checkpoint(1)));
        assert_eq!(rig.place(4096), None);
        assert!(rig.ring.file(1).is_some());
        let surplus = rig.ring.release(1);
        assert_eq!(surplus.len(), 1, "it is too small");
        assert!(rig.ring.file(1).is_none());
        assert_eq!(rig.ring.need(), Some(Need::Segment(8 * MIB)));
        assert_eq!(rig.ring.next_frame(), 6);
    }

    #[test]
    fn a_large_frame_gets_a_segment_that_is_not_kept() {
        let mut rig = Rig::new();
        assert_eq!(rig.ring.segment_bytes_for(100 * MIB), 100 * MIB);
        rig.grow(100 * MIB);
        assert_eq!(rig.place(100 * MIB), Some((1, 0)));
        rig.grow(8 * MIB);
        assert_eq!(rig.place(MIB), Some((2, 0)));
        rig.ring.turn();
        assert_eq!(rig.place(MIB), None);
        let surplus = rig.ring.release(1);
        assert_eq!(surplus[0].bytes, 100 * MIB);
        rig.ring.release(2);
        assert_eq!(rig.place(MIB), Some((3, 0)), "the other one is used again");
    }
}
