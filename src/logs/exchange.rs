//! Log lines on their way to the log exchange: through a bounded channel to whoever publishes them. Who logs never waits, for it may
//! hold a lock; lines that find the channel full are not published.
//!
//! What the publishing thread itself would log is not published: a line about a published line would never end.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;

/// Lines that may wait to be published.
const LINES_MAX: usize = 1024;

/// The publishing thread's name, by which it is known.
pub const PUBLISHER: &str = "log-exchange";

/// What the publishing thread gets.
pub enum Published {
    /// A line to publish.
    Line {
        /// RabbitMQ's word, which is the routing key.
        level: &'static str,
        /// The line.
        text: String,
    },
    /// Nothing more comes.
    Stop,
}

/// Takes lines from the log.
pub(super) struct Tap {
    lines: SyncSender<Published>,
    lost: AtomicU64,
}

/// Lines that wait to be published.
pub struct Lines {
    /// Puts [`Published::Stop`] behind them.
    pub sender: SyncSender<Published>,
    /// Takes them out.
    pub receiver: Receiver<Published>,
}

/// A tap for the log and what comes out of it.
pub(super) fn tap() -> (Tap, Lines) {
    let (sender, receiver) = sync_channel(LINES_MAX);
    let tap = Tap {
        lines: sender.clone(),
        lost: AtomicU64::new(0),
    };
    (tap, Lines { sender, receiver })
}

impl Tap {
    pub(super) fn put(&self, level: &'static str, text: &str) {
        if std::thread::current().name() != Some(PUBLISHER) {
            let text = text.to_owned();
            if self
                .lines
                .try_send(Published::Line { level, text })
                .is_err()
            {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lines that found the channel full so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
