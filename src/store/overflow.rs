//! Scratch files for messages that are not durable and too many for memory: appended to, read back, never synced, removed
//! when nothing of them is needed any more, and at the start.
//!
//! A file holds blocks (`block.rs`) whose times are those at which messages expire.

use std::fmt;
use std::io;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::Run;
use crate::store::block;
use crate::store::block::Seal;
use crate::store::disk::Directory;
use crate::store::disk::Disk;
use crate::store::disk::DiskFile;
use crate::store::draft::Draft;

/// A new file is begun when one is as large as this.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What a block says of a message that does not expire.
const NEVER: u64 = (1 << 48) - 1;

/// See the module's documentation.
pub struct Overflow {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    disk: Option<Arc<Directory>>,
    file: Option<Arc<ScratchFile>>,
    next: u64,
    /// Writing has failed, and the failure was told.
    failing: bool,
}

/// A file that goes with the last block in it.
struct ScratchFile {
    name: String,
    disk: Arc<Directory>,
    file: Arc<dyn DiskFile>,
    end: Mutex<u64>,
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        if let Err(error) = self.disk.remove(&self.name) {
            tracing::warn!(file = self.name, %error, "an overflow file cannot be removed and takes room until the next start");
        }
    }
}

/// Messages that were written; they are gone when this is.
pub struct OverflowBlocks {
    file: Arc<ScratchFile>,
    blocks: Vec<(u64, u64, usize)>,
}

impl fmt::Debug for OverflowBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverflowBlocks")
            .field("file", &self.file.name)
            .field("blocks", &self.blocks)
            .finish()
    }
}

impl Overflow {
    /// Scratch files in the directory `path`, which is emptied and made when it is needed.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            path,
            state: Mutex::default(),
        })
    }

    /// Writes messages at consecutive positions from `first` on. `None` when that is impossible, which is told once.
    pub fn write(&self, first: u64, run: Run, expires_at: Option<u64>) -> Option<OverflowBlocks> {
        let mut state = self.state.lock();
        match self.try_write(&mut state, first, run, expires_at) {
            Ok(blocks) => {
                state.failing = false;
                Some(blocks)
            }
            Err(error) => {
                if !std::mem::replace(&mut state.failing, true) {
                    tracing::error!(%error, "messages cannot be put on the disk: they stay in memory; make room on the disk of the data directory");
                }
                None
            }
        }
    }

    fn try_write(
        &self,
        state: &mut State,
        first: u64,
        mut run: Run,
        expires_at: Option<u64>,
    ) -> io::Result<OverflowBlocks> {
        let file = self.file(state)?;
        let mut end = file.end.lock();
        let mut blocks = Vec::new();
        let mut position = first;
        while !run.is_empty() {
            let mut draft = Draft::default();
            let taken = draft.take(position, &mut run, expires_at.unwrap_or(NEVER).min(NEVER));
            let bytes = draft.encode();
            file.file.write_at(&mut [IoSlice::new(&bytes)], *end)?;
            blocks.push((position, *end, bytes.len()));
            *end += bytes.len() as u64;
            position += taken as u64;
        }
        drop(end);
        Ok(OverflowBlocks { file, blocks })
    }

    fn file(&self, state: &mut State) -> io::Result<Arc<ScratchFile>> {
        if let Some(file) = &state.file
            && *file.end.lock() < FILE_BYTES
        {
            return Ok(Arc::clone(file));
        }
        let disk = match &state.disk {
            Some(disk) => Arc::clone(disk),
            None => {
                let disk = Arc::new(Directory::new(self.path.clone())?);
                state.disk = Some(Arc::clone(&disk));
                disk
            }
        };
        state.next += 1;
        let name = format!("{:08}.overflow", state.next);
        let file = Arc::new(ScratchFile {
            file: disk.create(&name, 0)?,
            name,
            disk,
            end: Mutex::new(0),
        });
        state.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

impl OverflowBlocks {
    /// Reads them back: position of the first, messages, when they expire. Blocks on the disk.
    pub fn read(&self) -> io::Result<Vec<(u64, Run, Option<u64>)>> {
        let mut runs = Vec::new();
        for (first, offset, bytes) in &self.blocks {
            let mut block = vec![0; *bytes];
            self.file.file.read_at(&mut block, *offset)?;
            let block = block::decode(block, Seal::Stated(None)).map_err(io::Error::other)?;
            let pieces = block.runs(0, block.positions());
            runs.extend(pieces.map(|(index, run, time)| {
                let expires_at = time.filter(|time| *time != NEVER);
                (first + u64::from(index), run, expires_at)
            }));
        }
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::run_of;

    #[test]
    fn what_was_written_comes_back_and_the_file_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("overflow");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("old"), "left by another run").unwrap();
        let overflow = Overflow::new(path.clone()).unwrap();
        assert!(!path.exists(), "nothing is made before it is needed");
        let bodies: Vec<_> = (0..300).map(|n| format!("{n}").repeat(200)).collect();
        let run = run_of(&bodies);
        let written = overflow.write(7, run.clone(), Some(99)).expect("written");
        let other = overflow.write(5, run_of(&["x"]), None).expect("written");
        let back = written.read().expect("read");
        assert!(back.len() > 1, "several blocks");
        let mut at = 7;
        for (first, run, expires_at) in &back {
            assert_eq!((*first, *expires_at), (at, Some(99)));
            at += run.len() as u64;
        }
        let read: Vec<u8> = back
            .iter()
            .flat_map(|(_, run, _)| run.bytes().to_vec())
            .collect();
        assert_eq!(read, run.bytes());
        assert_eq!(other.read().expect("read")[0].2, None);
        let files = || std::fs::read_dir(&path).unwrap().count();
        assert_eq!(files(), 1);
        drop((written, other, overflow));
        assert_eq!(files(), 0);
    }
}
