//! A connection that publishes.
//!
//! The frames of one message are made once and copied as often as a write holds; only the time in the body changes. A thread
//! of its own reads what the broker answers, so that confirms are timed when they come.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::Thread;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::confirm;

use crate::perf::PATIENCE;
use crate::perf::Run;
use crate::perf::WireError;
use crate::perf::lock;
use crate::perf::pace::Pace;
use crate::perf::wire::CHANNEL;
use crate::perf::wire::Input;
use crate::perf::wire::Wire;
use crate::perf::wire::check;
use crate::protocol::content::CLASS_BASIC;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_END;
use crate::protocol::envelope::FRAME_HEADER;
use crate::protocol::envelope::FRAME_METHOD;
use crate::protocol::properties;

/// Octets of one write.
const WRITE_BYTES: usize = 64 * 1024;

const PUBLISH: u16 = 40;
const RETURN: u16 = 50;
const ACK: u16 = 80;
const NACK: u16 = 120;

/// Messages that were published and not confirmed.
struct Unconfirmed {
    /// The last of each write, and when that was.
    writes: Mutex<VecDeque<(u64, u64)>>,
    /// Up to here everything is confirmed or refused.
    settled: AtomicU64,
    /// The producer waits.
    waits: AtomicBool,
}

pub(super) struct Producer {
    run: Arc<Run>,
    wire: Wire,
    message: Vec<u8>,
    /// Where in the message the body is that holds the time.
    time_at: Option<usize>,
}

impl Producer {
    pub(super) fn new(run: Arc<Run>, index: usize) -> Result<Self, WireError> {
        let mut wire = Wire::open(&run.options.uri)?;
        if run.options.confirm.is_some() {
            let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
            wire.call(CHANNEL, AMQPClass::Confirm(select))?;
        }
        let (message, time_at) = message(&run, index, wire.frame_max);
        Ok(Self {
            run,
            wire,
            message,
            time_at,
        })
    }

    pub(super) fn run(self) {
        let run = Arc::clone(&self.run);
        if let Err(error) = self.publish_all() {
            run.fail(error);
        }
    }

    fn publish_all(self) -> Result<(), WireError> {
        let Self {
            run,
            mut wire,
            message,
            time_at,
        } = self;
        let options = &run.options;
        let fitting = (WRITE_BYTES / message.len()).max(1);
        let batch = if options.write_each { 1 } else { fitting };
        let mut octets = message.repeat(batch);
        let mut pace = Pace::new(&options.rates, run.now());
        let most = options.producer_messages.unwrap_or(u64::MAX);
        let unconfirmed = Arc::new(Unconfirmed {
            writes: Mutex::default(),
            settled: AtomicU64::new(0),
            waits: AtomicBool::new(false),
        });
        let producer = std::thread::current();
        let mut sent = 0;
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (input, answers) = (&mut wire.input, Arc::clone(&unconfirmed));
            let (reader_run, has_ended) = (&run, &ended);
            let reader = scope.spawn(move || {
                let read = read_answers(reader_run, input, &answers, &producer, has_ended);
                if let Err(error) = read {
                    reader_run.fail(error);
                    producer.unpark();
                }
            });
            let output = &mut wire.output;
            let outcome = (|| {
                while sent < most && !run.is_stopped() {
                    let mut count = (most - sent).min(batch as u64);
                    if let Some(window) = options.confirm {
                        let open = sent - unconfirmed.settled.load(Ordering::Acquire);
                        let room = (window as u64).saturating_sub(open);
                        if room == 0 {
                            unconfirmed.waits.store(true, Ordering::SeqCst);
                            let settled = unconfirmed.settled.load(Ordering::SeqCst);
                            if sent - settled >= window as u64 {
                                std::thread::park_timeout(PATIENCE);
                            }
                            continue;
                        }
                        count = count.min(room);
                    }
                    let now = run.now();
                    if let Some(pace) = &mut pace {
                        count = count.min(pace.due(now));
                        if count == 0 {
                            std::thread::sleep(pace.until_next(now).min(PATIENCE));
                            continue;
                        }
                        pace.went(count);
                    }
                    if let Some(at) = time_at {
                        for index in 0..count as usize {
                            let at = index * message.len() + at;
                            octets[at..at + 8].copy_from_slice(&now.to_be_bytes());
                        }
                    }
                    sent += count;
                    if options.confirm.is_some() {
                        lock(&unconfirmed.writes).push_back((sent, now));
                    }
                    let written = &octets[..count as usize * message.len()];
                    output
                        .write_all(written)
                        .map_err(|source| WireError::Socket {
                            what: "cannot write to the broker",
                            source,
                        })?;
                    run.sent.fetch_add(count, Ordering::Relaxed);
                }
                // What is under way is waited for.
                while options.confirm.is_some()
                    && unconfirmed.settled.load(Ordering::Acquire) < sent
                    && !run.is_stopped()
                {
                    std::thread::park_timeout(PATIENCE / 10);
                }
                Ok(())
            })();
            ended.store(true, Ordering::Relaxed);
            let _ = reader.join();
            outcome
        })?;
        wire.close();
        Ok(())
    }
}

