//! What the store's threads share: the core behind its lock, the signals between them, the disk.

use std::sync::Arc;

use parking_lot::Condvar;
use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redb::Database;

use crate::model::Lsn;
use crate::store::StoreError;
use crate::store::core::Core;
use crate::store::core::NoRoom;
use crate::store::core::Sealed;
use crate::store::disk::Disk;
use crate::store::inbox::Inbox;
use crate::store::ring;

/// See the module's documentation.
pub(crate) struct Shared {
    pub(crate) core: Mutex<Core>,
    pub(crate) inbox: Inbox,
    pub(crate) disk: Box<dyn Disk>,
    /// `None` when the store is closed.
    pub(crate) database: Mutex<Option<Arc<Database>>>,
    /// The ring has room again, or the store has failed.
    pub(crate) room: Condvar,
    /// For the thread that keeps house: the ring needs something, or the store ends.
    pub(crate) chores: Condvar,
    /// A frame was written, a checkpoint has ended, or the store has failed.
    pub(crate) written: Condvar,
}

impl Shared {
    pub(crate) fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.database.lock().clone().ok_or(StoreError::Closed)
    }

    /// Ends everything.
    pub(crate) fn fail(&self, error: StoreError) {
        tracing::error!(%error, "store stopped: nothing is confirmed any more");
        self.inbox.fail(error);
        // Under the lock, so that nobody who has just looked goes to sleep after this.
        let _core = self.core.lock();
        self.room.notify_all();
        self.chores.notify_all();
        self.written.notify_all();
    }

    /// Makes a frame of everything that waits; waits while the ring has no room for it. `None` when the store has failed.
    pub(crate) fn seal(&self) -> Result<Option<Sealed>, StoreError> {
        let mut core = self.core.lock();
        loop {
            core.absorb(&self.inbox);
            match core.seal() {
                Ok(sealed) => {
                    self.inbox.all_sealed();
                    core.wanted_bytes = None;
                    if core.ring.need().is_some() {
                        self.chores.notify_one();
                    }
                    return Ok(Some(sealed));
                }
                Err(no_room) => self.wait_for_room(&mut core, no_room)?,
            }
            if self.inbox.failure().is_some() {
                return Ok(None);
            }
        }
    }

    fn wait_for_room(
        &self,
        core: &mut MutexGuard<'_, Core>,
        NoRoom { bytes }: NoRoom,
    ) -> Result<(), StoreError> {
        if core.awaited.is_some() {
            // A checkpoint cannot end before this frame is durable, so it cannot be waited for.
            let (name, bytes) = (core.ring.new_name(), core.ring.segment_bytes_for(bytes));
            let made = MutexGuard::unlocked(core, || ring::create(&*self.disk, name, bytes));
            core.ring.add(made.map_err(StoreError::ring)?);
            return Ok(());
        }
        if core.wanted_bytes.is_none() {
            tracing::warn!(
                "the ring is full: publishers wait until the store has written older messages to their pages"
            );
        }
        core.wanted_bytes = Some(bytes);
        self.chores.notify_one();
        self.room.wait(core);
        Ok(())
    }

    /// Writes a frame and syncs it.
    pub(crate) fn write(&self, sealed: &Sealed) -> Result<(), StoreError> {
        let Some(frame) = &sealed.frame else {
            return Ok(());
        };
        let failed = |source| StoreError::Commit {
            records: sealed.record_count,
            source,
        };
        frame
            .builder
            .write(&*frame.file, frame.offset)
            .map_err(failed)?;
        self.core.lock().written = (frame.segment, frame.offset + frame.builder.bytes());
        self.written.notify_all();
        frame.file.sync().map_err(failed)
    }

    /// Says that the store was closed: the last frame, once no writer runs any more.
    pub(crate) fn write_last(&self) -> Result<(), StoreError> {
        if self.inbox.failure().is_some() {
            return Ok(());
        }
        self.core.lock().open.clean = true;
        match self.seal()? {
            Some(sealed) => self.write(&sealed),
            None => Ok(()),
        }
    }

    /// Waits until `lsn` is durable. `false` when the store has failed before.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> bool {
        self.inbox.wait(lsn).is_ok()
    }
}
