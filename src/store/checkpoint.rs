//! The thread that keeps house: it makes the ring's segments, and brings what is still alive in the oldest to redb, so
//! that the segment can be used again.
//!
//! A checkpoint sees the state as of one moment, writes it to redb in one sorted transaction, and commits when everything
//! that it has seen is durable in the ring: what redb says never is ahead of that. Settles that come meanwhile are in
//! later segments and reach redb with those.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::ops::Range;

use redb::Database;
use redb::Durability;
use redb::ReadTransaction;
use redb::ReadableDatabase;
use redb::WriteTransaction;

use crate::model::Lsn;
use crate::model::QueueId;
use crate::store::StoreError;
use crate::store::core::Core;
use crate::store::index::Extent;
use crate::store::migrate::extent_row;
use crate::store::migrate::write;
use crate::store::pages::NewPage;
use crate::store::ring::Need;
use crate::store::shared::Shared;
use crate::store::tables::PlaceKey;
use crate::store::tables::place_key;
#[cfg(test)]
use crate::store::tests::mutation::Mutation;

/// How far the snapshot is that a backup wants. See [`Core::frame_was_sealed`].
#[derive(Default)]
pub(crate) enum Snapshot {
    /// Nobody wants one.
    #[default]
    None,
    /// Somebody does.
    Wanted,
    /// The state is seen as soon as the frame is sealed that is being gathered.
    AfterFrame,
    /// It was seen; `None` when redb has all of it already.
    Seen(Option<Box<Plan>>),
    /// redb said nothing else than what was seen when this began to read.
    Taken(Box<Result<ReadTransaction, redb::Error>>),
}

/// What the thread does next.
enum Chore {
    Ring(Need),
    Snapshot,
}

