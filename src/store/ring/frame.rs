//! A frame: what one group commit writes into the ring, all or nothing.
//!
//! ```text
//! offset  octets
//! 0       4      "LVR1"
//! 4       4      CRC32C of the ring's key (u64), of octets 8 to 40 and of the records
//! 8       8      number of the segment in which it stands
//! 16      8      number of the frame; no number is missing in the ring
//! 24      8      octets of the records
//! 32      8      octets of the content
//! 40             records
//! …              content: blocks (`block.rs`), each with its own checksum
//! ```
//!
//! A frame begins at a multiple of [`FRAME_ALIGN`] and is filled up with zeros to the next one, so that no write shares a
//! sector with a frame that is durable, and the system never has to read what is partly overwritten. The key is known to
//! nobody outside: no message can pass for a frame. Integers are little-endian. A record is one octet for its kind, and
//!
//! | kind | what follows |
//! | --- | --- |
//! | 1 put | block: offset in the content (u64), octets (u32), checksum (u32), positions (u32), octets of bodies (u64), flags (1 octet: 1 some message has `expiration`, 2 a bitmap of gaps follows the targets); number of targets (u32), for each queue (u64) and first position (u64) |
//! | 2 settle | queue (u64), number of ranges (u32), for each first position and number of positions (u64 each) |
//! | 3 delete | queue (u64) |
//! | 4 define | octets of the key (u32), octets of the value (u32), key (its kind and its name), value |
//! | 5 undefine | octets of the key (u32), key |
//! | 6 reserve | queue (u64), position (u64): those below it may have been used |
//! | 7 clean | nothing: the store was closed, nothing follows |

use std::io;
use std::io::IoSlice;
use std::ops::Range;

use crate::model::QueueId;
use crate::model::Run;
use crate::store::block;
use crate::store::disk::DiskFile;
use crate::store::draft::Draft;

/// Frames begin at multiples of it.
pub(crate) const FRAME_ALIGN: u64 = 4096;

/// Octets before the records.
pub(crate) const HEADER_BYTES: usize = 40;

const MAGIC: [u8; 4] = *b"LVR1";
const PUT: u8 = 1;
const SETTLE: u8 = 2;
const DELETE: u8 = 3;
const DEFINE: u8 = 4;
const UNDEFINE: u8 = 5;
const RESERVE: u8 = 6;
const CLEAN: u8 = 7;
const PUT_EXPIRING: u8 = 1;
const PUT_GAPS: u8 = 2;

/// Messages of fewer octets than this are copied together; larger ones are written from where they lie.
const COPIED_BYTES_MAX: usize = 1024;

static ZEROS: [u8; FRAME_ALIGN as usize] = [0; FRAME_ALIGN as usize];

/// A frame being put together.
pub(crate) struct FrameBuilder {
    /// Header and records.
    head: Vec<u8>,
    /// Heads of blocks and small messages.
    copied: Vec<u8>,
    content: Vec<Part>,
    content_bytes: u64,
}

enum Part {
    Copied(Range<usize>),
    Run(Run),
}

/// Where a block stands in the content of its frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockPlace {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    pub(crate) checksum: u32,
}

impl FrameBuilder {
    pub(crate) fn new() -> Self {
        Self {
            head: vec![0; HEADER_BYTES],
            copied: Vec::new(),
            content: Vec::new(),
            content_bytes: 0,
        }
    }

    /// Adds a block to the content.
    pub(crate) fn block(&mut self, draft: &Draft) -> BlockPlace {
        let offset = self.content_bytes;
        let start = self.copied.len();
        let checksum = draft.write_head(&mut self.copied);
        self.copied_from(start);
        for run in draft.runs() {
            let bytes = run.bytes();
            if bytes.len() < COPIED_BYTES_MAX {
                let start = self.copied.len();
                self.copied.extend_from_slice(bytes);
                self.copied_from(start);
            } else {
                self.content.push(Part::Run(run.clone()));
            }
        }
        self.content_bytes += draft.bytes() as u64;
        BlockPlace {
            offset,
            bytes: draft.bytes() as u32,
            checksum,
        }
    }

