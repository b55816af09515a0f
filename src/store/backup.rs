//! A backup: a copy of the store as it was at one moment, made while traffic goes on.
//!
//! The moment is between two frames of the ring: everything handed over before some append, and nothing after it. What
//! was handed over before the backup was asked for is in it, so everything confirmed by then, too. Appends are in it
//! whole or not at all. To get there, the ring is brought to redb once; then redb is copied as it was read at that
//! moment. Until the copy is complete redb cannot use its old pages again, so its file grows by what changes meanwhile.
//!
//! The copy is a store of the current format without a ring. It says that it was not closed: which messages had been
//! delivered at that moment is not known, so all of them come back as redelivered.
//!
//! It bears another name until it is complete, and is removed when something fails.

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

use redb::Database;
use redb::DatabaseError;
use redb::Durability;
use redb::Key;
use redb::ReadTransaction;
use redb::ReadableTable;
use redb::StorageBackend;
use redb::TableDefinition;
use redb::Value;
use redb::backends::FileBackend;

use crate::store::RING_DIRECTORY;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::checkpoint;
use crate::store::checkpoint::Snapshot;
use crate::store::disk::sync_directory;
use crate::store::recover::FILE_NAME;
use crate::store::ring::Ring;
use crate::store::tables::DEFINITIONS;
use crate::store::tables::EXTENTS;
use crate::store::tables::ExtentRow;
use crate::store::tables::FORMAT;
use crate::store::tables::META;
use crate::store::tables::META_CLEAN;
use crate::store::tables::META_FORMAT;
use crate::store::tables::META_RING_FROM;
use crate::store::tables::META_RING_KEY;
use crate::store::tables::PAGES;
use crate::store::tables::PARTS;
use crate::store::tables::QUEUES;

/// A copy that is not complete. Not the name of a new file of a store: nobody takes it for one.
pub(crate) const PARTIAL_NAME: &str = "leveret.redb.partial";

/// Memory for the copy's pages.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// What is copied in one transaction.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// Messages that are not settled.
    pub messages: u64,
    /// Size of its file.
    pub file_bytes: u64,
}