/// Runs until the store has ended.
pub(crate) fn run(shared: &Shared) -> Result<(), StoreError> {
    while let Some(chore) = next_chore(shared) {
        let need = match chore {
            Chore::Ring(need) => need,
            Chore::Snapshot => {
                if !snapshot(shared)? {
                    return Ok(());
                }
                continue;
            }
        };
        match need {
            Need::Segment(bytes) => {
                let name = shared.core.lock().ring.new_name();
                let segment = shared.make_segment(name, bytes).map_err(StoreError::ring)?;
                let mut core = shared.core.lock();
                core.ring.add(segment);
                shared.room.notify_all();
            }
            Need::Checkpoint(through) => {
                if !checkpoint(shared, through)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Waits for something to do; `None` when the store ends.
fn next_chore(shared: &Shared) -> Option<Chore> {
    let mut core = shared.core.lock();
    loop {
        if core.ended || shared.inbox.failure().is_some() {
            return None;
        }
        // First, else it would never come while much is published.
        if matches!(core.snapshot, Snapshot::Wanted) {
            return Some(Chore::Snapshot);
        }
        if let Some(need) = core.need() {
            return Some(Chore::Ring(need));
        }
        shared.chores.wait(&mut core);
    }
}

impl Core {
    fn need(&self) -> Option<Need> {
        if let Some(through) = self.forced {
            return Some(Need::Checkpoint(through));
        }
        match self.wanted_bytes {
            Some(bytes) => self.ring.need_for(bytes),
            None => self.ring.need(),
        }
    }
}

/// What a checkpoint has to write.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(super) through: u64,
    /// What it has seen becomes durable with this.
    pub(super) seen: Lsn,
    /// Blocks of the ring that have something left, by place.
    pub(super) blocks: BTreeMap<(QueueId, u64), Extent>,
    /// Rows of pages of which something was settled; `None` where nothing is left.
    pub(super) touched: Vec<(PlaceKey, Option<Vec<u8>>)>,
    pub(super) deleted: Vec<QueueId>,
    /// Positions below may have been used.
    pub(super) nexts: BTreeMap<QueueId, u64>,
    pub(super) definitions: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[cfg(test)]
impl Plan {
    /// With something left out, when that is to be done wrong.
    pub(super) fn mutated(&self, shared: &Shared) -> Plan {
        let mut plan = self.clone();
        match shared.mutation {
            Some(Mutation::DropTouched) => plan.touched.clear(),
            Some(Mutation::DropDeleted) => plan.deleted.clear(),
            Some(Mutation::DropDefinitions) => plan.definitions.clear(),
            Some(Mutation::DropNexts) => plan.nexts.clear(),
            _ => {}
        }
        plan
    }
}

/// Brings everything in segments up to `through` to redb. `false` when the store failed meanwhile.
fn checkpoint(shared: &Shared, through: u64) -> Result<bool, StoreError> {
    let plan = {
        let mut core = shared.core.lock();
        core.absorb(&shared.inbox);
        let plan = core.plan(through);
        core.awaited = Some(plan.seen);
        // Who waits for room need not wait for this.
        shared.room.notify_all();
        plan
    };
    if !wait_until_written(shared, &plan) {
        return Ok(false);
    }
    carry_out(shared, &plan)
}

/// Brings to redb what a backup is to have, all of it and nothing else, and begins to read it there. `false` when the
/// store ended or failed meanwhile.
fn snapshot(shared: &Shared) -> Result<bool, StoreError> {
    let Some(seen) = see_between_frames(shared) else {
        return Ok(false);
    };
    if let Some(plan) = seen {
        // The last frames are among what is read for it: they must have been written.
        if !shared.wait_durable(plan.seen) || !carry_out(shared, &plan)? {
            return Ok(false);
        }
    }
    // Nobody but this thread writes to redb.
    let read = shared.database()?.begin_read().map_err(redb::Error::from);
    {
        let mut core = shared.core.lock();
        core.awaited = None;
        core.snapshot = Snapshot::Taken(Box::new(read));
    }
    shared.written.notify_all();
    Ok(true)
}

/// The state between two frames; `None` when the store ended or failed.
///
/// An ordinary checkpoint may see half of what is being gathered for the next frame: what it settles, and not what it
/// puts. That does no harm where the ring with that frame is read as well; a backup has no ring.
fn see_between_frames(shared: &Shared) -> Option<Option<Box<Plan>>> {
    let mut core = shared.core.lock();
    core.absorb(&shared.inbox);
    if core.open.is_empty(&core.index) {
        core.snapshot = Snapshot::None;
        return Some(core.see_all());
    }
    core.snapshot = Snapshot::AfterFrame;
    // The frame must find room, and this thread makes none before it was sealed.
    core.awaited = Some(core.open.through);
    shared.room.notify_all();
    loop {
        if core.ended || shared.inbox.failure().is_some() {
            return None;
        }
        match std::mem::take(&mut core.snapshot) {
            Snapshot::Seen(plan) => return Some(plan),
            other @ (Snapshot::None
            | Snapshot::Wanted
            | Snapshot::AfterFrame
            | Snapshot::Taken(_)) => core.snapshot = other,
        }
        shared.chores.wait(&mut core);
    }
}

impl Core {
    /// Nothing waits any more that is not in a frame: the moment to see the state, if that is wanted. Answers whether
    /// it was.
    pub(crate) fn frame_was_sealed(&mut self) -> bool {
        let wanted = matches!(self.snapshot, Snapshot::AfterFrame);
        if wanted {
            self.snapshot = Snapshot::Seen(self.see_all());
        }
        wanted
    }

    /// Everything in the ring, and nothing that comes later: that goes to segments which the plan leaves alone. `None`
    /// when the ring has nothing.
    fn see_all(&mut self) -> Option<Box<Plan>> {
        let through = self.ring.turn()?;
        let plan = self.plan(through);
        self.awaited = Some(plan.seen);
        Some(Box::new(plan))
    }
}

/// Writes what the plan says, and lets go of the segments that it covers. `false` when the store failed meanwhile.
fn carry_out(shared: &Shared, plan: &Plan) -> Result<bool, StoreError> {
    let through = plan.through;
    let database = shared.database()?;
    let failed = |error: redb::Error| StoreError::Checkpoint {
        source: Box::new(error),
    };
    let transaction = begin(&database).map_err(failed)?;
    let pages = write(shared, plan, &transaction)?;
    #[cfg(test)]
    if shared.does_wrong(Mutation::AheadOfRing) {
        shared.core.lock().awaited = None;
        transaction.commit().map_err(|error| failed(error.into()))?;
        let mut core = shared.core.lock();
        let stale = core.finish(plan, pages);
        core.note_stale(through, stale);
        core.forced = core.forced.filter(|forced| *forced > through);
        core.ring.release(through);
        shared.room.notify_all();
        shared.written.notify_all();
        return Ok(true);
    }
    let durable = shared.wait_durable(plan.seen);
    shared.core.lock().awaited = None;
    if !durable {
        return Ok(false);
    }
    #[cfg(test)]
    if shared.does_wrong(Mutation::RecycleBeforeCommit) {
        let mut core = shared.core.lock();
        core.ring.release(through);
        shared.room.notify_all();
        // So that the segment is written over before the commit.
        let written = core.written;
        let moment = std::time::Duration::from_millis(3);
        shared
            .written
            .wait_while_for(&mut core, |core| core.written == written, moment);
    }
    transaction.commit().map_err(|error| failed(error.into()))?;
    let surplus = {
        let mut core = shared.core.lock();
        let stale = core.finish(plan, pages);
        #[cfg(test)]
        let stale = if shared.does_wrong(Mutation::ForgetStale) {
            Vec::new()
        } else {
            stale
        };
        core.note_stale(through, stale);
        core.checkpoints += 1;
        if core.forced.is_some_and(|forced| forced <= through) {
            core.forced = None;
        }
        shared.room.notify_all();
        shared.written.notify_all();
        core.ring.release(through)
    };
    for segment in surplus {
        shared
            .disk
            .remove(&segment.name)
            .map_err(StoreError::ring)?;
    }
    Ok(true)
}

/// Waits until the blocks of the plan can be read: a frame may have got its place and be written only now. `false` when
/// the store has failed.
fn wait_until_written(shared: &Shared, plan: &Plan) -> bool {
    #[cfg(test)]
    if shared.does_wrong(Mutation::ReadUnwritten) {
        return true;
    }
    let mut core = shared.core.lock();
    while !plan.blocks.values().all(|extent| core.is_written(extent)) {
        if shared.inbox.failure().is_some() {
            return false;
        }
        shared.written.wait(&mut core);
    }
    true
}

/// A transaction whose commit returns when it is on disk, and after which a crash needs no repair.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

impl Core {
    fn plan(&self, through: u64) -> Plan {
        let mut plan = Plan {
            through,
            seen: self.sealed_through.max(self.open.through),
            blocks: BTreeMap::new(),
            touched: Vec::new(),
            deleted: Vec::new(),
            nexts: BTreeMap::new(),
            definitions: Vec::new(),
        };
        let mut lowest: BTreeMap<QueueId, u64> = BTreeMap::new();
        let mut touched = BTreeSet::new();
        for dirt in self.dirt.range(..=through).map(|(_, dirt)| dirt) {
            for (queue, first) in &dirt.lowest {
                let lowest = lowest.entry(*queue).or_insert(*first);
                *lowest = (*lowest).min(*first);
            }
            touched.extend(dirt.touched.iter().copied());
            plan.deleted.extend(&dirt.deleted);
        }
        for (queue, first) in lowest {
            let Some(index) = self.index.get(&queue) else {
                continue;
            };
            plan.nexts.insert(queue, index.next_stated);
            for (first, extent) in index.extents.range(first..) {
                if extent.is_in_ring(through) {
                    plan.blocks.insert((queue, *first), extent.clone());
                }
            }
        }
        for (queue, first) in touched {
            let key = place_key(queue, first);
            let extent = self
                .index
                .get(&queue)
                .and_then(|index| index.extents.get(&first));
            plan.touched
                .push((key, extent.map(|extent| extent_row(extent, &key))));
        }
        let definitions = self.definitions.iter();
        plan.definitions = definitions
            .filter(|(_, pending)| pending.segment <= through)
            .map(|(key, pending)| (key.clone(), pending.value.clone()))
            .collect();
        plan
    }

    /// redb has what the plan says: messages are in pages now. Answers those of which more is settled than redb knows.
    fn finish(&mut self, plan: &Plan, pages: Vec<NewPage>) -> Vec<(QueueId, u64)> {
        self.dirt.retain(|segment, _| *segment > plan.through);
        self.definitions
            .retain(|_, pending| pending.segment > plan.through);
        let alive = self.take_out(plan);
        let mut stale = Vec::new();
        for page in pages {
            let Some(index) = self.index.get_mut(&page.queue) else {
                // The queue was deleted meanwhile, and its pages go with it.
                continue;
            };
            let alive = alive.get(&page.queue).map_or(&[][..], Vec::as_slice);
            let mut extent = page.extent.clone();
            let end = page.first + u64::from(extent.positions());
            // What was settled since the plan was made is not alive any more.
            let mut settled_to = page.first;
            let from = alive.partition_point(|range| range.end <= page.first);
            for range in alive[from..].iter().take_while(|range| range.start < end) {
                extent.settle_places(page.first, settled_to..range.start.max(page.first));
                settled_to = range.end.min(end);
            }
            extent.settle_places(page.first, settled_to..end);
            if extent.is_settled() || extent.bits() != page.extent.bits() {
                stale.push((page.queue, page.first));
            }
            if !extent.is_settled() {
                index.extents.insert(page.first, extent);
            }
        }
        stale
    }

    /// The next checkpoint brings these pages' settles to redb. Those settles stand in segments after `through`.
    fn note_stale(&mut self, through: u64, stale: Vec<(QueueId, u64)>) {
        if !stale.is_empty() {
            let dirt = self.dirt.entry(through + 1).or_default();
            dirt.touched.extend(stale);
        }
    }
}

impl Core {
    /// The blocks of the plan leave the index: their segments are used again. Answers what is not settled of them, by
    /// queue and position.
    fn take_out(&mut self, plan: &Plan) -> HashMap<QueueId, Vec<Range<u64>>> {
        let mut alive: HashMap<QueueId, Vec<Range<u64>>> = HashMap::new();
        for (queue, first) in plan.blocks.keys() {
            let Some(index) = self.index.get_mut(queue) else {
                continue;
            };
            let block = index.extents.get(first);
            if !block.is_some_and(|block| block.is_in_ring(plan.through)) {
                continue;
            }
            let Some(block) = index.extents.remove(first) else {
                continue;
            };
            let open = block.open(0..block.positions()).into_iter();
            alive.entry(*queue).or_default().extend(
                open.map(|open| first + u64::from(open.start)..first + u64::from(open.end)),
            );
        }
        alive
    }
}
