//! The keys of policies: which values are wrong, which kinds of policy take them, how an operator's value and another's
//! make one (RabbitMQ's `rabbit_policies`, `rabbit_quorum_queue`).
//!
//! What a key does to a queue or an exchange is known where it is obeyed. `ha-*` keys and placements are judged, kept
//! and shown, and change nothing on one node; nor does `x-cache-persistence`, as in its plugin.

use serde_json::Value;

use crate::model::Permitted;
use crate::model::release::Deprecated;
use crate::vhost::policies::Definition;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::mirroring;
use crate::vhost::policies::term::pairs;
use crate::vhost::policies::values::age;
use crate::vhost::policies::values::any;
use crate::vhost::policies::values::at_least;
use crate::vhost::policies::values::between;
use crate::vhost::policies::values::cache_persistence;
use crate::vhost::policies::values::deduplication;
use crate::vhost::policies::values::master_locator;
use crate::vhost::policies::values::one_of;
use crate::vhost::policies::values::positive;
use crate::vhost::policies::values::text;
use crate::vhost::policies::values::version;

/// Largest `stream-max-segment-size-bytes`.
const SEGMENT_BYTES_MAX: i64 = 3_000_000_000;

/// How the values of a policy and an operator policy make one.
#[derive(Clone, Copy)]
enum Merge {
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// The operator's.
    Operator,
    /// `all` before `exactly` before the operator's.
    Mode,
    /// The larger number, else a number, else the longer list.
    Params,
    /// No operator policy has it.
    Never,
}

type Check = fn(&Value) -> Result<(), String>;

struct Key {
    name: &'static str,
    check: Check,
    merge: Merge,
}

const fn key(name: &'static str, check: Check, merge: Merge) -> Key {
    Key { name, check, merge }
}

/// In the order of their names, which is the order in which values are judged.
const KEYS: &[Key] = &[
    key(
        "alternate-exchange",
        |value| text(value, "alternate exchange name"),
        Merge::Never,
    ),
    key(
        "consumer-timeout",
        |value| at_least(0, value, "consumer timeout"),
        Merge::Never,
    ),
    key(
        "dead-letter-exchange",
        |value| text(value, "dead letter exchange name"),
        Merge::Never,
    ),
    key(
        "dead-letter-routing-key",
        |value| text(value, "dead letter routing key"),
        Merge::Never,
    ),
    key(
        "dead-letter-strategy",
        |value| {
            one_of(
                &["at-most-once", "at-least-once"],
                value,
                "dead letter strategy",
            )
        },
        Merge::Never,
    ),
    key(
        "delivery-limit",
        |value| at_least(0, value, "delivery limit"),
        Merge::Min,
    ),
    key(
        "expires",
        |value| at_least(1, value, "queue expiry"),
        Merge::Min,
    ),
    key(
        "initial-cluster-size",
        |value| at_least(0, value, "cluster size"),
        Merge::Never,
    ),
    key("max-age", age, Merge::Never),
    key(
        "max-in-memory-bytes",
        |value| at_least(0, value, "maximum memory in bytes"),
        Merge::Min,
    ),
    key(
        "max-in-memory-length",
        |value| at_least(0, value, "maximum memory in bytes"),
        Merge::Min,
    ),
    key(
        "max-length",
        |value| at_least(0, value, "maximum length"),
        Merge::Min,
    ),
    key(
        "max-length-bytes",
        |value| at_least(0, value, "maximum length in bytes"),
        Merge::Min,
    ),
    key(
        "message-ttl",
        |value| at_least(0, value, "message TTL"),
        Merge::Min,
    ),
    key(
        "overflow",
        |value| {
            one_of(
                &["drop-head", "reject-publish", "reject-publish-dlx"],
                value,
                "overflow value",
            )
        },
        Merge::Operator,
    ),
    key(
        "queue-leader-locator",
        |value| {
            one_of(
                &["client-local", "balanced", "random", "least-leaders"],
                value,
                "queue leader locator value",
            )
        },
        Merge::Never,
    ),
    key("queue-master-locator", master_locator, Merge::Never),
    key(
        "queue-mode",
        |value| one_of(&["default", "lazy"], value, "queue-mode value"),
        Merge::Never,
    ),
    key("queue-version", version, Merge::Operator),
    key(
        "stream-filter-size-bytes",
        |value| between(16, 255, value, "filter size. Valid range is 16-255"),
        Merge::Never,
    ),
    key(
        "stream-max-segment-size-bytes",
        |value| between(0, SEGMENT_BYTES_MAX, value, "segment size"),
        Merge::Never,
    ),
    // Those of the community's plugin for deduplication.
    key("x-cache-persistence", cache_persistence, Merge::Never),
    key(
        "x-cache-size",
        |value| positive("x-cache-size", value),
        Merge::Never,
    ),
    key(
        "x-cache-ttl",
        |value| positive("x-cache-ttl", value),
        Merge::Never,
    ),
    key("x-message-deduplication", deduplication, Merge::Never),
];

