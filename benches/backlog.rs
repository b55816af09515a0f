//! A whole broker with a long queue: what it takes in memory and on the disk while millions of persistent messages wait, and
//! how fast they come in and go out again.
//!
//! `cargo bench --bench backlog -- [--messages N] [--body BYTES] [--queue-memory BYTES] [--dir DIR] [--restart] [--rounds N]
//! [--priorities N] [--binary FILE]`.
//! Starts the release binary (or `--binary FILE`) on a fresh directory in DIR with standard settings, publishes N persistent messages
//! with confirms from one connection, and consumes them all from another with a prefetch of 2,000.
//! `--queue-memory` keeps the messages in memory where it is large enough: the same drain without the disk. `--restart` kills
//! the broker in between and tells how long it takes to be ready. With `--rounds` everything is done several times on one
//! directory, whose size must not grow. With `--priorities` each message has another priority than its neighbours. RSS above 150 MB, less than 200,000 messages a second out, or out at less than half
//! of what comes from memory, is a regression.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has no figure"
)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Messages of one write.
const BATCH: u64 = 200;
/// Messages on their way to the broker, not confirmed.
const UNCONFIRMED_MAX: u64 = 20_000;
const PREFETCH: u16 = 2_000;
const ACK_EVERY: u64 = 500;
/// Ticks of `/proc/PID/stat` in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

struct Options {
    messages: u64,
    body: usize,
    queue_memory: Option<u64>,
    dir: PathBuf,
    restart: bool,
    rounds: u32,
    priorities: u8,
    binary: PathBuf,
}

fn options() -> Options {
    let mut options = Options {
        messages: 1_000_000,
        body: 1024,
        queue_memory: None,
        dir: std::env::temp_dir(),
        restart: false,
        rounds: 1,
        priorities: 0,
        binary: env!("CARGO_BIN_EXE_leveret").into(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has a value");
        match argument.as_str() {
            "--messages" => options.messages = value().parse().expect("a number"),
            "--body" => options.body = value().parse().expect("a number"),
            "--queue-memory" => options.queue_memory = Some(value().parse().expect("a number")),
            "--dir" => options.dir = value().into(),
            "--restart" => options.restart = true,
            "--rounds" => options.rounds = value().parse().expect("a number"),
            "--priorities" => options.priorities = value().parse().expect("a number"),
            "--binary" => options.binary = value().into(),
            // Cargo's own.
            "--bench" => {}
            other => panic!("{other} is no option"),
        }
    }
    options
}

/// A broker of its own, killed when this is dropped.
struct Broker {
    process: Child,
    address: String,
    took: Duration,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Broker {
    fn start(options: &Options, data: &Path) -> Self {
        let start = Instant::now();
        let mut command = Command::new(&options.binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--http-listen", "127.0.0.1:0"])
            .args(["--log-level", "warning", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped());
        if let Some(bytes) = options.queue_memory {
            command.env("LEVERET_QUEUE_MEMORY_BYTES", bytes.to_string());
        }
        let mut process = command.spawn().expect("the broker starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("it gets ready").expect("text");
            if let Some((_, rest)) = line.split_once("AMQP on ") {
                break rest.split(',').next().unwrap_or_default().to_owned();
            }
        };
        Self {
            process,
            address,
            took: start.elapsed(),
        }
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = line.and_then(|line| {
            line.trim_matches([':', ' ', '\t', 'k', 'B'])
                .parse::<u64>()
                .ok()
        });
        kilobytes.unwrap_or(0) * 1024
    }

    /// User and system, all threads.
    fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(path).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields = after_name.split_whitespace();
        let ticks: f64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum();
        ticks / TICKS
    }

    /// The most that it had in memory while `work` ran, among it what is its own and not a file's.
    fn watch<T>(&self, work: impl FnOnce() -> T) -> (T, u64, u64) {
        let over = AtomicBool::new(false);
        let (all, own) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    all.fetch_max(self.status("VmRSS"), Ordering::Relaxed);
                    own.fetch_max(self.status("RssAnon"), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            });
            let done = work();
            over.store(true, Ordering::Relaxed);
            (
                done,
                all.load(Ordering::Relaxed),
                own.load(Ordering::Relaxed),
            )
        })
    }
}

/// Just enough AMQP.
struct Client {
    socket: TcpStream,
    input: Vec<u8>,
    start: usize,
    end: usize,
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(0xce);
    frame
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let ids = [class.to_be_bytes(), method.to_be_bytes()].concat();
    frame(1, channel, &[&ids[..], arguments].concat())
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8][..], text.as_bytes()].concat()
}

impl Client {
    /// With a durable queue.
    fn connect(address: &str, queue: &str, priorities: u8) -> Self {
        let mut client = Self {
            socket: TcpStream::connect(address).expect("connects"),
            input: vec![0; 1024 * 1024],
            start: 0,
            end: 0,
        };
        client.socket.set_nodelay(true).expect("an option");
        client.send(b"AMQP\0\0\x09\x01");
        client.next();
        let login = [
            &[0; 4][..],
            &short("PLAIN"),
            &12u32.to_be_bytes(),
            b"\0guest\0guest",
            &short("en_US"),
        ]
        .concat();
        client.call(&method(0, 10, 11, &login));
        client.send(&method(0, 10, 31, &[0x07, 0xff, 0, 2, 0, 0, 0, 0]));
        client.call(&method(0, 10, 40, &[&short("/")[..], &[0, 0]].concat()));
        client.call(&method(1, 20, 10, &[0]));
        let mut table = Vec::new();
        if priorities > 0 {
            table = [&short("x-max-priority")[..], b"b", &[priorities]].concat();
        }
        let len = (table.len() as u32).to_be_bytes();
        let declare = [&[0, 0][..], &short(queue), &[2], &len, &table].concat();
        client.call(&method(1, 50, 10, &declare));
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the broker takes it");
    }

