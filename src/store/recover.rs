//! Opening: create the file or check its format, read definitions and extents, replay the ring.
//!
//! Messages are not read here, only counted; the time depends on the number of blocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::io::IoSlice;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use redb::Database;
use redb::DatabaseError;
use redb::ReadTransaction;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::backends::FileBackend;
use tracing::error;

use crate::model::Lsn;
use crate::model::QueueId;
use crate::store::Definition;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::block;
use crate::store::block::BLOCK_POSITIONS_MAX;
use crate::store::block::Seal;
use crate::store::checkpoint;
use crate::store::checkpoint::Snapshot;
use crate::store::core::Core;
use crate::store::disk::Disk;
use crate::store::disk::sync_directory;
use crate::store::group::Group;
use crate::store::index::Extent;
use crate::store::index::Index;
use crate::store::index::Place;
use crate::store::pages;
use crate::store::patience::Patience;
use crate::store::patience::PatientBackend;
use crate::store::replay::replay;
use crate::store::ring::Ring;
use crate::store::ring::RingLimits;
use crate::store::ring::Segment;
use crate::store::ring::frame::FRAME_ALIGN;
use crate::store::ring::scan::scan;
use crate::store::tables;
use crate::store::tables::DEFINITIONS;
use crate::store::tables::EXTENTS;
use crate::store::tables::ExtentRow;
use crate::store::tables::FORMAT;
use crate::store::tables::FORMAT_MIN;
use crate::store::tables::FORMAT_WITHOUT_RING;
use crate::store::tables::META;
use crate::store::tables::META_CLEAN;
use crate::store::tables::META_FORMAT;
use crate::store::tables::META_RING_FROM;
use crate::store::tables::META_RING_KEY;
use crate::store::tables::PAGES;
use crate::store::tables::PARTS;
use crate::store::tables::QUEUES;

pub(crate) const FILE_NAME: &str = "leveret.redb";
/// A file that is not initialised yet. It gets its name only when it is a complete, empty store.
pub(crate) const NEW_FILE_NAME: &str = "leveret.redb.new";

/// Opens or creates the file in `dir`.
pub(crate) fn open_file(
    dir: &Path,
    options: &StoreOptions,
    patience: &Arc<Patience>,
) -> Result<(Database, PathBuf), StoreError> {
    let directory_error = |source| StoreError::Directory {
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(directory_error)?;
    let path = dir.join(FILE_NAME);
    let open_error = |error| database_error(&path, error);
    if path.try_exists().map_err(directory_error)? {
        let file = File::options().read(true).write(true).open(&path);
        let file = file.map_err(directory_error)?;
        if file.metadata().map_err(directory_error)?.len() == 0 {
            // redb would make it a database.
            return Err(StoreError::Foreign { path });
        }
        let database = open_database(options, file, patience).map_err(open_error)?;
        return Ok((database, path));
    }

    // A crash while redb initialises a file leaves something that it would refuse to open; nothing was committed to
    // it, so the next start begins again.
    let new_path = dir.join(NEW_FILE_NAME);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&new_path);
    let file = file.map_err(directory_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::AlreadyOpen { path }),
        Err(TryLockError::Error(source)) => return Err(directory_error(source)),
    }
    // Whoever initialised the file before us had this lock until it had given it its name.
    if path.try_exists().map_err(directory_error)? {
        return Err(StoreError::AlreadyOpen { path });
    }
    file.set_len(0).map_err(directory_error)?;
    let database = open_database(options, file, patience).map_err(open_error)?;
    initialise(&database).map_err(|error| open_failed(&path, error))?;
    std::fs::rename(&new_path, &path).map_err(directory_error)?;
    sync_directory(dir).map_err(directory_error)?;
    Ok((database, path))
}

/// Opens what is in `backend`; makes it a store when it is empty.
#[cfg(test)]
pub(crate) fn open_backend(
    backend: impl redb::StorageBackend,
    options: &StoreOptions,
    patience: &Arc<Patience>,
) -> Result<(Database, PathBuf), StoreError> {
    let path = PathBuf::from("test storage");
    let is_new = backend.len().is_ok_and(|len| len == 0);
    let backend = PatientBackend {
        backend,
        patience: Arc::clone(patience),
    };
    let database = builder(options).create_with_backend(backend);
    let database = database.map_err(|error| database_error(&path, error))?;
    if is_new {
        initialise(&database).map_err(|error| open_failed(&path, error))?;
    }
    Ok((database, path))
}

fn open_database(
    options: &StoreOptions,
    file: File,
    patience: &Arc<Patience>,
) -> Result<Database, DatabaseError> {
    let backend = PatientBackend {
        backend: FileBackend::new(file)?,
        patience: Arc::clone(patience),
    };
    builder(options).create_with_backend(backend)
}

