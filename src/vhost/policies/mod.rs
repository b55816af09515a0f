//! Policies and operator policies: settings for many queues and exchanges at once, by their names.
//!
//! At most one policy and one operator policy apply to a queue or an exchange: of those that match, the one with the
//! highest priority; of several with the same, the first by name (RabbitMQ leaves that open). What they set is merged
//! with each other here and with the arguments of the declaration where it is obeyed.
//!
//! A change is one pass over the virtual host's objects in which no lock but one queue's is held at a time, so that it
//! holds nobody up however many there are. No pattern is matched when messages pass.

mod apply;
mod keys;
mod mirroring;
mod policy;
mod term;
mod values;

use std::cmp::Ordering;
use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use serde_json::Value;

use crate::model::Arguments;
pub(super) use apply::GovernedExchange;
pub(super) use apply::GovernedQueue;
pub use policy::ApplyTo;
pub use policy::Definition;
pub use policy::InvalidPolicy;
pub use policy::Policy;
pub use policy::PolicyKind;
pub use policy::PolicySpec;
pub use policy::Subject;
pub use term::term;

/// All policies of a virtual host: a value that is replaced, not changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Policies {
    /// By descending priority, then by name.
    ordinary: Vec<Arc<Policy>>,
    operator: Vec<Arc<Policy>>,
}

fn order(left: &Policy, right: &Policy) -> Ordering {
    let priority = |policy: &Policy| policy.priority.as_f64().unwrap_or_default();
    priority(right)
        .total_cmp(&priority(left))
        .then_with(|| left.name.cmp(&right.name))
}

impl Policies {
    /// Those of one kind, in the order in which they are tried.
    pub(super) fn of(&self, kind: PolicyKind) -> &[Arc<Policy>] {
        match kind {
            PolicyKind::Ordinary => &self.ordinary,
            PolicyKind::Operator => &self.operator,
        }
    }

    fn of_mut(&mut self, kind: PolicyKind) -> &mut Vec<Arc<Policy>> {
        match kind {
            PolicyKind::Ordinary => &mut self.ordinary,
            PolicyKind::Operator => &mut self.operator,
        }
    }

    /// The one with that name.
    pub(super) fn find(&self, kind: PolicyKind, name: &str) -> Option<&Arc<Policy>> {
        self.of(kind).iter().find(|policy| policy.name == name)
    }

    /// Adds one or replaces the one with its name.
    pub(super) fn put(&mut self, kind: PolicyKind, policy: Policy) {
        self.remove(kind, &policy.name);
        let policies = self.of_mut(kind);
        let at = policies.partition_point(|other| order(other, &policy) == Ordering::Less);
        policies.insert(at, Arc::new(policy));
    }

    /// Takes one out; answers whether it was there.
    pub(super) fn remove(&mut self, kind: PolicyKind, name: &str) -> bool {
        let policies = self.of_mut(kind);
        let before = policies.len();
        policies.retain(|policy| policy.name != name);
        policies.len() < before
    }

    /// Those that apply to what is called `name`.
    pub(super) fn applied_to(&self, subject: Subject, name: &str) -> Applied {
        let first = |policies: &[Arc<Policy>]| {
            let mut policies = policies.iter();
            policies
                .find(|policy| policy.applies_to(subject, name))
                .cloned()
        };
        Applied {
            policy: first(&self.ordinary),
            operator_policy: first(&self.operator),
        }
    }
}

/// The policies that apply to one queue or exchange.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// The policy.
    pub policy: Option<Arc<Policy>>,
    /// The operator policy.
    pub operator_policy: Option<Arc<Policy>>,
}

impl Applied {
    /// What the two set together; `None` when none applies.
    pub fn definition(&self) -> Option<Definition> {
        let (own, operator) = match (&self.policy, &self.operator_policy) {
            (None, None) => return None,
            (Some(only), None) | (None, Some(only)) => return Some(only.definition.clone()),
            (Some(own), Some(operator)) => (own, operator),
        };
        let mut merged = own.definition.clone();
        for (key, theirs) in &operator.definition {
            let value = match own.definition.get(key) {
                Some(mine) => keys::merged(key, mine, theirs),
                None => theirs.clone(),
            };
            merged.insert(key.clone(), value);
        }
        Some(merged)
    }