/// Judged together, after all others.
const MIRRORING: &[Key] = &[
    key("ha-mode", any, Merge::Mode),
    key("ha-params", any, Merge::Params),
    key("ha-promote-on-failure", any, Merge::Never),
    key("ha-promote-on-shutdown", any, Merge::Never),
    key("ha-sync-batch-size", any, Merge::Never),
    key("ha-sync-mode", any, Merge::Operator),
];

const GROUP: &[Key] = &[key(
    "target-group-size",
    |value| at_least(1, value, "qq target count value"),
    Merge::Max,
)];

fn find(name: &str) -> Option<&'static Key> {
    let mut keys = KEYS.iter().chain(MIRRORING).chain(GROUP);
    keys.find(|key| key.name == name)
}

fn takes(kind: PolicyKind, key: &Key) -> bool {
    kind == PolicyKind::Ordinary || !matches!(key.merge, Merge::Never)
}

/// Why a definition cannot be taken, in RabbitMQ's words; the first thing that is wrong.
pub(super) fn judge(
    kind: PolicyKind,
    definition: &Definition,
    permitted: Permitted,
) -> Result<(), String> {
    let is_dropped = |name: &str| {
        !permitted.classic_queue_mirroring && MIRRORING.iter().any(|key| key.name == name)
    };
    let known = |name: &str| find(name).filter(|key| takes(kind, key) && !is_dropped(name));
    if definition.contains_key("queue-master-locator") && !permitted.queue_master_locator {
        let text = "use of deprecated queue-master-locator argument is not permitted";
        return Err(text.to_owned());
    }
    if definition.contains_key("queue-master-locator") {
        Deprecated::QueueMasterLocator.warn();
    }
    let mirrors = |key: &Key| definition.contains_key(key.name);
    if permitted.classic_queue_mirroring && MIRRORING.iter().any(mirrors) {
        Deprecated::ClassicQueueMirroring.warn();
    }
    for key in KEYS {
        if let (Some(value), Some(key)) = (definition.get(key.name), known(key.name)) {
            (key.check)(value)?;
        }
    }
    mirroring::judge(definition, |name| known(name).is_some())?;
    for key in GROUP {
        if let Some(value) = definition.get(key.name) {
            (key.check)(value)?;
        }
    }
    let unknown = || {
        let entries = definition.iter();
        entries
            .filter(|(name, _)| known(name).is_none())
            .map(|(name, value)| (name.as_str(), value))
    };
    if unknown().next().is_none() {
        return Ok(());
    }
    Err(format!(
        "{} are not recognised policy settings",
        pairs(unknown())
    ))
}

