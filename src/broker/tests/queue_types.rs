//! What quorum queues, single active consumers and delivery limits look like from a connection (specification §6.8, §6.11).

use super::*;
use crate::model::Lsn;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn with(name: &str, entries: &[(&str, AMQPValue)]) -> QueueDeclare {
    QueueDeclare {
        arguments: arguments(entries),
        ..queue(name)
    }
}

fn quorum(name: &str) -> QueueDeclare {
    with(name, &[("x-queue-type", text("quorum"))])
}

fn consume_with(queue: &str, entries: &[(&str, AMQPValue)]) -> Consume {
    Consume {
        arguments: arguments(entries),
        ..consume(queue)
    }
}

#[test]
fn a_quorum_queue_is_declared_as_rabbitmq_wants_it() {
    let node = Node::new();
    let mut client = node.client();
    check_refused(
        client.declare_queue(quorum("")),
        406,
        "Cannot declare a server-named queue for type rabbit_quorum_queue",
    );
    check_refused(
        client.declare_queue(QueueDeclare {
            durable: false,
            ..quorum("q")
        }),
        406,
        "invalid property 'non-durable' for queue 'q' in vhost '/'",
    );
    check_refused(
        client.declare_queue(QueueDeclare {
            exclusive: true,
            ..quorum("q")
        }),
        406,
        "invalid property 'exclusive-owner' for queue 'q' in vhost '/'",
    );
    client.declare_queue(quorum("q")).expect("declared");
    check_refused(
        client.declare_queue(queue("q")),
        406,
        "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received none but current is the value \
         'quorum' of type 'longstr'",
    );
}

#[test]
fn what_quorum_queues_do_not_have_is_refused_in_rabbitmqs_words() {
    let node = Node::new();
    let mut client = node.client();
    client.declare_queue(quorum("q")).expect("declared");
    let name = QueueName::known("q");
    for (if_unused, if_empty, flag) in [
        (true, false, "if-unused"),
        (true, true, "if-unused"),
        (false, true, "if-empty"),
    ] {
        let why = format!(
            "cannot delete queue 'q' in vhost '/'. queue.delete operations with {flag} flag set are not supported \
             by quorum queues"
        );
        check_refused(client.delete_queue(&name, if_unused, if_empty), 540, &why);
    }
    client.limit_channel(CHANNEL, 5);
    check_refused(
        client.consume(CHANNEL, consume("q")),
        540,
        "queue 'q' in vhost '/' does not support global qos",
    );
    client.limit_channel(CHANNEL, 0);
    client.consumer("q");
}

#[test]
fn consumers_arguments_are_judged_by_the_queues_type() {
    let node = Node::new();
    let mut client = node.client();
    client.declare_queue(quorum("q")).expect("declared");
    client.queue("c");
    let failover = [("x-cancel-on-ha-failover", AMQPValue::Boolean(true))];
    check_refused(
        client.consume(CHANNEL, consume_with("q", &failover)),
        406,
        "invalid arg 'x-cancel-on-ha-failover' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue",
    );
    client
        .consume(CHANNEL, consume_with("c", &failover))
        .expect("a classic queue has it");
    check_refused(
        client.consume(
            CHANNEL,
            consume_with("c", &[("x-cancel-on-ha-failover", text("yes"))]),
        ),
        406,
        "invalid arg 'x-cancel-on-ha-failover' for queue 'c' in vhost '/': {unacceptable_type,longstr}",
    );
    for (name, queue_type) in [("q", "rabbit_quorum_queue"), ("c", "rabbit_classic_queue")] {
        check_refused(
            client.consume(
                CHANNEL,
                consume_with(name, &[("x-stream-offset", text("first"))]),
            ),
            406,
            &format!(
                "invalid arg 'x-stream-offset' for queue '{name}' in vhost '/' of queue type {queue_type}"
            ),
        );
        check_refused(
            client.consume(CHANNEL, consume_with(name, &[("x-priority", text("1"))])),
            406,
            &format!(
                "invalid arg 'x-priority' for queue '{name}' in vhost '/': \"expected integer, got longstr\""
            ),
        );
    }
}

