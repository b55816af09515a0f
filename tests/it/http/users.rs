//! Users, permissions and virtual hosts over real sockets: RabbitMQ's codes and texts, and who may do what.

use serde_json::Value;
use serde_json::json;

use crate::broker::Broker;
use crate::broker::PATIENCE;
use crate::http::check_fields;
use crate::web;
use crate::web::Answer;
use crate::web::get;
use crate::wire::Close;
use crate::wire::Login;
use crate::wire::Wire;

const HASH: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

fn put_as(broker: &Broker, who: &str, path: &str, body: Value) -> Answer {
    web::with_body(broker.http(), "PUT", path, who, &body.to_string())
}

#[track_caller]
fn check_put(broker: &Broker, path: &str, body: Value, status: u16) {
    let answer = put_as(broker, "guest:guest", path, body);
    assert_eq!((answer.status, &*answer.body), (status, ""), "{path}");
}

#[track_caller]
fn check_bad(broker: &Broker, path: &str, body: Value, reason: Value) {
    let answer = put_as(broker, "guest:guest", path, body.clone());
    let expected = json!({"error": "bad_request", "reason": reason});
    assert_eq!((answer.status, answer.json()), (400, expected), "{body}");
}

#[track_caller]
fn check_not_found(broker: &Broker, method: &str, path: &str) {
    let answer = web::request(broker.http(), method, path, Some("guest:guest"));
    assert_eq!(answer.status, 404, "{method} {path}");
    assert_eq!(answer.json()["error"], "Object Not Found", "{path}");
}

#[track_caller]
fn check_deleted(broker: &Broker, path: &str) {
    let answer = web::request(broker.http(), "DELETE", path, Some("guest:guest"));
    assert_eq!((answer.status, &*answer.body), (204, ""), "{path}");
    check_not_found(broker, "DELETE", path);
}

#[track_caller]
fn check_unauthorised(answer: &Answer, reason: &str) {
    let expected = json!({"error": "not_authorised", "reason": reason});
    assert_eq!((answer.status, answer.json()), (401, expected));
}

#[test]
fn a_user_is_made_changed_and_deleted() {
    let broker = Broker::start();
    let path = "/api/users/u";
    check_not_found(&broker, "GET", path);
    check_bad(
        &broker,
        path,
        json!({"password": "x"}),
        json!("tags_not_present"),
    );
    let both = json!({"password": "x", "password_hash": "", "tags": ""});
    check_bad(
        &broker,
        path,
        both,
        json!("both_password_and_password_hash_are_provided"),
    );
    check_bad(
        &broker,
        path,
        json!({"password_hash": "not_hash", "tags": ""}),
        json!(["not_base64", "not_hash"]),
    );
    check_not_found(&broker, "GET", path);
    check_put(
        &broker,
        path,
        json!({"password": "x", "tags": "management, foo ,,b"}),
        201,
    );
    let user = get(broker.http(), path).json();
    check_fields(
        &user,
        &json!({
            "name": "u", "hashing_algorithm": "rabbit_password_hashing_sha256", "limits": {},
            "tags": ["management", "foo", "b"],
        }),
    );
    let hashed = json!({"password_hash": HASH, "tags": ["administrator"]});
    check_put(&broker, path, hashed, 204);
    check_fields(
        &get(broker.http(), path).json(),
        &json!({"password_hash": HASH, "tags": ["administrator"]}),
    );
    let whoami = web::request(broker.http(), "GET", "/api/whoami", Some("u:test12"));
    assert_eq!(
        whoami.json(),
        json!({"name": "u", "tags": ["administrator"], "is_internal_user": true})
    );
    check_put(&broker, path, json!({"administrator": "false"}), 204);
    let user = get(broker.http(), path).json();
    check_fields(&user, &json!({"password_hash": "", "tags": []}));
    assert_eq!(
        get(broker.http(), "/api/users/without-permissions").json(),
        json!([user])
    );
    let users = get(broker.http(), "/api/users").json();
    assert_eq!(users.as_array().unwrap().len(), 2);

    let with_permissions = json!({
        "password": "w", "tags": "",
        "permissions": {"/": {"configure": "c", "write": "", "read": "r"}},
    });
    check_put(&broker, "/api/users/w", with_permissions, 201);
    assert_eq!(
        get(broker.http(), "/api/users/w/permissions").json(),
        json!([{"user": "w", "vhost": "/", "configure": "c", "write": "", "read": "r"}])
    );
    check_deleted(&broker, "/api/users/w");
    check_not_found(&broker, "GET", "/api/users/w/permissions");
}

