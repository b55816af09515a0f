//! The HTTP API over real sockets: who may ask, what is not there, and the JSON of what is.

mod browse;
mod definitions;
mod figures;
mod limits;
mod lists;
mod objects;
mod policies;
mod refusals;
mod tallies;
mod users;

use std::io::Write;
use std::net::TcpStream;

use serde_json::Value;
use serde_json::json;

use crate::broker::Broker;
use crate::broker::eventually;
use crate::web;
use crate::web::get;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::encode;

/// The entry of a list whose `name` is that.
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut entries = list.as_array().unwrap().iter();
    entries
        .find(|entry| entry["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// Those of `entry`'s fields that `expected` has are as in `expected`.
fn check_fields(entry: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&entry[key], value, "{key} of {entry}");
    }
}

#[test]
fn without_credentials_the_client_is_asked_for_them() {
    let broker = Broker::start();
    for path in [
        "/api/overview",
        "/api/queues",
        "/api/queues/%2F/q",
        "/api/whoami",
    ] {
        let answer = web::request(broker.http(), "GET", path, None);
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Basic realm=\"RabbitMQ Management\"")
        );
        let expected = json!({"error": "not_authorised", "reason": "Login failed"});
        assert_eq!(answer.json(), expected);
    }
}

#[test]
fn wrong_credentials_are_refused() {
    let broker = Broker::start();
    for credentials in ["guest:wrong", "nobody:guest", "guest:", ":", ":guest"] {
        let answer = web::request(broker.http(), "GET", "/api/overview", Some(credentials));
        assert_eq!(answer.status, 401, "{credentials}");
        let expected = json!({"error": "not_authorized", "reason": "Not_Authorized"});
        assert_eq!(answer.json(), expected, "{credentials}");
    }
    assert!(!broker.log().contains("wrong\""), "a password in the log");
}

#[test]
fn what_is_no_credentials_counts_as_none() {
    let broker = Broker::start();
    for value in [
        "Basic",
        "Basic !!!",
        "Basic Z3Vlc3Q=",
        "Bearer abc",
        "Basic \u{ff}",
        "",
    ] {
        let request = format!(
            "GET /api/overview HTTP/1.1\r\nHost: h\r\nAuthorization: {value}\r\nConnection: close\r\n\r\n"
        );
        let answer = web::send(broker.http(), request.as_bytes());
        assert_eq!(answer.status, 401, "{value}");
        assert_eq!(answer.json()["reason"], "Login failed", "{value}");
    }
}

#[test]
fn what_is_not_there_is_json_too() {
    let broker = Broker::start();
    let paths = [
        "/api",
        "/api/nothing",
        "/api/queues/%2F/nothing",
        "/api/queues/nowhere",
        "/api/queues/nowhere/q",
        "/api/exchanges/%2F/nothing",
        "/api/vhosts/nowhere",
        "/api/bindings/nowhere",
    ];
    for path in paths {
        let answer = get(broker.http(), path);
        assert_eq!(answer.status, 404, "{path}");
        let expected = json!({"error": "Object Not Found", "reason": "Not Found"});
        assert_eq!(answer.json(), expected, "{path}");
    }
}

#[test]
fn a_method_that_is_not_for_the_path_is_named() {
    let broker = Broker::start();
    for (method, path) in [
        ("DELETE", "/api/overview"),
        ("POST", "/api/queues"),
        ("PATCH", "/api/queues/%2F/q"),
    ] {
        let answer = web::request(broker.http(), method, path, Some("guest:guest"));
        assert_eq!(answer.status, 405, "{method} {path}");
        let expected = json!({"error": "method_not_allowed", "reason": "Method Not Allowed"});
        assert_eq!(answer.json(), expected, "{method} {path}");
        assert!(
            answer
                .header("allow")
                .is_some_and(|allowed| allowed.contains("GET"))
        );
    }
    let path = "/api/queues/%2F/q";
    let options = web::request(broker.http(), "OPTIONS", path, None);
    assert_eq!((options.status, &*options.body), (200, ""));
    assert_eq!(
        options.header("allow"),
        Some("HEAD, GET, PUT, DELETE, OPTIONS")
    );
    let head = web::request(broker.http(), "HEAD", "/api/overview", Some("guest:guest"));
    assert_eq!((head.status, &*head.body), (200, ""));
}

#[test]
fn paths_that_cannot_be_read_are_bad_requests() {
    let broker = Broker::start();
    for path in [
        "/api/queues/%FF",
        "/api/queues/%2F/%C3%28",
        "/api/exchanges/%80/x",
    ] {
        let answer = get(broker.http(), path);
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["error"], "bad_request", "{path}");
    }
    let garbage = web::send(
        broker.http(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    );
    assert_eq!(garbage.status, 400);
    assert_eq!(get(broker.http(), "/api/overview").status, 200);
}

