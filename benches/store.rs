//! What storing costs, beside what the disk alone costs in the same run: an append and `fdatasync` of as many octets.
//!
//! `cargo bench --bench store -- [commit] [backlog] [queues] [recovery] [--seconds S] [--dir DIR] [--messages N] [--body BYTES]
//! [--batch N]`.
//! Without names all parts run, which takes a few minutes. Each line has commits a second, messages a second, CPU seconds
//! (user and system, all threads) per million messages, the median and the 99th percentile of a commit, and octets written
//! per octet of bodies. `commit` is the store's usual life: a ring that has grown up, messages that are settled soon; it
//! stands beside `raw`, the disk alone, and `handed`, the disk alone by a thread that is asked to. `backlog` brings everything to redb. DIR must be on the disk that is meant: a file
//! system in memory syncs nothing. A rise of CPU or of octets written by more than a tenth is a regression; times count
//! only beside `raw`.

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
/// The disk alone and the store take turns of this length.
const SLICE: Duration = Duration::from_millis(250);
/// Ticks of `/proc/self/stat` in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

struct Options {
    parts: Vec<String>,
    each: Duration,
    dir: std::path::PathBuf,
    messages: u64,
    batch: Option<usize>,
    body: Option<usize>,
}

fn options() -> Options {
    let mut options = Options {
        parts: Vec::new(),
        each: Duration::from_secs(3),
        dir: std::env::temp_dir(),
        messages: 1_000_000,
        batch: None,
        body: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has a value");
        match argument.as_str() {
            "--seconds" => {
                options.each = Duration::from_secs_f64(value().parse().expect("seconds"));
            }
            "--dir" => options.dir = value().into(),
            "--body" => options.body = Some(value().parse().expect("a number")),
            "--batch" => options.batch = Some(value().parse().expect("a number")),
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

/// Figures of one part, while it runs and over pauses.
#[derive(Default)]
struct Meter {
    since: Option<(Instant, f64, u64)>,
    took: Duration,
    cpu: f64,
    written: u64,
    commits: Vec<Duration>,
    messages: u64,
    body_bytes: u64,
}

impl Meter {
    fn new() -> Self {
        let mut meter = Self::default();
        meter.go_on();
        meter
    }

    fn go_on(&mut self) {
        self.since = Some((Instant::now(), cpu_seconds(), written_bytes()));
    }

    fn pause(&mut self) {
        if let Some((start, cpu, written)) = self.since.take() {
            self.took += start.elapsed();
            self.cpu += cpu_seconds() - cpu;
            self.written += written_bytes() - written;
        }
    }

    fn elapsed(&self) -> Duration {
        self.took + self.since.map_or(Duration::ZERO, |since| since.0.elapsed())
    }

    fn commit(&mut self, messages: u64, body_bytes: u64, work: impl FnOnce()) {
        let start = Instant::now();
        work();
        self.commits.push(start.elapsed());
        self.messages += messages;
        self.body_bytes += body_bytes;
    }

    fn cpu_per_message(&self) -> f64 {
        self.cpu / self.messages.max(1) as f64
    }

    fn median(&mut self) -> Duration {
        self.at(0.5)
    }

    fn at(&mut self, share: f64) -> Duration {
        self.commits.sort_unstable();
        let index = (self.commits.len() as f64 * share) as usize;
        let index = index.min(self.commits.len().saturating_sub(1));
        self.commits.get(index).copied().unwrap_or_default()
    }

    fn report(mut self, what: &str) {
        self.pause();
        let seconds = self.took.as_secs_f64();
        let (p50, p99) = (self.at(0.5), self.at(0.99));
        println!(
            "{what:<40} {:>9.0} commits/s {:>10.0} msg/s {:>7.2} cpu-s/M  p50 {:>8.3} ms  p99 {:>8.3} ms  written x{:.2}",
            self.commits.len() as f64 / seconds,
            self.messages as f64 / seconds,
            self.cpu_per_message() * 1e6,
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
            self.written as f64 / self.body_bytes.max(1) as f64,
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
struct Raw {
    file: File,
    content: Vec<u8>,
    room: usize,
    at: usize,
    meter: Meter,
    /// Holds the file.
    _dir: tempfile::TempDir,
}

impl Raw {
    fn new(options: &Options, bytes: usize) -> Self {
        let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
        let size = bytes.next_multiple_of(4096);
        let room = size.max(64 * 1024 * 1024) / size;
        let mut file = File::create(dir.path().join("raw")).expect("a file");
        file.write_all(&vec![0; room * size]).expect("room");
        file.sync_all().expect("synced");
        Self {
            file,
            content: vec![7; size],
            room,
            at: 0,
            meter: Meter::default(),
            _dir: dir,
        }
    }

    fn commit(&mut self, messages: u64, body_bytes: u64) {
        let Self {
            file,
            content,
            room,
            at,
            meter,
            ..
        } = self;
        meter.commit(messages, body_bytes, || {
            let offset = (*at * content.len()) as u64;
            std::os::unix::fs::FileExt::write_all_at(file, content, offset).expect("written");
            file.sync_data().expect("synced");
        });
        *at = (*at + 1) % *room;
    }
}

/// The same on a thread of its own, as a store must do it: what the two changes of threads cost.
fn handed(mut raw: Raw, messages: u64, body_bytes: u64) -> Meter {
    let (ask, asked) = std::sync::mpsc::sync_channel::<bool>(1);
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    let mut meter = Meter::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while asked.recv() == Ok(true) {
                raw.commit(messages, body_bytes);
                let _ = answer.send(());
            }
        });
        while meter.elapsed() < SLICE * 4 {
            meter.commit(messages, body_bytes, || {
                ask.send(true).expect("it listens");
                answered.recv().expect("it answers");
            });
        }
        let _ = ask.send(false);
    });
    meter.pause();
    meter
}

/// A store whose ring has grown up.
fn grown(dir: &Path) -> (Store, u64) {
    let store = open(dir);
    let limits = StoreOptions::default();
    let run = run_of(16, 64 * 1024);
    let mut next = 1;
    while store.stats().ring_bytes < limits.ring_segments as u64 * limits.ring_segment_bytes {
        let settle = Record::Settle {
            queue: QueueId(1),
            first: Position(next),
            count: 16,
        };
        store
            .wait(store.append(vec![put(1, next, &run)]))
            .expect("works");
        store.wait(store.append(vec![settle])).expect("works");
        next += 16;
    }
    (store, next)
}

/// One publisher that waits for each batch; what it put is settled a batch later. In turns with the disk alone, for the disk
/// is not the same a second later.
fn commit(options: &Options, store: &Store, next: &mut u64, batch: usize, body: usize) {
    let run = run_of(batch, body);
    let mut raw = Raw::new(options, batch * body);
    let mut ours = Meter::default();
    let (messages, body_bytes) = (batch as u64, (batch * body) as u64);
    let mut settled = *next;
    let start = Instant::now();
    while start.elapsed() < options.each * 2 {
        let slice = Instant::now();
        raw.meter.go_on();
        while slice.elapsed() < SLICE {
            raw.commit(messages, body_bytes);
        }
        raw.meter.pause();
        let slice = Instant::now();
        ours.go_on();
        while slice.elapsed() < SLICE {
            ours.commit(messages, body_bytes, || {
                let mut records = vec![put(1, *next, &run)];
                if settled < *next {
                    records.push(Record::Settle {
                        queue: QueueId(1),
                        first: Position(settled),
                        count: *next - settled,
                    });
                    settled = *next;
                }
                store.wait(store.append(records)).expect("works");
            });
            *next += messages;
        }
        ours.pause();
    }
    let last = Record::Settle {
        queue: QueueId(1),
        first: Position(settled),
        count: *next - settled,
    };
    store.wait(store.append(vec![last])).expect("works");
    let ratio = ours.cpu_per_message() / raw.meter.cpu_per_message();
    let more = (ours.median().as_secs_f64() - raw.meter.median().as_secs_f64()) * 1e3;
    std::mem::take(&mut raw.meter).report(&format!("raw    {batch} x {body} B"));
    handed(raw, messages, body_bytes).report(&format!("handed {batch} x {body} B"));
    ours.report(&format!("commit {batch} x {body} B"));
    println!("    CPU x{ratio:.2}, p50 {more:+.3} ms");
}

/// Everything stays, and goes to redb.
fn backlog(options: &Options) {
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
    let store = open(dir.path());
    let body = options.body.unwrap_or(1024);
    let run = run_of(1_000, body);
    let batch_bytes = 1_000 * body as u64;
    let mut meter = Meter::new();
    for batch in 0..options.messages / 1_000 {
        meter.commit(1_000, batch_bytes, || {
            let lsn = store.append(vec![put(1, 1 + batch * 1_000, &run)]);
            store.wait(lsn).expect("works");
        });
    }
    store.checkpoint().expect("works");
    meter.report(&format!("backlog of {} x {} B", options.messages, body));
    let stats = store.stats();
    let taken = std::fs::metadata(dir.path().join("leveret.redb")).map_or(0, |file| file.len());
    let live = options.messages * body as u64;
    println!(
        "    leveret.redb x{:.2} of {live} B, ring {} B; {stats:?}",
        taken as f64 / live as f64,
        stats.ring_bytes
    );
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
    while meter.elapsed() < options.each {
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
    if wanted("commit") {
        let dir = tempfile::tempdir_in(&options.dir).expect("a directory");
        let (store, mut next) = grown(dir.path());
        for body in BODIES {
            for batch in BATCHES {
                let wanted = |only: Option<usize>, this| only.is_none_or(|only| only == this);
                if wanted(options.batch, batch)
                    && wanted(options.body, body)
                    && batch * body <= BATCH_BYTES_MAX
                {
                    commit(&options, &store, &mut next, batch, body);
                }
            }
        }
        store.close().expect("closes");
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
