//! What is away comes back: ahead of consumers by the thread that reads, at once for who cannot wait.

use std::collections::HashMap;

use crate::model::Run;
use crate::queue::Queue;
use crate::queue::away::AwayPage;
use crate::queue::away::AwayRanges;
use crate::queue::away::PAGE_IN_NOW_BYTES;
use crate::queue::paged::Away;
use crate::queue::paging::Done;
use crate::queue::paging::Fetched;
use crate::queue::paging::Reading;
use crate::queue::paging::Wanted;
use crate::queue::ready::Level;
use crate::queue::ready::NextAway;
use crate::queue::ready::Segment;
use crate::queue::ready::held_bytes;
use crate::store::Record;

/// While fewer bytes than this are in memory before what is away, more is fetched.
const AHEAD_BYTES: u64 = 512 * 1024;

/// So much is fetched at once, at most.
const PAGE_IN_BYTES: u64 = 1024 * 1024;

/// So many ranges are fetched at once, at most.
const RANGES_MAX: usize = 1024;

impl Queue {
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
    pub(in crate::queue) fn judge_away(&mut self, now: u64) {
        self.paging.may_have_expired |= self.may_have_expired_away(now);
    }

    /// Whether somebody waits for what is foremost and away who cannot wait for the thread that reads.
    pub(in crate::queue) fn cannot_wait(&self, otherwise: bool) -> bool {
        self.ready.front_is_away() && (self.paging.eager || otherwise)
    }

    pub(in crate::queue) fn may_have_expired_away(&self, now: u64) -> bool {
        self.ready.front_is_away() && self.away_deadline().is_some_and(|at| at <= now)
    }

    /// When what is foremost and away may expire.
    pub(in crate::queue) fn away_deadline(&self) -> Option<u64> {
        if self.paging.fetching || self.paging.broken || !self.ready.front_is_away() {
            return None;
        }
        self.ready.next_away()?.line.first_away()?.expires_from
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
    pub(in crate::queue) fn page_in_now(&mut self) {
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

    /// Stored messages at these positions, which ascend; those that cannot be read are missing. `None` when nothing can
    /// be read any more.
    pub(in crate::queue) fn read_stored(&mut self, positions: &[u64]) -> Option<HashMap<u64, Run>> {
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
}
