//! The one place that asks what time it is.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Monotonic time, and milliseconds since the Unix epoch that never run backwards while the node runs.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Instant,
    /// What the system's clock said at `base`. Not in milliseconds: each start would round another part of one away, and
    /// what is due after a restart would come that much too early.
    since_epoch: Duration,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the clock is asked"
)]
impl Clock {
    /// A clock set by the system's.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            base: Instant::now(),
            since_epoch,
        }
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// `now` as milliseconds since the Unix epoch.
    pub fn millis(&self, now: Instant) -> u64 {
        (self.since_epoch + now.saturating_duration_since(self.base)).as_millis() as u64
    }

    /// When `millis` will begin, as monotonic time.
    pub fn instant(&self, millis: u64) -> Instant {
        self.base + Duration::from_millis(millis).saturating_sub(self.since_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_millisecond_begins_where_it_begins_on_the_systems_clock() {
        // As if each was started in another part of a millisecond.
        for nanos in [0, 1, 499_999, 999_999] {
            let clock = Clock {
                since_epoch: Duration::new(1000, nanos),
                ..Clock::start()
            };
            let begin = clock.instant(1_000_005);
            assert_eq!(clock.millis(begin), 1_000_005);
            assert_eq!(clock.millis(begin - Duration::from_nanos(1)), 1_000_004);
            let past = begin - clock.base + Duration::from_nanos(nanos.into());
            assert_eq!(past, Duration::from_millis(5));
        }
    }
}
