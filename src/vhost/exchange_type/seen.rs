//! Values that were seen lately: a bounded set that forgets the oldest, or what has expired.
//!
//! What is to survive a restart lies in the store in *pages*, one for the new values of each publish: many small records
//! cost what one does. A page goes when none of its values is known any more.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::Lsn;
use crate::vhost::Hasher;

/// Bytes of values that one exchange remembers at most, whatever size was asked for.
const BYTES_MAX: usize = 64 << 20;
/// What remembering a value costs beside the value.
const ENTRY_BYTES: usize = 64;

/// Where a value is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere yet; whoever brought it is about to store it.
    OnItsWay,
    /// Nowhere, and nobody is about to store it at once.
    Memory,
    Page(u64),
}

struct Entry {
    expires_at: Option<u64>,
    /// Tells it from an older entry for the same value in `order`.
    number: u64,
    place: Place,
}

struct Page {
    /// How many of its values are known.
    live: u32,
    /// What it is durable with, once that is known.
    commit: Option<Lsn>,
}

/// A value that is new, until it is in a page.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    value: Arc<[u8]>,
    number: u64,
}

/// A value with the time after which it may be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vhost) struct Expiring {
    pub(in crate::vhost) value: Arc<[u8]>,
    pub(in crate::vhost) expires_at: Option<u64>,
}

/// What a publish has to tell the store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// A new page: its number and what is on it.
    pub(super) page: Option<(u64, Vec<Expiring>)>,
    /// Pages that are of no use any more.
    pub(super) obsolete: Vec<u64>,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Seen {
    entries: HashMap<Arc<[u8]>, Entry, Hasher>,
    /// Oldest first; entries that have been replaced are still in it.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
    next_number: u64,
    pages: HashMap<u64, Page, Hasher>,
    obsolete: Vec<u64>,
    last_page: u64,
    /// Its exchange is deleted.
    ended: bool,
}

impl Seen {
    /// Remembers a value among at most `size`; `None` when it is known.
    pub(super) fn insert(&mut self, new: Expiring, now: u64, size: usize) -> Option<Fresh> {
        self.add(new, Place::OnItsWay, now, size)
    }

    fn add(&mut self, new: Expiring, place: Place, now: u64, size: usize) -> Option<Fresh> {
        let Expiring { value, expires_at } = new;
        if let Some(known) = self.entries.get(&value) {
            if known.expires_at.is_none_or(|expires_at| expires_at > now) {
                return None;
            }
            self.remove(&value);
        }
        let cost = value.len() + ENTRY_BYTES;
        while !self.entries.is_empty()
            && (self.entries.len() >= size || self.bytes + cost > BYTES_MAX)
        {
            self.forget_oldest();
        }
        self.forget_expired(now);
        self.forget_replaced();
        let number = self.next_number;
        self.next_number += 1;
        self.order.push_back((number, Arc::clone(&value)));
        let entry = Entry {
            expires_at,
            number,
            place,
        };
        self.entries.insert(Arc::clone(&value), entry);
        self.bytes += cost;
        Some(Fresh { value, number })
    }

    fn remove(&mut self, value: &[u8]) {
        let Some(entry) = self.entries.remove(value) else {
            return;
        };
        self.bytes -= value.len() + ENTRY_BYTES;
        if let Place::Page(number) = entry.place
            && let Some(page) = self.pages.get_mut(&number)
        {
            page.live -= 1;
            if page.live == 0 {
                self.pages.remove(&number);
                self.obsolete.push(number);
            }
        }
    }

    fn is_current(&self, number: u64, value: &[u8]) -> bool {
        let entry = self.entries.get(value);
        entry.is_some_and(|entry| entry.number == number)
    }

    fn forget_oldest(&mut self) {
        if let Some((number, value)) = self.order.pop_front()
            && self.is_current(number, &value)
        {
            self.remove(&value);
        }
    }

    /// With one time to live for all, which is usual, the oldest expire first.
    fn forget_expired(&mut self, now: u64) {
        while let Some((number, value)) = self.order.front() {
            let entry = self.entries.get(value);
            let lives = entry.is_some_and(|entry| {
                entry.number == *number && entry.expires_at.is_none_or(|at| at > now)
            });
            if lives {
                return;
            }
            self.forget_oldest();
        }
    }

