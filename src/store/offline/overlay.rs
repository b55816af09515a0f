//! redb's file, read and never written: what redb writes (when it opens a file whose user was killed, and when it closes
//! one) stays in memory.
//!
//! The locks that redb takes to write are taken as those of a reader: no broker can have the file open meanwhile, other
//! readers may.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::ops::Range;

use parking_lot::Mutex;
use redb::BackendError;
use redb::DatabaseError;
use redb::StorageBackend;
use redb::backends::FileBackend;

const PIECE_BYTES: u64 = 4096;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// Up to here the file's own content is what counts, where there is no piece.
    file_len: u64,
    /// What was written, by number.
    pieces: HashMap<u64, Box<[u8]>>,
}

impl Overlay {
    /// Over a file that is open for reading.
    pub(super) fn new(file: File) -> Result<Self, DatabaseError> {
        let file = FileBackend::new(file)?;
        let len = file.len().map_err(redb::StorageError::Io)?;
        Ok(Self {
            file,
            state: Mutex::new(State {
                len,
                file_len: len,
                pieces: HashMap::new(),
            }),
        })
    }

    /// Fills `out` from the file, with zeros beyond what counts of it.
    fn read_file(&self, file_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = file_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (there, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if there.is_empty() {
            return Ok(());
        }
        self.file.read(offset, there)
    }
}

/// The parts of a range that lie in one piece each: its number and what of it.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let number = at / PIECE_BYTES;
        let start = at % PIECE_BYTES;
        let stop = (end - number * PIECE_BYTES).min(PIECE_BYTES);
        at = number * PIECE_BYTES + stop;
        Some((number, start as usize..stop as usize))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > state.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_file(state.file_len, offset, out)?;
        let mut rest = out;
        for (number, range) in parts(offset, rest.len()) {
            let (part, after) = rest.split_at_mut(range.len());
            if let Some(piece) = state.pieces.get(&number) {
                part.copy_from_slice(&piece[range]);
            }
            rest = after;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.len = len;
        state.file_len = state.file_len.min(len);
        state.pieces.retain(|number, _| number * PIECE_BYTES < len);
        if let Some(piece) = state.pieces.get_mut(&(len / PIECE_BYTES)) {
            piece[(len % PIECE_BYTES) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut rest = data;
        for (number, range) in parts(offset, data.len()) {
            let (part, after) = rest.split_at(range.len());
            rest = after;
            if let Some(piece) = state.pieces.get_mut(&number) {
                piece[range].copy_from_slice(part);
                continue;
            }
            let mut piece = vec![0; PIECE_BYTES as usize].into_boxed_slice();
            self.read_file(state.file_len, number * PIECE_BYTES, &mut piece)?;
            piece[range].copy_from_slice(part);
            state.pieces.insert(number, piece);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
        overlay.write(4000, &[1; 200]).unwrap();
        overlay.set_len(12_000).unwrap();
        overlay.write(11_000, &[2; 1000]).unwrap();
        let mut wanted = content.clone();
        wanted[4000..4200].fill(1);
        wanted.resize(11_000, 0);
        wanted.resize(12_000, 2);
        let read = |len: u64| {
            let mut out = vec![9; len as usize];
            overlay.read(0, &mut out).map(|()| out)
        };
        assert_eq!(read(12_000).unwrap(), wanted);
        assert!(read(12_001).is_err());
        // What was cut off does not come back.
        overlay.set_len(4100).unwrap();
        overlay.set_len(12_000).unwrap();
        wanted[4100..].fill(0);
        assert_eq!(read(12_000).unwrap(), wanted);
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}