    fn copied_from(&mut self, start: usize) {
        let end = self.copied.len();
        match self.content.last_mut() {
            Some(Part::Copied(last)) if last.end == start => last.end = end,
            _ => self.content.push(Part::Copied(start..end)),
        }
    }

    /// The messages of a block were put into these queues.
    pub(crate) fn put(&mut self, draft: &Draft, place: BlockPlace, targets: &[(QueueId, u64)]) {
        let gaps = draft.gaps();
        let mut flags = 0;
        if draft.is_expiring() {
            flags |= PUT_EXPIRING;
        }
        if !gaps.is_empty() {
            flags |= PUT_GAPS;
        }
        self.head.push(PUT);
        self.u64(place.offset);
        self.u32(place.bytes);
        self.u32(place.checksum);
        self.u32(draft.positions());
        self.u64(draft.body_bytes());
        self.head.push(flags);
        self.u32(targets.len() as u32);
        for (queue, first) in targets {
            self.u64(queue.0);
            self.u64(*first);
        }
        self.head.extend_from_slice(&gaps);
    }

    pub(crate) fn settle(&mut self, queue: QueueId, ranges: &[Range<u64>]) {
        self.head.push(SETTLE);
        self.u64(queue.0);
        self.u32(ranges.len() as u32);
        for range in ranges {
            self.u64(range.start);
            self.u64(range.end - range.start);
        }
    }

    pub(crate) fn delete(&mut self, queue: QueueId) {
        self.head.push(DELETE);
        self.u64(queue.0);
    }

    pub(crate) fn define(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.head
            .push(if value.is_some() { DEFINE } else { UNDEFINE });
        self.u32(key.len() as u32);
        if let Some(value) = value {
            self.u32(value.len() as u32);
        }
        self.head.extend_from_slice(key);
        self.head.extend_from_slice(value.unwrap_or_default());
    }

    pub(crate) fn reserve(&mut self, queue: QueueId, next: u64) {
        self.head.push(RESERVE);
        self.u64(queue.0);
        self.u64(next);
    }

    pub(crate) fn clean(&mut self) {
        self.head.push(CLEAN);
    }

    fn u32(&mut self, number: u32) {
        self.head.extend_from_slice(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.head.extend_from_slice(&number.to_le_bytes());
    }

    /// Octets it takes in its segment.
    pub(crate) fn bytes(&self) -> u64 {
        (self.head.len() as u64 + self.content_bytes).next_multiple_of(FRAME_ALIGN)
    }

    /// Where in the frame the content begins.
    pub(crate) fn content_at(&self) -> u64 {
        self.head.len() as u64
    }

    /// Nothing more is added: it gets its number and its checksum.
    pub(crate) fn seal(&mut self, key: u64, segment: u64, number: u64) {
        let records = (self.head.len() - HEADER_BYTES) as u64;
        self.head[..4].copy_from_slice(&MAGIC);
        for (at, number) in [
            (8, segment),
            (16, number),
            (24, records),
            (32, self.content_bytes),
        ] {
            self.head[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = checksum(key, &self.head);
        self.head[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Writes it.
    pub(crate) fn write(&self, file: &dyn DiskFile, offset: u64) -> io::Result<()> {
        let mut parts = Vec::with_capacity(self.content.len() + 2);
        parts.push(IoSlice::new(&self.head));
        parts.extend(self.content.iter().map(|part| match part {
            Part::Copied(range) => IoSlice::new(&self.copied[range.clone()]),
            Part::Run(run) => IoSlice::new(run.bytes()),
        }));
        let padding = self.bytes() - self.head.len() as u64 - self.content_bytes;
        parts.push(IoSlice::new(&ZEROS[..padding as usize]));
        file.write_at(&mut parts, offset)
    }
}

/// Of the header but for the checksum itself, and of the records behind it.
fn checksum(key: u64, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&key.to_le_bytes()), &head[8..])
}

/// What a frame's header says, however wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) segment: u64,
    pub(crate) number: u64,
    pub(crate) records_bytes: u64,
    pub(crate) content_bytes: u64,
}

impl Header {
    /// `None` where no frame begins.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        (bytes[..4] == MAGIC).then(|| Self {
            segment: number(8),
            number: number(16),
            records_bytes: number(24),
            content_bytes: number(32),
        })
    }

    /// Octets before the content.
    pub(crate) fn head_bytes(&self) -> Option<u64> {
        self.records_bytes.checked_add(HEADER_BYTES as u64)
    }

    /// Octets the frame takes in its segment.
    pub(crate) fn frame_bytes(&self) -> Option<u64> {
        self.head_bytes()?
            .checked_add(self.content_bytes)?
            .checked_next_multiple_of(FRAME_ALIGN)
    }
}

