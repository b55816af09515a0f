//! A counted set of destinations that is walked as a list.
//!
//! Most keys have one destination and most exchanges a handful, so it is a plain list; past [`INDEX_FROM`] it keeps
//! a hash index, so that taking one of 100,000 destinations away stays cheap. It does not know keys or patterns.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// From this many destinations on, a hash look-up is cheaper than a walk along the list.
const INDEX_FROM: usize = 32;

#[derive(Debug, Clone)]
struct Counted<D> {
    destination: D,
    /// Bindings that lead here: same key, other arguments.
    bindings: u32,
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Destinations<D> {
    list: Vec<Counted<D>>,
    /// Position in `list`; only kept for long lists.
    #[expect(
        clippy::box_collection,
        reason = "most have none: 8 bytes instead of 40"
    )]
    index: Option<Box<HashMap<D, u32, RandomState>>>,
}

impl<D> Default for Destinations<D> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            index: None,
        }
    }
}

impl<D: Clone + Eq + Hash> Destinations<D> {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Counts one more binding that leads to `destination`.
    pub(super) fn insert(&mut self, destination: &D) {
        if let Some(position) = self.position(destination) {
            self.list[position].bindings += 1;
            return;
        }
        let position = self.list.len();
        self.list.push(Counted {
            destination: destination.clone(),
            bindings: 1,
        });
        if let Some(index) = &mut self.index {
            index.insert(destination.clone(), position as u32);
        } else if self.list.len() >= INDEX_FROM {
            let positions = self.list.iter().zip(0..);
            self.index = Some(Box::new(
                positions
                    .map(|(counted, position)| (counted.destination.clone(), position))
                    .collect(),
            ));
        }
    }

    /// Counts one binding less; the destination goes with its last one.
    pub(super) fn remove(&mut self, destination: &D) {
        let Some(position) = self.position(destination) else {
            return;
        };
        self.list[position].bindings -= 1;
        if self.list[position].bindings > 0 {
            return;
        }
        self.list.swap_remove(position);
        if let Some(index) = &mut self.index {
            index.remove(destination);
            if let Some(moved) = self.list.get(position) {
                index.insert(moved.destination.clone(), position as u32);
            }
            // Well below the bound, so that a set around it does not rebuild its index all the time.
            if self.list.len() < INDEX_FROM / 2 {
                self.index = None;
                self.list.shrink_to_fit();
            }
        }
    }

    /// Pushes each destination once.
    pub(super) fn push_all(&self, out: &mut Vec<D>) {
        out.extend(self.list.iter().map(|counted| counted.destination.clone()));
    }

    fn position(&self, destination: &D) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(destination).map(|position| *position as usize),
            None => self
                .list
                .iter()
                .position(|counted| counted.destination == *destination),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(destinations: &Destinations<u32>) -> Vec<u32> {
        let mut out = Vec::new();
        destinations.push_all(&mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn a_destination_stays_until_its_last_binding_goes() {
        let mut destinations = Destinations::default();
        destinations.insert(&1);
        destinations.insert(&1);
        destinations.insert(&2);
        assert_eq!(sorted(&destinations), [1, 2]);
        destinations.remove(&1);
        assert_eq!(sorted(&destinations), [1, 2]);
        destinations.remove(&1);
        destinations.remove(&3);
        assert_eq!(sorted(&destinations), [2]);
        destinations.remove(&2);
        assert!(destinations.is_empty());
    }

    #[test]
    fn long_lists_behave_as_short_ones() {
        let mut destinations = Destinations::default();
        for destination in 0..200 {
            destinations.insert(&destination);
        }
        for destination in (0..200).filter(|destination| destination % 3 != 0) {
            destinations.remove(&destination);
        }
        let kept: Vec<u32> = (0..200)
            .filter(|destination| destination % 3 == 0)
            .collect();
        assert_eq!(sorted(&destinations), kept);
        for destination in &kept[1..] {
            destinations.remove(destination);
        }
        destinations.insert(&7);
        assert_eq!(sorted(&destinations), [0, 7]);
    }
}
