//! Rounds of SIGKILL at random moments while several connections publish: what was confirmed is there, in order, once.

use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::start_on;
use crate::wire::Arguments;
use crate::wire::Heard;
use crate::wire::Wire;
use crate::wire::encode;

const ROUNDS: u64 = 6;
const PUBLISHERS: u32 = 4;
/// Shared by the publishers, two each.
const QUEUES: [&str; 2] = ["left", "right"];

#[test]
fn what_was_confirmed_before_a_kill_is_there() {
    let data = tempfile::tempdir().unwrap();
    let mut broker = start_on(data.path());
    let mut confirmed_in_all = 0;
    for round in 0..ROUNDS {
        println!("round {round}");
        let mut random = StdRng::seed_from_u64(round);
        let mut wire = Wire::with_channel(broker.amqp());
        for queue in QUEUES {
            wire.declare_queue(queue, encode::DURABLE);
        }
        // All are open before the first publishes: the kill comes at a moment of publishing, however slow the machine.
        let wires: Vec<_> = (0..PUBLISHERS).map(|_| confirming(broker.amqp())).collect();
        let publishers: Vec<_> = (0..)
            .zip(wires)
            .map(|(publisher, wire)| {
                let random = StdRng::seed_from_u64(random.random());
                std::thread::spawn(move || publish_until_cut(wire, publisher, random))
            })
            .collect();
        // The moment of the kill is what the round is about.
        std::thread::sleep(Duration::from_millis(random.random_range(30..400)));
        broker.kill();
        let confirmed: Vec<u32> = publishers
            .into_iter()
            .map(|publisher| publisher.join().expect("a publisher"))
            .collect();
        confirmed_in_all += confirmed.iter().sum::<u32>();

        broker = start_on(data.path());
        let mut wire = Wire::with_channel(broker.amqp());
        for queue in QUEUES {
            check_queue(&mut wire, queue, &confirmed);
        }
        await_settles(&mut wire);
    }
    println!("{confirmed_in_all} confirmed");
    assert!(confirmed_in_all > 0, "too slow to prove anything");
    broker.stop();
}

fn confirming(address: SocketAddr) -> Wire {
    let mut wire = Wire::with_channel(address);
    wire.call(&encode::confirm_select(1), (85, 11));
    wire
}

/// What was taken out stays out from here on, also when the broker is killed before it confirms anything more. No settle
/// is answered; a durable queue's declaration is, once it and all that was handed to the store before it is on disk.
fn await_settles(wire: &mut Wire) {
    wire.declare_queue("after", encode::DURABLE);
    wire.call(&encode::queue_delete(1, "after"), (50, 41));
}

/// Publishes numbers from 1 on to both queues, in batches of random size, until the connection is cut. The highest
/// number that was confirmed.
fn publish_until_cut(mut wire: Wire, publisher: u32, mut random: StdRng) -> u32 {
    let (mut published, mut confirmed) = (0_u32, 0_u32);
    loop {
        let mut batch = Vec::new();
        for _ in 0..random.random_range(1..100) {
            published += 1;
            let mut body = [publisher.to_be_bytes(), published.to_be_bytes()].concat();
            let filler = if random.random_bool(0.02) {
                40_000
            } else {
                300
            };
            body.resize(8 + random.random_range(0..filler), 0);
            for queue in QUEUES {
                batch.extend(encode::publish(
                    1,
                    ("", queue),
                    0,
                    encode::PERSISTENT,
                    &body,
                ));
            }
        }
        if wire.try_send(&batch).is_err() {
            return confirmed;
        }
        // Two confirms for each number. They may be coalesced, and come in order, for all wait for the disk.
        while confirmed < published {
            let Heard::Frame(frame) = wire.hear(Duration::from_secs(30)) else {
                return confirmed;
            };
            assert_eq!(frame.payload[..4], [0, 60, 0, 80], "no ack: {frame:?}");
            let tag = Arguments(&frame.payload[4..]).long_long() as u32;
            confirmed = confirmed.max(tag / 2);
        }
    }
}

fn check_queue(wire: &mut Wire, queue: &str, confirmed: &[u32]) {
    let mut next = vec![1_u32; confirmed.len()];
    for message in wire.drain_queue(1, queue) {
        let mut body = Arguments(&message.body);
        let (publisher, number) = (body.long() as usize, body.long());
        assert_eq!(
            number, next[publisher],
            "lost, twice or out of order in {queue}"
        );
        next[publisher] += 1;
    }
    for (publisher, confirmed) in confirmed.iter().enumerate() {
        let there = next[publisher] - 1;
        assert!(
            there >= *confirmed,
            "{confirmed} confirmed to publisher {publisher}, {there} are in {queue}"
        );
    }
}
