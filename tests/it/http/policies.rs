//! `/api/policies` and `/api/operator-policies` over real sockets: RabbitMQ's codes and texts, and what they do.

use serde_json::Value;
use serde_json::json;

use crate::broker::Broker;
use crate::broker::eventually;
use crate::http::check_fields;
use crate::web;
use crate::web::get;
use crate::wire::Wire;
use crate::wire::encode;

const POLICY: &str = "/api/policies/%2F/p";
const OPERATOR: &str = "/api/operator-policies/%2F/p";

#[track_caller]
fn check_put(broker: &Broker, path: &str, body: Value, status: u16) {
    let answer = web::put(broker.http(), path, &body);
    assert_eq!((answer.status, &*answer.body), (status, ""), "{body}");
}

#[track_caller]
fn check_refused(broker: &Broker, path: &str, body: &str, reason: &str) {
    let answer = web::with_body(broker.http(), "PUT", path, "guest:guest", body);
    let expected = json!({"error": "bad_request", "reason": reason});
    assert_eq!((answer.status, answer.json()), (400, expected), "{body}");
}

#[track_caller]
fn check_not_found(broker: &Broker, method: &str, path: &str) {
    let answer = web::request(broker.http(), method, path, Some("guest:guest"));
    let expected = json!({"error": "Object Not Found", "reason": "Not Found"});
    assert_eq!((answer.status, answer.json()), (404, expected), "{path}");
}

#[test]
fn a_policy_is_made_changed_listed_and_deleted() {
    let broker = Broker::start();
    for (path, kind) in [(POLICY, "policies"), (OPERATOR, "operator-policies")] {
        check_not_found(&broker, "GET", path);
        check_not_found(&broker, "DELETE", path);
        let definition = json!({"message-ttl": 1000});
        check_put(
            &broker,
            path,
            json!({"pattern": "^q", "definition": definition}),
            201,
        );
        let body = json!({
            "pattern": "^q", "definition": {"max-length": 5}, "priority": 3, "apply-to": "queues",
            "name": "ignored", "vhost": "ignored",
        });
        check_put(&broker, path, body, 204);
        let expected = json!({
            "vhost": "/", "name": "p", "pattern": "^q", "apply-to": "queues", "priority": 3,
            "definition": {"max-length": 5},
        });
        assert_eq!(get(broker.http(), path).json(), expected);
        for list in [format!("/api/{kind}"), format!("/api/{kind}/%2F")] {
            assert_eq!(get(broker.http(), &list).json(), json!([expected]));
        }
        let deleted = web::request(broker.http(), "DELETE", path, Some("guest:guest"));
        assert_eq!((deleted.status, &*deleted.body), (204, ""));
        check_not_found(&broker, "GET", path);
        assert_eq!(
            get(broker.http(), &format!("/api/{kind}")).json(),
            json!([])
        );
        check_not_found(&broker, "GET", &format!("/api/{kind}/nowhere"));
    }
    let answer = web::put(
        broker.http(),
        "/api/policies/nowhere/p",
        &json!({"pattern": "", "definition": {}}),
    );
    let expected = json!({"error": "not_found", "reason": "vhost_not_found"});
    assert_eq!((answer.status, answer.json()), (404, expected));
}

#[test]
fn what_makes_no_sense_is_refused_with_rabbitmqs_words() {
    let broker = Broker::start();
    let failed = |reason: &str| format!("Validation failed\n\n{reason}\n");
    let unknown = |pairs: &str| failed(&format!("[{pairs}] are not recognised policy settings"));
    check_refused(&broker, POLICY, "x", "not_json");
    check_refused(
        &broker,
        POLICY,
        "",
        "[{key_missing,pattern},{key_missing,definition}]",
    );
    check_refused(
        &broker,
        POLICY,
        r#"{"pattern":"^q","definition":{"message-ttl":-1}}"#,
        &failed("-1 is not a valid message TTL"),
    );
    // The text of an ordinary policy is for web pages.
    let unknown_key = r#"{"pattern":"^q","definition":{"nope":"a"}}"#;
    check_refused(
        &broker,
        POLICY,
        unknown_key,
        &unknown("{&lt;&lt;\"nope\"&gt;&gt;,&lt;&lt;\"a\"&gt;&gt;}"),
    );
    check_refused(
        &broker,
        OPERATOR,
        unknown_key,
        &unknown("{<<\"nope\">>,<<\"a\">>}"),
    );
    check_not_found(&broker, "GET", POLICY);
}

#[test]
fn policies_take_effect_at_once_and_show_where_they_apply() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    for queue in ["q", "other"] {
        wire.declare_queue(queue, encode::DURABLE);
        for body in [b"a", b"b", b"c"] {
            wire.send(&encode::publish(1, ("", queue), 0, encode::TRANSIENT, body));
        }
    }
    // The messages are there once a later method is answered.
    wire.declare_queue("q", encode::DURABLE);
    check_put(
        &broker,
        POLICY,
        json!({"pattern": "^q$", "definition": {"max-length": 2}}),
        201,
    );
    check_put(
        &broker,
        OPERATOR,
        json!({"pattern": "^q$", "definition": {"max-length": 1, "expires": 60000}}),
        201,
    );
    let queue = |name: &str| get(broker.http(), &format!("/api/queues/%2F/{name}")).json();
    check_fields(
        &queue("q"),
        &json!({
            "policy": "p", "operator_policy": "p", "messages": 1,
            "effective_policy_definition": {"max-length": 1, "expires": 60000},
        }),
    );
    let without =
        json!({"policy": null, "operator_policy": null, "effective_policy_definition": {}});
    check_fields(&queue("other"), &without);
    assert_eq!(queue("other")["messages"], 3);

    let on_exchanges = json!({
        "pattern": "^amq.direct$", "definition": {"alternate-exchange": "amq.fanout"},
        "apply-to": "exchanges",
    });
    check_put(&broker, "/api/policies/%2F/ae", on_exchanges, 201);
    let exchange = get(broker.http(), "/api/exchanges/%2F/amq.direct").json();
    assert_eq!(exchange["policy"], "ae");
    let exchange = get(broker.http(), "/api/exchanges/%2F/amq.topic").json();
    assert_eq!(exchange.get("policy"), None);

    // And a queue that a policy lets expire is gone.
    let expires = json!({"pattern": "^other$", "definition": {"expires": 1}});
    check_put(&broker, "/api/policies/%2F/gone", expires, 201);
    eventually("the queue has expired", || {
        get(broker.http(), "/api/queues/%2F/other").status == 404
    });
}

#[test]
fn a_policy_set_to_what_it_is_is_not_told() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("told", 0);
    let bind = encode::queue_bind(1, "told", "amq.rabbitmq.event", "policy.#", &[]);
    wire.call(&bind, (50, 21));
    let body = json!({"pattern": "^q", "definition": {"max-length": 5}});
    check_put(&broker, POLICY, body.clone(), 201);
    check_put(&broker, POLICY, body, 204);
    let deleted = web::request(broker.http(), "DELETE", POLICY, Some("guest:guest"));
    assert_eq!(deleted.status, 204);
    let told = wire.drain_queue(1, "told");
    let keys: Vec<_> = told.iter().map(|message| &*message.key).collect();
    assert_eq!(keys, ["policy.set", "policy.cleared"]);
}
