//! Limits and parameters over HTTP, and what AMQP says of them.

use serde_json::json;

use crate::broker::Broker;
use crate::web;
use crate::web::get;
use crate::web::put;

fn delete(broker: &Broker, path: &str) -> u16 {
    web::request(broker.http(), "DELETE", path, Some("guest:guest")).status
}

#[test]
fn limits_of_virtual_hosts_are_set_shown_and_obeyed() {
    let broker = Broker::start();
    assert_eq!(get(broker.http(), "/api/vhost-limits").json(), json!([]));
    let path = "/api/vhost-limits/%2F/max-queues";
    assert_eq!(put(broker.http(), path, &json!({"value": 1})).status, 204);
    let expected = json!([{"vhost": "/", "value": {"max-queues": 1}}]);
    assert_eq!(get(broker.http(), "/api/vhost-limits").json(), expected);
    assert_eq!(get(broker.http(), "/api/vhost-limits/%2F").json(), expected);
    assert_eq!(
        put(broker.http(), "/api/queues/%2F/q", &json!({})).status,
        201
    );
    let refused = put(broker.http(), "/api/queues/%2F/r", &json!({}));
    let reason = "cannot declare queue 'r': queue limit in vhost '/' (1) is reached";
    assert_eq!(
        (refused.status, refused.json()["reason"].clone()),
        (400, json!(reason))
    );
    let parameter = get(broker.http(), "/api/parameters/vhost-limits/%2F/limits").json();
    assert_eq!(parameter["value"], json!({"max-queues": 1}));
    for wrong in [
        ("max-channels", json!(1)),
        ("max-queues", json!("1")),
        ("none", json!(1)),
    ] {
        let path = format!("/api/vhost-limits/%2F/{}", wrong.0);
        assert_eq!(
            put(broker.http(), &path, &json!({"value": wrong.1})).status,
            400
        );
    }
    assert_eq!(
        put(
            broker.http(),
            "/api/vhost-limits/nowhere/max-queues",
            &json!({"value": 1})
        )
        .status,
        404
    );
    assert_eq!(delete(&broker, path), 204);
    assert_eq!(
        put(broker.http(), "/api/queues/%2F/r", &json!({})).status,
        201
    );
}

#[test]
fn limits_of_users_are_for_administrators() {
    let broker = Broker::start();
    let user = json!({"password": "p", "tags": "management", "limits": {"max-channels": 3}});
    assert_eq!(put(broker.http(), "/api/users/u", &user).status, 201);
    let path = "/api/user-limits/u/max-connections";
    assert_eq!(put(broker.http(), path, &json!({"value": 0})).status, 204);
    let expected = json!([{"user": "u", "value": {"max-channels": 3, "max-connections": 0}}]);
    assert_eq!(get(broker.http(), "/api/user-limits/u").json(), expected);
    assert_eq!(
        get(broker.http(), "/api/users/u").json()["limits"],
        expected[0]["value"]
    );
    let other = web::request(broker.http(), "GET", "/api/user-limits", Some("u:p"));
    assert_eq!(other.status, 401);
    assert_eq!(delete(&broker, "/api/users/u"), 204);
    assert_eq!(get(broker.http(), "/api/user-limits").json(), json!([]));
}

#[test]
fn users_are_deleted_together_but_for_protected_ones() {
    let broker = Broker::start();
    for (name, tags) in [("a", ""), ("b", ""), ("c", "protected")] {
        let user = json!({"password": "p", "tags": tags});
        assert_eq!(
            put(broker.http(), &format!("/api/users/{name}"), &user).status,
            201
        );
    }
    assert_eq!(delete(&broker, "/api/users/c"), 400);
    let names = json!({"users": ["a", "b", "c", "nobody"]}).to_string();
    let answer = web::with_body(
        broker.http(),
        "POST",
        "/api/users/bulk-delete",
        "guest:guest",
        &names,
    );
    assert_eq!(answer.status, 204);
    let left = get(broker.http(), "/api/users?columns=name").json();
    assert_eq!(left, json!([{"name": "c"}, {"name": "guest"}]));
}

#[test]
fn parameters_are_kept() {
    let broker = Broker::start();
    let path = "/api/global-parameters/mine";
    assert_eq!(
        put(
            broker.http(),
            path,
            &json!({"name": "mine", "value": [1, {"a": "b"}]})
        )
        .status,
        201
    );
    assert_eq!(put(broker.http(), path, &json!({"value": 2})).status, 204);
    assert_eq!(
        get(broker.http(), path).json(),
        json!({"name": "mine", "value": 2})
    );
    assert_eq!(delete(&broker, path), 204);
    assert_eq!(delete(&broker, path), 404);
    let unknown = put(
        broker.http(),
        "/api/parameters/shovel/%2F/s",
        &json!({"value": {}}),
    );
    let reason = "Validation failed\n\ncomponent shovel not found\n";
    assert_eq!(
        (unknown.status, unknown.json()["reason"].clone()),
        (400, json!(reason))
    );
    assert_eq!(
        get(broker.http(), "/api/parameters/shovel").json(),
        json!([])
    );
    assert_eq!(
        put(
            broker.http(),
            "/api/parameters/vhost-limits/nowhere/limits",
            &json!({"value": {}})
        )
        .status,
        404
    );
    assert_eq!(
        put(
            broker.http(),
            "/api/cluster-name",
            &json!({"name": "burrow"})
        )
        .status,
        204
    );
    assert_eq!(
        get(broker.http(), "/api/overview").json()["cluster_name"],
        "burrow"
    );
}
