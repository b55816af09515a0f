//! The messages of a delayed exchange that wait for their time: a queue that delivers to nobody.
//!
//! Whoever owns the exchange takes out what is due as it takes dead messages out, routes it, and settles it only then: a
//! crash in between repeats messages and loses none. The time counts from when the message came, also after a restart.
//! All messages are stored when the exchange is durable, as in the community's plugin, persistent or not.

use std::collections::BTreeMap;

use amq_protocol::types::AMQPValue;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::model::arguments::integer;
use crate::protocol::properties;
use crate::queue::Queue;
use crate::queue::QueueOptions;
use crate::queue::Reason;
use crate::store::Record;

/// The header that asks for a delay.
pub const X_DELAY: &str = "x-delay";

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Delayed {
    /// By time and then by position, so that what came first goes first.
    waiting: BTreeMap<(u64, u64), Run>,
}

impl Delayed {
    pub(super) fn len(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn insert(&mut self, first: u64, run: &Run, enqueued_at: u64) {
        for (index, message) in run.iter().enumerate() {
            let delay = asked_delay(message.header()).unwrap_or(0);
            // It came at some time within that millisecond, so one more must begin before the delay is surely over.
            let due = enqueued_at
                .saturating_add(u64::try_from(delay).unwrap_or(0))
                .saturating_add(1);
            let alone = run.slice(index..index + 1).detached_if_sparse();
            self.waiting.insert((due, first + index as u64), alone);
        }
    }

    fn take_due(&mut self, now: u64) -> impl Iterator<Item = (u64, Run)> + use<> {
        let later = self.waiting.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut self.waiting, later);
        due.into_iter().map(|((_, position), run)| (position, run))
    }
}

/// The delay in milliseconds that a message with these properties asks for: an integer, a string that is one, or a
/// fraction, which is cut. What is none of these asks for nothing.
pub fn asked_delay(header: &[u8]) -> Option<i64> {
    let headers = properties::headers(header)?;
    let value = headers.inner().get(X_DELAY)?;
    if let Some(number) = integer(value) {
        return Some(number);
    }
    if let AMQPValue::LongString(text) = value {
        let text = std::str::from_utf8(text.as_bytes()).ok()?;
        return decimal(text);
    }
    // `as` cuts, and keeps what is out of range at the range's end.
    if let AMQPValue::Double(number) = value {
        Some(*number as i64)
    } else if let AMQPValue::Float(number) = value {
        Some(*number as i64)
    } else {
        None
    }
}

/// A whole number; one too large for 64 bits is the largest.
fn decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let largest = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Some(text.parse().unwrap_or(largest))
}

impl Queue {
    /// An empty one for the messages of a delayed exchange.
    pub fn for_delayed(id: QueueId, durable: bool, next_position: Position, now: u64) -> Self {
        let options = QueueOptions {
            durable,
            ..QueueOptions::default()
        };
        Self {
            delayed: Some(Box::default()),
            ..Self::new(id, options, next_position, now)
        }
    }

    /// How many messages wait for their time.
    pub fn delayed_count(&self) -> u64 {
        self.delayed.as_ref().map_or(0, |delayed| delayed.len())
    }

    pub(super) fn delay(&mut self, first: u64, run: &Run, now: u64, records: &mut Vec<Record>) {
        if self.options.durable {
            records.push(Record::Put {
                run: run.clone(),
                targets: vec![(self.id, Position(first))],
                enqueued_at: now,
            });
        }
        if let Some(delayed) = &mut self.delayed {
            delayed.insert(first, run, now);
        }
    }

