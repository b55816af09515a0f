//! Direct reply-to: requests, replies, and who is still there.

use super::*;
use crate::model::MessageRef;
use crate::model::names::DIRECT_REPLY_TO;
use crate::protocol::properties::Fields;

fn replies() -> Consume {
    Consume {
        no_ack: true,
        ..consume(DIRECT_REPLY_TO)
    }
}

fn request() -> Publish {
    let properties = persistent().with_reply_to(DIRECT_REPLY_TO.into());
    Publish {
        run: run_of("", "service", &[("request", properties)]),
        mandatory: false,
    }
}

fn reply_to(message: MessageRef<'_>) -> String {
    let reply_to = Fields(message.header()).reply_to().expect("is there");
    reply_to.into_owned()
}

/// A requester and the name that a service sees in its request.
fn requester(node: &Node) -> (Client, ConsumerId, String) {
    let mut client = node.client();
    client.queue("service");
    let consumer = client.consume(CHANNEL, replies()).expect("a consumer");
    client.publish(CHANNEL, request()).expect("published");
    let got = client.get(CHANNEL, &QueueName::known("service"), true);
    let run = got.expect("allowed").expect("a request").range.run;
    (client, consumer, reply_to(run.first()))
}

#[test]
fn a_request_is_answered_from_another_connection() {
    let node = Node::new();
    let (mut client, consumer, name) = requester(&node);
    assert!(name.starts_with("amq.rabbitmq.reply-to."));
    assert!(!node.has_queue(&name) && !node.has_queue(DIRECT_REPLY_TO));
    let mut service = node.client();
    service.send("", &name, &["one", "two"]);
    let delivered = client.deliveries();
    assert_eq!(bodies(&delivered), ["one", "two"]);
    assert_eq!(delivered[0].consumer, Some(consumer));
    let message = delivered[0].run.first();
    assert_eq!((message.exchange(), message.routing_key()), ("", &*name));
    assert!(!delivered[0].redelivered);
    // Only the default exchange knows the name.
    service.send("amq.direct", &name, &["three"]);
    assert!(client.deliveries().is_empty());
}

#[test]
fn names_differ_and_each_channel_has_its_own() {
    let node = Node::new();
    let (mut client, first, name) = requester(&node);
    let (mut other, _, other_name) = requester(&node);
    assert_ne!(name, other_name);
    let second_channel = ChannelId(2);
    client.open_channel(second_channel).expect("opened");
    let second = client
        .consume(second_channel, replies())
        .expect("one each channel");
    assert_ne!(first, second);
    client
        .publish(second_channel, request())
        .expect("published");
    let got = client.get(CHANNEL, &QueueName::known("service"), true);
    let run = got.expect("allowed").expect("a request").range.run;
    let second_name = reply_to(run.first());
    assert_ne!(name, second_name);
    other.send("", &second_name, &["x"]);
    assert_eq!(client.deliveries()[0].consumer, Some(second));
    assert!(other.deliveries().is_empty());
}

#[test]
fn the_rules_of_the_reply_consumer() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("service");
    check_refused(
        client.publish(CHANNEL, request()),
        406,
        "fast reply consumer does not exist",
    );
    check_refused(
        client.stage(CHANNEL, request()),
        406,
        "fast reply consumer does not exist",
    );
    check_refused(
        client.consume(CHANNEL, consume(DIRECT_REPLY_TO)),
        406,
        "reply consumer cannot acknowledge",
    );
    client.consume(CHANNEL, replies()).expect("a consumer");
    check_refused(
        client.consume(CHANNEL, replies()),
        406,
        "reply consumer already set",
    );
    check_refused(
        client.consume(CHANNEL, consume(DIRECT_REPLY_TO)),
        406,
        "reply consumer cannot acknowledge",
    );
    check_refused(
        client.get(CHANNEL, &QueueName::known(DIRECT_REPLY_TO), true),
        404,
        "no queue 'amq.rabbitmq.reply-to' in vhost '/'",
    );
    // It is the channel's: another cannot request with it.
    client.open_channel(ChannelId(2)).expect("opened");
    check_refused(
        client.publish(ChannelId(2), request()),
        406,
        "fast reply consumer does not exist",
    );
}

