//! Declaring again: what is equivalent, and RabbitMQ's words for what is not (spec §4.2).

use super::*;

const LOCKED: &str = "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared \
    on another connection or the exclusive property value does not match that of the original declaration.";

#[track_caller]
fn check_queue(current: QueueSpec, received: QueueSpec, code: u16, text: &str) {
    let node = Node::new();
    node.declare_queue(current);
    check_refused(node.vhost.declare_queue(received, NOW), code, text);
}

#[track_caller]
fn check_exchange(current: ExchangeSpec, received: ExchangeSpec, text: &str) {
    let node = Node::new();
    node.declare_exchange(current);
    check_refused(node.vhost.declare_exchange(received), 406, text);
}

fn with(entries: &[(&str, AMQPValue)]) -> QueueSpec {
    QueueSpec {
        arguments: arguments(entries),
        ..durable("q")
    }
}

#[test]
fn a_queue_is_declared_once_and_found_again() {
    let node = Node::new();
    let spec = || {
        with(&[
            ("x-message-ttl", AMQPValue::LongInt(1000)),
            ("mine", AMQPValue::Void),
        ])
    };
    let queue = node.declare_queue(spec());
    assert_eq!(node.declare_queue(spec()), queue);
    let same = with(&[("x-message-ttl", AMQPValue::LongLongInt(1000))]);
    assert_eq!(
        node.declare_queue(same),
        queue,
        "integers by value, unknown arguments not at all"
    );
    let typed = QueueSpec {
        name: QueueName::known("typed"),
        ..with(&[("x-queue-type", AMQPValue::LongString("classic".into()))])
    };
    let queue = node.declare_queue(typed);
    assert_eq!(
        node.declare_queue(durable("typed")),
        queue,
        "the default type"
    );
}

#[test]
fn a_queue_that_differs_is_refused_by_its_first_difference() {
    let transient = QueueSpec {
        durable: false,
        ..durable("q")
    };
    let auto_delete = QueueSpec {
        auto_delete: true,
        ..durable("q")
    };
    let ttl = |ttl| ("x-message-ttl", AMQPValue::LongInt(ttl));
    let expires = |expires| ("x-expires", AMQPValue::LongInt(expires));
    check_queue(
        durable("q"),
        transient.clone(),
        406,
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'",
    );
    check_queue(
        QueueSpec {
            durable: true,
            ..auto_delete.clone()
        },
        QueueSpec {
            arguments: arguments(&[ttl(1)]),
            ..durable("q")
        },
        406,
        "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'false' but current is 'true'",
    );
    check_queue(
        transient,
        auto_delete,
        406,
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'",
    );
    check_queue(
        with(&[ttl(1000)]),
        with(&[ttl(2000)]),
        406,
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '2000' but current is '1000'",
    );
    check_queue(
        with(&[ttl(1000)]),
        durable("q"),
        406,
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value '1000' \
         of type 'signedint'",
    );
    check_queue(
        durable("q"),
        with(&[("x-queue-mode", AMQPValue::LongString("lazy".into()))]),
        406,
        "inequivalent arg 'x-queue-mode' for queue 'q' in vhost '/': received the value 'lazy' of type 'longstr' but \
         current is none",
    );
    check_queue(
        with(&[ttl(1), expires(1)]),
        with(&[ttl(2), expires(2)]),
        406,
        "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received '2' but current is '1'",
    );
}

#[test]
fn who_owns_a_queue_is_judged_before_anything_else() {
    check_queue(exclusive("q", MINE), exclusive("q", ANOTHER), 405, LOCKED);
    check_queue(exclusive("q", MINE), durable("q"), 405, LOCKED);
    check_queue(durable("q"), exclusive("q", MINE), 405, LOCKED);
    let node = Node::new();
    let queue = node.declare_queue(exclusive("q", MINE));
    assert!(!queue.durable, "it is gone with its connection");
    assert_eq!(node.declare_queue(exclusive("q", MINE)), queue);
}

#[test]
fn a_queue_is_found_by_those_who_may_use_it() {
    let node = Node::new();
    check_refused(
        node.vhost.queue_for("q", MINE),
        404,
        "no queue 'q' in vhost '/'",
    );
    let queue = node.declare_queue(exclusive("q", MINE));
    assert_eq!(node.vhost.queue_for("q", MINE), Ok(queue));
    check_refused(node.vhost.queue_for("q", ANOTHER), 405, LOCKED);
}

#[test]
fn a_declaration_with_wrong_arguments_leaves_nothing() {
    let node = Node::new();
    check_refused(
        node.vhost
            .declare_queue(with(&[("x-expires", AMQPValue::LongInt(0))]), NOW),
        406,
        "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}",
    );
    assert!(node.vhost.queue("q").is_none());
    assert_eq!(node.stored_counts(), [0, 0, 0]);
}

#[test]
fn declaring_again_renews_a_queues_expiry() {
    let node = Node::new();
    let spec = || with(&[("x-expires", AMQPValue::LongInt(100))]);
    let queue = node.declare_queue(spec());
    assert_eq!(
        node.shared.timers.take_due(NOW + 100),
        [queue.id],
        "armed although never used"
    );
    node.vhost
        .declare_queue(spec(), NOW + 60)
        .expect("equivalent");
    assert_eq!(queue.tick(NOW + 100), None);
    assert_eq!(node.shared.timers.take_due(NOW + 160), [queue.id]);
    let ended = queue.tick(NOW + 160).expect("not used since");
    node.vhost.delete_ended(&queue, ended, NOW + 160);
    assert!(node.vhost.queue("q").is_none());
    assert!(node.shared.queues.is_empty());
}

