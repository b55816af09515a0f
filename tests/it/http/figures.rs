//! Figures, lists and headers: what watches a node reads.

use serde_json::json;

use super::check_fields;
use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::eventually;
use crate::web;
use crate::web::get;
use crate::web::put;
use crate::wire::Wire;
use crate::wire::encode;

#[test]
fn channels_and_queues_tell_what_passed() {
    let broker = Broker::start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    for key in ["q", "q", "nowhere"] {
        wire.send(&encode::publish(
            1,
            ("", key),
            0,
            encode::TRANSIENT,
            b"body",
        ));
    }
    wire.get(1, "q", false).unwrap();
    wire.get(1, "q", true).unwrap();
    let connection = get(broker.http(), "/api/connections").json()[0].clone();
    let name = connection["name"].as_str().unwrap().to_owned();
    check_fields(
        &connection,
        &json!({"channels": 1, "user": "guest", "vhost": "/", "auth_mechanism": "PLAIN", "state": "running"}),
    );
    assert!(connection["recv_oct"].as_u64().unwrap() > 0);
    let channel = get(broker.http(), "/api/channels").json()[0].clone();
    assert_eq!(channel["name"], format!("{name} (1)"));
    assert_eq!(channel["messages_unacknowledged"], 1);
    let stats =
        json!({"publish": 3, "drop_unroutable": 1, "get": 1, "get_no_ack": 1, "deliver_get": 2});
    check_fields(&channel["message_stats"], &stats);
    let queue = get(broker.http(), "/api/queues/%2F/q").json();
    check_fields(
        &queue["message_stats"],
        &json!({"publish": 2, "get": 1, "get_no_ack": 1}),
    );
    let exchange = get(broker.http(), "/api/exchanges/%2F/amq.default").json();
    check_fields(
        &exchange["message_stats"],
        &json!({"publish_in": 3, "publish_out": 2}),
    );
    drop(wire);
    eventually("the connection is gone", || {
        get(broker.http(), "/api/connections").json() == json!([])
    });
    check_fields(
        &get(broker.http(), "/api/overview").json()["message_stats"],
        &stats,
    );
}

