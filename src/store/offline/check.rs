//! Reads everything a store has and tells what of it is not as it was written.
//!
//! redb's own check first, on a database of its own, for it repairs what it can (in memory); then all tables, row by row
//! and against each other; then the ring, frame by frame.

use std::collections::BTreeMap;
use std::path::Path;

use redb::ReadableTable;

use super::Offline;
use super::guarded;
use super::open_count;
use super::open_database;
use super::open_runs;
use super::page;
use super::ring::RingCheck;
use super::unseal;
use crate::model::Position;
use crate::model::QueueId;
use crate::store::Definition;
use crate::store::StoreError;
use crate::store::block;
use crate::store::block::Block;
use crate::store::block::Seal;
use crate::store::index::Extent;
use crate::store::index::Place;
use crate::store::recover::FILE_NAME;
use crate::store::tables::EXTENTS;
use crate::store::tables::ExtentRow;
use crate::store::tables::PAGES;
use crate::store::tables::PARTS;
use crate::store::tables::PlaceKey;
use crate::store::tables::place;

/// Places of damage that are listed; further ones are only counted.
const DAMAGED_LISTED_MAX: usize = 1000;

/// What a check has found.
#[derive(Debug)]
pub struct Check {
    /// Version of the layout.
    pub format: u64,
    /// The last user closed the store.
    pub closed_cleanly: bool,
    /// Size of redb's file.
    pub file_bytes: u64,
    /// Rows of messages in it: pages.
    pub pages: u64,
    /// All definitions, ordered by kind and key.
    pub definitions: Vec<Definition>,
    /// Queues that have messages or had some, by id.
    pub queues: BTreeMap<QueueId, QueueCheck>,
    /// The ring.
    pub ring: RingCheck,
    /// Places that are damaged; of very many only the first.
    pub damaged: Vec<Damaged>,
    /// Number of all places that are damaged.
    pub damaged_total: u64,
}

/// One queue's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueCheck {
    /// Messages that are not settled and can be read.
    pub messages: u64,
    /// Octets of their bodies.
    pub body_bytes: u64,
    /// When the oldest entered, in milliseconds since the Unix epoch, where it is known.
    pub oldest: Option<u64>,
    /// Messages that are not settled and cannot be read.
    pub damaged: u64,
}

/// One place that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The file, seen from the data directory.
    pub file: String,
    /// Where in it.
    pub offset: Option<u64>,
    /// Whose messages.
    pub queue: Option<QueueId>,
    /// Position of the first of them.
    pub position: Option<Position>,
    /// How many messages cannot be read because of it.
    pub messages: u64,
    /// What is wrong.
    pub why: String,
}

impl Damaged {
    /// Somewhere in redb's file.
    fn in_tables(why: impl Into<String>) -> Self {
        Self {
            file: FILE_NAME.to_owned(),
            offset: None,
            queue: None,
            position: None,
            messages: 0,
            why: why.into(),
        }
    }

    fn of_messages(key: &PlaceKey, messages: u64, why: impl Into<String>) -> Self {
        let (queue, position) = place(key);
        Self {
            queue: Some(queue),
            position: Some(position),
            messages,
            ..Self::in_tables(why)
        }
    }
}

impl Check {
    /// Nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damaged_total == 0
    }

    pub(super) fn add(&mut self, damaged: Damaged) {
        self.damaged_total += 1;
        if let Some(queue) = damaged.queue {
            self.queues.entry(queue).or_default().damaged += damaged.messages;
        }
        if self.damaged.len() < DAMAGED_LISTED_MAX {
            self.damaged.push(damaged);
        }
    }

    /// Counts what is left of a block.
    pub(super) fn count(&mut self, queue: QueueId, first: u64, extent: &Extent, block: &Block) {
        let counts = self.queues.entry(queue).or_default();
        for stored in open_runs(first, extent, block) {
            counts.messages += stored.run.len() as u64;
            counts.body_bytes += stored.run.body_bytes();
            counts.oldest = match (counts.oldest, stored.enqueued_at) {
                (Some(oldest), Some(at)) => Some(oldest.min(at)),
                (oldest, at) => oldest.or(at),
            };
        }
    }
}

/// Checks the store in `dir`. An error means that it cannot be read at all.
pub fn check(dir: &Path) -> Result<Check, StoreError> {
    let of_redb = check_redb(dir)?;
    let offline = Offline::open(dir)?;
    let queues = offline.queues().into_iter();
    let mut check = Check {
        format: offline.format,
        closed_cleanly: offline.clean,
        file_bytes: file_bytes(&offline.path)?,
        pages: 0,
        definitions: offline.definitions.clone(),
        queues: queues
            .map(|queue| (queue.queue, QueueCheck::default()))
            .collect(),
        ring: RingCheck::default(),
        damaged: Vec::new(),
        damaged_total: 0,
    };
    if let Some(why) = of_redb {
        check.add(Damaged::in_tables(why));
    }
    let tables = guarded(&offline.path, || check.tables(&offline));
    match tables {
        Ok(checked) => checked?,
        Err(StoreError::Unreadable { message, .. }) => {
            check.add(Damaged::in_tables(format!(
                "its tables cannot be read to their end: {message}"
            )));
        }
        Err(error) => return Err(error),
    }
    check.ring(&offline)?;
    Ok(check)
}

fn file_bytes(path: &Path) -> Result<u64, StoreError> {
    let metadata = std::fs::metadata(path);
    metadata
        .map(|metadata| metadata.len())
        .map_err(|source| StoreError::Directory {
            path: path.to_owned(),
            source,
        })
}

