//! Policies take effect on what exists and on what comes, and come back after a restart.

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::model::Permitted;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;

fn policy(kind: PolicyKind, name: &str, pattern: &str, definition: Value) -> Policy {
    let spec = PolicySpec {
        name: name.to_owned(),
        pattern: json!(pattern),
        definition,
        priority: None,
        apply_to: None,
    };
    Policy::judge(kind, spec, Permitted::default()).expect("a policy")
}

impl Node {
    fn set(&self, name: &str, pattern: &str, definition: Value) {
        let kind = PolicyKind::Ordinary;
        let policy = policy(kind, name, pattern, definition);
        self.wait(self.vhost.set_policy(kind, policy, NOW));
    }

    fn set_operator(&self, name: &str, pattern: &str, definition: Value) {
        let kind = PolicyKind::Operator;
        let policy = policy(kind, name, pattern, definition);
        self.wait(self.vhost.set_policy(kind, policy, NOW));
    }

    fn clear(&self, name: &str) {
        self.wait(self.vhost.clear_policy(PolicyKind::Ordinary, name, NOW));
    }

    /// The policy that applies to a queue.
    fn policy_of(&self, queue: &str) -> Option<String> {
        let applied = self.queue(queue).applied();
        applied.policy.map(|policy| policy.name.clone())
    }

    fn deadline(&self, queue: &str) -> Option<u64> {
        self.queue(queue).enter(|state, _| state.next_deadline()).0
    }
}

#[test]
fn a_policy_rules_what_exists_and_what_is_declared_later() {
    let node = Node::new();
    node.declare_queue(durable("q1"));
    node.declare_queue(durable("other"));
    node.set("p", "^q", json!({"max-length": 2}));
    node.declare_queue(durable("q2"));
    for queue in ["q1", "q2", "other"] {
        node.publish("", queue, &["a", "b", "c"]);
    }
    assert_eq!(node.drain("q1"), ["b", "c"]);
    assert_eq!(node.drain("q2"), ["b", "c"]);
    assert_eq!(node.drain("other"), ["a", "b", "c"]);
    assert_eq!(node.policy_of("q1").as_deref(), Some("p"));
    assert_eq!(node.policy_of("other"), None);

    node.clear("p");
    assert_eq!(node.policy_of("q2"), None);
    node.publish("", "q2", &["a", "b", "c"]);
    assert_eq!(node.drain("q2").len(), 3);
}

#[test]
fn a_new_limit_drops_what_is_there_but_refusing_new_ones_keeps_it() {
    let node = Node::new();
    for queue in ["q-drop", "q-keep"] {
        node.declare_queue(durable(queue));
        node.publish("", queue, &["a", "b", "c"]);
    }
    node.declare_queue(durable("dead"));
    node.set(
        "drop",
        "^q-drop",
        json!({"max-length": 1, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"}),
    );
    assert_eq!(node.drain("dead"), ["a", "b"]);
    assert_eq!(node.drain("q-drop"), ["c"]);
    node.set(
        "keep",
        "^q-keep",
        json!({"max-length": 1, "overflow": "reject-publish"}),
    );
    assert!(node.queue("q-keep").refuses());
    node.publish("", "q-keep", &["d"]);
    assert_eq!(node.drain("q-keep"), ["a", "b", "c"]);
}

#[test]
fn messages_keep_the_time_to_live_that_they_came_with() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.publish("", "q", &["before"]);
    node.set("p", "^q", json!({"message-ttl": 10}));
    assert_eq!(node.deadline("q"), None);
    assert_eq!(node.drain("q"), ["before"]);
    node.publish("", "q", &["under it"]);
    assert_eq!(node.deadline("q"), Some(NOW + 10));
    node.clear("p");
    assert_eq!(node.deadline("q"), Some(NOW + 10));
}

#[test]
fn an_expiry_counts_from_the_policy() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    let kind = PolicyKind::Ordinary;
    let expires = policy(kind, "p", "^q", json!({"expires": 100}));
    node.vhost.set_policy(kind, expires, NOW + 5_000);
    assert_eq!(node.deadline("q"), Some(NOW + 5_100));
    let due = node.shared.timers.take_due(NOW + 5_100);
    assert_eq!(due, [node.queue("q").id]);
    node.clear("p");
    assert_eq!(node.deadline("q"), None);
}

