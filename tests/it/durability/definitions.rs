//! Exchanges, queues and bindings of all kinds, with their arguments.

use serde_json::Value;

use super::Scene;
use crate::web;
use crate::wire::Wire;
use crate::wire::encode;
use crate::wire::encode::AUTO_DELETE;
use crate::wire::encode::DURABLE;
use crate::wire::encode::PERSISTENT;
use crate::wire::encode::entry;
use crate::wire::encode::headers_property;
use crate::wire::encode::text_value;

const INTERNAL: u8 = 8;

/// Without figures, which change with time.
const QUEUES: &str = "queues?disable_stats=true&enable_queue_totals=true";
const EXCHANGES: &str = "exchanges?disable_stats=true";

/// Exchanges, with type, flags and arguments.
fn declare_exchanges(wire: &mut Wire) {
    let alternate = entry("alternate-exchange", &text_value("leftovers"));
    for (name, kind, flags, arguments) in [
        ("direct", "direct", DURABLE, &alternate[..]),
        ("fanout", "fanout", DURABLE, &[]),
        ("topic", "topic", DURABLE | INTERNAL, &[]),
        ("headers", "headers", DURABLE, &entry("x-own", b"t\x01")),
        ("leftovers", "fanout", DURABLE, &[]),
        ("passing", "topic", 0, &[]),
        // Of the flags of an exchange, 4 is auto-delete.
        ("used", "fanout", DURABLE | 4, &[]),
    ] {
        let arguments = [
            encode::Arg::Short(0),
            encode::Arg::Text(name),
            encode::Arg::Text(kind),
            encode::Arg::Octet(flags),
            encode::Arg::Table(arguments),
        ];
        wire.call(&encode::method(1, (40, 10), &arguments), (40, 11));
    }
}

fn declare_queues(wire: &mut Wire) {
    let mut arguments = entry("x-message-ttl", b"I\x7f\xff\xff\xff");
    arguments.extend(entry("x-expires", b"l\x00\x00\x00\x00\x7f\xff\xff\xff"));
    arguments.extend(entry(
        "x-unknown",
        &encode::sized(b'F', &encode::nested_table(3)),
    ));
    arguments.extend(entry(
        "x-list",
        &encode::sized(b'A', b"I\x00\x00\x00\x07t\x01V"),
    ));
    wire.call(
        &encode::queue_declare(1, "arguments", DURABLE, &arguments),
        (50, 11),
    );
    for (name, flags) in [
        ("plain", DURABLE),
        ("used", DURABLE | AUTO_DELETE),
        ("name with / and é", DURABLE),
        ("passing", 0),
    ] {
        wire.declare_queue(name, flags);
    }
}

fn bind(wire: &mut Wire) {
    let all = [
        entry("x-match", &text_value("all")),
        entry("colour", &text_value("red")),
    ]
    .concat();
    let any = [
        entry("x-match", &text_value("any")),
        entry("count", b"I\x00\x00\x00\x01"),
    ]
    .concat();
    for (queue, exchange, key, arguments) in [
        ("plain", "direct", "key", &[][..]),
        ("plain", "direct", "other key", &[]),
        (
            "arguments",
            "direct",
            "key",
            &entry("reason", &text_value("another binding")),
        ),
        ("plain", "fanout", "", &[]),
        ("arguments", "topic", "stock.#", &[]),
        ("plain", "topic", "stock.*.nyse", &[]),
        ("plain", "headers", "", &all),
        ("arguments", "headers", "", &any),
        ("name with / and é", "leftovers", "", &[]),
        ("plain", "used", "", &[]),
        ("used", "amq.topic", "a.b", &[]),
        ("passing", "fanout", "", &[]),
        ("plain", "passing", "#", &[]),
    ] {
        wire.call(
            &encode::queue_bind(1, queue, exchange, key, arguments),
            (50, 21),
        );
    }
    for (destination, source, key) in [
        ("topic", "direct", "to the topic"),
        ("topic", "fanout", ""),
        ("passing", "fanout", ""),
    ] {
        wire.call(
            &encode::exchange_bind(1, destination, source, key),
            (40, 31),
        );
    }
}

/// A list of the HTTP API without what depends on traffic.
fn list(scene: &Scene, what: &str) -> Vec<Value> {
    let answer = web::get(scene.broker.http(), &format!("/api/{what}"));
    answer.json().as_array().unwrap().clone()
}

