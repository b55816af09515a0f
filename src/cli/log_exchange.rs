//! The thread that publishes log lines to the log exchange.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use crate::admin::Slot;
use crate::logs::Lines;
use crate::logs::PUBLISHER;
use crate::logs::Published;

/// See the module's documentation.
pub(super) struct LogExchange {
    sender: SyncSender<Published>,
    thread: Option<JoinHandle<()>>,
}

impl LogExchange {
    /// Publishes `lines`, those that wait already first.
    pub(super) fn start(
        lines: Lines,
        application: Arc<Slot>,
        now: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Self {
        let Lines { sender, receiver } = lines;
        let publish = move || {
            while let Ok(Published::Line { level, text }) = receiver.recv() {
                if let Some(running) = application.running() {
                    running.broker.publish_log(level, text.as_bytes(), now());
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name(PUBLISHER.to_owned())
            .spawn(publish);
        if let Err(error) = &thread {
            tracing::error!(
                %error,
                "log lines are not published: no thread can be started; raise the limit of processes and start again"
            );
        }
        Self {
            sender,
            thread: thread.ok(),
        }
    }

    /// Publishes what waits and ends.
    pub(super) fn stop(self) {
        if let Some(thread) = self.thread
            && self.sender.send(Published::Stop).is_ok()
        {
            let _ = thread.join();
        }
    }
}
