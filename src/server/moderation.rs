//! Fewer wake-ups for clients that write each message by itself, as most do: interrupt moderation, as network cards have it.
//!
//! At 100,000 such messages a second a loop would sleep and wake for each one, which costs far more than the message. When
//! its reads are that many and that small, the loop naps before it asks for more, so that a batch gathers. The gate
//! opens and closes by what reads bring: low rates, requests that wait for an answer, and clients that write in batches
//! never see a nap. Where somebody beside the one that is gathered says a single thing, as who waits for an answer does,
//! the gate closes for long: such a client meets one nap in 500 of its time. A nap is short against what a network
//! takes, and no longer than a fraction of a millisecond.
//!
//! State is a loop's own; nothing is shared.

use std::cell::RefCell;
use std::time::Duration;
use std::time::Instant;

/// How long a loop naps.
const NAP: Duration = Duration::from_micros(200);

/// Reads that are judged together.
const WINDOW_READS: u32 = 128;

/// Reads come faster than this when the gate opens.
const READ_INTERVAL: Duration = Duration::from_micros(14);

/// Reads that bring more than this on average are batches already.
const SMALL_READ_BYTES: u64 = 1024;

/// A nap has to gather so many small reads to be worth it.
const GATHERED_MIN: u64 = 8;

/// A nap that gathers more than this holds its clients up.
const GATHERED_BYTES_MAX: u64 = 256 * 1024;

/// A read that brings less than so many small ones after a nap is of a client that does not stream.
const STREAM_MIN: u64 = 4;

/// How long the gate stays shut for clients that do not stream.
const SHUT: Duration = Duration::from_millis(100);

/// After so many naps in vain the gate closes.
const VAIN_MAX: u32 = 3;

#[derive(Debug, Default)]
struct Moderation {
    reads: u32,
    bytes: u64,
    /// When the reads that are judged together began.
    since: Option<Instant>,
    /// Octets of a small read when the gate opened; `None`: it is closed.
    open: Option<u64>,
    vain: u32,
    /// How often it napped.
    naps: u64,
    /// Somebody who does not stream said a single thing.
    lone: bool,
    /// The gate does not open before.
    shut_until: Option<Instant>,
}

thread_local! {
    static LOOP: RefCell<Moderation> = RefCell::default();
}

/// The nap after which a connection was last seen to stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streamed(u64);

/// A connection of this loop read so many octets; `said`: in which the client said something that may want an answer.
pub(super) fn note_read(bytes: usize, said: bool, streamed: &mut Streamed) {
    LOOP.with_borrow_mut(|moderation| moderation.note(bytes as u64, said, streamed));
}

/// The loop has nothing to do: it naps if that will gather something.
pub(super) fn before_park(now: impl Fn() -> Instant) {
    let naps = LOOP.with_borrow_mut(|moderation| moderation.judge(now));
    if naps {
        std::thread::sleep(NAP);
    }
}

impl Moderation {
    fn note(&mut self, bytes: u64, said: bool, streamed: &mut Streamed) {
        self.reads += 1;
        self.bytes += bytes;
        let Some(small) = self.open else { return };
        if bytes >= small * STREAM_MIN {
            streamed.0 = self.naps;
        } else if streamed.0 != self.naps {
            // Else it is what came while the rest was taken.
            self.lone |= said;
        }
    }

    /// Whether to nap.
    fn judge(&mut self, now: impl Fn() -> Instant) -> bool {
        match self.open {
            None => {
                if self.reads < WINDOW_READS {
                    return false;
                }
                let now = now();
                let small = self.bytes / u64::from(self.reads);
                let took = self.since.replace(now).map(|since| now - since);
                let is_fast = took.is_some_and(|took| took < READ_INTERVAL * self.reads);
                let is_shut = self.shut_until.is_some_and(|until| now < until);
                if !is_shut && is_fast && small <= SMALL_READ_BYTES {
                    self.open = Some(small.max(1));
                    self.vain = 0;
                }
            }
            Some(small) => {
                let in_vain = self.bytes < small * GATHERED_MIN;
                self.vain = if in_vain { self.vain + 1 } else { 0 };
                if self.lone && self.reads > 1 {
                    self.shut_until = Some(now() + SHUT);
                    self.open = None;
                    self.since = None;
                } else if self.vain >= VAIN_MAX || self.bytes > GATHERED_BYTES_MAX {
                    self.open = None;
                    self.since = None;
                }
            }
        }
        (self.reads, self.bytes, self.lone) = (0, 0, false);
        self.naps += u64::from(self.open.is_some());
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Loop {
        moderation: Moderation,
        began: Instant,
        passed: Duration,
        streamed: Streamed,
    }

    impl Loop {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        fn new() -> Self {
            Self {
                moderation: Moderation::default(),
                began: Instant::now(),
                passed: Duration::ZERO,
                streamed: Streamed::default(),
            }
        }

        /// Reads and parks so often; answers whether it napped at the end.
        fn run(&mut self, times: u32, bytes: u64, every: Duration) -> bool {
            let mut naps = false;
            for _ in 0..times {
                self.moderation.note(bytes, true, &mut self.streamed);
                self.passed += every;
                let now = self.began + self.passed;
                naps = self.moderation.judge(|| now);
            }
            naps
        }
    }

    #[test]
    fn only_many_small_reads_are_gathered() {
        let micros = Duration::from_micros;
        assert!(Loop::new().run(256, 60, micros(5)));
        assert!(!Loop::new().run(10_000, 60, micros(20)), "too slow");
        assert!(!Loop::new().run(10_000, 4000, micros(5)), "batches");
        assert!(!Loop::new().run(100, 60, micros(1)), "too few");
    }

    #[test]
    fn who_says_single_things_beside_others_is_not_made_to_wait() {
        let micros = Duration::from_micros;
        let mut moderated = Loop::new();
        assert!(moderated.run(256, 60, micros(5)));
        let other = &mut Streamed::default();
        moderated.moderation.note(21, false, other);
        assert!(moderated.run(1, 6000, micros(250)), "acknowledgements only");
        let mut own = moderated.streamed;
        moderated.moderation.note(6000, true, &mut own);
        moderated.moderation.note(60, true, &mut own);
        assert!(moderated.run(1, 6000, micros(250)), "the rest of a stream");
        moderated.moderation.note(60, true, other);
        assert!(!moderated.run(1, 6000, micros(250)), "a request");
        let mut naps = |reads: u32| (0..reads).any(|_| moderated.run(1, 60, micros(5)));
        assert!(!naps(16_000), "for a while");
        assert!(naps(16_000), "not for ever");
    }

    #[test]
    fn the_gate_closes_when_naps_gather_nothing_or_too_much() {
        let micros = Duration::from_micros;
        let mut moderated = Loop::new();
        assert!(moderated.run(256, 60, micros(5)));
        assert!(moderated.run(100, 6000, micros(250)), "naps gather much");
        assert!(
            !moderated.run(3, 60, micros(250)),
            "the client has become slow"
        );
        assert!(moderated.run(256, 60, micros(5)));
        assert!(
            !moderated.run(1, 300_000, micros(250)),
            "the client writes batches"
        );
    }
}
