//! What the store's threads share: the core behind its lock, the signals between them, the disk.

use std::io;
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
use crate::store::patience::Patience;
use crate::store::ring;
use crate::store::ring::Need;
use crate::store::ring::Segment;
#[cfg(test)]
use crate::store::tests::mutation::Mutation;

/// See the module's documentation.
pub(crate) struct Shared {
    pub(crate) core: Mutex<Core>,
    pub(crate) inbox: Inbox,
    pub(crate) disk: Box<dyn Disk>,
    /// `None` when the store is closed.
    pub(crate) database: Mutex<Option<Arc<Database>>>,
    /// Waits where the disk is full.
    pub(crate) patience: Arc<Patience>,
    /// What is done wrong on purpose, to see that the tests find it.
    #[cfg(test)]
    pub(crate) mutation: Option<Mutation>,
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
        tracing::error!(%error, "store stopped: nothing is confirmed any more and the node ends; check the disk before starting it again");
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
                    let need = core.ring.need();
                    if core.frame_was_sealed() || need.is_some() {
                        self.chores.notify_one();
                    }
                    if core.held_back
                        && !matches!(need, Some(Need::Checkpoint(_)))
                        && !self.inbox.congested()
                    {
                        core.held_back = false;
                    }
                    // Where checkpoints are what limits publishers, they wait in each segment: that is told once.
                    if let (Some(full), Some(active)) = (core.told_full, core.ring.active())
                        && active > full + 1
                    {
                        core.told_full = None;
                        tracing::info!("the ring has room again: publishers go on");
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
        if core
            .awaited
            .is_some_and(|awaited| awaited > core.sealed_through)
        {
            // A checkpoint cannot end before this frame is durable, so it cannot be waited for. It has seen no more than
            // this one frame, so that there is one such segment at a time.
            let (name, bytes) = (core.ring.new_name(), core.ring.segment_bytes_for(bytes));
            let made = MutexGuard::unlocked(core, || self.make_segment(name, bytes));
            core.ring.add(made.map_err(StoreError::ring)?);
            return Ok(());
        }
        if core.ring.is_full() {
            core.held_back = true;
            let active = core.ring.active();
            if std::mem::replace(&mut core.told_full, active).is_none() {
                tracing::warn!(
                    "the ring is full: publishers wait until the store has written older messages to their pages; if that happens often, give the node a faster disk or a larger ring (store.ring_segments)"
                );
            }
        }
        if self.inbox.failure().is_some() {
            // Who made room is gone. Looked at under the lock, under which the failure is told, so that it is not missed.
            return Ok(());
        }
        core.wanted_bytes = Some(bytes);
        self.chores.notify_one();
        self.room.wait(core);
        Ok(())
    }

    /// Makes an empty segment; waits while the disk is full.
    pub(crate) fn make_segment(&self, name: String, bytes: u64) -> io::Result<Segment> {
        self.patience
            .retry(|| ring::create(&*self.disk, name.clone(), bytes))
    }

    /// Whether this is to be done wrong.
    #[cfg(test)]
    pub(crate) fn does_wrong(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
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
        #[cfg(test)]
        if self.does_wrong(Mutation::SkipSync) {
            return Ok(());
        }
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
