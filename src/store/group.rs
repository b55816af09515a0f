//! What one frame of the ring will say: records gathered in memory, in which what was put and settled again has vanished.
//!
//! Records are applied strictly in the order in which they were handed over. Settles of what lies on the disk already
//! change the index at once; what is put enters it when the frame's place is known.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::ops::Range;

use crate::model::Lsn;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::draft::Draft;
use crate::store::index::Index;
use crate::store::index::Place;
use crate::store::index::QueueIndex;
use crate::store::record::Record;
use crate::store::tables::definition_key;

/// The changes of one group.
#[derive(Default)]
pub(crate) struct Group {
    /// The records up to here are in it.
    pub(crate) through: Lsn,
    /// What they cost while they waited.
    pub(crate) held_bytes: usize,
    pub(crate) record_count: usize,
    pub(crate) queues: HashMap<QueueId, Changes, foldhash::fast::FixedState>,
    /// Queues that were deleted; no more records come for them.
    pub(crate) deleted: Vec<QueueId>,
    /// By key; `None` removes.
    pub(crate) definitions: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The first frame after the store was opened, which is written even when it says nothing.
    pub(crate) opened: bool,
    /// The last record of a clean stop.
    pub(crate) clean: bool,
}

/// What happens to one queue.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Messages put and not settled, in position order.
    fresh: VecDeque<Fresh>,
    /// Positions settled that lie on the disk, joined where they touch.
    pub(crate) settled: Vec<Range<u64>>,
    /// Pages in redb of which something was settled, by their first position.
    pub(crate) touched: Vec<u64>,
}

/// Messages put in this group, at consecutive positions.
#[derive(Debug, Clone)]
struct Fresh {
    first: u64,
    run: Run,
    enqueued_at: u64,
    /// What was at the positions from here to the first was put and settled in this group.
    gap_from: u64,
}

impl Fresh {
    fn end(&self) -> u64 {
        self.first + self.run.len() as u64
    }
}

impl Group {
    /// Takes the next record.
    pub(crate) fn apply(&mut self, index: &mut Index, record: Record) {
        self.record_count += 1;
        match record {
            Record::Put {
                run,
                targets,
                enqueued_at,
            } => {
                for (queue, first) in targets {
                    let fresh = Fresh {
                        first: first.0,
                        run: run.clone(),
                        enqueued_at,
                        gap_from: first.0,
                    };
                    let changes = self.queues.entry(queue).or_default();
                    changes.put(index.entry(queue).or_default(), fresh);
                }
            }
            Record::Settle {
                queue,
                first,
                count,
            } => self.settle(index, queue, first.0..first.0.saturating_add(count)),
            Record::Purge { queue, ranges } => {
                for positions in ranges {
                    self.settle(index, queue, positions);
                }
            }
            Record::DeleteQueue { queue } => {
                index.remove(&queue);
                self.queues.remove(&queue);
                self.deleted.push(queue);
            }
            Record::Define { kind, key, value } => {
                self.definitions
                    .insert(definition_key(kind, &key), Some(value));
            }
            Record::Undefine { kind, key } => {
                self.definitions.insert(definition_key(kind, &key), None);
            }
        }
    }

    fn settle(&mut self, index: &mut Index, queue: QueueId, positions: Range<u64>) {
        // A queue that the store has never heard of has nothing to settle.
        if let Some(index) = index.get_mut(&queue) {
            let changes = self.queues.entry(queue).or_default();
            changes.settle(index, positions);
        }
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self, index: &Index) -> bool {
        self.definitions.is_empty()
            && self.deleted.is_empty()
            && !(self.clean || self.opened)
            && self.queues.iter().all(|(queue, changes)| {
                changes.fresh.is_empty()
                    && changes.settled.is_empty()
                    && index
                        .get(queue)
                        .is_none_or(|index| index.next <= index.next_stated)
            })
    }

