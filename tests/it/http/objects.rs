//! Queues, exchanges and bindings over HTTP, and messages through them: RabbitMQ's own acceptance tests (specification §8).

use serde_json::Value;
use serde_json::json;

use super::check_fields;
use crate::broker::Broker;
use crate::web;
use crate::web::Answer;
use crate::web::get;
use crate::web::put;
use crate::wire::Wire;
use crate::wire::encode;

fn delete(broker: &Broker, path: &str) -> u16 {
    web::request(broker.http(), "DELETE", path, Some("guest:guest")).status
}

fn post(broker: &Broker, path: &str, body: &Value) -> Answer {
    web::with_body(
        broker.http(),
        "POST",
        path,
        "guest:guest",
        &body.to_string(),
    )
}

#[test]
fn queues_are_declared_purged_and_deleted() {
    let broker = Broker::start();
    let path = "/api/queues/%2F/q";
    let declare = json!({"durable": true, "arguments": {"x-max-length": 5}, "node": null, "vhost": "/", "name": "q"});
    assert_eq!(put(broker.http(), path, &declare).status, 201);
    assert_eq!(put(broker.http(), path, &declare).status, 204);
    let other = put(broker.http(), path, &json!({"durable": false}));
    let reason = "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'";
    assert_eq!(
        (other.status, other.json()),
        (400, json!({"error": "bad_request", "reason": reason}))
    );
    for wrong in [
        json!({"durable": "troo"}),
        json!({"arguments": 5}),
        json!({"arguments": {"x-max-length": -1}}),
        json!({"node": "rabbit@elsewhere"}),
    ] {
        assert_eq!(
            put(broker.http(), "/api/queues/%2F/w", &wrong).status,
            400,
            "{wrong}"
        );
    }
    assert_eq!(
        put(broker.http(), "/api/queues/%2F/amq.mine", &json!({})).status,
        401
    );
    let nowhere = put(broker.http(), "/api/queues/nowhere/q", &json!({}));
    assert_eq!(
        (nowhere.status, nowhere.json()["reason"].clone()),
        (404, json!("vhost_not_found"))
    );
    let message =
        json!({"routing_key": "q", "properties": {}, "payload": "p", "payload_encoding": "string"});
    let publish = "/api/exchanges/%2F/amq.default/publish";
    assert_eq!(
        post(&broker, publish, &message).json(),
        json!({"routed": true})
    );
    assert_eq!(delete(&broker, &format!("{path}?if-empty=true")), 400);
    assert_eq!(delete(&broker, &format!("{path}/contents")), 204);
    assert_eq!(delete(&broker, &format!("{path}?if-empty=true")), 204);
    assert_eq!(delete(&broker, path), 404);
    assert_eq!(delete(&broker, "/api/queues/%2F/q/contents"), 404);
}

#[test]
fn names_are_any_text_of_255_octets() {
    let broker = Broker::start();
    for (encoded, name) in [
        ("a%2Fb%25%20%C3%BC", "a/b% ü".to_owned()),
        (&*"n".repeat(255), "n".repeat(255)),
    ] {
        let path = format!("/api/queues/%2F/{encoded}");
        assert_eq!(
            put(broker.http(), &path, &json!({"durable": true})).status,
            201
        );
        assert_eq!(get(broker.http(), &path).json()["name"], *name);
        assert_eq!(delete(&broker, &path), 204);
    }
    let long = format!("/api/queues/%2F/{}", "n".repeat(256));
    assert_eq!(put(broker.http(), &long, &json!({})).status, 400);
}

#[test]
fn exclusive_queues_are_their_connections() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("mine", encode::EXCLUSIVE);
    let queue = get(broker.http(), "/api/queues/%2F/mine").json();
    let connection = get(broker.http(), "/api/connections").json()[0]["name"].clone();
    assert_eq!(queue["owner_pid_details"]["name"], connection);
    assert_eq!(delete(&broker, "/api/queues/%2F/mine/contents"), 400);
    assert_eq!(delete(&broker, "/api/queues/%2F/mine"), 400);
    assert_eq!(
        get(broker.http(), "/api/users/guest/queues").json()[0]["name"],
        "mine"
    );
}

