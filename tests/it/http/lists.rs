//! Lists: whole ones and pages, sorted by what clients want.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::broker::Broker;
use crate::web;
use crate::web::get;
use crate::wire::Wire;
use crate::wire::encode;

const COUNT: usize = 250;

/// Queues `q000` to `q249`, of which every fifth has a message.
fn with_queues() -> (Broker, Wire) {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    for n in (0..COUNT).rev() {
        let name = format!("q{n:03}");
        wire.declare_queue(&name, 0);
        if n % 5 == 0 {
            let publish = encode::publish(1, ("", &name), 0, encode::TRANSIENT, b"body");
            wire.send(&publish);
        }
    }
    // It is answered once everything before it has been done.
    wire.get(1, "q001", true);
    (broker, wire)
}

fn names(rows: &Value) -> Vec<&str> {
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|row| row["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn a_long_list_is_whole_and_sorted() {
    let (broker, _wire) = with_queues();
    let expected: Vec<String> = (0..COUNT).map(|n| format!("q{n:03}")).collect();
    for path in ["/api/queues", "/api/queues/%2F", "/api/queues?columns=name"] {
        assert_eq!(names(&get(broker.http(), path).json()), expected, "{path}");
    }
    let reversed = get(broker.http(), "/api/queues?sort_reverse=true&columns=name").json();
    assert!(names(&reversed).iter().rev().eq(&expected));
    assert_eq!(reversed[0], json!({"name": "q249"}));
    let bindings = get(broker.http(), "/api/bindings").json();
    assert_eq!(bindings.as_array().unwrap().len(), COUNT);
    assert_eq!(bindings[7]["destination"], "q007");
    let head = web::request(broker.http(), "HEAD", "/api/queues", Some("guest:guest"));
    assert_eq!((head.status, &*head.body), (200, ""));
}

#[test]
fn any_field_sorts_and_equal_ones_go_by_name() {
    let (broker, _wire) = with_queues();
    let first = |sort: &str| {
        let path = format!("/api/queues?page=1&page_size=2&{sort}");
        let page = get(broker.http(), &path).json();
        assert_eq!(page["total_count"], COUNT);
        names(&page["items"]).join(" ")
    };
    assert_eq!(first("sort=name"), "q000 q001");
    assert_eq!(first("sort=name&sort_reverse=true"), "q249 q248");
    for full in [
        "sort=messages&sort_reverse=true",
        "sort=messages_ready&sort_reverse=true",
        "sort=message_stats.publish&sort_reverse=true",
        "sort=message_bytes&sort_reverse=true",
    ] {
        assert_eq!(first(full), "q245 q240", "{full}");
    }
    for same in ["state", "type", "policy", "arguments.x-max-length", "none"] {
        assert_eq!(first(&format!("sort={same}")), "q000 q001", "{same}");
    }
    assert_eq!(first("sort=messages"), "q001 q002");
    let filtered = get(
        broker.http(),
        "/api/queues?page=2&page_size=20&name=Q1&sort=messages",
    )
    .json();
    assert_eq!(filtered["filtered_count"], 100);
    // Those without a message, then those with one.
    assert_eq!(filtered["items"][0]["name"], "q126");
}

/// RabbitMQ's order: numbers, words, tables, lists, texts; what is not there is as 0.
fn rank(value: &Value) -> (u8, f64, &str) {
    match value {
        Value::Null => (0, 0.0, ""),
        Value::Number(number) => (0, number.as_f64().unwrap(), ""),
        Value::Bool(word) => (1, f64::from(u8::from(*word)), ""),
        Value::Object(_) => (2, 0.0, ""),
        Value::Array(_) => (3, 0.0, ""),
        Value::String(text) => (4, 0.0, text),
    }
}

/// Dotted names of all that is in a row, tables among them.
fn fields(row: &Value, under: &str, found: &mut BTreeSet<String>) {
    for (name, value) in row.as_object().into_iter().flatten() {
        let name = format!("{under}{name}");
        fields(value, &format!("{name}."), found);
        found.insert(name);
    }
}

fn field<'r>(row: &'r Value, name: &str) -> &'r Value {
    let names = name.split('.');
    names.fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}

#[test]
fn whatever_rows_show_sorts_them() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    let mut consumer = Wire::with_channel(broker.amqp());
    let kinds = ["classic", "quorum", "stream"];
    for (n, kind) in (0..12_usize).zip(kinds.into_iter().cycle()) {
        let name = format!("q{:02}", n * 7 % 12);
        let body = json!({
            "durable": kind != "classic" || n % 2 == 0,
            "arguments": {"x-queue-type": kind, "x-max-length-bytes": 1000 + n * 5 % 12},
        });
        let path = format!("/api/queues/%2F/{name}");
        let put = web::put(broker.http(), &path, &body);
        assert_eq!(put.status, 201, "{}", put.body);
        for _ in 0..n * 11 % 12 {
            let publish = encode::publish(1, ("", &name), 0, encode::PERSISTENT, b"body");
            wire.send(&publish);
        }
        if kind != "stream" && n % 4 > 0 {
            wire.get(1, &name, n % 2 == 0);
            let flags = if n % 3 == 0 { encode::EXCLUSIVE } else { 0 };
            if n > 6 && kind == "classic" {
                consumer.call(&encode::consume(1, &name, flags), (60, 21));
            }
        }
    }
    let policy = json!({"pattern": "q0[3-9]", "definition": {"max-length": 50}, "priority": 1});
    let put = web::put(broker.http(), "/api/policies/%2F/some", &policy);
    assert_eq!(put.status, 201, "{}", put.body);
    let mut columns = BTreeSet::from(["none.at.all".to_owned()]);
    for row in get(broker.http(), "/api/queues").json().as_array().unwrap() {
        fields(row, "", &mut columns);
    }
    assert!(columns.len() > 60, "{columns:?}");
    for column in columns {
        for (stats, detail) in [
            ("", 12),
            ("&disable_stats=true&enable_queue_totals=true", 12),
        ] {
            let path = format!("/api/queues?sort={column}{stats}");
            let rows = get(broker.http(), &path).json();
            let rows = rows.as_array().unwrap();
            assert_eq!(rows.len(), detail);
            let shown: Vec<_> = rows.iter().map(|row| field(row, &column)).collect();
            // Without figures queues are sorted by some of them all the same.
            let is_shown = stats.is_empty() || shown.iter().any(|value| !value.is_null());
            let sorted = shown.is_sorted_by(|left, right| rank(left) <= rank(right));
            assert!(sorted || !is_shown, "{path}: {shown:?}");
        }
    }
}
