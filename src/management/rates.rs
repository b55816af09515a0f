//! Rates: what counters were a while ago, for those objects that somebody looks at.
//!
//! Nobody else pays. Who asks for an object's figures has it sampled every few seconds from then on, by the HTTP thread,
//! until nobody has asked for a while. Samples that stand behind a chart are kept for ten minutes, others only as long as
//! the next rate needs them.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::management::query::RANGE_SECONDS_MAX;
use crate::management::query::Range;
use crate::model::ChannelId;
use crate::model::ConnectionId;
use crate::model::ExchangeName;
use crate::model::QueueId;
use crate::model::VhostName;

/// Between two samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// A sample younger than this says nothing about a rate yet.
const YOUNG_MS: u64 = 4000;

/// Who was not asked for in this time is not sampled any more.
const FORGET_MS: u64 = 120_000;

/// Samples behind a chart.
const HISTORY_MAX: usize = (RANGE_SECONDS_MAX / INTERVAL.as_secs()) as usize + 2;

/// Samples for the next rate.
const SAMPLES_MAX: usize = 2;

/// Objects whose rates are known at a time; further ones show a rate of 0.
const SUBJECTS_MAX: usize = 50_000;

/// Something with counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Node,
    Vhost(VhostName),
    Queue(QueueId),
    Exchange(VhostName, ExchangeName),
    Connection(ConnectionId),
    Channel(ConnectionId, ChannelId),
    ChannelAndQueue(ConnectionId, ChannelId, QueueId),
    /// With the exchange's id.
    ChannelAndExchange(ConnectionId, ChannelId, u64),
    /// With the exchange's id.
    QueueAndExchange(QueueId, u64),
}

#[derive(Default)]
struct Watched {
    samples: Samples,
    asked_at: u64,
    long: bool,
}

/// Times, each with the values of then: one behind the other, for lists look at very many of them.
#[derive(Default)]
struct Samples {
    flat: Vec<u64>,
    /// A time and its values.
    width: usize,
}

impl Samples {
    /// The oldest first.
    fn all(&self) -> impl DoubleEndedIterator<Item = (u64, &[u64])> {
        let samples = self.flat.chunks_exact(self.width.max(1));
        samples.map(|sample| (sample[0], &sample[1..]))
    }

    /// Puts one behind those that are there, of which the youngest stay.
    fn push(&mut self, at: u64, values: &[u64], most: usize) {
        self.width = values.len() + 1;
        let kept = (most - 1) * self.width;
        let surplus = self.flat.len().saturating_sub(kept);
        self.flat.drain(..surplus);
        self.flat.reserve_exact(self.width);
        self.flat.push(at);
        self.flat.extend_from_slice(values);
    }
}

impl Watched {
    fn add(&mut self, now: u64, values: &[u64]) {
        let last = self.samples.all().next_back();
        if last.is_some_and(|(at, _)| now < at.saturating_add(YOUNG_MS)) {
            return;
        }
        let most = if self.long { HISTORY_MAX } else { SAMPLES_MAX };
        self.samples.push(now, values, most);
    }

    /// What the values are compared with: the youngest sample that is old enough, else the oldest. And how many seconds ago that was.
    fn past(&self, now: u64) -> Option<(f64, &[u64])> {
        let old = |sample: &(u64, &[u64])| sample.0 + YOUNG_MS <= now;
        let found = self.samples.all().rev().find(old);
        let (at, values) = found.or(self.samples.all().next())?;
        (at < now).then(|| ((now - at) as f64 / 1000.0, values))
    }
}

/// What a value grew by in a second.
fn rate(now: u64, past: u64, seconds: f64) -> f64 {
    (now as f64 - past as f64) / seconds
}

/// Values of one moment with their rates, and those before if a chart is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) now: Vec<u64>,
    at: u64,
    rates: Vec<f64>,
    history: Vec<(u64, Vec<u64>)>,
}

/// All objects that somebody looks at.
#[derive(Default)]
pub(super) struct Meters(Mutex<Subjects>);

type Subjects = HashMap<Subject, Watched, RandomState>;

