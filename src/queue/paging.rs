//! Bounded memory: a queue that holds more than its share of the node's memory puts its middle away and fetches it again
//! before consumers reach it.
//!
//! Stored messages are put away by forgetting them; others are handed to the [`Pager`]. Reading happens on another
//! thread: the owner asks [`Queue::wanted_page`], reads without the queue's lock, and hands over what it found with
//! [`Queue::page_in`]. Only `basic.get`, and a queue that must drop from its head, wait for the disk themselves.
//!
//! Queues with priorities or deduplication, and delayed exchanges, keep everything in memory.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::Queue;
use crate::queue::paged::Away;
use crate::queue::ready::Segment;
use crate::queue::ready::held_bytes;
use crate::queue::stream::Found;
use crate::queue::stream::Search;
use crate::store::Record;

/// A queue may always hold so much.
const SHARE_BYTES_MIN: u64 = 16 * 1024;

/// While fewer bytes than this are in memory before what is away, more is fetched.
const AHEAD_BYTES: u64 = 512 * 1024;

/// So much is fetched at once, at most.
const PAGE_IN_BYTES: u64 = 1024 * 1024;

/// So much is fetched when somebody waits for it.
const PAGE_IN_NOW_BYTES: u64 = 64 * 1024;

/// What the messages of all queues may hold of the node's memory.
#[derive(Debug)]
pub struct Memory {
    held_bytes: AtomicU64,
    bytes_max: u64,
}

impl Memory {
    /// A budget of so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self {
            held_bytes: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// What all queues hold.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// What one queue may hold: as much as is free, so that one queue gets half of all, two a third each, and there is
    /// always room for another.
    fn share(&self) -> u64 {
        let free = self.bytes_max.saturating_sub(self.held_bytes());
        free.max(SHARE_BYTES_MIN.min(self.bytes_max))
    }