    fn call(&mut self, request: &[u8]) {
        self.send(request);
        self.next();
    }

    /// Kind and payload of the next frame.
    fn next(&mut self) -> (u8, &[u8]) {
        loop {
            let left = &self.input[self.start..self.end];
            if let Some([kind, _, _, l0, l1, l2, l3]) = left.first_chunk::<7>().copied() {
                let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
                if left.len() >= len + 8 {
                    let at = self.start + 7;
                    self.start = at + len + 1;
                    return (kind, &self.input[at..at + len]);
                }
            }
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let read = self
                .socket
                .read(&mut self.input[self.end..])
                .expect("readable");
            assert!(read > 0, "the broker is gone");
            self.end += read;
        }
    }

    fn publish(&mut self, queue: &str, count: u64, body: usize, priorities: u8) {
        self.call(&method(1, 85, 10, &[0]));
        let target = [&[0, 0][..], &short(""), &short(queue), &[0]].concat();
        let mut batch = Vec::new();
        for number in 0..BATCH {
            let priority = (number % (u64::from(priorities) + 1)) as u8;
            let properties = [0x18, 0, 2, priority];
            let size = (body as u64).to_be_bytes();
            let header = [&[0, 60, 0, 0][..], &size, &properties].concat();
            batch.extend(method(1, 60, 40, &target));
            batch.extend(frame(2, 1, &header));
            for part in vec![b'x'; body].chunks(128 * 1024) {
                batch.extend(frame(3, 1, part));
            }
        }
        let confirmed = Arc::new(AtomicU64::new(0));
        let mut writer = self.socket.try_clone().expect("a handle");
        let seen = Arc::clone(&confirmed);
        let writing = thread::spawn(move || -> io::Result<()> {
            let mut sent = 0;
            while sent < count {
                while sent - seen.load(Ordering::Acquire) > UNCONFIRMED_MAX {
                    thread::park_timeout(Duration::from_millis(100));
                }
                writer.write_all(&batch)?;
                sent += BATCH;
            }
            Ok(())
        });
        let mut known = 0;
        while known < count {
            let (kind, payload) = self.next();
            assert!(
                kind == 1 && payload.starts_with(&[0, 60, 0, 80]),
                "a confirm"
            );
            let tag = payload[4..12].try_into().map_or(0, u64::from_be_bytes);
            known = if payload[12] == 1 { tag } else { known + 1 };
            confirmed.store(known, Ordering::Release);
            writing.thread().unpark();
        }
        writing
            .join()
            .expect("no panic")
            .expect("the broker takes it");
    }

    fn consume(&mut self, queue: &str, count: u64) {
        let [high, low] = PREFETCH.to_be_bytes();
        self.call(&method(1, 60, 10, &[0, 0, 0, 0, high, low, 0]));
        let consume = [&[0, 0][..], &short(queue), &short("c"), &[0, 0, 0, 0, 0]].concat();
        self.call(&method(1, 60, 20, &consume));
        let mut received = 0;
        while received < count {
            let (kind, payload) = self.next();
            if kind == 1 && payload.starts_with(&[0, 60, 0, 60]) {
                received += 1;
                if received % ACK_EVERY == 0 || received == count {
                    let ack = [&received.to_be_bytes()[..], &[1]].concat();
                    self.send(&method(1, 60, 80, &ack));
                }
            }
        }
        // What was sent is known to be taken once something is answered.
        self.send(&method(1, 60, 30, &[&short("c")[..], &[0]].concat()));
        while !self.next().1.starts_with(&[0, 60, 0, 31]) {}
    }
}

/// Octets that the files beneath take on the disk.
fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() {
            disk_bytes(&entry.path())
        } else {
            metadata.blocks() * 512
        })
    });
    sizes.sum()
}

fn measure(what: &str, options: &Options, broker: &Broker, data: &Path, work: impl FnOnce()) {
    let (start, cpu) = (Instant::now(), broker.cpu_seconds());
    let ((), all, own) = broker.watch(work);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what:<8} {:>9.0} msg/s  {:>5.2} cpu-s/M  peak RSS {:>4} MB, {:>4} MB its own  disk {:>6} MB",
        options.messages as f64 / seconds,
        (broker.cpu_seconds() - cpu) * 1e6 / options.messages as f64,
        all / 1_000_000,
        own / 1_000_000,
        disk_bytes(data) / 1_000_000,
    );
}

fn main() {
    let options = options();
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let data = dir.path();
    let mut broker = Broker::start(&options, data);
    let at_rest = |broker: &Broker| {
        println!(
            "         at rest: RSS {} MB, {} MB its own",
            broker.status("VmRSS") / 1_000_000,
            broker.status("RssAnon") / 1_000_000
        );
    };
    at_rest(&broker);
    for _ in 0..options.rounds {
        let mut publisher = Client::connect(&broker.address, "long", options.priorities);
        measure("in", &options, &broker, data, || {
            publisher.publish("long", options.messages, options.body, options.priorities);
        });
        drop(publisher);
        at_rest(&broker);
        if options.restart {
            drop(broker);
            broker = Broker::start(&options, data);
            println!("         killed; ready again after {:.0?}", broker.took);
            at_rest(&broker);
        }
        let mut consumer = Client::connect(&broker.address, "long", options.priorities);
        measure("out", &options, &broker, data, || {
            consumer.consume("long", options.messages);
        });
        drop(consumer);
        at_rest(&broker);
    }
}
