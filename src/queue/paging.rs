//! Bounded memory: a queue that holds more than its share of the node's memory puts its middle away and fetches it again
//! before consumers reach it.
//!
//! Stored messages are put away by forgetting them; others are handed to the [`Pager`]. Reading happens on another
//! thread: the owner asks [`Queue::wanted_page`], reads without the queue's lock, and hands over what it found with
//! [`Queue::page_in`]. Only `basic.get`, and a queue that must drop from its head, wait for the disk themselves.
//!
//! A queue with priorities does so with the line of each: what is served last goes first. Its messages that are away cost a
//! range for each change of priority. The messages of a durable delayed exchange that wait longest are left to the store until
//! they are due. Queues with deduplication, and quorum queues with two levels of priority, keep everything in memory.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::Queue;
use crate::queue::away::AwayPage;
use crate::queue::away::AwayRanges;
use crate::queue::away::PAGE_IN_NOW_BYTES;
use crate::queue::memory::Memory;
use crate::queue::paged::Away;
use crate::queue::ready::Level;
use crate::queue::ready::NextAway;
use crate::queue::ready::Segment;
use crate::queue::ready::held_bytes;
use crate::queue::stream::Found;
use crate::queue::stream::Search;
use crate::store::Record;

/// While fewer bytes than this are in memory before what is away, more is fetched.
const AHEAD_BYTES: u64 = 512 * 1024;

/// So much is fetched at once, at most.
const PAGE_IN_BYTES: u64 = 1024 * 1024;

/// So many ranges are fetched at once, at most.
const RANGES_MAX: usize = 1024;

/// Messages that went to the pager.
pub trait Spilled: fmt::Debug + Send + Sync {
    /// Reads them back: position of the first, messages, when they expire. `None` when that is impossible.
    fn read(&self) -> Option<Vec<(u64, Run, Option<u64>)>>;
}

/// Messages at consecutive positions that are put away together.
pub struct Spill {
    /// Position of the first.
    pub first: u64,
    /// The messages.
    pub run: Run,
    /// When they expire.
    pub expires_at: Option<u64>,
}

/// Messages that were found.
#[derive(Debug, Default)]
pub struct Page {
    /// Position of the first, messages, when they entered.
    pub runs: Vec<(u64, Run, Option<u64>)>,
    /// Up to here there is nothing else.
    pub until: u64,
}

/// Where messages go that are too many for memory.
pub trait Pager: Send + Sync {
    /// Reads stored messages of a queue from the start of `positions` on, about so many bytes. `None` when the store
    /// cannot be read any more.
    fn read(&self, queue: QueueId, positions: Range<u64>, bytes_max: u64) -> Option<Page>;

    /// Takes messages at consecutive positions that are not stored. `None` when there is no room: they stay in memory.
    fn spill(&self, messages: Spill) -> Option<Arc<dyn Spilled>>;
}

/// What is to be read next.
pub struct Wanted(Reading);

enum Reading {
    Away(AwayRanges),
    Stream(Search),
}

/// What was read.
pub struct Fetched(Done);

enum Done {
    Away(AwayPage),
    Stream(Found),
}

impl Wanted {
    /// Reads it; blocks on the disk.
    pub fn fetch(self, pager: &dyn Pager) -> Fetched {
        Fetched(match self.0 {
            Reading::Away(ranges) => Done::Away(ranges.fetch(pager)),
            Reading::Stream(search) => Done::Stream(search.fetch(pager)),
        })
    }
}

/// How a queue pages.
#[derive(Default)]
pub(super) struct Paging {
    memory: Arc<Memory>,
    pager: Option<Arc<dyn Pager>>,
    /// What the budget knows that this queue holds.
    accounted_bytes: u64,
    /// The first range that is away may have expired.
    may_have_expired: bool,
    /// Messages of the head had to be put away since one was last delivered: to fetch them again would be in vain.
    pub(super) head_is_full: bool,
    /// Someone reads the first range that is away.
    fetching: bool,
    /// The disk could not be read.
    broken: bool,
    /// Nobody reads ahead: what is foremost is read at once, whatever it is wanted for. For tests that compare with a queue in
    /// memory.
    eager: bool,
}

impl Paging {
    /// See [`Memory::share`].
    pub(super) fn share(&self) -> u64 {
        self.memory.share()
    }

