//! What is there after a restart, and what is not.

use std::time::Duration;

use super::*;
use crate::model::Position;
use crate::queue::stream::Start;

#[test]
fn everything_durable_comes_back() {
    let node = Node::new();
    let with_arguments = arguments(&[
        ("x-message-ttl", AMQPValue::LongInt(100_000)),
        ("mine", AMQPValue::Double(0.5)),
    ]);
    node.declare_exchange(ExchangeSpec {
        auto_delete: true,
        internal: true,
        arguments: arguments(&[(
            "alternate-exchange",
            AMQPValue::LongString("amq.fanout".into()),
        )]),
        ..exchange("x", Kind::Topic)
    });
    node.declare_queue(QueueSpec {
        auto_delete: true,
        arguments: with_arguments.clone(),
        ..durable("q")
    });
    let with_key = Binding {
        arguments: with_arguments.clone(),
        ..to_queue("x", "q", "a.#")
    };
    node.bind(&with_key);
    node.bind(&to_exchange("amq.direct", "x", "k"));
    node.publish("x", "a.b", &["one", "two"]);
    let id = node.queue("q").id;

    let node = node.restarted();
    let x = node.vhost.exchange("x").expect("durable");
    assert_eq!(
        (x.kind, x.durable, x.auto_delete, x.internal),
        (Kind::Topic, true, true, true)
    );
    assert_eq!(x.alternate(), Some(ExchangeName::known("amq.fanout")));
    assert_eq!(x.bindings(), [with_key]);
    let queue = node.queue("q");
    assert_eq!(
        (queue.id, queue.durable, queue.auto_delete),
        (id, true, true)
    );
    assert_eq!(queue.arguments, with_arguments);
    assert_eq!(
        node.route("amq.direct", "k"),
        [""; 0],
        "x routes by its own key"
    );
    assert_eq!(node.route("x", "a.c"), ["q"]);
    let (deadline, _) = queue.enter(|state, _| state.next_deadline());
    assert!(deadline.is_some(), "its arguments are obeyed");
    assert_eq!(node.drain("q"), ["one", "two"]);
}

#[test]
fn exclusive_and_transient_things_do_not_come_back() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.declare_queue(exclusive("exclusive", MINE));
    node.declare_queue(QueueSpec {
        durable: false,
        ..durable("transient")
    });
    node.declare_exchange(ExchangeSpec {
        durable: false,
        ..exchange("transient", Kind::Fanout)
    });
    node.bind(&to_queue("transient", "q", ""));
    node.bind(&to_queue("amq.fanout", "exclusive", ""));
    node.bind(&to_queue("amq.fanout", "transient", ""));
    node.bind(&to_exchange("amq.fanout", "transient", ""));
    for name in ["q", "exclusive", "transient"] {
        node.publish("", name, &["a"]);
    }
    let node = node.restarted();
    let names: Vec<_> = node
        .vhost
        .queues()
        .iter()
        .map(|queue| queue.name.to_string())
        .collect();
    assert_eq!(names, ["q"]);
    assert_eq!(node.exchange_names(), [""; 0]);
    assert!(
        node.vhost
            .exchange("amq.fanout")
            .expect("always there")
            .bindings()
            .is_empty()
    );
    assert_eq!(node.stored_counts(), [0, 1, 0]);
}

#[test]
fn transient_messages_are_gone_and_the_others_keep_their_places() {
    let node = Node::new();
    let queue = node.declare_queue(durable("q"));
    let publish::Enqueued { commit: lsn, .. } =
        publish::enqueue(&[Arc::clone(&queue)], &transient("", "q", &["lost"]), NOW);
    assert_eq!(lsn, Lsn::NONE, "nothing to wait for");
    node.publish("", "q", &["a", "b"]);
    publish::enqueue(&[queue], &transient("", "q", &["lost too"]), NOW);
    node.publish("", "q", &["c"]);
    let node = node.restarted();
    let queue = node.queue("q");
    let positions: Vec<_> = std::iter::from_fn(|| get(&queue, true))
        .map(|range| range.first.0)
        .collect();
    assert_eq!(positions, [2, 3, 5]);
}

