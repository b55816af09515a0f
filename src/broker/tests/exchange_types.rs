//! Exchange types that RabbitMQ has from plugins: those that pick one destination.

use super::*;

use crate::model::Lsn;
use crate::vhost::Vhost;
use amq_protocol::types::FieldTable;

const QUEUES: [&str; 3] = ["a", "b", "c"];

pub(super) fn string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub(super) fn declare(
    client: &mut Client,
    name: &str,
    kind: &str,
    entries: &[(&str, AMQPValue)],
) -> Result<Lsn, AmqpError> {
    client.declare_exchange(ExchangeDeclare {
        arguments: arguments(entries),
        ..exchange(name, kind)
    })
}

pub(super) fn with_header(name: &str, value: AMQPValue) -> AMQPProperties {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), value);
    persistent().with_headers(headers)
}

/// Publishes one message of one body; whether it was returned.
pub(super) fn send_with(
    client: &mut Client,
    exchange: &str,
    key: &str,
    body: &str,
    properties: AMQPProperties,
) -> bool {
    let publish = Publish {
        run: run_of(exchange, key, &[(body, properties)]),
        mandatory: true,
    };
    let published = client.publish(CHANNEL, publish).expect("published");
    !returned(&published).is_empty()
}

/// Declares the queues and binds each with this key.
fn bound(client: &mut Client, exchange: &str, key: &str) {
    for queue in QUEUES {
        client.queue(queue);
        client.bind_queue(exchange, queue, key);
    }
}

/// What each queue holds, and nothing after that.
fn drained(client: &mut Client) -> [Vec<String>; 3] {
    QUEUES.map(|queue| client.drain(queue))
}

#[test]
fn one_queue_gets_the_message() {
    for kind in [
        "x-random",
        "x-local-random",
        "x-modulus-hash",
        "x-consistent-hash",
    ] {
        let node = Node::new();
        let mut client = node.client();
        client.exchange("x", kind);
        let key = match kind {
            "x-consistent-hash" => "10",
            _ => "",
        };
        assert!(send_with(&mut client, "x", "k", "none", persistent()));
        bound(&mut client, "x", key);
        for number in 0..300 {
            let key = format!("key {number}");
            assert!(!send_with(&mut client, "x", &key, &key, persistent()));
        }
        let got = drained(&mut client);
        let counts = got.each_ref().map(Vec::len);
        assert_eq!(
            counts.iter().sum::<usize>(),
            300,
            "{kind}: no more, no less"
        );
        assert!(counts.iter().all(|count| *count > 50), "{kind}: {counts:?}");
    }
}

#[test]
fn a_run_with_one_key_is_spread_at_random_but_hashed_to_one() {
    let node = Node::new();
    let mut client = node.client();
    for (kind, queues_reached) in [
        ("x-random", 3),
        ("x-modulus-hash", 1),
        ("x-consistent-hash", 1),
    ] {
        client.exchange(kind, kind);
        bound(&mut client, kind, "1");
        let bodies: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        client.send(kind, "k", &bodies);
        client.send(kind, "k", &bodies);
        let got = drained(&mut client);
        let reached = got.iter().filter(|bodies| !bodies.is_empty()).count();
        assert_eq!(reached, queues_reached, "{kind}");
        assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 200);
    }
}

#[test]
fn hashes_lead_to_the_same_queues_after_a_restart() {
    let node = Node::new();
    let mut client = node.client();
    for kind in ["x-modulus-hash", "x-consistent-hash"] {
        client.exchange(kind, kind);
        bound(&mut client, kind, "5");
    }
    let keys: Vec<String> = (0..50).map(|number| format!("key {number}")).collect();
    let send = |client: &mut Client| {
        for kind in ["x-modulus-hash", "x-consistent-hash"] {
            for key in &keys {
                client.send(kind, key, &[key]);
            }
        }
        drained(client)
    };
    let before = send(&mut client);
    drop(client);
    let node = node.restarted();
    assert_eq!(send(&mut node.client()), before);
}

#[test]
fn a_header_or_a_property_is_hashed_when_an_argument_says_so() {
    let node = Node::new();
    let mut client = node.client();
    type Numbered = fn(u32) -> AMQPProperties;
    let hashed: [(&str, &str, Numbered); 4] = [
        ("hash-header", "id", |number| {
            with_header("id", string(&number.to_string()))
        }),
        ("hash-property", "message_id", |number| {
            persistent().with_message_id(number.to_string().into())
        }),
        ("hash-property", "correlation_id", |number| {
            persistent().with_correlation_id(number.to_string().into())
        }),
        ("hash-property", "timestamp", |number| {
            persistent().with_timestamp(u64::from(number))
        }),
    ];
    for (argument, of, properties) in hashed {
        declare(
            &mut client,
            of,
            "x-consistent-hash",
            &[(argument, string(of))],
        )
        .expect("declared");
        bound(&mut client, of, "1");
        for number in 0..60 {
            // One run, in which the key changes with nothing and the number decides.
            let run = run_of(
                of,
                "k",
                &[("first", properties(number)), ("again", properties(number))],
            );
            let publish = Publish {
                run,
                mandatory: false,
            };
            client.publish(CHANNEL, publish).expect("published");
        }
        let got = drained(&mut client);
        let count =
            |bodies: &[String], wanted: &str| bodies.iter().filter(|body| *body == wanted).count();
        for bodies in &got {
            assert!(!bodies.is_empty(), "{of} is spread");
            assert_eq!(count(bodies, "first"), count(bodies, "again"));
        }
        for number in 0..20 {
            let key = number.to_string();
            send_with(&mut client, of, &key, "without", persistent());
        }
        let got = drained(&mut client);
        let reached = got.iter().filter(|bodies| !bodies.is_empty()).count();
        assert_eq!(reached, 1, "what lacks it has one hash, whatever its key");
    }
}

