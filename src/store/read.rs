//! Reading messages back: what waits to be written, what lies in the ring, what lies in redb.
//!
//! Damage is logged with its place and left out; the rest is served, and nothing is removed. No lock is held while the
//! disk is read: a block that has moved meanwhile is found by its checksum and looked for again.

use std::ops::Range;

use redb::ReadableDatabase;
use tracing::error;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::StoreError;
use crate::store::StoredPage;
use crate::store::StoredRun;
use crate::store::block;
use crate::store::block::Block;
use crate::store::block::Damage;
use crate::store::block::Seal;
use crate::store::core::Core;
use crate::store::index::Extent;
use crate::store::index::Place;
use crate::store::pages;
use crate::store::shared::Shared;
use crate::store::tables::PAGES;
use crate::store::tables::PARTS;
use crate::store::tables::place_key;

/// Where some of the messages that are wanted are.
enum Source {
    Waiting {
        first: u64,
        run: Run,
        enqueued_at: u64,
    },
    Block {
        first: u64,
        extent: Extent,
        /// What is wanted of it, by index.
        open: Vec<Range<u32>>,
    },
}

impl Source {
    fn first(&self) -> u64 {
        match self {
            Self::Waiting { first, .. } => *first,
            Self::Block { first, open, .. } => {
                first + open.first().map_or(0, |open| u64::from(open.start))
            }
        }
    }

    /// The position after its last.
    fn end(&self) -> u64 {
        match self {
            Self::Waiting { first, run, .. } => first + run.len() as u64,
            Self::Block { first, open, .. } => {
                first + open.last().map_or(0, |open| u64::from(open.end))
            }
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Waiting { run, .. } => run.held_bytes() as u64,
            Self::Block { extent, .. } => extent.read_bytes(),
        }
    }
}

/// Why a block could not be read at once.
enum Trouble {
    /// It was moved or settled meanwhile.
    Moved,
    Failed(StoreError),
}

/// The messages of `queue` at these positions that are not settled, in order, until about `bytes_max` octets of bodies
/// were read; at least one when there is one.
pub(crate) fn read(
    shared: &Shared,
    queue: QueueId,
    positions: Range<u64>,
    bytes_max: u64,
) -> Result<StoredPage, StoreError> {
    if positions.is_empty() {
        return Ok(StoredPage {
            runs: Vec::new(),
            until: positions.end,
        });
    }
    loop {
        let (sources, until) = sources(shared, queue, &positions, bytes_max)?;
        match fetch(shared, queue, sources) {
            Ok(runs) => return Ok(StoredPage { runs, until }),
            Err(Trouble::Moved) => {}
            Err(Trouble::Failed(error)) => return Err(error),
        }
    }
}

fn sources(
    shared: &Shared,
    queue: QueueId,
    positions: &Range<u64>,
    bytes_max: u64,
) -> Result<(Vec<Source>, u64), StoreError> {
    let mut core = shared.core.lock();
    loop {
        core.absorb(&shared.inbox);
        let (mut sources, until) = core.sources(queue, positions, bytes_max);
        let unwritten = sources.iter().position(
            |source| matches!(source, Source::Block { extent, .. } if !core.is_written(extent)),
        );
        match unwritten {
            None => return Ok((sources, until)),
            Some(0) => {
                if let Some(failure) = shared.inbox.failure() {
                    return Err(StoreError::Stopped(failure));
                }
                shared.written.wait(&mut core);
            }
            Some(some) if bytes_max < u64::MAX => {
                let until = sources[some].first();
                sources.truncate(some);
                return Ok((sources, until));
            }
            Some(_) => {
                if let Some(failure) = shared.inbox.failure() {
                    return Err(StoreError::Stopped(failure));
                }
                shared.written.wait(&mut core);
            }
        }
    }
}

impl Core {
    /// And the position after the last that these sources tell of.
    fn sources(
        &self,
        queue: QueueId,
        positions: &Range<u64>,
        bytes_max: u64,
    ) -> (Vec<Source>, u64) {
        let mut sources = Vec::new();
        let mut until = positions.end;
        let Some(index) = self.index.get(&queue) else {
            return (sources, until);
        };
        let start = index
            .extent_at(positions.start)
            .map_or(positions.start, |block| block.start);
        let mut bytes = 0;
        let mut cut = false;
        for (first, extent) in index.extents.range(start..positions.end) {
            let end = first + u64::from(extent.positions());
            let wanted = (*first).max(positions.start)..end.min(positions.end);
            let indexes = (wanted.start - first) as u32..(wanted.end - first) as u32;
            let open = extent.open(indexes);
            if open.is_empty() {
                continue;
            }
            bytes += extent.read_bytes();
            sources.push(Source::Block {
                first: *first,
                extent: extent.clone(),
                open,
            });
            if bytes >= bytes_max {
                cut = true;
                break;
            }
        }
        let waiting = self.open.waiting(queue, positions);
        sources.extend(
            waiting
                .into_iter()
                .map(|(first, run, enqueued_at)| Source::Waiting {
                    first,
                    run,
                    enqueued_at,
                }),
        );
        sources.sort_by_key(Source::first);
        let mut bytes = 0;
        let enough = sources.iter().position(|source| {
            bytes += source.bytes();
            bytes >= bytes_max
        });
        if let Some(enough) = enough {
            if let Some(next) = sources.get(enough + 1) {
                until = next.first();
            } else if cut {
                until = sources[enough].end().min(until);
            }
            sources.truncate(enough + 1);
        }
        (sources, until)
    }