    /// Messages of `queue` that wait to be written, among these positions.
    pub(crate) fn waiting(&self, queue: QueueId, positions: &Range<u64>) -> Vec<(u64, Run, u64)> {
        let Some(changes) = self.queues.get(&queue) else {
            return Vec::new();
        };
        let at = changes.at_or_after(positions.start);
        let overlapping = changes
            .fresh
            .range(at..)
            .take_while(|fresh| fresh.first < positions.end);
        overlapping
            .map(|fresh| {
                let shared = fresh.first.max(positions.start)..fresh.end().min(positions.end);
                let indexes =
                    (shared.start - fresh.first) as usize..(shared.end - fresh.first) as usize;
                (shared.start, fresh.run.slice(indexes), fresh.enqueued_at)
            })
            .collect()
    }
}

impl Changes {
    fn put(&mut self, index: &mut QueueIndex, fresh: Fresh) {
        let positions = fresh.first..fresh.end();
        if fresh.first < index.next {
            let at = self.at_or_after(positions.start);
            let next = self.fresh.get(at);
            let overlaps = next.is_some_and(|next| next.first < positions.end);
            assert!(
                !overlaps && !index.overlaps(&positions),
                "positions {positions:?} of a queue are put once"
            );
            self.fresh.insert(at, fresh);
        } else {
            self.fresh.push_back(fresh);
        }
        index.next = index.next.max(positions.end);
    }

    /// The first entry that ends after `position`.
    fn at_or_after(&self, position: u64) -> usize {
        // Mostly it is the first: messages are settled in the order in which they came.
        match self.fresh.front() {
            Some(front) if front.end() > position => 0,
            _ => self.fresh.partition_point(|fresh| fresh.end() <= position),
        }
    }

    fn settle(&mut self, index: &mut QueueIndex, positions: Range<u64>) {
        let mut at = positions.start;
        while at < positions.end {
            let entry = self.at_or_after(at);
            let fresh = self.fresh.get(entry).map(|fresh| fresh.first..fresh.end());
            let next_fresh = fresh.as_ref().map_or(u64::MAX, |fresh| fresh.start);
            at = match fresh {
                Some(fresh) if fresh.contains(&at) => {
                    let end = fresh.end.min(positions.end);
                    self.settle_fresh(entry, at..end);
                    end
                }
                _ => {
                    let end = positions.end.min(next_fresh);
                    self.settle_stored(index, at..end);
                    end
                }
            };
        }
    }

    /// Settles positions of one entry.
    fn settle_fresh(&mut self, entry: usize, positions: Range<u64>) {
        let fresh = &mut self.fresh[entry];
        let (first, end) = (fresh.first, fresh.end());
        if positions.start > first {
            let mut back = fresh.clone();
            fresh.run.take_back((end - positions.start) as usize);
            if positions.end < end {
                back.run.take_front((positions.end - first) as usize);
                back.first = positions.end;
                back.gap_from = positions.start;
                self.fresh.insert(entry + 1, back);
            } else {
                self.bridge(entry + 1, positions.start..end);
            }
        } else if positions.end < end {
            fresh.run.take_front((positions.end - first) as usize);
            fresh.first = positions.end;
        } else {
            let gap = fresh.gap_from..end;
            self.fresh.remove(entry);
            self.bridge(entry, gap);
        }
    }

    /// All that was at the positions of `gap` is settled: an entry that follows at once may reach over it.
    fn bridge(&mut self, entry: usize, gap: Range<u64>) {
        if let Some(next) = self.fresh.get_mut(entry)
            && next.gap_from == gap.end
        {
            next.gap_from = gap.start;
        }
    }

    /// Settles what lies on the disk among these positions.
    pub(crate) fn settle_stored(&mut self, index: &mut QueueIndex, positions: Range<u64>) {
        let mut at = positions.start;
        while at < positions.end {
            let Some(block) = index.extent_at(at) else {
                let next = index.extents.range(at..positions.end).next();
                match next {
                    Some((first, _)) => at = *first,
                    None => return,
                }
                continue;
            };
            let end = block.end.min(positions.end);
            let indexes = (at - block.start) as u32..(end - block.start) as u32;
            if let Some(extent) = index.extents.get_mut(&block.start)
                && extent.settle(indexes)
            {
                if matches!(extent.place, Place::Page(_))
                    && self.touched.last() != Some(&block.start)
                {
                    self.touched.push(block.start);
                }
                if extent.is_settled() {
                    index.extents.remove(&block.start);
                }
                match self.settled.last_mut() {
                    Some(last) if last.end == at => last.end = end,
                    _ => self.settled.push(at..end),
                }
            }
            at = end;
        }
    }

