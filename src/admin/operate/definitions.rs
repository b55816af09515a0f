//! Definitions out of the node and into it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::admin::operate::ACTING;
use crate::admin::operate::DATA;
use crate::admin::operate::Done;
use crate::admin::operate::Failed;
use crate::admin::operate::Operator;
use crate::definitions;

/// The global parameter in which RabbitMQ too keeps what the last document was.
const HASH: &str = "imported_definition_hash_value";

impl Operator<'_> {
    pub(super) fn export_definitions(&self) -> Value {
        definitions::of_node(self.broker)
    }

    /// Entries that cannot be taken are told, and all others are taken.
    pub(super) fn import_definitions(&self, body: &[u8], skip_if_unchanged: bool) -> Done {
        let document: Value = serde_json::from_slice(body).map_err(|error| {
            let text = format!("Failed to deserialise input (format: JSON) (error: {error})");
            Failed::new(DATA, text)
        })?;
        // Keys are in order, so that the same definitions are the same text.
        let hash = STANDARD.encode(Sha256::digest(document.to_string()));
        let known = self.broker.parameters().value(HASH);
        if skip_if_unchanged && known.is_some_and(|known| known == hash) {
            return Ok(json!({"unchanged": true}));
        }
        let imported = definitions::import(self.broker, &document, None, self.now())
            .map_err(|error| Failed::new(DATA, error.to_string()))?;
        self.broker.tell_changes(ACTING, self.now());
        self.stored(imported.commit)?;
        if !imported.skipped.is_empty() {
            let reasons = imported.skipped.iter().map(|skipped| {
                let (section, name) = (skipped.section, &skipped.name);
                format!("{section} {name}: {}", skipped.reason)
            });
            let reasons = reasons.collect::<Vec<_>>().join("\n");
            return Err(Failed::new(DATA, reasons));
        }
        if skip_if_unchanged {
            self.stored(self.broker.parameters().set(HASH, hash.into()))?;
        }
        Ok(json!({"unchanged": false}))
    }
}