    /// Keeps `order` in proportion to `entries`.
    fn forget_replaced(&mut self) {
        if self.order.len() < 64 || self.order.len() < self.entries.len() * 2 {
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        order.retain(|(number, value)| self.is_current(*number, value));
        self.order = order;
    }

    /// Makes a page of values that are new; those that were forgotten meanwhile are not on it.
    pub(super) fn store(&mut self, fresh: &[Fresh]) -> Changes {
        if self.ended {
            return Changes::default();
        }
        let mut values = Vec::with_capacity(fresh.len());
        let number = self.last_page + 1;
        for Fresh { value, number: own } in fresh {
            let entry = self.entries.get_mut(value);
            if let Some(entry) = entry.filter(|entry| entry.number == *own) {
                entry.place = Place::Page(number);
                values.push(Expiring {
                    value: Arc::clone(value),
                    expires_at: entry.expires_at,
                });
            }
        }
        if !values.is_empty() {
            self.last_page = number;
            let page = Page {
                live: values.len() as u32,
                commit: None,
            };
            self.pages.insert(number, page);
        }
        Changes {
            page: (!values.is_empty()).then_some((number, values)),
            obsolete: std::mem::take(&mut self.obsolete),
        }
    }

    /// The page is durable with `commit`.
    pub(super) fn stored(&mut self, page: u64, commit: Lsn) {
        if let Some(page) = self.pages.get_mut(&page) {
            page.commit = Some(commit);
        }
    }

    /// Nobody may wait for the page any more, whatever became of it.
    pub(super) fn give_up(&mut self, page: u64) {
        if let Some(page) = self.pages.get_mut(&page) {
            page.commit.get_or_insert(Lsn::NONE);
        }
    }

    /// Nobody is about to store these values.
    pub(super) fn keep_in_memory(&mut self, fresh: &[Fresh]) {
        for Fresh { value, number } in fresh {
            let entry = self.entries.get_mut(value);
            if let Some(entry) = entry.filter(|entry| entry.number == *number)
                && entry.place == Place::OnItsWay
            {
                entry.place = Place::Memory;
            }
        }
    }

    /// What the value is durable with; `None` while it is on its way to the store.
    pub(super) fn commit_of(&self, value: &[u8]) -> Option<Lsn> {
        let Some(entry) = self.entries.get(value) else {
            return Some(Lsn::NONE);
        };
        match entry.place {
            Place::OnItsWay => None,
            Place::Memory => Some(Lsn::NONE),
            Place::Page(page) => self.pages.get(&page)?.commit,
        }
    }

    /// Takes over a page from the store; the pages come in the order of their numbers.
    pub(super) fn restore(&mut self, number: u64, values: Vec<Expiring>, now: u64, size: usize) {
        self.last_page = self.last_page.max(number);
        let page = Page {
            // One that is not a value's, so that the page stays while it is filled.
            live: 1,
            commit: Some(Lsn::NONE),
        };
        self.pages.insert(number, page);
        for value in values {
            if value.expires_at.is_some_and(|expires_at| expires_at <= now) {
                continue;
            }
            // The later one tells how long it is known.
            self.remove(&value.value);
            if self.add(value, Place::Page(number), now, size).is_some()
                && let Some(page) = self.pages.get_mut(&number)
            {
                page.live += 1;
            }
        }
        if let Some(page) = self.pages.get_mut(&number) {
            page.live -= 1;
            if page.live == 0 {
                self.pages.remove(&number);
                self.obsolete.push(number);
            }
        }
    }

    /// Forgets everything for good; answers which pages are in the store.
    pub(super) fn end(&mut self) -> Vec<u64> {
        let pages = self.pages.keys().copied();
        let pages = pages.chain(self.obsolete.iter().copied()).collect();
        *self = Self {
            ended: true,
            ..Self::default()
        };
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Seen {
        fn see(&mut self, value: u8, expires_at: Option<u64>, now: u64, size: usize) -> bool {
            self.insert(expiring(value, expires_at), now, size)
                .is_some()
        }

        /// Numbers of the page that is made and of those that are obsolete.
        fn store_all(&mut self, fresh: &[Fresh]) -> (Option<u64>, Vec<u64>) {
            let Changes { page, obsolete } = self.store(fresh);
            (page.map(|(number, _)| number), obsolete)
        }

        fn fresh(&mut self, value: u8, size: usize) -> Fresh {
            self.insert(expiring(value, None), 0, size).expect("new")
        }
    }

    fn expiring(value: u8, expires_at: Option<u64>) -> Expiring {
        Expiring {
            value: [value].into(),
            expires_at,
        }
    }

    #[test]
    fn a_value_is_new_until_it_was_seen_and_again_when_it_has_expired() {
        let mut seen = Seen::default();
        assert!(seen.see(1, Some(110), 100, 9));
        assert!(!seen.see(1, Some(119), 109, 9));
        assert!(seen.see(1, None, 110, 9));
        assert!(!seen.see(1, Some(u64::MAX), u64::MAX - 1, 9));
    }

    #[test]
    fn a_full_memory_forgets_the_oldest() {
        let mut seen = Seen::default();
        for value in 0..100u8 {
            assert!(seen.see(value, None, 0, 3));
        }
        assert_eq!((seen.entries.len(), seen.order.len()), (3, 3));
        assert!(!seen.see(97, None, 0, 3));
        assert!(seen.see(96, None, 0, 3));
        assert!(seen.see(97, None, 0, 3), "it was the oldest then");
    }

    #[test]
    fn values_that_expire_again_and_again_pile_nothing_up() {
        let mut seen = Seen::default();
        for now in 0..10_000 {
            assert!(seen.see(1, Some(now), now, 1000));
        }
        assert!(seen.order.len() <= 64);
        assert_eq!((seen.entries.len(), seen.bytes), (1, 1 + ENTRY_BYTES));
        for value in 2..9 {
            assert!(seen.see(value, Some(20_000), 10_000, 1000));
        }
        seen.see(99, None, 20_000, 1000);
        assert_eq!(seen.entries.len(), 1, "what has expired is gone");
    }

    #[test]
    fn a_page_goes_with_the_last_of_its_values() {
        let mut seen = Seen::default();
        let first = [seen.fresh(1, 3), seen.fresh(2, 3)];
        assert_eq!(seen.store_all(&first), (Some(1), vec![]));
        let second = [seen.fresh(3, 3), seen.fresh(4, 3)];
        assert_eq!(seen.store_all(&second), (Some(2), vec![]), "2 is known");
        let third = [seen.fresh(5, 3)];
        assert_eq!(seen.store_all(&third), (Some(3), vec![1]));
        // Forgotten before it was stored.
        let fourth = [seen.fresh(6, 1)];
        seen.fresh(7, 1);
        assert_eq!(seen.store_all(&fourth), (None, vec![2, 3]));
        assert!(seen.end().is_empty());
        assert_eq!(seen.store_all(&fourth), (None, vec![]));
    }

    #[test]
    fn a_known_value_waits_for_its_page() {
        let mut seen = Seen::default();
        let stored = [seen.fresh(1, 9)];
        let dropped = [seen.fresh(2, 9)];
        assert_eq!(seen.commit_of(&[1]), None);
        seen.store(&stored);
        assert_eq!(seen.commit_of(&[1]), None);
        seen.stored(1, Lsn(7));
        assert_eq!(seen.commit_of(&[1]), Some(Lsn(7)));
        seen.keep_in_memory(&dropped);
        assert_eq!(seen.commit_of(&[2]), Some(Lsn::NONE));
        assert_eq!(seen.commit_of(&[3]), Some(Lsn::NONE));
    }

    #[test]
    fn what_was_stored_is_known_again() {
        let mut seen = Seen::default();
        let page = [
            expiring(1, None),
            expiring(2, Some(50)),
            expiring(3, Some(60)),
        ];
        seen.restore(4, page.to_vec(), 50, 9);
        seen.restore(6, vec![expiring(2, Some(50))], 50, 9);
        seen.restore(7, vec![expiring(3, Some(70))], 50, 9);
        assert!(!seen.see(1, None, 50, 9));
        assert!(seen.see(2, None, 50, 9));
        assert!(!seen.see(3, None, 60, 9));
        let new = [seen.fresh(8, 9)];
        assert_eq!(seen.store_all(&new), (Some(8), vec![6]));
        // No more than there is room for, the latest first.
        let mut small = Seen::default();
        small.restore(1, vec![expiring(1, None), expiring(2, None)], 0, 1);
        small.restore(2, vec![expiring(3, None)], 0, 1);
        assert_eq!((small.entries.len(), small.pages.len()), (1, 1));
        let mut pages = small.end();
        pages.sort_unstable();
        assert_eq!(pages, [1, 2]);
    }
}
