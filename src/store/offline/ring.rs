//! The ring's part of a check: each frame in order, each block in it.

use std::collections::BTreeSet;
use std::io;

use super::Offline;
use super::check::Check;
use super::check::Damaged;
use super::guarded;
use super::open_count;
use crate::model::Position;
use crate::model::QueueId;
use crate::store::RING_DIRECTORY;
use crate::store::StoreError;
use crate::store::block;
use crate::store::block::Block;
use crate::store::block::Damage;
use crate::store::block::Seal;
use crate::store::index::Extent;
use crate::store::index::Place;
use crate::store::recover;
use crate::store::ring::Segment;
use crate::store::ring::frame::FrameRecord;
use crate::store::ring::frame::HEADER_BYTES;
use crate::store::ring::frame::Header;
use crate::store::ring::frame::Records;
use crate::store::ring::scan::FoundFrame;
use crate::store::ring::scan::Scan;
use crate::store::ring::scan::scan;

/// What the ring has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RingCheck {
    /// Its files.
    pub files: u64,
    /// Their size.
    pub file_bytes: u64,
    /// The files that are in use.
    pub segments: u64,
    /// Frames that are not in redb yet.
    pub frames: u64,
    /// Blocks of messages in them.
    pub blocks: u64,
    /// Where a frame was being written when the broker was killed; it was confirmed to nobody. File and offset.
    pub torn_tail: Option<(String, u64)>,
}

/// A block in a frame.
struct FrameBlock<'a> {
    offset: u64,
    bytes: u32,
    checksum: u32,
    positions: u32,
    targets: &'a [(QueueId, u64)],
}

impl Check {
    pub(super) fn ring(&mut self, offline: &Offline) -> Result<(), StoreError> {
        let meta = guarded(&offline.path, || {
            recover::read_meta(&offline.database, &offline.path)
        })??;
        let scan = scan(&offline.disk, meta.ring_key, meta.ring_from).map_err(StoreError::ring)?;
        let files = scan.segments.values().chain(&scan.free);
        self.ring.files = files.clone().count() as u64;
        self.ring.file_bytes = files.map(|file| file.bytes).sum();
        self.ring.segments = scan.segments.len() as u64;
        self.ring.frames = scan.frames.len() as u64;
        self.ring.torn_tail = torn_tail(&scan, meta.ring_from).map_err(StoreError::ring)?;
        self.gaps(&scan, meta.ring_from);
        self.unread_files(&scan, meta.ring_from)
            .map_err(StoreError::ring)?;
        for frame in &scan.frames {
            self.frame(offline, &scan, frame)?;
        }
        self.lost(offline);
        Ok(())
    }

    /// Numbers of frames and segments follow each other.
    fn gaps(&mut self, scan: &Scan, from: u64) {
        const LOST: &str = "messages in them are lost, settled ones may come back";
        let mut expected = None;
        for frame in &scan.frames {
            let number = frame.header.number;
            let segment = &scan.segments[&frame.segment];
            match expected {
                Some(expected) if number != expected => {
                    let why = format!("frames {expected} to {} are missing: {LOST}", number - 1);
                    self.add(in_ring(segment, frame.offset, why));
                }
                None if frame.segment != from => {
                    let why = format!(
                        "segments {from} to {} are missing: {LOST}",
                        frame.segment - 1
                    );
                    self.add(in_ring(segment, frame.offset, why));
                }
                None if frame.offset != 0 => {
                    let why = format!("frames before this one are missing: {LOST}");
                    self.add(in_ring(segment, frame.offset, why));
                }
                _ => {}
            }
            expected = Some(number + 1);
        }
    }

    /// Files that begin with a frame which should be read, and have not one that is intact.
    fn unread_files(&mut self, scan: &Scan, from: u64) -> io::Result<()> {
        for segment in &scan.free {
            let header = header_at(segment, 0)?.filter(|header| header.segment >= from);
            let Some(header) = header else { continue };
            let torn = self.ring.torn_tail.as_ref();
            if torn.is_none_or(|(file, _)| *file != file_name(segment)) {
                let why = format!("frame {} is damaged", header.number);
                self.add(in_ring(segment, 0, why));
            }
        }
        Ok(())
    }

    fn frame(
        &mut self,
        offline: &Offline,
        scan: &Scan,
        frame: &FoundFrame,
    ) -> Result<(), StoreError> {
        let segment = &scan.segments[&frame.segment];
        let head = scan.head(frame).map_err(StoreError::ring)?;
        for record in Records::new(&head[HEADER_BYTES..]) {
            match record {
                Ok(FrameRecord::Put {
                    offset,
                    bytes,
                    checksum,
                    positions,
                    ref targets,
                    ..
                }) => {
                    let block = FrameBlock {
                        offset: frame.offset + head.len() as u64 + offset,
                        bytes,
                        checksum,
                        positions,
                        targets,
                    };
                    self.frame_block(offline, segment, frame.segment, &block)?;
                }
                Ok(_) => {}
                Err(reason) => {
                    let why = format!("the rest of a frame is not understood: {reason}");
                    self.add(in_ring(segment, frame.offset, why));
                }
            }
        }
        Ok(())
    }

