//! What the fuzz target `connection` does: a client and a node that do anything, in any order, to the machine.
//!
//! The first octet chooses how: raw octets on a fresh socket, steps, or steps mixed with frames of any payload. After
//! all of it the socket is lost, and nothing that was delivered may be missing or have come back twice; the toy host
//! asserts it.

use std::time::Duration;
use std::time::Instant;

use leveret::connection::Connection;
use leveret::connection::ConnectionOptions;
use leveret::connection::Status;
use leveret::model::Lsn;
use leveret::model::ReplyCode;
use leveret::model::outbox::Parcel;
use leveret::protocol::envelope::Cut;
use leveret::protocol::envelope::cut;
use leveret::protocol::header::AMQP_0_9_1;
use leveret::protocol::output::Output;

use crate::toy::Toy;

/// From here on the first octet asks for steps mixed with frames.
const FRAMES: u8 = 0xf0;

/// See the module's documentation.
pub(crate) fn connection(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else {
        return;
    };
    let mut world = World::new();
    match how % 4 {
        _ if *how >= FRAMES => {
            world.handshake(how % 4);
            world.frames(rest);
        }
        0 => world.raw(rest, usize::from(*how / 4) + 1),
        1 => {
            world.handshake(0);
            world.raw(rest, usize::from(*how / 4) + 1);
        }
        how => {
            world.handshake(how);
            world.steps(rest);
        }
    }
    world.end();
}

struct World {
    machine: Connection,
    host: Toy,
    now: Instant,
    input: Vec<u8>,
    output: Output,
    durable: u64,
}