    /// The same as arguments of a declaration, their keys with the prefix `x-` that those of queues have. Keys of plugins
    /// have it in policies too.
    pub(super) fn arguments(&self) -> Arguments {
        let mut arguments = Arguments::default();
        for (key, value) in self.definition().unwrap_or_default() {
            if let Some(value) = argument(&value) {
                let name = key.strip_prefix("x-").unwrap_or(&key);
                arguments.set(&format!("x-{name}"), value);
            }
        }
        arguments
    }

    /// The number under `key`.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.definition()?.get(key)?.as_u64()
    }

    /// The text under `key`.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let definition = self.definition()?;
        definition.get(key)?.as_str().map(str::to_owned)
    }
}

/// Lists have no counterpart that a queue would obey.
fn argument(value: &Value) -> Option<AMQPValue> {
    match value {
        Value::Bool(flag) => Some(AMQPValue::Boolean(*flag)),
        // Beyond i64 it is as good as unlimited.
        Value::Number(number) => Some(AMQPValue::LongLongInt(number.as_i64().unwrap_or(i64::MAX))),
        Value::String(text) => Some(AMQPValue::LongString(text.as_str().into())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Permitted;
    use crate::queue::QueueType;
    use serde_json::json;

    const QUEUE: Subject = Subject::Queue(QueueType::Classic);

    fn policy(kind: PolicyKind, name: &str, priority: Value, definition: Value) -> Policy {
        let spec = PolicySpec {
            name: name.to_owned(),
            pattern: json!("^q"),
            definition,
            priority: Some(priority),
            apply_to: None,
        };
        Policy::judge(kind, spec, Permitted::default()).expect("a policy")
    }

    fn put(policies: &mut Policies, name: &str, priority: Value) {
        let ordinary = PolicyKind::Ordinary;
        policies.put(
            ordinary,
            policy(ordinary, name, priority, json!({"max-length": 1})),
        );
    }

    #[track_caller]
    fn check_applied(policies: &Policies, name: Option<&str>) {
        let applied = policies.applied_to(QUEUE, "q");
        let applied = applied.policy.as_ref().map(|policy| policy.name.as_str());
        assert_eq!(applied, name);
    }

    #[test]
    fn the_highest_priority_applies_and_of_equals_the_first_name() {
        let mut policies = Policies::default();
        check_applied(&policies, None);
        put(&mut policies, "m", json!(1));
        check_applied(&policies, Some("m"));
        put(&mut policies, "z", json!(2));
        check_applied(&policies, Some("z"));
        put(&mut policies, "a", json!(2));
        check_applied(&policies, Some("a"));
        put(&mut policies, "b", json!(2.5));
        check_applied(&policies, Some("b"));
        put(&mut policies, "b", json!(-1));
        check_applied(&policies, Some("a"));
        assert!(policies.remove(PolicyKind::Ordinary, "a"));
        assert!(!policies.remove(PolicyKind::Ordinary, "a"));
        check_applied(&policies, Some("z"));
        let names: Vec<_> = policies
            .of(PolicyKind::Ordinary)
            .iter()
            .map(|policy| policy.name.as_str())
            .collect();
        assert_eq!(names, ["z", "m", "b"]);
    }

    #[test]
    fn both_kinds_make_one_definition() {
        let mut policies = Policies::default();
        let own = json!({"message-ttl": 10, "max-length": 5, "overflow": "drop-head", "dead-letter-exchange": "x"});
        policies.put(
            PolicyKind::Ordinary,
            policy(PolicyKind::Ordinary, "p", json!(0), own.clone()),
        );
        let applied = policies.applied_to(QUEUE, "q");
        assert_eq!(applied.definition().map(Value::Object), Some(own));
        let bounds =
            json!({"message-ttl": 20, "max-length": 3, "overflow": "reject-publish", "expires": 7});
        policies.put(
            PolicyKind::Operator,
            policy(PolicyKind::Operator, "o", json!(0), bounds),
        );
        let applied = policies.applied_to(QUEUE, "q");
        let expected = json!({
            "message-ttl": 10, "max-length": 3, "overflow": "reject-publish", "expires": 7,
            "dead-letter-exchange": "x",
        });
        assert_eq!(applied.definition().map(Value::Object), Some(expected));
        assert_eq!(
            applied.arguments().value("x-max-length"),
            Some(&AMQPValue::LongLongInt(3))
        );
        assert_eq!(policies.applied_to(QUEUE, "other").definition(), None);
    }
}
