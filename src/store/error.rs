//! What can go wrong in the store, in words an operator can act on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::tables::FORMAT;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process (or this one, twice) has the data directory open.
    #[error("{path} is in use: another broker runs on this data directory", path = path.display())]
    AlreadyOpen {
        /// The store's file.
        path: PathBuf,
    },
    /// The file was written by a version of Leveret whose layout this one does not read.
    #[error(
        "{path} has store format {found}, this version of Leveret reads format {FORMAT}: start it with the version that \
         wrote it, or choose another data directory to begin empty",
        path = path.display()
    )]
    FormatMismatch {
        /// The store's file.
        path: PathBuf,
        /// The format in the file.
        found: u64,
    },
    /// The file is a redb database, but not one that Leveret wrote.
    #[error("{path} is not a store of Leveret: choose another data directory", path = path.display())]
    Foreign {
        /// The store's file.
        path: PathBuf,
    },
    /// The data directory cannot be created or made durable.
    #[error("cannot prepare the data directory {path}: {source}", path = path.display())]
    Directory {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be opened or its tables cannot be read.
    #[error("cannot open the store {path}: {source}", path = path.display())]
    Open {
        /// The store's file.
        path: PathBuf,
        /// What the database said.
        source: Box<redb::Error>,
    },
    /// Stored messages cannot be read.
    #[error("cannot read the stored messages of {}: {source}", queue_text(*queue))]
    Load {
        /// Number of the queue; none when looking which queues there are.
        queue: Option<u64>,
        /// What the database said.
        source: Box<redb::Error>,
    },
    /// A write or a sync failed. What of it reached the disk is unknown, so the store takes nothing more.
    #[error("cannot commit {records} records: {source}; the store has stopped")]
    Commit {
        /// Number of records in the commit.
        records: usize,
        /// What the system said.
        source: io::Error,
    },
    /// Messages of the ring could not be brought to their pages.
    #[error("cannot write a checkpoint: {source}; the store has stopped")]
    Checkpoint {
        /// What the database said.
        source: Box<redb::Error>,
    },
    /// The files of the ring cannot be made, read or removed.
    #[error("cannot use the files of the ring: {source}")]
    Ring {
        /// What the system said.
        source: io::Error,
    },
    /// The files of a store that is to be thrown away cannot be removed.
    #[error("cannot remove the files of the store: {source}")]
    Wipe {
        /// What the system said.
        source: io::Error,
    },
    /// The writer broke one of its own invariants; the store takes nothing more.
    #[error("the store's writer panicked: {message}; the store has stopped")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the store's writer thread: {source}")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// There is no store in the directory.
    #[error("{path} holds no store: there is no leveret.redb in it", path = path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// The store's file is damaged so much that what it holds cannot be listed.
    #[error("{path} cannot be read: {message}", path = path.display())]
    Unreadable {
        /// The store's file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// Something is already where a copy of a store should go.
    #[error("{path} exists and is not an empty directory: nothing was written", path = path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The directory for a copy of a store cannot be made or looked at.
    #[error("cannot write to the directory {path}: {source}", path = path.display())]
    Target {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A copy of a store could not be written; what was written of it was removed.
    #[error("cannot write the copy in {path}: {source}; the partial copy was removed", path = path.display())]
    Copy {
        /// The directory.
        path: PathBuf,
        /// What the system or the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another backup of the store is being made.
    #[error("another backup is being made: wait for its end")]
    BackupRuns,
    /// The node stops before a backup was complete.
    #[error("the node stops: the backup was given up and its partial copy removed")]
    BackupGivenUp,
    /// The directory for messages that are too many for memory cannot be emptied.
    #[error("cannot empty the overflow directory: {source}")]
    Overflow {
        /// What the system said.
        source: io::Error,
    },
    /// The store stopped before what was asked could be done.
    #[error("{0}")]
    Stopped(Arc<StoreError>),
    /// The store was closed before what was asked could be done.
    #[error("the store is closed")]
    Closed,
}

fn queue_text(queue: Option<u64>) -> String {
    match queue {
        Some(queue) => format!("queue {queue}"),
        None => "all queues".to_owned(),
    }
}

impl StoreError {
    pub(crate) fn ring(source: io::Error) -> Self {
        Self::Ring { source }
    }
}
