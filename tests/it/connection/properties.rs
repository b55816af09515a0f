//! Whatever comes, and however TCP cuts it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::connection::script::Script;
use crate::connection::wire;
use crate::corpus::connection::connection;

/// Lines whose answers do not depend on when deliveries leave the outbox: channel 3 consumes, 1 and 2 get
/// and settle, and none closes the connection. Publishes that fail are apart, for acks that came with them still count.
const LINES: &[&str] = &[
    "basic.publish 1 key=q body=one",
    "basic.publish 1 key=q body=two persistent",
    "basic.publish 1 key=kept body=three",
    "basic.publish 1 key=kept",
    "basic.publish 1 key=refusing body=no",
    "basic.publish 1 key=nowhere body=four mandatory",
    "basic.publish 4 exchange=nowhere key=q body=five",
    "basic.publish 4 key=kept body=eight",
    "basic.publish 2 key=q body=six",
    "basic.publish 2 key=kept body=seven",
    "basic.get 1 queue=kept",
    "basic.get 2 queue=kept",
    "basic.get 2 queue=kept no-ack",
    "basic.ack 1 tag=1",
    "basic.ack 2 tag=2 multiple",
    "basic.ack 2 tag=0 multiple",
    "basic.nack 2 tag=0 multiple requeue",
    "basic.reject 2 tag=3 requeue",
    "basic.recover 1 requeue",
    "basic.cancel 3 consumer=c",
    "queue.declare 1 queue=kept",
    "queue.declare 2 queue=missing passive",
    "queue.purge 2 queue=kept",
    "confirm.select 1",
    "confirm.select 2",
    "tx.select 2",
    "tx.commit 2",
    "tx.rollback 2",
    "heartbeat",
];

/// What one channel was sent: answers and messages in order, and which publishes were confirmed how.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    lines: Vec<String>,
    acked: BTreeSet<u64>,
    nacked: BTreeSet<u64>,
}

impl Heard {
    fn hear(&mut self, line: String) {
        let words: Vec<_> = line.split(' ').collect();
        let confirms = match words[0] {
            "basic.ack" => &self.acked,
            "basic.nack" => &self.nacked,
            _ => return self.lines.push(line),
        };
        let last = words[2].strip_prefix("tag=").map(str::parse);
        let last: u64 = last.expect("a tag").expect("a number");
        let first = if words.contains(&"multiple") { 1 } else { last };
        let open = (first..=last)
            .filter(|n| !self.acked.contains(n) && !self.nacked.contains(n))
            .collect::<Vec<_>>();
        assert!(
            confirms
                .intersection(&open.iter().copied().collect())
                .next()
                .is_none()
        );
        match words[0] {
            "basic.ack" => self.acked.extend(open),
            _ => self.nacked.extend(open),
        }
    }
}

/// Sends `stream` in pieces of these sizes, over and over.
fn hear(stream: &[u8], pieces: &[usize]) -> (BTreeMap<String, Heard>, Vec<String>) {
    let mut client = Script::open_channel(1)
        .with_channel(2)
        .with_channel(3)
        .with_channel(4);
    client = client
        .with_queue("q")
        .with_queue("kept")
        .with_queue("refusing");
    client.send("basic.consume 3 queue=q consumer=c no-ack");
    let mut rest = stream;
    for piece in pieces.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(*piece));
        client.send_octets(now);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
    for line in client.take_lines() {
        let channel = line.split(' ').nth(1).unwrap_or_default().to_owned();
        heard.entry(channel).or_default().hear(line);
    }
    client.hang_up();
    (heard, client.host.ready("kept"))
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_gives_the_same_answers(
        lines in prop::collection::vec(prop::sample::select(LINES), 1..40),
        pieces in prop::collection::vec(1..200usize, 1..20),
    ) {
        let stream: Vec<u8> = lines.iter().flat_map(|line| wire::encode(line)).collect();
        prop_assert_eq!(hear(&stream, &[stream.len()]), hear(&stream, &pieces));
    }

    #[test]
    fn whatever_happens_every_delivery_comes_back_once(
        how in 2..4u8,
        steps in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        connection(&[&[how], &steps[..]].concat());
    }

    #[test]
    fn no_octets_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
        connection(&input);
    }

    #[test]
    fn no_flipped_octet_panics(
        lines in prop::collection::vec(prop::sample::select(LINES), 1..20),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        piece in 0..64u8,
    ) {
        let mut stream: Vec<u8> = lines.iter().flat_map(|line| wire::encode(line)).collect();
        for (at, octet) in flips {
            let at = at.index(stream.len());
            stream[at] = octet;
        }
        connection(&[&[piece * 4 + 1], &stream[..]].concat());
    }
}
