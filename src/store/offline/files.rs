//! The ring's files, read and never written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::disk::Disk;
use crate::store::disk::DiskFile;

/// The ring's directory; one that is missing has no files.
pub(super) struct ReadOnly {
    path: PathBuf,
}

impl ReadOnly {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

fn refused() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl Disk for ReadOnly {
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, _name: &str, _bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        Err(refused())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(ReadOnlyFile(File::open(self.path.join(name))?)))
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Err(refused())
    }
}

struct ReadOnlyFile(File);

impl DiskFile for ReadOnlyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, _parts: &mut [io::IoSlice<'_>], _offset: u64) -> io::Result<()> {
        Err(refused())
    }

    /// Nothing is ever written that would have to be.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
