//! How many messages are due: rates that hold for some time, one after the other.

use std::time::Duration;

use crate::perf::RateStep;

/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

/// The pace of one producer or consumer.
pub(super) struct Pace {
    steps: Vec<RateStep>,
    step: usize,
    /// When the step began, and how many messages have gone since.
    began: u64,
    gone: u64,
}

impl Pace {
    /// `None`: as fast as it goes.
    pub(super) fn new(steps: &[RateStep], now: u64) -> Option<Self> {
        (!steps.is_empty()).then(|| Self {
            steps: steps.to_vec(),
            step: 0,
            began: now,
            gone: 0,
        })
    }

    /// How many messages are due at `now`, in nanoseconds.
    pub(super) fn due(&mut self, now: u64) -> u64 {
        let step = self.steps[self.step];
        let passed = now.saturating_sub(self.began);
        if self.steps.len() > 1 && passed >= step.time.as_nanos() as u64 {
            self.step = (self.step + 1) % self.steps.len();
            self.began = now;
            self.gone = 0;
            return 0;
        }
        // The first is due at once.
        let due = (passed as f64 * step.rate / SECOND) as u64 + u64::from(step.rate > 0.0);
        due.saturating_sub(self.gone)
    }

    pub(super) fn went(&mut self, count: u64) {
        self.gone += count;
    }

    /// How long until the next is due.
    pub(super) fn until_next(&self, now: u64) -> Duration {
        let step = self.steps[self.step];
        let at = match step.rate > 0.0 {
            true => self.began + (self.gone as f64 * SECOND / step.rate) as u64,
            false => self.began + step.time.as_nanos() as u64,
        };
        Duration::from_nanos(at.saturating_sub(now).max(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_as_the_rates_say() {
        let step = |rate, seconds| RateStep {
            rate,
            time: Duration::from_secs(seconds),
        };
        let mut pace = Pace::new(&[step(10.0, 1), step(1000.0, 1)], 0).expect("a pace");
        assert_eq!(pace.due(0), 1);
        pace.went(1);
        assert_eq!(pace.due(50_000_000), 0);
        assert_eq!(pace.until_next(50_000_000), Duration::from_millis(50));
        assert_eq!(pace.due(500_000_000), 5);
        assert_eq!(pace.due(1_000_000_000), 0, "the next step begins");
        assert_eq!(pace.due(1_100_000_000), 101);
        assert!(Pace::new(&[], 0).is_none());
    }
}
