//! A connection that asks for messages instead of being sent them: `basic.get`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;

use crate::model::DeliveryTag;
use crate::perf::PATIENCE;
use crate::perf::Run;
use crate::perf::WireError;
use crate::perf::lock;
use crate::perf::wire::CHANNEL;
use crate::perf::wire::Wire;
use crate::perf::wire::check;
use crate::protocol::content::CLASS_BASIC;
use crate::protocol::encode;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_METHOD;

const GET_OK: u16 = 71;
const GET_EMPTY: u16 = 72;

pub(super) struct Poller {
    run: Arc<Run>,
    index: usize,
    wire: Wire,
    /// One request.
    get: Vec<u8>,
}

/// What came in answer to requests.
#[derive(Default)]
struct Answers {
    /// Requests that wait for theirs.
    awaited: u64,
    received: u64,
    empty: u64,
    last_tag: u64,
    /// Its body is next, and its first octets tell the time.
    fresh: bool,
}

impl Poller {
    pub(super) fn new(run: Arc<Run>, index: usize) -> Result<Self, WireError> {
        let mut wire = Wire::open(&run.options.uri)?;
        let queue = run.topology.queue(index, &mut wire, &run.options)?;
        let mut get = Vec::new();
        let method = basic::AMQPMethod::Get(basic::Get {
            queue: queue.into(),
            no_ack: run.options.auto_ack,
        });
        encode::method(&mut get, CHANNEL, &AMQPClass::Basic(method));
        Ok(Self {
            run,
            index,
            wire,
            get,
        })
    }

    pub(super) fn run(self) {
        let run = Arc::clone(&self.run);
        if let Err(error) = self.poll_all() {
            run.fail(error);
        }
    }

    fn poll_all(mut self) -> Result<(), WireError> {
        let run = Arc::clone(&self.run);
        let options = &run.options;
        let most = options.consumer_messages.unwrap_or(u64::MAX);
        let polling = options.polling.unwrap_or_default();
        let at_once = polling.in_flight.max(1);
        let (mut total, mut acknowledged) = (0, 0);
        let mut octets = Vec::new();
        while total < most && !run.is_stopped() {
            let asks = (most - total).min(at_once);
            for _ in 0..asks {
                octets.extend_from_slice(&self.get);
            }
            self.wire.write(&octets)?;
            octets.clear();
            let mut answers = Answers {
                awaited: asks,
                ..Answers::default()
            };
            while answers.awaited > 0 && !run.is_stopped() {
                self.take(&mut answers)?;
            }
            total += answers.received;
            run.received.fetch_add(answers.received, Ordering::Relaxed);
            run.received_by[self.index].fetch_add(answers.received, Ordering::Relaxed);
            run.empty.fetch_add(answers.empty, Ordering::Relaxed);
            let last_tag = answers.last_tag.max(acknowledged);
            if !options.auto_ack && last_tag - acknowledged >= options.ack_every {
                // It goes with the next requests.
                encode::ack(&mut octets, CHANNEL, DeliveryTag(last_tag), true);
                acknowledged = last_tag;
            }
            if answers.received == 0 {
                rest(&run, polling.interval);
            }
        }
        self.wire.write(&octets)?;
        self.wire.close();
        Ok(())
    }

    /// Reads once.
    fn take(&mut self, answers: &mut Answers) -> Result<(), WireError> {
        if !self.wire.input.read()? {
            return Ok(());
        }
        let measures = self.run.options.size >= 8 && self.run.options.producers > 0;
        let mut latencies = measures.then(|| lock(&self.run.latencies));
        let now = self.run.now();
        while let Some(frame) = self.wire.input.next()? {
            if frame.kind == FRAME_BODY {
                let fresh = std::mem::take(&mut answers.fresh);
                if fresh
                    && let Some(latencies) = &mut latencies
                    && let Some(octets) = frame.payload.first_chunk()
                {
                    let published = u64::from_be_bytes(*octets);
                    latencies.record(now.saturating_sub(published), 1);
                }
                // The answers to come are counted by what ends them.
                answers.awaited -= u64::from(fresh);
            } else if frame.kind == FRAME_METHOD {
                match answer(frame.payload) {
                    Some((GET_OK, tag)) => {
                        answers.received += 1;
                        answers.last_tag = tag;
                        answers.fresh = true;
                        if self.run.options.size == 0 {
                            (answers.fresh, answers.awaited) = (false, answers.awaited - 1);
                        }
                    }
                    Some(_) => {
                        answers.empty += 1;
                        answers.awaited -= 1;
                    }
                    None => drop(check(frame.payload)?),
                }
            }
        }
        Ok(())
    }
}

fn rest(run: &Run, interval: Duration) {
    let mut left = interval;
    while !left.is_zero() && !run.is_stopped() {
        let part = left.min(PATIENCE);
        std::thread::sleep(part);
        left -= part;
    }
}

/// Which answer to `basic.get` it is, and the delivery tag of `get-ok`.
fn answer(payload: &[u8]) -> Option<(u16, u64)> {
    let (class, rest) = payload.split_first_chunk::<2>()?;
    let (method, rest) = rest.split_first_chunk::<2>()?;
    match (u16::from_be_bytes(*class), u16::from_be_bytes(*method)) {
        (CLASS_BASIC, GET_OK) => Some((GET_OK, u64::from_be_bytes(*rest.first_chunk()?))),
        (CLASS_BASIC, GET_EMPTY) => Some((GET_EMPTY, 0)),
        _ => None,
    }
}
