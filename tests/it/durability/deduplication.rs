//! What a deduplication exchange with `x-cache-persistence: disk` has seen.

use super::Scene;
use super::bodies;
use crate::wire::encode;
use crate::wire::encode::Arg;
use crate::wire::encode::DURABLE;
use crate::wire::encode::entry;
use crate::wire::encode::text_value;

const MESSAGES: u32 = 1000;

/// The exchange `x`, and a durable queue behind it.
fn deduplicating(scene: &mut Scene) {
    let mut table = entry("x-cache-size", &text_value("100000"));
    table.extend(entry("x-cache-persistence", &text_value("disk")));
    let arguments = [
        Arg::Short(0),
        Arg::Text("x"),
        Arg::Text("x-message-deduplication"),
        Arg::Octet(DURABLE),
        Arg::Table(&table),
    ];
    let declare = encode::method(1, (40, 10), &arguments);
    scene.wire.call(&declare, (40, 11));
    scene.wire.declare_queue("q", DURABLE);
    let bind = encode::queue_bind(1, "q", "x", "", &[]);
    scene.wire.call(&bind, (50, 21));
}

fn publish(scene: &mut Scene, number: u32) {
    let table = entry("x-deduplication-header", &text_value(&number.to_string()));
    let mut properties = vec![0x30, 0x00];
    properties.extend_from_slice(&(table.len() as u32).to_be_bytes());
    properties.extend_from_slice(&table);
    properties.push(2);
    scene.publish("x", "", &properties, number.to_string().as_bytes());
}

/// A message and what tells its duplicates reach the disk together: whoever publishes all again gets each there once.
#[test]
fn each_message_is_there_once_when_all_are_published_again_after_a_crash() {
    let mut scene = Scene::start();
    deduplicating(&mut scene);
    for number in 0..MESSAGES / 2 {
        publish(&mut scene, number);
    }
    scene.await_confirms();
    // The crash comes while these are on their way.
    for number in MESSAGES / 2..MESSAGES {
        publish(&mut scene, number);
    }
    let mut scene = scene.crash();
    for number in 0..MESSAGES {
        publish(&mut scene, number);
    }
    scene.await_confirms();
    let mut scene = scene.crash();
    let messages = scene.drain("q");
    let mut numbers: Vec<u32> = bodies(&messages)
        .iter()
        .map(|body| body.parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
}
