//! What storing costs, beside what the disk alone costs in the same run: an append and `fdatasync` of as many octets.
//!
//! `cargo bench --bench store -- [raw] [commit] [backlog] [queues] [recovery] [--seconds S] [--dir DIR] [--messages N]`.
//! Without names all parts run, which takes a few minutes. Each line has commits a second, messages a second, CPU seconds
//! (user and system, all threads) per million messages, the median and the 99th percentile of a commit, and octets written
//! per octet of bodies, among them the zeros with which a young ring is filled. DIR must be on the disk that is meant: a file system in memory syncs nothing. A rise of CPU or of
//! octets written by more than a tenth is a regression; times count only beside `raw` of the same run.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has no figure"
)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use leveret::model::Position;
use leveret::model::QueueId;
use leveret::model::Run;
use leveret::model::RunBuilder;
use leveret::model::message::Traits;
use leveret::store::Record;
use leveret::store::Store;
use leveret::store::StoreOptions;

const BATCHES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const BODIES: [usize; 3] = [100, 1024, 64 * 1024];
/// Batches of more octets than this are left out.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Ticks of `/proc/self/stat` in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

struct Options {
    parts: Vec<String>,
    each: Duration,
    dir: std::path::PathBuf,
    messages: u64,
}

fn options() -> Options {
    let mut options = Options {
        parts: Vec::new(),
        each: Duration::from_secs(3),
        dir: std::env::temp_dir(),
        messages: 1_000_000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has a value");
        match argument.as_str() {
            "--seconds" => {
                options.each = Duration::from_secs_f64(value().parse().expect("seconds"));
            }
            "--dir" => options.dir = value().into(),
            "--messages" => options.messages = value().parse().expect("a number"),
            // Cargo's own.
            "--bench" => {}
            part => options.parts.push(part.to_owned()),
        }
    }
    options
}

/// CPU seconds of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields[11] + fields[12]) / TICKS
}

/// Octets that this process has caused to be written.
fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Figures of one part while it runs.
struct Meter {
    start: Instant,
    cpu: f64,
    written: u64,
    commits: Vec<Duration>,
    messages: u64,
    body_bytes: u64,
}

impl Meter {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            cpu: cpu_seconds(),
            written: written_bytes(),
            commits: Vec::new(),
            messages: 0,
            body_bytes: 0,
        }
    }

    fn commit(&mut self, messages: u64, body_bytes: u64, work: impl FnOnce()) {
        let start = Instant::now();
        work();
        self.commits.push(start.elapsed());
        self.messages += messages;
        self.body_bytes += body_bytes;
    }

    fn report(mut self, what: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.commits.sort_unstable();
        let at = |share: f64| {
            let index = (self.commits.len() as f64 * share) as usize;
            let commit = self
                .commits
                .get(index.min(self.commits.len().saturating_sub(1)));
            commit.map_or(0.0, |commit| commit.as_secs_f64() * 1e3)
        };
        println!(
            "{what:<40} {:>9.0} commits/s {:>10.0} msg/s {:>7.2} cpu-s/M  p50 {:>8.3} ms  p99 {:>8.3} ms  written x{:.2}",
            self.commits.len() as f64 / seconds,
            self.messages as f64 / seconds,
            (cpu_seconds() - self.cpu) * 1e6 / self.messages.max(1) as f64,
            at(0.5),
            at(0.99),
            (written_bytes() - self.written) as f64 / self.body_bytes.max(1) as f64,
        );
    }
}

fn run_of(count: usize, body_bytes: usize) -> Run {
    let mut builder = RunBuilder::default();
    let body = vec![7; body_bytes];
    let traits = Traits::new(true, false, false, false, false, 0);
    for _ in 0..count {
        builder.push(b"\x01x\x03key", &[0x10, 0, 2], &body, traits);
    }
    builder.finish()
}

fn put(queue: u64, first: u64, run: &Run) -> Record {
    Record::Put {
        run: run.clone(),
        targets: vec![(QueueId(queue), Position(first))],
        enqueued_at: 1,
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions::default()).expect("opens").0
}

