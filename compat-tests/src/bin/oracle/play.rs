//! Plays a script on both brokers in step: each line goes to both, and the next one only follows
//! when both have said equally much and are quiet.
//!
//! So nothing in a script has to say what it expects or how long to wait, and a broker that says
//! more or less than the other is waited for only as long as `patience`.

use crate::http;
use crate::probe::Probe;
use crate::script::Item;
use crate::script::Line;
use crate::script::MethodStep;
use crate::script::Place;
use crate::script::Script;
use crate::script::Step;
use crate::side::Endpoint;
use crate::side::Event;
use crate::side::Side;
use crate::transcript::Record;
use crate::transcript::normalise;
use crate::wire;
use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

/// How long to listen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tempo {
    /// Silence after which both are taken to be done, when they said equally much.
    pub(crate) grace: Duration,
    /// Silence after which they are taken to be done although they did not.
    pub(crate) patience: Duration,
}

/// The most messages that `drain` takes.
const DRAINED_MAX: usize = 1000;

/// The shortest wait for a side that differs.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

/// The longest an `await-queue` waits.
const AWAIT: Duration = Duration::from_secs(10);

struct Play {
    sides: [Side; 2],
    probes: [Option<Probe>; 2],
    events: Receiver<Event>,
    tempo: Tempo,
    /// How long to wait for a side that has said less than the other.
    patience: Duration,
    /// Channels to open again when they were closed.
    kept_open: Vec<Place>,
    /// Queues that must hold equally much before the next line.
    kept_even: Vec<String>,
    /// Those that were waited for in vain.
    uneven_queues: Vec<String>,
    /// Differences in what was said that were waited out already.
    uneven: HashMap<String, i64>,
}

/// RabbitMQ's records and Leveret's; an error is a mistake of the script's or of the rig's.
pub(crate) fn play(
    script: &Script,
    id: &str,
    endpoints: &[Endpoint; 2],
    tempo: Tempo,
) -> Result<[Vec<Record>; 2], String> {
    let (sender, events) = channel();
    let side = |index: usize| Side::new(index, endpoints[index].clone(), id, sender.clone());
    let mut play = Play {
        sides: [side(0), side(1)],
        probes: [None, None],
        events,
        tempo,
        patience: tempo.patience,
        kept_open: Vec::new(),
        kept_even: Vec::new(),
        uneven_queues: Vec::new(),
        uneven: HashMap::new(),
    };
    drop(sender);
    let outcome = script.items.iter().try_for_each(|item| play.item(item));
    for side in &mut play.sides {
        side.finish();
        normalise(&mut side.records);
    }
    outcome.map_err(|reason| format!("{}: {reason}", script.name))?;
    Ok(play.sides.map(|side| side.records))
}

impl Play {
    fn item(&mut self, item: &Item) -> Result<(), String> {
        match item {
            Item::One(line) => {
                let places = self.line(line)?;
                self.settle(&places)?;
            }
            Item::Together(lines) => {
                let mut places = Vec::new();
                for line in lines {
                    places.extend(self.line(line)?);
                }
                places.dedup();
                self.settle(&places)?;
            }
        }
        self.even()?;
        self.reopen()
    }

    /// Waits until the queues that are kept even hold equally much; each that does not is waited for once.
    fn even(&mut self) -> Result<(), String> {
        let mut has_waited = false;
        for queue in self.kept_even.clone() {
            let until = Instant::now() + self.patience;
            loop {
                let counts = [self.counts(0, &queue)?, self.counts(1, &queue)?];
                let [left, right] = counts.map(|counts| counts.map(|(messages, _)| messages));
                let is_even = left == right;
                let known = self.uneven_queues.iter().position(|other| *other == queue);
                match known {
                    Some(index) if is_even => drop(self.uneven_queues.remove(index)),
                    Some(_) => break,
                    None => {}
                }
                if is_even {
                    break;
                }
                if Instant::now() > until {
                    self.uneven_queues.push(queue);
                    break;
                }
                has_waited = true;
                self.hear_one(Duration::from_millis(5));
            }
        }
        if has_waited {
            self.settle(&[])?;
        }
        Ok(())
    }

    fn counts(&mut self, index: usize, queue: &str) -> Result<Option<(u64, u64)>, String> {
        let probe = match &mut self.probes[index] {
            Some(probe) => probe,
            none => none.insert(Probe::open(&self.sides[index].endpoint)?),
        };
        probe.counts(queue)
    }

