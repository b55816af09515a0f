//! The memory of a deduplication exchange: which values of a header it has seen lately (the community's plugin
//! `rabbitmq-message-deduplication`).

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use parking_lot::Mutex;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::arguments;
use crate::protocol::identity::identity;
use crate::queue::deduplication::X_DEDUPLICATION_HEADER;
use crate::vhost::Hasher;
use crate::vhost::letter::Letter;

const SIZE: &str = "x-cache-size";
const TTL: &str = "x-cache-ttl";
const PERSISTENCE: &str = "x-cache-persistence";
/// Bytes of values that one exchange remembers at most, whatever size was asked for.
const BYTES_MAX: usize = 64 << 20;
/// What remembering a value costs beside the value.
const ENTRY_BYTES: usize = 64;

struct Entry {
    expires_at: Option<u64>,
    /// Tells it from an older entry for the same value in `order`.
    number: u64,
}

#[derive(Default)]
struct Seen {
    entries: HashMap<Arc<[u8]>, Entry, Hasher>,
    /// Oldest first; entries that have been replaced are still in it.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
    next_number: u64,
}

/// See the module's documentation.
pub(super) struct Deduplication {
    size: usize,
    ttl: Option<u64>,
    seen: Mutex<Seen>,
}

/// A positive number, or a string that is one.
fn positive(value: &AMQPValue) -> Option<u64> {
    let number = match arguments::integer(value) {
        Some(number) => u64::try_from(number).ok(),
        None => arguments::text(value).and_then(|text| text.parse().ok()),
    };
    number.filter(|number| *number > 0)
}

impl Deduplication {
    pub(super) fn parse(arguments: &Arguments) -> Result<Self, AmqpError> {
        let refuse = |text: &'static str| Err(AmqpError::precondition_failed(text));
        let Some(size) = arguments.value(SIZE).and_then(positive) else {
            return refuse(
                "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
            );
        };
        let ttl = match arguments.value(TTL) {
            None => None,
            Some(value) => match positive(value) {
                Some(ttl) => Some(ttl),
                None => {
                    return refuse(
                        "Invalid argument, 'x-cache-ttl' must be an integer greater than 0",
                    );
                }
            },
        };
        match arguments.value(PERSISTENCE).map(arguments::text) {
            None | Some(Some("memory")) => Ok(Self {
                size: usize::try_from(size).unwrap_or(usize::MAX),
                ttl,
                seen: Mutex::default(),
            }),
            Some(Some("disk")) => {
                refuse("x-cache-persistence 'disk' is not supported by this version of Leveret")
            }
            Some(_) => {
                refuse("Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'")
            }
        }
    }

    /// Whether a message like this one was here before. If not, it is remembered.
    pub(super) fn is_duplicate(&self, letter: &Letter<'_>) -> bool {
        let Some(value) = letter.header_value(X_DEDUPLICATION_HEADER) else {
            return false;
        };
        let ttl = letter.header_value(TTL).and_then(|value| {
            let text = || arguments::text(value).and_then(|text| text.parse().ok());
            arguments::integer(value).or_else(text)
        });
        // A negative one is over before it began.
        let ttl = ttl.map_or(self.ttl, |ttl| Some(u64::try_from(ttl).unwrap_or(0)));
        let expires_at = ttl.map(|ttl| letter.now.saturating_add(ttl));
        let mut seen = self.seen.lock();
        !seen.insert(identity(value), expires_at, letter.now, self.size)
    }
}

