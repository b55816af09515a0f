//! A log file that is exchanged for a new one when it is too old or too long.
//!
//! What was `name` becomes `name.0`, what was `name.0` becomes `name.1`, and so on, as with RabbitMQ. A file that somebody else has
//! moved or removed is made anew with the next line, so that `logrotate` needs no signal. A line that cannot be written is lost.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use jiff::ZonedDateTime;

use crate::logs::Schedule;

/// When a file is exchanged, and how many old ones are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// At these moments.
    pub schedule: Option<Schedule>,
    /// When it would grow beyond so many octets; 0: however long it is.
    pub bytes_max: u64,
    /// Old files that are kept; 0: none.
    pub kept: u32,
}

pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
    next: Option<ZonedDateTime>,
}

struct Open {
    file: File,
    inode: u64,
    bytes: u64,
}

impl LogFile {
    /// Opens the file, and makes its directory if there is none.
    pub(super) fn open(path: &Path, rotation: Rotation, now: &ZonedDateTime) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let schedule = rotation.schedule;
        let mut file = Self {
            path: path.to_owned(),
            rotation,
            open: Some(append_to(path)?),
            next: schedule.and_then(|schedule| schedule.next_after(now)),
        };
        // It may be from before the bound was set.
        if file.is_too_long(0) {
            file.rotate(now)?;
        }
        Ok(file)
    }

    pub(super) fn write(&mut self, line: &[u8], now: &ZonedDateTime) -> io::Result<()> {
        if self.next.as_ref().is_some_and(|next| *next <= *now) || self.is_too_long(line.len()) {
            self.rotate(now)?;
        }
        let mut open = match self.open.take() {
            Some(open) if open.is_at(&self.path) => open,
            Some(_) | None => append_to(&self.path)?,
        };
        open.file.write_all(line)?;
        open.bytes += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Exchanges the file now; without old files to keep it is emptied.
    fn rotate(&mut self, now: &ZonedDateTime) -> io::Result<()> {
        let schedule = self.rotation.schedule;
        self.next = schedule.and_then(|schedule| schedule.next_after(now));
        self.open = None;
        for number in (1..self.rotation.kept).rev() {
            there(fs::rename(self.old(number - 1), self.old(number)))?;
        }
        there(if self.rotation.kept == 0 {
            fs::remove_file(&self.path)
        } else {
            fs::rename(&self.path, self.old(0))
        })?;
        self.open = Some(append_to(&self.path)?);
        Ok(())
    }

    fn is_too_long(&self, more: usize) -> bool {
        let bytes = self.open.as_ref().map_or(0, |open| open.bytes);
        let max = self.rotation.bytes_max;
        max > 0 && bytes > 0 && bytes + more as u64 > max
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Open {
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|there| there.ino() == self.inode)
    }
}

fn append_to(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let metadata = file.metadata()?;
    Ok(Open {
        inode: metadata.ino(),
        bytes: metadata.len(),
        file,
    })
}

/// What is not there need not be moved.
fn there(moved: io::Result<()>) -> io::Result<()> {
    match moved {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ZonedDateTime {
        format!("{text}[UTC]").parse().expect("a time")
    }

    fn text(path: &Path, ending: &str) -> Option<String> {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::read_to_string(name).ok()
    }

    #[test]
    fn a_long_file_is_exchanged_and_so_many_old_ones_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("new/x.log");
        let rotation = Rotation {
            bytes_max: 8,
            kept: 2,
            ..Rotation::default()
        };
        let now = at("2026-01-01T00:00");
        let mut log = LogFile::open(&path, rotation, &now).expect("open");
        for line in ["one\n", "two\n", "three\n", "longer than all\n", "five\n"] {
            log.write(line.as_bytes(), &now).expect("written");
        }
        assert_eq!(text(&path, "").as_deref(), Some("five\n"));
        assert_eq!(text(&path, ".0").as_deref(), Some("longer than all\n"));
        assert_eq!(text(&path, ".1").as_deref(), Some("three\n"));
        assert_eq!(text(&path, ".2"), None);
        drop(log);
        let rotation = Rotation {
            bytes_max: 4,
            ..rotation
        };
        LogFile::open(&path, rotation, &now).expect("open");
        assert_eq!(text(&path, "").as_deref(), Some(""));
        assert_eq!(text(&path, ".0").as_deref(), Some("five\n"));
    }

    #[test]
    fn an_old_file_is_exchanged_when_its_time_has_come() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        let rotation = Rotation {
            schedule: Schedule::parse("$D0"),
            ..Rotation::default()
        };
        let mut log = LogFile::open(&path, rotation, &at("2026-01-01T12:00")).expect("open");
        log.write(b"a\n", &at("2026-01-01T23:59")).expect("written");
        log.write(b"b\n", &at("2026-01-02T00:01")).expect("written");
        log.write(b"c\n", &at("2026-01-02T00:02")).expect("written");
        assert_eq!(text(&path, "").as_deref(), Some("b\nc\n"));
        assert_eq!(text(&path, ".0"), None, "none are kept");
    }

    #[test]
    fn a_file_that_was_moved_is_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        let now = at("2026-01-01T12:00");
        let mut log = LogFile::open(&path, Rotation::default(), &now).expect("open");
        log.write(b"a\n", &now).expect("written");
        fs::rename(&path, dir.path().join("moved")).expect("moved");
        log.write(b"b\n", &now).expect("written");
        assert_eq!(text(&path, "").as_deref(), Some("b\n"));
    }
}
