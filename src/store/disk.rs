//! The files of the ring: created zero-filled, written at an offset, synced. Tests put a disk that fails in their place.
//!
//! What is in them is `ring`'s business; redb has its own file and does not come here.

use std::fs::File;
use std::io;
use std::io::IoSlice;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of files.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Names of the files that are there.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes a file of so many zeros; file and name are on the disk when it returns.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file. Who has it open may read on.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// One file. Many may read, one writes at a time.
pub(crate) trait DiskFile: Send + Sync {
    /// Its size.
    fn len(&self) -> io::Result<u64>;
    /// Fills `out` from `offset` on.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `parts`, back to back, from `offset` on.
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Returns when everything written is on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the file system.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes it when it is missing.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        if !path.try_exists()? {
            std::fs::create_dir_all(&path)?;
            sync_directory(&path)?;
        }
        Ok(Self { path })
    }
}

/// A file's name is on the disk only when its directory is, and so on upwards.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let path = path.canonicalize()?;
    File::open(&path)?.sync_all()?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

impl Directory {
    /// A file of zeros that is on the disk with its name.
    fn filled(&self, path: &Path, bytes: u64) -> io::Result<File> {
        static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        // Written, not only reserved: a sync of blocks that were never written has to sync the file's metadata too.
        let mut left = bytes;
        while left > 0 {
            let count = left.min(ZEROS.len() as u64);
            file.write_all(&ZEROS[..count as usize])?;
            left -= count;
        }
        file.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }
}

impl Disk for Directory {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        let made = self.filled(&path, bytes);
        if made.is_err() {
            // A part of it would take the room that others need. When this fails too, the next start clears it away.
            let _ = std::fs::remove_file(&path);
        }
        made.map(|file| Arc::new(file) as Arc<dyn DiskFile>)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }

    fn write_at(&self, mut parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut file = self;
        // The file's own cursor serves the one writer; readers do not move it.
        file.seek(SeekFrom::Start(offset))?;
        while !parts.is_empty() {
            match file.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_many_parts_and_keeps_the_rest_zero() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Directory::new(dir.path().join("ring")).unwrap();
        let file = disk.create("a", 600_000).unwrap();
        let parts: Vec<Vec<u8>> = (0..3000_u32).map(|n| vec![n as u8; 7]).collect();
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_at(&mut slices, 100).unwrap();
        file.sync().unwrap();
        assert_eq!(
            (file.len().unwrap(), disk.names().unwrap()),
            (600_000, vec!["a".to_owned()])
        );
        let mut back = vec![0; 600_000];
        disk.open("a").unwrap().read_at(&mut back, 0).unwrap();
        assert_eq!(back[100..100 + 21_000], parts.concat());
        assert!(
            back[..100]
                .iter()
                .chain(&back[21_100..])
                .all(|byte| *byte == 0)
        );
        disk.remove("a").unwrap();
        assert!(disk.names().unwrap().is_empty());
    }
}
