//! Runtime parameters: the components that a RabbitMQ without further plugins has, limits of virtual hosts and operator
//! policies.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::admin::operate::Done;
use crate::admin::operate::Failed;
use crate::admin::operate::Operator;
use crate::admin::operate::Owner;
use crate::admin::operate::UNAVAILABLE;
use crate::broker::LimitKind;
use crate::broker::LimitSet;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;

const LIMITS: &str = "vhost-limits";
const OPERATOR_POLICIES: &str = "operator_policy";
/// The name of the one parameter that holds a virtual host's limits.
const LIMITS_NAME: &str = "limits";

fn invalid(why: &str) -> Failed {
    Failed::new(UNAVAILABLE, format!("Validation failed\n\n{why}\n"))
}

fn missing() -> Failed {
    Failed::new(UNAVAILABLE, "Parameter does not exist")
}

impl Operator<'_> {
    pub(super) fn set_parameter(
        &self,
        vhost: &str,
        component: &str,
        name: &str,
        value: &Value,
    ) -> Done {
        match component {
            "policy" => Err(Failed::new(
                UNAVAILABLE,
                "policies may not be set using this method",
            )),
            LIMITS if name == LIMITS_NAME => {
                // What the value does not name is no limit any more.
                self.set_limits(Owner::Vhost, vhost, value, LimitSet::new())
            }
            LIMITS => Err(invalid(&format!("Unexpected name {name}"))),
            OPERATOR_POLICIES => {
                self.vhost(vhost)?;
                let none = Map::new();
                let fields = value.as_object().unwrap_or(&none);
                if let Some(key) = ["priority", "pattern", "definition"]
                    .iter()
                    .find(|key| !fields.contains_key(**key))
                {
                    return Err(invalid(&format!("Key \"{key}\" not found in {name}")));
                }
                let spec = PolicySpec {
                    name: name.to_owned(),
                    pattern: fields["pattern"].clone(),
                    definition: fields["definition"].clone(),
                    priority: fields.get("priority").cloned(),
                    apply_to: fields.get("apply-to").cloned(),
                };
                self.set_policy(PolicyKind::Operator, vhost, spec)
            }
            other => {
                self.vhost(vhost)?;
                Err(invalid(&format!("component {other} not found")))
            }
        }
    }

    pub(super) fn clear_parameter(&self, vhost: &str, component: &str, name: &str) -> Done {
        self.vhost(vhost)?;
        match component {
            LIMITS if name == LIMITS_NAME => {
                let limits = self.broker.limits(LimitKind::Vhost);
                if limits.of(vhost).is_empty() {
                    return Err(missing());
                }
                let lsn = limits.clear_all(vhost);
                self.broker.apply_queue_limits();
                self.stored(lsn)
            }
            OPERATOR_POLICIES => self.clear_policy(PolicyKind::Operator, vhost, name),
            _ => Err(missing()),
        }
    }

    pub(super) fn list_parameters(&self, vhost: &str) -> Done {
        let vhost = self.vhost(vhost)?;
        let policies = vhost.policies(PolicyKind::Operator).into_iter();
        let policies = policies.map(|policy| {
            let value = json!({
                "pattern": policy.pattern.source(),
                "definition": policy.definition,
                "priority": policy.priority,
                "apply-to": policy.apply_to.name(),
            });
            json!({"component": OPERATOR_POLICIES, "name": policy.name, "value": value.to_string()})
        });
        let limits = self.broker.limits(LimitKind::Vhost).of(vhost.name());
        let limits = (!limits.is_empty()).then(|| {
            json!({"component": LIMITS, "name": LIMITS_NAME, "value": json!(limits).to_string()})
        });
        Ok(policies.chain(limits).collect())
    }
}