/// A file that is written over, as the ring does it.
fn raw(options: &Options, bytes: usize) {
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let size = bytes.next_multiple_of(4096);
    let room = size.max(64 * 1024 * 1024) / size;
    let mut file = File::create(dir.path().join("raw")).expect("a file");
    file.write_all(&vec![0; room * size]).expect("room");
    file.sync_all().expect("synced");
    let content = vec![7; size];
    let mut meter = Meter::new();
    let mut at = 0;
    while meter.start.elapsed() < options.each {
        meter.commit(1, bytes as u64, || {
            std::os::unix::fs::FileExt::write_all_at(&file, &content, (at * size) as u64)
                .expect("written");
            file.sync_data().expect("synced");
        });
        at = (at + 1) % room;
    }
    meter.report(&format!("raw {size} B"));
}

/// One publisher that waits for each batch; what it put is settled a batch later.
fn commit(options: &Options, batch: usize, body: usize) {
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let store = open(dir.path());
    let run = run_of(batch, body);
    let mut next = 1;
    let mut meter = Meter::new();
    while meter.start.elapsed() < options.each {
        meter.commit(batch as u64, (batch * body) as u64, || {
            let mut records = vec![put(1, next, &run)];
            if next > batch as u64 {
                records.push(Record::Settle {
                    queue: QueueId(1),
                    first: Position(next - batch as u64),
                    count: batch as u64,
                });
            }
            store.wait(store.append(records)).expect("works");
        });
        next += batch as u64;
    }
    meter.report(&format!("commit {batch} x {body} B"));
    store.close().expect("closes");
}

/// Everything stays, and goes to redb.
fn backlog(options: &Options) {
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let store = open(dir.path());
    let run = run_of(1_000, 1024);
    let mut meter = Meter::new();
    for batch in 0..options.messages / 1_000 {
        meter.commit(1_000, 1_024_000, || {
            let lsn = store.append(vec![put(1, 1 + batch * 1_000, &run)]);
            store.wait(lsn).expect("works");
        });
    }
    store.checkpoint().expect("works");
    meter.report(&format!("backlog of {} x 1024 B", options.messages));
    println!("    {:?}", store.stats());
    store.close().expect("closes");
}

/// Batches of 1,000 messages spread over many queues.
fn queues(options: &Options, count: u64) {
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let store = open(dir.path());
    // Parts of one run: the same message in several queues would be written once.
    let run = run_of(1_000, 1024);
    let mut next = vec![1; count as usize];
    let mut queue = 0;
    let mut meter = Meter::new();
    while meter.start.elapsed() < options.each {
        meter.commit(1_000, 1_024_000, || {
            let mut records = Vec::with_capacity(1_000);
            for index in 0..1_000 {
                queue = (queue + 1) % count;
                let one = run.slice(index..index + 1);
                records.push(put(1 + queue, next[queue as usize], &one));
                next[queue as usize] += 1;
            }
            store.wait(store.append(records)).expect("works");
        });
    }
    meter.report(&format!("{count} queues, 1000 x 1024 B"));
    store.close().expect("closes");
}

/// How long a store takes to open after a kill and after a close.
fn recovery(options: &Options) {
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let store = open(dir.path());
    let run = run_of(1_000, 100);
    for batch in 0..options.messages / 1_000 {
        let lsn = store.append(vec![put(1, 1 + batch * 1_000, &run)]);
        store.wait(lsn).expect("works");
    }
    // Without `close` it counts as killed: the ring says nothing of an end.
    drop(store);
    for _ in 0..2 {
        let start = Instant::now();
        let (store, recovered) = Store::open(dir.path(), StoreOptions::default()).expect("opens");
        let opened = start.elapsed();
        let messages: u64 = recovered.queues.iter().map(|queue| queue.messages).sum();
        let start = Instant::now();
        let loaded = store.load(QueueId(1)).expect("readable");
        println!(
            "recovery of {messages} x 100 B, clean {}: opened in {opened:.1?}, {} runs loaded in {:.1?}",
            recovered.clean,
            loaded.runs.len(),
            start.elapsed()
        );
        store.checkpoint().expect("works");
        store.close().expect("closes");
    }
}

fn main() {
    let options = options();
    let wanted =
        |part: &str| options.parts.is_empty() || options.parts.iter().any(|name| name == part);
    for body in BODIES {
        for batch in BATCHES {
            if batch * body > BATCH_BYTES_MAX {
                continue;
            }
            if wanted("raw") {
                raw(&options, batch * body);
            }
            if wanted("commit") {
                commit(&options, batch, body);
            }
        }
    }
    if wanted("backlog") {
        backlog(&options);
    }
    if wanted("queues") {
        for count in [1, 100, 10_000] {
            queues(&options, count);
        }
    }
    if wanted("recovery") {
        recovery(&options);
    }
}
