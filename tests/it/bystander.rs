//! A well-behaved client that publishes and consumes while others misbehave, and must not notice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::broker::eventually;
use crate::wire::Wire;
use crate::wire::encode;

/// Longest time from a publish to its confirm and its delivery. What misbehaves here waits for timers of seconds, and
/// whoever waits with it exceeds this; a machine that builds something else meanwhile does not.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);

/// See the module's documentation.
pub(crate) struct Bystander {
    thread: Option<JoinHandle<Duration>>,
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
}

impl Bystander {
    /// Works on a queue of its own until it is dismissed.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (stop, rounds) = (Arc::default(), Arc::default());
        let thread = std::thread::spawn({
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            move || work(address, &stop, &rounds)
        });
        Self {
            thread: Some(thread),
            stop,
            rounds,
        }
    }

    /// Waits until it has done something since the call: the broker serves others right now.
    pub(crate) fn is_served(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        eventually("the bystander goes on", || {
            self.thread.as_ref().is_none_or(JoinHandle::is_finished)
                || self.rounds.load(Ordering::Relaxed) > before + 1
        });
    }

    /// Ends its work, which must have been undisturbed; its slowest round trip.
    pub(crate) fn dismiss(mut self) -> Duration {
        self.is_served();
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().unwrap();
        thread.join().expect("the bystander noticed")
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn work(address: SocketAddr, stop: &AtomicBool, rounds: &AtomicU64) -> Duration {
    let mut wire = Wire::with_channel(address);
    wire.open_channel(2);
    wire.declare_queue("bystander", 0);
    wire.call(&encode::confirm_select(1), (85, 11));
    wire.call(&encode::consume(2, "bystander", 0), (60, 21));
    let mut slowest = Duration::ZERO;
    for round in 1.. {
        let begun = Instant::now();
        let body = u64::to_be_bytes(round);
        wire.send(&encode::publish(
            1,
            ("", "bystander"),
            0,
            encode::TRANSIENT,
            &body,
        ));
        receive(&mut wire, round, &body);
        wire.send(&encode::ack(2, round, false));
        let took = begun.elapsed();
        assert!(took < ROUND_TRIP_MAX, "a round trip took {took:?}");
        slowest = slowest.max(took);
        rounds.store(round, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Not to take the machine from those it watches.
        std::thread::sleep(Duration::from_millis(2));
    }
    wire.close();
    slowest
}

/// The confirm and the delivery of message `round`, in whatever order.
fn receive(wire: &mut Wire, round: u64, body: &[u8]) {
    let first = wire.next_method();
    let mut confirmed = BTreeSet::from([round]);
    if first.channel == 1 {
        assert_eq!(first.id, (60, 80));
        confirmed.clear();
        let message = wire.delivery(2);
        assert_eq!((message.tag, &*message.body), (round, body));
        assert!(!message.redelivered);
    } else {
        assert_eq!(first.id, (60, 60));
        assert_eq!(wire.content(2).1, body);
    }
    wire.await_confirms(1, &mut confirmed);
}
