//! The consistent-hash exchange: the binding key is a weight, each hash has one destination (specification §5.3).
//!
//! Weighted rendezvous hashing: every destination bids for a hash, the highest bid has it. So a destination that comes
//! takes hashes from the others in proportion to its weight, one that goes leaves its own to them, and nothing else
//! moves; the order in which bindings were made counts for nothing. One look costs a multiplication a destination.
//!
//! As in RabbitMQ a destination's first binding counts and further ones do not, until the first is gone.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

use crate::routing::RoutingError;
use crate::routing::hash;
use crate::routing::hash::mix;

/// Destinations of one weight.
#[derive(Debug, Clone)]
struct Class<D> {
    weight: u64,
    /// With the hashes of their names.
    members: Vec<(u64, D)>,
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct ConsistentHash<D> {
    classes: Vec<Class<D>>,
    /// Weights of each destination's bindings, the one that counts first.
    weights: HashMap<D, Vec<u64>, RandomState>,
}

impl<D> Default for ConsistentHash<D> {
    fn default() -> Self {
        Self {
            classes: Vec::new(),
            weights: HashMap::default(),
        }
    }
}

/// The weight that a binding key stands for: an integer as Erlang reads them, at least 1. Beyond 64 bits it is cut.
pub(super) fn weight(key: &str) -> Result<u64, RoutingError> {
    let (negative, digits) = match key.as_bytes() {
        [b'-', ..] => (true, &key[1..]),
        [b'+', ..] => (false, &key[1..]),
        _ => (false, key),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RoutingError::WeightFormat {
            key: key.to_owned(),
        });
    }
    match digits.parse().unwrap_or(u64::MAX) {
        0 => Err(RoutingError::WeightTooSmall),
        _ if negative => Err(RoutingError::WeightTooSmall),
        weight => Ok(weight),
    }
}

impl<D: Clone + Eq + Hash> ConsistentHash<D> {
    pub(super) fn insert(&mut self, weight: u64, destination: &D) {
        let weights = self.weights.entry(destination.clone()).or_default();
        weights.push(weight);
        if weights.len() == 1 {
            self.enter(weight, destination);
        }
    }

    pub(super) fn remove(&mut self, weight: u64, destination: &D) {
        let Some(weights) = self.weights.get_mut(destination) else {
            return;
        };
        let Some(position) = weights.iter().position(|other| *other == weight) else {
            return;
        };
        weights.remove(position);
        let next = weights.first().copied();
        if position > 0 {
            return;
        }
        self.leave(weight, destination);
        match next {
            Some(next) => self.enter(next, destination),
            None => {
                self.weights.remove(destination);
            }
        }
    }

    fn enter(&mut self, weight: u64, destination: &D) {
        let member = (hash::of(destination), destination.clone());
        match self.classes.iter_mut().find(|class| class.weight == weight) {
            Some(class) => class.members.push(member),
            None => self.classes.push(Class {
                weight,
                members: vec![member],
            }),
        }
    }

    fn leave(&mut self, weight: u64, destination: &D) {
        let position = self.classes.iter().position(|class| class.weight == weight);
        let Some(class) = position.map(|position| &mut self.classes[position]) else {
            return;
        };
        class.members.retain(|(_, member)| member != destination);
        if class.members.is_empty() {
            self.classes.retain(|class| !class.members.is_empty());
        }
    }

    /// The destination of what hashes to `draw`.
    pub(super) fn pick(&self, draw: u64) -> Option<&D> {
        let best_of_class = self.classes.iter().filter_map(|class| {
            let bids = class
                .members
                .iter()
                .map(|(hash, member)| (mix(draw ^ hash), member));
            let (bid, member) = bids.max_by_key(|(bid, _)| *bid)?;
            Some((score(bid, class.weight), member))
        });
        let (_, destination) = best_of_class.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        Some(destination)
    }
}

/// Grows with the bid. Of all bidders each has the highest score with a probability in proportion to its weight, when
/// bids are uniform.
fn score(bid: u64, weight: u64) -> f64 {
    let uniform = ((bid >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -(weight as f64) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(weights: &[(u32, u64)]) -> ConsistentHash<u32> {
        let mut ring = ConsistentHash::default();
        for (destination, weight) in weights {
            ring.insert(*weight, destination);
        }
        ring
    }

    fn draw(number: u64) -> u64 {
        hash::stable_hash(&number.to_be_bytes())
    }

    #[track_caller]
    fn check_weight(key: &str, expected: Result<u64, &str>) {
        let actual = weight(key).map_err(|error| error.to_string());
        assert_eq!(actual, expected.map_err(str::to_owned), "key {key:?}");
    }

    #[test]
    fn weights_are_positive_integers() {
        check_weight("1", Ok(1));
        check_weight("007", Ok(7));
        check_weight("+5", Ok(5));
        check_weight("99999999999999999999999", Ok(u64::MAX));
        for key in ["0", "-1", "-0", "-99999999999999999999"] {
            check_weight(key, Err("The binding key must be greater than 0"));
        }
        for key in ["k", " 1", "1 ", "1.0", "1e3", "+", "--1"] {
            let text = format!("The binding key must be an integer: <<\"{key}\">>");
            check_weight(key, Err(&text));
        }
        check_weight("", Err("The binding key must be an integer: <<>>"));
    }

    #[test]
    fn destinations_get_their_share() {
        let weights = [(1, 1), (2, 2), (3, 3), (4, 10), (5, 10), (6, 4)];
        let ring = ring(&weights);
        let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
        let draws = 60_000;
        let mut counts = HashMap::new();
        for number in 0..draws {
            *counts
                .entry(*ring.pick(draw(number)).expect("bound"))
                .or_insert(0u64) += 1;
        }
        for (destination, weight) in weights {
            let expected = draws * weight / total;
            let actual = counts[&destination];
            let apart = actual.abs_diff(expected);
            assert!(
                apart * 10 < expected,
                "{destination}: {actual}, not about {expected}"
            );
        }
    }

    #[test]
    fn the_first_binding_counts_until_it_goes() {
        let mut ring = ring(&[(1, 10), (1, 1_000_000), (2, 10)]);
        let of_first = |ring: &ConsistentHash<u32>| {
            let picked = (0..1000).filter(|number| ring.pick(draw(*number)) == Some(&1));
            picked.count()
        };
        assert!((400..600).contains(&of_first(&ring)));
        ring.remove(10, &1);
        assert!(of_first(&ring) > 990, "now the other one counts");
        ring.remove(7, &1);
        ring.remove(1_000_000, &1);
        assert_eq!(of_first(&ring), 0);
        ring.remove(10, &2);
        assert_eq!(ring.pick(draw(1)), None);
        assert!(ring.classes.is_empty() && ring.weights.is_empty());
    }

    proptest! {
        #[test]
        fn only_what_must_move_moves(
            weights in proptest::collection::vec(1..20u64, 1..20),
            newcomer in 1..50u64,
            numbers in proptest::collection::vec(any::<u64>(), 200),
        ) {
            let bound: Vec<(u32, u64)> = (0..).zip(weights).collect();
            let mut reversed = bound.clone();
            reversed.reverse();
            let before = ring(&bound);
            let mut grown = ring(&reversed);
            grown.insert(newcomer, &1000);
            let mut back = grown.clone();
            back.remove(newcomer, &1000);
            for number in numbers {
                let old = before.pick(draw(number));
                let new = grown.pick(draw(number));
                prop_assert!(new == old || new == Some(&1000));
                prop_assert_eq!(back.pick(draw(number)), old);
            }
        }
    }
}