#[test]
fn a_single_active_consumer_of_a_quorum_queue_leaves_nothing_to_get() {
    let node = Node::new();
    let mut client = node.client();
    let single = ("x-single-active-consumer", AMQPValue::Boolean(true));
    let both = [("x-queue-type", text("quorum")), single.clone()];
    client.declare_queue(with("q", &both)).expect("declared");
    client
        .declare_queue(with("c", &[single]))
        .expect("declared");
    check_refused(
        client.get(CHANNEL, &QueueName::known("q"), true),
        405,
        "cannot obtain access to locked queue 'q' in vhost '/'. basic.get operations are not supported by quorum \
         queues with single active consumer",
    );
    client.send("", "c", &["a"]);
    assert_eq!(client.drain("c"), ["a"], "a classic one serves it");
    let exclusive = |queue| Consume {
        exclusive: true,
        ..consume(queue)
    };
    check_refused(
        client.consume(CHANNEL, exclusive("c")),
        403,
        "queue 'c' in vhost '/' in exclusive use",
    );
    client.consume(CHANNEL, exclusive("q")).expect("ignored");
}

#[test]
fn a_lost_connection_hands_over_to_the_next_consumer() {
    let node = Node::new();
    let (mut first, mut second) = (node.client(), node.client());
    let single = [("x-single-active-consumer", AMQPValue::Boolean(true))];
    first.declare_queue(with("q", &single)).expect("declared");
    first.consumer("q");
    second.consumer("q");
    first.send("", "q", &["a", "b"]);
    let held = first.deliveries();
    assert_eq!(bodies(&held), ["a", "b"]);
    assert!(second.deliveries().is_empty());
    first.close_channel(CHANNEL, held);
    assert_eq!(bodies(&second.deliveries()), ["a", "b"]);
}

#[test]
fn what_a_lost_channel_held_comes_first_and_counts() {
    let node = Node::new();
    let (mut first, mut second) = (node.client(), node.client());
    first.declare_queue(quorum("q")).expect("declared");
    first.send("", "q", &["a", "b", "c"]);
    let name = QueueName::known("q");
    let got = [0; 2].map(|_| {
        let got = first.get(CHANNEL, &name, false).expect("allowed");
        got.expect("a message").range
    });
    let [a, b] = got;
    first.settle(CHANNEL, Settle::Requeue, vec![a]);
    first.close_channel(CHANNEL, vec![b]);
    let mut next = || {
        let got = second.get(CHANNEL, &name, true).expect("allowed");
        let range = got.expect("a message").range;
        (run_bodies(&range.run).remove(0), range.returns)
    };
    assert_eq!(next(), ("b".to_owned(), 1));
    assert_eq!(next(), ("c".to_owned(), 0));
    assert_eq!(next(), ("a".to_owned(), 1), "without a limit, to the end");
}

#[test]
fn how_long_deliveries_may_stay_depends_on_the_queue() {
    let node = Node::with_defaults(QueueDefaults {
        quorum_consumer_timeout: Some(1_800_000),
        ..QueueDefaults::default()
    });
    let mut client = node.client();
    let own = ("x-consumer-timeout", AMQPValue::LongInt(5));
    client.declare_queue(quorum("q")).expect("declared");
    client.declare_queue(with("own", &[own])).expect("declared");
    client.queue("c");
    let mut timeout = |name: &str| {
        let vhost = node.vhost("/").expect("always there");
        let id = vhost.queue(name).expect("declared").id;
        client
            .consumer_timeout(id)
            .map(|timeout| timeout.as_millis())
    };
    assert_eq!(timeout("q"), Some(1_800_000));
    assert_eq!(timeout("own"), Some(5));
    assert_eq!(timeout("c"), None);
}

#[test]
fn a_quorum_queues_transient_messages_survive_a_restart() {
    let node = Node::new();
    let mut client = node.client();
    client.declare_queue(quorum("q")).expect("declared");
    let run = run_of("", "q", &[("a", AMQPProperties::default())]);
    let transient = Publish {
        run,
        mandatory: false,
    };
    let published = client.publish(CHANNEL, transient).expect("published");
    assert!(
        published.commit > Lsn::NONE,
        "its confirm waits for the disk"
    );
    drop(client);
    assert_eq!(node.restarted().client().drain("q"), ["a"]);
}
