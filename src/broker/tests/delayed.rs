//! Delayed exchanges: messages wait for their time, also over restarts, and then go where the named type sends them.

use super::exchange_types::declare;
use super::exchange_types::send_with;
use super::exchange_types::string;
use super::exchange_types::with_header;
use super::*;
use crate::model::Lsn;

const DELAYED: &str = "x-delayed-message";

/// A delayed exchange `x` and a queue behind it.
fn delayed(client: &mut Client, kind: &str, key: &str) {
    declare(client, "x", DELAYED, &[("x-delayed-type", string(kind))]).expect("declared");
    client.queue("q");
    client.bind_queue("x", "q", key);
}

fn after(delay: i64) -> AMQPProperties {
    with_header("x-delay", AMQPValue::LongLongInt(delay))
}

fn waiting(node: &Node, exchange: &str) -> Option<u64> {
    let vhost = node.vhost("/").expect("always there");
    vhost
        .exchange(exchange)
        .expect("declared")
        .messages_delayed()
}

/// Bodies and values of `x-delay`.
fn drained(client: &mut Client, queue: &str) -> Vec<(String, Option<AMQPValue>)> {
    let name = QueueName::known(queue);
    let got = std::iter::from_fn(|| client.get(CHANNEL, &name, true).expect("allowed"));
    got.map(|got| {
        let message = got.range.run.first();
        let headers = properties::headers(message.header());
        let delay = headers.and_then(|headers| headers.inner().get("x-delay").cloned());
        (String::from_utf8_lossy(message.body()).into_owned(), delay)
    })
    .collect()
}

#[test]
fn messages_come_when_their_time_has_come() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "direct", "k");
    for (body, delay) in [("late", 300), ("early", 100), ("also early", 100)] {
        send_with(&mut client, "x", "k", body, after(delay));
    }
    send_with(&mut client, "x", "other", "lost", after(50));
    assert_eq!(waiting(&node, "x"), Some(4));
    assert_eq!(node.messages("q"), (0, 0));
    let mut consumer = node.client();
    consumer.consumer("q");
    // It came at some time within the millisecond NOW.
    node.run_timers(NOW + 100);
    assert!(consumer.deliveries().is_empty());
    node.run_timers(NOW + 101);
    assert_eq!(bodies(&consumer.deliveries()), ["early", "also early"]);
    node.run_timers(NOW + 1000);
    assert_eq!(bodies(&consumer.deliveries()), ["late"]);
    assert_eq!(waiting(&node, "x"), Some(0));
}

#[test]
fn what_asks_for_no_delay_goes_at_once() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    let others = [
        persistent(),
        after(0),
        after(-5),
        with_header("x-delay", string("soon")),
        with_header("x-delay", AMQPValue::Boolean(true)),
        with_header("other", string("5")),
    ];
    for (number, properties) in others.into_iter().enumerate() {
        assert!(!send_with(
            &mut client,
            "x",
            "k",
            &number.to_string(),
            properties
        ));
    }
    assert_eq!(client.drain("q"), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(waiting(&node, "x"), Some(0));
}

#[test]
fn further_keys_wait_with_the_message() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "direct", "seen");
    client.queue("blind");
    client.bind_queue("x", "blind", "unseen");
    let keys = |key: &str| AMQPValue::FieldArray(vec![string(key)].into());
    let mut headers = FieldTable::default();
    headers.insert("x-delay".into(), AMQPValue::LongInt(10));
    headers.insert("CC".into(), keys("seen"));
    headers.insert("BCC".into(), keys("unseen"));
    let properties = persistent().with_headers(headers);
    send_with(&mut client, "x", "k", "m", properties);
    node.run_timers(NOW + 11);
    assert_eq!(client.drain("q"), ["m"]);
    assert_eq!(client.drain("blind"), ["m"]);
}

