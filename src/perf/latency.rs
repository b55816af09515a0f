//! How long things took, from the fastest to the slowest.

use hdrhistogram::Histogram;

/// Three digits, from a microsecond to a quarter of an hour.
const MICROSECONDS_MAX: u64 = 900_000_000;

/// Microseconds, since the beginning and since the last look.
pub(super) struct Latencies {
    all: Histogram<u64>,
    recent: Histogram<u64>,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// The fastest.
    pub min: u64,
    /// Half of all were faster.
    pub median: u64,
    /// Three of four were faster.
    pub p75: u64,
    /// 95 of 100 were faster.
    pub p95: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3).expect("bounds that are apart")
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self {
            all: histogram(),
            recent: histogram(),
        }
    }

    pub(super) fn record(&mut self, nanoseconds: u64, count: u64) {
        self.recent
            .saturating_record_n((nanoseconds / 1000).max(1), count);
    }

    /// Percentiles since the last look.
    pub(super) fn look(&mut self) -> Option<Percentiles> {
        let recent = percentiles(&self.recent);
        let _ = self.all.add(&self.recent);
        self.recent.reset();
        recent
    }

    /// Percentiles of all.
    pub(super) fn total(&mut self) -> Option<Percentiles> {
        self.look();
        percentiles(&self.all)
    }
}

fn percentiles(of: &Histogram<u64>) -> Option<Percentiles> {
    (!of.is_empty()).then(|| Percentiles {
        count: of.len(),
        min: of.min(),
        median: of.value_at_quantile(0.5),
        p75: of.value_at_quantile(0.75),
        p95: of.value_at_quantile(0.95),
        p99: of.value_at_quantile(0.99),
        max: of.max(),
    })
}
