//! Peers that make and drop things without end: what is gone takes no memory.

use std::io::Write;

use super::Scene;
use crate::wire::Wire;
use crate::wire::encode;

/// What may be left of thousands of things that are gone.
const LEFT_BYTES_MAX: u64 = 6 * 1024 * 1024;

/// Sends `cycle(n)` again and again without waiting, and counts `answers` to each; twice, for what the first time takes
/// may be of use the second time.
fn check(scene: &Scene, cycles: u32, answers: usize, cycle: impl Fn(u32) -> Vec<u8> + Sync) {
    let mut wire = Wire::with_channel(scene.address());
    let mut run = |from: u32| {
        let mut writer = wire.socket().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut batch = Vec::new();
                for number in from..from + cycles {
                    batch.extend(cycle(number));
                    if batch.len() > 32 * 1024 {
                        writer.write_all(&batch).unwrap();
                        batch.clear();
                    }
                }
                writer.write_all(&batch).unwrap();
            });
            for _ in 0..cycles as usize * answers {
                let frame = wire.next_frame().expect("an open connection");
                let refused = frame.payload[..4] == [0, 20, 0, 40];
                assert!(!refused, "{}", frame.payload.escape_ascii());
            }
        });
    };
    run(0);
    let before = scene.broker.rss_bytes();
    run(cycles);
    let left = scene.broker.rss_bytes().saturating_sub(before);
    println!("{cycles} cycles leave {left} bytes");
    assert!(left < LEFT_BYTES_MAX, "{left}");
    wire.close();
}

#[test]
fn channels() {
    let scene = Scene::start();
    check(&scene, 20_000, 2, |number| {
        let channel = (number % 1000 + 2) as u16;
        [
            encode::channel_open(channel),
            encode::channel_close(channel),
        ]
        .concat()
    });
    scene.end();
}

#[test]
fn queues_that_were_used() {
    let scene = Scene::start();
    // declare-ok, get-ok with header and body, delete-ok.
    check(&scene, 10_000, 5, |number| {
        let queue = format!("queue number {number}");
        [
            encode::queue_declare(1, &queue, encode::EXCLUSIVE, &[]),
            encode::publish(1, ("", &queue), 0, encode::TRANSIENT, &[7; 500]),
            encode::get(1, &queue, false),
            encode::ack(1, u64::from(number) + 1, false),
            encode::queue_delete(1, &queue),
        ]
        .concat()
    });
    scene.end();
}

#[test]
fn consumers_and_bindings() {
    let scene = Scene::start();
    let mut wire = Wire::with_channel(scene.address());
    wire.declare_queue("q", 0);
    // consume-ok, cancel-ok, bind-ok, unbind-ok.
    check(&scene, 10_000, 4, |number| {
        let tag = format!("consumer number {number}");
        let consume = [
            encode::Arg::Short(0),
            encode::Arg::Text("q"),
            encode::Arg::Text(&tag),
            encode::Arg::Octet(0),
            encode::Arg::Table(&[]),
        ];
        let cancel = [encode::Arg::Text(&tag), encode::Arg::Octet(0)];
        let unbind = [
            encode::Arg::Short(0),
            encode::Arg::Text("q"),
            encode::Arg::Text("amq.topic"),
            encode::Arg::Text(&tag),
            encode::Arg::Table(&[]),
        ];
        [
            encode::method(1, (60, 20), &consume),
            encode::method(1, (60, 30), &cancel),
            encode::queue_bind(1, "q", "amq.topic", &tag, &[]),
            encode::method(1, (50, 50), &unbind),
        ]
        .concat()
    });
    wire.close();
    scene.end();
}

#[test]
fn routes_that_lead_nowhere() {
    let scene = Scene::start();
    // Nothing comes but what is asked for at the end of each cycle.
    check(&scene, 5_000, 1, |number| {
        let mut cycle = Vec::new();
        for exchange in ["", "amq.topic", "amq.direct"] {
            let key = format!("a key that nobody bound {number}");
            let publish = encode::publish(1, (exchange, &key), 0, encode::TRANSIENT, b"body");
            cycle.extend(publish);
        }
        cycle.extend(encode::qos(1, 0));
        cycle
    });
    scene.end();
}

#[test]
fn connections() {
    const COUNT: u32 = 1000;

    let scene = Scene::start();
    let come_and_go = || {
        for number in 0..COUNT {
            let mut wire = Wire::with_channel(scene.address());
            let queue = format!("of connection {number}");
            wire.declare_queue(&queue, encode::EXCLUSIVE);
            wire.call(&encode::consume(1, &queue, 0), (60, 21));
            if number % 2 == 0 {
                wire.close();
            }
        }
    };
    come_and_go();
    let before = scene.broker.rss_bytes();
    come_and_go();
    let left = scene.broker.rss_bytes().saturating_sub(before);
    println!("{COUNT} connections leave {left} bytes");
    assert!(left < LEFT_BYTES_MAX, "{left}");
    scene.end();
}