    pub(crate) fn is_written(&self, extent: &Extent) -> bool {
        match extent.place {
            Place::Ring {
                segment, offset, ..
            } => (segment, offset) < self.written,
            Place::Page(_) => true,
        }
    }
}

fn fetch(shared: &Shared, queue: QueueId, sources: Vec<Source>) -> Result<Vec<StoredRun>, Trouble> {
    let mut runs = Vec::new();
    for source in sources {
        match source {
            Source::Waiting {
                first,
                run,
                enqueued_at,
            } => runs.push(StoredRun {
                first: Position(first),
                run,
                enqueued_at: Some(enqueued_at),
            }),
            Source::Block {
                first,
                extent,
                open,
            } => {
                let Some(block) = fetch_block(shared, queue, first, &extent)? else {
                    continue;
                };
                for open in open {
                    let end = open.end.min(block.positions());
                    let pieces = block.runs(open.start, end);
                    runs.extend(pieces.map(|(index, run, enqueued_at)| StoredRun {
                        first: Position(first + u64::from(index)),
                        run,
                        enqueued_at,
                    }));
                }
            }
        }
    }
    Ok(runs)
}

/// `None` when it is damaged.
fn fetch_block(
    shared: &Shared,
    queue: QueueId,
    first: u64,
    extent: &Extent,
) -> Result<Option<Block>, Trouble> {
    let read =
        match extent.place {
            Place::Ring { .. } => ring_block(shared, extent)
                .map_err(Trouble::Failed)
                .map(|bytes| unseal(bytes, extent, queue, first)),
            Place::Page(_) => page(shared, queue, first)
                .map_err(Trouble::Failed)
                .map(|page| match page {
                    Some(bytes) => unseal(bytes, extent, queue, first),
                    None => Err(Damage::Missing),
                }),
        };
    let damage = match read? {
        Ok(block) => return Ok(Some(block)),
        Err(damage) => damage,
    };
    let core = shared.core.lock();
    let now = core
        .index
        .get(&queue)
        .and_then(|index| index.extents.get(&first));
    if now.is_none_or(|now| now.place != extent.place) {
        return Err(Trouble::Moved);
    }
    drop(core);
    report(queue, first, extent, damage);
    Ok(None)
}

fn report(queue: QueueId, first: u64, extent: &Extent, damage: Damage) {
    error!(
        queue = queue.0,
        position = first,
        messages = extent.positions(),
        %damage,
        "stored messages are damaged and left out; check the disk, and restore a backup if they are needed"
    );
}

/// A block as it lies in the ring.
pub(crate) fn ring_block(shared: &Shared, extent: &Extent) -> Result<Vec<u8>, StoreError> {
    let Place::Ring {
        segment,
        offset,
        bytes,
        ..
    } = extent.place
    else {
        return Ok(Vec::new());
    };
    let file = shared.core.lock().ring.file(segment);
    let mut block = vec![0; bytes as usize];
    // Without the segment the block has moved, which its checksum then shows.
    if let Some(file) = file {
        file.read_at(&mut block, offset).map_err(StoreError::ring)?;
    }
    Ok(block)
}

/// Takes a block apart; damage is told with its place.
pub(crate) fn decode(bytes: Vec<u8>, extent: &Extent, queue: QueueId, first: u64) -> Option<Block> {
    let block = unseal(bytes, extent, queue, first);
    block
        .inspect_err(|damage| report(queue, first, extent, *damage))
        .ok()
}

fn unseal(bytes: Vec<u8>, extent: &Extent, queue: QueueId, first: u64) -> Result<Block, Damage> {
    let block = match extent.facts() {
        Some(facts) => block::decode(bytes, Seal::Stated(Some(facts.checksum))),
        None => block::decode(bytes, Seal::Keyed(&place_key(queue, first))),
    }?;
    // Who reads it relies on both.
    if block.positions() == extent.positions() && extent.knows_gaps(block.gaps()) {
        Ok(block)
    } else {
        Err(Damage::Lengths)
    }
}

fn page(shared: &Shared, queue: QueueId, first: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error: redb::Error| StoreError::Load {
        queue: Some(queue.0),
        source: Box::new(error),
    };
    let read = || -> Result<Result<Option<Vec<u8>>, StoreError>, redb::Error> {
        let database = shared.database.lock().clone();
        let Some(database) = database else {
            // Not damage: the store was closed meanwhile.
            return Ok(Err(StoreError::Closed));
        };
        let transaction = database.begin_read()?;
        let pages = transaction.open_table(PAGES)?;
        let parts = transaction.open_table(PARTS)?;
        pages::read(&pages, &parts, &place_key(queue, first)).map(Ok)
    };
    read().map_err(failed)?
}
