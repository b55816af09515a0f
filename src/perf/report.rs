//! What a run has come to, in intervals and at the end.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use serde::Serialize;

use crate::perf::BrokerProcess;
use crate::perf::Options;
use crate::perf::Percentiles;
use crate::perf::PerfError;
use crate::perf::Run;
use crate::perf::broker_process::Usage;
use crate::perf::clock;
use crate::perf::lock;

/// Counts of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    sent: u64,
    confirmed: u64,
    refused: u64,
    returned: u64,
    received: u64,
}

impl Counts {
    fn of(run: &Run) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            sent: read(&run.sent),
            confirmed: read(&run.confirmed),
            refused: read(&run.refused),
            returned: read(&run.returned),
            received: read(&run.received),
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            confirmed: self.confirmed - earlier.confirmed,
            refused: self.refused - earlier.refused,
            returned: self.returned - earlier.returned,
            received: self.received - earlier.received,
        }
    }

    /// What CPU time is counted by.
    fn moved(self) -> u64 {
        self.received
            .max(if self.received == 0 { self.sent } else { 0 })
    }
}

/// Rates and latencies of one interval, or of all.
#[derive(Debug, Clone, Serialize)]
pub struct Interval {
    /// Seconds since the beginning.
    pub time: f64,
    /// Messages a second that were published.
    pub sent: f64,
    /// Confirms a second.
    pub confirmed: f64,
    /// Negative confirms a second.
    pub refused: f64,
    /// Messages a second that came back unroutable.
    pub returned: f64,
    /// Deliveries a second.
    pub received: f64,
    /// From publish to delivery, microseconds.
    pub latency: Option<Percentiles>,
    /// From publish to confirm, microseconds.
    pub confirm_latency: Option<Percentiles>,
    /// CPU seconds of the broker per million messages received, or sent where nobody receives.
    pub broker_cpu_per_million: Option<f64>,
    /// Resident memory of the broker.
    pub broker_rss_bytes: Option<u64>,
}

/// What a run has come to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run's id.
    pub id: String,
    /// Messages published.
    pub sent: u64,
    /// Messages delivered.
    pub received: u64,
    /// Messages confirmed.
    pub confirmed: u64,
    /// Requests with `basic.get` that found nothing.
    pub empty: u64,
    /// What the consumers got, from the one with the fewest messages to the one with the most.
    pub received_by: Vec<u64>,
    /// CPU seconds of the broker.
    pub broker_cpu_seconds: Option<f64>,
    /// CPU seconds of this driver.
    pub driver_cpu_seconds: f64,
    /// All of it as one interval.
    pub total: Interval,
}

struct Point {
    at: Instant,
    counts: Counts,
    usage: Option<Usage>,
}

pub(super) struct Meter {
    run: Arc<Run>,
    process: Option<BrokerProcess>,
    own: BrokerProcess,
    own_before: Usage,
    first: Point,
    last: Point,
}

impl Meter {
    pub(super) fn begin(run: &Arc<Run>, process: Option<BrokerProcess>) -> Result<Self, PerfError> {
        let own = BrokerProcess::new(std::process::id());
        let point = |run| point(run, process);
        Ok(Self {
            run: Arc::clone(run),
            process,
            own,
            own_before: own.usage()?,
            first: point(run)?,
            last: point(run)?,
        })
    }

    /// Everybody begins now.
    pub(super) fn restart(&mut self) -> Result<(), PerfError> {
        self.first = point(&self.run, self.process)?;
        self.last = point(&self.run, self.process)?;
        // What some did before the clock was read counts too.
        self.first.counts = Counts::default();
        self.last.counts = Counts::default();
        self.own_before = self.own.usage()?;
        Ok(())
    }

    fn options(&self) -> &Options {
        &self.run.options
    }