impl Seen {
    /// Whether the value is new.
    fn insert(&mut self, value: Vec<u8>, expires_at: Option<u64>, now: u64, size: usize) -> bool {
        if let Some(known) = self.entries.get(&*value) {
            if known.expires_at.is_none_or(|expires_at| expires_at > now) {
                return false;
            }
            self.bytes -= value.len() + ENTRY_BYTES;
            self.entries.remove(&*value);
        }
        let cost = value.len() + ENTRY_BYTES;
        while !self.entries.is_empty()
            && (self.entries.len() >= size || self.bytes + cost > BYTES_MAX)
        {
            self.forget_oldest();
        }
        self.forget_replaced();
        let number = self.next_number;
        self.next_number += 1;
        let value: Arc<[u8]> = value.into();
        self.order.push_back((number, Arc::clone(&value)));
        self.entries.insert(value, Entry { expires_at, number });
        self.bytes += cost;
        true
    }

    fn forget_oldest(&mut self) {
        let Some((number, value)) = self.order.pop_front() else {
            return;
        };
        let current = self.entries.get(&value).map(|entry| entry.number);
        if current == Some(number) {
            self.entries.remove(&value);
            self.bytes -= value.len() + ENTRY_BYTES;
        }
    }

    /// Keeps `order` in proportion to `entries`.
    fn forget_replaced(&mut self) {
        if self.order.len() < 64 || self.order.len() < self.entries.len() * 2 {
            return;
        }
        let entries = &self.entries;
        let current = |number: &u64, value: &Arc<[u8]>| {
            let entry = entries.get(value);
            entry.is_some_and(|entry| entry.number == *number)
        };
        self.order.retain(|(number, value)| current(number, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(entries: &[(&str, AMQPValue)], text: &str) {
        let mut arguments = Arguments::default();
        for (name, value) in entries {
            arguments.set(name, value.clone());
        }
        let refusal = Deduplication::parse(&arguments).err().expect("refused");
        assert_eq!(refusal.text(), text);
    }

    #[test]
    fn arguments_are_judged() {
        let string = |text: &str| AMQPValue::LongString(text.into());
        let size = "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0";
        check_refused(&[], size);
        for wrong in [
            AMQPValue::LongInt(0),
            AMQPValue::LongInt(-1),
            AMQPValue::Boolean(true),
            string("many"),
        ] {
            check_refused(&[(SIZE, wrong)], size);
        }
        let sized = (SIZE, string("10"));
        check_refused(
            &[sized.clone(), (TTL, AMQPValue::LongInt(0))],
            "Invalid argument, 'x-cache-ttl' must be an integer greater than 0",
        );
        check_refused(
            &[sized.clone(), (PERSISTENCE, string("tape"))],
            "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'",
        );
        check_refused(
            &[sized, (PERSISTENCE, string("disk"))],
            "x-cache-persistence 'disk' is not supported by this version of Leveret",
        );
    }

    #[test]
    fn a_value_is_new_until_it_was_seen_and_again_when_it_has_expired() {
        let mut seen = Seen::default();
        let mut insert = |value: u8, ttl: Option<u64>, now| {
            seen.insert(vec![value], ttl.map(|t| now + t), now, 9)
        };
        assert!(insert(1, Some(10), 100));
        assert!(!insert(1, Some(10), 109));
        assert!(insert(1, None, 110));
        assert!(!insert(1, Some(1), u64::MAX - 1));
    }

    #[test]
    fn a_full_memory_forgets_the_oldest() {
        let mut seen = Seen::default();
        for value in 0..100u8 {
            assert!(seen.insert(vec![value], None, 0, 3));
        }
        assert_eq!((seen.entries.len(), seen.order.len()), (3, 3));
        assert!(!seen.insert(vec![97], None, 0, 3));
        assert!(seen.insert(vec![96], None, 0, 3));
        assert!(seen.insert(vec![97], None, 0, 3), "it was the oldest then");
    }

    #[test]
    fn values_that_expire_again_and_again_pile_nothing_up() {
        let mut seen = Seen::default();
        for now in 0..10_000 {
            assert!(seen.insert(vec![1], Some(now), now, 1000));
        }
        assert!(seen.order.len() <= 64);
        assert_eq!((seen.entries.len(), seen.bytes), (1, 1 + ENTRY_BYTES));
    }
}
