//! Virtual hosts and users come and go, and what becomes of those who use them.

use super::*;
use crate::auth::TopicPermissionRecord;
use crate::broker::NotDeleted;
use crate::queue::QueueType;
use crate::vhost::VhostMetadata;

const OTHER: &str = "other";

fn everything() -> PermissionRecord {
    PermissionRecord {
        user: "guest".to_owned(),
        vhost: OTHER.to_owned(),
        configure: ".*".to_owned(),
        write: ".*".to_owned(),
        read: ".*".to_owned(),
    }
}

/// A node with a second virtual host, and a client in it.
fn node_and_client() -> (Node, Client) {
    let node = Node::new();
    node.create_vhost(&VhostName::known(OTHER), VhostMetadata::default());
    node.access()
        .set_permission(&everything())
        .expect("patterns");
    let mut client = node.stranger();
    let login = client.login("PLAIN", b"\0guest\0guest", &FieldTable::default());
    assert_eq!(login, Login::Accepted);
    client.open(&VhostName::known(OTHER)).expect("permitted");
    client.open_channel(CHANNEL).expect("opened");
    (node, client)
}

fn closes(client: &mut Client) -> Vec<(u16, String)> {
    let close = |parcel| match parcel {
        Parcel::Close { code, text } => Some((code.code(), text.into_owned())),
        Parcel::Delivery(_)
        | Parcel::ConsumerCancelled { .. }
        | Parcel::Blocked { .. }
        | Parcel::Unblocked => None,
    };
    client.parcels().into_iter().filter_map(close).collect()
}

#[test]
fn a_deleted_virtual_host_takes_everything_with_it() {
    let (node, mut client) = node_and_client();
    let mut bystander = node.client();
    bystander.queue("stays");
    client.queue("q");
    client.exchange("x", "topic");
    client.bind_queue("x", "q", "#");
    client.send("x", "k", &["a", "b"]);

    let lsn = node.delete_vhost(OTHER).expect("it was there");
    node.store().wait(lsn).expect("a sound store");
    assert_eq!(node.delete_vhost(OTHER), Err(NotDeleted::Unknown));
    assert_eq!(
        closes(&mut client),
        [(320, "vhost 'other' is deleted".to_owned())]
    );
    assert_eq!(closes(&mut bystander), []);
    // Whoever has not heard of it yet finds nothing and makes nothing, even with a permission for the name.
    check_refused(
        client.declare_queue(queue("q")),
        403,
        "configure access to queue 'q' in vhost 'other' refused for user 'guest'",
    );
    node.access()
        .set_permission(&everything())
        .expect("patterns");
    let refused = client.declare_queue(queue("q"));
    assert!(matches!(refused, Err(AmqpError::Connection { .. })));
    check_refused(refused, 320, "vhost 'other' is deleted");
    check_refused(
        client.declare_exchange(exchange("x", "topic")),
        320,
        "vhost 'other' is deleted",
    );
    node.access()
        .clear_permission("guest", OTHER)
        .expect("known");
    drop(client);
    drop(bystander);

    let node = node.restarted();
    assert!(node.vhost(OTHER).is_none());
    assert!(node.has_queue("stays"));
    assert!(!node.access().may_enter("guest", OTHER));
    node.create_vhost(&VhostName::known(OTHER), VhostMetadata::default());
    assert!(
        !node.access().may_enter("guest", OTHER),
        "nothing is inherited"
    );
    assert!(node.vhost(OTHER).expect("made").queues().is_empty());
}

