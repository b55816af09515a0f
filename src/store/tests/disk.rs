//! A disk in memory that loses power, fails and stalls when told to.
//!
//! What was written since the last sync of a file may survive a power cut or not, each sector on its own. It knows nothing
//! of what is written to it.

use std::collections::BTreeMap;
use std::io;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Condvar;
use parking_lot::Mutex;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::store::disk::Disk;
use crate::store::disk::DiskFile;

const SECTOR_BYTES: usize = 512;

/// No stall lasts longer, so that a test that fails ends.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The file in which redb keeps its database.
const REDB: &str = "redb";

/// A handle; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimulatedDisk {
    state: Arc<(Mutex<State>, Condvar)>,
}

/// A file of a disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedFile {
    disk: SimulatedDisk,
    name: String,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Content>,
    syncs: u64,
    operations: u64,
    trouble: Option<Trouble>,
    power_is_off: bool,
    stalled: bool,
    /// The last sync that was asked for is redb's.
    redb_syncing: bool,
    /// Syncs of redb stall.
    redb_stalled: bool,
    /// Syncs of the ring stall.
    ring_stalled: bool,
    /// Writes to the ring stall.
    writes_stalled: bool,
    /// No file can grow.
    full: bool,
    /// Failed for want of room.
    refused: u64,
}

#[derive(Debug, Default)]
struct Content {
    /// As the system shows it.
    now: Vec<u8>,
    /// As it is on the platter for sure.
    synced: Vec<u8>,
    /// In order.
    unsynced: Vec<Change>,
    /// Its name is gone; who has it open may read on.
    removed: bool,
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

impl SimulatedDisk {
    /// The same content, synced, on a new disk with this trouble ahead.
    pub(crate) fn copy_with(&self, trouble: Trouble) -> SimulatedDisk {
        let disk = self.after_kill();
        disk.state.0.lock().trouble = Some(trouble);
        disk
    }

    /// Another disk with what `content` makes of each file.
    fn with(&self, mut content: impl FnMut(&Content) -> Vec<u8>) -> SimulatedDisk {
        let disk = SimulatedDisk::default();
        {
            let state = self.state.0.lock();
            let mut new = disk.state.0.lock();
            for (name, file) in state.files.iter().filter(|(_, file)| !file.removed) {
                let now = content(file);
                let file = Content {
                    synced: now.clone(),
                    now,
                    ..Content::default()
                };
                new.files.insert(name.clone(), file);
            }
        }
        disk
    }

    /// The content as the system shows it, on a healthy disk: what a killed process leaves.
    pub(crate) fn after_kill(&self) -> SimulatedDisk {
        self.with(|file| file.now.clone())
    }

    /// What the platter has after a power cut: everything synced, and of the rest what `seed` picks.
    pub(crate) fn after_power_cut(&self, seed: u64) -> SimulatedDisk {
        let mut random = StdRng::seed_from_u64(seed);
        let kept = [0.0, 0.5, 1.0, 0.1, 0.9][(seed % 5) as usize];
        self.with(|file| file.after_power_cut(&mut random, kept))
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

    /// Syncs do not return until [`SimulatedDisk::go_on`].
    pub(crate) fn stall(&self) {
        self.state.0.lock().stalled = true;
    }

    /// The last sync that was asked for is redb's.
    pub(crate) fn is_redb_syncing(&self) -> bool {
        self.state.0.lock().redb_syncing
    }

    /// Syncs of redb do not return until [`SimulatedDisk::go_on`].
    pub(crate) fn stall_redb(&self) {
        self.state.0.lock().redb_stalled = true;
    }

    /// Syncs of the ring do not return until [`SimulatedDisk::go_on`].
    pub(crate) fn stall_ring(&self) {
        self.state.0.lock().ring_stalled = true;
    }

    /// Writes to the ring do not begin until [`SimulatedDisk::go_on`].
    pub(crate) fn stall_writes(&self) {
        self.state.0.lock().writes_stalled = true;
    }

    /// From now on there is no room for a file to grow, or there is again.
    pub(crate) fn set_full(&self, full: bool) {
        self.state.0.lock().full = full;
    }

    /// How often there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.state.0.lock().refused
    }

    /// Puts a copy of a file, cut to a share of its length, under another name.
    pub(crate) fn copy_file(&self, from: &str, to: &str, of_eight: usize) {
        let mut state = self.state.0.lock();
        let now = &state.files[from].now;
        let now = now[..now.len() * of_eight / 8].to_vec();
        let copy = Content {
            synced: now.clone(),
            now,
            ..Content::default()
        };
        state.files.insert(to.to_owned(), copy);
    }

    /// Changes octets of a file behind the store's back.
    pub(crate) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.0.lock();
        change(&mut state.files.get_mut(name).expect("a file").now);
    }

    pub(crate) fn go_on(&self) {
        {
            let mut state = self.state.0.lock();
            state.stalled = false;
            state.redb_stalled = false;
            state.ring_stalled = false;
            state.writes_stalled = false;
        }
        self.state.1.notify_all();
    }