#[test]
fn the_header_is_negative_when_the_message_comes() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    let delays = [
        AMQPValue::LongInt(10),
        string("10"),
        AMQPValue::Double(10.9),
        AMQPValue::LongLongInt(-10),
    ];
    for (number, delay) in delays.into_iter().enumerate() {
        let properties = with_header("x-delay", delay);
        send_with(&mut client, "x", "k", &number.to_string(), properties);
    }
    node.run_timers(NOW + 11);
    let negative = |body: &str| (body.to_owned(), Some(AMQPValue::LongLongInt(-10)));
    assert_eq!(
        drained(&mut client, "q"),
        [negative("3"), negative("0"), negative("1"), negative("2")]
    );
}

#[test]
fn delays_are_not_bounded_by_32_bits() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    let year = 365 * 24 * 3600 * 1000;
    send_with(&mut client, "x", "k", "in a year", after(year));
    send_with(&mut client, "x", "k", "never", after(i64::MAX));
    node.run_timers(NOW + year as u64);
    assert_eq!(waiting(&node, "x"), Some(2));
    node.run_timers(NOW + year as u64 + 1);
    assert_eq!(client.drain("q"), ["in a year"]);
}

#[test]
fn any_type_is_delayed() {
    let node = Node::new();
    let mut client = node.client();
    for kind in [
        "direct",
        "topic",
        "fanout",
        "headers",
        "x-random",
        "x-modulus-hash",
        "x-consistent-hash",
        "x-local-random",
        "x-recent-history",
    ] {
        let entries = [("x-delayed-type", string(kind))];
        declare(&mut client, kind, DELAYED, &entries).expect("declared");
        let key = match kind {
            "x-local-random" => "",
            _ => "1",
        };
        client.queue("q");
        client.bind_queue(kind, "q", key);
        send_with(&mut client, kind, key, kind, after(10));
        assert_eq!(node.messages("q"), (0, 0), "{kind}");
        node.run_timers(NOW + 11);
        assert_eq!(client.drain("q"), [kind]);
    }
}

#[test]
fn a_wrong_type_is_refused_in_the_plugins_words() {
    let node = Node::new();
    let mut client = node.client();
    let missing = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    check_refused(declare(&mut client, "x", DELAYED, &[]), 406, missing);
    for (value, text) in [
        (AMQPValue::LongInt(1), missing),
        (
            string(DELAYED),
            "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
        ),
        (string("x-none"), "unknown exchange type 'x-none'"),
        (
            string("x-message-deduplication"),
            "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
        ),
    ] {
        let answer = declare(&mut client, "x", DELAYED, &[("x-delayed-type", value)]);
        check_refused(answer, 406, text);
    }
    declare(
        &mut client,
        "h",
        DELAYED,
        &[("x-delayed-type", string("x-consistent-hash"))],
    )
    .expect("declared");
    client.queue("q");
    check_refused(
        client.bind(to_queue("h", "q", "heavy")),
        406,
        "The binding key must be an integer: <<\"heavy\">>",
    );
}

#[test]
fn a_mandatory_message_is_returned_when_it_is_delayed_and_comes_nevertheless() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    assert!(send_with(&mut client, "x", "k", "m", after(10)));
    node.run_timers(NOW + 11);
    assert_eq!(client.drain("q"), ["m"]);
}

#[test]
fn a_confirm_waits_until_the_delayed_message_is_stored() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    let run = run_of("x", "k", &[("m", after(10))]);
    let publish = Publish {
        run,
        mandatory: false,
    };
    let published = client.publish(CHANNEL, publish).expect("published");
    assert!(published.commit > Lsn::NONE);
    assert!(published.refused.is_empty() && published.unrouted.is_empty());
}

#[test]
fn delayed_messages_survive_a_restart_and_come_at_their_time() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "topic", "a.#");
    send_with(&mut client, "x", "a.b", "later", after(1000));
    let transient = after(500).with_delivery_mode(1);
    send_with(&mut client, "x", "a", "missed", transient);
    send_with(&mut client, "x", "a", "gone", after(10));
    node.run_timers(NOW + 11);
    assert_eq!(client.drain("q"), ["gone"]);
    drop(client);
    let node = node.restarted().restarted();
    assert_eq!(waiting(&node, "x"), Some(2));
    node.run_timers(NOW + 700);
    let mut client = node.client();
    assert_eq!(client.drain("q"), ["missed"]);
    node.run_timers(NOW + 1000);
    assert!(client.drain("q").is_empty());
    node.run_timers(NOW + 1001);
    assert_eq!(client.drain("q"), ["later"]);
    drop(client);
    let node = node.restarted();
    assert_eq!(waiting(&node, "x"), Some(0));
    assert_eq!(node.messages("q"), (0, 0));
}