#[test]
fn what_is_noted_about_a_virtual_host_comes_back() {
    let (node, client) = node_and_client();
    drop(client);
    let noted = VhostMetadata {
        description: "for orders".to_owned(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        default_queue_type: Some(QueueType::Classic),
        protected_from_deletion: true,
    };
    let vhost = node.vhost(OTHER).expect("made");
    node.update_vhost(&vhost, noted.clone());
    assert_eq!(*vhost.metadata(), noted);
    drop(vhost);
    let node = node.restarted();
    assert_eq!(*node.vhost(OTHER).expect("stored").metadata(), noted);
    let root = node.vhost("/").expect("always there");
    assert_eq!(root.metadata().description, "Default virtual host");
}

#[test]
fn a_default_queue_type_is_kept_as_the_argument_that_was_not_given() {
    let (node, mut client) = node_and_client();
    client.queue("before");
    let vhost = node.vhost(OTHER).expect("made");
    let noted = VhostMetadata {
        default_queue_type: Some(QueueType::Classic),
        ..VhostMetadata::default()
    };
    node.update_vhost(&vhost, noted);
    client.queue("after");
    let declared = |name: &str| {
        let queue = vhost.queue(name).expect("declared");
        queue.arguments.value("x-queue-type").cloned()
    };
    assert_eq!(declared("before"), None);
    let classic = AMQPValue::LongString("classic".into());
    assert_eq!(declared("after"), Some(classic));
    // Both may be declared again as they were.
    client.queue("before");
    client.queue("after");
}

/// A user who may publish to and bind on `x` within bounds.
fn bounded() -> (Node, Client) {
    let node = Node::new();
    node.client().exchange("x", "topic");
    node.client().queue("q");
    node.add_user("u", &[]);
    node.permit("u", ".*", ".*", ".*");
    let client = node.client_of("u");
    (node, client)
}

fn topic(write: &str, read: &str) -> TopicPermissionRecord {
    TopicPermissionRecord {
        user: "u".to_owned(),
        vhost: "/".to_owned(),
        exchange: "x".to_owned(),
        write: write.to_owned(),
        read: read.to_owned(),
    }
}

#[test]
fn topic_permissions_bound_the_keys_of_publishes_and_bindings() {
    let (node, mut client) = bounded();
    client.send("x", "b.1", &["a"]);
    node.access()
        .set_topic_permission(topic("^{username}\\.", "^r\\."))
        .expect("patterns");
    client.send("x", "u.1", &["a"]);
    let refusal = |right: &str, key: &str| {
        format!("{right} access to topic '{key}' in exchange 'x' in vhost '/' refused for user 'u'")
    };
    for _ in 0..2 {
        check_refused(
            client.publish(CHANNEL, publish("x", "b.1", &["a"])),
            403,
            &refusal("write", "b.1"),
        );
    }
    check_refused(
        client.bind(to_queue("x", "q", "w.#")),
        403,
        &refusal("read", "w.#"),
    );
    check_refused(
        client.unbind(to_queue("x", "q", "w.#")),
        403,
        &refusal("read", "w.#"),
    );
    client.bind_queue("x", "q", "r.#");
    // Other exchanges and other users have no bounds.
    client.send("amq.topic", "b.1", &["a"]);
    node.client().send("x", "b.1", &["a"]);
    node.access().clear_topic_permissions("u", "/", Some("x"));
    client.send("x", "b.1", &["a"]);
}

#[test]
fn every_further_key_of_a_copy_is_checked() {
    let (node, mut client) = bounded();
    node.client().bind_queue("x", "q", "#");
    node.access()
        .set_topic_permission(topic("^a$|^b$", ".*"))
        .expect("patterns");
    let with_copies = |keys: &[&str]| {
        let keys: Vec<AMQPValue> = keys
            .iter()
            .map(|key| AMQPValue::LongString((*key).into()))
            .collect();
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), AMQPValue::FieldArray(keys.into()));
        persistent().with_headers(headers)
    };
    let run = run_of(
        "x",
        "a",
        &[
            ("one", with_copies(&["b"])),
            ("two", with_copies(&["b", "c"])),
            ("three", persistent()),
        ],
    );
    let publish = Publish {
        run,
        mandatory: false,
    };
    let published = client.publish(CHANNEL, publish).expect("one was right");
    check_refused(
        published.fault.map_or(Ok(()), Err),
        403,
        "write access to topic 'c' in exchange 'x' in vhost '/' refused for user 'u'",
    );
    assert_eq!(node.client().drain("q"), ["one"]);
}

#[test]
fn topic_permissions_come_back_and_go_with_their_user() {
    let (node, client) = bounded();
    let lsn = node
        .access()
        .set_topic_permission(topic("^u\\.", ""))
        .expect("patterns");
    node.store().wait(lsn).expect("a sound store");
    drop(client);
    let node = node.restarted();
    let stored: Vec<_> = node
        .access()
        .snapshot()
        .topic_permissions()
        .cloned()
        .collect();
    assert_eq!(stored, [topic("^u\\.", "")]);
    let lsn = node.access().delete_user("u").expect("known");
    node.store().wait(lsn).expect("a sound store");
    let node = node.restarted();
    assert_eq!(node.access().snapshot().topic_permissions().count(), 0);
}
