//! A connection that consumes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;

use crate::model::DeliveryTag;
use crate::perf::PATIENCE;
use crate::perf::RateStep;
use crate::perf::Run;
use crate::perf::WireError;
use crate::perf::lock;
use crate::perf::pace::Pace;
use crate::perf::wire::CHANNEL;
use crate::perf::wire::Wire;
use crate::perf::wire::check;
use crate::protocol::content::CLASS_BASIC;
use crate::protocol::encode;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_METHOD;

const DELIVER: u16 = 60;

pub(super) struct Consumer {
    run: Arc<Run>,
    index: usize,
    wire: Wire,
}

impl Consumer {
    pub(super) fn new(run: Arc<Run>, index: usize) -> Result<Self, WireError> {
        let mut wire = Wire::open(&run.options.uri)?;
        let options = &run.options;
        if options.prefetch > 0 {
            let qos = basic::AMQPMethod::Qos(basic::Qos {
                prefetch_count: options.prefetch,
                global: false,
            });
            wire.call(CHANNEL, AMQPClass::Basic(qos))?;
        }
        let queue = run.topology.queue(index, &mut wire, options)?;
        let consume = basic::AMQPMethod::Consume(basic::Consume {
            queue: queue.into(),
            consumer_tag: "".into(),
            no_local: false,
            no_ack: options.auto_ack,
            exclusive: false,
            nowait: false,
            arguments: options.consumer_arguments.clone(),
        });
        wire.call(CHANNEL, AMQPClass::Basic(consume))?;
        Ok(Self { run, index, wire })
    }

    pub(super) fn run(self) {
        let run = Arc::clone(&self.run);
        if let Err(error) = self.consume_all() {
            run.fail(error);
        }
    }

    fn consume_all(self) -> Result<(), WireError> {
        let Self {
            run,
            index,
            mut wire,
        } = self;
        let options = &run.options;
        let most = options.consumer_messages.unwrap_or(u64::MAX);
        let rate = options.consumer_rate.map(|rate| RateStep {
            rate,
            time: PATIENCE,
        });
        let mut pace = Pace::new(rate.as_slice(), run.now());
        let measures = options.size >= 8 && options.producers > 0;
        let (mut received, mut acknowledged, mut last_tag) = (0, 0, 0);
        // A body is to come, and its first octets tell the time.
        let mut fresh = false;
        let mut acks = Vec::new();
        while received < most && !run.is_stopped() {
            if !wire.input.read()? {
                continue;
            }
            let before = received;
            // Messages that were published at the same time.
            let (mut time, mut alike) = (0, 0);
            let mut latencies = measures.then(|| lock(&run.latencies));
            let now = run.now();
            while let Some(frame) = wire.input.next()? {
                if frame.kind == FRAME_BODY {
                    if fresh
                        && let Some(latencies) = &mut latencies
                        && let Some(octets) = frame.payload.first_chunk()
                    {
                        let published = u64::from_be_bytes(*octets);
                        if published != time {
                            latencies.record(now.saturating_sub(time), alike);
                            (time, alike) = (published, 0);
                        }
                        alike += 1;
                    }
                    fresh = false;
                } else if frame.kind == FRAME_METHOD {
                    match delivery_tag(frame.payload) {
                        Some(tag) => {
                            last_tag = tag;
                            fresh = true;
                            received += 1;
                        }
                        None => drop(check(frame.payload)?),
                    }
                }
                if !options.auto_ack && last_tag - acknowledged >= options.ack_every && !fresh {
                    let multiple = options.ack_every > 1;
                    encode::ack(&mut acks, CHANNEL, DeliveryTag(last_tag), multiple);
                    acknowledged = last_tag;
                }
            }
            if let Some(mut latencies) = latencies {
                latencies.record(now.saturating_sub(time), alike);
            }
            run.received.fetch_add(received - before, Ordering::Relaxed);
            run.received_by[index].fetch_add(received - before, Ordering::Relaxed);
            if let Some(pace) = &mut pace {
                pace.went(received - before);
                while pace.due(run.now()) == 0 && !run.is_stopped() {
                    std::thread::sleep(pace.until_next(run.now()).min(PATIENCE));
                }
            }
            wire.write(&acks)?;
            acks.clear();
        }
        if !options.auto_ack && last_tag > acknowledged {
            encode::ack(&mut acks, CHANNEL, DeliveryTag(last_tag), true);
            wire.write(&acks)?;
        }
        wire.close();
        Ok(())
    }
}

/// The tag of a `basic.deliver`.
fn delivery_tag(payload: &[u8]) -> Option<u64> {
    let (class, rest) = payload.split_first_chunk::<2>()?;
    let (method, rest) = rest.split_first_chunk::<2>()?;
    if u16::from_be_bytes(*class) != CLASS_BASIC || u16::from_be_bytes(*method) != DELIVER {
        return None;
    }
    let (consumer_tag_bytes, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*consumer_tag_bytes)..)?;
    rest.first_chunk().map(|tag| u64::from_be_bytes(*tag))
}
