//! How many messages clients have published to the queue through each exchange.

use crate::queue::Queue;

/// Exchanges that are counted at a time; when there are more, the one that has been idle longest is forgotten.
const SOURCES_MAX: usize = 64;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// By the exchange's id. The last one is at the front.
    all: Vec<(u64, u64)>,
}

impl Sources {
    // Once for each batch and queue; so is what calls it.
    #[inline(always)]
    fn add(&mut self, exchange: u64, count: u64) {
        match self.all.first_mut() {
            Some((last, counted)) if *last == exchange => *counted += count,
            _ => self.turn_to(exchange, count),
        }
    }

    #[cold]
    fn turn_to(&mut self, exchange: u64, count: u64) {
        match self.all.iter().position(|(known, _)| *known == exchange) {
            Some(at) => self.all[..=at].rotate_right(1),
            None => {
                self.all.truncate(SOURCES_MAX - 1);
                // Most queues have one, and there are many queues.
                self.all.reserve_exact(1);
                self.all.insert(0, (exchange, 0));
            }
        }
        self.all[0].1 += count;
    }
}

impl Queue {
    /// Messages are about to be enqueued that a client has published to the exchange of this id.
    #[inline(always)]
    pub fn published(&mut self, exchange: u64, count: usize) {
        self.sources.add(exchange, count as u64);
    }

    /// How many messages clients have published through each exchange, by its id; the last one first.
    pub fn sources(&self) -> &[(u64, u64)] {
        &self.sources.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exchange_is_counted_and_the_last_stands_first() {
        let mut sources = Sources::default();
        for (exchange, count) in [(1, 2), (2, 1), (1, 3), (3, 1), (3, 4), (2, 1)] {
            sources.add(exchange, count);
        }
        assert_eq!(sources.all, [(2, 2), (3, 5), (1, 5)]);
    }

    #[test]
    fn the_one_that_was_idle_longest_is_forgotten() {
        let mut sources = Sources::default();
        for exchange in 1..=SOURCES_MAX as u64 {
            sources.add(exchange, 1);
        }
        sources.add(1, 1);
        sources.add(1000, 1);
        assert_eq!(sources.all.len(), SOURCES_MAX);
        assert_eq!(sources.all[..2], [(1000, 1), (1, 2)]);
        assert!(!sources.all.contains(&(2, 1)));
    }
}
