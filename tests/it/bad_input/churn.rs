//! Peers that make and drop things without end: what is gone takes no memory.

use std::io::Write;

use super::Scene;
use crate::wire::Wire;
use crate::wire::encode;

/// By how much the broker may have grown in the end: what an allocator keeps differs from one moment to the next.
const GROWTH_BYTES_MAX: u64 = 12 * 1024 * 1024;

/// Does `round(n)` again and again. The first third may take memory that is of use to the others, which may take none. The
/// rounds are so many, and so large, that a few hundred bytes lost with each thing exceed what chance can do.
fn check_growth(scene: &Scene, rounds: u32, mut round: impl FnMut(u32)) {
    let mut sizes = Vec::new();
    for number in 0..rounds {
        round(number);
        sizes.push(scene.broker.rss_bytes());
    }
    let (warm, last) = (sizes[rounds as usize / 3], sizes[rounds as usize - 1]);
    println!("bytes after each round: {sizes:?}");
    assert!(last < warm + GROWTH_BYTES_MAX, "{sizes:?}");
}

/// Sends `cycle(n)` again and again without waiting, and counts `answers` to each.
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
    check_growth(scene, 30, |round| run(round * cycles));
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
    check_growth(&scene, 9, |_| {
        for number in 0..COUNT {
            let mut wire = Wire::with_channel(scene.address());
            let queue = format!("of connection {number}");
            wire.declare_queue(&queue, encode::EXCLUSIVE);
            wire.call(&encode::consume(1, &queue, 0), (60, 21));
            if number % 2 == 0 {
                wire.close();
            }
        }
    });
    scene.end();
}