    fn frame_block(
        &mut self,
        offline: &Offline,
        segment: &Segment,
        number: u64,
        wanted: &FrameBlock<'_>,
    ) -> Result<(), StoreError> {
        self.ring.blocks += 1;
        let block = read_block(segment, wanted)?;
        let mut needed = false;
        for (queue, first) in wanted.targets {
            let Some(extent) = in_use(offline, *queue, *first, (number, wanted.offset)) else {
                continue;
            };
            match &block {
                Ok(block) => self.count(*queue, *first, extent, block),
                Err(damage) => {
                    needed = true;
                    self.add(Damaged {
                        queue: Some(*queue),
                        position: Some(Position(*first)),
                        messages: open_count(extent),
                        ..in_ring(
                            segment,
                            wanted.offset,
                            format!("a block is damaged: {damage}"),
                        )
                    });
                }
            }
        }
        if let (Err(damage), false) = (block, needed) {
            let why = format!("a block that is not needed any more is damaged: {damage}");
            self.add(in_ring(segment, wanted.offset, why));
        }
        Ok(())
    }

    /// Blocks of the index whose segment is not there.
    fn lost(&mut self, offline: &Offline) {
        let mut segments = BTreeSet::new();
        for index in offline.core.index.values() {
            for extent in index.extents.values() {
                if let Place::Ring { segment, .. } = extent.place
                    && offline.core.ring.file(segment).is_none()
                {
                    segments.insert(segment);
                }
            }
        }
        for segment in segments {
            self.add(Damaged {
                file: RING_DIRECTORY.to_owned(),
                offset: None,
                queue: None,
                position: None,
                messages: 0,
                why: format!("segment {segment} is missing"),
            });
        }
    }
}

fn in_ring(segment: &Segment, offset: u64, why: String) -> Damaged {
    Damaged {
        file: file_name(segment),
        offset: Some(offset),
        queue: None,
        position: None,
        messages: 0,
        why,
    }
}

fn read_block(
    segment: &Segment,
    wanted: &FrameBlock<'_>,
) -> Result<Result<Block, Damage>, StoreError> {
    let end = wanted.offset.checked_add(wanted.bytes.into());
    if end.is_none_or(|end| end > segment.bytes) {
        return Ok(Err(Damage::Lengths));
    }
    let mut bytes = vec![0; wanted.bytes as usize];
    let read = segment.file.read_at(&mut bytes, wanted.offset);
    read.map_err(StoreError::ring)?;
    let block = block::decode(bytes, Seal::Stated(Some(wanted.checksum)));
    Ok(block.and_then(|block| {
        if block.positions() == wanted.positions {
            Ok(block)
        } else {
            Err(Damage::Lengths)
        }
    }))
}

/// What is left of the block at this place, if anything is.
fn in_use(offline: &Offline, queue: QueueId, first: u64, wanted: (u64, u64)) -> Option<&Extent> {
    let extent = offline.core.index.get(&queue)?.extents.get(&first)?;
    let is_here = matches!(
        extent.place,
        Place::Ring { segment, offset, .. } if (segment, offset) == wanted
    );
    (is_here && !extent.is_settled()).then_some(extent)
}

/// Where a frame begins that never became whole.
fn torn_tail(scan: &Scan, from: u64) -> io::Result<Option<(String, u64)>> {
    let [_, next_frame, _] = scan.next;
    let behind = scan
        .segments
        .last_key_value()
        .map(|(_, segment)| (segment, scan.offset));
    // It may also be the first in a file that has nothing else.
    let fresh = scan.free.iter().map(|segment| (segment, 0));
    for (segment, offset) in behind.into_iter().chain(fresh) {
        let is_next = header_at(segment, offset)?
            .is_some_and(|header| header.segment >= from && header.number == next_frame);
        if is_next {
            return Ok(Some((file_name(segment), offset)));
        }
    }
    Ok(None)
}

fn header_at(segment: &Segment, offset: u64) -> io::Result<Option<Header>> {
    if offset + HEADER_BYTES as u64 > segment.bytes {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES];
    segment.file.read_at(&mut header, offset)?;
    Ok(Header::parse(&header))
}

fn file_name(segment: &Segment) -> String {
    format!("{RING_DIRECTORY}/{}", segment.name)
}