    /// Cuts what was put into blocks.
    pub(crate) fn drafts(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let mut draft = Draft::default();
        for fresh in &self.fresh {
            let mut run = fresh.run.clone();
            let mut first = fresh.first;
            let mut bridged = !draft.is_empty() && fresh.gap_from <= draft.end();
            while !run.is_empty() {
                let taken = if bridged || draft.is_empty() {
                    draft.take(first, &mut run, fresh.enqueued_at)
                } else {
                    0
                };
                first += taken as u64;
                bridged = taken > 0;
                if taken == 0 {
                    drafts.push(std::mem::take(&mut draft));
                }
            }
        }
        if !draft.is_empty() {
            drafts.push(draft);
        }
        drafts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Position;
    use crate::store::tests::run_of;

    const QUEUE: QueueId = QueueId(1);

    fn put(group: &mut Group, index: &mut Index, first: u64, count: usize) {
        let run = run_of(&vec!["x"; count]);
        group.apply(
            index,
            Record::Put {
                run,
                targets: vec![(QUEUE, Position(first))],
                enqueued_at: 1,
            },
        );
    }

    fn settle(group: &mut Group, index: &mut Index, positions: Range<u64>) {
        group.apply(
            index,
            Record::Settle {
                queue: QUEUE,
                first: Position(positions.start),
                count: positions.end - positions.start,
            },
        );
    }

    /// First position, number of positions and number of messages of each block.
    fn blocks(group: &Group) -> Vec<(u64, u32, usize)> {
        let drafts = group.queues[&QUEUE].drafts();
        drafts
            .iter()
            .map(|draft| {
                let messages = draft.runs().map(Run::len).sum();
                (draft.first(), draft.positions(), messages)
            })
            .collect()
    }

    #[test]
    fn what_is_settled_before_it_is_written_is_not_written() {
        let (mut group, mut index) = (Group::default(), Index::default());
        put(&mut group, &mut index, 1, 10);
        put(&mut group, &mut index, 11, 10);
        settle(&mut group, &mut index, 1..4);
        settle(&mut group, &mut index, 6..8);
        settle(&mut group, &mut index, 9..13);
        settle(&mut group, &mut index, 20..25);
        assert!(group.queues[&QUEUE].settled.is_empty());
        assert_eq!(blocks(&group), [(4, 16, 10)]);

        let (mut group, mut index) = (Group::default(), Index::default());
        put(&mut group, &mut index, 1, 10);
        put(&mut group, &mut index, 11, 1);
        settle(&mut group, &mut index, 1..12);
        index.get_mut(&QUEUE).expect("known").next_stated = 100;
        assert!(group.is_empty(&index));
    }

    #[test]
    fn positions_that_were_never_put_are_not_bridged() {
        let (mut group, mut index) = (Group::default(), Index::default());
        put(&mut group, &mut index, 1, 2);
        put(&mut group, &mut index, 4, 2);
        put(&mut group, &mut index, 6, 2);
        settle(&mut group, &mut index, 3..4);
        assert_eq!(blocks(&group), [(1, 2, 2), (4, 4, 4)]);
        // What comes late finds its place.
        put(&mut group, &mut index, 30, 2);
        put(&mut group, &mut index, 28, 2);
        assert_eq!(blocks(&group)[2..], [(28, 4, 4)]);
    }

    #[test]
    #[should_panic(expected = "put once")]
    fn a_position_is_put_once() {
        let (mut group, mut index) = (Group::default(), Index::default());
        put(&mut group, &mut index, 1, 2);
        put(&mut group, &mut index, 2, 1);
    }

    #[test]
    fn what_waits_can_be_read() {
        let (mut group, mut index) = (Group::default(), Index::default());
        put(&mut group, &mut index, 1, 5);
        put(&mut group, &mut index, 9, 5);
        let found = group.waiting(QUEUE, &(3..11));
        let found: Vec<_> = found.iter().map(|(at, run, _)| (*at, run.len())).collect();
        assert_eq!(found, [(3, 3), (9, 2)]);
        assert!(group.waiting(QueueId(2), &(1..5)).is_empty());
    }
}
