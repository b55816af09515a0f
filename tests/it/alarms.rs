//! Resource alarms of a real process, judged by what its machine really has.

use serde_json::json;

use crate::broker::Launch;
use crate::web;
use crate::wire::Arguments;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::capabilities;
use crate::wire::encode;

/// `connection.blocked`.
const BLOCKED: (u16, u16) = (10, 60);

#[test]
fn publishers_wait_while_memory_and_disk_are_short() {
    let broker = Launch::serve()
        .settings(
            "vm_memory_high_watermark.absolute = \"1kB\"\ndisk_free_limit.absolute = \"1000000TB\"",
        )
        .start();
    let login = Login {
        properties: capabilities(&["connection.blocked"]),
        ..Login::default()
    };
    let mut publisher = Wire::log_in(broker.amqp(), &login);
    publisher.open_channel(1);
    // Everything but publishing goes on.
    publisher.declare_queue("q", 0);
    publisher.send(&encode::publish(1, ("", "q"), 0, encode::PERSISTENT, b"a"));
    let told = publisher.expect(0, BLOCKED);
    assert_eq!(Arguments(&told).text(), "low on disk & memory");
    let mut consumer = Wire::with_channel(broker.amqp());
    assert_eq!(consumer.declare_queue("q", 0), (0, 0));
    consumer.close();
    let log = broker.log();
    for resource in ["memory", "disk"] {
        let set = format!("{resource} resource limit alarm set on node rabbit@");
        assert!(log.contains(&set), "{log}");
    }
    for (check, place) in [
        ("alarms", "in the cluster"),
        ("local-alarms", "on the node"),
    ] {
        let answer = web::get(broker.http(), &format!("/api/health/checks/{check}"));
        assert_eq!(answer.status, 503);
        let reason = format!("There are alarms in effect {place}");
        assert_eq!(answer.json()["reason"], reason);
        assert_eq!(answer.json()["alarms"][0]["resource"], "memory");
    }
    let node = web::get(broker.http(), "/api/nodes").json()[0].clone();
    let shown = (
        &node["mem_alarm"],
        &node["disk_free_alarm"],
        &node["mem_limit"],
    );
    assert_eq!(shown, (&json!(true), &json!(true), &json!(1000)));
    drop(publisher);
    broker.stop();
}
