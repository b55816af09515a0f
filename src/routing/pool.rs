//! Exchanges that pick one destination of all: at random, or by a hash over the routing keys.
//!
//! Each binding counts, so a destination with two bindings is picked twice as often, as in RabbitMQ. The list is sorted
//! by the destinations' hashes: the same bindings give the same picks, in whatever order they were made.

use std::hash::Hash;

use crate::routing::hash;

/// One entry for each binding.
#[derive(Debug, Clone)]
pub(super) struct Pool<D> {
    /// Sorted by the hash of the destination.
    entries: Vec<(u64, D)>,
}

impl<D> Default for Pool<D> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<D: Clone + Eq + Hash> Pool<D> {
    pub(super) fn insert(&mut self, destination: &D) {
        let hash = hash::of(destination);
        let at = self.entries.partition_point(|(other, _)| *other < hash);
        self.entries.insert(at, (hash, destination.clone()));
    }

    pub(super) fn remove(&mut self, destination: &D) {
        let hash = hash::of(destination);
        let from = self.entries.partition_point(|(other, _)| *other < hash);
        let found = self.entries[from..]
            .iter()
            .take_while(|(other, _)| *other == hash)
            .position(|(_, other)| other == destination);
        if let Some(offset) = found {
            self.entries.remove(from + offset);
        }
    }

    /// The destination that `draw` falls on.
    pub(super) fn pick(&self, draw: u64) -> Option<&D> {
        let len = self.entries.len() as u64;
        let (_, destination) = self.entries.get(draw.checked_rem(len)? as usize)?;
        Some(destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::hash::mix;

    #[test]
    fn every_binding_is_picked_as_often_as_any_other() {
        let mut pool = Pool::default();
        for destination in [1, 2, 2, 2] {
            pool.insert(&destination);
        }
        let count = |wanted: u32| {
            let picked = (0..4000).filter_map(|draw| pool.pick(draw));
            picked.filter(|destination| **destination == wanted).count()
        };
        assert_eq!((count(1), count(2)), (1000, 3000));
    }

    #[test]
    fn the_order_of_binding_makes_no_difference() {
        let (mut one, mut other) = (Pool::default(), Pool::default());
        for destination in 0..50 {
            one.insert(&destination);
            other.insert(&(49 - destination));
        }
        for draw in 0..1000 {
            assert_eq!(one.pick(mix(draw)), other.pick(mix(draw)));
        }
    }

    #[test]
    fn who_left_is_not_picked() {
        let mut pool = Pool::default();
        for destination in [1, 2, 2] {
            pool.insert(&destination);
        }
        pool.remove(&2);
        pool.remove(&3);
        assert_eq!(pool.entries.len(), 2);
        pool.remove(&2);
        assert_eq!(pool.pick(7), Some(&1));
        pool.remove(&1);
        assert_eq!(pool.pick(7), None);
    }
}
