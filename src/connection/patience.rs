//! How long a client may keep deliveries without acknowledging them.
//!
//! As in RabbitMQ a tick looks at the oldest delivery of each channel, not a timer at each delivery. Between two
//! ticks nothing is done but to note the second in which something was delivered. What the limit is the host knows.

use std::time::Duration;
use std::time::Instant;

use crate::connection::Connection;
use crate::connection::Phase;
use crate::connection::reply_text::NO_METHOD;
use crate::connection::turn::Turn;
use crate::model::AmqpError;

/// Since when deliveries are out, and when to look at them.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    /// Seconds since the connection began, as of this turn.
    second: u32,
    check_at: Option<Instant>,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            second: 0,
            check_at: None,
        }
    }

    /// The time of what follows.
    pub(super) fn turn(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.began).as_secs();
        self.second = u32::try_from(seconds).unwrap_or(u32::MAX);
    }

    /// Seconds since the connection began, as of this turn.
    pub(super) fn second(&self) -> u32 {
        self.second
    }

    /// Something was delivered that is to be acknowledged: the second to remember with it.
    pub(super) fn delivered(&mut self, interval: Duration) -> u32 {
        if self.check_at.is_none() {
            let now = self.began + Duration::from_secs(self.second.into());
            self.check_at = Some(now + interval);
        }
        self.second
    }

    /// When [`Connection::check_patience`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.check_at
    }

    /// How long ago at the least.
    fn age(&self, at: u32) -> Duration {
        Duration::from_secs(self.second.saturating_sub(at).saturating_sub(1).into())
    }
}

impl Connection {
    /// Closes the channels whose oldest delivery has been out for too long.
    pub(super) fn check_patience(&mut self, turn: &mut Turn<'_>) {
        let patience = &mut self.shared.patience;
        if patience.check_at.is_none_or(|at| at > turn.now) {
            return;
        }
        patience.turn(turn.now);
        patience.check_at = None;
        if self.phase != Phase::Open {
            return;
        }
        let mut overdue = Vec::new();
        let mut waits = false;
        for (id, channel) in &self.channels {
            let Some((range, at)) = channel.oldest_unacked() else {
                continue;
            };
            let limit = turn.host.consumer_timeout(range.queue);
            match limit.filter(|limit| *limit < self.shared.patience.age(at)) {
                Some(limit) => overdue.push((*id, limit)),
                None => waits = true,
            }
        }
        for (id, limit) in overdue {
            let error = AmqpError::precondition_failed(format!(
                "delivery acknowledgement on channel {} timed out. Timeout value used: {} ms. This timeout value can \
                 be configured, see consumers doc guide to learn more",
                id.0,
                limit.as_millis()
            ));
            self.fail_channel(id, error, NO_METHOD, turn);
        }
        if waits {
            self.shared.patience.check_at =
                Some(turn.now + self.shared.options.channel_tick_interval);
        }
    }
}