/// The value where a policy and an operator policy both have the key.
pub(super) fn merged(name: &str, own: &Value, operator: &Value) -> Value {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let own_wins = match find(name).map_or(Merge::Operator, |key| key.merge) {
        Merge::Min => number(own) < number(operator),
        Merge::Max => number(own) > number(operator),
        Merge::Operator | Merge::Never => false,
        Merge::Mode => match (own.as_str(), operator.as_str()) {
            (Some("all"), _) => true,
            (_, Some("all")) => false,
            (Some("exactly"), _) => true,
            (_, _) => false,
        },
        Merge::Params => match (own, operator) {
            (Value::Array(own), Value::Array(operator)) => own.len() > operator.len(),
            (Value::Number(_), Value::Number(_)) => number(own) > number(operator),
            (own, _) => own.is_number(),
        },
    };
    if own_wins {
        own.clone()
    } else {
        operator.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(value: Value) -> Definition {
        value.as_object().expect("an object").clone()
    }

    #[track_caller]
    fn refused(kind: PolicyKind, value: Value) -> String {
        judge(kind, &definition(value), Permitted::default()).expect_err("refused")
    }

    #[track_caller]
    fn check(value: Value, text: &str) {
        assert_eq!(refused(PolicyKind::Ordinary, value), text);
    }

    #[test]
    fn wrong_values_get_rabbitmqs_texts() {
        check(json!({"message-ttl": -1}), "-1 is not a valid message TTL");
        check(
            json!({"message-ttl": 1.5}),
            "1.5 is not a valid message TTL",
        );
        check(
            json!({"message-ttl": "x", "expires": 0}),
            "0 is not a valid queue expiry",
        );
        check(
            json!({"expires": 0, "foo": 1}),
            "0 is not a valid queue expiry",
        );
        check(
            json!({"max-length": true}),
            "true is not a valid maximum length",
        );
        check(
            json!({"max-length-bytes": null}),
            "null is not a valid maximum length in bytes",
        );
        check(
            json!({"alternate-exchange": 1}),
            "1 is not a valid alternate exchange name",
        );
        check(
            json!({"dead-letter-exchange": []}),
            "[] is not a valid dead letter exchange name",
        );
        check(
            json!({"overflow": "x"}),
            "<<\"x\">> is not a valid overflow value",
        );
        check(
            json!({"max-age": "1x"}),
            "<<\"1x\">> is not a valid max age",
        );
        check(
            json!({"max-age": "0D"}),
            "<<\"0D\">> is not a valid max age",
        );
        check(
            json!({"queue-version": 3}),
            "3 is not a valid queue-version value",
        );
        check(
            json!({"stream-filter-size-bytes": 15}),
            "15 is not a valid filter size. Valid range is 16-255",
        );
        check(
            json!({"target-group-size": 0}),
            "0 is not a valid qq target count value",
        );
        check(
            json!({"delivery-limit": -1}),
            "-1 is not a valid delivery limit",
        );
        check(
            json!({"x-cache-size": 0}),
            "\"x-cache-size\" must be an integer greater than 0, got 0",
        );
        check(
            json!({"x-cache-ttl": "1"}),
            "\"x-cache-ttl\" must be an integer greater than 0, got <<\"1\">>",
        );
        check(
            json!({"x-cache-persistence": 1}),
            "\"x-cache-persistence\" must be either \"disk\" or \"memory\", got 1",
        );
        check(
            json!({"x-message-deduplication": 1}),
            "\"x-message-deduplication\" must be a boolean, got 1",
        );
        check(
            json!({"nope": 1}),
            "[{<<\"nope\">>,1}] are not recognised policy settings",
        );
    }

    #[test]
    fn what_is_not_permitted_is_refused() {
        let judged = |value: Value, permitted| {
            judge(PolicyKind::Ordinary, &definition(value), permitted).expect_err("refused")
        };
        let permitted = Permitted {
            classic_queue_mirroring: false,
            queue_master_locator: false,
            ..Permitted::default()
        };
        assert_eq!(
            judged(json!({"ha-mode": "all", "max-length": 1}), permitted),
            "[{<<\"ha-mode\">>,<<\"all\">>}] are not recognised policy settings"
        );
        assert_eq!(
            judged(json!({"queue-master-locator": "min-masters"}), permitted),
            "use of deprecated queue-master-locator argument is not permitted"
        );
    }

    #[test]
    fn mirroring_is_judged_as_a_whole() {
        check(
            json!({"ha-mode": "foo"}),
            "<<\"foo\">> is not a valid ha-mode value",
        );
        check(
            json!({"ha-params": 1}),
            "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown",
        );
        check(
            json!({"ha-mode": "exactly", "ha-params": "x"}),
            "ha-mode=\"exactly\" takes an integer, <<\"x\">> given",
        );
        check(
            json!({"ha-mode": "all", "ha-params": 1}),
            "ha-mode=\"all\" does not take parameters",
        );
        check(
            json!({"ha-mode": "nodes", "ha-params": []}),
            "ha-mode=\"nodes\" list must be non-empty",
        );
        check(
            json!({"ha-mode": "nodes", "ha-params": [1, "a"]}),
            "ha-mode=\"nodes\" takes a list of strings, [1] was not a string",
        );
        check(
            json!({"ha-mode": "nodes", "ha-params": 1}),
            "ha-mode=\"nodes\" takes a list, 1 given",
        );
        check(
            json!({"ha-mode": "all", "ha-sync-mode": "x"}),
            "ha-sync-mode must be \"manual\" or \"automatic\", got <<\"x\">>",
        );
        check(
            json!({"ha-mode": "all", "ha-sync-batch-size": 0}),
            "ha-sync-batch-size takes an integer greater than 0, 0 given",
        );
        check(
            json!({"ha-mode": "all", "ha-promote-on-failure": "x"}),
            "ha-promote-on-failure must be \"always\" or \"when-synced\", got <<\"x\">>",
        );
        let right = json!({"ha-mode": "exactly", "ha-params": 2, "ha-sync-mode": "automatic"});
        assert_eq!(
            judge(
                PolicyKind::Ordinary,
                &definition(right.clone()),
                Permitted::default()
            ),
            Ok(())
        );
        assert_eq!(
            judge(
                PolicyKind::Operator,
                &definition(right),
                Permitted::default()
            ),
            Ok(())
        );
    }

    #[test]
    fn operators_have_fewer_keys() {
        assert_eq!(
            refused(PolicyKind::Operator, json!({"dead-letter-exchange": "a"})),
            "[{<<\"dead-letter-exchange\">>,<<\"a\">>}] are not recognised policy settings"
        );
        let right = json!({
            "delivery-limit": 1, "expires": 1, "max-in-memory-bytes": 1, "max-in-memory-length": 1,
            "max-length": 0, "max-length-bytes": 0, "message-ttl": 0, "overflow": "drop-head",
            "queue-version": 2, "target-group-size": 3,
        });
        assert_eq!(
            judge(
                PolicyKind::Operator,
                &definition(right),
                Permitted::default()
            ),
            Ok(())
        );
    }

    #[test]
    fn numbers_beyond_all_bounds_are_large_numbers() {
        let large = json!({"message-ttl": u64::MAX, "max-length": i64::MAX});
        assert_eq!(
            judge(
                PolicyKind::Ordinary,
                &definition(large),
                Permitted::default()
            ),
            Ok(())
        );
    }

    #[track_caller]
    fn check_merged(key: &str, own: Value, operator: Value, expected: Value) {
        assert_eq!(merged(key, &own, &operator), expected, "{key}");
    }

    #[test]
    fn the_stricter_value_wins() {
        check_merged("message-ttl", json!(1), json!(2), json!(1));
        check_merged("message-ttl", json!(2), json!(1), json!(1));
        check_merged("delivery-limit", json!(5), json!(3), json!(3));
        check_merged("target-group-size", json!(3), json!(5), json!(5));
        check_merged("target-group-size", json!(5), json!(3), json!(5));
        check_merged("queue-version", json!(2), json!(1), json!(1));
        check_merged(
            "overflow",
            json!("drop-head"),
            json!("reject-publish"),
            json!("reject-publish"),
        );
        check_merged("ha-mode", json!("all"), json!("exactly"), json!("all"));
        check_merged(
            "ha-mode",
            json!("nodes"),
            json!("exactly"),
            json!("exactly"),
        );
        check_merged("ha-params", json!(3), json!(2), json!(3));
        check_merged("ha-params", json!(["a", "b"]), json!(2), json!(2));
        check_merged(
            "ha-params",
            json!(["a", "b"]),
            json!(["c"]),
            json!(["a", "b"]),
        );
        check_merged(
            "ha-sync-mode",
            json!("manual"),
            json!("automatic"),
            json!("automatic"),
        );
    }
}