#[test]
fn positions_are_not_used_again_after_a_restart() {
    let node = Node::new();
    node.declare_queue(durable("q"));
    node.publish("", "q", &["a", "b", "c"]);
    assert_eq!(node.drain("q").len(), 3);
    let node = node.restarted();
    node.publish("", "q", &["d"]);
    let d = get(&node.queue("q"), true).expect("a message");
    assert!(d.first.0 > 3, "{:?} was used before", d.first);
    let node = node.after_power_cut();
    node.publish("", "q", &["e"]);
    let e = get(&node.queue("q"), true).expect("a message");
    assert!(e.first > d.first, "{:?} was used before", e.first);
}

#[test]
fn settled_messages_stay_gone_and_unacked_ones_return_redelivered() {
    let node = Node::new();
    let queue = node.declare_queue(durable("q"));
    node.publish("", "q", &["acked", "requeued", "unacked", "never sent"]);
    let [acked, requeued, unacked] = [0; 3].map(|_| get(&queue, false).expect("a message"));
    let (_, lsn) = queue.enter(|state, records| {
        state.settle(&[acked], NOW, records);
        state.requeue(vec![requeued], NOW, records);
    });
    node.wait(lsn);

    let crashed = node.after_power_cut();
    let got = || std::iter::from_fn(|| get(&crashed.queue("q"), true));
    let redelivered: Vec<_> = got()
        .map(|range| (bodies(&range.run).remove(0), range.redelivered))
        .collect();
    let expected = [("requeued", true), ("unacked", true), ("never sent", true)];
    assert_eq!(
        redelivered,
        expected.map(|(body, sent)| (body.to_owned(), sent))
    );

    // A clean stop comes after all channels have returned what they held, so more is known.
    queue.enter(|state, records| state.requeue(vec![unacked], NOW, records));
    let node = node.restarted();
    let got = || std::iter::from_fn(|| get(&node.queue("q"), true));
    let redelivered: Vec<_> = got().map(|range| range.redelivered).collect();
    assert_eq!(redelivered, [true, true, false]);
}

#[test]
fn what_was_deleted_or_purged_stays_away() {
    let node = Node::new();
    node.declare_exchange(exchange("x", Kind::Fanout));
    for name in ["deleted", "purged", "again"] {
        node.declare_queue(durable(name));
        node.bind(&to_queue("x", name, ""));
    }
    node.publish("x", "", &["a", "b"]);
    assert_eq!(node.delete_queue("deleted"), 2);
    assert_eq!(node.delete_queue("again"), 2);
    node.declare_queue(durable("again"));
    let (purged, lsn) = node
        .queue("purged")
        .enter(|state, records| state.purge(NOW, records));
    node.wait(lsn);
    assert_eq!(purged, 2);
    node.delete_exchange("x");

    let node = node.after_power_cut();
    assert!(node.vhost.queue("deleted").is_none());
    assert!(node.vhost.exchange("x").is_none());
    assert_eq!(node.drain("purged"), [""; 0]);
    assert_eq!(node.drain("again"), [""; 0]);
    node.declare_exchange(exchange("x", Kind::Fanout));
    let node = node.restarted();
    assert_eq!(
        node.route("x", ""),
        [""; 0],
        "a new exchange of that name has no bindings"
    );
}

#[test]
fn a_queue_is_handed_to_the_store_before_anyone_can_put_a_message_into_it() {
    let node = Node::new();
    let name = |number| format!("q{number}");
    let (count, vhost) = (500, Arc::clone(&node.vhost));
    // One thread declares, the other publishes to each queue as soon as it can be found.
    let publisher = std::thread::spawn(move || {
        let find = |number| loop {
            if let Some(queue) = vhost.queue(&name(number)) {
                return queue;
            }
            std::hint::spin_loop();
        };
        let publish = |number| {
            let publish::Enqueued {
                taken, commit: lsn, ..
            } = publish::enqueue(&[find(number)], &persistent("", "k", &["a"]), NOW);
            assert!(taken);
            lsn
        };
        (0..count).map(publish).collect::<Vec<_>>()
    });
    let declare = |number| {
        node.vhost
            .declare_queue(durable(&name(number)), NOW)
            .expect("new")
            .1
    };
    let declared: Vec<_> = (0..count).map(declare).collect();
    let published = publisher.join().expect("no panic");
    for (number, (queue, message)) in declared.into_iter().zip(published).enumerate() {
        assert!(
            queue < message,
            "message {message:?} before its queue {queue:?}, number {number}"
        );
    }
}