/// Reads confirms until the producer has ended.
fn read_answers(
    run: &Run,
    input: &mut Input,
    unconfirmed: &Unconfirmed,
    producer: &Thread,
    ended: &AtomicBool,
) -> Result<(), WireError> {
    let mut settled = 0;
    // Those that were confirmed before earlier ones.
    let mut early = BTreeSet::new();
    while !ended.load(Ordering::Relaxed) && !run.is_stopped() {
        if !input.read()? {
            continue;
        }
        let before = settled;
        while let Some(frame) = input.next()? {
            if frame.kind != FRAME_METHOD {
                continue;
            }
            match answer(frame.payload) {
                Some((method @ (ACK | NACK), tag, multiple)) => {
                    if method == NACK {
                        let count = if multiple {
                            tag.saturating_sub(settled)
                        } else {
                            1
                        };
                        run.refused.fetch_add(count, Ordering::Relaxed);
                    }
                    if multiple {
                        early = early.split_off(&(tag + 1));
                        settled = settled.max(tag);
                    } else if tag == settled + 1 {
                        settled = tag;
                    } else {
                        early.insert(tag);
                    }
                    while early.remove(&(settled + 1)) {
                        settled += 1;
                    }
                }
                Some((RETURN, ..)) => {
                    run.returned.fetch_add(1, Ordering::Relaxed);
                }
                _ => drop(check(frame.payload)?),
            }
        }
        if settled > before {
            let now = run.now();
            run.confirmed.fetch_add(settled - before, Ordering::Relaxed);
            let mut writes = lock(&unconfirmed.writes);
            let mut latencies = lock(&run.confirm_latencies);
            let mut at = before;
            while let Some((last, written)) = writes.front().copied() {
                let upto = last.min(settled);
                if upto > at {
                    latencies.record(now.saturating_sub(written), upto - at);
                    at = upto;
                }
                if last > settled {
                    break;
                }
                writes.pop_front();
            }
            drop((writes, latencies));
            unconfirmed.settled.store(settled, Ordering::SeqCst);
            if unconfirmed.waits.swap(false, Ordering::SeqCst) {
                producer.unpark();
            }
        }
    }
    Ok(())
}

/// Method, delivery tag and `multiple` of a method of `basic`.
fn answer(payload: &[u8]) -> Option<(u16, u64, bool)> {
    let (class, rest) = payload.split_first_chunk::<2>()?;
    let (method, rest) = rest.split_first_chunk::<2>()?;
    if u16::from_be_bytes(*class) != CLASS_BASIC {
        return None;
    }
    let method = u16::from_be_bytes(*method);
    if method != ACK && method != NACK {
        return Some((method, 0, false));
    }
    let (tag, rest) = rest.split_first_chunk::<8>()?;
    let multiple = rest.first()? & 1 != 0;
    Some((method, u64::from_be_bytes(*tag), multiple))
}

fn frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&CHANNEL.0.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

fn short(out: &mut Vec<u8>, text: &str) {
    let octets = &text.as_bytes()[..text.len().min(255)];
    out.push(octets.len() as u8);
    out.extend_from_slice(octets);
}

/// The frames of one message, and where its body begins if the time fits in.
fn message(run: &Run, index: usize, frame_max: usize) -> (Vec<u8>, Option<usize>) {
    let options = &run.options;
    let mut method = Vec::new();
    method.extend_from_slice(&CLASS_BASIC.to_be_bytes());
    method.extend_from_slice(&PUBLISH.to_be_bytes());
    method.extend_from_slice(&[0, 0]);
    short(&mut method, &options.exchange);
    short(&mut method, run.topology.key(index));
    method.push(u8::from(options.mandatory));
    let mut properties = AMQPProperties::default();
    if options.persistent {
        properties = properties.with_delivery_mode(properties::PERSISTENT);
    }
    let mut header = Vec::new();
    header.extend_from_slice(&CLASS_BASIC.to_be_bytes());
    header.extend_from_slice(&[0, 0]);
    header.extend_from_slice(&(options.size as u64).to_be_bytes());
    header.extend_from_slice(&properties::encode(&properties));
    let mut out = Vec::new();
    frame(&mut out, FRAME_METHOD, &method);
    frame(&mut out, FRAME_HEADER, &header);
    let time_at = out.len() + 7;
    let body = vec![b'x'; options.size];
    for part in body.chunks(frame_max - 8) {
        frame(&mut out, FRAME_BODY, part);
    }
    (out, (options.size >= 8).then_some(time_at))
}
