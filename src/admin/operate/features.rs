//! Feature flags, all of which are enabled, and deprecated features.

use serde_json::Value;
use serde_json::json;

use crate::admin::operate::Done;
use crate::admin::operate::Failed;
use crate::admin::operate::Operator;
use crate::admin::operate::USAGE;
use crate::broker::FEATURES;

impl Operator<'_> {
    pub(super) fn features(&self) -> Value {
        let rows = FEATURES.iter().map(|(name, description)| {
            json!({
                "name": name, "state": "enabled", "stability": "required", "provided_by": "rabbit",
                "desc": description, "doc_url": "",
            })
        });
        rows.collect()
    }

    pub(super) fn enable_feature(&self, name: Option<&str>) -> Done {
        let known = |name: &str| FEATURES.iter().any(|(known, _)| *known == name);
        match name {
            Some(name) if !known(name) => {
                let node = &self.node.name;
                let text = format!("This feature flag is not supported by node {node}");
                Err(Failed::new(USAGE, text))
            }
            Some(_) | None => Ok(Value::Null),
        }
    }

    pub(super) fn deprecated(&self, used: bool) -> Value {
        let mut all = self.broker.deprecated_features(self.node.global_qos);
        all.retain(|feature| !used || self.broker.uses_deprecated(feature.name));
        let rows = all.iter().map(|feature| {
            json!({
                "name": feature.name,
                "deprecation_phase": feature.phase,
                "state": if feature.permitted { "permitted" } else { "denied" },
                "desc": feature.description,
                "doc_url": "",
                "provided_by": "rabbit",
            })
        });
        rows.collect()
    }
}