#[test]
fn permissions_are_rows_of_a_user_and_a_virtual_host() {
    let broker = Broker::start();
    check_put(
        &broker,
        "/api/users/u",
        json!({"password": "u", "tags": ""}),
        201,
    );
    let path = "/api/permissions/%2F/u";
    check_not_found(&broker, "GET", path);
    check_bad(
        &broker,
        path,
        json!({"configure": "a", "write": "b"}),
        json!("[{key_missing,read}]"),
    );
    let row = json!({"configure": "a", "write": "b", "read": "c"});
    for nowhere in ["/api/permissions/nowhere/u", "/api/permissions/%2F/nobody"] {
        check_bad(
            &broker,
            nowhere,
            row.clone(),
            json!("vhost_or_user_not_found"),
        );
    }
    let wrong = json!({"configure": "(", "write": "b", "read": "c"});
    let refused = put_as(&broker, "guest:guest", path, wrong);
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["reason"][0], "invalid_regexp");
    check_put(&broker, path, row.clone(), 201);
    check_put(&broker, path, row, 204);
    let expected = json!({"user": "u", "vhost": "/", "configure": "a", "write": "b", "read": "c"});
    assert_eq!(get(broker.http(), path).json(), expected);
    for list in ["/api/permissions", "/api/vhosts/%2F/permissions"] {
        let list = get(broker.http(), list).json();
        assert_eq!(list.as_array().unwrap().len(), 2);
        assert_eq!(list[1], expected);
    }
    check_not_found(&broker, "GET", "/api/vhosts/nowhere/permissions");
    check_deleted(&broker, path);
}

#[test]
fn topic_permissions_are_rows_of_an_exchange_too() {
    let broker = Broker::start();
    check_put(
        &broker,
        "/api/users/u",
        json!({"password": "u", "tags": ""}),
        201,
    );
    let path = "/api/topic-permissions/%2F/u";
    check_not_found(&broker, "GET", path);
    let row = |exchange: &str| json!({"exchange": exchange, "write": "^a", "read": "^b"});
    check_put(&broker, path, row("amq.topic"), 201);
    check_put(&broker, path, row("nowhere"), 204);
    let listed = |exchange: &str| json!({"user": "u", "vhost": "/", "exchange": exchange, "write": "^a", "read": "^b"});
    let expected = json!([listed("amq.topic"), listed("nowhere")]);
    for list in [
        path,
        "/api/topic-permissions",
        "/api/topic-permissions/%2F/u/amq.topic",
        "/api/users/u/topic-permissions",
        "/api/vhosts/%2F/topic-permissions",
    ] {
        assert_eq!(get(broker.http(), list).json(), expected, "{list}");
    }
    let one = format!("{path}/amq.topic");
    let deleted = web::request(broker.http(), "DELETE", &one, Some("guest:guest"));
    assert_eq!(deleted.status, 204);
    assert_eq!(get(broker.http(), path).json(), json!([listed("nowhere")]));
    check_deleted(&broker, path);
}

#[test]
fn a_virtual_host_is_made_noted_and_deleted() {
    let broker = Broker::start();
    let path = "/api/vhosts/v";
    let noted = json!({"description": "d", "tags": "a, b", "tracing": true});
    check_put(&broker, path, noted, 201);
    check_fields(
        &get(broker.http(), path).json(),
        &json!({
            "name": "v", "description": "d", "tags": ["a", "b"], "tracing": true,
            "default_queue_type": "undefined", "metadata": {"description": "d", "tags": ["a", "b"]},
        }),
    );
    check_put(&broker, path, json!({"default_queue_type": "classic"}), 204);
    check_fields(
        &get(broker.http(), path).json(),
        &json!({"description": "", "tags": [], "tracing": true, "default_queue_type": "classic"}),
    );
    check_bad(
        &broker,
        path,
        json!({"tracing": "x"}),
        json!(["not_boolean", "x"]),
    );
    let unknown = put_as(
        &broker,
        "guest:guest",
        path,
        json!({"default_queue_type": ""}),
    );
    assert_eq!(unknown.status, 400);
    // Whoever makes it may use it.
    let row = get(broker.http(), "/api/permissions/v/guest").json();
    check_fields(
        &row,
        &json!({"configure": ".*", "write": ".*", "read": ".*"}),
    );
    let login = Login {
        vhost: "v",
        ..Login::default()
    };
    let mut wire = Wire::log_in(broker.amqp(), &login);
    check_deleted(&broker, path);
    check_closed(&mut wire, "CONNECTION_FORCED - vhost 'v' is deleted");
    check_not_found(&broker, "GET", "/api/permissions/v/guest");
}

