//! A line of ready messages whose middle may be away: on the disk, without a trace of its messages in memory.
//!
//! Messages come to the tail and are served from the head. Between both may be [`Away`] ranges, in position order; with
//! none of them everything is in the head. Where they went and who fetches them is not known here.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::queue::paging::Spilled;
use crate::queue::ready::Line;
use crate::queue::ready::Segment;
use crate::queue::ready::append;
use crate::queue::ready::held_bytes;
use crate::queue::ready::insert;
use crate::queue::ready::take;

/// Consecutive ready messages that are not in memory.
#[derive(Debug, Clone)]
pub(super) struct Away {
    pub(super) positions: Range<u64>,
    pub(super) body_bytes: u64,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
    /// When the first of them entered the queue; 0 where that is not known.
    pub(super) entered_from: u64,
    /// None of them expires earlier; `None` when none expires at all.
    pub(super) expires_from: Option<u64>,
    /// Where they are if not in the store.
    pub(super) spilled: Option<Arc<dyn Spilled>>,
}

impl Away {
    pub(super) fn len(&self) -> u64 {
        self.positions.end - self.positions.start
    }

    /// Takes `next` in when it continues this range in the same place.
    fn try_join(&mut self, next: &Away) -> bool {
        let joins = self.positions.end == next.positions.start
            && self.redelivered == next.redelivered
            && self.returns == next.returns
            && self.spilled.is_none()
            && next.spilled.is_none();
        if joins {
            self.positions.end = next.positions.end;
            self.body_bytes += next.body_bytes;
            self.expires_from = earlier(self.expires_from, next.expires_from);
        }
        joins
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Paged {
    head: Line,
    /// What the head takes in memory.
    head_bytes: u64,
    away: VecDeque<Away>,
    /// Empty when nothing is away.
    tail: Line,
    tail_bytes: u64,
}

impl Paged {
    /// Nothing is here, and nothing away.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.away.is_empty() && self.tail.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Segment> {
        self.head.front()
    }

    /// When the first message entered the queue; 0 where that is not known.
    pub(super) fn oldest(&self) -> Option<u64> {
        let here = self.head.front().map(|segment| segment.entered_at);
        here.or_else(|| self.away.front().map(|away| away.entered_from))
    }

    pub(super) fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    pub(super) fn first_away(&self) -> Option<&Away> {
        self.away.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.head.iter().chain(&self.tail)
    }

    pub(super) fn away(&self) -> impl Iterator<Item = &Away> {
        self.away.iter()
    }

    pub(super) fn append(&mut self, segment: Segment) {
        if self.away.is_empty() {
            self.push_head(segment);
        } else {
            self.tail_bytes += held_bytes(&segment.run);
            append(&mut self.tail, segment);
        }
    }

    /// Adds a range that is away behind everything.
    pub(super) fn append_away(&mut self, away: Away) {
        debug_assert!(self.tail.is_empty(), "nothing is behind it yet");
        push_away(&mut self.away, away);
    }

    /// To its place by position. Gives back what belongs between two ranges that are away.
    pub(super) fn insert(&mut self, segment: Segment) -> Result<(), Segment> {
        let (first, last) = match (self.away.front(), self.away.back()) {
            (Some(first), Some(last)) => (first.positions.start, last.positions.end),
            _ => (u64::MAX, u64::MAX),
        };
        if segment.first < first {
            self.head_bytes += held_bytes(&segment.run);
            insert(&mut self.head, segment);
        } else if segment.first >= last {
            self.tail_bytes += held_bytes(&segment.run);
            insert(&mut self.tail, segment);
        } else {
            return Err(segment);
        }
        Ok(())
    }

    /// Inserts a range by position.
    pub(super) fn insert_away(&mut self, away: Away) {
        let start = away.positions.start;
        let at = self
            .away
            .partition_point(|other| other.positions.start < start);
        self.away.insert(at, away);
    }

    pub(super) fn take(&mut self, count: usize) -> Option<Segment> {
        let taken = take(&mut self.head, count)?;
        self.head_bytes -= held_bytes(&taken.run);
        self.settle_down();
        Some(taken)
    }

    /// With nothing away everything is in the head.
    fn settle_down(&mut self) {
        if self.away.is_empty() && !self.tail.is_empty() {
            if self.head.is_empty() {
                std::mem::swap(&mut self.head, &mut self.tail);
            } else {
                self.head.append(&mut self.tail);
            }
            self.head_bytes += std::mem::take(&mut self.tail_bytes);
        }
    }

    /// Takes out what is to be put away: all of the tail, then the end of the head until it holds no more than
    /// `head_bytes` and as many segments as stay in any case. Answers what was of the head and of the tail, in position order.
    pub(super) fn surplus(&mut self, head_bytes: u64, stay: usize) -> (Vec<Segment>, Vec<Segment>) {
        let tail = std::mem::take(&mut self.tail);
        self.tail_bytes = 0;
        let mut from_head = Vec::new();
        while self.head_bytes > head_bytes && self.head.len() > stay {
            let Some(last) = self.head.pop_back() else {
                break;
            };
            self.head_bytes -= held_bytes(&last.run);
            from_head.push(last);
        }
        from_head.reverse();
        (from_head, tail.into())
    }

    /// What [`Paged::surplus`] took from the head is away now.
    pub(super) fn put_away_behind_head(&mut self, ranges: Vec<Away>) {
        for mut away in ranges.into_iter().rev() {
            if let Some(next) = self.away.front()
                && away.try_join(next)
            {
                self.away.pop_front();
            }
            self.away.push_front(away);
        }
    }

    /// What [`Paged::surplus`] took from the tail is away now.
    pub(super) fn put_away_tail(&mut self, ranges: Vec<Away>) {
        for away in ranges {
            push_away(&mut self.away, away);
        }
    }

    /// Cuts the first range that is away where `until` is; answers the front part, and whether that was all of it. The octets
    /// of bodies are in both parts, until [`Paged::reduce_away`].
    pub(super) fn take_away(&mut self, until: u64) -> Option<(Away, bool)> {
        let first = self.away.front_mut()?;
        if until >= first.positions.end {
            return self.away.pop_front().map(|whole| (whole, true));
        }
        let mut front = first.clone();
        front.positions.end = until;
        first.positions.start = until;
        Some((front, false))
    }

    /// Octets of the first range's bodies that are still counted there.
    pub(super) fn reduce_away(&mut self, body_bytes: u64) {
        if let Some(first) = self.away.front_mut() {
            first.body_bytes = first.body_bytes.saturating_sub(body_bytes);
        }
    }

    /// Behind the head: what was away and is here now.
    pub(super) fn push_head(&mut self, segment: Segment) {
        self.head_bytes += held_bytes(&segment.run);
        append(&mut self.head, segment);
    }

    /// Everything that was away is here: the tail continues the head.
    pub(super) fn fetched(&mut self) {
        self.settle_down();
    }

    /// Empties it.
    pub(super) fn drain(&mut self) -> (Line, VecDeque<Away>) {
        let mut line = std::mem::take(&mut self.head);
        line.append(&mut self.tail);
        (self.head_bytes, self.tail_bytes) = (0, 0);
        (line, std::mem::take(&mut self.away))
    }
}

fn push_away(ranges: &mut VecDeque<Away>, away: Away) {
    let joined = ranges.back_mut().is_some_and(|last| last.try_join(&away));
    if !joined {
        ranges.push_back(away);
    }
}
