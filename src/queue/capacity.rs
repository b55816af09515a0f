//! How much of the time the queue could deliver at once: RabbitMQ's `consumer_capacity`.
//!
//! It can, until a message is ready and no consumer able to take it; then it cannot, until a consumer may be able again. The
//! average moves: what was a second ago counts half. Times are those at which the queue was entered.

use crate::queue::Queue;

/// As in RabbitMQ.
const HALF_LIFE_MS: f64 = 1000.0;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Capacity {
    able: bool,
    /// Since when it is so.
    since: u64,
    /// How long it was able before.
    able_ms: u64,
    average: f64,
}

impl Capacity {
    pub(super) fn new(now: u64) -> Self {
        Self {
            able: true,
            since: now,
            able_ms: 0,
            average: 1.0,
        }
    }

    /// A consumer may be able to take.
    #[inline]
    pub(super) fn is_able(&mut self, now: u64) {
        if !self.able {
            self.turn_able(now);
        }
    }

    #[cold]
    fn turn_able(&mut self, now: u64) {
        self.average = self.now(now);
        self.able = true;
        self.since = now;
    }

    /// A message is ready, and no consumer able to take it.
    pub(super) fn is_unable(&mut self, now: u64) {
        if self.able {
            self.able_ms = now.saturating_sub(self.since);
            self.able = false;
            self.since = now;
        }
    }

    fn now(&self, now: u64) -> f64 {
        let passed = now.saturating_sub(self.since);
        let (able_ms, unable_ms) = match self.able {
            true => (passed, 0),
            false => (self.able_ms, passed),
        };
        let time = (able_ms + unable_ms) as f64;
        if time == 0.0 {
            return self.average;
        }
        let weight = 0.5_f64.powf(time / HALF_LIFE_MS);
        able_ms as f64 / time * (1.0 - weight) + self.average * weight
    }
}

impl Queue {
    /// How much of the time it could deliver at once, from 0 to 1: a moving average. 0 without consumers, and of a stream,
    /// which has none such, what is true now.
    pub fn consumer_capacity(&self, now: u64) -> f64 {
        match &self.stream {
            _ if self.consumers.len() == 0 => 0.0,
            Some(_) if self.consumers.has_next() => 1.0,
            Some(_) => 0.0,
            None => self.capacity.now(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(capacity: &Capacity, now: u64, wanted: f64) {
        let share = capacity.now(now);
        assert!((share - wanted).abs() < 0.001, "{share} is not {wanted}");
    }

    #[test]
    fn the_average_forgets_by_half_a_second() {
        let mut capacity = Capacity::new(0);
        check(&capacity, 0, 1.0);
        check(&capacity, 5000, 1.0);
        capacity.is_unable(0);
        check(&capacity, 0, 1.0);
        check(&capacity, 1000, 0.5);
        check(&capacity, 2000, 0.25);
        capacity.is_unable(1500);
        check(&capacity, 2000, 0.25);
        capacity.is_able(2000);
        check(&capacity, 2000, 0.25);
        check(&capacity, 3000, 0.625);
    }

    #[test]
    fn turns_within_a_millisecond_are_no_time() {
        let mut capacity = Capacity::new(7);
        for _ in 0..10 {
            capacity.is_unable(7);
            capacity.is_able(7);
        }
        check(&capacity, 7, 1.0);
        for now in 7..1007 {
            capacity.is_unable(now);
            capacity.is_able(now + 1);
        }
        check(&capacity, 1007, 0.5);
    }
}
