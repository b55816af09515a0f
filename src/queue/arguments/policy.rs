//! What the arguments of a declaration and those of policies make together (specification §6.1, last column).

use amq_protocol::types::AMQPValue;

use crate::model::Arguments;
use crate::model::arguments;
use crate::queue::QueueType;

/// Which of two values a queue obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    Smaller,
    Declared,
    Policy,
}

fn winner(queue_type: QueueType, key: &str) -> Winner {
    match (key, queue_type) {
        ("x-expires" | "x-overflow", QueueType::Quorum) | ("x-queue-leader-locator", _) => {
            Winner::Policy
        }
        (_, QueueType::Stream) => Winner::Policy,
        // As the plugin has it that knows this argument.
        ("x-message-deduplication", _) => Winner::Policy,
        (
            "x-expires"
            | "x-message-ttl"
            | "x-max-length"
            | "x-max-length-bytes"
            | "x-max-in-memory-length"
            | "x-max-in-memory-bytes"
            | "x-delivery-limit"
            | "x-consumer-timeout",
            _,
        ) => Winner::Smaller,
        (_, _) => Winner::Declared,
    }
}

/// The arguments that a queue obeys: `declared` were judged, and so were those of the policies.
pub fn with_policy(queue_type: QueueType, declared: &Arguments, policy: &Arguments) -> Arguments {
    let mut merged = declared.clone();
    for (key, theirs) in policy.iter() {
        let policy_wins = match declared.value(key) {
            None => true,
            Some(own) => match winner(queue_type, key) {
                Winner::Policy => true,
                Winner::Declared => false,
                Winner::Smaller => number(theirs) < number(own),
            },
        };
        if policy_wins {
            merged.set(key, theirs.clone());
        }
    }
    merged
}

/// A negative limit is none.
fn number(value: &AMQPValue) -> u64 {
    let number = arguments::integer(value).and_then(|number| u64::try_from(number).ok());
    number.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> Arguments {
        let mut arguments = Arguments::default();
        for (key, value) in entries {
            arguments.set(key, value.clone());
        }
        arguments
    }

    #[track_caller]
    fn check(queue_type: QueueType, key: &str, declared: AMQPValue, policy: AMQPValue, wins: bool) {
        let expected = if wins { &policy } else { &declared };
        let (own, theirs) = (
            table(&[(key, declared.clone())]),
            table(&[(key, policy.clone())]),
        );
        let merged = with_policy(queue_type, &own, &theirs);
        assert_eq!(merged.value(key), Some(expected), "{key}");
    }

    #[test]
    fn numbers_are_the_smaller_and_all_else_the_declarations() {
        use AMQPValue::LongInt;
        use AMQPValue::LongLongInt;
        use QueueType::Classic;
        use QueueType::Quorum;
        let text = |text: &str| AMQPValue::LongString(text.into());
        for key in [
            "x-expires",
            "x-message-ttl",
            "x-max-length",
            "x-max-length-bytes",
        ] {
            check(Classic, key, LongInt(5), LongLongInt(6), false);
            check(Classic, key, LongInt(6), LongLongInt(5), true);
        }
        for key in [
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-overflow",
        ] {
            check(Classic, key, text("a"), text("b"), false);
        }
        check(
            Quorum,
            "x-overflow",
            text("drop-head"),
            text("reject-publish"),
            true,
        );
        check(Quorum, "x-expires", LongInt(5), LongLongInt(6), true);
        check(Quorum, "x-message-ttl", LongInt(5), LongLongInt(6), false);
        check(
            Quorum,
            "x-delivery-limit",
            LongInt(5),
            LongLongInt(6),
            false,
        );
        check(
            Quorum,
            "x-delivery-limit",
            LongInt(-1),
            LongLongInt(6),
            true,
        );
        check(
            Quorum,
            "x-dead-letter-strategy",
            text("a"),
            text("b"),
            false,
        );
    }

    #[test]
    fn what_only_one_side_has_holds() {
        let own = table(&[("x-message-ttl", AMQPValue::LongInt(5))]);
        let theirs = table(&[("x-max-length", AMQPValue::LongLongInt(6))]);
        let merged = with_policy(QueueType::Classic, &own, &theirs);
        assert_eq!(merged.value("x-message-ttl"), own.value("x-message-ttl"));
        assert_eq!(merged.value("x-max-length"), theirs.value("x-max-length"));
    }
}