impl Meters {
    /// The rates of `values`, which are those of `subject` now. With `long` their history too.
    pub(super) fn look(
        &self,
        subject: Subject,
        now: u64,
        values: Vec<u64>,
        long: bool,
    ) -> Measured {
        let mut all = self.0.lock();
        let Some(watched) = watch(&mut all, subject, now) else {
            return Measured::still(now, values);
        };
        watched.long |= long;
        let rates = match watched.past(now) {
            Some((seconds, past)) => {
                let pairs = values.iter().zip(past);
                pairs
                    .map(|(now, past)| rate(*now, *past, seconds))
                    .collect()
            }
            None => vec![0.0; values.len()],
        };
        watched.add(now, &values);
        let history = match long {
            true => {
                let samples = watched.samples.all();
                samples.map(|(at, values)| (at, values.to_vec())).collect()
            }
            false => Vec::new(),
        };
        Measured {
            now: values,
            at: now,
            rates,
            history,
        }
    }

    /// The rate of the sum of some values.
    pub(super) fn rate(&self, subject: Subject, now: u64, values: &[u64], of: &[usize]) -> f64 {
        let mut all = self.0.lock();
        let Some(watched) = watch(&mut all, subject, now) else {
            return 0.0;
        };
        let sum = watched.past(now).map(|(seconds, past)| {
            let rates = of.iter().map(|at| rate(values[*at], past[*at], seconds));
            rates.sum()
        });
        watched.add(now, values);
        sum.unwrap_or(0.0)
    }

    /// Those to be sampled now; others are forgotten.
    pub(super) fn due(&self, now: u64) -> Vec<Subject> {
        let mut all = self.0.lock();
        all.retain(|_, watched| watched.asked_at.saturating_add(FORGET_MS) > now);
        if all.is_empty() {
            // Also the room that many objects took.
            *all = Subjects::default();
        }
        all.keys().cloned().collect()
    }

    /// Takes a sample; without values the object is gone.
    pub(super) fn sample(&self, subject: &Subject, now: u64, values: Option<&[u64]>) {
        let mut all = self.0.lock();
        match values {
            Some(values) => {
                if let Some(watched) = all.get_mut(subject) {
                    watched.add(now, values);
                }
            }
            None => {
                all.remove(subject);
            }
        }
    }
}

/// Notes that somebody asks for it; nothing if there is no room for one more.
fn watch(all: &mut Subjects, subject: Subject, now: u64) -> Option<&mut Watched> {
    if all.len() >= SUBJECTS_MAX && !all.contains_key(&subject) {
        return None;
    }
    let watched = all.entry(subject).or_default();
    watched.asked_at = now;
    Some(watched)
}

impl Measured {
    fn still(at: u64, now: Vec<u64>) -> Self {
        Self {
            rates: vec![0.0; now.len()],
            now,
            at,
            history: Vec::new(),
        }
    }

    /// Those of several objects together.
    pub(super) fn sum(all: impl IntoIterator<Item = Measured>) -> Self {
        let mut sum = Self::default();
        for measured in all {
            let len = sum.now.len().max(measured.now.len());
            sum.now.resize(len, 0);
            sum.rates.resize(len, 0.0);
            sum.at = sum.at.max(measured.at);
            for (index, value) in measured.now.iter().enumerate() {
                sum.now[index] += value;
            }
            for (index, rate) in measured.rates.iter().enumerate() {
                sum.rates[index] += rate;
            }
            for (at, values) in measured.history {
                match sum.history.binary_search_by_key(&at, |(at, _)| *at) {
                    Ok(found) => {
                        let pairs = sum.history[found].1.iter_mut().zip(values);
                        pairs.for_each(|(total, value)| *total += value);
                    }
                    Err(place) => sum.history.insert(place, (at, values)),
                }
            }
        }
        sum
    }

    /// The sum of some of its values.
    pub(super) fn total(&self, of: &[usize]) -> u64 {
        of.iter().filter_map(|index| self.now.get(*index)).sum()
    }

    /// Puts the sum of some values under `name`, and its rate under `name_details`.
    pub(super) fn put(
        &self,
        row: &mut Map<String, Value>,
        name: &str,
        of: &[usize],
        range: Option<Range>,
    ) {
        row.insert(name.to_owned(), json!(self.total(of)));
        row.insert(format!("{name}_details"), self.details(of, range));
    }

    /// The rate of the sum of some values, and samples of it.
    pub(super) fn details(&self, of: &[usize], range: Option<Range>) -> Value {
        let rates = of.iter().filter_map(|index| self.rates.get(*index));
        let rate: f64 = rates.sum();
        let Some(range) = range else {
            return json!({ "rate": rate });
        };
        let samples = self.samples(of, range);
        let (Some((newest, last)), Some((oldest, first))) = (samples.first(), samples.last())
        else {
            return json!({"rate": rate, "samples": [], "avg_rate": 0.0, "avg": 0.0});
        };
        let seconds = ((newest - oldest) as f64 / 1000.0).max(1.0);
        let sum: f64 = samples.iter().map(|(_, value)| *value as f64).sum();
        let rows = samples
            .iter()
            .map(|(at, value)| json!({"sample": value, "timestamp": at}));
        json!({
            "rate": rate,
            "samples": rows.collect::<Vec<_>>(),
            "avg_rate": (*last as f64 - *first as f64) / seconds,
            "avg": sum / samples.len() as f64,
        })
    }

