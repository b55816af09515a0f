//! Requests that ask for too much, or too often.

use std::thread;

use serde_json::Value;
use serde_json::json;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::web;
use crate::web::get;
use crate::web::put;

#[test]
fn a_body_over_the_limit_is_refused() {
    let settings = "management.http.max_body_size = 1024\n";
    let broker = Launch::serve().settings(settings).start();
    let body = json!({"durable": true, "filling": "x".repeat(2000)});
    let message = json!({
        "routing_key": "q", "payload": "x".repeat(2000), "payload_encoding": "string", "properties": {},
    });
    for (method, path, body) in [
        ("PUT", "/api/queues/%2F/q", &body),
        ("POST", "/api/exchanges/%2F/amq.default/publish", &message),
        ("POST", "/api/definitions", &body),
    ] {
        let refused = web::with_body(
            broker.http(),
            method,
            path,
            "guest:guest",
            &body.to_string(),
        );
        assert_eq!(refused.status, 400, "{path}");
        let expected =
            json!({"error": "bad_request", "reason": "Exceeded HTTP request body size limit"});
        assert_eq!(refused.json(), expected, "{path}");
    }
    assert_eq!(get(broker.http(), "/api/queues").json(), json!([]));
}

#[test]
fn of_many_who_delete_the_same_one_does() {
    let broker = Broker::start();
    let http = broker.http();
    for (path, body) in [
        ("/api/queues/%2F/q", json!({"durable": true})),
        ("/api/exchanges/%2F/x", json!({"type": "fanout"})),
        ("/api/vhosts/v", json!({})),
        ("/api/users/u", json!({"tags": ""})),
    ] {
        assert_eq!(put(http, path, &body).status, 201, "{path}");
        let delete = || web::request(http, "DELETE", path, Some("guest:guest")).status;
        let mut answers: Vec<u16> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(delete)).collect();
            let answers = threads.into_iter().map(|thread| thread.join());
            answers.map(|answer| answer.expect("an answer")).collect()
        });
        answers.sort_unstable();
        assert_eq!(answers, [204, 404, 404, 404, 404, 404, 404, 404], "{path}");
    }
}

#[test]
fn who_guesses_passwords_keeps_nobody_out() {
    const GUESSES: u64 = 400;
    let broker = Broker::start();
    let http = broker.http();
    let guess = || {
        for _ in 0..GUESSES / 4 {
            let answer = web::request(http, "GET", "/api/overview", Some("guest:wrong"));
            assert_eq!(answer.status, 401);
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(guess);
        }
        for _ in 0..20 {
            assert_eq!(get(http, "/api/health/checks/alarms").status, 200);
        }
    });
    let nodes = get(http, "/api/nodes").json();
    let node = nodes[0]["name"].as_str().expect("a name");
    let attempts = get(http, &format!("/api/auth/attempts/{node}")).json();
    let mut rows = attempts.as_array().expect("a list").iter();
    let counted = rows
        .find(|row| row["protocol"] == "http")
        .map(|row| &row["auth_attempts_failed"]);
    assert_eq!(counted, Some(&Value::from(GUESSES)));
}