#[test]
fn exchanges_and_bindings_are_made_and_removed() {
    let broker = Broker::start();
    let exchange =
        json!({"type": "topic", "durable": "true", "auto_delete": false, "internal": false});
    assert_eq!(
        put(broker.http(), "/api/exchanges/%2F/x", &exchange).status,
        201
    );
    assert_eq!(
        put(broker.http(), "/api/exchanges/%2F/x", &exchange).status,
        204
    );
    assert_eq!(
        put(
            broker.http(),
            "/api/exchanges/%2F/y",
            &json!({"type": "none"})
        )
        .status,
        400
    );
    assert_eq!(
        put(
            broker.http(),
            "/api/queues/%2F/q",
            &json!({"durable": true})
        )
        .status,
        201
    );
    let ends = "/api/bindings/%2F/e/x/q/q";
    for (body, location) in [
        (json!({}), "q/~"),
        (json!({"routing_key": "routing"}), "q/routing"),
        (json!({"routing_key": "a b.#"}), "q/a%2Bb.%2523"),
    ] {
        let bound = post(&broker, ends, &body);
        assert_eq!(
            (bound.status, bound.header("location")),
            (201, Some(location))
        );
    }
    let bound = post(
        &broker,
        ends,
        &json!({"routing_key": "routing", "arguments": {"n": 1}}),
    );
    let location = bound.header("location").unwrap().to_owned();
    assert!(location.starts_with("q/routing~"), "{location}");
    let list = get(broker.http(), ends).json();
    assert_eq!(list.as_array().unwrap().len(), 4);
    let one = format!("/api/bindings/%2F/e/x/q/{location}");
    check_fields(
        &get(broker.http(), &one).json(),
        &json!({"source": "x", "destination": "q", "destination_type": "queue", "arguments": {"n": 1}}),
    );
    assert_eq!(delete(&broker, &one), 204);
    assert_eq!(delete(&broker, &one), 404);
    // As it is, and encoded once more.
    assert_eq!(get(broker.http(), &format!("{ends}/a+b.%23")).status, 200);
    assert_eq!(delete(&broker, &format!("{ends}/a%2Bb.%2523")), 204);
    assert_eq!(
        post(&broker, "/api/bindings/%2F/e/x/q/none", &json!({})).status,
        404
    );
    assert_eq!(
        post(&broker, "/api/bindings/%2F/e/none/q/q", &json!({})).status,
        404
    );
    assert_eq!(
        post(&broker, "/api/bindings/%2F/e/x/e/amq.fanout", &json!({})).status,
        201
    );
    let of_queue = get(broker.http(), "/api/queues/%2F/q/bindings").json();
    assert_eq!(
        (&of_queue[0]["source"], &of_queue[0]["routing_key"]),
        (&json!(""), &json!("q"))
    );
    let by_default = get(broker.http(), "/api/bindings/%2F/e/amq.default/q/q/q");
    assert_eq!(by_default.status, 200);
    let sources = get(
        broker.http(),
        "/api/exchanges/%2F/amq.default/bindings/source",
    )
    .json();
    assert_eq!(sources.as_array().unwrap().len(), 1);
    assert_eq!(delete(&broker, "/api/exchanges/%2F/x?if-unused=true"), 400);
    assert_eq!(delete(&broker, "/api/exchanges/%2F/x"), 204);
    assert_eq!(delete(&broker, "/api/exchanges/%2F/amq.topic"), 401);
}

