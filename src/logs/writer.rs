//! Lines on their way to a console or a file: they wait in memory, up to a bound, for a thread of their output's own. Who logs never
//! waits for a pipe that nobody reads or a disk that hangs: lines that find no room are lost, and the thread tells how many as soon as
//! it can write again.
//!
//! `tracing-appender` does the same for lines of any number of octets, and tells nobody where in a log some are missing.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::ZonedDateTime;
use parking_lot::Condvar;
use parking_lot::Mutex;

/// Where lines end up.
pub(super) trait Sink: Send + 'static {
    /// Writes a line that was logged at that time.
    fn write(&mut self, text: &[u8], time: &ZonedDateTime) -> io::Result<()>;
    /// A line that says how many were lost, and its time.
    fn notice(&self, lost: u64) -> (String, ZonedDateTime);
}

/// One output's lines.
pub(super) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    came: Condvar,
    /// Nothing is left to write.
    done: Condvar,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Waits>,
    /// Of the lines, and of the one that is being written.
    bytes: usize,
    writing: bool,
    /// Lost behind all lines that wait, and not told yet.
    gap: u64,
    /// Ever.
    lost: u64,
}

struct Waits {
    text: String,
    time: ZonedDateTime,
    lost_before: u64,
}

impl Writer {
    /// Starts the thread, with room for so many octets of lines.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(name: &str, bytes_max: usize, sink: impl Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            came: Condvar::new(),
            done: Condvar::new(),
            bytes_max,
        });
        let its = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("log-{name}"))
            .spawn(move || its.write_all(sink))?;
        Ok(Self { shared })
    }

    /// Takes a line, if there is room.
    pub(super) fn put(&self, text: &str, time: &ZonedDateTime) {
        let mut waiting = self.shared.waiting.lock();
        let bytes = waiting.bytes + text.len();
        // A gap is closed when half of the room is free again: one notice for many lines, not one for each.
        let room = if waiting.gap > 0 {
            bytes <= self.shared.bytes_max / 2
        } else {
            bytes <= self.shared.bytes_max
        };
        // However long a line is, it is not lost for its length.
        if !room && waiting.bytes > 0 {
            waiting.lose(1);
            return;
        }
        waiting.bytes = bytes;
        let lost_before = std::mem::take(&mut waiting.gap);
        waiting.lines.push_back(Waits {
            text: text.to_owned(),
            time: time.clone(),
            lost_before,
        });
        drop(waiting);
        self.shared.came.notify_one();
    }

    /// Waits until all that came has been written, so long at most; whether it has.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let mut waiting = self.shared.waiting.lock();
        let done = &self.shared.done;
        let result = done.wait_while_for(&mut waiting, |waiting| !waiting.is_done(), timeout);
        !result.timed_out()
    }

    /// Lines that were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.shared.waiting.lock().lost
    }
}

impl Waiting {
    fn is_done(&self) -> bool {
        self.lines.is_empty() && self.gap == 0 && !self.writing
    }

    fn lose(&mut self, count: u64) {
        self.gap += count;
        self.lost += count;
    }
}

impl Shared {
    fn write_all(&self, mut sink: impl Sink) {
        // That were lost where lines end up, and are still to be told.
        let mut failed = 0;
        loop {
            let (line, lost) = self.take();
            let lost = lost + failed;
            if lost > 0 {
                let (notice, time) = sink.notice(lost);
                let told = sink.write(notice.as_bytes(), &time).is_ok();
                failed = if told { 0 } else { lost };
            }
            let mut unwritten = 0;
            let mut bytes = 0;
            if let Some(line) = line {
                bytes = line.text.len();
                unwritten = u64::from(sink.write(line.text.as_bytes(), &line.time).is_err());
                failed += unwritten;
            }
            self.put_down(bytes, unwritten);
        }
    }

    /// The next line, if not only how many were lost before it.
    fn take(&self) -> (Option<Waits>, u64) {
        let mut waiting = self.waiting.lock();
        let has_none = |waiting: &mut Waiting| waiting.lines.is_empty() && waiting.gap == 0;
        self.came.wait_while(&mut waiting, has_none);
        waiting.writing = true;
        match waiting.lines.pop_front() {
            Some(line) => {
                let lost = line.lost_before;
                (Some(line), lost)
            }
            None => (None, std::mem::take(&mut waiting.gap)),
        }
    }

    fn put_down(&self, bytes: usize, unwritten: u64) {
        let mut waiting = self.waiting.lock();
        waiting.bytes -= bytes;
        waiting.lost += unwritten;
        waiting.writing = false;
        if waiting.is_done() {
            self.done.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::sync::mpsc::Receiver;
    use std::sync::mpsc::SyncSender;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Hands lines over one by one, and fails where it is told so.
    struct Slow(SyncSender<String>);

    impl Sink for Slow {
        fn write(&mut self, text: &[u8], _: &ZonedDateTime) -> io::Result<()> {
            let text = String::from_utf8_lossy(text).into_owned();
            let fails = text.contains("fails");
            self.0.send(text).expect("a reader");
            if fails {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        }

        fn notice(&self, lost: u64) -> (String, ZonedDateTime) {
            (format!("{lost} lost"), now())
        }
    }

    fn now() -> ZonedDateTime {
        "2026-01-02T00:00[UTC]".parse().expect("a time")
    }

    fn start(bytes_max: usize) -> (Writer, Receiver<String>) {
        let (sender, read) = mpsc::sync_channel(0);
        let writer = Writer::start("test", bytes_max, Slow(sender)).expect("a thread");
        (writer, read)
    }

    fn read(lines: &Receiver<String>) -> String {
        lines.recv_timeout(PATIENCE).expect("a line")
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_where_it_is_missing() {
        let (writer, lines) = start(20);
        for number in 0..100 {
            writer.put(&format!("line {number:05}"), &now());
        }
        assert_eq!(writer.lost(), 98);
        assert!(!writer.flush(Duration::ZERO));
        assert_eq!(read(&lines), "line 00000");
        // Half of the room is not free before the second is written.
        assert_eq!(read(&lines), "line 00001");
        assert_eq!(read(&lines), "98 lost");
        assert!(writer.flush(PATIENCE));
        writer.put("a line that is longer than all the room", &now());
        assert_eq!(read(&lines).len(), 39);
        assert!(writer.flush(PATIENCE));
        assert_eq!(writer.lost(), 98);
    }

    #[test]
    fn what_cannot_be_written_is_told_later() {
        let (writer, lines) = start(1000);
        for line in ["one fails", "two fails", "three"] {
            writer.put(line, &now());
        }
        let expected = ["one fails", "1 lost", "two fails", "1 lost", "three"];
        for line in expected {
            assert_eq!(read(&lines), line);
        }
        assert!(writer.flush(PATIENCE));
        assert_eq!(writer.lost(), 2);
    }
}