#[test]
fn requests_that_never_end_keep_nobody_out() {
    let broker = Broker::start();
    let halves: Vec<_> = (0..200)
        .map(|_| {
            let mut half = TcpStream::connect(broker.http()).unwrap();
            half.write_all(b"GET /api/overview HTTP/1.1\r\nHost:")
                .unwrap();
            half
        })
        .collect();
    assert_eq!(get(broker.http(), "/api/overview").status, 200);
    drop(halves);
    broker.stop();
}

#[test]
fn the_overview_counts_what_there_is() {
    let broker = Broker::start();
    let before = get(broker.http(), "/api/overview").json();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    wire.declare_queue("r", encode::DURABLE);
    for _ in 0..3 {
        wire.send(&encode::publish(
            1,
            ("", "q"),
            0,
            encode::TRANSIENT,
            b"body",
        ));
    }
    wire.get(1, "q", false).unwrap();
    wire.call(&encode::consume(1, "r", 0), (60, 21));

    let overview = get(broker.http(), "/api/overview").json();
    check_fields(
        &overview,
        &json!({
            "product_name": "RabbitMQ",
            "product_version": "3.13.7",
            "rabbitmq_version": "3.13.7",
            "management_version": "3.13.7",
            "leveret_version": env!("CARGO_PKG_VERSION"),
        }),
    );
    check_fields(
        &overview["queue_totals"],
        &json!({"messages": 3, "messages_ready": 2, "messages_unacknowledged": 1}),
    );
    let exchanges = before["object_totals"]["exchanges"].clone();
    check_fields(
        &overview["object_totals"],
        &json!({"connections": 1, "consumers": 1, "queues": 2, "exchanges": exchanges}),
    );
    assert_eq!(exchanges, 8);
    let listeners = overview["listeners"].as_array().unwrap();
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| (listener["protocol"].clone(), listener["port"].clone()))
        .collect();
    let expected = [
        (json!("amqp"), json!(broker.amqp().port())),
        (json!("http"), json!(broker.http().port())),
    ];
    assert_eq!(ports, expected);
    let whoami = get(broker.http(), "/api/whoami").json();
    let expected = json!({"name": "guest", "tags": ["administrator"], "is_internal_user": true});
    assert_eq!(whoami, expected);
    let version = web::request(broker.http(), "GET", "/api/version", None);
    assert_eq!((version.status, version.json()), (200, json!("3.13.7")));
}

#[test]
fn queues_are_listed_and_found_by_their_names() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    let ttl = encode::entry("x-message-ttl", b"I\x00\x00\xea\x60");
    let declare = encode::queue_declare(1, "plain", encode::DURABLE, &ttl);
    wire.call(&declare, (50, 11));
    wire.declare_queue("a b/c?d=é%", encode::EXCLUSIVE);
    for body in ["four", "and more"] {
        let publish = encode::publish(1, ("", "plain"), 0, encode::TRANSIENT, body.as_bytes());
        wire.send(&publish);
    }
    wire.get(1, "plain", false).unwrap();

    let plain = get(broker.http(), "/api/queues/%2F/plain").json();
    check_fields(
        &plain,
        &json!({
            "name": "plain",
            "vhost": "/",
            "type": "classic",
            "durable": true,
            "auto_delete": false,
            "exclusive": false,
            "arguments": {"x-message-ttl": 60000},
            "state": "running",
            "consumers": 0,
            "messages": 2,
            "messages_ready": 1,
            "messages_unacknowledged": 1,
            "message_bytes_ready": 8,
        }),
    );
    let odd = get(broker.http(), "/api/queues/%2F/a%20b%2Fc%3Fd%3D%C3%A9%25").json();
    check_fields(
        &odd,
        &json!({"name": "a b/c?d=é%", "exclusive": true, "durable": false}),
    );
    for path in ["/api/queues", "/api/queues/%2F", "/api/queues/%2f"] {
        let list = get(broker.http(), path).json();
        assert_eq!(list.as_array().unwrap().len(), 2, "{path}");
        check_fields(&plain, named(&list, "plain"));
        check_fields(&odd, named(&list, "a b/c?d=é%"));
    }
    let vhosts = get(broker.http(), "/api/vhosts").json();
    check_fields(
        named(&vhosts, "/"),
        &json!({"messages": 2, "messages_ready": 1, "messages_unacknowledged": 1}),
    );
    // What the answer to the last request took is counted a moment after the client has it.
    eventually("one alone is shown as in the list", || {
        let vhosts = get(broker.http(), "/api/vhosts").json();
        &get(broker.http(), "/api/vhosts/%2F").json() == named(&vhosts, "/")
    });
}