#[test]
fn what_waits_goes_with_its_exchange() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    send_with(&mut client, "x", "k", "m", after(10));
    let name = ExchangeName::known("x");
    client.delete_exchange(&name, false).expect("deleted");
    delayed(&mut client, "fanout", "");
    assert_eq!(waiting(&node, "x"), Some(0));
    node.run_timers(NOW + 11);
    assert_eq!(node.messages("q"), (0, 0));
    drop(client);
    let node = node.restarted();
    assert_eq!(waiting(&node, "x"), Some(0));
}

#[test]
fn an_auto_delete_exchange_takes_what_waits_with_it_when_its_last_queue_goes() {
    let node = Node::new();
    let mut client = node.client();
    client
        .declare_exchange(ExchangeDeclare {
            auto_delete: true,
            arguments: arguments(&[("x-delayed-type", string("fanout"))]),
            ..exchange("x", DELAYED)
        })
        .expect("declared");
    client.queue("q");
    client.bind_queue("x", "q", "");
    send_with(&mut client, "x", "k", "m", after(10));
    client
        .delete_queue(&QueueName::known("q"), false, false)
        .expect("deleted");
    let vhost = node.vhost("/").expect("always there");
    assert!(vhost.exchange("x").is_none());
    node.run_timers(NOW + 11);
}

#[test]
fn messages_are_delayed_wherever_the_exchange_stands() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    client.exchange("front", "fanout");
    client.queue("at once");
    client.bind(to_exchange("front", "x", "")).expect("bound");
    client.bind_queue("front", "at once", "");
    let to_alternate = [("alternate-exchange", string("x"))];
    declare(&mut client, "side", "direct", &to_alternate).expect("declared");
    assert!(
        !send_with(&mut client, "front", "k", "both", after(10)),
        "a queue has it already"
    );
    assert!(send_with(&mut client, "side", "k", "one", after(10)));
    assert_eq!(client.drain("at once"), ["both"]);
    node.run_timers(NOW + 11);
    assert_eq!(client.drain("q"), ["both", "one"]);
}

#[test]
fn an_alternate_exchange_gets_what_is_unroutable_when_its_time_has_come() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("alternate", "fanout");
    client.queue("unrouted");
    client.bind_queue("alternate", "unrouted", "");
    let entries = [
        ("x-delayed-type", string("direct")),
        ("alternate-exchange", string("alternate")),
    ];
    declare(&mut client, "x", DELAYED, &entries).expect("declared");
    send_with(&mut client, "x", "k", "m", after(10));
    assert!(client.drain("unrouted").is_empty());
    node.run_timers(NOW + 11);
    assert_eq!(client.drain("unrouted"), ["m"]);
}

#[test]
fn dead_messages_can_be_delayed() {
    let node = Node::new();
    let mut client = node.client();
    delayed(&mut client, "fanout", "");
    let declare = QueueDeclare {
        arguments: arguments(&[
            ("x-message-ttl", AMQPValue::LongInt(5)),
            ("x-dead-letter-exchange", string("x")),
        ]),
        ..queue("short")
    };
    client.declare_queue(declare).expect("declared");
    send_with(&mut client, "", "short", "m", after(10));
    node.run_timers(NOW + 5);
    assert_eq!((waiting(&node, "x"), node.messages("q")), (Some(1), (0, 0)));
    node.run_timers(NOW + 15);
    assert!(client.drain("q").is_empty());
    node.run_timers(NOW + 16);
    assert_eq!(client.drain("q"), ["m"]);
}
