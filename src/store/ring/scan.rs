//! What stands in the ring's files when the store opens: their frames in order, where the last ends, what is damaged.
//!
//! A frame was synced before the next was written, so only the last can be torn: it is looked at as a whole, of the
//! others only header and records. Nothing is applied here and nothing is written.

use std::collections::BTreeMap;
use std::io;

use tracing::error;
use tracing::warn;

use crate::store::block;
use crate::store::disk::Disk;
use crate::store::ring::Ring;
use crate::store::ring::Segment;
use crate::store::ring::frame;
use crate::store::ring::frame::FRAME_ALIGN;
use crate::store::ring::frame::FrameRecord;
use crate::store::ring::frame::HEADER_BYTES;
use crate::store::ring::frame::Header;
use crate::store::ring::frame::Records;

/// How much is read at once at first; twice as much each time while nothing but the next octets is looked for.
const WINDOW_BYTES_MIN: u64 = 16 * 1024;
const WINDOW_BYTES_MAX: u64 = 1024 * 1024;

/// A frame whose header and records are as they were written.
#[derive(Debug)]
pub(crate) struct FoundFrame {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) header: Header,
}

/// What the files hold.
pub(crate) struct Scan {
    /// Segments that are not in redb, by number.
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// Files without such a segment.
    pub(crate) free: Vec<Segment>,
    /// The frames of the segments in the order in which they were written.
    pub(crate) frames: Vec<FoundFrame>,
    /// Where the next frame goes in the last segment.
    pub(crate) offset: u64,
    /// Numbers for the next segment, frame and file.
    pub(crate) next: [u64; 3],
    /// The last frame was torn and stood at this offset of the last segment. Its header must go before anything is written:
    /// the next frame may need another segment, and then this one would be found again.
    pub(crate) torn: Option<u64>,
}

/// Reads the ring of segments from number `from` on.
pub(crate) fn scan(disk: &dyn Disk, key: u64, from: u64) -> io::Result<Scan> {
    let mut scan = Scan {
        segments: BTreeMap::new(),
        free: Vec::new(),
        frames: Vec::new(),
        offset: 0,
        next: [from, 1, 1],
        torn: None,
    };
    let mut found: BTreeMap<u64, (Segment, Vec<FoundFrame>)> = BTreeMap::new();
    for name in disk.names()? {
        let Some(number) = Ring::name_number(&name) else {
            continue;
        };
        scan.next[2] = scan.next[2].max(number + 1);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
        let file = disk.open(&name).map_err(named)?;
        let bytes = file.len().map_err(named)?;
        let segment = Segment {
            name: name.clone(),
            file,
            bytes,
        };
        let frames = frames_of(&segment, key, from).map_err(named)?;
        match frames.last() {
            Some(last) => {
                let number = last.segment;
                // A copy of a file says no more than the file; both may not be used.
                let other = found.remove(&number);
                let (kept, copy) = match other {
                    Some(other) if other.1.len() >= frames.len() => (other, Some(segment)),
                    Some(other) => ((segment, frames), Some(other.0)),
                    None => ((segment, frames), None),
                };
                if let Some(copy) = copy {
                    warn!(
                        file = copy.name,
                        of = kept.0.name,
                        "a file of the ring is a copy of another one and is left alone; move it out of the data directory"
                    );
                }
                found.insert(number, kept);
            }
            None => scan.free.push(segment),
        }
    }
    for (number, (segment, frames)) in found {
        scan.segments.insert(number, segment);
        scan.frames.extend(frames);
    }
    if let Some(last) = scan.frames.last() {
        scan.next[0] = last.segment.saturating_add(1);
        scan.next[1] = last.header.number.saturating_add(1);
        scan.offset = last.offset + last.header.frame_bytes().unwrap_or(0);
    }
    scan.cut_torn_tail(key)?;
    scan.report_missing(from);
    Ok(scan)
}

/// The intact frames of the newest segment that is in this file, if that is not older than `from`.
fn frames_of(segment: &Segment, key: u64, from: u64) -> io::Result<Vec<FoundFrame>> {
    let mut frames: Vec<FoundFrame> = Vec::new();
    let mut window = Window::default();
    let mut at = 0;
    while at + FRAME_ALIGN <= segment.bytes {
        let frame = match Header::parse(window.at(segment, at)?) {
            Some(header) => intact(segment, key, at, header)?,
            None => None,
        };
        let is_old = |frame: &FoundFrame| frame.segment < from;
        if at == 0 && frame.as_ref().is_some_and(is_old) {
            // A file is filled from its start: what is behind is older still.
            break;
        }
        let frame = frame.filter(|frame| !is_old(frame));
        let Some(frame) = frame else {
            at += FRAME_ALIGN;
            continue;
        };
        if let Some(last) = frames.last() {
            if frame.segment < last.segment {
                // What the file held before it was used again.
                at += FRAME_ALIGN;
                continue;
            }
            if frame.segment > last.segment {
                frames.clear();
            }
        }
        at += frame.header.frame_bytes().unwrap_or(FRAME_ALIGN);
        frames.push(frame);
    }
    Ok(frames)
}

