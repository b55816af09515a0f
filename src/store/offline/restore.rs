//! Puts a backup, or a copy of a data directory, in place as a data directory.

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::Offline;
use super::check::Check;
use super::check::check;
use crate::store::RING_DIRECTORY;
use crate::store::StoreError;
use crate::store::backup::EmptyDirectory;
use crate::store::backup::PARTIAL_NAME;
use crate::store::backup::copy_failed;
use crate::store::disk::sync_directory;
use crate::store::recover::FILE_NAME;
use crate::store::ring::Ring;

/// Checks the store in `from` and copies it to `to`, which must be empty or missing. Answers what the check has found; a
/// store that is damaged is not copied.
pub fn restore(from: &Path, to: &Path) -> Result<Check, StoreError> {
    let place = EmptyDirectory::claim(to)?;
    let found = check(from)?;
    if found.is_sound() {
        // Held while it is copied: no broker starts on it.
        let _held = Offline::open(from)?;
        copy(from, to).map_err(|source| copy_failed(to, source))?;
        place.keep()?;
    }
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let ring = from.join(RING_DIRECTORY);
    if ring.is_dir() {
        let new_ring = to.join(RING_DIRECTORY);
        DirBuilder::new().mode(0o700).create(&new_ring)?;
        for entry in std::fs::read_dir(&ring)? {
            let name = entry?.file_name();
            if Ring::name_number(&name.to_string_lossy()).is_some() {
                copy_file(&ring.join(&name), &new_ring.join(&name))?;
            }
        }
        sync_directory(&new_ring)?;
    }
    // Last, and under its own name only when it is whole: without it there is no store.
    let partial = to.join(PARTIAL_NAME);
    copy_file(&from.join(FILE_NAME), &partial)?;
    std::fs::rename(&partial, to.join(FILE_NAME))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}