    pub(super) fn pager(&self) -> Option<Arc<dyn Pager>> {
        self.pager.clone()
    }

    /// The disk could not be read.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }
}

impl Drop for Paging {
    fn drop(&mut self) {
        self.memory.change(self.accounted_bytes, 0);
    }
}

impl Queue {
    /// From now on the queue shares `memory` with others, and puts away what is too much.
    pub fn page_with(&mut self, memory: Arc<Memory>, pager: Arc<dyn Pager>) {
        self.paging = Paging {
            memory,
            pager: Some(pager),
            ..Paging::default()
        };
    }

    /// What is in memory of the messages that are ready.
    #[cfg(test)]
    pub(super) fn paging_held_bytes(&self) -> u64 {
        self.ready.held_bytes()
    }

    /// From now on nobody reads ahead.
    #[cfg(test)]
    pub(super) fn page_eagerly(&mut self) {
        self.paging.eager = true;
    }

    /// Whether messages of it can be put away at all.
    pub fn can_page(&self) -> bool {
        if self.stream.is_some() {
            return true;
        }
        self.paging.pager.is_some()
            && self.seen.is_none()
            && self.delayed.is_none()
            && self.ready.can_page()
    }

    /// Whether [`Queue::restore_away`] will do: not where it takes the messages to know their order.
    pub fn restores_unread(&self) -> bool {
        self.can_page() && !self.ready.has_priorities()
    }

    /// Puts away what is more than its share. To be called when messages came, once the store has heard of them; costs little
    /// when there is nothing to do.
    pub fn relieve(&mut self) {
        if self.stream.is_some() {
            return self.relieve_stream();
        }
        self.account();
        let share = self.paging.memory.share();
        if self.held_bytes() <= share || self.holds > 0 || self.paging.pager.is_none() {
            return;
        }
        if self.can_page() {
            self.put_away(share / 2);
        } else if let Some(delayed) = &mut self.delayed
            && self.options.durable
        {
            delayed.forget(share / 2);
        }
        self.account();
    }

    /// What its messages that wait take in memory.
    pub(super) fn held_bytes(&self) -> u64 {
        let stream = self.stream.as_ref().map_or(0, |stream| stream.held_bytes());
        let delayed = self
            .delayed
            .as_ref()
            .map_or(0, |delayed| delayed.held_bytes());
        self.ready.held_bytes() + stream + delayed
    }

    /// Stored messages at these positions, which ascend; those that cannot be read are missing. `None` when nothing can
    /// be read any more.
    pub(super) fn read_stored(&mut self, positions: &[u64]) -> Option<HashMap<u64, Run>> {
        let mut found = HashMap::new();
        let mut left: &[u64] = positions;
        while let Some(first) = left.first() {
            let ranges = left
                .iter()
                .take(RANGES_MAX)
                .map(|at| *at..*at + 1)
                .collect();
            let wanted = AwayRanges {
                queue: self.id,
                level: 0,
                ranges,
                bytes_max: PAGE_IN_BYTES,
                spilled: None,
            };
            let page = self
                .paging
                .pager
                .as_deref()
                .and_then(|pager| wanted.read(pager));
            let Some(page) = page else {
                self.paging.broken = true;
                return None;
            };
            found.extend(page.runs.into_iter().map(|(at, run, _)| (at, run)));
            let until = page.until.max(first + 1);
            left = &left[left.partition_point(|at| *at < until)..];
        }
        Some(found)
    }

    /// Tells the budget what the queue holds.
    pub fn account(&mut self) {
        let held = self.held_bytes();
        let paging = &mut self.paging;
        if held != paging.accounted_bytes {
            paging.memory.change(paging.accounted_bytes, held);
            paging.accounted_bytes = held;
        }
    }

    /// Of what is served first so many bytes stay.
    fn put_away(&mut self, mut head_bytes: u64) {
        let mut foremost = true;
        let mut next = self.ready.next_level(None);
        while let Some(level) = next {
            head_bytes = self.put_away_of(level, head_bytes, foremost);
            foremost = false;
            next = self.ready.next_level(Some(level));
        }
    }

