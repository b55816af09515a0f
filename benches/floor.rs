//! What the kernel alone costs on this machine: the same system calls as a broker's, and nothing between them.
//!
//! `cargo bench --bench floor`. Nothing can be faster than this on the same machine, so that figures of the broker mean
//! something on another one. Two servers, each a process of its own: one that passes on what it reads, in reads of a
//! given size, and one that answers a client's handshake with frames that were made before.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot be set up has no figure; it measures real time"
)]

use std::collections::HashMap;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::connection;
use leveret::model::ChannelId;
use leveret::perf;
use leveret::protocol::encode;
use mio::Events;
use mio::Interest;
use mio::Poll;
use mio::Token;

const SECONDS: u64 = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("relay") => relay(arguments[2].parse().expect("octets")),
        Some("answer") => answer(),
        _ => measure(),
    }
}

fn measure() {
    for read_bytes in [64, 256, 512, 1024, 2048].map(|kib: usize| kib * 1024) {
        let (octets, cpu) = through_relay(read_bytes);
        println!(
            "reads of {:4} KiB: {:.3} cpu-s per million of 1,100 octets, {:.1} µs for 64 KiB, {:.2} GB/s",
            read_bytes / 1024,
            cpu / octets * 1100.0 * 1e6,
            cpu / octets * 65_600.0 * 1e6,
            octets / 1e9 / SECONDS as f64
        );
    }
    connections();
}

fn server(arguments: &[&str]) -> (std::process::Child, Vec<u16>) {
    let own = std::env::current_exe().expect("this program");
    let mut child = Command::new(own)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
        .expect("its ports");
    let ports = line
        .split_whitespace()
        .map(|port| port.parse().expect("a port"));
    (child, ports.collect())
}

/// Octets that went through, and CPU seconds of the process between.
fn through_relay(read_bytes: usize) -> (f64, f64) {
    let (mut child, ports) = server(&["relay", &read_bytes.to_string()]);
    let mut from = TcpStream::connect(("127.0.0.1", ports[0])).expect("the relay");
    let mut to = TcpStream::connect(("127.0.0.1", ports[1])).expect("the relay");
    std::thread::spawn(move || {
        let block = vec![0; 256 * 1024];
        while from.write_all(&block).is_ok() {}
    });
    let mut buffer = vec![0; 1024 * 1024];
    let process = perf::BrokerProcess::new(child.id());
    let cpu = || process.usage().expect("its process").cpu_seconds;
    let before = cpu();
    let began = std::time::Instant::now();
    let mut octets = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        octets += to.read(&mut buffer).expect("octets");
    }
    let used = cpu() - before;
    child.kill().expect("it runs");
    let _ = child.wait();
    (octets as f64, used)
}

fn relay(read_bytes: usize) {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let (from, to) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("its address").port();
    println!("{} {}", port(&from), port(&to));
    let mut from = from.accept().expect("a client").0;
    let mut to = to.accept().expect("a client").0;
    to.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; read_bytes];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn connections() {
    let (mut child, ports) = server(&["answer"]);
    let options = perf::Options {
        uri: format!("amqp://guest:guest@127.0.0.1:{}", ports[0]),
        producers: 2,
        churn: true,
        predeclared: true,
        exchange: String::new(),
        queues: vec!["q".to_owned()],
        time: Some(Duration::from_secs(SECONDS)),
        interval: Duration::from_secs(SECONDS * 2),
        broker_pid: Some(child.id()),
        ..perf::Options::default()
    };
    let report = perf::run(options, |_| {}).expect("connections");
    let cpu = report.broker_cpu_seconds.unwrap_or_default();
    println!(
        "open, channel, close: {:.1} µs a connection, {:.0}/s",
        cpu / report.sent as f64 * 1e6,
        report.sent as f64 / SECONDS as f64
    );
    child.kill().expect("it runs");
    let _ = child.wait();
}

/// What the broker answers to these octets, by the method they begin with.
struct Answers {
    start: Vec<u8>,
    tune: Vec<u8>,
    open_ok: Vec<u8>,
    channel_open_ok: Vec<u8>,
    close_ok: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let frame = |channel: u16, class: AMQPClass| {
            let mut octets = Vec::new();
            encode::method(&mut octets, ChannelId(channel), &class);
            octets
        };
        let own = |method| frame(0, AMQPClass::Connection(method));
        let mut properties = amq_protocol::types::FieldTable::default();
        // As long as a broker's.
        let text = "x".repeat(380);
        properties.insert(
            "product".into(),
            amq_protocol::types::AMQPValue::LongString(text.into()),
        );
        Self {
            start: own(connection::AMQPMethod::Start(connection::Start {
                version_major: 0,
                version_minor: 9,
                server_properties: properties,
                mechanisms: "PLAIN".into(),
                locales: "en_US".into(),
            })),
            tune: own(connection::AMQPMethod::Tune(connection::Tune {
                channel_max: 2047,
                frame_max: 131_072,
                heartbeat: 60,
            })),
            open_ok: own(connection::AMQPMethod::OpenOk(connection::OpenOk {})),
            close_ok: own(connection::AMQPMethod::CloseOk(connection::CloseOk {})),
            channel_open_ok: frame(
                1,
                AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})),
            ),
        }
    }

    fn to(&self, octets: &[u8]) -> &[u8] {
        const TUNE_OK_BYTES: usize = 20;
        let method = |at: usize| octets.get(at + 7..at + 11).map(|ids| (ids[1], ids[3]));
        match method(0) {
            _ if octets.starts_with(b"AMQP") => &self.start,
            Some((10, 11)) => &self.tune,
            Some((10, 31)) if method(TUNE_OK_BYTES).is_none() => &[],
            Some((10, 31 | 40)) => &self.open_ok,
            Some((20, 10)) => &self.channel_open_ok,
            Some((10, 50)) => &self.close_ok,
            other => panic!("{other:?} is not known here"),
        }
    }
}

fn answer() {
    let answers = Answers::new();
    let mut poll = Poll::new().expect("epoll");
    let mut listener =
        mio::net::TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    println!("{}", listener.local_addr().expect("its address").port());
    const LISTENER: Token = Token(usize::MAX);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .expect("epoll");
    let (mut clients, mut next) = (HashMap::new(), 0);
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if poll.poll(&mut events, None).is_err() {
            continue;
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((client, _)) = listener.accept() {
                    client.set_nodelay(true).expect("a socket");
                    next += 1;
                    let client: &mut mio::net::TcpStream =
                        clients.entry(next).insert_entry(client).into_mut();
                    poll.registry()
                        .register(client, Token(next), Interest::READABLE)
                        .expect("epoll");
                }
                continue;
            }
            let key = event.token().0;
            let Some(client) = clients.get_mut(&key) else {
                continue;
            };
            match client.read(&mut buffer) {
                Ok(count @ 1..) => {
                    let _ = client.write(answers.to(&buffer[..count]));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => drop(clients.remove(&key)),
            }
        }
    }
}
