//! Opening: create the file or check its format, read definitions and extents, mark it as in use.
//!
//! Messages are not read here, only counted; the time depends on the number of blobs.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use redb::Database;
use redb::DatabaseError;
use redb::ReadTransaction;
use redb::ReadableDatabase;
use redb::ReadableTable;
use tracing::error;

use crate::model::Position;
use crate::model::QueueId;
use crate::store::Definition;
use crate::store::Recovered;
use crate::store::RecoveredQueue;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::blob;
use crate::store::blob::BLOB_MESSAGES_MAX;
use crate::store::inbox::Mark;
use crate::store::index::Extent;
use crate::store::index::Index;
use crate::store::tables;
use crate::store::tables::BLOBS;
use crate::store::tables::DEFINITIONS;
use crate::store::tables::EXTENTS;
use crate::store::tables::FORMAT;
use crate::store::tables::FORMAT_MIN;
use crate::store::tables::META;
use crate::store::tables::META_CLEAN;
use crate::store::tables::META_FORMAT;
use crate::store::tables::QUEUES;
use crate::store::writer;

const FILE_NAME: &str = "leveret.redb";
/// A file that is not initialised yet. It gets its name only when it is a complete, empty store.
const NEW_FILE_NAME: &str = "leveret.redb.new";

/// Opens or creates the file in `dir`.
pub(crate) fn open_file(
    dir: &Path,
    options: &StoreOptions,
) -> Result<(Database, PathBuf), StoreError> {
    let directory_error = |source| StoreError::Directory {
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(directory_error)?;
    let path = dir.join(FILE_NAME);
    let open_error = |error| database_error(&path, error);
    if path.try_exists().map_err(directory_error)? {
        let database = builder(options).open(&path).map_err(open_error)?;
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
    let database = builder(options).create_file(file).map_err(open_error)?;
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
) -> Result<(Database, PathBuf), StoreError> {
    let path = PathBuf::from("test storage");
    let is_new = backend.len().is_ok_and(|len| len == 0);
    let database = builder(options).create_with_backend(backend);
    let database = database.map_err(|error| database_error(&path, error))?;
    if is_new {
        initialise(&database).map_err(|error| open_failed(&path, error))?;
    }
    Ok((database, path))
}

fn builder(options: &StoreOptions) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// The file's name is on disk only when its directory is, and so on upwards.
fn sync_directory(dir: &Path) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    File::open(&dir)?.sync_all()?;
    match dir.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes an empty database an empty store that was closed cleanly.
fn initialise(database: &Database) -> Result<(), redb::Error> {
    let transaction = writer::begin(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_CLEAN, 1)?;
        transaction.open_table(DEFINITIONS)?;
        transaction.open_table(QUEUES)?;
        transaction.open_table(BLOBS)?;
        transaction.open_table(EXTENTS)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Checks the format, reads everything but the messages and marks the file as in use.
pub(crate) fn recover(database: &Database, path: &Path) -> Result<(Index, Recovered), StoreError> {
    let failed = |error| open_failed(path, error);
    let transaction = database
        .begin_read()
        .map_err(|error| failed(error.into()))?;
    match stored_format(&transaction).map_err(failed)? {
        Some(FORMAT_MIN..=FORMAT) => {}
        Some(found) => {
            return Err(StoreError::FormatMismatch {
                path: path.to_owned(),
                found,
            });
        }
        None => {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
    }
    let found = read(&transaction).map_err(failed)?;
    drop(transaction);
    writer::mark(database, Mark::Unclean).map_err(failed)?;
    Ok(found)
}

fn stored_format(transaction: &ReadTransaction) -> Result<Option<u64>, redb::Error> {
    match transaction.open_table(META) {
        Ok(meta) => Ok(meta.get(META_FORMAT)?.map(|format| format.value())),
        Err(
            redb::TableError::TableDoesNotExist(_) | redb::TableError::TableTypeMismatch { .. },
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read(transaction: &ReadTransaction) -> Result<(Index, Recovered), redb::Error> {
    let clean = transaction.open_table(META)?.get(META_CLEAN)?;
    let index = read_index(transaction)?;
    let mut queues: Vec<_> = index
        .iter()
        .map(|(queue, index)| RecoveredQueue {
            queue: *queue,
            messages: index.messages(),
            next: Position(index.next),
        })
        .collect();
    queues.sort_unstable_by_key(|queue| queue.queue);
    let recovered = Recovered {
        clean: clean.is_some_and(|clean| clean.value() == 1),
        definitions: read_definitions(transaction)?,
        queues,
    };
    Ok((index, recovered))
}

fn read_definitions(transaction: &ReadTransaction) -> Result<Vec<Definition>, redb::Error> {
    let mut definitions = Vec::new();
    for row in transaction.open_table(DEFINITIONS)?.iter()? {
        let (key, value) = row?;
        if let Some((kind, key)) = key.value().split_first() {
            definitions.push(Definition {
                kind: *kind,
                key: key.to_vec(),
                value: value.value().to_vec(),
            });
        }
    }
    Ok(definitions)
}

fn read_index(transaction: &ReadTransaction) -> Result<Index, redb::Error> {
    let mut index = Index::default();
    for row in transaction.open_table(QUEUES)?.iter()? {
        let (key, next) = row?;
        let queue = index
            .entry(QueueId(u64::from_be_bytes(*key.value())))
            .or_default();
        queue.next = next.value();
        queue.next_stored = next.value();
    }
    let blobs = transaction.open_table(BLOBS)?;
    for row in transaction.open_table(EXTENTS)?.iter()? {
        let (key, row) = row?;
        let key = key.value();
        let (queue, first) = tables::place(key);
        let index = index.entry(queue).or_default();
        let extent = match tables::parse_extent_row(key, row.value()) {
            Some((count, settled)) => Some(Extent::new(count, settled)),
            // What was settled is lost: rather deliver a message twice than drop one.
            None => {
                error!(
                    queue = queue.0,
                    position = first.0,
                    "stored settle state is damaged: settled messages may come back"
                );
                let blob = blobs.get(key)?;
                let parts = blob
                    .as_ref()
                    .and_then(|blob| blob::decode(key, blob.value()).ok());
                parts.map(|parts| Extent::new(parts.len() as u32, &[]))
            }
        };
        let count = extent
            .as_ref()
            .map_or(BLOB_MESSAGES_MAX, |extent| u64::from(extent.count()));
        index.next = index.next.max(first.0 + count);
        if let Some(extent) = extent {
            index.extents.insert(first.0, extent);
        }
    }
    for queue in index.values_mut() {
        queue.next = queue.next.max(1);
    }
    Ok(index)
}

fn database_error(path: &Path, error: DatabaseError) -> StoreError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return StoreError::AlreadyOpen {
            path: path.to_owned(),
        };
    }
    open_failed(path, error.into())
}

fn open_failed(path: &Path, error: redb::Error) -> StoreError {
    StoreError::Open {
        path: path.to_owned(),
        source: Box::new(error),
    }
}