#[test]
fn exchanges_and_bindings_are_listed() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.call(
        &encode::exchange_declare(1, "x", "headers", encode::DURABLE),
        (40, 11),
    );
    wire.declare_queue("q", 0);
    let arguments = encode::entry("colour", &encode::text_value("red"));
    wire.call(
        &encode::queue_bind(1, "q", "x", "key", &arguments),
        (50, 21),
    );
    wire.call(&encode::exchange_bind(1, "x", "amq.fanout", ""), (40, 31));

    let list = get(broker.http(), "/api/exchanges").json();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|exchange| {
            (
                exchange["name"].as_str().unwrap(),
                exchange["type"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("", "direct"),
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
        ("amq.rabbitmq.event", "topic"),
        ("amq.rabbitmq.trace", "topic"),
        ("amq.topic", "topic"),
        ("x", "headers"),
    ];
    assert_eq!(names, expected);
    assert_eq!(get(broker.http(), "/api/exchanges/%2F").json(), list);
    let one = get(broker.http(), "/api/exchanges/%2F/x").json();
    check_fields(&one, named(&list, "x"));
    check_fields(
        &one,
        &json!({
            "name": "x", "vhost": "/", "type": "headers", "durable": true, "auto_delete": false,
            "internal": false, "arguments": {},
        }),
    );
    let default = get(broker.http(), "/api/exchanges/%2F/amq.default").json();
    check_fields(
        &default,
        &json!({"name": "", "type": "direct", "durable": true}),
    );

    let bindings = get(broker.http(), "/api/bindings").json();
    assert_eq!(get(broker.http(), "/api/bindings/%2F").json(), bindings);
    let bindings = bindings.as_array().unwrap();
    let from = |source: &str| {
        bindings
            .iter()
            .find(|binding| binding["source"] == source)
            .unwrap()
    };
    check_fields(
        from("x"),
        &json!({
            "vhost": "/", "destination": "q", "destination_type": "queue", "routing_key": "key",
            "arguments": {"colour": "red"},
        }),
    );
    check_fields(
        from("amq.fanout"),
        &json!({"destination": "x", "destination_type": "exchange", "routing_key": "", "arguments": {}}),
    );
}

#[test]
fn connections_are_listed_while_they_are_open() {
    let broker = Broker::start();
    assert_eq!(get(broker.http(), "/api/connections").json(), json!([]));
    let login = Login {
        properties: encode::entry("connection_name", &encode::text_value("shop")),
        ..Login::default()
    };
    let wire = Wire::log_in(broker.amqp(), &login);
    let peer = wire.socket().local_addr().unwrap();
    let list = get(broker.http(), "/api/connections").json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    check_fields(
        &list[0],
        &json!({
            "user": "guest", "vhost": "/", "peer_host": "127.0.0.1", "peer_port": peer.port(),
            "protocol": "AMQP 0-9-1", "state": "running", "user_provided_name": "shop",
        }),
    );
    drop(wire);
    eventually("it is gone from the list", || {
        get(broker.http(), "/api/connections").json() == json!([])
    });
}

#[test]
fn health_checks() {
    let broker = Broker::start();
    let healthy = ["alarms", "local-alarms", "virtual-hosts", "is-in-service"];
    for check in healthy {
        let answer = get(broker.http(), &format!("/api/health/checks/{check}"));
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"status": "ok"})),
            "{check}"
        );
    }
    // Load balancers have no credentials; it tells nothing else.
    let in_service = "/api/health/checks/is-in-service";
    assert_eq!(
        web::request(broker.http(), "GET", in_service, None).status,
        200
    );
    let alarms = "/api/health/checks/alarms";
    assert_eq!(web::request(broker.http(), "GET", alarms, None).status, 401);

    let check = |port: &str| {
        let answer = get(
            broker.http(),
            &format!("/api/health/checks/port-listener/{port}"),
        );
        (answer.status, answer.json())
    };
    let (amqp, http) = (broker.amqp().port(), broker.http().port());
    assert_eq!(
        check(&amqp.to_string()),
        (200, json!({"status": "ok", "port": amqp}))
    );
    assert_eq!(
        check(&http.to_string()),
        (200, json!({"status": "ok", "port": http}))
    );
    let missing = json!({
        "status": "failed", "reason": "No active listener", "missing": 1, "ports": [amqp, http],
    });
    assert_eq!(check("1"), (503, missing));
    for port in ["none", "65536", "-1"] {
        let expected = json!({"error": "bad_request", "reason": "Invalid port"});
        assert_eq!(check(port), (400, expected), "{port}");
    }
}
