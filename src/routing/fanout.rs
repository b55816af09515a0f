//! The fanout exchange: every destination, whatever the keys.

use std::hash::Hash;

use crate::routing::destinations::Destinations;

/// All destinations.
#[derive(Debug, Clone)]
pub(super) struct Fanout<D> {
    destinations: Destinations<D>,
}

impl<D> Default for Fanout<D> {
    fn default() -> Self {
        Self {
            destinations: Destinations::default(),
        }
    }
}

impl<D: Clone + Eq + Hash> Fanout<D> {
    pub(super) fn insert(&mut self, destination: &D) {
        self.destinations.insert(destination);
    }

    pub(super) fn remove(&mut self, destination: &D) {
        self.destinations.remove(destination);
    }

    pub(super) fn route(&self, out: &mut Vec<D>) {
        self.destinations.push_all(out);
    }
}