    fn change(&self, from: u64, to: u64) {
        if to >= from {
            self.held_bytes.fetch_add(to - from, Ordering::Relaxed);
        } else {
            self.held_bytes.fetch_sub(from - to, Ordering::Relaxed);
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

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
    Away(AwayRange),
    Stream(Search),
}

struct AwayRange {
    queue: QueueId,
    positions: Range<u64>,
    bytes_max: u64,
    spilled: Option<Arc<dyn Spilled>>,
}

/// What was read.
pub struct Fetched(Done);

enum Done {
    Away(AwayPage),
    Stream(Found),
}

struct AwayPage {
    first: u64,
    /// `None` when it could not be read.
    page: Option<Page>,
    /// The times in the page are those at which messages expire.
    expiries: bool,
}

impl Wanted {
    /// Reads it; blocks on the disk.
    pub fn fetch(self, pager: &dyn Pager) -> Fetched {
        Fetched(match self.0 {
            Reading::Away(range) => Done::Away(range.fetch(pager)),
            Reading::Stream(search) => Done::Stream(search.fetch(pager)),
        })
    }
}

impl AwayRange {
    fn fetch(self, pager: &dyn Pager) -> AwayPage {
        let first = self.positions.start;
        let expiries = self.spilled.is_some();
        let page = match self.spilled {
            // A cut range asks for the rest only.
            Some(spilled) => spilled.read().map(|runs| Page {
                runs: runs
                    .into_iter()
                    .filter_map(|(at, run, time)| {
                        after(first, at, run).map(|(at, run)| (at, run, time))
                    })
                    .collect(),
                until: self.positions.end,
            }),
            None => pager.read(self.queue, self.positions, self.bytes_max),
        };
        AwayPage {
            first,
            page,
            expiries,
        }
    }
}

/// What of a run is not before `first`.
fn after(first: u64, at: u64, mut run: Run) -> Option<(u64, Run)> {
    let skipped = first.saturating_sub(at).min(run.len() as u64);
    run.take_front(skipped as usize);
    (!run.is_empty()).then_some((at + skipped, run))
}

impl Paging {
    /// See [`Memory::share`].
    pub(super) fn share(&self) -> u64 {
        self.memory.share()
    }

    pub(super) fn pager(&self) -> Option<Arc<dyn Pager>> {
        self.pager.clone()
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
            && self.ready.paged().is_some()
    }

    /// Puts away what is more than its share. To be called when messages came, once the store has heard of them; costs little
    /// when there is nothing to do.
    pub fn relieve(&mut self) {
        if self.stream.is_some() {
            return self.relieve_stream();
        }
        self.account();
        let held = self.ready.held_bytes();
        let share = self.paging.memory.share();
        if held > share && self.holds == 0 && self.can_page() {
            self.put_away(share / 2);
            self.account();
        }
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

    /// What its messages in memory take there.
    pub(super) fn held_bytes(&self) -> u64 {
        let stream = self.stream.as_ref();
        self.ready.held_bytes() + stream.map_or(0, |stream| stream.held_bytes())
    }

    fn put_away(&mut self, head_bytes: u64) {
        // What is being fetched would no longer follow the head.
        let head_too = !self.paging.fetching;
        let Some(line) = self.ready.paged_mut() else {
            return;
        };
        let (head, tail) = line.surplus(head_bytes, head_too);
        self.paging.head_is_full |= !head.is_empty();
        let (mut moved, mut moved_head) = (0, 0);
        let (tail, tail_stays) = self.all_away(tail, &mut moved);
        let (head_away, head_stays) = self.all_away(head.clone(), &mut moved_head);
        if let Some(line) = self.ready.paged_mut() {
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
        let Some(line) = self.ready.paged_mut() else {
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
        let wanted = self.first_away(PAGE_IN_BYTES.min(share / 2).max(PAGE_IN_NOW_BYTES))?;
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
        let Some(line) = self.ready.paged() else {
            return false;
        };
        if line.first_away().is_none() {
            return false;
        }
        // It may have to go by itself, or somebody waits for it.
        if self.paging.may_have_expired && self.ready.front_is_away() || self.consumers.has_next() {
            return true;
        }
        if self.consumers.len() > 0 && !self.paging.head_is_full {
            let ahead = AHEAD_BYTES.min(self.paging.memory.share() / 4);
            return line.head_bytes() < ahead;
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

    fn first_away(&self, bytes_max: u64) -> Option<AwayRange> {
        let away = self.ready.paged()?.first_away()?;
        Some(AwayRange {
            queue: self.id,
            positions: away.positions.clone(),
            bytes_max,
            spilled: away.spilled.clone(),
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
        let first_away = self.ready.paged().and_then(|line| line.first_away());
        // It was purged, or somebody who could not wait has read it.
        if first_away.is_none_or(|away| away.positions.start != fetched.first) {
            return;
        }
        let until = page.until;
        let taken = self
            .ready
            .paged_mut()
            .and_then(|line| line.take_away(until));
        let Some((away, whole)) = taken else {
            return;
        };
        let (mut held, mut count, mut bodies) = (0, 0, 0);
        for (first, run, time) in page.runs {
            held += held_bytes(&run);
            count += run.len() as u64;
            bodies += run.body_bytes();
            let segments: Vec<Segment> = if fetched.expiries {
                vec![Segment {
                    first,
                    run,
                    redelivered: false,
                    returns: 0,
                    expires_at: time,
                    behind: 0,
                }]
            } else {
                self.segments(first, run, time.unwrap_or(self.looked_at))
                    .collect()
            };
            if let Some(line) = self.ready.paged_mut() {
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
        if let Some(line) = self.ready.paged_mut() {
            if !whole {
                line.reduce_away(bodies);
            }
            line.fetched();
        }
        self.ready
            .moved(held as i64, -(lost as i64), -(lost_bytes as i64));
        self.account();
    }

    /// Reads the foremost messages at once when they are away. For who cannot wait.
    pub(super) fn page_in_now(&mut self) {
        while self.ready.front_is_away() && !self.paging.broken {
            let (Some(wanted), Some(pager)) = (
                self.first_away(PAGE_IN_NOW_BYTES),
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
            expires_from: expires.then_some(0),
            spilled: None,
            positions,
        };
        self.ready
            .moved(0, away.len() as i64, away.body_bytes as i64);
        if let Some(line) = self.ready.paged_mut() {
            line.append_away(away);
        }
    }

    /// Messages were restored. Behind what is away they go away too, so that the order stays.
    pub(super) fn relieve_restored(&mut self) {
        let behind = self.ready.paged().and_then(|line| line.first_away());
        if behind.is_some() {
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
        self.ready.paged()?.first_away()?.expires_from
    }

    /// Stored messages that are away and were delivered before.
    pub(super) fn redelivered_away(&self) -> impl Iterator<Item = (Range<u64>, u32)> {
        let line = self.ready.paged().into_iter();
        line.flat_map(|line| line.away())
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
