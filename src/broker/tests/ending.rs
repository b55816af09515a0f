//! Nothing outlives its connection that should not, however the connection ended.

use super::*;

const LOCKED: &str = "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared \
    on another connection or the exclusive property value does not match that of the original declaration.";

#[test]
fn an_exclusive_queue_is_its_connections_alone() {
    let node = Node::new();
    let (mut client, mut other) = (node.client(), node.client());
    client.exclusive_queue("q");
    let name = QueueName::known("q");
    check_refused(other.declare_queue(queue("q")), 405, LOCKED);
    check_refused(other.check_queue(&name), 405, LOCKED);
    check_refused(other.bind(to_queue("amq.fanout", "q", "")), 405, LOCKED);
    check_refused(other.consume(CHANNEL, consume("q")), 405, LOCKED);
    check_refused(other.get(CHANNEL, &name, true), 405, LOCKED);
    check_refused(other.purge_queue(&name), 405, LOCKED);
    check_refused(other.delete_queue(&name, false, false), 405, LOCKED);
    other.send("", "q", &["anyone may publish to it"]);
    assert_eq!(client.drain("q").len(), 1);
}

#[test]
fn exclusive_queues_are_deleted_when_the_connection_closes() {
    let node = Node::new();
    let mut client = node.client();
    client.exclusive_queue("q");
    client.exclusive_queue("q");
    client.bind_queue("amq.fanout", "q", "");
    client.queue("kept");
    client.consumer("q");
    client.close_channel(CHANNEL, Vec::new());
    client.close();
    assert!(!node.has_queue("q"));
    assert!(node.has_queue("kept"));
    assert!(node.connections().is_empty());
    let fanout = node
        .vhost("/")
        .expect("there")
        .exchange("amq.fanout")
        .expect("there");
    assert!(fanout.bindings().is_empty());
    node.client().exclusive_queue("q");
}

#[test]
fn an_exclusive_queue_that_went_before_and_came_again_goes_too() {
    let node = Node::new();
    let mut client = node.client();
    let auto_delete = || QueueDeclare {
        exclusive: true,
        auto_delete: true,
        ..queue("q")
    };
    client.declare_queue(auto_delete()).expect("declared");
    let consumer = client.consumer("q");
    client.cancel(CHANNEL, consumer);
    assert!(!node.has_queue("q"));
    client.declare_queue(auto_delete()).expect("declared");
    client
        .delete_queue(&QueueName::known("q"), false, false)
        .expect("deleted");
    client.declare_queue(auto_delete()).expect("declared");
    client.close();
    assert!(!node.has_queue("q"));
}

#[test]
fn what_a_closing_channel_holds_returns_to_its_place() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.send("", "q", &["a", "b", "c"]);
    client.consumer("q");
    let mut held = client.deliveries();
    let rest = held[0].split_off(1);
    client.settle(CHANNEL, Settle::Requeue, vec![rest]);
    let held_again = client.unsent_deliveries();
    assert_eq!(bodies(&held_again), ["b", "c"]);
    client.close_channel(CHANNEL, [held, held_again].concat());
    assert_eq!(node.messages("q"), (3, 0));
    client.close();
    let mut other = node.client();
    assert_eq!(other.drain("q"), ["a", "b", "c"]);
}

#[test]
fn a_channel_that_ends_gives_back_what_it_has_seen_and_what_not_together() {
    let node = Node::new();
    let (mut client, mut other) = (node.client(), node.client());
    for (name, kind) in [("classic", "classic"), ("quorum", "quorum")] {
        let kind = AMQPValue::LongString(kind.into());
        let declare = QueueDeclare {
            arguments: arguments(&[("x-queue-type", kind)]),
            ..queue(name)
        };
        client.declare_queue(declare).expect("declared");
        client.consumer(name);
        client.send("", name, &["a", "b"]);
        let seen = client.deliveries();
        client.send("", name, &["c", "d"]);
        let waiting = other.consumer(name);
        client.close_channel(CHANNEL, seen);
        client.open_channel(CHANNEL).expect("opened");
        let returned = other.deliveries();
        assert_eq!(bodies(&returned), ["a", "b", "c", "d"], "{name}");
        assert!(returned.iter().all(|range| range.redelivered));
        let returns = returned.iter().map(|range| range.returns);
        let counted = u32::from(name == "quorum");
        assert!(returns.clone().all(|returns| returns == counted));
        assert!(client.parcels().is_empty());
        other.ack(returned);
        other.cancel(CHANNEL, waiting);
    }
}

#[test]
fn deliveries_that_nobody_took_out_of_the_outbox_return_on_close() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.queue("automatic");
    client.consumer("q");
    let no_ack = Consume {
        no_ack: true,
        ..consume("automatic")
    };
    client.consume(CHANNEL, no_ack).expect("a consumer");
    let mut other = node.client();
    other.send("", "q", &["a", "b"]);
    other.send("", "automatic", &["counts as sent"]);
    assert_eq!(node.messages("q"), (0, 2));
    client.close_channel(CHANNEL, Vec::new());
    client.close();
    assert_eq!(node.messages("q"), (2, 0));
    assert_eq!(node.messages("automatic"), (0, 0));
    let name = QueueName::known("q");
    let got = other
        .get(CHANNEL, &name, true)
        .expect("allowed")
        .expect("a message");
    assert!(
        got.range.redelivered,
        "the queue cannot know that it was not sent"
    );
}