/// What redb says of its file, if that is not all right.
fn check_redb(dir: &Path) -> Result<Option<String>, StoreError> {
    let path = dir.join(FILE_NAME);
    let mut database = open_database(dir)?;
    let verdict = match guarded(&path, || database.check_integrity()) {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => {
            Some("redb's own check failed; opening it would lose something".to_owned())
        }
        Ok(Err(error)) => Some(format!("redb's own check failed: {error}")),
        Err(StoreError::Unreadable { message, .. }) => {
            Some(format!("redb's own check failed: {message}"))
        }
        Err(error) => return Err(error),
    };
    Ok(verdict)
}

impl Check {
    fn tables(&mut self, offline: &Offline) -> Result<(), StoreError> {
        let walked = self
            .extents(offline)
            .and_then(|()| self.pages(offline))
            .and_then(|()| self.parts(offline));
        match walked {
            Ok(()) => Ok(()),
            Err(Trouble::Store(error)) => Err(error),
            Err(Trouble::Redb(error)) => {
                let why = format!("its tables cannot be read to their end: {error}");
                self.add(Damaged::in_tables(why));
                Ok(())
            }
        }
    }

    /// Each extent row and its page.
    fn extents(&mut self, offline: &Offline) -> Result<(), Trouble> {
        let read = offline.read()?;
        let mut before: Option<(QueueId, u64)> = None;
        for row in read.open_table(EXTENTS)?.iter()? {
            let (key, row) = row?;
            let key = key.value();
            let (queue, first) = place(key);
            let row = ExtentRow::parse(key, row.value());
            if row.is_none() {
                let why = "its settle state is damaged: settled messages may come back";
                self.add(Damaged::of_messages(key, 0, why));
            }
            if before.is_some_and(|(other, end)| other == queue && first.0 < end) {
                let why = "it overlaps with the page before it";
                self.add(Damaged::of_messages(key, 0, why));
            }
            let positions = row.as_ref().map_or(1, |row| row.positions);
            before = Some((queue, first.0.saturating_add(positions.into())));
            let extent = offline
                .core
                .index
                .get(&queue)
                .and_then(|index| index.extents.get(&first.0))
                .filter(|extent| matches!(extent.place, Place::Page(_)));
            self.page(&read, key, row, extent)?;
        }
        Ok(())
    }

    /// A page: all of it is looked at, `extent` tells what is left of it.
    fn page(
        &mut self,
        read: &redb::ReadTransaction,
        key: &PlaceKey,
        row: Option<ExtentRow<'_>>,
        extent: Option<&Extent>,
    ) -> Result<(), Trouble> {
        self.pages += 1;
        let (queue, first) = place(key);
        let messages = extent.map_or(0, open_count);
        let Some(bytes) = page(read, queue, first.0)? else {
            let why = "the page is missing";
            self.add(Damaged::of_messages(key, messages, why));
            return Ok(());
        };
        let facts = row.and_then(|row| row.page);
        let block = match (extent, facts) {
            (Some(extent), _) => unseal(bytes, extent, queue, first.0),
            (None, Some(facts)) => block::decode(bytes, Seal::Stated(Some(facts.checksum))),
            (None, None) => block::decode(bytes, Seal::Keyed(key)),
        };
        match (block, extent) {
            (Ok(block), Some(extent)) => {
                let lacking = extent.positions().saturating_sub(block.positions());
                if lacking > 0 {
                    let why = "the page has fewer positions than its row says";
                    self.add(Damaged::of_messages(key, lacking.into(), why));
                }
                self.count(queue, first.0, extent, &block);
            }
            (Ok(_), None) => {}
            (Err(damage), _) => {
                let why = format!("the page is damaged: {damage}");
                self.add(Damaged::of_messages(key, messages, why));
            }
        }
        Ok(())
    }

    /// Each page has its extent row.
    fn pages(&mut self, offline: &Offline) -> Result<(), Trouble> {
        let read = offline.read()?;
        let extents = read.open_table(EXTENTS)?;
        for row in read.open_table(PAGES)?.iter()? {
            let (key, _) = row?;
            if extents.get(key.value())?.is_none() {
                let why = "the page has no extent row: nobody can find its messages";
                self.add(Damaged::of_messages(key.value(), 0, why));
            }
        }
        Ok(())
    }

    /// Each part belongs to a page that is in parts.
    fn parts(&mut self, offline: &Offline) -> Result<(), Trouble> {
        let read = offline.read()?;
        let pages = read.open_table(PAGES)?;
        let mut known: Option<PlaceKey> = None;
        for row in read.open_table(PARTS)?.iter()? {
            let (key, _) = row?;
            let Some(of) = key.value().first_chunk::<16>().copied() else {
                continue;
            };
            if known == Some(of) {
                continue;
            }
            known = Some(of);
            let in_parts = pages.get(&of)?.is_some_and(|page| page.value().is_empty());
            if !in_parts {
                let why = "parts of a page that does not exist";
                self.add(Damaged::of_messages(&of, 0, why));
            }
        }
        Ok(())
    }
}

enum Trouble {
    Redb(redb::Error),
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<redb::Error> for Trouble {
    fn from(error: redb::Error) -> Self {
        Self::Redb(error)
    }
}

impl From<redb::TableError> for Trouble {
    fn from(error: redb::TableError) -> Self {
        Self::Redb(error.into())
    }
}

impl From<redb::StorageError> for Trouble {
    fn from(error: redb::StorageError) -> Self {
        Self::Redb(error.into())
    }
}
