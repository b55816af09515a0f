//! Instructions and allocations of a message on its way through the broker, from the octets that a client wrote to those that
//! another reads; without sockets and without a disk.
//!
//! `cargo bench --bench instructions` counts under valgrind and prints; with `-- --check` it fails when a count is more than
//! 5 % above instructions.txt, with `-- --write` it writes that file. Counts are the same whatever else the machine does; they
//! move a little with the compiler and the C library's choice of routines.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has no figure"
)]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

mod harness;

use harness::Peer;
use harness::broker;
use harness::publishes;

/// Counts what is asked of it. Not the broker's allocator, whose own instructions are not what is measured.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator can only be written so")]
// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Messages that a client writes at once.
const BATCH: usize = 100;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// A count may be so much above the baseline.
const TOLERANCE: f64 = 1.05;

const NO_PROPERTIES: &[u8] = &[0, 0];
/// `delivery-mode` 1 and two headers.
const WITH_HEADERS: &[u8] = &[
    0x30, 0, 0, 0, 0, 19, 1, b'a', b'I', 0, 0, 0, 1, 1, b'b', b'S', 0, 0, 0, 5, b'h', b'e', b'l',
    b'l', b'o', 1,
];

/// A workload plays so many batches and answers how many messages moved.
type Play = fn(usize) -> usize;

const WORKLOADS: &[(&str, Play)] = &[
    ("publish, deliver, 16 B, no ack", |batches| {
        play(batches, "", "q", NO_PROPERTIES, 16, Consumers::NoAck(1))
    }),
    ("publish, deliver, ack of 100, 1 KiB", |batches| {
        play(batches, "", "q", NO_PROPERTIES, 1024, Consumers::Ack)
    }),
    ("publish, deliver, 100 B with headers", |batches| {
        play(batches, "", "q", WITH_HEADERS, 100, Consumers::NoAck(1))
    }),
    ("topic exchange, 100 B", |batches| {
        play(
            batches,
            "amq.topic",
            "stock.usd.nyse",
            NO_PROPERTIES,
            100,
            Consumers::NoAck(1),
        )
    }),
    ("fan-out to 20, 100 B, a delivery", |batches| {
        play(
            batches,
            "amq.fanout",
            "",
            NO_PROPERTIES,
            100,
            Consumers::NoAck(20),
        )
    }),
    ("publish with confirms, nobody consumes, 16 B", |batches| {
        play(batches, "", "q", NO_PROPERTIES, 16, Consumers::None)
    }),
    ("connection: open, channel, close", connections),
    ("message by message, 16 B, no ack", |batches| {
        one_by_one(batches * BATCH)
    }),
];

#[derive(Clone, Copy)]
enum Consumers {
    None,
    NoAck(usize),
    Ack,
}

fn play(
    batches: usize,
    exchange: &str,
    key: &str,
    properties: &[u8],
    size: usize,
    consumers: Consumers,
) -> usize {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = broker(dir.path());
    let mut publisher = Peer::open(&broker);
    let count = match consumers {
        Consumers::NoAck(count) => count,
        Consumers::None | Consumers::Ack => 1,
    };
    let mut readers = Vec::new();
    for index in 0..count {
        let queue = if index == 0 {
            "q".to_owned()
        } else {
            format!("q-{index}")
        };
        let mut reader = Peer::open(&broker);
        reader.declare(&queue, false);
        if !exchange.is_empty() {
            reader.bind(&queue, exchange, "stock.#");
        }
        match consumers {
            Consumers::None => {}
            Consumers::NoAck(_) => reader.consume(&queue, 0, true),
            Consumers::Ack => reader.consume(&queue, 1000, false),
        }
        readers.push(reader);
    }
    if matches!(consumers, Consumers::None) {
        publisher.select_confirms();
    }
    let octets = publishes(exchange, key, properties, size, BATCH);
    check(&mut publisher, &mut readers, &octets, consumers);
    let mut tag = BATCH as u64;
    let mut moved = 0;
    begin();
    for _ in 0..batches {
        publisher.write(&octets);
        publisher.turn();
        publisher.out.clear();
        tag += BATCH as u64;
        for reader in &mut readers {
            reader.turn();
            reader.out.clear();
            if matches!(consumers, Consumers::Ack) {
                reader.ack(tag);
            }
            moved += BATCH;
        }
    }
    end(moved);
    drop(readers);
    let _ = publisher.frames();
    moved
}

