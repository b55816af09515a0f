//! Consumers of one connection: limits across queues, room in the outbox, cancelling, channels that end and come again.

use super::*;

fn cancelled(parcels: &[Parcel]) -> Vec<ConsumerId> {
    let id = |parcel: &Parcel| match parcel {
        Parcel::ConsumerCancelled { consumer, .. } => Some(*consumer),
        Parcel::Delivery(_) | Parcel::Close { .. } | Parcel::Blocked { .. } | Parcel::Unblocked => {
            None
        }
    };
    parcels.iter().filter_map(id).collect()
}

fn two_queues(client: &mut Client) {
    for name in ["a", "b"] {
        client.queue(name);
        client.consumer(name);
    }
}

#[test]
fn a_limit_on_the_channel_holds_across_queues_and_an_ack_on_one_helps_the_other() {
    let node = Node::new();
    let mut client = node.client();
    client.limit_channel(CHANNEL, 2);
    two_queues(&mut client);
    client.send("", "a", &["a1", "a2", "a3"]);
    client.send("", "b", &["b1"]);
    let held = client.deliveries();
    assert_eq!(bodies(&held), ["a1", "a2"]);
    client.send("", "b", &["b2"]);
    client.ack(held);
    let held = client.deliveries();
    assert_eq!(held.iter().map(|range| range.run.len()).sum::<usize>(), 2);
    client.settle(CHANNEL, Settle::Reject, held);
    let mut rest = bodies(&client.deliveries());
    assert_eq!(rest.len(), 1);
    rest.sort();
    assert_eq!(node.counts("a").ready + node.counts("b").ready, 0);
}

#[test]
fn raising_a_channels_limit_is_enough() {
    let node = Node::new();
    let mut client = node.client();
    client.limit_channel(CHANNEL, 1);
    two_queues(&mut client);
    client.send("", "a", &["a1", "a2"]);
    client.send("", "b", &["b1"]);
    assert_eq!(bodies(&client.deliveries()), ["a1"]);
    client.limit_channel(CHANNEL, 2);
    assert_eq!(client.deliveries().len(), 1);
    client.limit_channel(CHANNEL, 0);
    assert_eq!(client.deliveries().len(), 1);
}

#[test]
fn what_was_got_does_not_count_against_a_channels_limit() {
    let node = Node::new();
    let mut client = node.client();
    client.limit_channel(CHANNEL, 1);
    client.queue("q");
    client.send("", "q", &["got", "1", "2"]);
    let got = client
        .get(CHANNEL, &QueueName::known("q"), false)
        .expect("allowed")
        .expect("a message");
    assert_eq!(got.message_count, 2);
    client.consumer("q");
    let held = client.deliveries();
    assert_eq!(bodies(&held), ["1"]);
    client.ack(vec![got.range]);
    assert!(
        client.deliveries().is_empty(),
        "an ack of what never counted"
    );
    client.ack(held);
    assert_eq!(bodies(&client.deliveries()), ["2"]);
}

#[test]
fn what_comes_back_from_an_ended_channel_does_not_count_for_the_next_of_its_number() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.limit_channel(CHANNEL, 1);
    client.consumer("q");
    client.send("", "q", &["a", "b"]);
    // The channel ends before its machine has seen the delivery.
    client.close_channel(CHANNEL, Vec::new());
    client.open_channel(CHANNEL).expect("opened");
    client.limit_channel(CHANNEL, 1);
    let late = client.deliveries();
    client.settle(CHANNEL, Settle::Requeue, late);
    assert_eq!(node.messages("q"), (2, 0));
    client.consumer("q");
    let held = client.deliveries();
    assert_eq!(bodies(&held), ["a"]);
    client.ack(held);
    let held = client.deliveries();
    assert_eq!(bodies(&held), ["b"], "the limit is still 1");
    client.ack(held);
}

#[test]
fn a_slow_connection_goes_on_when_its_peer_has_taken_enough() {
    let node = Node::with_outbox(100);
    let mut client = node.client();
    two_queues(&mut client);
    let body = "x".repeat(200);
    client.send("", "a", &[&body, "a2"]);
    client.send("", "b", &["b1"]);
    let unsent = client.unsent_deliveries();
    assert_eq!(unsent.len(), 1, "more than fits moves, but alone");
    client.delivered(unsent[0].run.held_bytes());
    assert_eq!(bodies(&client.deliveries()), ["a2", "b1"]);
}

#[test]
fn a_queue_that_saw_no_room_just_before_there_was_some_is_not_forgotten() {
    let node = Node::with_outbox(100);
    let mut client = node.client();
    client.queue("q");
    client.consumer("q");
    client.send("", "q", &[&"x".repeat(200), "next"]);
    let unsent = client.unsent_deliveries();
    // Another thread's dispatch saw a full outbox; the connection drained; the note is left only now.
    let outbox = Arc::clone(client.outbox());
    let noted = outbox.take_stalled();
    assert!(noted.is_empty(), "it is full");
    outbox.release(unsent[0].run.held_bytes());
    let noted = outbox.take_stalled();
    for queue in noted {
        outbox.stall(queue);
    }
    assert!(outbox.poll_signalled(std::task::Waker::noop()));
    assert!(client.parcels().is_empty());
    assert_eq!(bodies(&client.deliveries()), ["next"]);
}