#[test]
fn time_to_live_counts_from_the_publish() {
    let node = Node::new();
    node.declare_queue(QueueSpec {
        arguments: arguments(&[("x-message-ttl", AMQPValue::LongInt(100))]),
        ..durable("q")
    });
    node.publish("", "q", &["a", "b"]);
    let node = node.restarted_at(NOW + 60);
    let (deadline, _) = node.queue("q").enter(|state, _| state.next_deadline());
    assert_eq!(deadline, Some(NOW + 100));
    let node = node.restarted_at(NOW + 100);
    let (counts, _) = node.queue("q").enter(|state, _| state.counts());
    assert_eq!(counts.ready, 0, "they expired while the node was down");
    assert_eq!(node.stored_counts(), [0, 1, 0]);
}

#[test]
fn a_queue_recovered_above_its_limit_drops_at_once() {
    let node = Node::new();
    node.declare_exchange(exchange("dlx", Kind::Fanout));
    node.declare_queue(durable("dead"));
    node.bind(&to_queue("dlx", "dead", ""));
    let queue = node.declare_queue(QueueSpec {
        arguments: arguments(&[
            ("x-max-length", AMQPValue::LongInt(1)),
            (
                "x-dead-letter-exchange",
                AMQPValue::LongString("dlx".into()),
            ),
        ]),
        ..durable("q")
    });
    node.publish("", "q", &["unacked"]);
    get(&queue, false).expect("a message");
    node.publish("", "q", &["ready"]);
    let node = node.after_power_cut();
    assert_eq!(node.drain("dead"), ["unacked"]);
    assert_eq!(node.drain("q"), ["ready"]);
}

#[test]
fn what_came_back_to_a_quorum_queue_stays_counted_over_a_clean_stop() {
    let node = Node::new();
    let text = |text: &str| AMQPValue::LongString(text.into());
    let queue = node.declare_queue(QueueSpec {
        arguments: arguments(&[
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", AMQPValue::LongInt(5)),
        ]),
        ..durable("q")
    });
    node.publish("", "q", &["a", "b", "c"]);
    for count in [1, 2] {
        let ranges = (0..count).map(|_| get(&queue, false).expect("a message"));
        let ranges = ranges.collect();
        queue.enter(|state, records| state.requeue(ranges, NOW, records));
    }
    let node = node.restarted();
    let got = std::iter::from_fn(|| get(&node.queue("q"), true));
    let got: Vec<_> = got
        .map(|range| (range.redelivered, range.returns))
        .collect();
    assert_eq!(got, [(true, 2), (true, 1), (false, 0)]);
}

#[test]
fn a_stream_comes_back_with_all_that_was_read() {
    let node = Node::new();
    let stream = node.declare_queue(QueueSpec {
        arguments: arguments(&[("x-queue-type", AMQPValue::LongString("stream".into()))]),
        ..durable("s")
    });
    let read = |stream: &QueueHandle, start, count: usize| {
        let outbox = Arc::new(Outbox::new(1 << 20));
        stream.enter(|state, records| {
            let reader = Consumer {
                prefetch: 10,
                ..consumer(1, &outbox)
            };
            state.attach(reader, start, None, 0, records);
        });
        let mut ranges: Vec<Delivered> = Vec::new();
        // What is not in memory comes when the thread has read it.
        for _ in 0..10_000 {
            ranges.extend(deliveries(&outbox));
            if ranges.iter().map(|range| range.run.len()).sum::<usize>() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!ranges.is_empty(), "nothing came");
        stream.enter(|state, records| {
            state.settle(&ranges, 0, records);
            state.cancel(ConsumerId(1), 0, records);
        });
        let bodies: Vec<_> = ranges.iter().flat_map(|range| bodies(&range.run)).collect();
        (ranges[0].first, bodies)
    };
    // A stream stores what is not persistent too.
    let run = transient("", "s", &["zero", "one"]);
    stream.enter(|state, records| drop(state.enqueue(run, 0, records)));
    node.publish("", "s", &["two"]);
    let all = (
        Position(1),
        vec!["zero".to_owned(), "one".to_owned(), "two".to_owned()],
    );
    assert_eq!(read(&stream, Start::First, 3), all);
    drop(stream);
    let node = node.restarted();
    let stream = node.queue("s");
    assert_eq!(stream.enter(|state, _| state.counts().ready).0, 3);
    assert_eq!(read(&stream, Start::First, 3), all);
    let last = (Position(3), vec!["two".to_owned()]);
    assert_eq!(read(&stream, Start::Offset(2), 1), last);
}