impl World {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let now = Instant::now();
        let options = ConnectionOptions {
            max_message_bytes: 64,
            transaction_bytes_max: 2000,
            consumer_max_per_channel: Some(3),
            ..ConnectionOptions::default()
        };
        Self {
            machine: Connection::new(options, now),
            host: Toy::default(),
            now,
            input: Vec::new(),
            output: Output::default(),
            durable: 0,
        }
    }

    fn raw(&mut self, stream: &[u8], piece: usize) {
        for part in stream.chunks(piece) {
            self.input.extend_from_slice(part);
            self.run();
        }
    }

    /// An open connection with a queue, and channels 1 (plain), 2 (confirms) and 3 (transactions).
    fn handshake(&mut self, how: u8) {
        self.input.extend_from_slice(&AMQP_0_9_1);
        let capabilities = b"\x16consumer_cancel_notifyt\x01\x12connection.blockedt\x01";
        let mut properties = b"\x0ccapabilitiesF".to_vec();
        properties.extend(long(capabilities));
        let mut start_ok = long(&properties);
        start_ok.extend_from_slice(b"\x05PLAIN");
        start_ok.extend(long(b"\0guest\0guest"));
        start_ok.extend_from_slice(b"\x05en_US");
        self.method(0, (10, 11), &start_ok);
        self.method(0, (10, 31), &[0, 4, 0, 0, 0x10, 0, 0, 60]);
        self.method(0, (10, 40), b"\x01/\x00\x00");
        for channel in 1..=3 {
            self.method(channel, (20, 10), &[0]);
        }
        self.method(1, (50, 10), b"\0\0\x01q\0\0\0\0\0");
        self.method(1, (50, 10), b"\0\0\x08refusing\0\0\0\0\0");
        self.method(2, (85, 10), &[0]);
        self.method(3, (90, 10), &[]);
        self.run();
        assert_eq!(self.machine.status(), Status::Open);
        self.host.durable = how == 3;
    }

    fn steps(&mut self, script: &[u8]) {
        let mut script = script.iter().copied();
        while let Some(step) = script.next() {
            let argument = script.next().unwrap_or_default();
            self.step(step, argument);
            self.check();
        }
    }

    /// Pairs of octets: kind and channel of a frame, then its size, then the payload; or a step and its argument.
    fn frames(&mut self, mut script: &[u8]) {
        while let Some(([what, argument], rest)) = script.split_first_chunk::<2>() {
            script = rest;
            let kind = what % 4;
            if kind == 3 {
                self.step(what / 4, *argument);
            } else {
                let (payload, rest) = rest.split_at(usize::from(*argument).min(rest.len()));
                script = rest;
                self.frame(kind + 1, u16::from(what / 4 % 4), payload);
            }
            self.check();
        }
        self.run();
    }

    fn step(&mut self, step: u8, argument: u8) {
        let channel = u16::from(argument % 5);
        let value = argument / 5;
        let tag = u64::from(value / 4).to_be_bytes();
        let bits = value % 4;
        match step % 40 {
            0..6 => self.publish(
                channel,
                ["q", "q", "q", "refusing", "x"][usize::from(value % 5)],
                value,
            ),
            6 => self.method(
                channel,
                (60, 40),
                &[&b"\0\0\x01e\x01q"[..], &[bits]].concat(),
            ),
            7 => self.content_header(channel, u64::from(value % 70)),
            8 => self.frame(3, channel, &vec![b'n'; usize::from(value)]),
            9..12 => self.method(channel, (60, 80), &[&tag[..], &[bits & 1]].concat()),
            12 => self.method(channel, (60, 120), &[&tag[..], &[bits]].concat()),
            13 => self.method(channel, (60, 90), &[&tag[..], &[bits & 1]].concat()),
            14 => self.method(channel, (60, 110), &[1]),
            15..18 => {
                let consumer = b'a' + value % 4;
                let no_ack = (value / 4 % 2) << 1;
                let nowait = (value / 8 % 2) << 3;
                let arguments = [
                    b"\0\0\x01q\x01".as_slice(),
                    &[consumer, no_ack | nowait],
                    &[0; 4],
                ];
                self.method(channel, (60, 20), &arguments.concat());
            }
            18 => self.method(channel, (60, 30), &[1, b'a' + value % 4, value / 4 % 2]),
            19 => self.method(channel, (60, 70), &[0, 0, 1, b'q', bits & 1]),
            20 => self.method(
                channel,
                (60, 10),
                &[0, 0, 0, 0, 0, value % 4, value / 4 % 2],
            ),
            21 => self.method(channel, (20, 10), &[0]),
            22 => self.method(channel, (20, 40), &[0; 7]),
            23 => self.method(channel, (20, 41), &[]),
            24 => self.method(
                channel,
                (50, 10),
                &[&b"\0\0\x01q"[..], &[bits << 4, 0, 0, 0, 0]].concat(),
            ),
            25 => self.method(channel, (50, 40), &[0, 0, 1, b'q', bits << 2 & 4]),
            26 => self.method(channel, (90, 20), &[]),
            27 => self.method(channel, (90, 30), &[]),
            28 => self.frame(8, channel % 2, &[]),
            29 if value > 45 => self.method(0, (10, 50), &[0; 7]),
            29 => self.method(channel, (u16::from(value), u16::from(bits)), &[]),
            30..33 => self.receive(),
            33 => self.deliver(),
            34 => self.commit(u64::from(value)),
            35 => {
                self.now += Duration::from_secs(u64::from(value));
                self.machine
                    .tick(self.now, &mut self.host, &mut self.output);
            }
            36 => self.host.put("q", "put"),
            37 if value > 40 => self.host.delete("q"),
            37 => self.host.fails_commits = value & 1 == 0,
            38 => self.host.outbox.push(match value {
                0..20 => Parcel::Blocked {
                    reason: "low on memory".into(),
                },
                20..50 => Parcel::Unblocked,
                _ => Parcel::Close {
                    code: ReplyCode::ConnectionForced,
                    text: "shutdown".into(),
                },
            }),
            _ => self.run(),
        }
    }

    fn publish(&mut self, channel: u16, key: &str, value: u8) {
        let mut arguments = vec![0, 0, 0, key.len() as u8];
        arguments.extend_from_slice(key.as_bytes());
        arguments.push(value & 1);
        self.method(channel, (60, 40), &arguments);
        let body = vec![b'n' + value % 3; usize::from(value / 2)];
        self.content_header(channel, body.len() as u64);
        for part in body.chunks(10) {
            self.frame(3, channel, part);
        }
    }

    fn content_header(&mut self, channel: u16, body_size: u64) {
        let persistent = (body_size % 2) as u8 + 1;
        let payload = [
            &[0, 60, 0, 0][..],
            &body_size.to_be_bytes(),
            &[0x10, 0, persistent],
        ];
        self.frame(2, channel, &payload.concat());
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments];
        self.frame(1, channel, &payload.concat());
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        self.input.push(kind);
        self.input.extend_from_slice(&channel.to_be_bytes());
        self.input.extend(long(payload));
        self.input.push(0xce);
    }

    fn receive(&mut self) {
        let taken = self
            .machine
            .receive(&self.input, self.now, &mut self.host, &mut self.output);
        self.input.drain(..taken);
    }

    fn deliver(&mut self) {
        let mut parcels = std::mem::take(&mut self.host.outbox);
        self.machine
            .deliver(&mut parcels, self.now, &mut self.host, &mut self.output);
        assert!(parcels.is_empty(), "parcels left behind");
    }

    /// The disk is `count` further, but never further than it was written to.
    fn commit(&mut self, count: u64) {
        self.durable = self.host.lsn().min(self.durable + count);
        self.machine
            .committed(Lsn(self.durable), self.now, &mut self.output);
        if let Some(awaited) = self.machine.awaits() {
            assert!(awaited > Lsn(self.durable), "waits for what is durable");
        }
    }

    /// What a server does until nothing moves any more.
    fn run(&mut self) {
        let rounds_max = self.input.len() + 100;
        for _ in 0..rounds_max {
            let before = self.input.len();
            self.receive();
            let quiet = self.host.outbox.is_empty() && !self.machine.wants_parcels();
            self.deliver();
            self.check();
            if quiet && self.input.len() == before {
                assert!(
                    before == 0 || !self.machine.wants_input() || self.machine.needed() > before,
                    "stopped at {before} octets, though {} are enough",
                    self.machine.needed()
                );
                return;
            }
        }
        panic!("still busy after {rounds_max} rounds");
    }

    /// The server has sent whole frames only, and none larger than was agreed.
    fn check(&mut self) {
        let frame_max = self.machine.frame_max() as usize;
        let octets = self.output.to_vec();
        let mut at = 0;
        while at < octets.len() {
            if octets[at..].starts_with(b"AMQP") {
                at += AMQP_0_9_1.len();
                continue;
            }
            match cut(&octets[at..], 0) {
                Ok(Cut::Frame { consumed, .. }) => {
                    assert!(consumed <= frame_max, "a frame larger than was agreed");
                    at += consumed;
                }
                other => panic!("output is not whole frames: {other:?}"),
            }
        }
        self.output.clear();
        self.machine.sent(self.now);
    }

    fn end(mut self) {
        self.machine.abandon(&mut self.host);
        self.deliver();
        self.machine.abandon(&mut self.host);
        self.receive();
        self.check();
        assert!(matches!(self.machine.status(), Status::Finished { .. }));
        self.host.assert_all_returned();
    }
}

/// With its length before it.
fn long(octets: &[u8]) -> Vec<u8> {
    let mut out = (octets.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(octets);
    out
}
