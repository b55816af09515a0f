//! What the store does when storage does not do what it should, and how it tells.

use redb::backends::InMemoryBackend;

use super::commit;
use super::put;
use super::texts;
use super::wanted;
use crate::store::Store;
use crate::store::StoreOptions;

#[test]
fn any_storage_will_do() {
    let (store, _) = Store::open_with(InMemoryBackend::new(), StoreOptions::default()).unwrap();
    commit(&store, vec![put(1, 1, &["a"])]);
    assert_eq!(texts(&store, 1), wanted(&[(1, "a")]));
}