#[test]
fn a_user_without_rights_may_request_and_a_reply_needs_the_right_to_write() {
    let node = Node::new();
    node.add_user("mute", &[]);
    node.permit("mute", "^$", "^$", "^$");
    let mut mute = node.client_of("mute");
    mute.consume(CHANNEL, replies()).expect("needs no right");
    let (mut client, _, name) = requester(&node);
    check_refused(
        mute.publish(CHANNEL, publish("", &name, &["x"])),
        403,
        "write access to exchange 'amq.default' in vhost '/' refused for user 'mute'",
    );
    assert!(client.deliveries().is_empty());
}

#[test]
fn declaring_the_name_tells_whether_somebody_waits() {
    let node = Node::new();
    let (mut client, consumer, name) = requester(&node);
    let mut service = node.client();
    for declared in [
        service.declare_queue(queue(&name)),
        service.check_queue(&QueueName::known(&name)),
        service.declare_queue(queue(DIRECT_REPLY_TO)),
    ] {
        let declared = declared.expect("there");
        assert_eq!((declared.message_count, declared.consumer_count), (0, 1));
    }
    for other in ["amq.rabbitmq.reply-to.x", "amq.rabbitmq.reply-tox"] {
        check_refused(
            service.declare_queue(queue(other)),
            404,
            &format!("no queue '{other}' in vhost '/'"),
        );
    }
    client.cancel(CHANNEL, consumer);
    let gone = format!("no queue '{name}' in vhost '/'");
    check_refused(service.declare_queue(queue(&name)), 404, &gone);
    check_refused(service.check_queue(&QueueName::known(&name)), 404, &gone);
    service.send("", &name, &["late"]);
    assert!(client.deliveries().is_empty());
    // And the channel may have another.
    client.consume(CHANNEL, replies()).expect("a consumer");
}

#[test]
fn the_end_of_channel_or_connection_ends_it() {
    let node = Node::new();
    let (mut client, _, name) = requester(&node);
    client.close_channel(CHANNEL, Vec::new());
    let mut service = node.client();
    assert!(service.declare_queue(queue(&name)).is_err());
    let (client, _, name) = requester(&node);
    assert!(service.declare_queue(queue(&name)).is_ok());
    drop(client);
    assert!(service.declare_queue(queue(&name)).is_err());
}

#[test]
fn mandatory_replies_are_delivered_and_returned() {
    let node = Node::new();
    let (mut client, _, name) = requester(&node);
    let mut service = node.client();
    let mandatory = Publish {
        mandatory: true,
        ..publish("", &name, &["x"])
    };
    // RabbitMQ before 4.2 sees no queue in the name.
    let published = service.publish(CHANNEL, mandatory).expect("published");
    assert_eq!(returned(&published), [0]);
    assert_eq!(bodies(&client.deliveries()), ["x"]);
}

#[test]
fn a_reply_does_not_wait_for_its_transaction() {
    let node = Node::new();
    let (mut client, _, name) = requester(&node);
    let mut service = node.client();
    let steps = vec![service.staged(publish("", &name, &["x"]))];
    assert_eq!(bodies(&client.deliveries()), ["x"], "as in RabbitMQ");
    service.commit(CHANNEL, steps).expect("committed");
    assert!(client.deliveries().is_empty());
}

#[test]
fn a_requester_that_does_not_read_loses_replies_beyond_the_bound() {
    let node = Node::new();
    let (mut client, _, name) = requester(&node);
    let mut service = node.client();
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..40 {
        service.send("", &name, &[&megabyte]);
    }
    let held = client.unsent_deliveries();
    let bytes: usize = held.iter().map(|range| range.run.held_bytes()).sum();
    let max = crate::broker::replies::REPLY_BYTES_MAX;
    assert!((max..max + (2 << 20)).contains(&bytes), "{bytes}");
    client.delivered(bytes);
    service.send("", &name, &["again"]);
    assert_eq!(bodies(&client.deliveries()), ["again"]);
}
