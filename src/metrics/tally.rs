//! What one channel has done with each of the queues and exchanges that it uses.
//!
//! The channel's machine counts, once a batch, and others read. An index of its own spares the machine their lock: it takes it
//! for a queue or an exchange that is new to it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics::Count;

/// Queues, and exchanges, that are counted for one channel at a time. When there are more, the one that came first is
/// forgotten now and then for a new one; should it come again, it begins at 0.
const TALLIES_MAX: usize = 256;

/// So often one without a place of its own is counted for nobody before it gets one: a channel that goes round more queues than
/// there are places must not make room with every message.
const MISSES_A_PLACE: u32 = 64;

/// What a channel has done with one queue.
#[derive(Debug, Default)]
pub struct QueueTally {
    /// Delivered, to be acknowledged.
    pub deliver: Count,
    /// Delivered, without acknowledgement.
    pub deliver_no_ack: Count,
    /// Fetched, to be acknowledged.
    pub get: Count,
    /// Fetched, without acknowledgement.
    pub get_no_ack: Count,
    /// Of all that was delivered or fetched, what had been before.
    pub redeliver: Count,
    /// Acknowledged.
    pub ack: Count,
}

/// What a channel has done with one exchange.
#[derive(Debug, Default)]
pub struct ExchangeTally {
    /// Published.
    pub publish: Count,
    /// Returned, for no queue took them and the publisher wanted to know.
    pub return_unroutable: Count,
    /// Dropped, for no queue took them.
    pub drop_unroutable: Count,
}

/// By id, for who reads. Oldest first.
#[derive(Debug)]
pub struct Tallies<T>(Mutex<Vec<(u64, Arc<T>)>>);

impl<T> Default for Tallies<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Tallies<T> {
    /// All that there are.
    pub fn all(&self) -> Vec<(u64, Arc<T>)> {
        self.0.lock().clone()
    }

    /// The one of that id.
    pub fn of(&self, id: u64) -> Option<Arc<T>> {
        let all = self.0.lock();
        let found = all.iter().find(|(known, _)| *known == id);
        found.map(|(_, tally)| Arc::clone(tally))
    }
}

/// The same for the one who counts.
#[derive(Debug)]
pub struct TallyIndex<T> {
    /// Mostly the next is that of the last.
    last: Option<(u64, Arc<T>)>,
    known: Known<T>,
}

#[derive(Debug)]
struct Known<T> {
    /// By id, ascending.
    all: Vec<(u64, Arc<T>)>,
    /// Once all places are taken: what has none is counted here, for nobody.
    rest: Option<Arc<T>>,
    /// How often that was so since the last got its place.
    misses: u32,
}

impl<T> Default for TallyIndex<T> {
    fn default() -> Self {
        Self {
            last: None,
            known: Known {
                all: Vec::new(),
                rest: None,
                misses: 0,
            },
        }
    }
}

/// Both kinds for one channel.
#[derive(Debug, Default)]
pub struct ChannelTallies {
    /// Of queues.
    pub queues: TallyIndex<QueueTally>,
    /// Of exchanges.
    pub exchanges: TallyIndex<ExchangeTally>,
}

impl<T: Default> TallyIndex<T> {
    /// Where to count for this id, which others find in `shown` from then on.
    #[inline]
    pub fn of(&mut self, id: u64, shown: &Tallies<T>) -> &T {
        if self.last.as_ref().is_some_and(|(last, _)| *last != id) {
            self.last = None;
        }
        let known = &mut self.known;
        let (_, tally) = self
            .last
            .get_or_insert_with(|| (id, find(known, id, shown)));
        tally
    }
}

#[cold]
fn find<T: Default>(known: &mut Known<T>, id: u64, shown: &Tallies<T>) -> Arc<T> {
    if let Ok(at) = known.all.binary_search_by_key(&id, |(known, _)| *known) {
        return Arc::clone(&known.all[at].1);
    }
    let full = known.all.len() >= TALLIES_MAX;
    if full && known.misses < MISSES_A_PLACE {
        known.misses += 1;
        return Arc::clone(known.rest.get_or_insert_default());
    }
    let tally = Arc::<T>::default();
    let mut all = shown.0.lock();
    if full {
        known.misses = 0;
        let (oldest, _) = all.remove(0);
        known.all.retain(|(known, _)| *known != oldest);
    }
    all.push((id, Arc::clone(&tally)));
    let at = known.all.partition_point(|(known, _)| *known < id);
    known.all.insert(at, (id, Arc::clone(&tally)));
    tally
}

impl QueueTally {
    /// Messages were written to the client, by a consumer.
    #[inline]
    pub fn delivered(&self, count: u64, no_ack: bool, redelivered: bool) {
        let delivered = if no_ack {
            &self.deliver_no_ack
        } else {
            &self.deliver
        };
        delivered.add(count);
        if redelivered {
            self.redeliver.add(count);
        }
    }

    /// One message was fetched.
    pub fn fetched(&self, no_ack: bool, redelivered: bool) {
        let fetched = if no_ack { &self.get_no_ack } else { &self.get };
        fetched.add(1);
        self.redeliver.add(u64::from(redelivered));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_a_count_of_its_own() {
        let shown = Tallies::<QueueTally>::default();
        let mut index = TallyIndex::default();
        for id in [1, 1, 2, 1, 3, 2] {
            index.of(id, &shown).delivered(1, false, id == 3);
        }
        let counts: Vec<_> = shown
            .all()
            .iter()
            .map(|(id, tally)| (*id, tally.deliver.get(), tally.redeliver.get()))
            .collect();
        assert_eq!(counts, [(1, 3, 0), (2, 2, 0), (3, 1, 1)]);
        assert_eq!(shown.of(2).map(|tally| tally.deliver.get()), Some(2));
        assert!(shown.of(4).is_none());
    }

    #[test]
    fn a_new_one_takes_the_place_of_the_oldest_now_and_then() {
        let shown = Tallies::<ExchangeTally>::default();
        let mut index = TallyIndex::default();
        let most = TALLIES_MAX as u64;
        for id in 0..most {
            index.of(id, &shown).publish.add(1);
        }
        // Another one between, for one that goes on is the last and not looked for.
        for _ in 0..MISSES_A_PLACE {
            index.of(most, &shown).publish.add(1);
            index.of(1, &shown).publish.add(1);
        }
        assert!(shown.of(most).is_none());
        assert!(shown.of(0).is_some());
        index.of(most, &shown).publish.add(1);
        assert_eq!(shown.of(most).map(|tally| tally.publish.get()), Some(1));
        assert!(shown.of(0).is_none());
        let told = shown.of(1).map(|tally| tally.publish.get());
        assert_eq!(told, Some(1 + u64::from(MISSES_A_PLACE)));
        assert_eq!(shown.all().len(), TALLIES_MAX);
        assert_eq!(index.known.all.len(), TALLIES_MAX);
    }
}
