//! Starting: the first time, again, and on what an interrupted first start left.

use super::*;
use crate::store::Definition;
use crate::store::Record;
use crate::store::Store;
use crate::vhost::VhostMetadata;

#[test]
fn everything_is_there_after_a_restart() {
    let node = Node::new();
    node.add_user("u", &["monitoring"]);
    node.permit("u", "^c", "^w", "^r");
    let lsn = node.create_vhost(&VhostName::known("another"), VhostMetadata::default());
    node.store().wait(lsn).expect("a sound store");
    assert_eq!(
        node.create_vhost(&VhostName::known("another"), VhostMetadata::default()),
        crate::model::Lsn::NONE
    );
    let mut client = node.client();
    client.exchange("x", "topic");
    client.queue("q");
    client.exclusive_queue("mine");
    client.bind_queue("x", "q", "a.*");
    client.send("x", "a.b", &["1", "2"]);
    client.consumer("q");
    let mut held = client.deliveries();
    let second = held[0].split_off(1);
    client.ack(held);
    client.close_channel(CHANNEL, vec![second]);
    client.close();
    drop(client);

    let node = node.restarted();
    let names: Vec<_> = node
        .vhosts()
        .iter()
        .map(|vhost| vhost.name().to_string())
        .collect();
    assert_eq!(names, ["/", "another"]);
    let mut client = node.client();
    assert!(!node.has_queue("mine"));
    let name = QueueName::known("q");
    let got = client
        .get(CHANNEL, &name, true)
        .expect("allowed")
        .expect("a message");
    assert_eq!(
        (run_bodies(&got.range.run), got.range.redelivered),
        (vec!["2".to_owned()], true)
    );
    client.send("x", "a.c", &["3"]);
    assert_eq!(client.drain("q"), ["3"]);
    let mut user = node.client_of("u");
    check_refused(
        user.declare_queue(queue("q")),
        403,
        "configure access to queue 'q' in vhost '/' refused for user 'u'",
    );
    assert!(
        user.get(CHANNEL, &QueueName::known("r"), true)
            .is_err_and(|error| error.code().code() == 404)
    );
}

#[test]
fn consumers_and_queues_have_numbers_of_their_own_after_a_restart() {
    let node = Node::new();
    let id = |node: &Node| {
        node.vhost("/")
            .expect("there")
            .queue("q")
            .expect("there")
            .id
    };
    node.client().queue("q");
    let first = id(&node);
    node.client()
        .delete_queue(&QueueName::known("q"), false, false)
        .expect("deleted");
    // The clock has moved on meanwhile.
    node.broker.stop().expect("a sound store");
    let broker = Broker::start(options(node.dir.path()), NOW + 1).expect("a node");
    let node = Node {
        dir: node.dir,
        broker,
    };
    node.client().queue("q");
    assert!(id(&node) > first);
}

#[test]
fn a_first_start_that_got_no_further_than_the_user_is_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let records: Vec<_> = {
        // What the first start hands over, one by one.
        let other = tempfile::tempdir().expect("a directory");
        let broker = Broker::start(options(other.path()), NOW).expect("a node");
        broker.stop().expect("a sound store");
        let (store, recovered) =
            Store::open(other.path(), StoreOptions::default()).expect("a store");
        store.close().expect("a sound store");
        recovered.definitions
    };
    let is_vhost = |kind: u8| kind == crate::broker::definitions::Kind::Vhost as u8;
    let before_the_vhost = records
        .into_iter()
        .filter(|definition| !is_vhost(definition.kind));
    let (store, _) = Store::open(dir.path(), StoreOptions::default()).expect("a store");
    let define = |definition: Definition| Record::Define {
        kind: definition.kind,
        key: definition.key,
        value: definition.value,
    };
    store.append(before_the_vhost.map(define).collect());
    store.close().expect("a sound store");
    let broker = Broker::start(options(dir.path()), NOW).expect("a node");
    let node = Node { dir, broker };
    node.client().queue("q");
    let node = node.restarted();
    node.client()
        .check_queue(&QueueName::known("q"))
        .expect("there");
}

#[test]
fn settings_that_are_no_names_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = BrokerOptions {
        default_vhost: "v".repeat(256),
        ..options(dir.path())
    };
    let error = Broker::start(options, NOW).err().expect("refused");
    assert_eq!(
        error.to_string(),
        "default_vhost is not a name: name of 256 bytes is longer than 255"
    );
}

#[test]
fn messages_of_a_queue_that_cannot_be_read_are_not_taken_for_leftovers() {
    let node = Node::new();
    let mut client = node.client();
    for name in ["sound", "damaged"] {
        client.queue(name);
        client.send("", name, &["a"]);
    }
    let damaged = node
        .vhost("/")
        .expect("there")
        .queue("damaged")
        .expect("there")
        .id;
    node.broker.stop().expect("a sound store");
    let change_definition = |from: &str, to: &str| {
        let (store, recovered) =
            Store::open(node.dir.path(), StoreOptions::default()).expect("a store");
        let kept = store.load(damaged).expect("a sound store").runs.len();
        let texts = recovered.definitions.into_iter().map(|definition| {
            let text = String::from_utf8_lossy(&definition.value).into_owned();
            (definition, text)
        });
        let changed = texts.filter(|(_, text)| text.contains(from));
        let define = |(definition, text): (Definition, String)| Record::Define {
            kind: definition.kind,
            key: definition.key,
            value: text.replace(from, to).into_bytes(),
        };
        store.append(changed.map(define).collect());
        store.close().expect("a sound store");
        kept
    };
    let good = r#""vhost":"/","name":"damaged""#;
    for bad in [
        r#""vhost":"/","name":damaged"#,
        r#""vhost":"none","name":"damaged""#,
    ] {
        assert_eq!(change_definition(good, bad), 1);
        let broker = Broker::start(options(node.dir.path()), NOW).expect("the rest is served");
        assert!(broker.vhost("/").expect("there").queue("damaged").is_none());
        assert!(broker.vhost("/").expect("there").queue("sound").is_some());
        broker.stop().expect("a sound store");
        assert_eq!(
            change_definition(bad, good),
            1,
            "the message is still there"
        );
    }
    let broker = Broker::start(options(node.dir.path()), NOW).expect("a node");
    let dir = tempfile::tempdir().expect("a directory");
    let repaired = Node { dir, broker };
    assert_eq!(repaired.client().drain("damaged"), ["a"]);
}
