//! How long a stream keeps what it has. As in RabbitMQ the unit is a segment: when one is full and the next begins, the
//! oldest go as long as all together are too large, or the last message of one is too old. The one that is written to
//! always stays.

use std::collections::VecDeque;
use std::ops::Range;

/// Size of a segment without `x-stream-max-segment-size-bytes`, as in RabbitMQ.
const SEGMENT_BYTES: u64 = 500_000_000;

/// What a message counts beside its body: about what properties and keys take.
const MESSAGE_BYTES: u64 = 64;

/// What a stream's arguments say about what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// `x-max-length-bytes`.
    pub bytes_max: Option<u64>,
    /// `x-max-age`, milliseconds.
    pub age_ms_max: Option<u64>,
    /// `x-stream-max-segment-size-bytes`.
    pub segment_bytes: Option<u64>,
}

#[derive(Debug)]
struct Segment {
    end: u64,
    bytes: u64,
    body_bytes: u64,
    /// When its last message came; not known of what came before the start.
    last_time: Option<u64>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// Oldest first.
    all: VecDeque<Segment>,
    bytes: u64,
    body_bytes: u64,
    segment_bytes: Option<u64>,
}

impl Segments {
    pub(super) fn new(segment_bytes: Option<u64>) -> Self {
        Self {
            segment_bytes,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// A segment that begins from now on becomes so large.
    pub(super) fn set_size(&mut self, segment_bytes: Option<u64>) {
        self.segment_bytes = segment_bytes;
    }

    /// Adds messages that came together; answers whether a segment was full.
    pub(super) fn add(
        &mut self,
        positions: Range<u64>,
        body_bytes: u64,
        time: Option<u64>,
    ) -> bool {
        let size = self.segment_bytes.unwrap_or(SEGMENT_BYTES);
        let full = self.all.back().is_some_and(|last| last.bytes >= size);
        let bytes = body_bytes + MESSAGE_BYTES * (positions.end - positions.start);
        self.bytes += bytes;
        self.body_bytes += body_bytes;
        match self.all.back_mut().filter(|_| !full) {
            Some(last) => {
                last.end = positions.end;
                last.bytes += bytes;
                last.body_bytes += body_bytes;
                last.last_time = time;
            }
            None => self.all.push_back(Segment {
                end: positions.end,
                bytes,
                body_bytes,
                last_time: time,
            }),
        }
        full
    }

    /// Adds messages of an earlier life, of which only the size is known.
    pub(super) fn restore(&mut self, positions: Range<u64>, body_bytes: u64) {
        let size = self.segment_bytes.unwrap_or(SEGMENT_BYTES).max(1);
        let count = positions.end - positions.start;
        let parts = (body_bytes + MESSAGE_BYTES * count).div_ceil(size).max(1);
        let step = count.div_ceil(parts).max(1);
        let mut start = positions.start;
        while start < positions.end {
            let end = start.saturating_add(step).min(positions.end);
            let share = u128::from(body_bytes) * u128::from(end - start) / u128::from(count);
            self.add(start..end, share as u64, None);
            start = end;
        }
    }

    /// Takes out what need not be kept: the position up to which everything goes, if anything does. `time_of` tells when
    /// the message at a position came.
    pub(super) fn retain(
        &mut self,
        retention: &Retention,
        now: u64,
        time_of: impl Fn(u64) -> Option<u64>,
    ) -> Option<u64> {
        let mut until = None;
        while self.all.len() > 1 {
            let oldest = self.all.front_mut()?;
            let too_large = retention.bytes_max.is_some_and(|max| self.bytes > max);
            let too_old = !too_large
                && retention.age_ms_max.is_some_and(|max| {
                    oldest.last_time = oldest.last_time.or_else(|| time_of(oldest.end - 1));
                    let age = oldest.last_time.map(|time| now.saturating_sub(time));
                    age.is_some_and(|age| age > max)
                });
            if !too_large && !too_old {
                break;
            }
            self.bytes -= oldest.bytes;
            self.body_bytes -= oldest.body_bytes;
            until = Some(oldest.end);
            self.all.pop_front();
        }
        until
    }
}