#[test]
fn connections_are_closed_with_a_reason() {
    let broker = Broker::start();
    let _wire = Wire::with_channel(broker.amqp());
    let name = get(broker.http(), "/api/connections").json()[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!(
        "/api/connections/{}",
        name.replace(' ', "%20")
            .replace('>', "%3E")
            .replace(':', "%3A")
    );
    assert_eq!(get(broker.http(), &path).status, 200);
    assert_eq!(
        get(broker.http(), &format!("{path}/channels"))
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let closed = web::request(broker.http(), "DELETE", &path, Some("guest:guest"));
    assert_eq!(closed.status, 204);
    eventually("the connection is gone", || {
        get(broker.http(), &path).status == 404
    });
}

#[test]
fn pages_columns_and_order_are_what_the_client_says() {
    let broker = Broker::start();
    for n in 0..12 {
        let path = format!("/api/queues/%2F/q{n:02}");
        assert_eq!(
            put(broker.http(), &path, &json!({"durable": true})).status,
            201
        );
    }
    let page = get(
        broker.http(),
        "/api/queues?page=2&page_size=5&columns=name&sort=name&sort_reverse=true",
    )
    .json();
    let names: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["q06", "q05", "q04", "q03", "q02"]);
    check_fields(
        &page,
        &json!({"total_count": 12, "filtered_count": 12, "item_count": 5, "page": 2, "page_size": 5, "page_count": 3}),
    );
    let some = get(
        broker.http(),
        "/api/queues/%2F?page=1&name=Q1&sort=messages&pagination=true",
    )
    .json();
    assert_eq!(
        (&some["filtered_count"], &some["items"][0]["name"]),
        (&json!(2), &json!("q10"))
    );
    for wrong in [
        "page=9",
        "page=0",
        "page=x",
        "page=1&page_size=501",
        "page=1&page_size=-1",
    ] {
        assert_eq!(
            get(broker.http(), &format!("/api/queues?{wrong}")).status,
            400,
            "{wrong}"
        );
    }
    let bare = get(
        broker.http(),
        "/api/queues?disable_stats=true&enable_queue_totals=true&page=1",
    )
    .json();
    assert!(bare["items"][0].get("memory").is_none() && bare["items"][0]["messages"] == 0);
}

#[test]
fn who_asks_hears_for_how_long_a_login_is_to_last() {
    let settings = "management.login_session_timeout = 30\n";
    let broker = Launch::serve().settings(settings).start();
    let me = get(broker.http(), "/api/whoami").json();
    assert_eq!(me["login_session_timeout"], json!(30));
    let form = "username=guest&password=guest";
    let request = format!(
        "POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let login = web::send(broker.http(), request.as_bytes());
    assert_eq!((login.status, &login.json()["user"]), (200, &me));
    let untold = get(Broker::start().http(), "/api/whoami").json();
    assert!(untold.get("login_session_timeout").is_none());
}

#[test]
fn other_origins_ask_if_they_may() {
    let settings =
        "management.path_prefix = \"/rabbit\"\nmanagement.cors.allow_origins = [\"http://a\"]\n";
    let broker = Launch::serve().settings(settings).start();
    let ask = |method: &str, origin: &str| {
        let request = format!(
            "{method} /rabbit/api/version HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Headers: x-any\r\nConnection: close\r\n\r\n"
        );
        web::send(broker.http(), request.as_bytes())
    };
    let asked = ask("OPTIONS", "http://a");
    assert_eq!(asked.status, 200);
    for (header, value) in [
        ("access-control-allow-origin", "http://a"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "1800"),
        ("access-control-allow-headers", "x-any"),
        ("vary", "accept, accept-encoding, origin"),
    ] {
        assert_eq!(asked.header(header), Some(value), "{header}");
    }
    assert!(
        asked
            .header("access-control-allow-methods")
            .unwrap()
            .contains("GET")
    );
    assert_eq!(
        ask("GET", "http://a").header("access-control-allow-origin"),
        Some("http://a")
    );
    assert_eq!(
        ask("GET", "http://b").header("access-control-allow-origin"),
        None
    );
    assert_eq!(
        web::request(broker.http(), "GET", "/api/version", None).status,
        404
    );
}

#[test]
fn the_node_is_for_those_who_watch_it() {
    let broker = Broker::start();
    let node = get(broker.http(), "/api/nodes").json()[0].clone();
    check_fields(
        &node,
        &json!({"running": true, "type": "disc", "mem_alarm": false, "partitions": []}),
    );
    for figure in [
        "mem_used",
        "mem_limit",
        "fd_used",
        "fd_total",
        "disk_free",
        "processors",
    ] {
        assert!(node[figure].as_u64().unwrap() > 0, "{figure}");
    }
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(put(broker.http(), "/api/users/u", &user).status, 201);
    let refused = web::request(broker.http(), "GET", "/api/nodes", Some("u:p"));
    assert_eq!(
        (refused.status, refused.json()["reason"].clone()),
        (401, json!("Not monitor user"))
    );
    let overview = web::request(broker.http(), "GET", "/api/overview", Some("u:p")).json();
    assert!(overview.get("node").is_none() && overview.get("listeners").is_none());
    for path in [
        "/api/health/checks/protocol-listener/amqp091,http",
        "/api/health/checks/node-is-quorum-critical",
        "/api/health/checks/certificate-expiration/2/weeks",
        "/api/health/checks/ready-to-serve-clients",
        "/api/health/checks/reached-target-cluster-size",
        "/api/health/checks/metadata-store/initialized",
        "/api/health/checks/metadata-store/initialized/with-data",
        "/api/health/checks/quorum-queues-without-elected-leaders/all-vhosts/",
        "/api/health/checks/quorum-queues-without-elected-leaders/vhost/%2F/pattern/.*",
        "/api/aliveness-test/%2F",
        "/api/healthchecks/node",
        "/api/feature-flags",
        "/api/deprecated-features/used",
        "/api/extensions",
    ] {
        assert_eq!(get(broker.http(), path).status, 200, "{path}");
    }
    let missing = get(broker.http(), "/api/health/checks/protocol-listener/mqtt");
    assert_eq!(
        (missing.status, missing.json()["missing"].clone()),
        (503, json!(["mqtt"]))
    );
    assert_eq!(
        get(
            broker.http(),
            "/api/health/checks/certificate-expiration/two/weeks"
        )
        .status,
        400
    );
}
