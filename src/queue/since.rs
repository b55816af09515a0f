//! Where messages begin that came at a time or later, among those that the store has.

use std::ops::Range;

use crate::model::QueueId;
use crate::queue::Pager;

/// The first of these positions whose message came at `time` or later, by bisection; their end when there is none. What does
/// not tell when it came, came before. `None` when the disk cannot be read. Blocks on it.
pub(super) fn first_since(
    pager: &dyn Pager,
    queue: QueueId,
    positions: Range<u64>,
    time: u64,
) -> Option<u64> {
    let Range { mut start, mut end } = positions;
    while start < end {
        let middle = start + (end - start) / 2;
        let page = pager.read(queue, middle..end, 1)?;
        match page.runs.first() {
            Some((first, run, came)) if came.unwrap_or(0) < time => {
                start = (first + run.len() as u64).max(middle + 1);
            }
            // Without one, all from there on is lost.
            Some(_) | None => end = middle,
        }
    }
    Some(start)
}