    /// Answers how many bytes may stay of the lines behind this one.
    fn put_away_of(&mut self, level: Level, head_bytes: u64, foremost: bool) -> u64 {
        // What is being fetched would no longer follow the head.
        let head_stays = self.paging.fetching;
        let Some(line) = self.ready.paged_mut(level) else {
            return 0;
        };
        let stay = if head_stays {
            usize::MAX
        } else {
            usize::from(foremost)
        };
        let (head, tail) = line.surplus(head_bytes, stay);
        let left = head_bytes.saturating_sub(line.head_bytes());
        if foremost {
            self.paging.head_is_full |= !head.is_empty();
        }
        let (mut moved, mut moved_head) = (0, 0);
        let (tail, tail_stays) = self.all_away(tail, &mut moved);
        let (head_away, head_stays) = self.all_away(head.clone(), &mut moved_head);
        if let Some(line) = self.ready.paged_mut(level) {
            if head_stays.is_empty() {
                line.put_away_behind_head(head_away);
                moved += moved_head;
            } else {
                // Without room on the disk for all of it, all of it stays where it was: between messages that are away there
                // is no place for others.
                head.into_iter().for_each(|segment| line.push_head(segment));
            }
            line.put_away_tail(tail);
            tail_stays
                .into_iter()
                .for_each(|segment| line.append(segment));
        }
        self.ready.moved(-moved, 0, 0);
        left
    }

    /// Ranges for segments that are put away, and those that cannot be.
    fn all_away(&self, segments: Vec<Segment>, moved: &mut i64) -> (Vec<Away>, Vec<Segment>) {
        let mut ranges = Vec::new();
        let mut segments = segments.into_iter();
        while let Some(segment) = segments.next() {
            match self.away(&segment) {
                Some(away) => {
                    *moved += held_bytes(&segment.run) as i64;
                    ranges.extend(away);
                }
                None => return (ranges, std::iter::once(segment).chain(segments).collect()),
            }
        }
        (ranges, Vec::new())
    }

    /// Ranges for one segment.
    fn away(&self, segment: &Segment) -> Option<Vec<Away>> {
        let pager = self.paging.pager.as_ref()?;
        let mut ranges = Vec::new();
        let mut at = 0;
        let range = |stretch: Range<usize>, spilled| Away {
            positions: segment.first + stretch.start as u64..segment.first + stretch.end as u64,
            body_bytes: segment.run.slice(stretch).body_bytes(),
            redelivered: segment.redelivered,
            returns: segment.returns,
            entered_from: segment.entered_at,
            expires_from: segment.expires_at,
            spilled,
        };
        let spill = |stretch: Range<usize>| {
            pager.spill(Spill {
                first: segment.first + stretch.start as u64,
                run: segment.run.slice(stretch),
                expires_at: segment.expires_at,
            })
        };
        let stored: Vec<_> = if self.options.durable {
            self.stored_stretches(&segment.run).collect()
        } else {
            Vec::new()
        };
        for stretch in stored {
            if at < stretch.start {
                ranges.push(range(at..stretch.start, Some(spill(at..stretch.start)?)));
            }
            at = stretch.end;
            ranges.push(range(stretch, None));
        }
        let len = segment.run.len();
        if at < len {
            ranges.push(range(at..len, Some(spill(at..len)?)));
        }
        Some(ranges)
    }

    /// A message came back that belongs between messages that are away: it goes there as well.
    pub(super) fn give_back_away(&mut self, segment: Segment) {
        let ranges = self.away(&segment);
        let level = self.ready.level_of(&segment.run);
        let Some(line) = self.ready.paged_mut(level) else {
            return;
        };
        match ranges {
            Some(ranges) => {
                ranges.into_iter().for_each(|away| line.insert_away(away));
                self.ready.moved(-(held_bytes(&segment.run) as i64), 0, 0);
            }
            // No room on the disk: its place is lost, but not the message.
            None => line.push_head(segment),
        }
    }

    /// What should be read now, if anything; from then on it is being read, until [`Queue::page_in`].
    pub fn wanted_page(&mut self) -> Option<Wanted> {
        if !self.wants_page() {
            return None;
        }
        if self.stream.is_some() {
            let search = self.wanted_stream_page();
            return search.map(|search| Wanted(Reading::Stream(search)));
        }
        let share = self.paging.memory.share();
        let wanted = self.next_wanted(PAGE_IN_BYTES.min(share / 2).max(PAGE_IN_NOW_BYTES))?;
        self.paging.fetching = true;
        Some(Wanted(Reading::Away(wanted)))
    }

