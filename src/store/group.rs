//! One group commit: what many records come to, gathered in memory, then written in key order in one transaction.
//!
//! A message that is put and settled in the same group leaves no trace in the file but the use of its position.
//! Definitions coalesce to their last value. Records are applied strictly in the order in which they were handed over.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;

use redb::ReadableTable;
use redb::Table;
use redb::WriteTransaction;

use crate::model::MessageRef;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::blob;
use crate::store::blob::STRETCH_BYTES;
use crate::store::blob::Stretch;
use crate::store::index::Extent;
use crate::store::index::Index;
use crate::store::index::QueueIndex;
use crate::store::record::Record;
use crate::store::tables::BLOBS;
use crate::store::tables::DEFINITIONS;
use crate::store::tables::EXTENTS;
use crate::store::tables::POSITIONS_RESERVED;
use crate::store::tables::PlaceKey;
use crate::store::tables::QUEUES;
use crate::store::tables::definition_key;
use crate::store::tables::extent_row;
use crate::store::tables::place_key;
use crate::store::tables::queue_keys;

/// The changes of one group.
#[derive(Default)]
pub(crate) struct Group {
    queues: BTreeMap<QueueId, QueueChanges>,
    /// By key in the file; `None` removes.
    definitions: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// Messages put in this group, at consecutive positions.
struct Fresh {
    run: Run,
    enqueued_at: u64,
}

impl Fresh {
    fn len(&self) -> u64 {
        self.run.len() as u64
    }

