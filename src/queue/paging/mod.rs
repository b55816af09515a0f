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

mod fetch;
mod put_away;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::Queue;
use crate::queue::away::AwayPage;
use crate::queue::away::AwayRanges;
use crate::queue::memory::Memory;
use crate::queue::paged::Away;
use crate::queue::stream::Found;
use crate::queue::stream::Search;

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

    /// Tells the budget what the queue holds.
    pub fn account(&mut self) {
        let held = self.held_bytes();
        let paging = &mut self.paging;
        if held != paging.accounted_bytes {
            paging.memory.change(paging.accounted_bytes, held);
            paging.accounted_bytes = held;
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

    /// Stored messages that are away and were delivered before.
    pub(super) fn redelivered_away(&self) -> impl Iterator<Item = (Range<u64>, u32)> {
        let lines = self.ready.paged().map(|(_, line)| line);
        lines
            .flat_map(|line| line.away())
            .filter(|away| away.redelivered && away.spilled.is_none())
            .map(|away| (away.positions.clone(), away.returns))
    }

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

/// Positions of the stored messages of ranges that were away.
pub(super) fn stored_ranges(
    away: impl IntoIterator<Item = Away>,
) -> impl Iterator<Item = Range<u64>> {
    away.into_iter()
        .filter(|away| away.spilled.is_none())
        .map(|away| away.positions)
}
