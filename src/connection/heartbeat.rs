//! When to send a heartbeat, and when the peer is dead (specification §1.4).
//!
//! Knows times alone; what a heartbeat looks like is the codec's business.

use std::time::Duration;
use std::time::Instant;

/// Checks in a row without a sign of life after which the peer is dead.
const SILENT_CHECKS_MAX: u8 = 2;

/// What to do at a [`Heartbeats::tick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Rest,
    /// Send a heartbeat.
    Send,
    /// The peer was silent for two intervals: drop the socket.
    Dead,
}

/// The heartbeats of one connection, both ways. Silent until started.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    interval: Duration,
    sent_at: Instant,
    check_at: Instant,
    heard: bool,
    silent_checks: u8,
}

impl Heartbeats {
    /// The client chose `seconds`; 0 is none.
    pub(super) fn start(&mut self, seconds: u16, now: Instant) {
        let interval = Duration::from_secs(u64::from(seconds));
        self.running = (seconds > 0).then(|| Running {
            interval,
            sent_at: now,
            check_at: now + interval,
            heard: false,
            silent_checks: 0,
        });
    }

    pub(super) fn stop(&mut self) {
        self.running = None;
    }

    /// Octets came.
    pub(super) fn heard(&mut self) {
        if let Some(running) = &mut self.running {
            running.heard = true;
        }
    }

    /// Octets went out.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Some(running) = &mut self.running {
            running.sent_at = now;
        }
    }

    /// When to call [`Heartbeats::tick`] next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let running = self.running.as_ref()?;
        Some(running.check_at.min(running.send_at()))
    }

    /// `listening`: we read the socket. While we do not, silence proves nothing.
    pub(super) fn tick(&mut self, now: Instant, listening: bool) -> Beat {
        let Some(running) = &mut self.running else {
            return Beat::Rest;
        };
        if now >= running.check_at {
            running.check_at = now + running.interval;
            if running.heard || !listening {
                running.silent_checks = 0;
            } else {
                running.silent_checks += 1;
            }
            running.heard = false;
            if running.silent_checks >= SILENT_CHECKS_MAX {
                self.running = None;
                return Beat::Dead;
            }
        }
        if now >= running.send_at() {
            // Written or not: one at a time is enough for a peer that does not read.
            running.sent_at = now;
            return Beat::Send;
        }
        Beat::Rest
    }
}

impl Running {
    fn send_at(&self) -> Instant {
        self.sent_at + self.interval / 2
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to count from"
)]
mod tests {
    use super::*;

    fn started() -> (Heartbeats, Instant) {
        let mut heartbeats = Heartbeats::default();
        let start = Instant::now();
        heartbeats.start(10, start);
        (heartbeats, start)
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_connection_sends_one_every_half_interval() {
        let (mut heartbeats, start) = started();
        assert_eq!(heartbeats.deadline(), Some(at(start, 5)));
        assert_eq!(heartbeats.tick(at(start, 4), true), Beat::Rest);
        assert_eq!(heartbeats.tick(at(start, 5), true), Beat::Send);
        assert_eq!(heartbeats.deadline(), Some(at(start, 10)));
    }

    #[test]
    fn what_else_is_sent_counts() {
        let (mut heartbeats, start) = started();
        heartbeats.sent(at(start, 4));
        assert_eq!(heartbeats.tick(at(start, 5), true), Beat::Rest);
        assert_eq!(heartbeats.deadline(), Some(at(start, 9)));
    }

    #[test]
    fn two_silent_checks_are_death() {
        let (mut heartbeats, start) = started();
        heartbeats.heard();
        assert_ne!(heartbeats.tick(at(start, 10), true), Beat::Dead);
        assert_ne!(heartbeats.tick(at(start, 20), true), Beat::Dead);
        assert_eq!(heartbeats.tick(at(start, 30), true), Beat::Dead);
    }

    #[test]
    fn any_octet_between_checks_is_life() {
        let (mut heartbeats, start) = started();
        for check in 1..10 {
            if check % 2 == 0 {
                heartbeats.heard();
            }
            assert_ne!(heartbeats.tick(at(start, 10 * check), true), Beat::Dead);
        }
    }

    #[test]
    fn silence_does_not_count_while_we_do_not_listen() {
        let (mut heartbeats, start) = started();
        for check in 1..10 {
            assert_ne!(heartbeats.tick(at(start, 10 * check), false), Beat::Dead);
        }
        assert_ne!(heartbeats.tick(at(start, 100), true), Beat::Dead);
        assert_eq!(heartbeats.tick(at(start, 110), true), Beat::Dead);
    }

    #[test]
    fn zero_turns_them_off() {
        let mut heartbeats = Heartbeats::default();
        let start = Instant::now();
        heartbeats.start(0, start);
        assert_eq!(heartbeats.deadline(), None);
        assert_eq!(heartbeats.tick(at(start, 1000), true), Beat::Rest);
    }
}
