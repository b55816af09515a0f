//! What survives SIGKILL: definitions and persistent messages that the client was told are there, in order and once.

mod deduplication;
mod definitions;
mod delayed;
mod failing_disk;
mod rounds;

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::wire::Message;
use crate::wire::Wire;
use crate::wire::encode;
use crate::wire::encode::DURABLE;
use crate::wire::encode::PERSISTENT;
use crate::wire::encode::TRANSIENT;

/// A broker on a directory that outlives it, and a client with channel 1 in confirm mode.
struct Scene {
    data: TempDir,
    broker: Broker,
    wire: Wire,
    published: u64,
    outstanding: BTreeSet<u64>,
}

impl Scene {
    fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(data: TempDir) -> Self {
        let broker = start_on(data.path());
        let mut wire = Wire::with_channel(broker.amqp());
        wire.call(&encode::confirm_select(1), (85, 11));
        Self {
            data,
            broker,
            wire,
            published: 0,
            outstanding: BTreeSet::new(),
        }
    }

    /// SIGKILL, and the next start.
    fn crash(self) -> Self {
        let Self {
            data, broker, wire, ..
        } = self;
        broker.kill();
        drop(wire);
        let scene = Self::on(data);
        assert!(scene.broker.log().contains("\"clean_stop\":false"));
        scene
    }

    fn publish(&mut self, exchange: &str, key: &str, properties: &[u8], body: &[u8]) {
        let publish = encode::publish(1, (exchange, key), 0, properties, body);
        self.wire.send(&publish);
        self.published += 1;
        self.outstanding.insert(self.published);
    }

    /// From here on, all that was published is the broker's.
    fn await_confirms(&mut self) {
        self.wire.await_confirms(1, &mut self.outstanding);
    }

    fn drain(&mut self, queue: &str) -> Vec<Message> {
        self.wire.drain_queue(1, queue)
    }
}

fn start_on(data: &Path) -> Broker {
    Launch::serve().data_dir(data).start()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| std::str::from_utf8(&message.body).unwrap())
        .collect()
}

#[test]
fn persistent_messages_of_durable_queues_survive_and_no_others() {
    let mut scene = Scene::start();
    scene.wire.declare_queue("durable", DURABLE);
    scene.wire.declare_queue("transient", 0);
    scene
        .wire
        .declare_queue("exclusive", encode::EXCLUSIVE | DURABLE);
    for number in 0..100 {
        let properties = if number % 3 == 0 {
            TRANSIENT
        } else {
            PERSISTENT
        };
        let body = number.to_string();
        for queue in ["durable", "transient", "exclusive"] {
            scene.publish("", queue, properties, body.as_bytes());
        }
    }
    scene.await_confirms();
    let mut scene = scene.crash();
    let messages = scene.drain("durable");
    let expected: Vec<String> = (0..100)
        .filter(|number| number % 3 != 0)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(bodies(&messages), expected);
    // Made anew, and empty.
    assert_eq!(scene.wire.declare_queue("transient", 0), (0, 0));
    assert_eq!(scene.wire.declare_queue("exclusive", 0), (0, 0));
}

#[test]
fn a_message_comes_back_as_it_was() {
    let mut scene = Scene::start();
    scene.wire.declare_queue("q", DURABLE);
    let headers = encode::entry("deep", &encode::sized(b'F', &encode::nested_table(20)));
    let mut properties = vec![0xff, 0xfc];
    properties.extend(b"\x04text\x04gzip");
    properties.extend((headers.len() as u32).to_be_bytes());
    properties.extend(&headers);
    // delivery-mode, priority, then correlation-id to cluster-id.
    properties.extend(b"\x02\x09\x01c\x01r\x0560000\x01m");
    properties.extend(1_700_000_000_u64.to_be_bytes());
    properties.extend(b"\x01t\x05guest\x01a\x01k");
    let sizes = [
        0,
        1,
        16 * 1024 - 1,
        16 * 1024,
        131_064,
        131_065,
        5 * 1024 * 1024,
    ];
    for size in sizes {
        let body: Vec<u8> = (0..size).map(|octet| (octet % 251) as u8).collect();
        scene.publish("", "q", &properties, &body);
    }
    scene.await_confirms();
    let mut scene = scene.crash();
    let messages = scene.drain("q");
    assert_eq!(messages.len(), sizes.len());
    for (message, size) in messages.iter().zip(sizes) {
        assert_eq!(message.properties, properties);
        assert_eq!((&*message.exchange, &*message.key), ("", "q"));
        let right = |(index, octet): (usize, &u8)| *octet == (index % 251) as u8;
        assert!(message.body.len() == size && message.body.iter().enumerate().all(right));
    }
}

