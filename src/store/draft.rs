//! A block that is being made: messages of one queue gathered until it is full, then encoded (`block.rs` has the layout).

use crate::model::Run;
use crate::store::block::BLOCK_BYTES_MAX;
use crate::store::block::ENTRY_BYTES;
use crate::store::block::FLAG_EXPIRING;
use crate::store::block::HEAD_BYTES;
use crate::store::block::STRETCH_BYTES;
use crate::store::block::Stretch;
use crate::store::block::VERSION;

/// Positions whose messages are settled that are bridged by gaps; a new block would cost more.
pub(super) const GAP_MAX: u64 = 16;

/// Messages that will be a block.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    first: u64,
    positions: u32,
    bytes: usize,
    body_bytes: u64,
    expiring: bool,
    stretches: Vec<Stretch>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    gap: u32,
    run: Run,
}

impl Draft {
    /// Takes messages from the front of `run`, whose first is at `position`, as long as they fit. Messages come in the
    /// order of their positions; between them may be positions whose messages are settled. Answers how many it took:
    /// always some when it is empty.
    pub(crate) fn take(&mut self, position: u64, run: &mut Run, at: u64) -> usize {
        if self.pieces.is_empty() {
            self.first = position;
            self.bytes = HEAD_BYTES;
        }
        let gap = position - self.end();
        if gap > GAP_MAX {
            return 0;
        }
        let same_time = self.stretches.last().is_some_and(|last| last.at == at);
        let base =
            self.bytes + gap as usize * ENTRY_BYTES + if same_time { 0 } else { STRETCH_BYTES };
        let whole = base + run.held_bytes() + run.len() * ENTRY_BYTES;
        let (count, bytes) = if whole <= BLOCK_BYTES_MAX {
            (run.len(), whole)
        } else {
            let mut bytes = base;
            let fitting = run.iter().take_while(|message| {
                let with = bytes + ENTRY_BYTES + message.held_bytes();
                let fits = with <= BLOCK_BYTES_MAX;
                if fits {
                    bytes = with;
                }
                fits
            });
            match fitting.count() {
                0 if self.pieces.is_empty() => (1, base + ENTRY_BYTES + run.first().held_bytes()),
                0 => return 0,
                count => (count, bytes),
            }
        };
        let run = run.take_front(count);
        self.bytes = bytes;
        self.body_bytes += run.body_bytes();
        self.expiring |=
            run.may_be_demanding() && run.iter().any(|message| message.traits().has_expiration());
        self.positions += gap as u32 + count as u32;
        let positions = (gap as usize + count) as u16;
        match self.stretches.last_mut() {
            Some(last) if same_time => last.positions += positions,
            _ => self.stretches.push(Stretch { positions, at }),
        }
        self.pieces.push(Piece {
            gap: gap as u32,
            run,
        });
        count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Its first position.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The position after its last.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.positions)
    }

    /// Number of its positions.
    pub(crate) fn positions(&self) -> u32 {
        self.positions
    }

    /// Octets it will have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Octets of the bodies.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Some message has the property `expiration`.
    pub(crate) fn is_expiring(&self) -> bool {
        self.expiring
    }

    /// The messages, without gaps.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.pieces.iter().map(|piece| &piece.run)
    }

    /// Positions that are gaps, as a bitmap of one bit a position, lowest bit first; empty when there are none.
    pub(crate) fn gaps(&self) -> Vec<u8> {
        if self.pieces.iter().all(|piece| piece.gap == 0) {
            return Vec::new();
        }
        let mut bits = vec![0; self.positions.div_ceil(8) as usize];
        let mut at = 0;
        for piece in &self.pieces {
            for index in at..at + piece.gap {
                bits[index as usize / 8] |= 1 << (index % 8);
            }
            at += piece.gap + piece.run.len() as u32;
        }
        bits
    }

    /// Whether both say the same of the same messages, whatever their positions begin with.
    pub(crate) fn same_as(&self, other: &Draft) -> bool {
        let piece = |piece: &Piece| (piece.gap, piece.run.identity());
        self.positions == other.positions
            && self.stretches == other.stretches
            && self
                .pieces
                .iter()
                .map(piece)
                .eq(other.pieces.iter().map(piece))
    }

    /// Appends everything before the messages themselves, which follow as [`Draft::runs`]; answers the checksum.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        out.extend_from_slice(&[0, 0, 0, 0, VERSION]);
        out.push(if self.expiring { FLAG_EXPIRING } else { 0 });
        out.extend_from_slice(&(self.stretches.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.positions.to_le_bytes());
        for stretch in &self.stretches {
            out.extend_from_slice(&stretch.to_bytes());
        }
        for piece in &self.pieces {
            let gaps = piece.gap as usize * ENTRY_BYTES;
            out.resize(out.len() + gaps, 0);
            for message in piece.run.iter() {
                let [route, header, body] = [message.route(), message.header(), message.body()];
                out.extend_from_slice(&(route.len() as u16).to_le_bytes());
                out.extend_from_slice(&message.traits().to_bytes());
                out.extend_from_slice(&(header.len() as u32).to_le_bytes());
                out.extend_from_slice(&(body.len() as u32).to_le_bytes());
            }
        }
        let head = crc32c::crc32c(&out[start + 4..]);
        let crc = self
            .runs()
            .fold(head, |crc, run| crc32c::crc32c_append(crc, run.bytes()));
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// The whole block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        self.write_head(&mut out);
        self.runs()
            .for_each(|run| out.extend_from_slice(run.bytes()));
        debug_assert_eq!(out.len(), self.bytes, "a block has exactly its size");
        out
    }
}