#[test]
fn a_queue_used_again_before_its_end_is_carried_out_stays() {
    let node = Node::new();
    let queue = node.declare_queue(with(&[("x-expires", AMQPValue::LongInt(100))]));
    let ended = queue.tick(NOW + 100).expect("not used");
    node.vhost
        .declare_queue(with(&[("x-expires", AMQPValue::LongInt(100))]), NOW + 100)
        .expect("there");
    node.vhost.delete_ended(&queue, ended, NOW + 100);
    assert!(node.vhost.queue("q").is_some());

    let auto_delete = QueueSpec {
        auto_delete: true,
        ..durable("auto")
    };
    let queue = node.declare_queue(auto_delete);
    let outbox = Arc::new(Outbox::new(1000));
    consume(&queue, consumer(1, &outbox));
    let (ended, _) = queue.enter(|state, records| state.cancel(ConsumerId(1), NOW, records));
    consume(&queue, consumer(2, &outbox));
    node.vhost
        .delete_ended(&queue, ended.expect("its last consumer went"), NOW);
    assert!(
        node.vhost.queue("auto").is_some(),
        "somebody came meanwhile"
    );
}

#[test]
fn conditions_of_a_deletion_are_kept() {
    let node = Node::new();
    let queue = node.declare_queue(durable("q"));
    let outbox = Arc::new(Outbox::new(1000));
    node.publish("", "q", &["a", "b"]);
    let held = get(&queue, false).expect("a message");
    check_refused(
        node.vhost.delete_queue(&queue, false, true),
        406,
        "queue 'q' in vhost '/' not empty",
    );
    consume(&queue, consumer(1, &outbox));
    check_refused(
        node.vhost.delete_queue(&queue, true, false),
        406,
        "queue 'q' in vhost '/' in use",
    );
    let (count, _) = node
        .vhost
        .delete_queue(&queue, false, true)
        .expect("only unacked are left");
    assert_eq!(count, 0);
    let again = node.vhost.delete_queue(&queue, true, true);
    assert_eq!(again.expect("deleted already").0, 0);
    queue.enter(|state, records| state.requeue(vec![held], NOW, records));
    assert_eq!(node.stored_counts(), [0, 0, 0]);
}

#[test]
fn an_exchange_is_declared_once() {
    let node = Node::new();
    let plain = [Kind::Direct, Kind::Fanout, Kind::Topic, Kind::Headers];
    for kind in plain {
        let spec = || exchange(kind.name(), kind);
        node.declare_exchange(spec());
        let first = node.vhost.exchange(kind.name()).expect("declared");
        node.declare_exchange(ExchangeSpec {
            arguments: arguments(&[("x-mine", AMQPValue::Boolean(true))]),
            ..spec()
        });
        assert_eq!(
            node.vhost.exchange(kind.name()).expect("there").id,
            first.id
        );
    }
    node.declare_exchange(exchange("amq.direct", Kind::Direct));
    assert_eq!(
        node.stored_counts(),
        [4, 0, 0],
        "those that are always there are not stored"
    );
}

#[test]
fn an_exchange_that_differs_is_refused_by_its_first_difference() {
    let x = || exchange("x", Kind::Direct);
    let ae = |name: &str| ExchangeSpec {
        arguments: arguments(&[("alternate-exchange", AMQPValue::LongString(name.into()))]),
        ..x()
    };
    let transient = || ExchangeSpec {
        durable: false,
        ..exchange("x", Kind::Topic)
    };
    check_exchange(
        x(),
        transient(),
        "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'topic' but current is 'direct'",
    );
    check_exchange(
        x(),
        ExchangeSpec {
            kind: Kind::Direct,
            auto_delete: true,
            ..transient()
        },
        "inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'",
    );
    check_exchange(
        x(),
        ExchangeSpec {
            auto_delete: true,
            internal: true,
            ..x()
        },
        "inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': received 'true' but current is 'false'",
    );
    check_exchange(
        ae("a"),
        ExchangeSpec {
            internal: true,
            ..x()
        },
        "inequivalent arg 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'",
    );
    check_exchange(
        ae("a"),
        ae("b"),
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received 'b' but current is 'a'",
    );
    check_exchange(
        x(),
        ae("b"),
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'b' of type \
         'longstr' but current is none",
    );
}

#[test]
fn an_exchange_in_use_stays_when_asked() {
    let node = Node::new();
    node.declare_exchange(exchange("x", Kind::Fanout));
    node.declare_queue(durable("q"));
    node.bind(&to_queue("x", "q", ""));
    check_refused(
        node.vhost.delete_exchange("x", true),
        406,
        "exchange 'x' in vhost '/' in use",
    );
    node.unbind(&to_queue("x", "q", ""));
    assert!(node.vhost.delete_exchange("x", true).is_ok());
    assert_eq!(
        node.vhost.delete_exchange("x", true),
        Ok(Lsn::NONE),
        "gone already"
    );
    assert_eq!(node.exchange_names(), [""; 0]);
}
