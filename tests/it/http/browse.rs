//! Looking into a queue: everything is seen, and nothing is touched.

use serde_json::json;

use super::check_fields;
use crate::broker::Broker;
use crate::web;
use crate::web::get;
use crate::wire::Wire;

fn publish(broker: &Broker, body: &str, headers: serde_json::Value) {
    let message = json!({
        "routing_key": "q", "payload": body, "payload_encoding": "string",
        "properties": {"headers": headers, "delivery_mode": 2},
    });
    let path = "/api/exchanges/%2F/amq.default/publish";
    let answer = web::with_body(
        broker.http(),
        "POST",
        path,
        "guest:guest",
        &message.to_string(),
    );
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"routed": true}))
    );
}

#[test]
fn ready_messages_are_shown_by_position_and_filtered() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    for n in 0..5 {
        publish(
            &broker,
            &format!("order {n}"),
            json!({"n": n, "kind": "order"}),
        );
    }
    let before = get(broker.http(), "/api/queues/%2F/q").json();
    let look = |query: &str| {
        let answer = get(broker.http(), &format!("/api/queues/%2F/q/messages{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        answer.json()
    };
    let all = look("");
    assert_eq!(all["next_position"], json!(null));
    assert_eq!(all["messages"].as_array().unwrap().len(), 5);
    check_fields(
        &all["messages"][0],
        &json!({
            "position": 1, "redelivered": false, "payload": "order 0", "payload_encoding": "string",
            "payload_bytes": 7, "exchange": "", "routing_key": "q",
            "properties": {"headers": {"n": 0, "kind": "order"}, "delivery_mode": 2},
        }),
    );
    let page = look("?limit=2&position=2");
    assert_eq!(page["messages"][1]["payload"], "order 2");
    assert_eq!(page["next_position"], 4);
    assert_eq!(look("?header.n=3")["messages"][0]["payload"], "order 3");
    assert_eq!(look("?header.kind=other")["messages"], json!([]));
    assert_eq!(
        look("?body~=er%204&truncate=3")["messages"][0]["payload"],
        "ord"
    );
    assert_eq!(
        look("?encoding=base64&limit=1")["messages"][0]["payload"],
        "b3JkZXIgMA=="
    );
    for age in ["3600", "60m", "1h", "7D"] {
        assert_eq!(look(&format!("?age={age}"))["messages"], all["messages"]);
    }
    let page = look("?age=1h&limit=2&header.n=3");
    assert_eq!(page["messages"][0]["position"], 4);
    let both = "/api/queues/%2F/q/messages?position=1&age=1h";
    check_fields(
        &get(broker.http(), both).json(),
        &json!({"error": "bad_request", "reason": "position and age both say where to begin: give one of them"}),
    );
    let after = get(broker.http(), "/api/queues/%2F/q").json();
    for key in ["messages", "messages_ready", "message_stats", "consumers"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    let first = wire.get(1, "q", false);
    assert!(
        first.is_some(),
        "the first is still there, and was not delivered before"
    );
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?age=5w",
        "?age=-1",
        "?age=0s",
        "?encoding=x",
        "?position=-1",
    ] {
        let answer = get(broker.http(), &format!("/api/queues/%2F/q/messages{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(
        get(broker.http(), "/api/queues/%2F/none/messages").status,
        404
    );
}

#[test]
fn who_may_not_read_sees_nothing() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(web::put(broker.http(), "/api/users/u", &user).status, 201);
    let rights = json!({"configure": ".*", "write": ".*", "read": "^other$"});
    assert_eq!(
        web::put(broker.http(), "/api/permissions/%2F/u", &rights).status,
        201
    );
    let answer = web::request(
        broker.http(),
        "GET",
        "/api/queues/%2F/q/messages",
        Some("u:p"),
    );
    assert_eq!(answer.status, 401);
}
