//! Lets the broker do what is due: message TTL, queue expiry.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::broker::Broker;
use crate::server::Clock;

/// A delay may be longer than a timer can be set; waking up too early does no harm.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 3600);

/// Runs until it is dropped with its loop.
pub(super) async fn run(broker: Arc<Broker>, clock: Clock) {
    let mut sleep = Box::pin(tokio::time::sleep_until(clock.now().into()));
    loop {
        poll_fn(|cx| {
            let Some(next) = broker.next_timer(cx.waker()) else {
                return Poll::Pending;
            };
            let until = clock.instant(next).min(clock.now() + SLEEP_MAX);
            sleep.as_mut().reset(until.into());
            sleep.as_mut().poll(cx)
        })
        .await;
        broker.run_timers(clock.millis(clock.now()));
    }
}
