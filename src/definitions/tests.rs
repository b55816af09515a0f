//! Definitions of every kind, out of one node and into another.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::auth::Credentials;
use crate::broker::AlarmOptions;
use crate::broker::Broker;
use crate::broker::BrokerOptions;
use crate::broker::Protocol;
use crate::definitions::ImportError;
use crate::definitions::Imported;
use crate::definitions::import;
use crate::definitions::of_node;
use crate::definitions::of_vhost;
use crate::model::Permitted;
use crate::model::Release;
use crate::store::StoreOptions;
use crate::vhost::QueueDefaults;

const NOW: u64 = 1_000_000;

fn options(dir: &Path) -> BrokerOptions {
    BrokerOptions {
        data_dir: dir.to_owned(),
        store: StoreOptions::default(),
        product: "RabbitMQ".to_owned(),
        version: "3.13.7".to_owned(),
        cluster_name: "rabbit@test".to_owned(),
        auth_mechanisms: vec!["PLAIN".to_owned()],
        anonymous: Credentials::new("guest", "guest"),
        default_user: "guest".to_owned(),
        default_pass: "guest".to_owned(),
        default_vhost: "/".to_owned(),
        seeded: true,
        loopback_users: Vec::new(),
        connection_max: None,
        log_exchange: false,
        outbox_bytes_max: 1 << 20,
        queue_memory_bytes: 64 << 20,
        queue_defaults: QueueDefaults::default(),
        release: Release::default(),
        permitted: Permitted::default(),
        alarms: AlarmOptions::default(),
    }
}

fn node() -> (TempDir, Arc<Broker>) {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(options(dir.path()), NOW).unwrap();
    (dir, broker)
}

fn everything() -> Value {
    json!({
        "rabbit_version": "3.13.7",
        "users": [
            {"name": "u", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
             "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["management", "mine"],
             "limits": {"max-connections": 5}},
            {"name": "old", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "tags": "a,b"},
        ],
        "vhosts": [
            {"name": "v", "limits": {"max-queues": 9},
             "metadata": {"description": "d", "tags": ["t"], "default_queue_type": "classic"}},
        ],
        "permissions": [{"user": "u", "vhost": "v", "configure": ".*", "write": "^a", "read": ""}],
        "topic_permissions": [{"user": "u", "vhost": "v", "exchange": "amq.topic", "write": "w", "read": "r"}],
        "global_parameters": [{"name": "g", "value": {"any": [1, 2]}}],
        "parameters": [
            {"vhost": "v", "component": "operator_policy", "name": "o",
             "value": {"pattern": ".*", "apply-to": "queues", "priority": 1, "definition": {"max-length": 7}}},
        ],
        "policies": [
            {"vhost": "v", "name": "p", "pattern": "^q", "apply-to": "queues", "priority": 2,
             "definition": {"message-ttl": 5}},
        ],
        "exchanges": [
            {"vhost": "v", "name": "x", "type": "topic", "durable": true, "auto_delete": false, "internal": false,
             "arguments": {"alternate-exchange": "amq.fanout"}},
        ],
        "queues": [
            {"vhost": "v", "name": "q", "type": "classic", "durable": true, "auto_delete": false,
             "arguments": {"x-queue-type": "classic", "x-max-length": 3}},
        ],
        "bindings": [
            {"vhost": "v", "source": "x", "destination": "q", "destination_type": "queue", "routing_key": "k",
             "arguments": {"a": 1}},
            {"vhost": "v", "source": "x", "destination": "amq.direct", "destination_type": "exchange",
             "routing_key": "", "arguments": {}},
        ],
    })
}

fn taken(broker: &Broker, document: &Value) -> Imported {
    import(broker, document, None, NOW).unwrap()
}

#[test]
fn what_was_imported_is_exported() {
    let (_dir, broker) = node();
    let imported = taken(&broker, &everything());
    assert_eq!(imported.skipped, []);
    let exported = of_node(&broker);
    for section in [
        "permissions",
        "topic_permissions",
        "parameters",
        "policies",
        "exchanges",
        "queues",
        "bindings",
    ] {
        for entry in everything()[section].as_array().unwrap() {
            let all = exported[section].as_array().unwrap();
            assert!(all.contains(entry), "{entry} in {section}: {all:?}");
        }
    }
    let limits = json!({
        "vhost": "v", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 9},
    });
    assert!(exported["parameters"].as_array().unwrap().contains(&limits));
    let users = exported["users"].as_array().unwrap();
    assert!(users.contains(&everything()["users"][0]));
    let access = broker.access();
    for user in ["u", "old"] {
        let credentials = Credentials::new(user, "test12");
        assert!(
            access.log_in(Protocol::Amqp091, &credentials, true).is_ok(),
            "{user}"
        );
    }
    // And into another node, from which it comes out as it went in.
    let (_dir, other) = node();
    taken(&other, &exported);
    let mut again = of_node(&other);
    // Each node has an identity of its own.
    let mut exported = exported;
    for document in [&mut again, &mut exported] {
        let parameters = document["global_parameters"].as_array_mut().unwrap();
        parameters.retain(|row| row["name"] != "internal_cluster_id");
    }
    assert_eq!(again, exported);
}

