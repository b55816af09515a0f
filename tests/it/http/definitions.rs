//! Definitions over HTTP and at the start.

use serde_json::json;

use super::named;
use crate::broker::Broker;
use crate::broker::Launch;
use crate::web;
use crate::web::get;
use crate::web::put;

fn import(broker: &Broker, path: &str, document: &str) -> web::Answer {
    web::with_body(broker.http(), "POST", path, "guest:guest", document)
}

#[test]
fn an_export_can_be_imported_again() {
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
    let exported = get(broker.http(), "/api/definitions?download=all.json");
    let name = exported.header("content-disposition");
    assert_eq!(name, Some("attachment; filename=\"all.json\""));
    assert_eq!(
        import(&broker, "/api/definitions", &exported.body).status,
        204
    );
    let of_vhost = get(broker.http(), "/api/definitions/%2F");
    assert_eq!(named(&of_vhost.json()["queues"], "q")["durable"], true);
    assert_eq!(
        import(&broker, "/api/definitions/%2F", &of_vhost.body).status,
        204
    );
    assert_eq!(
        import(&broker, "/api/definitions", &of_vhost.body).status,
        400
    );
    assert_eq!(
        import(&broker, "/api/definitions/%2F", &exported.body).status,
        400
    );
    assert_eq!(
        import(&broker, "/api/definitions/nowhere", "{}").status,
        404
    );
    assert_eq!(import(&broker, "/api/definitions", "not json").status, 400);
    let other = web::request(broker.http(), "GET", "/api/definitions", None);
    assert_eq!(other.status, 401);
}

#[test]
fn what_cannot_be_taken_is_told_and_the_rest_is_taken() {
    let broker = Broker::start();
    let document = json!({
        "exchanges": [{"vhost": "/", "name": "x", "type": "none"}, {"vhost": "/", "name": "y", "type": "direct"}],
    });
    let answer = import(&broker, "/api/definitions", &document.to_string());
    assert_eq!(answer.status, 400);
    let told = answer.json();
    assert_eq!(told["reason"], "unknown exchange type 'none'");
    assert_eq!(told["skipped"][0]["name"], "/ / x");
    assert_eq!(get(broker.http(), "/api/exchanges/%2F/y").status, 200);
}

#[test]
fn a_node_starts_with_definitions_instead_of_guest() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("definitions.json");
    let document = json!({
        "users": [{"name": "boss", "password": "secret", "tags": ["administrator"]}],
        "vhosts": [{"name": "v"}],
        "permissions": [{"user": "boss", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"}],
        "queues": [{"vhost": "v", "name": "q", "durable": true, "auto_delete": false, "arguments": {}}],
    });
    std::fs::write(&file, document.to_string()).unwrap();
    let settings = format!("load_definitions = {:?}\n", file.display().to_string());
    let broker = Launch::serve().settings(&settings).start();
    let ask = |path: &str| web::request(broker.http(), "GET", path, Some("boss:secret"));
    assert_eq!(
        ask("/api/vhosts?columns=name").json(),
        json!([{"name": "v"}])
    );
    assert_eq!(ask("/api/queues/v/q").status, 200);
    assert_eq!(get(broker.http(), "/api/whoami").status, 401);
}