    /// Replaces `from` by `to`, of the same length, wherever it stands; how often.
    pub(crate) fn replace(&self, from: &[u8], to: &[u8]) -> usize {
        assert_eq!(from.len(), to.len());
        let mut state = self.state.0.lock();
        let mut count = 0;
        for file in state.files.values_mut() {
            let places: Vec<_> = (0..file.now.len().saturating_sub(from.len()))
                .filter(|at| file.now[*at..].starts_with(from))
                .collect();
            for at in &places {
                file.now[*at..*at + to.len()].copy_from_slice(to);
            }
            count += places.len();
        }
        count
    }

    /// The file for redb.
    pub(crate) fn redb_file(&self) -> io::Result<SimulatedFile> {
        let mut state = self.state.0.lock();
        state.files.entry(REDB.to_owned()).or_default();
        Ok(self.file(REDB))
    }

    fn file(&self, name: &str) -> SimulatedFile {
        SimulatedFile {
            disk: self.clone(),
            name: name.to_owned(),
        }
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

    fn room(&mut self) -> io::Result<()> {
        if self.full {
            self.refused += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn stalls(&self, is_redb: bool) -> bool {
        let by_file = if is_redb {
            self.redb_stalled
        } else {
            self.ring_stalled
        };
        self.stalled || by_file
    }

    fn powered(&self) -> io::Result<()> {
        if self.power_is_off {
            Err(io::Error::other("no power"))
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.operation()?;
        self.syncs += 1;
        if self.trouble == Some(Trouble::PowerCutAtSync(self.syncs)) {
            self.power_is_off = true;
            return self.powered();
        }
        Ok(())
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: Vec<u8>) {
        write_at(&mut self.now, offset, &bytes);
        self.unsynced.push(Change::Write { offset, bytes });
    }

    fn synced(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => write_at(&mut self.synced, offset, &bytes),
                Change::Resize { len } => self.synced.resize(len, 0),
            }
        }
    }

    fn after_power_cut(&self, random: &mut StdRng, kept: f64) -> Vec<u8> {
        let mut content = self.synced.clone();
        for change in &self.unsynced {
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
        content
    }
}

fn write_at(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl SimulatedFile {
    fn change<T>(&self, act: impl FnOnce(&mut State, &str) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.disk.state.0.lock(), &self.name)
    }

    fn sync_file(&self) -> io::Result<()> {
        let (state, stall) = &*self.disk.state;
        let mut state = state.lock();
        let is_redb = self.name == REDB;
        state.redb_syncing = is_redb;
        while state.stalls(is_redb) && !stall.wait_for(&mut state, STALL_MAX).timed_out() {}
        state.sync()?;
        state.files.entry(self.name.clone()).or_default().synced();
        Ok(())
    }

    fn read_bytes(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state.0.lock();
        state.powered()?;
        let bytes = state
            .files
            .get(&self.name)
            .and_then(|file| file.now.get(offset as usize..))
            .and_then(|from| from.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_bytes(&self, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        self.change(|state, name| {
            state.operation()?;
            let file = state.files.entry(name.to_owned()).or_default();
            file.write(offset as usize, bytes);
            Ok(())
        })
    }

    fn size(&self) -> u64 {
        let state = self.disk.state.0.lock();
        state
            .files
            .get(&self.name)
            .map_or(0, |file| file.now.len() as u64)
    }
}

impl redb::StorageBackend for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_bytes(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|state, name| {
            state.operation()?;
            if state.files.get(name).map_or(0, |file| file.now.len()) < len as usize {
                state.room()?;
            }
            let file = state.files.entry(name.to_owned()).or_default();
            file.now.resize(len as usize, 0);
            file.unsynced.push(Change::Resize { len: len as usize });
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_file()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_bytes(offset, data.to_vec())
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_bytes(offset, out)
    }

    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        {
            let (state, stall) = &*self.disk.state;
            let mut state = state.lock();
            while state.writes_stalled && !stall.wait_for(&mut state, STALL_MAX).timed_out() {}
        }
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.write_bytes(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_file()
    }
}

impl Disk for SimulatedDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let state = self.state.0.lock();
        state.powered()?;
        let there = state.files.iter().filter(|(_, file)| !file.removed);
        Ok(there.map(|(name, _)| name.clone()).collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.0.lock();
        state.room()?;
        state.sync()?;
        let zeros = vec![0; bytes as usize];
        let file = Content {
            now: zeros.clone(),
            synced: zeros,
            ..Content::default()
        };
        state.files.insert(name.to_owned(), file);
        Ok(Arc::new(self.file(name)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state.0.lock();
        state.powered()?;
        match state.files.get(name) {
            Some(file) if !file.removed => Ok(Arc::new(self.file(name))),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.0.lock();
        state.operation()?;
        if let Some(file) = state.files.get_mut(name) {
            file.removed = true;
        }
        Ok(())
    }
}