/// Those that have to survive: of durable things, between durable things.
fn lasting(scene: &Scene) -> [Vec<Value>; 3] {
    let mut queues = list(scene, QUEUES);
    let mut exchanges = list(scene, EXCHANGES);
    let mut bindings = list(scene, "bindings");
    queues.retain(|queue| queue["durable"] == true);
    exchanges.retain(|exchange| exchange["durable"] == true);
    bindings.retain(|binding| {
        // Those to the default exchange are there by themselves.
        let of_passing = binding["source"] == "passing" || binding["destination"] == "passing";
        binding["source"] != "" && !of_passing
    });
    // Bindings are in no order.
    bindings.sort_by_key(ToString::to_string);
    [queues, exchanges, bindings]
}

#[test]
fn durable_definitions_survive_as_they_were() {
    let mut scene = Scene::start();
    declare_exchanges(&mut scene.wire);
    declare_queues(&mut scene.wire);
    bind(&mut scene.wire);
    // Gone before the crash, so gone after it.
    scene.wire.declare_queue("deleted", DURABLE);
    let bind = encode::queue_bind(1, "deleted", "direct", "key", &[]);
    scene.wire.call(&bind, (50, 21));
    scene
        .wire
        .call(&encode::queue_delete(1, "deleted"), (50, 41));
    let before = lasting(&scene);
    assert_eq!(before[0].len(), 4);
    assert_eq!(before[2].len(), 13);

    let scene = scene.crash();
    assert_eq!(lasting(&scene), before);
    assert_eq!(
        list(&scene, QUEUES),
        before[0],
        "transient queues came back"
    );
    assert_eq!(
        list(&scene, EXCHANGES),
        before[1],
        "transient exchanges came back"
    );
    // Once more: what was recovered is not only in memory.
    let mut scene = scene.crash();
    assert_eq!(lasting(&scene), before);

    // They are equal to what the client declares again.
    declare_exchanges(&mut scene.wire);
    declare_queues(&mut scene.wire);
    check_routes(&mut scene);
}

/// Each kind of exchange still routes by its bindings.
fn check_routes(scene: &mut Scene) {
    let red = headers_property(&entry("colour", &text_value("red")));
    let one = headers_property(&entry("count", b"I\x00\x00\x00\x01"));
    for (exchange, key, properties, queues) in [
        ("direct", "key", PERSISTENT, &["plain", "arguments"][..]),
        ("direct", "other key", PERSISTENT, &["plain"]),
        ("direct", "no key", PERSISTENT, &["name with / and é"]),
        (
            "fanout",
            "stock.usd.nyse",
            PERSISTENT,
            &["plain", "arguments"],
        ),
        ("fanout", "x", PERSISTENT, &["plain"]),
        ("headers", "", &red, &["plain"]),
        ("headers", "", &one, &["arguments"]),
        ("used", "", PERSISTENT, &["plain"]),
        ("amq.topic", "a.b", PERSISTENT, &["used"]),
        ("", "used", PERSISTENT, &["used"]),
    ] {
        scene.publish(exchange, key, properties, b"routed");
        scene.await_confirms();
        for queue in ["plain", "arguments", "name with / and é", "used"] {
            let expected = usize::from(queues.contains(&queue));
            let count = scene.drain(queue).len();
            assert_eq!(count, expected, "in {queue} of {exchange:?} with {key:?}");
        }
    }
}

#[test]
fn unbinding_and_deleting_survive() {
    let mut scene = Scene::start();
    let wire = &mut scene.wire;
    for exchange in ["x", "y"] {
        wire.call(
            &encode::exchange_declare(1, exchange, "fanout", DURABLE),
            (40, 11),
        );
    }
    wire.declare_queue("q", DURABLE);
    wire.call(&encode::queue_bind(1, "q", "x", "", &[]), (50, 21));
    wire.call(&encode::queue_bind(1, "q", "y", "", &[]), (50, 21));
    wire.call(&encode::exchange_bind(1, "x", "y", ""), (40, 31));
    let unbind = [
        encode::Arg::Short(0),
        encode::Arg::Text("q"),
        encode::Arg::Text("x"),
        encode::Arg::Text(""),
        encode::Arg::Table(&[]),
    ];
    wire.call(&encode::method(1, (50, 50), &unbind), (50, 51));
    let delete = [
        encode::Arg::Short(0),
        encode::Arg::Text("y"),
        encode::Arg::Octet(0),
    ];
    wire.call(&encode::method(1, (40, 20), &delete), (40, 21));
    let before = lasting(&scene);
    assert!(before[2].is_empty(), "{:?}", before[2]);
    assert_eq!(lasting(&scene.crash()), before);
}
