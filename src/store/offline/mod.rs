//! A store looked at while no broker has it open: for checks, for showing messages, for putting a backup in place.
//!
//! Nothing on the disk is created, repaired, marked or changed here, also where opening the store would: `overlay` keeps
//! redb's writes in memory, `files` refuses those to the ring. What is seen is what a broker would see that started now.
//! Memory is one index entry a block and one block, as in the store itself.
//!
//! A damaged database can make redb panic; such panics end here, as errors.

mod check;
mod files;
mod overlay;
mod restore;
mod ring;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;

use redb::Database;
use redb::ReadTransaction;
use redb::ReadableDatabase;

pub use check::Check;
pub use check::Damaged;
pub use check::QueueCheck;
pub use check::check;
pub use restore::restore;
pub use ring::RingCheck;

use crate::model::Position;
use crate::model::QueueId;
use crate::store::Definition;
use crate::store::RING_DIRECTORY;
use crate::store::RecoveredQueue;
use crate::store::StoreError;
use crate::store::StoreOptions;
use crate::store::StoredRun;
use crate::store::block;
use crate::store::block::Block;
use crate::store::block::Damage;
use crate::store::block::Seal;
use crate::store::core::Core;
use crate::store::index::Extent;
use crate::store::index::Place;
use crate::store::pages;
use crate::store::recover;
use crate::store::recover::FILE_NAME;
use crate::store::ring::RingLimits;
use crate::store::tables::PAGES;
use crate::store::tables::PARTS;
use crate::store::tables::place_key;
use crate::store::writer;
use files::ReadOnly;
use overlay::Overlay;

/// What a queue has at some of its positions.
#[derive(Debug)]
pub enum Piece {
    /// Messages that are not settled.
    Messages(StoredRun),
    /// Messages that cannot be read: the first position, how many, and why.
    Damaged {
        /// Position of the first.
        first: Position,
        /// How many of them are not settled.
        messages: u64,
        /// What is wrong.
        why: String,
    },
}

/// A store that no broker has open. See the module's documentation.
pub struct Offline {
    path: PathBuf,
    database: Quiet,
    disk: ReadOnly,
    core: Core,
    format: u64,
    clean: bool,
    definitions: Vec<Definition>,
}

impl Offline {
    /// Looks at the store in `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        let disk = ReadOnly::new(dir.join(RING_DIRECTORY));
        let database = open_database(dir)?;
        let (format, found) = guarded(&path, || {
            let format = recover::read_meta(&database, &path)?.format;
            // The ring stays as it is, whatever limits it had.
            let limits = RingLimits {
                segment_bytes: 0,
                segments: 2,
            };
            recover::recover(&database, &disk, &path, limits).map(|found| (format, found))
        })??;
        Ok(Self {
            path,
            database,
            disk,
            core: found.core,
            format,
            clean: found.clean,
            definitions: found.definitions,
        })
    }

    /// All definitions, ordered by kind and key.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Queues that have messages or had some, ordered by id.
    pub fn queues(&self) -> Vec<RecoveredQueue> {
        self.core.recovered_queues()
    }

    /// Shows what a queue has, in the order of positions, until `visit` breaks off.
    pub fn visit(
        &self,
        queue: QueueId,
        mut visit: impl FnMut(Piece) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(index) = self.core.index.get(&queue) else {
            return Ok(());
        };
        for (first, extent) in &index.extents {
            if extent.is_settled() {
                continue;
            }
            let block = guarded(&self.path, || self.block(queue, *first, extent))??;
            let flow = match block {
                Ok(block) => open_runs(*first, extent, &block)
                    .try_for_each(|stored| visit(Piece::Messages(stored))),
                Err(damage) => visit(Piece::Damaged {
                    first: Position(*first),
                    messages: open_count(extent),
                    why: damage.to_string(),
                }),
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn block(
        &self,
        queue: QueueId,
        first: u64,
        extent: &Extent,
    ) -> Result<Result<Block, Damage>, StoreError> {
        let bytes = match extent.place {
            Place::Ring {
                segment,
                offset,
                bytes,
                ..
            } => {
                let Some(file) = self.core.ring.file(segment) else {
                    return Ok(Err(Damage::Missing));
                };
                let mut block = vec![0; bytes as usize];
                file.read_at(&mut block, offset).map_err(StoreError::ring)?;
                block
            }
            Place::Page(_) => {
                let page = || -> Result<Option<Vec<u8>>, redb::Error> {
                    let read = self.database.begin_read()?;
                    page(&read, queue, first)
                };
                match page().map_err(|error| self.failed(error))? {
                    Some(page) => page,
                    None => return Ok(Err(Damage::Missing)),
                }
            }
        };
        Ok(unseal(bytes, extent, queue, first))
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        recover::open_failed(&self.path, error)
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        let read = self.database.begin_read();
        read.map_err(|error| self.failed(error.into()))
    }
}

/// A database whose end may panic when what it read is damaged.
struct Quiet(Option<Database>);

impl Deref for Quiet {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("it is taken out in drop alone")
    }
}

impl DerefMut for Quiet {
    fn deref_mut(&mut self) -> &mut Database {
        self.0.as_mut().expect("it is taken out in drop alone")
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let database = self.0.take();
        // Nothing that it would have written counts.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Opens redb's file, with its locks and without writing to it.
fn open_database(dir: &Path) -> Result<Quiet, StoreError> {
    let path = dir.join(FILE_NAME);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::NoStore {
                path: dir.to_owned(),
            });
        }
        Err(source) => {
            return Err(StoreError::Directory {
                path: dir.to_owned(),
                source,
            });
        }
    };
    let opened = guarded(&path, || {
        let overlay = Overlay::new(file)?;
        recover::builder(&StoreOptions::default()).create_with_backend(overlay)
    })?;
    match opened {
        Ok(database) => Ok(Quiet(Some(database))),
        Err(error) => Err(recover::database_error(&path, error)),
    }
}

/// Ends a panic of redb's.
fn guarded<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| StoreError::Unreadable {
        path: path.to_owned(),
        message: writer::panic_message(panic.as_ref()),
    })
}

fn page(
    read: &ReadTransaction,
    queue: QueueId,
    first: u64,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let rows = read.open_table(PAGES)?;
    let parts = read.open_table(PARTS)?;
    pages::read(&rows, &parts, &place_key(queue, first))
}

fn unseal(bytes: Vec<u8>, extent: &Extent, queue: QueueId, first: u64) -> Result<Block, Damage> {
    match extent.facts() {
        Some(facts) => block::decode(bytes, Seal::Stated(Some(facts.checksum))),
        None => block::decode(bytes, Seal::Keyed(&place_key(queue, first))),
    }
}

/// Messages of a block that are not settled.
fn open_count(extent: &Extent) -> u64 {
    let open = extent.open(0..extent.positions()).into_iter();
    open.map(|open| u64::from(open.end - open.start)).sum()
}

/// The messages of a block that are not settled.
fn open_runs(first: u64, extent: &Extent, block: &Block) -> impl Iterator<Item = StoredRun> {
    let positions = extent.positions().min(block.positions());
    let open = extent.open(0..positions).into_iter();
    open.flat_map(|open| block.runs(open.start, open.end))
        .map(move |(index, run, enqueued_at)| StoredRun {
            first: Position(first + u64::from(index)),
            run,
            enqueued_at,
        })
}
