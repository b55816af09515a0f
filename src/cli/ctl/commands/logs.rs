//! The log.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::output;
use crate::cli::ctl::tool::Tool;
use crate::server::Clock;

/// Change what is logged, until the node stops: set_log_level debug.
#[derive(Args)]
pub(super) struct SetLogLevel {
    /// debug, info, warning, error, critical or none
    level: String,
}

impl Run for SetLogLevel {
    fn run(self, tool: &Tool) -> Outcome {
        let level = self.level;
        let banner = format!("Setting log level to \"{level}\" ...");
        // The words come after, for a level that there is not has none.
        tool.call(Operation::SetLogLevel { level })?;
        tool.banner(&banner);
        tool.done("");
        Ok(())
    }
}

/// Does nothing, as in RabbitMQ.
#[derive(Args)]
pub(super) struct RotateLogs;

impl Run for RotateLogs {
    fn run(self, _: &Tool) -> Outcome {
        let text = "This command does not rotate logs anymore [deprecated]";
        Err(Failure::new(UNAVAILABLE, text))
    }
}

/// Where the log goes.
#[derive(Args)]
pub(super) struct LogLocation {
    /// All places, not only the one that log_tail shows
    #[arg(short, long)]
    all: bool,
}

impl Run for LogLocation {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Log file location(s) on node {} ...", tool.node());
        tool.banner(&banner);
        let status = tool.call(Operation::Status)?;
        let places = output::items(&status["log_files"]);
        let shown = match self.all {
            true => places,
            // A file, if there is one.
            false => {
                let file = places.iter().position(is_file);
                let first = file.unwrap_or(0);
                places
                    .get(first..)
                    .unwrap_or_default()
                    .get(..1)
                    .unwrap_or_default()
            }
        };
        let node = tool.node();
        let json = serde_json::json!({"result": "ok", "node_name": node, "paths": shown});
        if !tool.prints_json(&json)? {
            for place in shown {
                tool.done(&output::plain(place));
            }
        }
        Ok(())
    }
}

/// Other places are `<stderr>`, `<stdout>` and exchanges.
fn is_file(place: &Value) -> bool {
    place.as_str().is_some_and(|place| place.starts_with('/'))
}

/// The file that the node's log goes to, and where it is.
fn log_file(tool: &Tool) -> Result<(File, PathBuf), Failure> {
    let status = tool.call(Operation::Status)?;
    let place = output::items(&status["log_files"])
        .iter()
        .find(|place| is_file(place));
    let path = place.map(|place| PathBuf::from(output::plain(place)));
    let path = path.ok_or_else(|| Failure::new(UNAVAILABLE, NO_FILE))?;
    let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    Ok((file, path))
}

const NO_FILE: &str = "No log files configured on the node";

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let text = format!("the log file {} cannot be read: {error}", path.display());
    Failure::new(UNAVAILABLE, text)
}

/// The last lines of the log, if it goes to a file.
#[derive(Args)]
pub(super) struct LogTail {
    /// So many lines
    #[arg(short = 'N', long, default_value_t = 50)]
    number: usize,
}

impl Run for LogTail {
    fn run(self, tool: &Tool) -> Outcome {
        let (node, number) = (tool.node(), self.number);
        tool.banner(&format!("Last {number} log lines on node {node} ..."));
        let (mut file, path) = log_file(tool)?;
        let lines = last_lines(&mut file, number).map_err(|error| unreadable(&path, &error))?;
        tool.flush();
        let _ = io::stdout().write_all(&lines);
        Ok(())
    }
}

/// The log as it grows, if it goes to a file.
#[derive(Args)]
pub(super) struct LogTailStream {
    /// For so many seconds [default: until it is interrupted]
    #[arg(short, long)]
    duration: Option<u64>,
}

impl Run for LogTailStream {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        tool.banner(&match self.duration {
            None => format!("Streaming logs from node {node} ..."),
            Some(seconds) => format!("Streaming logs from node {node} for {seconds} seconds ..."),
        });
        let (mut file, path) = log_file(tool)?;
        tool.flush();
        let failed = |error: io::Error| unreadable(&path, &error);
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let clock = Clock::start();
        let end = self
            .duration
            .map(|seconds| clock.now() + Duration::from_secs(seconds));
        loop {
            // Whoever reads may have stopped reading.
            if io::copy(&mut file, &mut io::stdout()).is_err() {
                return Ok(());
            }
            if end.is_some_and(|end| clock.now() >= end) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
            if let Some(next) = next_file(&file, &path).map_err(failed)? {
                // What was written last before it was put aside.
                let _ = io::copy(&mut file, &mut io::stdout());
                file = next;
            }
        }
    }
}

/// Between two looks at a file.
const PAUSE: Duration = Duration::from_millis(100);

/// How much is read at once, from the end of a file.
const BLOCK_BYTES: u64 = 64 * 1024;

/// The last lines of a file, read from its end.
fn last_lines(file: &mut (impl Read + Seek), count: usize) -> io::Result<Vec<u8>> {
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut end = Vec::new();
    loop {
        // The last octet ends a line, and begins none.
        let breaks = end.iter().rev().skip(1).filter(|octet| **octet == b'\n');
        if start == 0 || breaks.count() >= count {
            break;
        }
        let length = BLOCK_BYTES.min(start);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut block = vec![0; length as usize];
        file.read_exact(&mut block)?;
        block.append(&mut end);
        end = block;
    }
    let lines: Vec<&[u8]> = end.split_inclusive(|octet| *octet == b'\n').collect();
    Ok(lines[lines.len().saturating_sub(count)..].concat())
}

/// The file that took the place of one that was put aside.
fn next_file(file: &File, path: &Path) -> io::Result<Option<File>> {
    // Between putting one aside and making another there is none.
    let Ok(next) = File::open(path) else {
        return Ok(None);
    };
    let (old, new) = (file.metadata()?, next.metadata()?);
    let same = (old.dev(), old.ino()) == (new.dev(), new.ino());
    Ok((!same).then_some(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_file_that_takes_the_place_is_found() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        std::fs::write(&path, "old").unwrap();
        let old = File::open(&path).unwrap();
        assert!(next_file(&old, &path).unwrap().is_none());
        std::fs::rename(&path, home.path().join("log.1")).unwrap();
        assert!(next_file(&old, &path).unwrap().is_none());
        std::fs::write(&path, "new").unwrap();
        assert!(next_file(&old, &path).unwrap().is_some());
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let long = format!("{}\n", "x".repeat(BLOCK_BYTES as usize));
        let text = format!("a\n{long}b\n{long}c");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for count in 0..=lines.len() + 1 {
            let found = last_lines(&mut Cursor::new(&text), count).unwrap();
            let expected = lines[lines.len().saturating_sub(count)..].concat();
            assert!(found == expected.as_bytes(), "{count} lines");
        }
        assert_eq!(last_lines(&mut Cursor::new("a\nb\n"), 1).unwrap(), b"b\n");
    }
}
