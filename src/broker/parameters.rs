//! Global parameters: values that operators and tools keep with the node, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use serde_json::Value;

use crate::broker::definitions;
use crate::broker::definitions::Kind;
use crate::model::Lsn;
use crate::store::Definition;
use crate::store::Store;

/// Under which name the node's own identity is kept.
const CLUSTER_ID: &str = "internal_cluster_id";

/// See the module's documentation.
pub struct Parameters {
    all: RwLock<BTreeMap<String, Value>>,
    store: Arc<Store>,
}

impl Parameters {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            all: RwLock::default(),
            store,
        }
    }

    /// Takes what was stored. A node without an identity gets one.
    pub(super) fn restore(&self, stored: &[Definition]) {
        let stored = definitions::read_named(stored, Kind::GlobalParameter);
        self.all.write().extend(stored);
        if self.value(CLUSTER_ID).is_none() {
            let random: [u8; 16] = rand::random();
            let id = format!("rabbitmq-cluster-id-{}", URL_SAFE_NO_PAD.encode(random));
            self.set(CLUSTER_ID, id.into());
        }
    }

    /// All, by name.
    pub fn all(&self) -> BTreeMap<String, Value> {
        self.all.read().clone()
    }

    /// The one of that name.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.all.read().get(name).cloned()
    }

    /// Adds or replaces one.
    pub fn set(&self, name: &str, value: Value) -> Lsn {
        let mut all = self.all.write();
        let record = definitions::define_named(Kind::GlobalParameter, name, &value);
        all.insert(name.to_owned(), value);
        // Under the lock, so that the store hears of changes in their order.
        self.store.append(vec![record])
    }

    /// Removes one; `None` when there is none of that name.
    pub fn clear(&self, name: &str) -> Option<Lsn> {
        let mut all = self.all.write();
        all.remove(name)?;
        let record = definitions::undefine_named(Kind::GlobalParameter, name);
        Some(self.store.append(vec![record]))
    }
}