#[test]
fn messages_are_published_and_fetched() {
    let broker = Broker::start();
    assert_eq!(
        put(
            broker.http(),
            "/api/queues/%2F/q",
            &json!({"durable": true})
        )
        .status,
        201
    );
    let publish = "/api/exchanges/%2F/amq.default/publish";
    let message = |key: &str, payload: Value, encoding: &str, properties: Value| json!({"routing_key": key, "properties": properties, "payload": payload, "payload_encoding": encoding});
    let sent = post(
        &broker,
        publish,
        &message(
            "q",
            json!("text"),
            "string",
            json!({"headers": {"h": [1]}, "priority": 3}),
        ),
    );
    assert_eq!((sent.status, sent.json()), (200, json!({"routed": true})));
    let sent = post(
        &broker,
        publish,
        &message("q", json!("/wA="), "base64", json!({})),
    );
    assert_eq!(sent.json(), json!({"routed": true}));
    let lost = post(
        &broker,
        publish,
        &message("none", json!("x"), "string", json!({})),
    );
    assert_eq!((lost.status, lost.json()), (200, json!({"routed": false})));
    for wrong in [
        message("q", json!(5), "string", json!({})),
        message("q", json!("!"), "base64", json!({})),
        message("q", json!("x"), "base99", json!({})),
        message("q", json!("x"), "string", json!({"priority": "high"})),
        message("q", json!("x"), "string", json!({"timestamp": "now"})),
        message("q", json!("x"), "string", json!({"expiration": 5})),
        message("q", json!("x"), "string", json!({"user_id": "somebody"})),
        json!({"payload": "x"}),
    ] {
        assert_eq!(post(&broker, publish, &wrong).status, 400, "{wrong}");
    }
    let missing = post(
        &broker,
        "/api/exchanges/%2F/none/publish",
        &message("q", json!("x"), "string", json!({})),
    );
    assert_eq!(
        (missing.status, missing.json()["reason"].clone()),
        (404, json!("exchange_not_found"))
    );
    let fetch = |mode: &str, more: Value| {
        let mut body = json!({"count": 5, "ackmode": mode, "encoding": "auto"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        post(&broker, "/api/queues/%2F/q/get", &body)
    };
    let got = fetch("ack_requeue_true", json!({})).json();
    assert_eq!(got.as_array().unwrap().len(), 2);
    check_fields(
        &got[0],
        &json!({
            "payload": "text", "payload_encoding": "string", "payload_bytes": 4, "redelivered": false,
            "message_count": 1, "exchange": "", "routing_key": "q",
            "properties": {"headers": {"h": [1]}, "priority": 3},
        }),
    );
    check_fields(
        &got[1],
        &json!({"payload": "/wA=", "payload_encoding": "base64", "message_count": 0}),
    );
    let again = post(&broker, publish, &{
        let mut message = got[0].clone();
        message["routing_key"] = json!("q");
        message
    });
    assert_eq!(
        again.json(),
        json!({"routed": true}),
        "what was fetched can be published"
    );
    let cut = fetch("reject_requeue_true", json!({"truncate": 1, "count": "1"})).json();
    check_fields(
        &cut[0],
        &json!({"payload": "t", "payload_bytes": 4, "redelivered": true}),
    );
    assert_eq!(
        fetch("reject_requeue_false", json!({"count": 1}))
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        fetch("ack_requeue_false", json!({}))
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(fetch("ack_requeue_false", json!({})).json(), json!([]));
    for (mode, more) in [
        ("other", json!({})),
        ("ack_requeue_true", json!({"encoding": "hex"})),
        ("ack_requeue_true", json!({"count": "many"})),
    ] {
        assert_eq!(fetch(mode, more).status, 400);
    }
    let none = post(&broker, "/api/queues/%2F/none/get", &json!({}));
    assert_eq!(
        (none.status, none.json()["reason"].clone()),
        (404, json!("queue_not_found"))
    );
}

#[test]
fn a_queue_that_is_full_refuses() {
    let broker = Broker::start();
    let full =
        json!({"durable": true, "arguments": {"x-max-length": 0, "x-overflow": "reject-publish"}});
    assert_eq!(
        put(broker.http(), "/api/queues/%2F/full", &full).status,
        201
    );
    let message = json!({"routing_key": "full", "properties": {}, "payload": "p", "payload_encoding": "string"});
    let refused = post(&broker, "/api/exchanges/%2F/amq.default/publish", &message);
    let reason = "rejected Unable to publish message. Check queue limits.";
    assert_eq!(
        (refused.status, refused.json()["reason"].clone()),
        (400, json!(reason))
    );
}

#[test]
fn rights_are_those_of_amqp() {
    let broker = Broker::start();
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(put(broker.http(), "/api/users/u", &user).status, 201);
    let rights = json!({"configure": "^mine", "write": "^mine", "read": "^mine"});
    assert_eq!(
        put(broker.http(), "/api/permissions/%2F/u", &rights).status,
        201
    );
    let with = |method: &str, path: &str| web::with_body(broker.http(), method, path, "u:p", "{}");
    assert_eq!(with("PUT", "/api/queues/%2F/mine").status, 201);
    let refused = with("PUT", "/api/queues/%2F/other");
    let expected = json!({"error": "not_authorised", "reason": "Access refused."});
    assert_eq!((refused.status, refused.json()), (401, expected));
    assert_eq!(
        put(broker.http(), "/api/queues/%2F/other", &json!({})).status,
        201
    );
    assert_eq!(with("DELETE", "/api/queues/%2F/other").status, 401);
    assert_eq!(with("DELETE", "/api/queues/%2F/other/contents").status, 401);
    assert_eq!(with("DELETE", "/api/queues/%2F/mine").status, 204);
    assert_eq!(put(broker.http(), "/api/vhosts/v", &json!({})).status, 201);
    assert_eq!(with("PUT", "/api/queues/v/mine").status, 401);
}

#[test]
fn names_lose_line_ends_as_over_amqp() {
    let broker = Broker::start();
    for (kind, body) in [
        ("queues", json!({})),
        ("exchanges", json!({"type": "direct"})),
    ] {
        let path = format!("/api/{kind}/%2F/a%0D%0Ab");
        assert_eq!(put(broker.http(), &path, &body).status, 201, "{kind}");
        assert_eq!(get(broker.http(), &path).status, 404, "{kind}");
        let path = format!("/api/{kind}/%2F/ab");
        assert_eq!(get(broker.http(), &path).status, 200, "{kind}");
    }
}
