//! One policy: what it is set as, whether that makes sense, and what it applies to.

use serde_json::Number;
use serde_json::Value;

use crate::model::InvalidPattern;
use crate::model::Pattern;
use crate::model::Permitted;
use crate::queue::QueueType;
use crate::vhost::policies::keys;
use crate::vhost::policies::term::term;

/// Keys and their values, by key.
pub type Definition = serde_json::Map<String, Value>;

/// Longest name of a policy.
const NAME_BYTES_MAX: usize = 255;

/// Who sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Those who may set policies in a virtual host.
    Ordinary,
    /// Those who run the node: fewer keys, and bounds for the ordinary ones.
    Operator,
}

/// What a policy applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyTo {
    /// Queues and exchanges.
    All,
    /// Exchanges.
    Exchanges,
    /// Queues of all types.
    Queues,
    /// Classic queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams.
    Streams,
}

const APPLY_TO: &[(ApplyTo, &str)] = &[
    (ApplyTo::All, "all"),
    (ApplyTo::Exchanges, "exchanges"),
    (ApplyTo::Queues, "queues"),
    (ApplyTo::ClassicQueues, "classic_queues"),
    (ApplyTo::QuorumQueues, "quorum_queues"),
    (ApplyTo::Streams, "streams"),
];

impl ApplyTo {
    /// As definitions have it.
    pub fn name(self) -> &'static str {
        let mut all = APPLY_TO.iter();
        all.find(|(apply_to, _)| *apply_to == self)
            .map_or("all", |(_, name)| name)
    }

    fn from_name(name: &str) -> Option<Self> {
        let mut all = APPLY_TO.iter();
        all.find(|(_, known)| *known == name)
            .map(|(apply_to, _)| *apply_to)
    }
}

/// What a policy may apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An exchange.
    Exchange,
    /// A queue of that type.
    Queue(QueueType),
}

/// Keys that classic queues do not know. A policy with one of them does not apply to them at all.
const NOT_CLASSIC: &[&str] = &[
    "max-age",
    "stream-max-segment-size-bytes",
    "initial-cluster-size",
    "delivery-limit",
    "dead-letter-strategy",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "target-group-size",
];

/// Keys that quorum queues do not know.
const NOT_QUORUM: &[&str] = &[
    "queue-mode",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "queue-master-locator",
    "max-age",
    "stream-max-segment-size-bytes",
    "initial-cluster-size",
];

/// Keys that streams do not know.
const NOT_STREAM: &[&str] = &[
    "expires",
    "message-ttl",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "max-length",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "max-priority",
    "overflow",
    "queue-mode",
    "single-active-consumer",
    "delivery-limit",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "queue-master-locator",
    "dead-letter-strategy",
    "target-group-size",
];

impl Subject {
    fn is_meant_by(self, apply_to: ApplyTo) -> bool {
        match apply_to {
            ApplyTo::All => true,
            ApplyTo::Exchanges => self == Self::Exchange,
            ApplyTo::Queues => self != Self::Exchange,
            ApplyTo::ClassicQueues => self == Self::Queue(QueueType::Classic),
            ApplyTo::QuorumQueues => self == Self::Queue(QueueType::Quorum),
            ApplyTo::Streams => self == Self::Queue(QueueType::Stream),
        }
    }

    fn unknown_keys(self) -> &'static [&'static str] {
        match self {
            Self::Exchange => &[],
            Self::Queue(QueueType::Classic) => NOT_CLASSIC,
            Self::Queue(QueueType::Quorum) => NOT_QUORUM,
            Self::Queue(QueueType::Stream) => NOT_STREAM,
        }
    }
}

/// Why a policy cannot be taken: RabbitMQ's text, with a line for each thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Validation failed\n\n{}", self.lines())]
pub struct InvalidPolicy {
    /// What is wrong, in RabbitMQ's order.
    pub problems: Vec<String>,
}

impl InvalidPolicy {
    fn lines(&self) -> String {
        let line = |problem: &String| format!("{problem}\n");
        self.problems.iter().map(line).collect()
    }
}

/// A policy as it was asked for: JSON, not judged yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySpec {
    /// Its name.
    pub name: String,
    /// A regular expression.
    pub pattern: Value,
    /// Keys and their values.
    pub definition: Value,
    /// A number; 0 without one.
    pub priority: Option<Value>,
    /// One of [`ApplyTo`]'s names; `all` without one.
    pub apply_to: Option<Value>,
}

/// A policy that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its name, unique among those of its kind in the virtual host.
    pub name: String,
    /// Which names it applies to.
    pub pattern: Pattern,
    /// What it applies to.
    pub apply_to: ApplyTo,
    /// Of those that match the one with the highest applies.
    pub priority: Number,
    /// What it sets.
    pub definition: Definition,
}