#[test]
fn a_queue_deleted_by_another_connection_cancels_its_consumers() {
    let node = Node::new();
    let (mut client, mut other) = (node.client(), node.client());
    client.queue("q");
    client.send("", "q", &["a"]);
    let first = client.consumer("q");
    let held = client.deliveries();
    other
        .delete_queue(&QueueName::known("q"), false, false)
        .expect("deleted");
    assert_eq!(cancelled(&client.parcels()), [first]);
    // All of this comes too late and does no harm.
    client.cancel(CHANNEL, first);
    client.ack(held);
    client.queue("q");
    let second = client.consumer("q");
    assert!(second > first);
    client.send("", "q", &["b"]);
    assert_eq!(bodies(&client.deliveries()), ["b"]);
}

#[test]
fn a_cancelled_consumer_gets_no_more_but_keeps_what_it_holds() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    let consumer = client.consumer("q");
    client.send("", "q", &["a"]);
    client.cancel(CHANNEL, consumer);
    client.send("", "q", &["b"]);
    let held = client.deliveries();
    assert_eq!(bodies(&held), ["a"], "pushed before");
    assert_eq!(node.messages("q"), (1, 1));
    client.settle(CHANNEL, Settle::Requeue, held);
    assert_eq!(client.drain("q"), ["a", "b"]);
}

#[test]
fn an_auto_delete_queue_goes_though_messages_are_unacked() {
    let node = Node::new();
    let mut client = node.client();
    let declare = QueueDeclare {
        auto_delete: true,
        ..queue("q")
    };
    client.declare_queue(declare).expect("declared");
    client.bind_queue("amq.fanout", "q", "");
    let consumer = client.consumer("q");
    client.send("", "q", &["a", "b"]);
    let mut held = client.deliveries();
    client.cancel(CHANNEL, consumer);
    assert!(!node.has_queue("q"));
    let rest = held[0].split_off(1);
    client.ack(held);
    client.close_channel(CHANNEL, vec![rest]);
    assert!(!node.has_queue("q"));
}

#[test]
fn the_last_consumer_may_go_with_its_channel_or_connection() {
    let node = Node::new();
    for end in [
        |client: &mut Client| client.close_channel(CHANNEL, Vec::new()),
        |client: &mut Client| {
            client.close_channel(CHANNEL, Vec::new());
            client.close();
        },
    ] {
        let mut client = node.client();
        let declare = QueueDeclare {
            auto_delete: true,
            ..queue("q")
        };
        client.declare_queue(declare).expect("declared");
        client.consumer("q");
        end(&mut client);
        assert!(!node.has_queue("q"));
    }
}

#[test]
fn consumers_are_refused_in_rabbitmqs_words() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    check_refused(
        client.consume(CHANNEL, consume("none")),
        404,
        "no queue 'none' in vhost '/'",
    );
    let with = |key: &str, value: AMQPValue| Consume {
        arguments: arguments(&[(key, value)]),
        ..consume("q")
    };
    check_refused(
        client.consume(
            CHANNEL,
            with("x-priority", AMQPValue::LongString("high".into())),
        ),
        406,
        "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"",
    );
    check_refused(
        client.consume(
            CHANNEL,
            with("x-stream-offset", AMQPValue::LongString("first".into())),
        ),
        406,
        "invalid arg 'x-stream-offset' for queue 'q' in vhost '/' of queue type rabbit_classic_queue",
    );
    client.consumer("q");
    let exclusive = Consume {
        exclusive: true,
        ..consume("q")
    };
    check_refused(
        client.consume(CHANNEL, exclusive),
        403,
        "queue 'q' in vhost '/' in exclusive use",
    );
    assert_eq!(node.counts("q").consumers, 1);
}

#[test]
fn a_consumers_priority_is_obeyed_across_connections() {
    let node = Node::new();
    let (mut low, mut high) = (node.client(), node.client());
    low.queue("q");
    low.consumer("q");
    let consume = Consume {
        arguments: arguments(&[("x-priority", AMQPValue::ShortInt(3))]),
        prefetch: 1,
        ..consume("q")
    };
    high.consume(CHANNEL, consume).expect("a consumer");
    low.send("", "q", &["1", "2"]);
    assert_eq!(bodies(&high.deliveries()), ["1"]);
    assert_eq!(bodies(&low.deliveries()), ["2"]);
}

#[test]
fn acks_of_messages_from_several_queues_reach_each() {
    let node = Node::new();
    let mut client = node.client();
    two_queues(&mut client);
    for _ in 0..3 {
        client.send("", "a", &["a"]);
        client.send("", "b", &["b"]);
    }
    let held = client.deliveries();
    assert_eq!(bodies(&held), ["a", "b", "a", "b", "a", "b"]);
    client.ack(held);
    assert_eq!((node.messages("a"), node.messages("b")), ((0, 0), (0, 0)));
}