#[test]
fn one_bad_entry_keeps_no_other_out() {
    let (_dir, broker) = node();
    let document = json!({
        "rabbit_version": "3.5.0",
        "users": [
            {"name": "bad", "password_hash": "!!", "hashing_algorithm": "rabbit_password_hashing_sha256"},
            {"name": "md5", "password_hash": "AAAA", "tags": ""},
            {"name": "good", "password": "p", "tags": ""},
        ],
        "vhosts": [{"name": "v"}, {}, {"name": "w", "metadata": {"default_queue_type": "none"}}],
        "permissions": [
            {"user": "good", "vhost": "nowhere", "configure": "", "write": "", "read": ""},
            {"user": "good", "vhost": "v", "configure": "[", "write": "", "read": ""},
            {"user": "good", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"},
        ],
        "parameters": [{"vhost": "v", "component": "shovel", "name": "s", "value": {}}],
        "policies": [{"vhost": "v", "name": "p", "pattern": "", "definition": {"unknown": 1}}],
        "exchanges": [
            {"vhost": "v", "name": "x", "type": "none"},
            {"vhost": "v", "name": "amq.mine", "type": "direct"},
        ],
        "queues": [
            {"vhost": "v", "name": "q", "arguments": {"x-max-length": -1}},
            {"vhost": "v", "name": "r"},
        ],
        "bindings": [
            {"vhost": "v", "source": "x", "destination": "r", "destination_type": "queue", "routing_key": ""},
            {"vhost": "v", "source": "amq.direct", "destination": "r", "destination_type": "queue", "routing_key": ""},
        ],
        "future": 1,
    });
    let imported = taken(&broker, &document);
    let skipped: Vec<_> = imported
        .skipped
        .iter()
        .map(|skipped| (skipped.section, &*skipped.name))
        .collect();
    let expected = [
        ("users", "bad"),
        ("users", "md5"),
        ("vhosts", ""),
        ("vhosts", "w"),
        ("permissions", "nowhere / good"),
        ("permissions", "v / good"),
        ("parameters", "v / shovel / s"),
        ("policies", "v / p"),
        ("exchanges", "v / x"),
        ("exchanges", "v / amq.mine"),
        ("queues", "v / q"),
        ("bindings", "v / x / r"),
    ];
    assert_eq!(skipped, expected);
    assert_eq!(
        (imported.taken, imported.unknown),
        (5, vec!["future".to_owned()])
    );
    let vhost = broker.vhost("v").unwrap();
    assert!(vhost.queue("r").is_some());
    assert!(broker.access().may_enter("good", "v"));
}

#[test]
fn what_is_no_document_changes_nothing() {
    let (_dir, broker) = node();
    let vhost = broker.vhost("/").unwrap();
    let before = of_node(&broker);
    let into = |document: Value, vhost| import(&broker, &document, vhost, NOW).unwrap_err();
    assert_eq!(into(json!([]), None), ImportError::NotAnObject);
    for section in [json!({}), json!([1]), json!("x")] {
        let document = json!({"vhosts": [{"name": "v"}], "queues": section});
        assert_eq!(
            into(document, None),
            ImportError::Section("queues".to_owned())
        );
    }
    let users = json!({"users": [{"name": "u", "tags": ""}]});
    assert_eq!(
        into(users, Some(&vhost)),
        ImportError::OfNode("users".to_owned())
    );
    assert_eq!(into(of_vhost(&broker, &vhost), None), ImportError::OfVhost);
    assert_eq!(of_node(&broker), before);
}

#[test]
fn one_virtual_host_goes_into_another() {
    let (_dir, broker) = node();
    taken(&broker, &everything());
    let exported = of_vhost(&broker, &broker.vhost("v").unwrap());
    assert!(exported["queues"][0].get("vhost").is_none());
    let target = broker.vhost("/").unwrap();
    let imported = import(&broker, &exported, Some(&target), NOW).unwrap();
    assert_eq!(imported.skipped, []);
    assert!(target.queue("q").is_some() && target.exchange("x").is_some());
    let again = of_vhost(&broker, &target);
    for section in ["queues", "exchanges", "bindings", "policies", "parameters"] {
        assert_eq!(again[section], exported[section], "{section}");
    }
}