    /// What is due leaves as dead messages do.
    pub(super) fn release_due(&mut self, now: u64) {
        let Some(delayed) = &mut self.delayed else {
            return;
        };
        for (position, run) in delayed.take_due(now) {
            self.die(Reason::Expired, Some(Position(position)), run, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::protocol::basic::AMQPProperties;
    use amq_protocol::types::FieldTable;

    fn header_with(value: AMQPValue) -> Vec<u8> {
        let mut headers = FieldTable::default();
        headers.insert(X_DELAY.into(), value);
        properties::encode(&AMQPProperties::default().with_headers(headers))
    }

    #[track_caller]
    fn check_delay(value: AMQPValue, expected: Option<i64>) {
        let shown = format!("{value:?}");
        assert_eq!(asked_delay(&header_with(value)), expected, "{shown}");
    }

    #[test]
    fn a_delay_is_whatever_reads_as_a_number() {
        let string = |text: &str| AMQPValue::LongString(text.into());
        check_delay(AMQPValue::LongInt(5000), Some(5000));
        check_delay(AMQPValue::LongLongInt(1 << 40), Some(1 << 40));
        check_delay(AMQPValue::ShortShortUInt(7), Some(7));
        check_delay(AMQPValue::LongInt(-5), Some(-5));
        check_delay(string("5000"), Some(5000));
        check_delay(string("+5"), Some(5));
        check_delay(string("-5"), Some(-5));
        check_delay(string("99999999999999999999"), Some(i64::MAX));
        check_delay(string("-99999999999999999999"), Some(i64::MIN));
        check_delay(AMQPValue::Double(1500.9), Some(1500));
        check_delay(AMQPValue::Float(2.5), Some(2));
        check_delay(AMQPValue::Double(1e300), Some(i64::MAX));
        for text in ["", "soon", "5s", "-", "1.5"] {
            check_delay(string(text), None);
        }
        check_delay(AMQPValue::Boolean(true), None);
        check_delay(AMQPValue::Void, None);
        assert_eq!(
            asked_delay(&properties::encode(&AMQPProperties::default())),
            None
        );
    }

    fn messages(delays: &[i64]) -> Run {
        let mut builder = crate::model::RunBuilder::default();
        for delay in delays {
            let header = header_with(AMQPValue::LongLongInt(*delay));
            let traits = properties::scan(&header).expect("well-formed");
            builder.push(&[0, 0], &header, delay.to_string().as_bytes(), traits);
        }
        builder.finish()
    }

    fn taken(queue: &mut Queue, now: u64) -> Vec<String> {
        queue.tick(now, &mut Vec::new());
        let dead = queue.take_dead();
        let bodies = dead.iter().flat_map(|dead| dead.run.iter());
        bodies
            .map(|message| String::from_utf8_lossy(message.body()).into_owned())
            .collect()
    }

    #[test]
    fn messages_leave_when_they_are_due_in_the_order_of_their_times() {
        let mut queue = Queue::for_delayed(QueueId(1), true, Position(1), 0);
        let mut records = Vec::new();
        queue.enqueue(messages(&[300, 100, 200, 100]), 1000, &mut records);
        assert_eq!(queue.delayed_count(), 4);
        assert_eq!(queue.counts().ready, 0, "nobody can take them");
        assert_eq!(queue.next_deadline(), Some(1101));
        assert!(taken(&mut queue, 1100).is_empty());
        assert_eq!(taken(&mut queue, 1101), ["100", "100"]);
        queue.enqueue(messages(&[1]), 1150, &mut records);
        assert_eq!(taken(&mut queue, 1400), ["1", "200", "300"]);
        assert_eq!((queue.delayed_count(), queue.next_deadline()), (0, None));
        let mut stored = 0;
        for record in &records {
            if let Record::Put { run, .. } = record {
                stored += run.len();
            }
        }
        assert_eq!(stored, 5, "transient or not");
    }

    #[test]
    fn restored_messages_keep_their_time() {
        let mut queue = Queue::for_delayed(QueueId(1), true, Position(1), 0);
        queue.restore(Position(5), messages(&[i64::MAX, 500]), true, 1000);
        assert_eq!(queue.next_deadline(), Some(1501));
        assert_eq!(taken(&mut queue, 9_999_999), ["500"]);
        let mut records = Vec::new();
        queue.enqueue(messages(&[1]), 1000, &mut records);
        assert!(
            matches!(&records[..], [Record::Put { targets, .. }] if targets[0].1 == Position(7))
        );
        queue.delete(&mut records);
        assert_eq!((queue.delayed_count(), queue.next_deadline()), (0, None));
    }
}