/// Why a copy ended early.
#[derive(Debug)]
enum Trouble {
    Failed(redb::Error),
    /// The caller wants no more of it.
    GivenUp,
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Store {
    /// Makes a copy of the store in `dir`, which must be empty or missing, as of one moment after this call (see the
    /// module's documentation). Blocks until it is on the disk; gives up soon after `go_on` has answered `false`.
    pub fn backup(
        &self,
        dir: &Path,
        go_on: &dyn Fn() -> bool,
    ) -> Result<BackupSummary, StoreError> {
        self.backup_over(dir, go_on, FileBackend::new)
    }

    /// As [`Store::backup`], with a backend that tests choose.
    pub(crate) fn backup_over<B: StorageBackend>(
        &self,
        dir: &Path,
        go_on: &dyn Fn() -> bool,
        backend: impl FnOnce(File) -> Result<B, DatabaseError>,
    ) -> Result<BackupSummary, StoreError> {
        let _alone = self.backup.try_lock().ok_or(StoreError::BackupRuns)?;
        let place = EmptyDirectory::claim(dir)?;
        let read = self.snapshot()?;
        let summary = write_copy(&read, place.path(), go_on, backend)?;
        place.keep()?;
        Ok(summary)
    }

    /// Begins to read redb when it says exactly what the store was at one moment.
    pub(crate) fn snapshot(&self) -> Result<ReadTransaction, StoreError> {
        let shared = &self.shared;
        let mut core = shared.core.lock();
        core.snapshot = Snapshot::Wanted;
        shared.chores.notify_one();
        loop {
            if let Some(failure) = shared.inbox.failure() {
                return Err(StoreError::Stopped(failure));
            }
            if core.ended {
                return Err(StoreError::Closed);
            }
            match std::mem::take(&mut core.snapshot) {
                Snapshot::Taken(read) => {
                    return read.map_err(|source| StoreError::Load {
                        queue: None,
                        source: Box::new(source),
                    });
                }
                other @ (Snapshot::None
                | Snapshot::Wanted
                | Snapshot::AfterFrame
                | Snapshot::Seen(_)) => core.snapshot = other,
            }
            shared.written.wait(&mut core);
        }
    }
}

/// A directory that gets a copy; emptied again, and removed if it was made for this, unless it is kept.
pub(crate) struct EmptyDirectory {
    path: PathBuf,
    made: bool,
    kept: bool,
}

impl EmptyDirectory {
    /// Makes the directory, readable for its owner alone; or takes it when it is there and empty.
    pub(crate) fn claim(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Target {
            path: path.to_owned(),
            source,
        };
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let not_empty = || StoreError::NotEmpty {
                    path: path.to_owned(),
                };
                if !path.is_dir() {
                    return Err(not_empty());
                }
                if std::fs::read_dir(path).map_err(failed)?.next().is_some() {
                    return Err(not_empty());
                }
                false
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            made,
            kept: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The copy is complete: its names are on the disk when this returns.
    pub(crate) fn keep(mut self) -> Result<(), StoreError> {
        sync_directory(&self.path).map_err(|source| copy_failed(&self.path, source))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for EmptyDirectory {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // By name: what somebody else puts there meanwhile stays. Nothing better can be done where this fails.
        let ring = self.path.join(RING_DIRECTORY);
        for entry in std::fs::read_dir(&ring).into_iter().flatten().flatten() {
            if Ring::name_number(&entry.file_name().to_string_lossy()).is_some() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let _ = std::fs::remove_dir(&ring);
        for name in [PARTIAL_NAME, FILE_NAME] {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        if self.made {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

pub(crate) fn copy_failed(
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Copy {
        path: path.to_owned(),
        source: source.into(),
    }
}

fn write_copy<B: StorageBackend>(
    read: &ReadTransaction,
    dir: &Path,
    go_on: &dyn Fn() -> bool,
    backend: impl FnOnce(File) -> Result<B, DatabaseError>,
) -> Result<BackupSummary, StoreError> {
    let partial = dir.join(PARTIAL_NAME);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&partial);
    let file = file.map_err(|source| copy_failed(dir, source))?;
    let backend = backend(file).map_err(|source| copy_failed(dir, source))?;
    let messages = match copy(read, backend, go_on) {
        Ok(messages) => messages,
        Err(Trouble::GivenUp) => return Err(StoreError::BackupGivenUp),
        Err(Trouble::Failed(source)) => return Err(copy_failed(dir, source)),
    };
    let path = dir.join(FILE_NAME);
    let failed = |source| copy_failed(dir, source);
    std::fs::rename(&partial, &path).map_err(failed)?;
    let file_bytes = std::fs::metadata(&path).map_err(failed)?.len();
    Ok(BackupSummary {
        messages,
        file_bytes,
    })
}

/// Writes everything that `read` sees into a new database; answers the number of messages.
fn copy(
    read: &ReadTransaction,
    backend: impl StorageBackend,
    go_on: &dyn Fn() -> bool,
) -> Result<u64, Trouble> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let target = builder.create_with_backend(backend)?;
    let copy = Copy {
        read,
        target: &target,
        go_on,
    };
    copy.table(DEFINITIONS, |_, _| {})?;
    copy.table(QUEUES, |_, _| {})?;
    copy.table(PAGES, |_, _| {})?;
    copy.table(PARTS, |_, _| {})?;
    let mut messages = 0;
    copy.table(EXTENTS, |key, row| {
        if let Some(row) = ExtentRow::parse(key, row) {
            let settled: u32 = row.settled.iter().map(|byte| byte.count_ones()).sum();
            messages += u64::from(row.positions.saturating_sub(settled));
        }
    })?;
    let transaction = checkpoint::begin(&target)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_CLEAN, 0)?;
        meta.insert(META_RING_FROM, 1)?;
        meta.insert(META_RING_KEY, rand::random::<u64>())?;
    }
    transaction.commit()?;
    Ok(messages)
}

struct Copy<'a> {
    read: &'a ReadTransaction,
    target: &'a Database,
    go_on: &'a dyn Fn() -> bool,
}

impl Copy<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
        mut each: impl FnMut(&K::SelfType<'_>, &V::SelfType<'_>),
    ) -> Result<(), Trouble> {
        let table = self.read.open_table(definition)?;
        let mut rows = table.iter()?;
        let mut more = true;
        while more {
            if !(self.go_on)() {
                return Err(Trouble::GivenUp);
            }
            let mut transaction = self.target.begin_write()?;
            // The last transaction of all brings this one to the disk, too.
            transaction.set_durability(Durability::None)?;
            more = false;
            {
                let mut target = transaction.open_table(definition)?;
                let mut bytes = 0;
                for row in rows.by_ref() {
                    let (key, value) = row?;
                    let (key, value) = (key.value(), value.value());
                    each(&key, &value);
                    bytes += V::as_bytes(&value).as_ref().len();
                    target.insert(&key, &value)?;
                    if bytes >= BATCH_BYTES {
                        more = true;
                        break;
                    }
                }
            }
            transaction.commit()?;
        }
        Ok(())
    }
}
