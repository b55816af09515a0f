//! What a publish leaves in the memories of deduplication exchanges that are kept on disk, on its way to the store.
//!
//! It gets there with the messages, in one append: a value without its message would make the publisher's next attempt a
//! duplicate of nothing. Where messages go to several queues, it goes with those of the last.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::model::Lsn;
use crate::store::Record;
use crate::vhost::exchange_type::deduplication::Deduplication;
use crate::vhost::exchange_type::seen::Fresh;

/// See the module's documentation.
#[derive(Default)]
pub struct Sightings {
    /// One a memory.
    fresh: Vec<Note>,
    known: Vec<(Arc<Deduplication>, Arc<[u8]>)>,
}

/// New values of one memory.
struct Note {
    memory: Arc<Deduplication>,
    values: Vec<Fresh>,
    /// The page they are on in the store; none before they are handed over.
    page: AtomicU64,
}

impl Sightings {
    /// Whether nothing was seen by a memory on disk.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.known.is_empty()
    }

    pub(super) fn add_fresh(&mut self, memory: &Arc<Deduplication>, value: Fresh) {
        let mut notes = self.fresh.iter_mut();
        match notes.find(|note| Arc::ptr_eq(&note.memory, memory)) {
            Some(note) => note.values.push(value),
            None => self.fresh.push(Note {
                memory: Arc::clone(memory),
                values: vec![value],
                page: AtomicU64::new(0),
            }),
        }
    }

    pub(super) fn add_known(&mut self, memory: &Arc<Deduplication>, value: Arc<[u8]>) {
        self.known.push((Arc::clone(memory), value));
    }

    /// Takes over what further messages left.
    pub fn append(&mut self, mut other: Self) {
        for mut note in other.fresh.drain(..) {
            for value in std::mem::take(&mut note.values) {
                self.add_fresh(&note.memory, value);
            }
        }
        self.known.append(&mut other.known);
    }

    /// Takes over what the messages of `other`, which were handed over, have in common with earlier ones.
    pub fn take_known(&mut self, mut other: Self) {
        self.known.append(&mut other.known);
    }

    /// The messages do not go to the store at once: those that have the same values need not wait for it.
    pub fn stage(&self) {
        for note in &self.fresh {
            note.memory.keep_in_memory(&note.values);
        }
    }

    /// Adds what the store is to know to the records of the messages. Once only.
    pub(in crate::vhost) fn store(&self, records: &mut Vec<Record>) {
        for note in &self.fresh {
            if let Some(page) = note.memory.store(&note.values, records) {
                note.page.store(page, Ordering::Relaxed);
            }
        }
    }

    /// The records were handed over and are durable with `commit`.
    pub(in crate::vhost) fn stored(&self, commit: Lsn) {
        for note in &self.fresh {
            let page = note.page.load(Ordering::Relaxed);
            if page != 0 {
                note.memory.stored(page, commit);
            }
        }
    }

    /// Hands over what no queue's records go with.
    pub(in crate::vhost) fn store_alone(&self) -> Lsn {
        let mut commit = Lsn::NONE;
        for note in &self.fresh {
            commit = commit.max(note.memory.store_alone(&note.values));
        }
        commit
    }

    /// What the messages that were dropped as duplicates wait for: the first of their kind is durable then.
    ///
    /// Waits for as long as it takes other publishers to hand their records over. The caller has handed over its own and
    /// holds no lock.
    pub fn known_commit(&self) -> Lsn {
        let mut commit = Lsn::NONE;
        for (memory, value) in &self.known {
            loop {
                if let Some(of_first) = memory.commit_of(value) {
                    commit = commit.max(of_first);
                    break;
                }
                std::thread::yield_now();
            }
        }
        commit
    }
}

impl Drop for Note {
    /// Nobody may wait for what was never handed over, however that came.
    fn drop(&mut self) {
        match *self.page.get_mut() {
            0 => self.memory.keep_in_memory(&self.values),
            page => self.memory.give_up(page),
        }
    }
}