#[test]
fn the_smaller_number_and_the_declared_text_win() {
    let node = Node::new();
    node.declare_queue(QueueSpec {
        arguments: arguments(&[
            ("x-max-length", AMQPValue::LongInt(2)),
            (
                "x-dead-letter-exchange",
                AMQPValue::LongString("declared".into()),
            ),
        ]),
        ..durable("q")
    });
    node.set(
        "p",
        "^q",
        json!({"max-length": 3, "dead-letter-exchange": "policy", "dead-letter-routing-key": "k"}),
    );
    let target = node.queue("q").dead_letter_target().expect("declared");
    assert_eq!(
        (target.exchange.as_str(), target.routing_key.as_deref()),
        ("declared", Some("k"))
    );
    node.publish("", "q", &["a", "b", "c"]);
    assert_eq!(node.drain("q"), ["b", "c"]);
    node.set_operator("o", "^q", json!({"max-length": 1}));
    node.publish("", "q", &["a", "b", "c"]);
    assert_eq!(node.drain("q"), ["c"]);
}

#[test]
fn an_alternate_exchange_by_policy_takes_what_is_not_routed() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.bind(&to_queue("amq.fanout", "q", ""));
    node.declare_exchange(exchange("x", Kind::Direct));
    assert_eq!(node.route("x", "k"), [""; 0]);
    let epoch = node.vhost.epoch();
    node.set("p", ".*", json!({"alternate-exchange": "amq.fanout"}));
    assert!(node.vhost.epoch() > epoch, "routes are not remembered");
    assert_eq!(node.route("x", "k"), ["q"]);
    assert_eq!(
        node.route("", "nowhere"),
        [""; 0],
        "not the default exchange"
    );
    node.declare_exchange(exchange("y", Kind::Direct));
    assert_eq!(node.route("y", "k"), ["q"]);
    node.declare_exchange(ExchangeSpec {
        arguments: arguments(&[(
            "alternate-exchange",
            AMQPValue::LongString("nowhere".into()),
        )]),
        ..exchange("z", Kind::Direct)
    });
    assert_eq!(node.route("z", "k"), [""; 0], "its own argument wins");
    let epoch = node.vhost.epoch();
    node.set("unrelated", "^q", json!({"max-length": 5}));
    assert_eq!(node.vhost.epoch(), epoch, "routes stay remembered");
    node.clear("p");
    assert_eq!(node.route("x", "k"), [""; 0]);
}

#[test]
fn policies_come_back_before_what_they_rule() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.declare_exchange(exchange("x", Kind::Direct));
    node.set(
        "p",
        "^q|^x|^amq",
        json!({"message-ttl": 50, "alternate-exchange": "amq.fanout"}),
    );
    node.set("gone", "^q", json!({"max-length": 1}));
    node.clear("gone");
    node.set_operator("o", "^q", json!({"max-length": 7}));
    node.publish("", "q", &["a"]);
    node.bind(&to_queue("amq.fanout", "q", ""));

    let node = node.restarted();
    let applied = node.queue("q").applied();
    let definition = applied.definition().map(Value::Object);
    assert_eq!(
        definition,
        Some(json!({"message-ttl": 50, "max-length": 7, "alternate-exchange": "amq.fanout"}))
    );
    assert_eq!(node.deadline("q"), Some(NOW + 50));
    assert_eq!(node.route("x", "k"), ["q"]);
    assert_eq!(node.route("amq.direct", "k"), ["q"]);
    let names = |kind| -> Vec<String> {
        let policies = node.vhost.policies(kind);
        policies.iter().map(|policy| policy.name.clone()).collect()
    };
    assert_eq!(names(PolicyKind::Ordinary), ["p"]);
    assert_eq!(names(PolicyKind::Operator), ["o"]);
}

#[test]
fn setting_what_is_set_changes_nothing() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.set("p", "^q", json!({"expires": 100}));
    let again = policy(PolicyKind::Ordinary, "p", "^q", json!({"expires": 100}));
    let lsn = node.vhost.set_policy(PolicyKind::Ordinary, again, NOW + 50);
    assert_eq!(lsn, Lsn::NONE);
    assert_eq!(node.deadline("q"), Some(NOW + 100));
    let lsn = node.vhost.clear_policy(PolicyKind::Ordinary, "none", NOW);
    assert_eq!(lsn, Lsn::NONE);
}

#[test]
fn declaring_and_setting_at_once_leaves_no_queue_behind() {
    let node = Node::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..50 {
                node.declare_queue(durable(&format!("q{round}")));
            }
        });
        for round in 0..50 {
            node.set("p", "^q", json!({"max-length": round}));
        }
    });
    for queue in node.vhost.queues() {
        let definition = queue.applied().definition().map(Value::Object);
        assert_eq!(definition, Some(json!({"max-length": 49})));
    }
}
