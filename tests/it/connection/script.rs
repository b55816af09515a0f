//! A scripted client: lines in, lines out, and a toy host behind the machine.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use crate::connection::lines::Decoder;
use crate::connection::wire;
use leveret::connection::Connection;
use leveret::connection::ConnectionOptions;
use leveret::connection::Status;

use crate::toy::Toy;
use leveret::model::Lsn;
use leveret::protocol::envelope::Cut;
use leveret::protocol::envelope::cut;
use leveret::protocol::header::AMQP_0_9_1;
use leveret::protocol::output::Output;

/// See the module's documentation.
pub(super) struct Script {
    pub(super) machine: Connection,
    pub(super) host: Toy,
    pub(super) now: Instant,
    /// Sent, not yet taken.
    input: Vec<u8>,
    output: Output,
    decoder: Decoder,
    lines: VecDeque<String>,
    /// Bytes of deliveries that the outbox may forget.
    pub(super) released: usize,
}

impl Script {
    /// A fresh socket.
    pub(super) fn connect() -> Self {
        Self::connect_with(ConnectionOptions::default())
    }

    pub(super) fn connect_with(options: ConnectionOptions) -> Self {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let now = Instant::now();
        Self {
            machine: Connection::new(options, now),
            host: Toy::default(),
            now,
            input: Vec::new(),
            output: Output::default(),
            decoder: Decoder::default(),
            lines: VecDeque::new(),
            released: 0,
        }
    }

    /// Past `connection.start`.
    pub(super) fn start() -> Self {
        let mut client = Self::connect();
        client.send_octets(&AMQP_0_9_1);
        client.expect("connection.start mechanisms=AMQPLAIN PLAIN");
        client
    }

    /// Past `connection.tune`.
    pub(super) fn log_in() -> Self {
        let mut client = Self::start();
        client.send("connection.start-ok");
        client.expect("connection.tune channel-max=2047 frame-max=131072 heartbeat=60");
        client
    }

    /// An open connection of a client with these capabilities.
    pub(super) fn open_with(options: ConnectionOptions, capabilities: &str) -> Self {
        let mut client = Self::connect_with(options);
        client.send_octets(&AMQP_0_9_1);
        client.send(&format!(
            "connection.start-ok capabilities={capabilities} name=test"
        ));
        client.send("connection.tune-ok channel-max=10 frame-max=4096 heartbeat=60");
        client.send("connection.open vhost=/");
        client.lines.clear();
        assert_eq!(client.machine.status(), Status::Open);
        client
    }

    pub(super) fn open() -> Self {
        let all = "authentication_failure_close,connection.blocked,consumer_cancel_notify";
        Self::open_with(ConnectionOptions::default(), all)
    }

    /// An open connection with one open channel.
    pub(super) fn open_channel(channel: u16) -> Self {
        Self::open().with_channel(channel)
    }

    pub(super) fn with_channel(mut self, channel: u16) -> Self {
        self.send(&format!("channel.open {channel}"));
        self.expect(&format!("channel.open-ok {channel}"));
        self
    }

    /// The same with an empty queue.
    pub(super) fn with_queue(mut self, queue: &str) -> Self {
        self.send(&format!("queue.declare 1 queue={queue} nowait"));
        self.host.log.clear();
        self
    }

    /// Sends a line, as one read.
    pub(super) fn send(&mut self, line: &str) -> &mut Self {
        self.send_octets(&wire::encode(line))
    }

    /// Sends many lines, as one read.
    pub(super) fn send_at_once(&mut self, lines: &[&str]) -> &mut Self {
        let octets: Vec<u8> = lines.iter().flat_map(|line| wire::encode(line)).collect();
        self.send_octets(&octets)
    }

    pub(super) fn send_octets(&mut self, octets: &[u8]) -> &mut Self {
        self.input.extend_from_slice(octets);
        self.run()
    }

    /// Does what a server does until nothing moves any more.
    pub(super) fn run(&mut self) -> &mut Self {
        loop {
            let taken =
                self.machine
                    .receive(&self.input, self.now, &mut self.host, &mut self.output);
            self.input.drain(..taken);
            let parcels = self.machine.wants_parcels() || !self.host.outbox.is_empty();
            if parcels {
                self.take_outbox();
            }
            self.read_output();
            if taken == 0 && !parcels {
                return self;
            }
        }
    }

    /// Gives the machine what is in the outbox.
    pub(super) fn take_outbox(&mut self) -> &mut Self {
        let mut parcels = std::mem::take(&mut self.host.outbox);
        self.released +=
            self.machine
                .deliver(&mut parcels, self.now, &mut self.host, &mut self.output);
        self.read_output();
        self
    }

    pub(super) fn committed(&mut self, lsn: u64) -> &mut Self {
        self.machine.committed(Lsn(lsn), self.now, &mut self.output);
        self.run()
    }

    /// Time passes, in the steps of the machine's own deadlines.
    pub(super) fn pass(&mut self, seconds: u64) -> &mut Self {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(deadline) = self.machine.next_deadline()
            && deadline <= until
        {
            self.now = self.now.max(deadline);
            self.machine
                .tick(self.now, &mut self.host, &mut self.output);
            self.read_output();
        }
        self.now = until;
        self
    }

    fn read_output(&mut self) {
        let octets = self.output.to_vec();
        let mut at = 0;
        while at < octets.len() {
            if octets[at..].starts_with(b"AMQP") {
                self.lines.push_back("protocol-header".to_owned());
                at += 8;
                continue;
            }
            match cut(&octets[at..], 0) {
                Ok(Cut::Frame { frame, consumed }) => {
                    assert!(consumed <= 131_072, "a frame larger than was agreed");
                    self.lines.extend(self.decoder.line(&frame));
                    at += consumed;
                }
                other => panic!("output is not whole frames: {other:?}"),
            }
        }
        if at > 0 {
            self.machine.sent(self.now);
        }
        self.output.clear();
    }

    /// The next line the server sent, which must begin like this.
    #[track_caller]
    pub(super) fn expect(&mut self, line: &str) -> &mut Self {
        let Some(next) = self.lines.pop_front() else {
            panic!("expected {line}, but nothing came");
        };
        assert!(next.starts_with(line), "expected {line}\n   but got {next}");
        self
    }

    /// The server has sent nothing more.
    #[track_caller]
    pub(super) fn expect_nothing(&mut self) -> &mut Self {
        assert!(self.lines.is_empty(), "unexpected: {:#?}", self.lines);
        self
    }

    /// Everything the server has sent.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines).into()
    }

    /// What the host was asked since the last look.
    #[track_caller]
    pub(super) fn host_did(&mut self, log: &[&str]) -> &mut Self {
        assert_eq!(self.host.log, log);
        self.host.log.clear();
        self
    }

    /// The connection is over; the socket may go after so many seconds.
    #[track_caller]
    pub(super) fn expect_finished(&mut self, seconds: u64) -> &mut Self {
        let linger = Duration::from_secs(seconds);
        assert_eq!(self.machine.status(), Status::Finished { linger });
        self.expect_nothing()
    }

    /// The socket goes; nothing that was delivered may be missing afterwards.
    pub(super) fn hang_up(&mut self) {
        self.machine.abandon(&mut self.host);
        // Parcels may come for as long as the outbox exists.
        self.take_outbox();
        self.machine.abandon(&mut self.host);
        self.host.assert_all_returned();
    }
}