pub(crate) fn builder(options: &StoreOptions) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// Makes an empty database an empty store that was closed cleanly.
fn initialise(database: &Database) -> Result<(), redb::Error> {
    let transaction = checkpoint::begin(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_CLEAN, 1)?;
        meta.insert(META_RING_FROM, 1)?;
        meta.insert(META_RING_KEY, rand::random::<u64>())?;
        transaction.open_table(DEFINITIONS)?;
        transaction.open_table(QUEUES)?;
        transaction.open_table(PAGES)?;
        transaction.open_table(PARTS)?;
        transaction.open_table(EXTENTS)?;
    }
    transaction.commit()?;
    Ok(())
}

/// What was found.
pub(crate) struct Found {
    pub(crate) core: Core,
    /// The last user closed the store.
    pub(crate) clean: bool,
    /// All definitions, ordered by kind and key.
    pub(crate) definitions: Vec<Definition>,
}

/// Checks the format, reads everything but the messages and replays the ring.
pub(crate) fn recover(
    database: &Database,
    disk: &dyn Disk,
    path: &Path,
    limits: RingLimits,
) -> Result<Found, StoreError> {
    let failed = |error| open_failed(path, error);
    let mut meta = read_meta(database, path)?;
    if meta.format <= FORMAT_WITHOUT_RING {
        let from = meta.format;
        meta = begin_ring(database, &meta).map_err(failed)?;
        tracing::info!(
            target: "upgrade",
            from,
            to = FORMAT,
            "a store of an earlier version was taken over; that version cannot open it any more"
        );
    }
    let (index, definitions) = read(database).map_err(failed)?;
    let scan = scan(disk, meta.ring_key, meta.ring_from).map_err(StoreError::ring)?;
    if let Some((_, segment)) = scan.segments.last_key_value() {
        if let Some(torn) = scan.torn {
            erase(segment, torn).map_err(StoreError::ring)?;
        }
        // What a killed process has written is read here, but perhaps not on the disk yet.
        segment.file.sync().map_err(StoreError::ring)?;
    }
    let mut core = Core {
        index,
        ring: Ring::new(limits, BTreeMap::new(), Vec::new(), 0, [1; 3]),
        ring_key: meta.ring_key,
        open: Group::default(),
        dirt: BTreeMap::new(),
        definitions: BTreeMap::new(),
        written: (u64::MAX, 0),
        awaited: None,
        wanted_bytes: None,
        forced: None,
        held_back: false,
        told_full: None,
        checkpoints: 0,
        torn: false,
        snapshot: Snapshot::None,
        ended: false,
        sealed_through: Lsn::NONE,
    };
    let clean = replay(&mut core, &scan)?.unwrap_or(meta.clean);
    core.ring = Ring::new(limits, scan.segments, scan.free, scan.offset, scan.next);
    for unfit in core.ring.take_unfit() {
        disk.remove(&unfit.name).map_err(StoreError::ring)?;
    }
    core.written = (core.ring.active().unwrap_or(0), scan.offset);
    for queue in core.index.values_mut() {
        queue.next = queue.next.max(queue.next_stated).max(1);
    }
    let definitions = overlay(definitions, &core);
    Ok(Found {
        core,
        clean,
        definitions,
    })
}

/// Makes a frame that is not whole none at all.
fn erase(segment: &Segment, offset: u64) -> io::Result<()> {
    let zeros = [0; FRAME_ALIGN as usize];
    segment.file.write_at(&mut [IoSlice::new(&zeros)], offset)
}

