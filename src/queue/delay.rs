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
use crate::queue::ready::held_bytes;
use crate::store::Record;

/// The header that asks for a delay.
pub const X_DELAY: &str = "x-delay";

/// So many octets are released at once of what must be read for that; the others follow at once.
const RELEASE_BYTES: u64 = 1024 * 1024;

/// When a message is due, and its position: what came first goes first.
type Turn = (u64, u64);

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Delayed {
    here: BTreeMap<Turn, Run>,
    /// What [`held_bytes`] says of all that are here.
    held_bytes: u64,
    /// Those that are in the store and nowhere else, with what they take in memory.
    away: BTreeMap<Turn, u64>,
}

/// One that is due.
enum Due {
    Here(Run),
    Away(u64),
}

impl Delayed {
    pub(super) fn len(&self) -> u64 {
        (self.here.len() + self.away.len()) as u64
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        let here = self.here.first_key_value().map(|(turn, _)| turn.0);
        let away = self.away.first_key_value().map(|(turn, _)| turn.0);
        [here, away].into_iter().flatten().min()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What those in memory take there.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(super) fn insert(&mut self, first: u64, run: &Run, enqueued_at: u64) {
        for (index, message) in run.iter().enumerate() {
            let delay = asked_delay(message.header()).unwrap_or(0);
            // It came at some time within that millisecond, so one more must begin before the delay is surely over.
            let due = enqueued_at
                .saturating_add(u64::try_from(delay).unwrap_or(0))
                .saturating_add(1);
            let alone = run.slice(index..index + 1).detached_if_sparse();
            self.held_bytes += held_bytes(&alone);
            self.here.insert((due, first + index as u64), alone);
        }
    }

    /// Leaves those that wait longest to the store, until the others take no more than this.
    pub(super) fn forget(&mut self, bytes_max: u64) {
        while self.held_bytes > bytes_max {
            let Some((turn, run)) = self.here.pop_last() else {
                return;
            };
            let bytes = held_bytes(&run);
            self.held_bytes -= bytes;
            self.away.insert(turn, bytes);
        }
    }

    /// What is due, but not too much of what must be read.
    fn take_due(&mut self, now: u64) -> Vec<(Turn, Due)> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < RELEASE_BYTES && self.next_due().is_some_and(|due| due <= now) {
            let here = self.here.first_key_value().map(|(turn, _)| *turn);
            let away = self.away.first_key_value().map(|(turn, _)| *turn);
            let is_here = here.is_some_and(|here| away.is_none_or(|away| here < away));
            if is_here {
                let Some((turn, run)) = self.here.pop_first() else {
                    break;
                };
                self.held_bytes -= held_bytes(&run);
                taken.push((turn, Due::Here(run)));
            } else {
                let Some((turn, held)) = self.away.pop_first() else {
                    break;
                };
                bytes += held;
                taken.push((turn, Due::Away(held)));
            }
        }
        taken
    }

    /// They could not be read.
    fn put_back(&mut self, due: Vec<(Turn, Due)>) {
        for (turn, due) in due {
            match due {
                Due::Here(run) => {
                    self.held_bytes += held_bytes(&run);
                    self.here.insert(turn, run);
                }
                Due::Away(bytes) => {
                    self.away.insert(turn, bytes);
                }
            }
        }
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

    /// What is due leaves as dead messages do. Reads what is away.
    pub(super) fn release_due(&mut self, now: u64) {
        let Some(delayed) = &mut self.delayed else {
            return;
        };
        let due = delayed.take_due(now);
        let mut away: Vec<u64> = due
            .iter()
            .filter(|(_, due)| matches!(due, Due::Away(_)))
            .map(|((_, position), _)| *position)
            .collect();
        away.sort_unstable();
        let Some(mut read) = self.read_stored(&away) else {
            if let Some(delayed) = &mut self.delayed {
                delayed.put_back(due);
            }
            return;
        };
        for ((_, position), due) in due {
            // What is not there was damaged, and told by the store.
            let run = match due {
                Due::Here(run) => Some(run),
                Due::Away(_) => read.remove(&position),
            };
            if let Some(run) = run {
                self.die(Reason::Expired, Some(Position(position)), run, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::queue::Memory;
    use crate::queue::Pager;
    use crate::queue::tests::QUEUE;
    use crate::queue::tests::paging::FakePager;
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
    fn what_waits_long_is_left_to_the_store() {
        let pager = Arc::new(FakePager::default());
        let mut queue = Queue::for_delayed(QUEUE, true, Position(1), 0);
        let reads = Arc::clone(&pager) as Arc<dyn Pager>;
        queue.page_with(Arc::new(Memory::new(0)), reads);
        let mut records = Vec::new();
        for delays in [&[300, 100, 500], &[200, 100, 400]] {
            queue.enqueue(messages(delays), 1000, &mut records);
            records.drain(..).for_each(|record| pager.apply(&record));
            queue.relieve();
        }
        assert_eq!(queue.delayed.as_ref().map(|all| all.held_bytes()), Some(0));
        assert_eq!(
            (queue.delayed_count(), queue.next_deadline()),
            (6, Some(1101))
        );
        queue.enqueue(messages(&[150]), 1000, &mut records);
        assert_eq!(taken(&mut queue, 1301), ["100", "100", "150", "200", "300"]);
        pager.lose(3..4);
        assert_eq!(taken(&mut queue, 1600), ["400"], "500 was damaged");
        assert_eq!((queue.delayed_count(), queue.next_deadline()), (0, None));
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