#[test]
fn a_protected_virtual_host_stays() {
    let broker = Broker::start();
    let path = "/api/vhosts/v";
    check_put(&broker, path, json!({}), 201);
    assert_eq!(
        get(broker.http(), path).json()["protected_from_deletion"],
        false
    );
    let set = |method: &str, vhost: &str| {
        let path = format!("/api/vhosts/{vhost}/deletion/protection");
        web::request(broker.http(), method, &path, Some("guest:guest")).status
    };
    assert_eq!((set("POST", "v"), set("POST", "none")), (204, 404));
    // Whatever else is said of it.
    check_put(&broker, path, json!({"description": "d"}), 204);
    let definitions = json!({"vhosts": [{"name": "v"}]}).to_string();
    let imported = web::with_body(
        broker.http(),
        "POST",
        "/api/definitions",
        "guest:guest",
        &definitions,
    );
    assert_eq!(imported.status, 204);
    assert_eq!(
        get(broker.http(), path).json()["protected_from_deletion"],
        true
    );
    let refused = web::request(broker.http(), "DELETE", path, Some("guest:guest"));
    let reason = "Refusing to delete virtual host 'v' because it is protected from deletion";
    assert_eq!(refused.status, 412);
    assert_eq!(refused.json()["reason"], reason);
    let vhosts = get(broker.http(), "/api/definitions").json()["vhosts"].clone();
    let exported = vhosts
        .as_array()
        .unwrap()
        .iter()
        .find(|vhost| vhost["name"] == "v");
    assert_eq!(
        exported.unwrap()["metadata"]["protected_from_deletion"],
        true
    );
    assert_eq!(set("DELETE", "v"), 204);
    check_deleted(&broker, path);
}

const SHORT: &str = "AQIDBDB9kM21iEUzN1lZ+6VReCsdNqS0sERdAQTcY6Xs3PMz";
const LONG: &str =
    "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/WAsym3IZTfuaIaK5KR2o5KwFfTv6KsxfMIE=";

#[test]
fn a_hash_without_its_algorithm_is_what_its_length_says() {
    let broker = Broker::start();
    // SHA-256 and SHA-512 of a salt of 1 2 3 4 and `secret`.
    for (user, hash) in [("short", SHORT), ("long", LONG)] {
        let path = format!("/api/users/{user}");
        let body = json!({"password_hash": hash, "tags": "management"});
        check_put(&broker, &path, body, 201);
        let credentials = format!("{user}:secret");
        let seen = web::request(broker.http(), "GET", "/api/whoami", Some(&credentials));
        assert_eq!(seen.status, 200, "{user}");
    }
}

#[test]
fn settings_are_shown_to_administrators_alone() {
    let broker = Broker::start();
    let shown = get(broker.http(), "/api/config/effective");
    assert_eq!(shown.status, 200);
    assert!(
        shown.body.contains("\nqueue_memory_bytes = "),
        "{}",
        shown.body
    );
    check_put(
        &broker,
        "/api/users/m",
        json!({"password": "m", "tags": "monitoring"}),
        201,
    );
    let refused = web::request(broker.http(), "GET", "/api/config/effective", Some("m:m"));
    check_unauthorised(&refused, "Not administrator user");
    let refused = web::request(broker.http(), "GET", "/api/global-parameters", Some("m:m"));
    check_unauthorised(&refused, "User not authorised to access object");
}

#[test]
fn who_watches_the_node_sees_limits_without_permission() {
    let broker = Broker::start();
    let get = |path| web::request(broker.http(), "GET", path, Some("m:m"));
    let put = |path, body| check_put(&broker, path, body, 201);
    put(
        "/api/users/m",
        json!({"password": "m", "tags": "monitoring"}),
    );
    put("/api/vhosts/v", json!({}));
    check_put(
        &broker,
        "/api/vhost-limits/v/max-queues",
        json!({"value": 7}),
        204,
    );
    let limits = json!([{"vhost": "v", "value": {"max-queues": 7}}]);
    assert_eq!(get("/api/vhost-limits").json(), limits);
    assert_eq!(get("/api/vhost-limits/v").json(), limits);
    check_unauthorised(
        &get("/api/queues/v"),
        "User not authorised to access virtual host",
    );
}