    /// Whether [`Queue::wanted_page`] has something.
    pub fn wants_page(&self) -> bool {
        if self.paging.fetching || self.paging.broken || self.deleted || self.holds > 0 {
            return false;
        }
        if self.stream.is_some() {
            return self.wants_stream_page();
        }
        let Some(next) = self.ready.next_away() else {
            return false;
        };
        // It may have to go by itself, or somebody waits for it.
        if self.paging.may_have_expired && self.ready.front_is_away() || self.consumers.has_next() {
            return true;
        }
        if self.consumers.len() > 0 && !self.paging.head_is_full {
            let ahead = AHEAD_BYTES.min(self.paging.memory.share() / 4);
            return next.bytes_before < ahead;
        }
        false
    }

    /// What is foremost and away is judged: once it may have expired it has to be read.
    pub(super) fn judge_away(&mut self, now: u64) {
        self.paging.may_have_expired |= self.may_have_expired_away(now);
    }

    /// Whether somebody waits for what is foremost and away who cannot wait for the thread that reads.
    pub(super) fn cannot_wait(&self, otherwise: bool) -> bool {
        self.ready.front_is_away() && (self.paging.eager || otherwise)
    }

    pub(super) fn may_have_expired_away(&self, now: u64) -> bool {
        self.ready.front_is_away() && self.away_deadline().is_some_and(|at| at <= now)
    }

    fn next_wanted(&self, bytes_max: u64) -> Option<AwayRanges> {
        let NextAway { level, line, .. } = self.ready.next_away()?;
        let first = line.first_away()?;
        let (mut bytes, mut end) = (0, 0);
        // What was spilled is read piece by piece. In a queue that serves by arrival older positions may follow.
        let stored = line
            .away()
            .take_while(|away| away.spilled.is_none())
            .take_while(|away| {
                let more = bytes < bytes_max && away.positions.start >= end;
                bytes += away.body_bytes;
                end = away.positions.end;
                more
            });
        let ranges = match first.spilled {
            Some(_) => vec![first.positions.clone()],
            None => stored
                .take(RANGES_MAX)
                .map(|away| away.positions.clone())
                .collect(),
        };
        Some(AwayRanges {
            queue: self.id,
            level,
            ranges,
            bytes_max,
            spilled: first.spilled.clone(),
        })
    }

    /// Takes what was read, and delivers it.
    pub fn page_in(&mut self, fetched: Fetched, now: u64, records: &mut Vec<Record>) {
        self.paging.fetching = false;
        self.paging.may_have_expired = false;
        if self.deleted {
            return;
        }
        match fetched.0 {
            Done::Away(page) => self.take_page(page),
            Done::Stream(found) => self.take_stream_page(found),
        }
        self.dispatch(now, records);
        self.drop_excess(now, records);
    }

    fn take_page(&mut self, fetched: AwayPage) {
        let Some(page) = fetched.page else {
            self.paging.broken = true;
            return;
        };
        let mut runs = page.runs.into_iter().peekable();
        for asked in fetched.ranges {
            let until = page.until.min(asked.end);
            let Some(line) = self.ready.paged_mut(fetched.level) else {
                break;
            };
            let first = line.first_away().map(|away| away.positions.start);
            // It was purged, or somebody who could not wait has read it, or something has come back before it.
            if first != Some(asked.start) || until <= asked.start {
                break;
            }
            let Some((away, whole)) = line.take_away(until) else {
                break;
            };
            let here = std::iter::from_fn(|| runs.next_if(|(at, _, _)| *at < until));
            self.take_range(fetched.level, &away, whole, fetched.expiries, here);
        }
        if let Some(line) = self.ready.paged_mut(fetched.level) {
            line.fetched();
        }
        self.ready.prune(fetched.level);
        self.account();
    }

