//! What dying does to a message's properties: the `x-death` history, the first and the last death, no `expiration`
//! (specification §6.7); and who has died in a circle.
//!
//! Works on the wire form: the publisher's other headers pass through byte for byte, sorted by key as RabbitMQ sorts them
//! when it adds some. It knows no exchange and no queue but by name.

use crate::model::MessageRef;
use crate::model::Release;
use crate::protocol::properties;
use crate::protocol::properties::Fields;
use crate::protocol::raw_table;
use crate::protocol::raw_table::RawTable;
use crate::protocol::raw_table::RawValue;
use crate::queue::Reason;

const HISTORY: &str = "x-death";
/// Keys of the headers that a death replaces, the first of them only the first.
const FIRST: [&str; 3] = [
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
];
const LAST: [&str; 3] = [
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
];

/// Flags and property list of `message` after it has died in `queue` at `now` (milliseconds since the Unix epoch).
///
/// RabbitMQ 3.13 continues a history that a client has sent, RabbitMQ 4 only what queues have written.
pub(super) fn properties_of_dead(
    message: MessageRef<'_>,
    queue: &str,
    reason: Reason,
    now: u64,
    release: Release,
) -> Vec<u8> {
    let fields = Fields(message.header());
    let before = fields.headers_bytes().unwrap_or_default();
    let is_true = release == Release::V3 || message.traits().has_died();
    let history = history(before).filter(|_| is_true);
    let reason = reason.name().as_bytes();
    let same = |death: &&[u8]| {
        let text = |key| raw_table::entry(death, key).and_then(RawValue::text);
        text("queue") == Some(queue.as_bytes()) && text("reason") == Some(reason)
    };
    let repeated = history.iter().flatten().copied().find(same);
    let death = match repeated {
        Some(death) => again(death),
        None => first_death(message, before, queue, reason, now),
    };
    let mut deaths = vec![table_value(&death)];
    let others = history.iter().flatten().filter(|death| !same(death));
    deaths.extend(others.map(|death| table_value(death)));
    let deaths = raw_table::array(&deaths);
    // As in RabbitMQ 3.13: the exchange of this death, which an older one of the same pair need not share.
    let exchange = message.exchange().as_bytes();
    let texts = [exchange, queue.as_bytes(), reason].map(raw_table::long_string);
    let mut added: Vec<(&[u8], &[u8])> = vec![(HISTORY.as_bytes(), &deaths)];
    for (keys, replace) in [(FIRST, history.is_none()), (LAST, true)] {
        if replace {
            let keys = keys.map(str::as_bytes);
            added.extend(keys.into_iter().zip(texts.iter().map(|text| &text[..])));
        }
    }
    let table = raw_table::replaced(before, added);
    let properties = properties::with_headers(message.header(), &table);
    if message.traits().has_expiration() {
        properties::without_expiration(&properties)
    } else {
        properties
    }
}

/// Whether a message with these properties, dead for a reason other than `rejected`, has come back to `queue` without
/// having been rejected by anyone on its way.
pub(super) fn is_cycle(properties: &[u8], queue: &str) -> bool {
    let headers = Fields(properties).headers_bytes().unwrap_or_default();
    for death in history(headers).into_iter().flatten() {
        let text = |key| raw_table::entry(death, key).and_then(RawValue::text);
        if text("reason") == Some(Reason::Rejected.name().as_bytes()) {
            return false;
        }
        if text("queue") == Some(queue.as_bytes()) {
            return true;
        }
    }
    false
}

/// The tables of the deaths so far, newest first; `None` when there was none. What no broker can have written is left
/// out, as RabbitMQ leaves it out.
fn history(headers: &[u8]) -> Option<Vec<&[u8]>> {
    let deaths = raw_table::entry(headers, HISTORY)?.values()?;
    let whole = |death: &&[u8]| {
        let mut needed = [
            "exchange",
            "queue",
            "routing-keys",
            "reason",
            "count",
            "time",
        ]
        .iter();
        needed.all(|key| raw_table::entry(death, key).is_some())
    };
    Some(deaths.filter_map(RawValue::table).filter(whole).collect())
}

fn first_death(
    message: MessageRef<'_>,
    headers: &[u8],
    queue: &str,
    reason: &[u8],
    now: u64,
) -> Vec<u8> {
    let mut death = RawTable::new();
    // RabbitMQ's order, for some clients print it.
    if let Some(expiration) = Fields(message.header()).expiration() {
        death.text("original-expiration", expiration.as_bytes());
    }
    death.long("count", 1);
    death.text("reason", reason);
    death.text("queue", queue.as_bytes());
    death.timestamp("time", now / 1000);
    death.text("exchange", message.exchange().as_bytes());
    // Unless an earlier death has put another key in the place of all.
    let has_copies = message.traits().has_copies();
    let copied_to = has_copies
        .then(|| raw_table::entry(headers, "CC"))
        .flatten();
    let copied_to = copied_to.and_then(RawValue::values);
    let copied_to = copied_to.into_iter().flatten().filter_map(RawValue::text);
    let keys = std::iter::once(message.routing_key().as_bytes()).chain(copied_to);
    death.raw(
        b"routing-keys",
        &raw_table::array(keys.map(raw_table::long_string)),
    );
    death.finish()
}

