//! A disk in memory that loses power, fails and stalls when told to.
//!
//! What was written since the last sync may survive a power cut or not, each sector on its own. It knows nothing of what
//! is written to it.

use std::io;
use std::sync::Arc;

use parking_lot::Condvar;
use parking_lot::Mutex;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

const SECTOR_BYTES: usize = 512;

/// A handle; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    /// As the system shows it.
    now: Vec<u8>,
    /// As it is on the platter for sure.
    synced: Vec<u8>,
    /// In order.
    unsynced: Vec<Change>,
    syncs: u64,
    operations: u64,
    trouble: Option<Trouble>,
    power_is_off: bool,
    stalled: bool,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize { len: usize },
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The power goes off in this sync, counted from 1; the sync does not return and nothing happens after.
    PowerCutAtSync(u64),
    /// This write, resize or sync fails, counted from 1; those after it work.
    ErrorAtOperation(u64),
}

impl Disk {
    /// The same content, synced, on a new disk with this trouble ahead.
    pub(crate) fn copy_with(&self, trouble: Trouble) -> Disk {
        let disk = Disk::with(self.state.0.lock().now.clone());
        disk.state.0.lock().trouble = Some(trouble);
        disk
    }

    fn with(content: Vec<u8>) -> Disk {
        let disk = Disk::default();
        {
            let mut state = disk.state.0.lock();
            state.now.clone_from(&content);
            state.synced = content;
        }
        disk
    }

    /// The content as the system shows it, on a healthy disk: what a killed process leaves.
    pub(crate) fn after_kill(&self) -> Disk {
        Disk::with(self.state.0.lock().now.clone())
    }

    /// What the platter has after a power cut: everything synced, and of the rest what `seed` picks.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Disk {
        let mut random = StdRng::seed_from_u64(seed);
        let kept = [0.0, 0.5, 1.0, 0.1, 0.9][(seed % 5) as usize];
        let state = self.state.0.lock();
        let mut content = state.synced.clone();
        for change in &state.unsynced {
            match change {
                Change::Resize { len } => {
                    if random.random_bool(kept) {
                        content.resize(*len, 0);
                    }
                }
                Change::Write { offset, bytes } => {
                    let to_border = SECTOR_BYTES - offset % SECTOR_BYTES;
                    let (head, tail) = bytes.split_at(to_border.min(bytes.len()));
                    let mut at = *offset;
                    for sector in std::iter::once(head).chain(tail.chunks(SECTOR_BYTES)) {
                        if random.random_bool(kept) {
                            write_at(&mut content, at, sector);
                        }
                        at += sector.len();
                    }
                }
            }
        }
        Disk::with(content)
    }

    /// Syncs that were asked for so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.state.0.lock().syncs
    }

    /// Writes, resizes and syncs so far.
    pub(crate) fn operations(&self) -> u64 {
        self.state.0.lock().operations
    }

    /// Fails the next write, resize or sync.
    pub(crate) fn fail_next(&self) {
        let mut state = self.state.0.lock();
        state.trouble = Some(Trouble::ErrorAtOperation(state.operations + 1));
    }

    /// Syncs do not return until [`Disk::go_on`].
    pub(crate) fn stall(&self) {
        self.state.0.lock().stalled = true;
    }

    pub(crate) fn go_on(&self) {
        self.state.0.lock().stalled = false;
        self.state.1.notify_all();
    }

    /// Replaces `from` by `to`, of the same length, wherever it stands; how often.
    pub(crate) fn replace(&self, from: &[u8], to: &[u8]) -> usize {
        assert_eq!(from.len(), to.len());
        let mut state = self.state.0.lock();
        let places: Vec<_> = (0..state.now.len().saturating_sub(from.len()))
            .filter(|at| state.now[*at..].starts_with(from))
            .collect();
        for at in &places {
            state.now[*at..*at + to.len()].copy_from_slice(to);
        }
        places.len()
    }
}

impl State {
    fn operation(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.trouble == Some(Trouble::ErrorAtOperation(self.operations)) {
            return Err(io::Error::other("injected error"));
        }
        self.powered()
    }

    fn powered(&self) -> io::Result<()> {
        if self.power_is_off {
            Err(io::Error::other("no power"))
        } else {
            Ok(())
        }
    }
}

fn write_at(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.0.lock().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.0.lock();
        state.powered()?;
        let bytes = state
            .now
            .get(offset as usize..)
            .and_then(|from| from.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.0.lock();
        state.operation()?;
        state.now.resize(len as usize, 0);
        state.unsynced.push(Change::Resize { len: len as usize });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.0.lock();
        while state.stalled {
            self.state.1.wait(&mut state);
        }
        state.operation()?;
        state.syncs += 1;
        if state.trouble == Some(Trouble::PowerCutAtSync(state.syncs)) {
            state.power_is_off = true;
            return state.powered();
        }
        let state = &mut *state;
        for change in state.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => write_at(&mut state.synced, offset, &bytes),
                Change::Resize { len } => state.synced.resize(len, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.0.lock();
        state.operation()?;
        write_at(&mut state.now, offset as usize, data);
        state.unsynced.push(Change::Write {
            offset: offset as usize,
            bytes: data.to_vec(),
        });
        Ok(())
    }
}