#[test]
fn they_are_reached_through_bindings_and_as_alternate_exchange() {
    let node = Node::new();
    let mut client = node.client();
    for kind in ["x-random", "x-consistent-hash"] {
        let (front, side) = (format!("front of {kind}"), format!("side of {kind}"));
        client.exchange(kind, kind);
        bound(&mut client, kind, "1");
        client.exchange(&front, "fanout");
        client.bind(to_exchange(&front, kind, "")).expect("bound");
        let to_alternate = [("alternate-exchange", string(kind))];
        declare(&mut client, &side, "direct", &to_alternate).expect("declared");
        for exchange in [&front, &side] {
            for number in 0..100 {
                let key = number.to_string();
                assert!(!send_with(&mut client, exchange, &key, "m", persistent()));
            }
            let got = drained(&mut client);
            assert!(got.iter().all(|bodies| !bodies.is_empty()), "{exchange}");
            assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 100, "{exchange}");
        }
    }
}

#[test]
fn an_alternate_exchange_helps_out_while_nothing_is_bound() {
    let node = Node::new();
    let mut client = node.client();
    for kind in ["x-random", "x-modulus-hash", "x-consistent-hash"] {
        client.queue("unrouted");
        client.exchange("alternate", "fanout");
        client.bind_queue("alternate", "unrouted", "");
        let alternate = [("alternate-exchange", string("alternate"))];
        declare(&mut client, kind, kind, &alternate).expect("declared");
        assert!(!send_with(&mut client, kind, "k", "m", persistent()));
        assert_eq!(client.drain("unrouted"), ["m"]);
    }
}

#[test]
fn bindings_are_judged_by_the_type() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.exchange("hash", "x-consistent-hash");
    client.exchange("local", "x-local-random");
    let refused = [
        (
            to_queue("hash", "q", "heavy"),
            "The binding key must be an integer: <<\"heavy\">>",
        ),
        (
            to_queue("hash", "q", "0"),
            "The binding key must be greater than 0",
        ),
        (
            to_queue("local", "q", "k"),
            "Non empty binding 'k' key not permitted",
        ),
        (to_exchange("local", "hash", ""), "Destination not found"),
    ];
    for (bind, text) in refused {
        check_refused(client.bind(bind), 406, text);
    }
    client.bind_queue("local", "q", "");
    client.bind_queue("hash", "q", "3");
}

#[test]
fn declaring_it_otherwise_names_the_types_as_rabbitmq_prints_them() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("x", "x-random");
    check_refused(
        declare(&mut client, "x", "x-consistent-hash", &[]),
        406,
        "inequivalent arg 'type' for exchange 'x' in vhost '/': received ''x-consistent-hash'' but current is ''x-random''",
    );
    check_refused(
        declare(&mut client, "x", "direct", &[]),
        406,
        "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is ''x-random''",
    );
    let both = [
        ("hash-header", string("h")),
        ("hash-property", string("message_id")),
    ];
    check_refused(
        declare(&mut client, "y", "x-consistent-hash", &both),
        406,
        "hash-header and hash-property are mutually exclusive",
    );
    assert!(
        node.vhost("/")
            .is_some_and(|vhost: Arc<Vhost>| vhost.exchange("y").is_none())
    );
    client.exchange("z", "x-consistent-hash");
    declare(&mut client, "z", "x-consistent-hash", &both).expect("an existing one is not judged");
}

#[test]
fn types_that_are_not_there_have_no_substitute() {
    let node = Node::new();
    let mut client = node.client();
    for (kind, text) in [
        ("x-none", "unknown exchange type 'x-none'"),
        ("direct ", "unknown exchange type 'direct '"),
        ("", "invalid exchange type ''"),
        (
            "x-jms-topic",
            "exchange type 'x-jms-topic' is not supported by this version of Leveret",
        ),
        (
            "x-federation-upstream",
            "exchange type 'x-federation-upstream' is not supported by this version of Leveret",
        ),
    ] {
        check_refused(declare(&mut client, "x", kind, &[]), 406, text);
    }
}
