//! Log lines on their way to the log exchange: from whoever logs, through a bounded channel, to one thread that publishes
//! them. Who logs never waits, for it may hold a lock; lines that find the channel full are not published.
//!
//! What the publishing thread itself would log is not published, and nothing of `trace`, which may be logged for each
//! message: a line about a published line would never end.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use tracing::Level;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::admin::Slot;

/// Lines that may wait to be published.
const LINES_MAX: usize = 1024;

/// The publishing thread, by which it is known.
const THREAD: &str = "log-exchange";

enum Line {
    Text { level: &'static str, text: Vec<u8> },
    Stop,
}

/// Takes lines from the log.
pub(super) struct Tap(SyncSender<Line>);

/// Lines that wait to be published.
pub(super) struct Lines {
    sender: SyncSender<Line>,
    receiver: Receiver<Line>,
}

/// A tap for the log and what comes out of it.
pub(super) fn tap() -> (Tap, Lines) {
    let (sender, receiver) = sync_channel(LINES_MAX);
    let tap = Tap(sender.clone());
    (tap, Lines { sender, receiver })
}

/// One line being written; published when it is dropped.
pub(super) struct Writer<'a> {
    to: Option<(&'a SyncSender<Line>, &'static str)>,
    text: Vec<u8>,
}

impl io::Write for Writer<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.to.is_some() {
            self.text.extend_from_slice(octets);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if let Some((sender, level)) = self.to {
            let text = std::mem::take(&mut self.text);
            let _ = sender.try_send(Line::Text { level, text });
        }
    }
}

impl<'a> MakeWriter<'a> for Tap {
    type Writer = Writer<'a>;

    fn make_writer(&'a self) -> Writer<'a> {
        self.at("info")
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Writer<'a> {
        match *meta.level() {
            Level::ERROR => self.at("error"),
            Level::WARN => self.at("warning"),
            Level::INFO => self.at("info"),
            Level::DEBUG => self.at("debug"),
            Level::TRACE => Writer {
                to: None,
                text: Vec::new(),
            },
        }
    }
}

impl Tap {
    fn at(&self, level: &'static str) -> Writer<'_> {
        let publishing = std::thread::current().name() == Some(THREAD);
        Writer {
            to: (!publishing).then_some((&self.0, level)),
            text: Vec::new(),
        }
    }
}

/// The thread that publishes.
pub(super) struct LogExchange {
    sender: SyncSender<Line>,
    thread: Option<JoinHandle<()>>,
}

impl LogExchange {
    /// Publishes `lines`, those that wait already first. While the application is stopped there is nowhere to publish to.
    pub(super) fn start(
        lines: Lines,
        application: Arc<Slot>,
        now: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Self {
        let Lines { sender, receiver } = lines;
        let publish = move || {
            while let Ok(Line::Text { level, text }) = receiver.recv() {
                if let Some(running) = application.running() {
                    running.broker.publish_log(level, &text, now());
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(publish);
        if let Err(error) = &thread {
            tracing::error!(%error, "log lines are not published");
        }
        Self {
            sender,
            thread: thread.ok(),
        }
    }

    /// Publishes what waits and ends.
    pub(super) fn stop(self) {
        if let Some(thread) = self.thread
            && self.sender.send(Line::Stop).is_ok()
        {
            let _ = thread.join();
        }
    }
}
