//! A queue that takes no message twice (`x-message-deduplication`, of the community's plugin
//! `rabbitmq-message-deduplication`): a message is dropped while another with the same `x-deduplication-header` is in the
//! queue, ready or unacknowledged.
//!
//! The memory holds one value a message at most. Unlike the plugin's it is rebuilt after a restart.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::MessageRef;
use crate::model::Position;
use crate::model::Run;
use crate::protocol::identity::identity;
use crate::protocol::properties;
use crate::queue::Queue;
use crate::store::Record;

/// What messages are compared by; those without it are all different.
pub const X_DEDUPLICATION_HEADER: &str = "x-deduplication-header";

struct Entry {
    position: u64,
    /// A message that has expired may still be in the queue, but hinders nobody.
    expires_at: Option<u64>,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Seen {
    entries: HashMap<Vec<u8>, Entry, RandomState>,
}

impl Seen {
    /// Whether the value is new; it is remembered then.
    fn insert(&mut self, value: Vec<u8>, entry: Entry, now: u64) -> bool {
        let known = self.entries.get(&value);
        let lives = |known: &Entry| known.expires_at.is_none_or(|expires_at| expires_at > now);
        if known.is_some_and(lives) {
            return false;
        }
        self.entries.insert(value, entry);
        true
    }

    fn remove(&mut self, value: &[u8], position: u64) {
        if self
            .entries
            .get(value)
            .is_some_and(|entry| entry.position == position)
        {
            self.entries.remove(value);
        }
    }
}

fn value_of(message: MessageRef<'_>) -> Option<Vec<u8>> {
    if !message.traits().has_headers() {
        return None;
    }
    let headers = properties::headers(message.header())?;
    headers.inner().get(X_DEDUPLICATION_HEADER).map(identity)
}

impl Queue {
    /// Admits those messages of a run that are not in the queue already; the others count as taken all the same.
    pub(super) fn admit_new(&mut self, run: &Run, now: u64, records: &mut Vec<Record>) {
        let mut start = 0;
        for index in 0..run.len() {
            let position = self.next_position + (index - start) as u64;
            if self.note(run, index, position, now) {
                continue;
            }
            if start < index {
                self.admit(run.slice(start..index), now, records);
                // One that a consumer has taken for good meanwhile is no longer in the way.
                if self.note(run, index, self.next_position, now) {
                    start = index;
                    continue;
                }
            }
            start = index + 1;
        }
        if start < run.len() {
            self.admit(run.slice(start..run.len()), now, records);
        }
    }

    /// The same for a message that the store kept.
    pub(super) fn note_restored(&mut self, first: Position, run: &Run, enqueued_at: u64) {
        if self.seen.is_some() {
            for index in 0..run.len() {
                self.note(run, index, first.0 + index as u64, enqueued_at);
            }
        }
    }

    /// Whether message `index` of the run is not in the queue yet; it is, at `position`, from now on.
    fn note(&mut self, run: &Run, index: usize, position: u64, now: u64) -> bool {
        let Some(value) = value_of(run.message(index)) else {
            return true;
        };
        let ttl = self.message_ttl(&run.slice(index..index + 1));
        let entry = Entry {
            position,
            expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
        };
        let seen = self.seen.as_mut();
        seen.is_none_or(|seen| seen.insert(value, entry, now))
    }

    /// Messages have left the queue for good.
    pub(super) fn left(&mut self, first: Position, run: &Run) {
        let Some(seen) = &mut self.seen else {
            return;
        };
        for (message, position) in run.iter().zip(first.0..) {
            if let Some(value) = value_of(message) {
                seen.remove(&value, position);
            }
        }
    }
}
