//! Lists: whole ones and pages, sorted by what clients want.

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
