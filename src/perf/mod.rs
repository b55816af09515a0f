//! A load driver for any AMQP 0-9-1 broker: publishes, consumes, and tells how fast that went and what it took.
//!
//! Options mean what they mean to RabbitMQ's PerfTest. It works on raw frames and in batches, one thread a connection, so that
//! the driver is not what is measured. What it must not know: anything of the broker but the protocol, and its process id
//! when it is told to look at its CPU time.

mod broker_process;
mod churn;
mod consumer;
mod latency;
mod options;
mod pace;
mod poller;
mod producer;
mod report;
mod topology;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

pub use broker_process::BrokerProcess;
pub use broker_process::Usage;
use latency::Latencies;
pub use latency::Percentiles;
pub use options::Options;
pub use options::Polling;
pub use options::RateStep;
pub use report::Interval;
pub use report::Report;
use topology::Topology;
pub use wire::WireError;

/// What all threads of a run share.
struct Run {
    options: Options,
    topology: Topology,
    began: Instant,
    /// Everybody is to end.
    stopped: AtomicBool,
    sent: AtomicU64,
    confirmed: AtomicU64,
    refused: AtomicU64,
    returned: AtomicU64,
    received: AtomicU64,
    /// Requests for a message when there was none.
    empty: AtomicU64,
    /// What each consumer received.
    received_by: Vec<AtomicU64>,
    /// From the publish to the delivery.
    latencies: Mutex<Latencies>,
    /// From the publish to its confirm.
    confirm_latencies: Mutex<Latencies>,
    /// The first thing that went wrong.
    failure: Mutex<Option<WireError>>,
}

impl Run {
    /// Nanoseconds since the run began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn fail(&self, error: WireError) {
        if !self.is_stopped() {
            lock(&self.failure).get_or_insert(error);
        }
        self.stop();
    }
}

/// A lock whose holder panicked holds what it held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn clock() -> Instant {
    Instant::now()
}

/// Why a run could not be made, or broke.
#[derive(Debug, thiserror::Error)]
pub enum PerfError {
    /// The broker could not be reached, refused something, or went away.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A thread could not be started.
    #[error("no more threads can be started: {0}")]
    Threads(io::Error),
    /// The broker's process cannot be looked at.
    #[error("the process {pid} cannot be looked at: {source}")]
    Process {
        /// Its id.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}

/// Runs what the options say. `progress` is told of every interval.
pub fn run(options: Options, mut progress: impl FnMut(&Interval)) -> Result<Report, PerfError> {
    let process = options.broker_pid.map(BrokerProcess::new);
    let topology = Topology::new(&options);
    let run = Arc::new(Run {
        topology,
        began: clock(),
        stopped: AtomicBool::new(false),
        sent: AtomicU64::new(0),
        confirmed: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        returned: AtomicU64::new(0),
        received: AtomicU64::new(0),
        empty: AtomicU64::new(0),
        received_by: (0..options.consumers).map(|_| AtomicU64::new(0)).collect(),
        latencies: Mutex::new(Latencies::new()),
        confirm_latencies: Mutex::new(Latencies::new()),
        failure: Mutex::new(None),
        options,
    });
    run.topology.declare(&run.options)?;
    let mut threads = Vec::new();
    // Consumers are there before anything is published; then all begin at once.
    let count = run.options.consumers + run.options.producers;
    let begin = Arc::new(Barrier::new(count + 1));
    for index in 0..run.options.consumers {
        if run.options.polling.is_some() {
            let poller = poller::Poller::new(Arc::clone(&run), index)?;
            threads.push(spawn(&begin, move || poller.run())?);
            continue;
        }
        let consumer = consumer::Consumer::new(Arc::clone(&run), index)?;
        threads.push(spawn(&begin, move || consumer.run())?);
    }
    for index in 0..run.options.producers {
        if run.options.churn {
            let (run, begin) = (Arc::clone(&run), &begin);
            threads.push(spawn(begin, move || churn::run(&run))?);
            continue;
        }
        let producer = producer::Producer::new(Arc::clone(&run), index)?;
        threads.push(spawn(&begin, move || producer.run())?);
    }
    let mut meter = report::Meter::begin(&run, process)?;
    begin.wait();
    meter.restart()?;
    while !meter.is_over(&threads) {
        std::thread::sleep(meter.until_next());
        if let Some(interval) = meter.look()? {
            progress(&interval);
        }
    }
    let report = meter.end()?;
    run.stop();
    for thread in threads {
        thread.thread().unpark();
        let _ = thread.join();
    }
    let failure = lock(&run.failure).take();
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(report),
    }
}

fn spawn(
    begin: &Arc<Barrier>,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, PerfError> {
    const STACK_BYTES: usize = 256 * 1024;
    let begin = Arc::clone(begin);
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread
        .spawn(move || {
            begin.wait();
            work();
        })
        .map_err(PerfError::Threads)
}

/// How often a blocked thread looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(100);