fn intact(segment: &Segment, key: u64, at: u64, header: Header) -> io::Result<Option<FoundFrame>> {
    let room = segment.bytes - at;
    let (Some(head_bytes), Some(frame_bytes)) = (header.head_bytes(), header.frame_bytes()) else {
        return Ok(None);
    };
    if frame_bytes > room {
        return Ok(None);
    }
    let mut head = vec![0; head_bytes as usize];
    segment.file.read_at(&mut head, at)?;
    let is_intact = frame::is_intact(key, &head);
    Ok(is_intact.then_some(FoundFrame {
        segment: header.segment,
        offset: at,
        header,
    }))
}

/// A part of a file in memory.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The octets from `at` on, at least a header's.
    fn at(&mut self, segment: &Segment, at: u64) -> io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at + HEADER_BYTES as u64 > end {
            let wanted = if at == end {
                (self.bytes.len() as u64 * 2).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX)
            } else {
                WINDOW_BYTES_MIN
            };
            self.start = at;
            let count = wanted.min(segment.bytes - at);
            self.bytes.resize(count as usize, 0);
            segment.file.read_at(&mut self.bytes, at)?;
        }
        Ok(&self.bytes[(at - self.start) as usize..])
    }
}

impl Scan {
    /// Drops the last frame when it is not whole: it was never synced, so nobody was told of it.
    fn cut_torn_tail(&mut self, key: u64) -> io::Result<()> {
        let Some(last) = self.frames.last() else {
            return Ok(());
        };
        let Some(segment) = self.segments.get(&last.segment) else {
            return Ok(());
        };
        if is_whole(segment, key, last)? {
            let end = last.offset + last.header.frame_bytes().unwrap_or(0);
            let mut next = [0; HEADER_BYTES];
            if end + FRAME_ALIGN <= segment.bytes {
                segment.file.read_at(&mut next, end)?;
            }
            let begun = Header::parse(&next).is_some_and(|next| {
                next.segment == last.segment && next.number == last.header.number + 1
            });
            if begun {
                report_torn(segment, end);
            }
            return Ok(());
        }
        report_torn(segment, last.offset);
        // The next frame goes over it, in the same segment, so that it is never found again.
        self.next = [last.segment + 1, last.header.number, self.next[2]];
        self.offset = last.offset;
        self.torn = Some(last.offset);
        self.frames.pop();
        Ok(())
    }

    /// Tells of frames that are not there.
    fn report_missing(&self, from: u64) {
        let mut expected: Option<u64> = None;
        for frame in &self.frames {
            let number = frame.header.number;
            let missing = expected.map_or(0, |expected: u64| number.saturating_sub(expected));
            if missing > 0 {
                self.report(frame, missing);
            }
            expected = Some(number.saturating_add(1));
        }
        if self.segments.is_empty() && self.free.is_empty() && from > 1 {
            error!(
                "the ring has no files: if they were removed, the newest messages are lost; put them back and start again, or restore a backup"
            );
        }
        if let Some(frame) = self.frames.first().filter(|frame| frame.offset > 0) {
            let file = self.segments.get(&frame.segment);
            error!(
                file = file.map_or("", |segment| &segment.name),
                offset = frame.offset,
                "the ring is damaged before this place: messages in these frames are lost, settled ones may come back; check the disk, and restore a backup if they are needed"
            );
        }
        let first = self.segments.first_key_value();
        if let Some((number, _)) = first
            && *number > from
        {
            error!(
                from,
                to = number - 1,
                "segments of the ring are missing: messages in them are lost, settled ones may come back; check the disk, and restore a backup if they are needed"
            );
        }
    }

    fn report(&self, next: &FoundFrame, missing: u64) {
        let file = self.segments.get(&next.segment);
        error!(
            file = file.map_or("", |segment| &segment.name),
            offset = next.offset,
            frames = missing,
            "the ring is damaged before this place: messages in these frames are lost, settled ones may come back; check the disk, and restore a backup if they are needed"
        );
    }

    /// Header and records of a frame.
    pub(crate) fn head(&self, frame: &FoundFrame) -> io::Result<Vec<u8>> {
        let mut head = vec![0; frame.header.head_bytes().unwrap_or(0) as usize];
        match self.segments.get(&frame.segment) {
            Some(segment) => segment.file.read_at(&mut head, frame.offset)?,
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(head)
    }
}

fn report_torn(segment: &Segment, offset: u64) {
    warn!(
        file = segment.name,
        offset,
        "the ring's last frame was cut off while it was written and is dropped; nothing in it was confirmed, and nothing is to be done"
    );
}

/// Whether the content of a frame is as it was written, too.
fn is_whole(segment: &Segment, key: u64, frame: &FoundFrame) -> io::Result<bool> {
    let Some(head_bytes) = frame.header.head_bytes() else {
        return Ok(false);
    };
    let mut head = vec![0; head_bytes as usize];
    segment.file.read_at(&mut head, frame.offset)?;
    if !frame::is_intact(key, &head) {
        return Ok(false);
    }
    for record in Records::new(&head[HEADER_BYTES..]) {
        let Ok(FrameRecord::Put {
            offset,
            bytes,
            checksum,
            ..
        }) = record
        else {
            continue;
        };
        let end = offset.checked_add(u64::from(bytes));
        if end.is_none_or(|end| end > frame.header.content_bytes) {
            return Ok(false);
        }
        let mut content = vec![0; bytes as usize];
        segment
            .file
            .read_at(&mut content, frame.offset + head_bytes + offset)?;
        if block::decode(content, block::Seal::Stated(Some(checksum))).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
