//! Everything that a store has written, thrown away. No store may be open there.

use std::io;
use std::path::Path;

use crate::store::RING_DIRECTORY;
use crate::store::StoreError;
use crate::store::recover::FILE_NAME;
use crate::store::recover::NEW_FILE_NAME;

/// Removes the files of the store from `dir`, and nothing else. The database goes first: without it what is left is no
/// store any more, and the next start makes a new one.
pub fn wipe(dir: &Path) -> Result<(), StoreError> {
    for name in [FILE_NAME, NEW_FILE_NAME] {
        forgive_absence(std::fs::remove_file(dir.join(name)))?;
    }
    forgive_absence(std::fs::remove_dir_all(dir.join(RING_DIRECTORY)))
}

fn forgive_absence(done: io::Result<()>) -> Result<(), StoreError> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| StoreError::Wipe { source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::StoreOptions;

    #[test]
    fn what_is_not_the_stores_stays_and_a_new_store_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("other"), "kept").unwrap();
        let (store, _) = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let record = crate::store::Record::Define {
            kind: 1,
            key: b"key".to_vec(),
            value: b"value".to_vec(),
        };
        store.wait(store.append(vec![record])).unwrap();
        store.close().unwrap();
        wipe(dir.path()).unwrap();
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1);
        let (_, recovered) = Store::open(dir.path(), StoreOptions::default()).unwrap();
        assert!(recovered.definitions.is_empty());
        // Twice is as good as once.
        wipe(&dir.path().join("nowhere")).unwrap();
    }
}