    /// The same with other messages.
    fn of(&self, run: Run) -> Self {
        Self {
            run,
            enqueued_at: self.enqueued_at,
        }
    }
}

/// What happens to one queue.
#[derive(Default)]
struct QueueChanges {
    /// The queue was deleted; everything below happened after.
    deleted: bool,
    /// Messages put and not settled, by the position of the first.
    fresh: BTreeMap<u64, Fresh>,
    /// Blobs in the file that are partly settled now.
    touched: BTreeSet<u64>,
    /// Blobs in the file that have nothing left.
    emptied: BTreeSet<u64>,
}

impl Group {
    /// Takes the next record.
    pub(crate) fn apply(&mut self, index: &mut Index, record: Record) {
        match record {
            Record::Put {
                run,
                targets,
                enqueued_at,
            } => {
                for (queue, first) in targets {
                    let changes = self.queues.entry(queue).or_default();
                    let fresh = Fresh {
                        run: run.clone(),
                        enqueued_at,
                    };
                    put(index.entry(queue).or_default(), changes, first.0, &fresh);
                }
            }
            Record::Settle {
                queue,
                first,
                count,
            } => {
                let positions = first.0..first.0.saturating_add(count);
                let changes = self.queues.entry(queue).or_default();
                settle(index.entry(queue).or_default(), changes, positions);
            }
            Record::Purge { queue, ranges } => {
                let changes = self.queues.entry(queue).or_default();
                let index = index.entry(queue).or_default();
                for positions in ranges {
                    settle(index, changes, positions);
                }
            }
            Record::DeleteQueue { queue } => {
                index.remove(&queue);
                let deleted = QueueChanges {
                    deleted: true,
                    ..QueueChanges::default()
                };
                self.queues.insert(queue, deleted);
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

    /// Whether the file is right already.
    pub(crate) fn is_empty(&self, index: &Index) -> bool {
        self.definitions.is_empty()
            && self.queues.iter().all(|(queue, changes)| {
                !changes.deleted
                    && changes.fresh.is_empty()
                    && changes.touched.is_empty()
                    && changes.emptied.is_empty()
                    && index.get(queue).is_none_or(|index| !index.needs_row())
            })
    }

    /// Writes everything; the index is equal to the file when `transaction` is committed.
    pub(crate) fn write(
        self,
        index: &mut Index,
        transaction: &WriteTransaction,
    ) -> Result<(), redb::Error> {
        let mut tables = Tables {
            blobs: transaction.open_table(BLOBS)?,
            extents: transaction.open_table(EXTENTS)?,
            queues: transaction.open_table(QUEUES)?,
        };
        for (queue, changes) in self.queues {
            tables.write(queue, changes, index)?;
        }
        if !self.definitions.is_empty() {
            let mut definitions = transaction.open_table(DEFINITIONS)?;
            for (key, value) in self.definitions {
                match value {
                    Some(value) => definitions.insert(&key[..], &value[..])?,
                    None => definitions.remove(&key[..])?,
                };
            }
        }
        Ok(())
    }
}

fn put(index: &mut QueueIndex, changes: &mut QueueChanges, first: u64, fresh: &Fresh) {
    let positions = first..first + fresh.len();
    if first < index.next {
        let overlaps_fresh = changes
            .fresh
            .range(..positions.end)
            .next_back()
            .is_some_and(|(at, fresh)| at + fresh.len() > first);
        assert!(
            !overlaps_fresh && !index.overlaps(&positions),
            "positions {positions:?} of a queue are put once"
        );
    }
    index.next = index.next.max(positions.end);
    for open in index.not_settled_early(positions) {
        let indexes = (open.start - first) as usize..(open.end - first) as usize;
        let run = fresh.run.slice(indexes);
        changes.fresh.insert(open.start, fresh.of(run));
    }
}

fn settle(index: &mut QueueIndex, changes: &mut QueueChanges, positions: Range<u64>) {
    let mut at = positions.start;
    while at < positions.end {
        at = if let Some(end) = changes.settle_fresh(at..positions.end) {
            end
        } else if let Some(extent) = index.extent_at(at) {
            let end = extent.end.min(positions.end);
            changes.settle_stored(index, extent.start, at..end);
            end
        } else {
            let next_fresh = changes.fresh.range(at..).next().map(|(first, _)| *first);
            let next_stored = index.extents.range(at..).next().map(|(first, _)| *first);
            let next = [next_fresh, next_stored].into_iter().flatten().min();
            let end = next.unwrap_or(u64::MAX).min(positions.end);
            index.settle_early(at..end);
            end
        };
    }
}

impl QueueChanges {
    /// Settles messages of this group from the start of `positions`; returns the position after them, `None` when the
    /// first is not of this group.
    fn settle_fresh(&mut self, positions: Range<u64>) -> Option<u64> {
        let (&first, fresh) = self.fresh.range(..=positions.start).next_back()?;
        let run_end = first + fresh.len();
        if positions.start >= run_end {
            return None;
        }
        let end = run_end.min(positions.end);
        let mut fresh = self.fresh.remove(&first)?;
        let back = fresh.run.take_back((run_end - end) as usize);
        if !back.is_empty() {
            self.fresh.insert(end, fresh.of(back));
        }
        let front = fresh.run.take_front((positions.start - first) as usize);
        if !front.is_empty() {
            self.fresh.insert(first, fresh.of(front));
        }
        Some(end)
    }

    /// Settles messages of the blob at `first`.
    fn settle_stored(&mut self, index: &mut QueueIndex, first: u64, positions: Range<u64>) {
        let Some(extent) = index.extents.get_mut(&first) else {
            return;
        };
        let indexes = (positions.start - first) as u32..(positions.end - first) as u32;
        if !extent.settle(indexes) {
            return;
        }
        if extent.is_settled() {
            index.extents.remove(&first);
            self.touched.remove(&first);
            self.emptied.insert(first);
        } else {
            self.touched.insert(first);
        }
    }
}

struct Tables<'t> {
    blobs: Table<'t, &'static PlaceKey, &'static [u8]>,
    extents: Table<'t, &'static PlaceKey, &'static [u8]>,
    queues: Table<'t, &'static [u8; 8], u64>,
}

impl Tables<'_> {
    fn write(
        &mut self,
        queue: QueueId,
        changes: QueueChanges,
        index: &mut Index,
    ) -> Result<(), redb::Error> {
        if changes.deleted {
            self.delete(queue)?;
        }
        let Some(index) = index.get_mut(&queue) else {
            return Ok(());
        };
        for first in changes.emptied {
            let key = place_key(queue, first);
            self.blobs.remove(&key)?;
            self.extents.remove(&key)?;
        }
        for first in changes.touched {
            if let Some(extent) = index.extents.get(&first) {
                let key = place_key(queue, first);
                let row = extent_row(&key, extent.count(), extent.bits());
                self.extents.insert(&key, &row[..])?;
            }
        }
        for blob in blobs_of(&changes.fresh) {
            let key = place_key(queue, blob.first);
            let count = blob.messages.len() as u32;
            let mut row = self.blobs.insert_reserve(&key, blob.bytes)?;
            blob::encode(&key, &blob.messages, &blob.times, row.as_mut());
            drop(row);
            self.extents
                .insert(&key, &extent_row(&key, count, &[])[..])?;
            index.extents.insert(blob.first, Extent::new(count, &[]));
        }
        if index.needs_row() {
            index.next_stored = index.next.saturating_add(POSITIONS_RESERVED);
            self.queues
                .insert(&queue.0.to_be_bytes(), index.next_stored)?;
        }
        Ok(())
    }

    /// By range and not by what the index knows, so that damaged rows go too.
    fn delete(&mut self, queue: QueueId) -> Result<(), redb::Error> {
        let [first, last] = queue_keys(queue);
        for table in [&mut self.blobs, &mut self.extents] {
            if table.range::<&PlaceKey>(&first..=&last)?.next().is_some() {
                table.retain_in::<&PlaceKey, _>(&first..=&last, |_, _| false)?;
            }
        }
        self.queues.remove(&queue.0.to_be_bytes())?;
        Ok(())
    }
}

/// Messages that go into one blob.
struct NewBlob<'a> {
    first: u64,
    messages: Vec<MessageRef<'a>>,
    times: Vec<Stretch>,
    bytes: usize,
}

impl NewBlob<'_> {
    /// By how much one more message makes it grow.
    fn added_bytes(&self, message: MessageRef<'_>, at: u64) -> usize {
        let same_time = self.times.last().is_some_and(|last| last.at == at);
        blob::message_bytes(message) + if same_time { 0 } else { STRETCH_BYTES }
    }
}

/// Cuts runs into blobs: positions in a blob are consecutive, and several messages share one only while they fit.
fn blobs_of(fresh: &BTreeMap<u64, Fresh>) -> impl Iterator<Item = NewBlob<'_>> {
    let messages = fresh.iter().flat_map(|(first, fresh)| {
        let messages = (*first..).zip(fresh.run.iter());
        messages.map(|(position, message)| (position, message, fresh.enqueued_at))
    });
    let mut messages = messages.peekable();
    std::iter::from_fn(move || {
        let (first, message, at) = messages.next()?;
        let mut blob = NewBlob {
            first,
            bytes: blob::blob_bytes(blob::message_bytes(message), 1),
            messages: vec![message],
            times: vec![Stretch::new(at)],
        };
        while let Some((_, message, at)) = messages.next_if(|(position, message, at)| {
            *position == first + blob.messages.len() as u64
                && blob.bytes + blob.added_bytes(*message, *at) <= blob::BLOB_BYTES_MAX
        }) {
            blob.bytes += blob.added_bytes(message, at);
            blob.messages.push(message);
            match blob.times.last_mut() {
                Some(last) if last.at == at => last.messages += 1,
                _ => blob.times.push(Stretch::new(at)),
            }
        }
        Some(blob)
    })
}