#[test]
fn what_was_acknowledged_stays_away() {
    let mut scene = Scene::start();
    scene.wire.declare_queue("q", DURABLE);
    scene.wire.declare_queue("other", DURABLE);
    for number in 0..300 {
        scene.publish("", "q", PERSISTENT, number.to_string().as_bytes());
    }
    scene.await_confirms();
    scene.wire.open_channel(2);
    for _ in 0..200 {
        scene.wire.get(2, "q", false).unwrap();
    }
    // All up to 100 at once, one by one those above that are even.
    scene.wire.send(&encode::ack(2, 100, true));
    for tag in (102..=200).step_by(2) {
        scene.wire.send(&encode::ack(2, tag, false));
    }
    // An answer on their channel: the acknowledgements have been taken, before what is published now.
    scene.wire.call(&encode::qos(2, 0), (60, 11));
    scene.publish("", "other", PERSISTENT, b"after");
    scene.await_confirms();
    let mut scene = scene.crash();
    let messages = scene.drain("q");
    let expected: Vec<String> = (100..300)
        .filter(|number| *number >= 200 || number % 2 == 0)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(bodies(&messages), expected);
    // Nobody knows any more which of them had been delivered.
    assert!(messages.iter().all(|message| message.redelivered));
    assert_eq!(bodies(&scene.drain("other")), ["after"]);
}

#[test]
fn purge_and_delete_survive() {
    let mut scene = Scene::start();
    let queues = ["purged", "deleted", "kept"];
    for queue in queues {
        scene.wire.declare_queue(queue, DURABLE);
    }
    for queue in queues {
        for body in [&b"small"[..], &[b'x'; 100_000]] {
            scene.publish("", queue, PERSISTENT, body);
        }
    }
    scene.await_confirms();
    let ok = scene.wire.call(&encode::queue_purge(1, "purged"), (50, 31));
    assert_eq!(ok, 2_u32.to_be_bytes());
    let ok = scene
        .wire
        .call(&encode::queue_delete(1, "deleted"), (50, 41));
    assert_eq!(ok, 2_u32.to_be_bytes());
    let mut scene = scene.crash();
    assert_eq!(scene.wire.declare_queue("purged", DURABLE), (0, 0));
    assert_eq!(scene.wire.declare_queue("kept", DURABLE), (2, 0));
    // Under its old name begins a new queue, of another kind even.
    assert_eq!(scene.wire.declare_queue("deleted", 0), (0, 0));
}

#[test]
fn a_transaction_is_there_from_its_commit_and_not_before() {
    let mut scene = Scene::start();
    for queue in ["one", "two", "acked"] {
        scene.wire.declare_queue(queue, DURABLE);
    }
    for body in [b"a", b"b"] {
        scene.publish("", "acked", PERSISTENT, body);
    }
    scene.await_confirms();
    let wire = &mut scene.wire;
    wire.open_channel(2);
    wire.open_channel(3);
    for channel in [2, 3] {
        wire.call(&encode::method(channel, (90, 10), &[]), (90, 11));
        let tag = wire.get(channel, "acked", false).unwrap().tag;
        for number in 0..50 {
            let body = format!("{channel}-{number}");
            let queue = if number % 2 == 0 { "one" } else { "two" };
            let publish = encode::publish(channel, ("", queue), 0, PERSISTENT, body.as_bytes());
            wire.send(&publish);
        }
        wire.send(&encode::ack(channel, tag, false));
    }
    wire.call(&encode::method(2, (90, 20), &[]), (90, 21));
    let mut scene = scene.crash();
    for (queue, first) in [("one", 0), ("two", 1)] {
        let expected: Vec<String> = (first..50).step_by(2).map(|n| format!("2-{n}")).collect();
        assert_eq!(bodies(&scene.drain(queue)), expected);
    }
    assert_eq!(bodies(&scene.drain("acked")), ["b"]);
}

#[test]
fn a_kill_at_any_moment_of_a_start_loses_nothing() {
    let mut scene = Scene::start();
    scene.wire.declare_queue("q", DURABLE);
    for number in 0..200 {
        scene.publish("", "q", PERSISTENT, number.to_string().as_bytes());
    }
    scene.await_confirms();
    let mut scene = scene.crash();
    for milliseconds in [0, 1, 2, 4, 6, 8, 10, 13, 16, 20, 30] {
        let Scene { data, broker, .. } = scene;
        broker.kill();
        let launch = Launch::serve().data_dir(data.path());
        launch.kill_after(std::time::Duration::from_millis(milliseconds));
        scene = Scene::on(data);
        assert_eq!(scene.wire.declare_queue("q", DURABLE).0, 200);
    }
    let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&scene.drain("q")), expected);

    // Also of the very first start.
    for milliseconds in [0, 2, 5, 8, 12, 20, 40] {
        let data = tempfile::tempdir().unwrap();
        let launch = Launch::serve().data_dir(data.path());
        launch.kill_after(std::time::Duration::from_millis(milliseconds));
        start_on(data.path()).stop();
    }
}
