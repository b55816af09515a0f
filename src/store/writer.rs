//! Group commit: the one thread that changes the file.
//!
//! It takes all that waits, writes it in one transaction with one durable commit, and tells who waited; what arrives
//! meanwhile is the next group, so groups grow with the disk's latency and there is no timer. A confirm cannot overtake
//! its commit: the durable number moves only after redb has synced.
//!
//! The first failure is the last act: what a failed commit left on the disk is unknown, so nothing is tried again.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use redb::Database;
use redb::Durability;
use redb::WriteTransaction;
use tracing::error;

use crate::store::Record;
use crate::store::StoreError;
use crate::store::group::Group;
use crate::store::inbox::Inbox;
use crate::store::inbox::Mark;
use crate::store::inbox::Work;
use crate::store::index::Index;
use crate::store::tables::FORMAT;
use crate::store::tables::META;
use crate::store::tables::META_CLEAN;
use crate::store::tables::META_FORMAT;

/// Record buffers with more room than this are not kept for the next group.
const RECORDS_KEPT_MAX: usize = 64 * 1024;

/// What the writer thread owns.
pub(crate) struct Writer {
    pub(crate) database: Arc<Database>,
    pub(crate) index: Index,
    pub(crate) inbox: Arc<Inbox>,
}

impl Writer {
    /// Runs until the inbox is closed or a commit fails.
    pub(crate) fn run(mut self) {
        let inbox = Arc::clone(&self.inbox);
        let ended = catch_unwind(AssertUnwindSafe(|| self.commit_groups()));
        let result = ended.unwrap_or_else(|panic| {
            Err(StoreError::Panicked {
                message: panic_message(panic.as_ref()),
            })
        });
        // The file is let go before anybody learns that the store is closed.
        drop(self);
        match result {
            Ok(()) => inbox.closed(),
            Err(error) => {
                error!(%error, "store stopped: nothing is confirmed any more");
                inbox.fail(error);
            }
        }
    }

    fn commit_groups(&mut self) -> Result<(), StoreError> {
        let mut records = Vec::new();
        loop {
            match self.inbox.take(&mut records) {
                Work::Commit { through, bytes } => {
                    let count = records.len();
                    self.commit(&mut records)
                        .map_err(|error| commit_error(count, error))?;
                    self.inbox.committed(through, bytes);
                }
                Work::Stop(Mark::Clean) => {
                    return mark(&self.database, Mark::Clean)
                        .map_err(|error| commit_error(0, error));
                }
                Work::Stop(Mark::Unclean) => return Ok(()),
            }
        }
    }

    fn commit(&mut self, records: &mut Vec<Record>) -> Result<(), redb::Error> {
        let mut group = Group::default();
        for record in records.drain(..) {
            group.apply(&mut self.index, record);
        }
        records.shrink_to(RECORDS_KEPT_MAX);
        if group.is_empty(&self.index) {
            return Ok(());
        }
        let transaction = begin(&self.database)?;
        group.write(&mut self.index, &transaction)?;
        transaction.commit()?;
        Ok(())
    }
}

/// A transaction whose commit returns when it is on disk, and after which a crash needs no repair.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Writes down whether the file is closed, and that it is of today's format.
pub(crate) fn mark(database: &Database, mark: Mark) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_CLEAN, u64::from(mark == Mark::Clean))?;
        meta.insert(META_FORMAT, FORMAT)?;
    }
    transaction.commit()?;
    Ok(())
}

fn commit_error(records: usize, error: redb::Error) -> StoreError {
    StoreError::Commit {
        records,
        source: Box::new(error),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