/// Whether header and records are as they were written; `head` is both.
pub(crate) fn is_intact(key: u64, head: &[u8]) -> bool {
    let stated = head.get(4..8).map(|crc| [crc[0], crc[1], crc[2], crc[3]]);
    stated.is_some_and(|stated| u32::from_le_bytes(stated) == checksum(key, head))
}

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameRecord<'a> {
    Put {
        /// Where the block stands in the content.
        offset: u64,
        bytes: u32,
        checksum: u32,
        positions: u32,
        body_bytes: u64,
        expiring: bool,
        targets: Vec<(QueueId, u64)>,
        gaps: &'a [u8],
    },
    Settle {
        queue: QueueId,
        ranges: Vec<Range<u64>>,
    },
    Delete {
        queue: QueueId,
    },
    Define {
        key: &'a [u8],
        value: Option<&'a [u8]>,
    },
    Reserve {
        queue: QueueId,
        next: u64,
    },
    Clean,
}

/// No position is as large: sums of a position and a count do not overflow.
const POSITION_MAX: u64 = 1 << 62;

/// The records of a frame. Under a right checksum only a newer version can have written what is not understood.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

/// A record of a kind that this version does not know, or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record is not understood")]
pub(crate) struct NotUnderstood;

impl<'a> Records<'a> {
    pub(crate) fn new(records: &'a [u8]) -> Self {
        Self { rest: records }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], NotUnderstood> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(NotUnderstood)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotUnderstood> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(NotUnderstood)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn u32(&mut self) -> Result<u32, NotUnderstood> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, NotUnderstood> {
        self.array().map(u64::from_le_bytes)
    }

    fn position(&mut self) -> Result<u64, NotUnderstood> {
        self.u64().and_then(|position| {
            if position <= POSITION_MAX {
                Ok(position)
            } else {
                Err(NotUnderstood)
            }
        })
    }

    fn queue(&mut self) -> Result<QueueId, NotUnderstood> {
        self.u64().map(QueueId)
    }