    pub(super) fn is_over(&self, threads: &[JoinHandle<()>]) -> bool {
        let over = self
            .options()
            .time
            .is_some_and(|time| self.first.at.elapsed() >= time);
        if over || self.run.is_stopped() || threads.iter().all(JoinHandle::is_finished) {
            return true;
        }
        // Once all that was asked for is sent, consumers are to get what is there and no more.
        let limited = self.options().producer_messages;
        let consumers = self.options().consumers;
        let producing = &threads[consumers..];
        limited.is_some()
            && self.options().consumer_messages.is_none()
            && consumers > 0
            && producing.iter().all(JoinHandle::is_finished)
            && self.is_quiet()
    }

    /// As much was received as was sent, or nothing has come for a while.
    fn is_quiet(&self) -> bool {
        let counts = Counts::of(&self.run);
        let one_queue = self.options().queues.len() == 1;
        (one_queue && counts.received >= counts.sent)
            || (counts == self.last.counts && self.last.at.elapsed() > Duration::from_millis(500))
    }

    pub(super) fn until_next(&self) -> Duration {
        const LOOK: Duration = Duration::from_millis(5);
        let interval = self.options().interval;
        let next = interval.saturating_sub(self.last.at.elapsed());
        let end = self.options().time.unwrap_or(interval);
        let end = end.saturating_sub(self.first.at.elapsed());
        next.min(end).min(LOOK)
    }

    /// The interval, if it is over.
    pub(super) fn look(&mut self) -> Result<Option<Interval>, PerfError> {
        if self.last.at.elapsed() < self.options().interval {
            return Ok(None);
        }
        let point = point(&self.run, self.process)?;
        let mut interval = self.between(&self.last, &point);
        interval.latency = lock(&self.run.latencies).look();
        interval.confirm_latency = lock(&self.run.confirm_latencies).look();
        self.last = point;
        Ok(Some(interval))
    }

    fn between(&self, from: &Point, to: &Point) -> Interval {
        let seconds = (to.at - from.at).as_secs_f64().max(1e-9);
        let counts = to.counts.since(from.counts);
        let rate = |count: u64| count as f64 / seconds;
        let cpu = |to: Usage, from: Usage| to.cpu_seconds - from.cpu_seconds;
        let moved = counts.moved() as f64 / 1e6;
        Interval {
            time: (to.at - self.first.at).as_secs_f64(),
            sent: rate(counts.sent),
            confirmed: rate(counts.confirmed),
            refused: rate(counts.refused),
            returned: rate(counts.returned),
            received: rate(counts.received),
            latency: None,
            confirm_latency: None,
            broker_cpu_per_million: (to.usage.zip(from.usage))
                .filter(|_| moved > 0.0)
                .map(|(to, from)| cpu(to, from) / moved),
            broker_rss_bytes: to.usage.map(|usage| usage.rss_bytes),
        }
    }

    pub(super) fn end(self) -> Result<Report, PerfError> {
        let point = point(&self.run, self.process)?;
        let mut total = self.between(&self.first, &point);
        total.latency = lock(&self.run.latencies).total();
        total.confirm_latency = lock(&self.run.confirm_latencies).total();
        let counts = point.counts.since(self.first.counts);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut received_by: Vec<u64> = self.run.received_by.iter().map(read).collect();
        received_by.sort_unstable();
        let used = |(to, from): (Usage, Usage)| to.cpu_seconds - from.cpu_seconds;
        Ok(Report {
            id: self.options().id.clone(),
            sent: counts.sent,
            received: counts.received,
            confirmed: counts.confirmed,
            empty: read(&self.run.empty),
            received_by,
            broker_cpu_seconds: point.usage.zip(self.first.usage).map(used),
            driver_cpu_seconds: used((self.own.usage()?, self.own_before)),
            total,
        })
    }
}

fn point(run: &Run, process: Option<BrokerProcess>) -> Result<Point, PerfError> {
    Ok(Point {
        at: clock(),
        counts: Counts::of(run),
        usage: process.map(BrokerProcess::usage).transpose()?,
    })
}