/// What is counted does happen.
fn check(publisher: &mut Peer, readers: &mut [Peer], octets: &[u8], consumers: Consumers) {
    publisher.write(octets);
    publisher.turn();
    let frames = publisher.frames();
    assert!(
        frames > 0 || !matches!(consumers, Consumers::None),
        "confirms"
    );
    for reader in readers {
        reader.turn();
        let delivered = !matches!(consumers, Consumers::None);
        assert_eq!(reader.frames(), if delivered { 3 * BATCH } else { 0 });
        if matches!(consumers, Consumers::Ack) {
            reader.ack(BATCH as u64);
        }
    }
}

fn one_by_one(messages: usize) -> usize {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = broker(dir.path());
    let mut publisher = Peer::open(&broker);
    let mut reader = Peer::open(&broker);
    reader.declare("q", false);
    reader.consume("q", 0, true);
    let octets = publishes("", "q", NO_PROPERTIES, 16, 1);
    begin();
    for _ in 0..messages {
        publisher.write(&octets);
        publisher.turn();
        reader.turn();
        reader.out.clear();
    }
    end(messages);
    messages
}

fn connections(count: usize) -> usize {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = broker(dir.path());
    begin();
    for _ in 0..count {
        Peer::open(&broker).close();
    }
    end(count);
    count
}

fn begin() {
    ALLOCATIONS.store(0, Ordering::Relaxed);
}

/// Tells whoever started this process what was allocated.
fn end(moved: usize) {
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    println!("allocations {allocations} {moved}");
}

/// Few and many batches: their difference has no set-up in it.
const FEW: usize = 20;
const MANY: usize = 120;

struct Counted {
    instructions: f64,
    allocations: f64,
}

fn count(workload: usize) -> Counted {
    let run = |batches: usize| {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("callgrind.out");
        let program = std::env::current_exe().expect("its own path");
        let done = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(program)
            .args(["--play", &workload.to_string(), &batches.to_string()])
            .output()
            .expect("valgrind is installed");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let text = std::fs::read_to_string(&out).expect("valgrind's output");
        let total = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("totals: "))
            .or_else(|| text.lines().find_map(|line| line.strip_prefix("summary: ")))
            .expect("a sum");
        let instructions: f64 = total.trim().parse().expect("a number");
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        let numbers: Vec<f64> = told
            .split_whitespace()
            .skip(1)
            .map(|number| number.parse().expect("a number"))
            .collect();
        (instructions, numbers[0], numbers[1])
    };
    let (few, many) = (run(FEW), run(MANY));
    let moved = many.2 - few.2;
    Counted {
        instructions: (many.0 - few.0) / moved,
        allocations: (many.1 - few.1) / moved,
    }
}

fn baseline() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(BASELINE).unwrap_or_default();
    let entry = |line: &str| {
        let (name, count) = line.rsplit_once(": ")?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    if let [play, workload, batches] = &args[..]
        && play == "--play"
    {
        let number = |text: &String| text.parse::<usize>().expect("a number");
        (WORKLOADS[number(workload)].1)(number(batches));
        return ExitCode::SUCCESS;
    }
    let known = baseline();
    let (mut worse, mut lines) = (false, String::new());
    for (index, (name, _)) in WORKLOADS.iter().enumerate() {
        let Counted {
            instructions,
            allocations,
        } = count(index);
        let before = known.get(*name).copied();
        let change = before.map_or(String::new(), |before| {
            format!(" ({:+.1} %)", (instructions / before - 1.0) * 100.0)
        });
        println!("{name:48} {instructions:9.1} instructions{change}, {allocations:.4} allocations");
        worse |= before.is_none_or(|before| instructions > before * TOLERANCE);
        lines += &format!("{name}: {instructions:.1}\n");
    }
    if args.iter().any(|arg| arg == "--write") {
        std::fs::write(Path::new(BASELINE), lines).expect("the baseline can be written");
    }
    if worse && args.iter().any(|arg| arg == "--check") {
        eprintln!("a count is more than 5 % above benches/instructions.txt");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
