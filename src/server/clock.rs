//! The one place that asks what time it is.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Monotonic time, and milliseconds since the Unix epoch that never run backwards while the node runs.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Instant,
    base_ms: u64,
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
            base_ms: since_epoch.as_millis() as u64,
        }
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// `now` as milliseconds since the Unix epoch.
    pub fn millis(&self, now: Instant) -> u64 {
        self.base_ms + now.saturating_duration_since(self.base).as_millis() as u64
    }

    /// When `millis` will be, as monotonic time.
    pub fn instant(&self, millis: u64) -> Instant {
        self.base + Duration::from_millis(millis.saturating_sub(self.base_ms))
    }
}