    /// What was read of one range, which is the first of its line and follows the head.
    fn take_range(
        &mut self,
        level: Level,
        away: &Away,
        whole: bool,
        expiries: bool,
        runs: impl Iterator<Item = (u64, Run, Option<u64>)>,
    ) {
        let (mut held, mut count, mut bodies) = (0, 0, 0);
        for (first, run, time) in runs {
            held += held_bytes(&run);
            count += run.len() as u64;
            bodies += run.body_bytes();
            let segments: Vec<Segment> = if expiries {
                vec![Segment {
                    first,
                    run,
                    redelivered: false,
                    returns: 0,
                    expires_at: time,
                    entered_at: away.entered_from,
                    behind: 0,
                }]
            } else {
                self.segments(first, run, time.unwrap_or(self.looked_at))
                    .collect()
            };
            if let Some(line) = self.ready.paged_mut(level) {
                for mut segment in segments {
                    segment.redelivered = away.redelivered;
                    segment.returns = away.returns;
                    line.push_head(segment);
                }
            }
        }
        self.stats.disk_reads += count;
        // What could not be read is lost, and was reported by the store.
        let lost = away.len().saturating_sub(count);
        let lost_bytes = if whole {
            away.body_bytes.saturating_sub(bodies)
        } else {
            0
        };
        if let Some(line) = self.ready.paged_mut(level)
            && !whole
        {
            line.reduce_away(bodies);
        }
        self.ready
            .moved(held as i64, -(lost as i64), -(lost_bytes as i64));
    }

    /// Reads the foremost messages at once when they are away. For who cannot wait.
    pub(super) fn page_in_now(&mut self) {
        while self.ready.front_is_away() && !self.paging.broken {
            let (Some(wanted), Some(pager)) = (
                self.next_wanted(PAGE_IN_NOW_BYTES),
                self.paging.pager.clone(),
            ) else {
                return;
            };
            let fetched = wanted.fetch(&*pager);
            self.take_page(fetched);
        }
    }

    /// Puts back stored messages that need not be read. Called as [`Queue::restore`], in its place.
    ///
    /// `expiring` tells that some may expire by themselves.
    pub fn restore_away(
        &mut self,
        positions: Range<u64>,
        body_bytes: u64,
        redelivered: bool,
        expiring: bool,
    ) {
        if self.stream.is_some() {
            return self.restore_stream(positions, body_bytes);
        }
        self.next_position = self.next_position.max(positions.end);
        // Not before all is restored.
        self.paging.fetching = true;
        let expires = expiring || self.options.arguments.message_ttl.is_some();
        let away = Away {
            body_bytes,
            redelivered,
            returns: 0,
            // Not known without reading it.
            entered_from: 0,
            expires_from: expires.then_some(0),
            spilled: None,
            positions,
        };
        self.ready
            .moved(0, away.len() as i64, away.body_bytes as i64);
        if let Some(line) = self.ready.paged_mut(0) {
            line.append_away(away);
        }
    }

    /// Messages were restored. Behind what is away they go away too, so that the order stays.
    pub(super) fn relieve_restored(&mut self) {
        if self.restores_unread() && self.ready.next_away().is_some() {
            self.put_away(u64::MAX);
            self.account();
        } else {
            self.relieve();
        }
    }

    /// Everything is restored: what is away may be read.
    pub(super) fn begin_paging(&mut self) {
        self.paging.fetching = false;
    }

    /// When what is foremost and away may expire.
    pub(super) fn away_deadline(&self) -> Option<u64> {
        if self.paging.fetching || self.paging.broken || !self.ready.front_is_away() {
            return None;
        }
        self.ready.next_away()?.line.first_away()?.expires_from
    }

    /// Stored messages that are away and were delivered before.
    pub(super) fn redelivered_away(&self) -> impl Iterator<Item = (Range<u64>, u32)> {
        let lines = self.ready.paged().map(|(_, line)| line);
        lines
            .flat_map(|line| line.away())
            .filter(|away| away.redelivered && away.spilled.is_none())
            .map(|away| (away.positions.clone(), away.returns))
    }
}

/// Positions of the stored messages of ranges that were away.
pub(super) fn stored_ranges(
    away: impl IntoIterator<Item = Away>,
) -> impl Iterator<Item = Range<u64>> {
    away.into_iter()
        .filter(|away| away.spilled.is_none())
        .map(|away| away.positions)
}

impl Queue {
    /// Positions of messages that came back, with those that are away.
    pub(super) fn note_redelivered(&self, all: &mut Vec<super::Returned>) {
        all.extend(
            self.redelivered_away()
                .map(|(positions, returns)| super::Returned { positions, returns }),
        );
    }

    /// The latest time it was told; for who has no clock.
    pub fn latest_time(&self) -> u64 {
        self.looked_at
    }

    /// The position of the first message that is in memory; for tests and listings.
    pub fn first_here(&self) -> Option<Position> {
        self.ready.front().map(|segment| Position(segment.first))
    }
}
