//! The direct exchange: the binding key equals the routing key, octet by octet.
//!
//! Arguments of bindings make no difference here; the [`Ledger`](super::ledger::Ledger) tells them apart.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

use crate::model::RoutingKey;
use crate::routing::destinations::Destinations;

/// Destinations by binding key.
#[derive(Debug, Clone)]
pub(super) struct Direct<D> {
    keys: HashMap<RoutingKey, Destinations<D>, RandomState>,
}

impl<D> Default for Direct<D> {
    fn default() -> Self {
        Self {
            keys: HashMap::default(),
        }
    }
}

impl<D: Clone + Eq + Hash> Direct<D> {
    pub(super) fn insert(&mut self, key: &RoutingKey, destination: &D) {
        self.keys
            .entry(key.clone())
            .or_default()
            .insert(destination);
    }

    pub(super) fn remove(&mut self, key: &str, destination: &D) {
        if let Some(destinations) = self.keys.get_mut(key) {
            destinations.remove(destination);
            if destinations.is_empty() {
                self.keys.remove(key);
            }
        }
    }

    /// A look-up and nothing else: keys that nobody bound leave no trace.
    pub(super) fn route(&self, key: &str, out: &mut Vec<D>) {
        if let Some(destinations) = self.keys.get(key) {
            destinations.push_all(out);
        }
    }
}