    fn record(&mut self) -> Result<FrameRecord<'a>, NotUnderstood> {
        let [kind] = self.array()?;
        Ok(match kind {
            PUT => self.put()?,
            SETTLE => {
                let queue = self.queue()?;
                let ranges = (0..self.u32()?).map(|_| {
                    let (first, count) = (self.u64()?, self.u64()?);
                    Ok(first..first.checked_add(count).ok_or(NotUnderstood)?)
                });
                FrameRecord::Settle {
                    ranges: ranges.collect::<Result<_, _>>()?,
                    queue,
                }
            }
            DELETE => FrameRecord::Delete {
                queue: self.queue()?,
            },
            DEFINE => {
                let (key, value) = (self.u32()? as usize, self.u32()? as usize);
                FrameRecord::Define {
                    key: self.bytes(key)?,
                    value: Some(self.bytes(value)?),
                }
            }
            UNDEFINE => {
                let key = self.u32()? as usize;
                FrameRecord::Define {
                    key: self.bytes(key)?,
                    value: None,
                }
            }
            RESERVE => FrameRecord::Reserve {
                queue: self.queue()?,
                next: self.position()?,
            },
            CLEAN => FrameRecord::Clean,
            _ => return Err(NotUnderstood),
        })
    }

    fn put(&mut self) -> Result<FrameRecord<'a>, NotUnderstood> {
        let (offset, bytes, checksum) = (self.u64()?, self.u32()?, self.u32()?);
        let (positions, body_bytes) = (self.u32()?, self.u64()?);
        let [flags] = self.array()?;
        let count = self.u32()?;
        let targets = (0..count)
            .map(|_| Ok((self.queue()?, self.position()?)))
            .collect::<Result<_, _>>()?;
        let gaps_bytes = if flags & PUT_GAPS != 0 {
            positions.div_ceil(8) as usize
        } else {
            0
        };
        if !block::may_have_positions(positions, bytes) {
            return Err(NotUnderstood);
        }
        Ok(FrameRecord::Put {
            offset,
            bytes,
            checksum,
            positions,
            body_bytes,
            expiring: flags & PUT_EXPIRING != 0,
            targets,
            gaps: self.bytes(gaps_bytes)?,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<FrameRecord<'a>, NotUnderstood>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Disk;
    use crate::store::tests::disk::SimulatedDisk;
    use crate::store::tests::run_of;

    const KEY: u64 = 77;

    fn frame() -> (Vec<u8>, Header) {
        let mut draft = Draft::default();
        draft.take(3, &mut run_of(&["a", "b"]), 5);
        let mut large = Draft::default();
        large.take(9, &mut run_of(&[vec![7; 5000]]), 5);
        let mut frame = FrameBuilder::new();
        let place = frame.block(&draft);
        frame.put(&draft, place, &[(QueueId(1), 3), (QueueId(2), 8)]);
        let place = frame.block(&large);
        frame.put(&large, place, &[(QueueId(1), 9)]);
        frame.settle(QueueId(3), &[1..4, 7..8]);
        frame.delete(QueueId(4));
        frame.define(b"\x01k", Some(b"v"));
        frame.define(b"\x02k", None);
        frame.reserve(QueueId(5), 99);
        frame.clean();
        frame.seal(KEY, 6, 11);
        let disk = SimulatedDisk::default();
        let file = disk.create("s", 65536).expect("created");
        frame.write(&*file, 4096).expect("written");
        let mut bytes = vec![0; frame.bytes() as usize];
        file.read_at(&mut bytes, 4096).expect("read");
        let header = Header::parse(&bytes).expect("a header");
        assert_eq!(header.frame_bytes(), Some(frame.bytes()));
        (bytes, header)
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, header) = frame();
        assert_eq!((header.segment, header.number), (6, 11));
        let head = &bytes[..HEADER_BYTES + header.records_bytes as usize];
        assert!(is_intact(KEY, head) && !is_intact(KEY + 1, head));
        let records: Result<Vec<_>, _> = Records::new(&head[HEADER_BYTES..]).collect();
        let records = records.expect("understood");
        let FrameRecord::Put {
            offset,
            bytes: block_bytes,
            targets,
            body_bytes: 5000,
            ..
        } = &records[1]
        else {
            panic!("{records:?}");
        };
        assert_eq!(targets[..], [(QueueId(1), 9)]);
        let at = head.len() + *offset as usize;
        let block = bytes[at..at + *block_bytes as usize].to_vec();
        crate::store::block::decode(block, crate::store::block::Seal::Stated(None))
            .expect("a block");
        assert_eq!(
            records[2..],
            [
                FrameRecord::Settle {
                    queue: QueueId(3),
                    ranges: vec![1..4, 7..8]
                },
                FrameRecord::Delete { queue: QueueId(4) },
                FrameRecord::Define {
                    key: b"\x01k",
                    value: Some(b"v")
                },
                FrameRecord::Define {
                    key: b"\x02k",
                    value: None
                },
                FrameRecord::Reserve {
                    queue: QueueId(5),
                    next: 99
                },
                FrameRecord::Clean,
            ]
        );
    }

    #[test]
    fn each_damaged_octet_of_header_and_records_is_found() {
        let (bytes, header) = frame();
        let head = &bytes[..HEADER_BYTES + header.records_bytes as usize];
        for octet in 4..head.len() {
            let mut damaged = head.to_vec();
            damaged[octet] ^= 1;
            assert!(!is_intact(KEY, &damaged), "octet {octet}");
        }
    }

    #[test]
    fn records_cut_anywhere_do_not_panic() {
        let (bytes, header) = frame();
        let records = &bytes[HEADER_BYTES..HEADER_BYTES + header.records_bytes as usize];
        for end in 0..records.len() {
            let read: Vec<_> = Records::new(&records[..end]).collect();
            assert!(read.len() <= 8);
        }
        assert_eq!(
            Records::new(&[99]).next(),
            Some(Err(NotUnderstood)),
            "a kind of a later version"
        );
    }
}