/// The same death once more: only its count changes.
fn again(death: &[u8]) -> Vec<u8> {
    let count = raw_table::entry(death, "count").and_then(RawValue::long);
    let count = count.unwrap_or(0).saturating_add(1);
    let mut table = RawTable::new();
    let mut counted = false;
    for (key, value) in raw_table::entries(death) {
        if key == b"count" {
            if !counted {
                table.long("count", count);
            }
            counted = true;
        } else {
            table.raw(key, value.bytes());
        }
    }
    if !counted {
        table.long("count", count);
    }
    table.finish()
}

fn table_value(table: &[u8]) -> Vec<u8> {
    [b"F", table].concat()
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::basic::AMQPProperties;
    use amq_protocol::types::AMQPValue;
    use amq_protocol::types::FieldTable;
    use amq_protocol::types::ShortString;

    use super::*;
    use crate::model::ExchangeName;
    use crate::model::Run;
    use crate::model::RunBuilder;
    use crate::model::message;

    const NOW: u64 = 1_700_000_000_999;

    fn message(exchange: &str, key: &str, header: &[u8]) -> Run {
        let mut builder = RunBuilder::default();
        let route = message::route(&ExchangeName::known(exchange), key);
        let traits = properties::scan(header).expect("well-formed properties");
        builder.push(&route, header, b"body", traits);
        builder.finish()
    }

    fn die(run: &Run, queue: &str, reason: Reason) -> Vec<u8> {
        let header = properties_of_dead(run.first(), queue, reason, NOW, Release::V3);
        properties::scan(&header).expect("well-formed properties");
        header
    }

    fn table_of(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert(ShortString::from(*key), value.clone());
        }
        table
    }

    /// Keys of the deaths in their order on the wire, newest death first.
    fn keys(header: &[u8]) -> Vec<Vec<String>> {
        let table = Fields(header).headers_bytes().expect("has headers");
        let deaths = history(table).expect("has died");
        let keys = deaths.into_iter().map(|death| {
            let keys = raw_table::entries(death).map(|(key, _)| key);
            keys.map(|key| String::from_utf8_lossy(key).into_owned())
                .collect()
        });
        keys.collect()
    }

    /// Queue, reason and count of the deaths, newest first.
    fn deaths(header: &[u8]) -> Vec<String> {
        let table = Fields(header).headers_bytes().expect("has headers");
        let deaths = history(table).expect("has died");
        let shown = deaths.into_iter().map(|death| {
            let value = |key| raw_table::entry(death, key);
            let text = |key| {
                String::from_utf8_lossy(value(key).and_then(RawValue::text).unwrap_or_default())
                    .into_owned()
            };
            let count = value("count").and_then(RawValue::long).unwrap_or_default();
            format!("{} {} {count}", text("queue"), text("reason"))
        });
        shown.collect()
    }

    #[test]
    fn the_first_death_is_told_as_rabbitmq_tells_it() {
        let headers = table_of(&[
            ("b", AMQPValue::LongInt(1)),
            ("zz", AMQPValue::Boolean(true)),
        ]);
        let sent = AMQPProperties::default()
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_expiration("60000".into())
            .with_correlation_id("c".into());
        let run = message("x", "key", &properties::encode(&sent));
        let header = die(&run, "q", Reason::Rejected);

        let text = |text: &str| AMQPValue::LongString(text.into());
        let death = table_of(&[
            ("original-expiration", text("60000")),
            ("count", AMQPValue::LongLongInt(1)),
            ("reason", text("rejected")),
            ("queue", text("q")),
            ("time", AMQPValue::Timestamp(1_700_000_000)),
            ("exchange", text("x")),
            (
                "routing-keys",
                AMQPValue::FieldArray(vec![text("key")].into()),
            ),
        ]);
        let headers = table_of(&[
            ("b", AMQPValue::LongInt(1)),
            (
                "x-death",
                AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into()),
            ),
            ("x-first-death-exchange", text("x")),
            ("x-first-death-queue", text("q")),
            ("x-first-death-reason", text("rejected")),
            ("x-last-death-exchange", text("x")),
            ("x-last-death-queue", text("q")),
            ("x-last-death-reason", text("rejected")),
            ("zz", AMQPValue::Boolean(true)),
        ]);
        let expected = AMQPProperties::default()
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_correlation_id("c".into());
        assert_eq!(properties::decode(&header), Ok(expected));
        let order = "original-expiration count reason queue time exchange routing-keys";
        assert_eq!(keys(&header)[0].join(" "), order);
    }

    #[test]
    fn a_repeated_death_counts_and_moves_to_the_front() {
        let run = message("x", "key", &[0, 0]);
        let header = die(&run, "a", Reason::Expired);
        let header = die(&message("dlx", "b", &header), "b", Reason::Rejected);
        assert_eq!(deaths(&header), ["b rejected 1", "a expired 1"]);
        let header = die(&message("", "a", &header), "a", Reason::Expired);
        assert_eq!(deaths(&header), ["a expired 2", "b rejected 1"]);
        let header = die(&message("", "a", &header), "a", Reason::Rejected);
        assert_eq!(
            deaths(&header),
            ["a rejected 1", "a expired 2", "b rejected 1"]
        );

        let decoded = properties::decode(&header).expect("well-formed properties");
        let headers = decoded.headers().as_ref().expect("has headers").inner();
        let text = |key: &str| headers.get(key).and_then(crate::model::arguments::text);
        assert_eq!(text("x-first-death-queue"), Some("a"));
        assert_eq!(text("x-first-death-reason"), Some("expired"));
        assert_eq!(text("x-first-death-exchange"), Some("x"));
        assert_eq!(text("x-last-death-reason"), Some("rejected"));
        assert_eq!(text("x-last-death-exchange"), Some(""));
    }

    #[test]
    fn copied_keys_are_among_the_routing_keys() {
        let copies = vec![AMQPValue::LongString("other".into())];
        let headers = table_of(&[("CC", AMQPValue::FieldArray(copies.into()))]);
        let sent = AMQPProperties::default().with_headers(headers);
        let run = message("", "key", &properties::encode(&sent));
        let header = die(&run, "q", Reason::Expired);
        let table = Fields(&header).headers_bytes().expect("has headers");
        let death = history(table).expect("has died")[0];
        let keys = raw_table::entry(death, "routing-keys").and_then(RawValue::values);
        let keys: Vec<_> = keys.into_iter().flatten().map(RawValue::text).collect();
        assert_eq!(keys, [Some(&b"key"[..]), Some(b"other")]);
    }

    #[test]
    fn a_history_from_a_client_is_continued_or_replaced() {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let earlier = table_of(&[
            ("queue", text("q")),
            ("reason", text("rejected")),
            ("count", AMQPValue::LongInt(7)),
        ]);
        let mut whole = earlier.clone();
        whole.insert("exchange".into(), text("x"));
        whole.insert(
            "routing-keys".into(),
            AMQPValue::FieldArray(vec![text("q")].into()),
        );
        whole.insert("time".into(), AMQPValue::Timestamp(1));
        let history = vec![text("no table"), AMQPValue::FieldTable(whole)];
        for (sent, expected) in [
            (AMQPValue::FieldArray(history.into()), "q rejected 8"),
            (
                AMQPValue::FieldArray(vec![AMQPValue::FieldTable(earlier)].into()),
                "q rejected 1",
            ),
            (text("no history"), "q rejected 1"),
        ] {
            let sent = AMQPProperties::default().with_headers(table_of(&[("x-death", sent)]));
            let run = message("", "q", &properties::encode(&sent));
            assert_eq!(deaths(&die(&run, "q", Reason::Rejected)), [expected]);
        }
    }

    #[test]
    fn in_4_only_deaths_that_queues_have_told_count() {
        let forged = die(&message("x", "q", &[0, 0]), "q", Reason::Rejected);
        let sent = message("", "q", &forged);
        let header = properties_of_dead(sent.first(), "q", Reason::Expired, NOW, Release::V4);
        assert_eq!(deaths(&header), ["q expired 1"]);
        let decoded = properties::decode(&header).expect("well-formed properties");
        let headers = decoded.headers().as_ref().expect("has headers").inner();
        let text = |key: &str| headers.get(key).and_then(crate::model::arguments::text);
        assert_eq!(text("x-first-death-reason"), Some("expired"));

        let mut builder = RunBuilder::default();
        let told = sent.first().traits().with_death();
        builder.push(sent.first().route(), &forged, b"body", told);
        let sent = builder.finish();
        let header = properties_of_dead(sent.first(), "q", Reason::Expired, NOW, Release::V4);
        assert_eq!(deaths(&header), ["q expired 1", "q rejected 1"]);
    }

    #[test]
    fn a_cycle_is_broken_by_a_rejection_only() {
        let header = die(&message("", "a", &[0, 0]), "a", Reason::Expired);
        assert!(is_cycle(&header, "a"));
        assert!(!is_cycle(&header, "b"));
        let header = die(&message("", "b", &header), "b", Reason::Expired);
        assert!(is_cycle(&header, "a") && is_cycle(&header, "b"));
        let rejected = die(&message("", "c", &header), "c", Reason::Rejected);
        assert!(!is_cycle(&rejected, "a"));
        let header = die(&message("", "b", &rejected), "b", Reason::Expired);
        assert!(is_cycle(&header, "b") && !is_cycle(&header, "a"));
    }
}