/// What redb says, and what has changed since.
fn overlay(mut rows: BTreeMap<Vec<u8>, Vec<u8>>, core: &Core) -> Vec<Definition> {
    for (key, pending) in &core.definitions {
        match &pending.value {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
    let definition = |(key, value): (Vec<u8>, Vec<u8>)| {
        let (kind, key) = key.split_first()?;
        Some(Definition {
            kind: *kind,
            key: key.to_vec(),
            value,
        })
    };
    rows.into_iter().filter_map(definition).collect()
}

/// What the table of that name says.
pub(crate) struct Meta {
    pub(crate) format: u64,
    clean: bool,
    pub(crate) ring_from: u64,
    pub(crate) ring_key: u64,
}

pub(crate) fn read_meta(database: &Database, path: &Path) -> Result<Meta, StoreError> {
    let failed = |error| open_failed(path, error);
    let transaction = database
        .begin_read()
        .map_err(|error| failed(error.into()))?;
    let meta = stored_meta(&transaction).map_err(failed)?;
    let Some(meta) = meta else {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    };
    if !(FORMAT_MIN..=FORMAT).contains(&meta.format) {
        return Err(StoreError::FormatMismatch {
            path: path.to_owned(),
            found: meta.format,
        });
    }
    Ok(meta)
}

fn stored_meta(transaction: &ReadTransaction) -> Result<Option<Meta>, redb::Error> {
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(
            redb::TableError::TableDoesNotExist(_) | redb::TableError::TableTypeMismatch { .. },
        ) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let number = |key: &str| -> Result<Option<u64>, redb::Error> {
        Ok(meta.get(key)?.map(|number| number.value()))
    };
    let Some(format) = number(META_FORMAT)? else {
        return Ok(None);
    };
    Ok(Some(Meta {
        format,
        clean: number(META_CLEAN)? == Some(1),
        ring_from: number(META_RING_FROM)?.unwrap_or(1),
        ring_key: number(META_RING_KEY)?.unwrap_or(0),
    }))
}

/// A store of an older format gets a ring.
fn begin_ring(database: &Database, old: &Meta) -> Result<Meta, redb::Error> {
    let new = Meta {
        format: FORMAT,
        clean: old.clean,
        ring_from: 1,
        ring_key: rand::random(),
    };
    let transaction = checkpoint::begin(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, new.format)?;
        meta.insert(META_RING_FROM, new.ring_from)?;
        meta.insert(META_RING_KEY, new.ring_key)?;
        transaction.open_table(PARTS)?;
    }
    transaction.commit()?;
    Ok(new)
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn read(database: &Database) -> Result<(Index, Rows), redb::Error> {
    let transaction = database.begin_read()?;
    let mut definitions = Rows::new();
    for row in transaction.open_table(DEFINITIONS)?.iter()? {
        let (key, value) = row?;
        definitions.insert(key.value().to_vec(), value.value().to_vec());
    }
    Ok((read_index(&transaction)?, definitions))
}

fn read_index(transaction: &ReadTransaction) -> Result<Index, redb::Error> {
    let mut index = Index::default();
    for row in transaction.open_table(QUEUES)?.iter()? {
        let (key, next) = row?;
        let queue = index
            .entry(QueueId(u64::from_be_bytes(*key.value())))
            .or_default();
        queue.next_stated = next.value();
    }
    let page_rows = transaction.open_table(PAGES)?;
    let parts = transaction.open_table(PARTS)?;
    for row in transaction.open_table(EXTENTS)?.iter()? {
        let (key, row) = row?;
        let key = key.value();
        let (queue, first) = tables::place(key);
        let index = index.entry(queue).or_default();
        let extent = match ExtentRow::parse(key, row.value()) {
            Some(row) => Some(extent_of(&row)),
            // What was settled is lost: rather deliver a message twice than drop one.
            None => {
                error!(
                    queue = queue.0,
                    position = first.0,
                    "stored settle state is damaged: settled messages may come back; check the disk"
                );
                let page = pages::read(&page_rows, &parts, key)?;
                page.and_then(|page| extent_of_page(page, key))
            }
        };
        let positions = extent
            .as_ref()
            .map_or(BLOCK_POSITIONS_MAX, |extent| u64::from(extent.positions()));
        index.next_stated = index.next_stated.max(first.0.saturating_add(positions));
        if let Some(extent) = extent {
            index.extents.insert(first.0, extent);
        }
    }
    Ok(index)
}

fn extent_of(row: &ExtentRow<'_>) -> Extent {
    let facts = row.page;
    Extent::new(
        row.positions,
        row.settled,
        facts.map_or(0, |facts| facts.body_bytes),
        facts.is_none_or(|facts| facts.expiring),
        Place::Page(facts.map(|facts| facts.checksum)),
    )
}

/// What can be said of a page whose row is damaged.
fn extent_of_page(page: Vec<u8>, key: &tables::PlaceKey) -> Option<Extent> {
    let checksum = block::stated_checksum(&page);
    let (block, checksum) = match block::decode(page.clone(), Seal::Stated(None)) {
        Ok(block) => (block, checksum),
        Err(_) => (block::decode(page, Seal::Keyed(key)).ok()?, None),
    };
    Some(Extent::new(
        block.positions(),
        block.gaps(),
        block.body_bytes(),
        true,
        Place::Page(checksum),
    ))
}

pub(crate) fn database_error(path: &Path, error: DatabaseError) -> StoreError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return StoreError::AlreadyOpen {
            path: path.to_owned(),
        };
    }
    open_failed(path, error.into())
}

pub(crate) fn open_failed(path: &Path, error: redb::Error) -> StoreError {
    StoreError::Open {
        path: path.to_owned(),
        source: Box::new(error),
    }
}