#[test]
fn the_aliveness_test_takes_a_message_the_whole_way() {
    let broker = Broker::start();
    let test = |vhost: &str, who| {
        let path = format!("/api/aliveness-test/{vhost}");
        web::request(broker.http(), "GET", &path, Some(who))
    };
    let answer = test("%2F", "guest:guest");
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok"}))
    );
    let queue = web::get(broker.http(), "/api/queues/%2F/aliveness-test").json();
    assert_eq!(
        (&queue["durable"], &queue["messages"]),
        (&json!(false), &json!(0))
    );
    let full = json!({"pattern": "^aliveness-test$", "definition": {"max-length": 0}});
    check_put(&broker, "/api/policies/%2F/full", full, 201);
    let answer = test("%2F", "guest:guest");
    let reason = "aliveness-test queue is empty";
    let failed = json!({"status": "failed", "reason": reason});
    assert_eq!((answer.status, answer.json()), (503, failed));
    check_put(
        &broker,
        "/api/users/a",
        json!({"password": "a", "tags": "administrator"}),
        201,
    );
    check_unauthorised(&test("%2F", "a:a"), "Access refused.");
    assert_eq!(test("nowhere", "guest:guest").status, 404);
}

#[track_caller]
fn check_closed(wire: &mut Wire, text: &str) {
    let Close {
        code, text: heard, ..
    } = wire.expect_close(0);
    assert_eq!((code, &*heard), (320, text));
    wire.send(&crate::wire::encode::close_ok());
    wire.expect_end(PATIENCE);
}

#[test]
fn the_connections_of_a_deleted_user_are_closed() {
    let broker = Broker::start();
    check_put(
        &broker,
        "/api/users/u",
        json!({"password": "u", "tags": ""}),
        201,
    );
    let row = json!({"configure": "", "write": "", "read": ""});
    check_put(&broker, "/api/permissions/%2F/u", row, 201);
    let login = Login {
        user: "u",
        password: "u",
        ..Login::default()
    };
    let mut wire = Wire::log_in(broker.amqp(), &login);
    let mut bystander = Wire::with_channel(broker.amqp());
    check_deleted(&broker, "/api/users/u");
    check_closed(&mut wire, "CONNECTION_FORCED - user 'u' is deleted");
    bystander.declare_queue("q", 0);
}

#[test]
fn tags_decide_who_may_do_what() {
    let broker = Broker::start();
    for (user, tags) in [("m", "management"), ("p", "policymaker"), ("n", "none")] {
        let body = json!({"password": user, "tags": tags});
        check_put(&broker, &format!("/api/users/{user}"), body, 201);
    }
    let get_as = |who: &str, path: &str| web::request(broker.http(), "GET", path, Some(who));
    check_unauthorised(&get_as("n:n", "/api/overview"), "Not management user");
    let policy = json!({"pattern": "^q", "definition": {"max-length": 1}});
    for who in ["m:m", "p:p"] {
        for path in [
            "/api/users",
            "/api/users/m",
            "/api/permissions",
            "/api/topic-permissions",
            "/api/operator-policies/%2F/o",
            "/api/vhosts/%2F/permissions",
        ] {
            check_unauthorised(&get_as(who, path), "Not administrator user");
        }
        for path in ["/api/vhosts/v", "/api/users/x", "/api/permissions/%2F/m"] {
            let answer = put_as(&broker, who, path, json!({}));
            check_unauthorised(&answer, "Not administrator user");
        }
        // Not in a virtual host that they may not enter.
        let answer = put_as(&broker, who, "/api/policies/%2F/p", policy.clone());
        check_unauthorised(&answer, "User not authorised to access object");
        check_unauthorised(
            &get_as(who, "/api/policies/%2F"),
            "User not authorised to access virtual host",
        );
        assert_eq!(get_as(who, "/api/policies").json(), json!([]));
    }
    let row = json!({"configure": "", "write": "", "read": ""});
    for path in ["/api/permissions/%2F/m", "/api/permissions/%2F/p"] {
        check_put(&broker, path, row.clone(), 201);
    }
    let answer = put_as(&broker, "m:m", "/api/policies/%2F/p", policy.clone());
    check_unauthorised(&answer, "User not authorised to access object");
    let made = put_as(&broker, "p:p", "/api/policies/%2F/p", policy.clone());
    assert_eq!(made.status, 201);
    let answer = put_as(&broker, "p:p", "/api/operator-policies/%2F/p", policy);
    check_unauthorised(&answer, "Not administrator user");
    let list = get_as("m:m", "/api/policies/%2F").json();
    assert_eq!(list.as_array().unwrap().len(), 1);
}
