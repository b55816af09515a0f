//! Reads messages that are away: neighbouring ranges of one line of a queue. Without the queue, and without its lock.

use std::ops::Range;
use std::sync::Arc;

use crate::model::QueueId;
use crate::model::Run;
use crate::queue::paging::Page;
use crate::queue::paging::Pager;
use crate::queue::paging::Spilled;
use crate::queue::ready::Level;
use crate::queue::ready::held_bytes;

/// For what is fetched at most so many times as much is read.
const IN_VAIN_MAX: u64 = 4;

/// So much is fetched when somebody waits for it.
pub(super) const PAGE_IN_NOW_BYTES: u64 = 64 * 1024;

/// Neighbouring ranges of one line, at least one.
pub(super) struct AwayRanges {
    pub(super) queue: QueueId,
    pub(super) level: Level,
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) bytes_max: u64,
    /// Where the one range is if not in the store.
    pub(super) spilled: Option<Arc<dyn Spilled>>,
}

/// What was read of them.
pub(super) struct AwayPage {
    pub(super) level: Level,
    pub(super) ranges: Vec<Range<u64>>,
    /// `None` when it could not be read.
    pub(super) page: Option<Page>,
    /// The times in the page are those at which messages expire.
    pub(super) expiries: bool,
}

impl AwayRanges {
    pub(super) fn fetch(self, pager: &dyn Pager) -> AwayPage {
        let page = match &self.spilled {
            Some(spilled) => spilled.read().map(|runs| Page {
                runs: runs
                    .into_iter()
                    .flat_map(|(at, run, time)| inside(&self.ranges, at, run, time))
                    .collect(),
                until: self.end(),
            }),
            None => self.read(pager),
        };
        AwayPage {
            level: self.level,
            ranges: self.ranges,
            page,
            expiries: self.spilled.is_some(),
        }
    }

    fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |last| last.end)
    }

    /// Between the ranges are messages that are not wanted, those of other priorities. What is read of them for nothing is
    /// bounded.
    pub(super) fn read(&self, pager: &dyn Pager) -> Option<Page> {
        let mut found = Page::default();
        let at_once = match self.ranges.len() {
            1 => self.bytes_max,
            _ => self.bytes_max.min(PAGE_IN_NOW_BYTES),
        };
        let (mut bytes, mut read_bytes) = (0, 0);
        for range in &self.ranges {
            let mut at = range.start.max(found.until);
            while at < range.end {
                if bytes >= self.bytes_max || read_bytes >= IN_VAIN_MAX * self.bytes_max {
                    return Some(found);
                }
                let page = pager.read(self.queue, at..self.end(), at_once)?;
                for (first, run, time) in page.runs {
                    read_bytes += held_bytes(&run);
                    let wanted = inside(&self.ranges, first, run, time);
                    bytes += wanted
                        .iter()
                        .map(|(_, run, _)| held_bytes(run))
                        .sum::<u64>();
                    found.runs.extend(wanted);
                }
                found.until = page.until.max(at + 1);
                at = found.until;
            }
        }
        found.until = self.end();
        Some(found)
    }
}

/// What of a run is in these ranges.
fn inside(
    ranges: &[Range<u64>],
    first: u64,
    run: Run,
    time: Option<u64>,
) -> Vec<(u64, Run, Option<u64>)> {
    let end = first + run.len() as u64;
    let from = ranges.partition_point(|range| range.end <= first);
    let pieces = ranges[from..].iter().take_while(|range| range.start < end);
    pieces
        .map(|range| {
            let (start, stop) = (range.start.max(first), range.end.min(end));
            let indexes = (start - first) as usize..(stop - first) as usize;
            (start, run.slice(indexes), time)
        })
        .collect()
}