    /// Newest first.
    fn samples(&self, of: &[usize], range: Range) -> Vec<(u64, u64)> {
        let step = range.step * 1000;
        let times = (0..=range.age / range.step).map(|n| self.at.saturating_sub(n * step));
        let sample = |time| {
            let after = self.history.partition_point(|(at, _)| *at <= time);
            let (_, values) = self.history.get(after.checked_sub(1)?)?;
            let values = of.iter().filter_map(|index| values.get(*index));
            Some((time, values.sum()))
        };
        times.map_while(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn a_rate_is_known_from_the_second_look_on() {
        let meters = Meters::default();
        let look = |now, value| meters.look(Subject::Node, now, vec![value], false).rates[0];
        assert_eq!(look(NOW, 100), 0.0);
        assert_eq!(look(NOW + 5000, 200), 20.0);
        // Against a sample that is old enough, not the one just taken.
        assert_eq!(look(NOW + 6000, 260), 160.0 / 6.0);
        assert_eq!(look(NOW + 11_000, 200), 0.0);
        assert_eq!(look(NOW + 21_000, 100), -10.0);
        // The same without what else is known.
        let rate = meters.rate(Subject::Node, NOW + 31_000, &[150], &[0]);
        assert_eq!(rate, 5.0);
        let sum = meters.rate(Subject::Queue(QueueId(1)), NOW, &[5, 5], &[0, 1]);
        assert_eq!(sum, 0.0);
        let sum = meters.rate(Subject::Queue(QueueId(1)), NOW + 5000, &[15, 10], &[0, 1]);
        assert_eq!(sum, 3.0);
    }

    #[test]
    fn what_nobody_looks_at_is_forgotten() {
        let meters = Meters::default();
        meters.look(Subject::Node, NOW, vec![1], false);
        assert_eq!(meters.due(NOW + FORGET_MS - 1), [Subject::Node]);
        meters.sample(&Subject::Node, NOW + 5000, Some(&[11]));
        assert_eq!(
            meters
                .look(Subject::Node, NOW + 10_000, vec![21], false)
                .rates,
            [2.0]
        );
        meters.sample(&Subject::Node, NOW, None);
        assert!(meters.due(NOW + 5000).is_empty());
        meters.look(Subject::Node, NOW, vec![1], false);
        assert!(meters.due(NOW + FORGET_MS).is_empty());
    }

    #[test]
    fn a_chart_has_samples_step_by_step_and_a_bound() {
        let meters = Meters::default();
        for n in 0..200 {
            meters.look(Subject::Node, NOW + n * 5000, vec![n], true);
        }
        let measured = meters.look(Subject::Node, NOW + 200 * 5000, vec![200], true);
        assert_eq!(measured.history.len(), HISTORY_MAX);
        let range = Range { age: 60, step: 5 };
        let details = measured.details(&[0], Some(range));
        let samples = details["samples"].as_array().unwrap();
        assert_eq!(samples.len(), 13);
        assert_eq!(
            samples[0],
            json!({"sample": 200, "timestamp": NOW + 200 * 5000})
        );
        assert_eq!(
            (details["avg_rate"].as_f64(), details["avg"].as_f64()),
            (Some(0.2), Some(194.0))
        );
    }

    #[test]
    fn sums_add_values_rates_and_history() {
        let meters = Meters::default();
        let subjects = ["a", "b"].map(|name| Subject::Vhost(VhostName::known(name)));
        for n in 0..3 {
            for subject in &subjects {
                meters.look(subject.clone(), NOW + n * 5000, vec![n * 5, 1], true);
            }
        }
        let all = subjects.map(|subject| meters.look(subject, NOW + 15_000, vec![15, 1], true));
        let sum = Measured::sum(all);
        assert_eq!(sum.now, [30, 2]);
        assert_eq!(sum.rates, [2.0, 0.0]);
        assert_eq!(sum.history.last(), Some(&(NOW + 15_000, vec![30, 2])));
    }
}
