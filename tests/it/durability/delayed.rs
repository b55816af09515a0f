//! Messages that wait in a delayed exchange.

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use super::Scene;
use super::bodies;
use crate::wire::encode;
use crate::wire::encode::Arg;
use crate::wire::encode::DURABLE;
use crate::wire::encode::NO_ACK;
use crate::wire::encode::entry;
use crate::wire::encode::text_value;

/// How long a message may come after its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A durable delayed exchange `x`, and a durable queue behind it.
fn delayed(scene: &mut Scene) {
    let arguments = [
        Arg::Short(0),
        Arg::Text("x"),
        Arg::Text("x-delayed-message"),
        Arg::Octet(DURABLE),
        Arg::Table(&entry("x-delayed-type", &text_value("fanout"))),
    ];
    let declare = encode::method(1, (40, 10), &arguments);
    scene.wire.call(&declare, (40, 11));
    scene.wire.declare_queue("q", DURABLE);
    let bind = encode::queue_bind(1, "q", "x", "", &[]);
    scene.wire.call(&bind, (50, 21));
}

/// A header table with this delay, and `delivery-mode`.
fn properties(delay: u64, delivery_mode: u8) -> Vec<u8> {
    let mut value = vec![b'l'];
    value.extend_from_slice(&delay.to_be_bytes());
    let table = entry("x-delay", &value);
    let mut properties = vec![0x30, 0x00];
    properties.extend_from_slice(&(table.len() as u32).to_be_bytes());
    properties.extend_from_slice(&table);
    properties.push(delivery_mode);
    properties
}

#[test]
fn they_come_after_a_crash_when_their_time_has_come() {
    let mut scene = Scene::start();
    delayed(&mut scene);
    let published = Instant::now();
    // The latest first; one lives longer than this test, another is not persistent.
    for (delay, mode) in [(3_600_000, 2), (4000, 1), (600, 2), (1, 2)] {
        let body = delay.to_string();
        scene.publish("x", "k", &properties(delay, mode), body.as_bytes());
    }
    scene.await_confirms();
    let mut scene = scene.crash();
    scene.wire.call(&encode::consume(1, "q", NO_ACK), (60, 21));
    let mut got = Vec::new();
    while got.len() < 3 {
        let message = scene.wire.delivery_within(1, PATIENCE);
        let message = message.expect("a message whose time has come");
        got.push(message);
        if bodies(&got).last() == Some(&"4000") {
            assert!(published.elapsed() >= Duration::from_millis(4000));
        }
    }
    assert_eq!(bodies(&got), ["1", "600", "4000"]);
}

#[test]
fn none_is_lost_when_the_crash_comes_while_they_are_on_their_way() {
    let mut scene = Scene::start();
    delayed(&mut scene);
    let expected: BTreeSet<String> = (0..300).map(|number| number.to_string()).collect();
    for (body, delay) in expected.iter().zip(1u64..) {
        let properties = properties(delay * 3, 2);
        scene.publish("x", "k", &properties, body.as_bytes());
    }
    scene.await_confirms();
    // Some have arrived by now, others have not.
    let mut arrived = BTreeSet::new();
    for _ in 0..2 {
        scene = scene.crash();
    }
    scene.wire.call(&encode::consume(1, "q", NO_ACK), (60, 21));
    while arrived.len() < expected.len() {
        let message = scene.wire.delivery_within(1, PATIENCE);
        let message = message.expect("all of them, some perhaps twice");
        arrived.insert(String::from_utf8(message.body).unwrap());
    }
    assert_eq!(arrived, expected);
}
