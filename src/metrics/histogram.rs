//! How long things took: counts by upper bounds, as Prometheus has them.

use std::ops::AddAssign;

use crate::metrics::SharedCount;

/// Bounds of a histogram; what is beyond the last has a count of its own.
pub const BOUNDS: usize = 12;

/// Upper bounds of how long messages waited in a queue, in milliseconds.
pub const WAIT_BOUNDS_MS: [u64; BOUNDS] = [
    1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000, 600_000, 3_600_000,
];

/// Upper bounds of how long publishers waited for a confirm, in microseconds.
pub const CONFIRM_BOUNDS_US: [u64; BOUNDS] = [
    100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
];

/// Counts of one moment; each is of its bound alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// So many were within each bound and beyond the one before; the last were beyond all.
    pub counts: [u64; BOUNDS + 1],
    /// Of all values.
    pub sum: u64,
}

impl Histogram {
    /// `count` times `value`.
    pub fn add(&mut self, bounds: &[u64; BOUNDS], value: u64, count: u64) {
        self.counts[place(bounds, value)] += count;
        self.sum = self.sum.wrapping_add(value.wrapping_mul(count));
    }
}

impl AddAssign for Histogram {
    fn add_assign(&mut self, more: Self) {
        for (count, more) in self.counts.iter_mut().zip(more.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(more.sum);
    }
}

/// A histogram that any thread may change.
#[derive(Debug, Default)]
pub struct SharedHistogram {
    counts: [SharedCount; BOUNDS + 1],
    sum: SharedCount,
}

impl SharedHistogram {
    /// `count` times `value`.
    pub fn add(&self, bounds: &[u64; BOUNDS], value: u64, count: u64) {
        self.counts[place(bounds, value)].add(count);
        self.sum.add(value.wrapping_mul(count));
    }

    /// What it is now.
    pub fn get(&self) -> Histogram {
        Histogram {
            counts: std::array::from_fn(|place| self.counts[place].get()),
            sum: self.sum.get(),
        }
    }
}

/// Most values are small, and found at once.
fn place(bounds: &[u64; BOUNDS], value: u64) -> usize {
    let found = bounds.iter().position(|bound| value <= *bound);
    found.unwrap_or(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_at_the_first_bound_that_holds_it() {
        let shared = SharedHistogram::default();
        let mut plain = Histogram::default();
        for (value, count) in [(0, 2), (1, 1), (2, 1), (3_600_000, 1), (3_600_001, 4)] {
            shared.add(&WAIT_BOUNDS_MS, value, count);
            plain.add(&WAIT_BOUNDS_MS, value, count);
        }
        let mut expected = [0; BOUNDS + 1];
        (expected[0], expected[1], expected[11], expected[12]) = (3, 1, 1, 4);
        assert_eq!(plain.counts, expected);
        assert_eq!(plain.sum, 1 + 2 + 3_600_000 + 4 * 3_600_001);
        assert_eq!(shared.get(), plain);
        let mut double = plain;
        double += plain;
        assert_eq!(double.counts[12], 8);
        assert!(WAIT_BOUNDS_MS.is_sorted() && CONFIRM_BOUNDS_US.is_sorted());
    }
}