impl Policy {
    /// Judges what came from outside.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn judge(
        kind: PolicyKind,
        spec: PolicySpec,
        permitted: Permitted,
    ) -> Result<Self, InvalidPolicy> {
        let mut problems = Vec::new();
        let mut note = |judged: Result<(), String>| problems.extend(judged.err());
        if spec.name.len() > NAME_BYTES_MAX {
            note(Err(format!(
                "name of a policy is longer than {NAME_BYTES_MAX} bytes"
            )));
        }
        let definition = if let Value::Object(definition) = spec.definition {
            note(if definition.is_empty() {
                Err("no policy provided".to_owned())
            } else {
                keys::judge(kind, &definition, permitted)
            });
            definition
        } else {
            let shown = term(&spec.definition);
            note(Err(format!("definition must be a dictionary: {shown}")));
            Definition::new()
        };
        let mut apply_to = ApplyTo::All;
        match spec.apply_to.as_ref().map(|value| (value, value.as_str())) {
            None => {}
            Some((value, name)) => match name.and_then(ApplyTo::from_name) {
                Some(known) => apply_to = known,
                None => note(Err(format!(
                    "apply-to '{}' unrecognised; should be one of: 'queues', 'classic_queues',  \
                     'quorum_queues', 'streams', 'exchanges', or 'all'",
                    name.map_or_else(|| term(value), str::to_owned)
                ))),
            },
        }
        let mut pattern = Pattern::new("");
        match spec.pattern.as_str() {
            None => note(Err(format!(
                "pattern should be a binary but was {}",
                term(&spec.pattern)
            ))),
            Some(source) => match Pattern::checked(source) {
                Ok(checked) => pattern = checked,
                Err(InvalidPattern { reason, .. }) => note(Err(format!(
                    "pattern should be regular expression but is invalid: {reason}"
                ))),
            },
        }
        let mut priority = Number::from(0);
        match spec.priority {
            None => {}
            Some(Value::Number(number)) => priority = number,
            Some(other) => note(Err(format!(
                "priority should be a number, actually was {}",
                term(&other)
            ))),
        }
        if problems.is_empty() {
            Ok(Self {
                name: spec.name,
                pattern,
                apply_to,
                priority,
                definition,
            })
        } else {
            Err(InvalidPolicy { problems })
        }
    }

    /// Whether it applies to what is called `name`.
    pub fn applies_to(&self, subject: Subject, name: &str) -> bool {
        let unknown = subject.unknown_keys();
        subject.is_meant_by(self.apply_to)
            && !unknown.iter().any(|key| self.definition.contains_key(*key))
            && self.pattern.matches(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(pattern: Value, definition: Value) -> PolicySpec {
        PolicySpec {
            name: "p".to_owned(),
            pattern,
            definition,
            priority: None,
            apply_to: None,
        }
    }

    fn policy(pattern: &str, definition: Value, apply_to: &str) -> Policy {
        let spec = PolicySpec {
            apply_to: Some(json!(apply_to)),
            ..spec(json!(pattern), definition)
        };
        Policy::judge(PolicyKind::Ordinary, spec, Permitted::default()).expect("a policy")
    }

    #[test]
    fn everything_that_is_wrong_is_told_in_rabbitmqs_order() {
        let wrong = PolicySpec {
            priority: Some(json!("x")),
            apply_to: Some(json!("foo")),
            ..spec(json!(1), json!({"expires": 0}))
        };
        let error =
            Policy::judge(PolicyKind::Ordinary, wrong, Permitted::default()).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "Validation failed\n\n0 is not a valid queue expiry\napply-to 'foo' unrecognised; should be one of: \
             'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'\npattern should be a \
             binary but was 1\npriority should be a number, actually was <<\"x\">>\n"
        );
        let refused = |pattern, definition| {
            let spec = spec(pattern, definition);
            Policy::judge(PolicyKind::Ordinary, spec, Permitted::default()).expect_err("refused")
        };
        let nothing = refused(json!(".*"), json!({}));
        assert_eq!(
            nothing.to_string(),
            "Validation failed\n\nno policy provided\n"
        );
        let list = refused(json!(".*"), json!([]));
        assert_eq!(list.problems, ["definition must be a dictionary: []"]);
        let open = refused(json!("("), json!({"expires": 1}));
        assert!(
            open.problems[0].starts_with("pattern should be regular expression but is invalid: "),
            "{open}"
        );
    }

    #[test]
    fn what_is_left_out_has_rabbitmqs_default() {
        let judged = Policy::judge(
            PolicyKind::Ordinary,
            spec(json!("^q"), json!({"expires": 1})),
            Permitted::default(),
        );
        let policy = judged.expect("a policy");
        assert_eq!(
            (policy.apply_to.name(), policy.priority.as_i64()),
            ("all", Some(0))
        );
    }

    #[test]
    fn a_policy_applies_by_kind_and_name() {
        let classic = Subject::Queue(QueueType::Classic);
        let quorum = Subject::Queue(QueueType::Quorum);
        for (apply_to, expected) in [
            ("all", [true, true, true]),
            ("queues", [true, true, false]),
            ("classic_queues", [true, false, false]),
            ("quorum_queues", [false, true, false]),
            ("exchanges", [false, false, true]),
            ("streams", [false, false, false]),
        ] {
            let policy = policy("^q", json!({"max-length": 1}), apply_to);
            let subjects = [classic, quorum, Subject::Exchange];
            assert_eq!(
                subjects.map(|subject| policy.applies_to(subject, "q1")),
                expected,
                "{apply_to}"
            );
            assert_eq!(
                subjects.map(|subject| policy.applies_to(subject, "aq")),
                [false; 3]
            );
        }
    }

    #[test]
    fn a_policy_with_a_key_that_a_type_does_not_know_does_not_apply_to_it() {
        let limit = policy(
            ".*",
            json!({"delivery-limit": 3, "message-ttl": 1}),
            "queues",
        );
        assert!(!limit.applies_to(Subject::Queue(QueueType::Classic), "q"));
        assert!(limit.applies_to(Subject::Queue(QueueType::Quorum), "q"));
        let mode = policy(".*", json!({"queue-mode": "lazy"}), "queues");
        assert!(mode.applies_to(Subject::Queue(QueueType::Classic), "q"));
        assert!(!mode.applies_to(Subject::Queue(QueueType::Quorum), "q"));
    }
}
