//! Writes what a checkpoint has planned into a transaction of redb: blocks of the ring as pages, small ones joined, and what
//! changed beside them.

use redb::WriteTransaction;

use crate::model::QueueId;
use crate::store::StoreError;
use crate::store::block::Block;
use crate::store::block::stated_checksum;
use crate::store::checkpoint::Plan;
use crate::store::draft::Draft;
use crate::store::index::Extent;
use crate::store::index::Place;
use crate::store::pages::NewPage;
use crate::store::pages::Pages;
use crate::store::read;
use crate::store::shared::Shared;
use crate::store::tables::DEFINITIONS;
use crate::store::tables::ExtentRow;
use crate::store::tables::META;
use crate::store::tables::META_CLEAN;
use crate::store::tables::META_RING_FROM;
use crate::store::tables::PlaceKey;
use crate::store::tables::QUEUES;
use crate::store::tables::place_key;

/// A block that fills so much of what redb gives it goes there as it is.
const GOOD_PAGE_BYTES: usize = 48 * 1024;

/// As it stands in redb.
pub(super) fn extent_row(extent: &Extent, key: &PlaceKey) -> Vec<u8> {
    let row = ExtentRow {
        positions: extent.positions(),
        page: extent.facts(),
        settled: extent.bits(),
    };
    row.encode(key)
}

/// Writes everything into the transaction; answers the pages that are new.
pub(super) fn write(
    shared: &Shared,
    plan: &Plan,
    transaction: &WriteTransaction,
) -> Result<Vec<NewPage>, StoreError> {
    let failed = |error: redb::Error| StoreError::Checkpoint {
        source: Box::new(error),
    };
    let mut pages = Pages::open(transaction).map_err(failed)?;
    #[cfg(test)]
    let plan = &plan.mutated(shared);
    write_rest(plan, &mut pages, transaction).map_err(failed)?;
    let mut merge = Merge {
        pages: &mut pages,
        draft: Draft::default(),
        queue: QueueId(0),
        new: Vec::new(),
    };
    for ((queue, first), extent) in &plan.blocks {
        let bytes = read::ring_block(shared, extent)?;
        let whole = !extent.is_partial() && bytes.len() >= GOOD_PAGE_BYTES;
        if whole {
            merge.flush().map_err(failed)?;
            merge.page(*queue, *first, &bytes, extent).map_err(failed)?;
        } else {
            let block = read::decode(bytes, extent, *queue, *first);
            // Damage was told; there is nothing to bring to redb.
            if let Some(block) = block {
                merge
                    .block(*queue, *first, extent, &block)
                    .map_err(failed)?;
            }
        }
    }
    merge.flush().map_err(failed)?;
    Ok(merge.new)
}

fn write_rest(
    plan: &Plan,
    pages: &mut Pages<'_>,
    transaction: &WriteTransaction,
) -> Result<(), redb::Error> {
    let mut queues = transaction.open_table(QUEUES)?;
    for queue in &plan.deleted {
        pages.remove_queue(*queue)?;
        queues.remove(&queue.0.to_be_bytes())?;
    }
    for (queue, next) in &plan.nexts {
        queues.insert(&queue.0.to_be_bytes(), next)?;
    }
    for (key, row) in &plan.touched {
        match row {
            Some(row) => pages.update(key, row)?,
            None => pages.remove(key)?,
        }
    }
    let mut definitions = transaction.open_table(DEFINITIONS)?;
    for (key, value) in &plan.definitions {
        match value {
            Some(value) => definitions.insert(&key[..], &value[..])?,
            None => definitions.remove(&key[..])?,
        };
    }
    let mut meta = transaction.open_table(META)?;
    meta.insert(META_RING_FROM, plan.through + 1)?;
    // The store is in use; that it was closed will be said by the ring's last frame.
    meta.insert(META_CLEAN, 0)?;
    Ok(())
}

/// Puts what is left of several blocks into pages.
struct Merge<'p, 't> {
    pages: &'p mut Pages<'t>,
    draft: Draft,
    /// Of the draft.
    queue: QueueId,
    new: Vec<NewPage>,
}

impl Merge<'_, '_> {
    fn block(
        &mut self,
        queue: QueueId,
        first: u64,
        extent: &Extent,
        block: &Block,
    ) -> Result<(), redb::Error> {
        let mut starts = true;
        for open in extent.open(0..extent.positions().min(block.positions())) {
            for (index, mut run, at) in block.runs(open.start, open.end) {
                let mut position = first + u64::from(index);
                while !run.is_empty() {
                    // Between blocks may be positions that are still to come.
                    let follows = !starts || position == self.draft.end();
                    if self.draft.is_empty() || (self.queue == queue && follows) {
                        self.queue = queue;
                        let taken = self.draft.take(position, &mut run, at.unwrap_or(0));
                        position += taken as u64;
                        if taken > 0 {
                            starts = false;
                            continue;
                        }
                    }
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), redb::Error> {
        let draft = std::mem::take(&mut self.draft);
        if draft.is_empty() {
            return Ok(());
        }
        let bytes = draft.encode();
        let checksum = stated_checksum(&bytes);
        let extent = Extent::new(
            draft.positions(),
            &draft.gaps(),
            draft.body_bytes(),
            draft.is_expiring(),
            Place::Page(checksum),
        );
        self.page(self.queue, draft.first(), &bytes, &extent)
    }

    fn page(
        &mut self,
        queue: QueueId,
        first: u64,
        bytes: &[u8],
        extent: &Extent,
    ) -> Result<(), redb::Error> {
        let key = place_key(queue, first);
        let extent = extent.clone().into_page();
        self.pages.insert(&key, bytes, &extent_row(&extent, &key))?;
        self.new.push(NewPage {
            queue,
            first,
            extent,
        });
        Ok(())
    }
}