#[test]
fn a_session_dropped_without_a_close_leaves_nothing_behind() {
    let node = Node::new();
    let mut client = node.client();
    client.open_channel(ChannelId(2)).expect("opened");
    client.exclusive_queue("mine");
    client.queue("q");
    client.consumer("q");
    client
        .consume(ChannelId(2), consume("q"))
        .expect("a consumer");
    let auto_delete = QueueDeclare {
        auto_delete: true,
        ..queue("auto")
    };
    client.declare_queue(auto_delete).expect("declared");
    client.consumer("auto");
    node.client().send("", "q", &["a", "b", "c"]);
    drop(client);
    assert!(!node.has_queue("mine") && !node.has_queue("auto"));
    assert_eq!(node.messages("q"), (3, 0));
    assert_eq!(node.counts("q").consumers, 0);
    assert!(node.connections().is_empty());
}

#[test]
fn a_session_that_dies_in_a_panic_leaves_nothing_behind() {
    let node = Node::new();
    let mut client = node.client();
    client.exclusive_queue("mine");
    client.queue("q");
    client.consumer("q");
    node.client().send("", "q", &["a"]);
    let died = std::thread::spawn(move || {
        let _client = client;
        std::panic::resume_unwind(Box::new("as a defect would"));
    });
    assert!(died.join().is_err());
    assert!(!node.has_queue("mine"));
    assert_eq!(node.messages("q"), (1, 0));
    assert!(node.connections().is_empty());
}

#[test]
fn closing_twice_is_once() {
    let node = Node::new();
    let mut client = node.client();
    client.exclusive_queue("q");
    client.close();
    let mut other = node.client();
    other.exclusive_queue("q");
    client.close();
    drop(client);
    assert!(node.has_queue("q"), "it is another's now");
}

#[test]
fn a_node_takes_as_many_connections_as_it_may() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = BrokerOptions {
        connection_max: Some(1),
        ..options(dir.path())
    };
    let broker = Broker::start(options, NOW).expect("a node");
    let node = Node { dir, broker };
    let mut first = node.client();
    let mut second = node.stranger();
    second.login("PLAIN", b"\0guest\0guest", &FieldTable::default());
    check_refused(
        second.open(&VhostName::known("/")),
        530,
        "connection refused: node connection limit (1) is reached",
    );
    first.close();
    assert!(second.open(&VhostName::known("/")).is_ok());
}

#[test]
fn a_connection_remembers_the_exclusive_queues_it_has_not_those_it_had() {
    let node = Node::new();
    let mut client = node.client();
    client.exclusive_queue("lasting");
    for number in 0..500 {
        let declare = QueueDeclare {
            exclusive: true,
            auto_delete: true,
            ..queue(&format!("reply {number}"))
        };
        let name = declare.queue.clone();
        client.declare_queue(declare).expect("declared");
        let consumer = client.consumer(&name);
        client.cancel(CHANNEL, consumer);
    }
    assert!(
        client.session.exclusive_count() < 130,
        "{} are kept",
        client.session.exclusive_count()
    );
    assert!(node.has_queue("lasting"));
    client.close();
    assert!(!node.has_queue("lasting"));
}

#[test]
fn a_queue_forgets_a_publisher_that_waits_and_goes() {
    let node = Node::with_outbox(256 * 1024);
    let (mut reader, mut publisher) = (node.client(), node.client());
    reader.queue("q");
    reader.consumer("q");
    let body = "x".repeat(64 * 1024);
    let bodies = vec![&*body; 140];
    publisher.send("", "q", &bodies);
    for _ in 0..4 {
        let mut parcels = Vec::new();
        reader.take_parcels(&mut parcels);
        let held = |parcel: &Parcel| match parcel {
            Parcel::Delivery(delivery) => delivery.range.run.held_bytes(),
            Parcel::ConsumerCancelled { .. }
            | Parcel::Close { .. }
            | Parcel::Blocked { .. }
            | Parcel::Unblocked => 0,
        };
        reader.delivered(parcels.iter().map(held).sum());
    }
    publisher.set_now(NOW + 10);
    publisher.send("", "q", &["one more"]);
    assert!(publisher.paused().is_some(), "the consumer is brisk");
    let outbox = Arc::clone(publisher.outbox());
    let queue = node.vhost("/").and_then(|vhost| vhost.queue("q"));
    let queue = queue.expect("there");
    assert!(queue.look(|state| state.pauses(&outbox)));
    publisher.close();
    assert!(!queue.look(|state| state.pauses(&outbox)));
}