    fn reopen(&mut self) -> Result<(), String> {
        let mut is_opening = false;
        for place in &self.kept_open {
            for side in &mut self.sides {
                is_opening |= side.reopen(place)?;
            }
        }
        if is_opening {
            self.settle(&[])?;
        }
        Ok(())
    }

    fn drain(&mut self, place: &Place, queue: &str) -> Result<(), String> {
        let text = format!(
            "{}{} basic.get queue={queue} no-ack",
            place.connection, place.channel
        );
        let step = Step::parse(&text)?;
        let Step::Method(step) = &step else {
            return Ok(());
        };
        for _ in 0..DRAINED_MAX {
            let before = [0, 1].map(|index| self.sides[index].came(place, "basic.get-ok"));
            self.method([step, step])?;
            self.settle(&[])?;
            let after = [0, 1].map(|index| self.sides[index].came(place, "basic.get-ok"));
            if before == after {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a line as often as it says; the channels that it used.
    fn line(&mut self, line: &Line) -> Result<Vec<Place>, String> {
        let mut places = Vec::new();
        for index in 1..=line.times {
            for side in &mut self.sides {
                side.line = line.number;
                side.variables.insert("n", index.to_string());
            }
            let wrong = |reason| format!("line {}: {reason}", line.number);
            if let Some(place) = self.step(line).map_err(wrong)?
                && !places.contains(&place)
            {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn step(&mut self, line: &Line) -> Result<Option<Place>, String> {
        let steps = [
            Step::parse(&self.sides[0].substituted(&line.text))?,
            Step::parse(&self.sides[1].substituted(&line.text))?,
        ];
        if let [Step::Method(left), Step::Method(right)] = &steps {
            return self.method([left, right]);
        }
        match &steps[0] {
            Step::Wait {
                place,
                what,
                count,
                seconds,
            } => return self.wait(place, what, *count, *seconds),
            Step::Pause { milliseconds } => {
                self.listen(Duration::from_millis(*milliseconds));
                return Ok(None);
            }
            Step::KeepOpen { places } => {
                self.kept_open.clone_from(places);
                return Ok(None);
            }
            Step::KeepEven { queues } => {
                self.kept_even.clone_from(queues);
                return Ok(None);
            }
            Step::Drain { place, queue } => {
                self.drain(place, queue)?;
                return Ok(None);
            }
            _ => {}
        }
        for (index, step) in steps.iter().enumerate() {
            self.simple(index, step)?;
        }
        Ok(None)
    }

    fn method(&mut self, steps: [&MethodStep; 2]) -> Result<Option<Place>, String> {
        let mut is_opening = false;
        if !steps[0].bluntly {
            for (side, step) in self.sides.iter_mut().zip(steps) {
                is_opening |= side.prepare(step)?;
            }
        }
        if is_opening {
            self.settle(&[])?;
        }
        for (side, step) in self.sides.iter_mut().zip(steps) {
            if side.is_known(&step.place.connection) {
                side.send_method(step)?;
            }
        }
        // An answer says as much as a barrier, and nothing may follow some methods before it came.
        let needs_barrier = !steps[0].bluntly && !steps[0].awaits_answer();
        Ok(needs_barrier.then(|| steps[0].place.clone()))
    }

    /// A step that waits for nothing on the other side.
    fn simple(&mut self, index: usize, step: &Step) -> Result<(), String> {
        let side = &mut self.sides[index];
        match step {
            Step::Connect { name, fields } => side.connect(name, fields),
            Step::Socket { name } => side.open_socket(name),
            Step::Drop { name } => side.drop_connection(name),
            Step::Manual { name } => side.set_manual(name),
            Step::Bytes { name, bytes } => side.send(name, bytes),
            Step::Frame {
                place,
                kind,
                payload,
            } => side.send_part(place, *kind, payload),
            Step::Header {
                place,
                class,
                weight,
                size,
                fields,
            } => {
                let payload = fields.header(*class, *weight, *size)?;
                side.send_part(place, wire::HEADER, &payload)
            }
            Step::Body { place, body } => side.send_part(place, wire::BODY, body),
            Step::AwaitQueue {
                queue,
                messages,
                consumers,
            } => self.await_queue(index, queue, (*messages, *consumers)),
            Step::Http {
                method,
                path,
                body,
                pick,
            } => self.http(index, method, path, body, pick),
            Step::Method(_)
            | Step::Wait { .. }
            | Step::Pause { .. }
            | Step::KeepOpen { .. }
            | Step::KeepEven { .. }
            | Step::Drain { .. } => Ok(()),
        }
    }

    fn http(
        &mut self,
        index: usize,
        method: &str,
        path: &str,
        body: &str,
        pick: &[String],
    ) -> Result<(), String> {
        let side = &mut self.sides[index];
        let answer = http::request(side.endpoint.http, method, path, body)?;
        let mut text = answer.status.to_string();
        let picked = (!pick.is_empty() && answer.status < 300)
            .then(|| serde_json::from_str::<serde_json::Value>(&answer.body).ok())
            .flatten();
        if let Some(json) = picked {
            for name in pick {
                let value = json.pointer(&format!("/{}", name.replace('.', "/")));
                let value = value.map_or_else(|| "(none)".to_owned(), ToString::to_string);
                text.push_str(&format!(" {name}={value}"));
            }
        } else if answer.status >= 400 {
            text.push(' ');
            text.push_str(&answer.body);
        }
        side.record("http", &text);
        Ok(())
    }

    fn await_queue(
        &mut self,
        index: usize,
        queue: &str,
        wanted: (Option<u64>, Option<u64>),
    ) -> Result<(), String> {
        let until = Instant::now() + AWAIT;
        loop {
            let found = self.counts(index, queue)?;
            let fits = |wanted: Option<u64>, got| wanted.is_none_or(|wanted| wanted == got);
            let is_reached = match found {
                None => wanted == (None, None),
                Some((messages, consumers)) => {
                    wanted != (None, None) && fits(wanted.0, messages) && fits(wanted.1, consumers)
                }
            };
            if is_reached {
                return Ok(());
            }
            if Instant::now() > until {
                let text = format!("(waited in vain, queue {queue} has {found:?})");
                self.sides[index].record("queues", &text);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait(
        &mut self,
        place: &Place,
        what: &str,
        count: usize,
        seconds: u64,
    ) -> Result<Option<Place>, String> {
        let until = Instant::now() + Duration::from_secs(seconds);
        while self.sides.iter().any(|side| side.came(place, what) < count) {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            self.hear_one(rest);
        }
        for side in &mut self.sides {
            let came = side.came(place, what);
            if came < count {
                let stream = format!("{}{}", place.connection, place.channel);
                side.record(
                    &stream,
                    &format!("(waited in vain: {came} of {count} {what})"),
                );
            }
            side.waited(place, what, count.min(came));
        }
        Ok(None)
    }

    /// Waits at most `patience` for one event; whether there was one.
    fn hear_one(&mut self, patience: Duration) -> bool {
        match self.events.recv_timeout(patience) {
            Ok(event) => {
                self.sides[event.side].hear(event.connection, &event.octets);
                true
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => false,
            // No connection is open: nothing will come.
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                false
            }
        }
    }

    fn listen(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            self.hear_one(rest);
        }
    }

    /// Until both have answered, said equally much and are quiet.
    fn settle(&mut self, places: &[Place]) -> Result<(), String> {
        for place in places {
            for side in &mut self.sides {
                if side.is_known(&place.connection) {
                    side.send_barrier(place)?;
                }
            }
        }
        let mut last = Instant::now();
        loop {
            let is_even = !self.sides.iter().any(Side::is_waiting) && self.is_even();
            let limit = if is_even {
                self.tempo.grace
            } else {
                self.patience
            };
            let rest = limit.saturating_sub(last.elapsed());
            if rest.is_zero() {
                if !is_even {
                    self.give_up();
                }
                return Ok(());
            }
            if self.hear_one(rest) {
                last = Instant::now();
            }
        }
    }

    fn imbalance(&self) -> HashMap<String, i64> {
        let mut imbalance: HashMap<String, i64> = HashMap::new();
        for (side, sign) in self.sides.iter().zip([1, -1]) {
            for (stream, count) in side.counts() {
                *imbalance.entry(stream.to_owned()).or_default() += sign * count;
            }
        }
        imbalance.retain(|_, difference| *difference != 0);
        imbalance
    }

    fn is_even(&self) -> bool {
        self.imbalance() == self.uneven
    }

    /// The two differ here. Where one has ended its connection they differ in every line from now on, and each is waited for
    /// half as long as the one before.
    fn give_up(&mut self) {
        self.patience = (self.patience / 2).max(PATIENCE_MIN);
        for side in &mut self.sides {
            side.give_up();
        }
        self.uneven = self.imbalance();
    }
}
