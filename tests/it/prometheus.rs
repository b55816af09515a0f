//! The exporter for Prometheus over its own port.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::net::SocketAddr;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::web;
use crate::wire::Wire;
use crate::wire::encode;

fn start() -> (Broker, SocketAddr) {
    let broker = Launch::serve()
        .settings("prometheus_listen = [\"127.0.0.1:0\"]")
        .start();
    let (_, after) = broker.ready_line().split_once(", Prometheus on ").unwrap();
    let address = after.split(',').next().unwrap().parse().unwrap();
    (broker, address)
}

/// Series with their values, and that each family has one head.
fn scrape(address: SocketAddr, path: &str) -> BTreeMap<String, f64> {
    let answer = web::request(address, "GET", path, None);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let kind = answer.header("content-type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let mut heads = HashSet::new();
    let mut series = BTreeMap::new();
    for line in answer.body.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            assert!(heads.insert(head.to_owned()), "{head} twice");
        } else if let Some((name, value)) = line.rsplit_once(' ')
            && let Ok(value) = value.parse()
            && !line.starts_with('#')
        {
            assert!(series.insert(name.to_owned(), value).is_none(), "{name}");
        }
    }
    series
}

#[track_caller]
fn check(series: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        assert_eq!(series.get(*name), Some(value), "{name}");
    }
}

#[test]
fn pages_tell_of_objects_together_and_apart() {
    let (broker, address) = start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("a\"b", 0);
    wire.declare_queue("other", 0);
    for _ in 0..3 {
        wire.send(&encode::publish(
            1,
            ("", "a\"b"),
            0,
            encode::PERSISTENT,
            b"body",
        ));
    }
    wire.get(1, "a\"b", true).unwrap();

    let sums = scrape(address, "/metrics");
    check(
        &sums,
        &[
            ("rabbitmq_queue_messages_ready", 2.0),
            ("rabbitmq_queue_messages_bytes", 8.0),
            ("rabbitmq_queues", 2.0),
            ("rabbitmq_connections", 1.0),
            ("rabbitmq_channels", 1.0),
            ("rabbitmq_queues_created_total", 2.0),
            ("rabbitmq_alarms_memory_used_watermark", 0.0),
            (
                "rabbitmq_global_messages_received_total{protocol=\"amqp091\"}",
                3.0,
            ),
            ("rabbitmq_global_publishers{protocol=\"amqp091\"}", 1.0),
            (
                "rabbitmq_global_messages_delivered_get_auto_ack_total{protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\"}",
                1.0,
            ),
            (
                "rabbitmq_global_messages_acknowledged_total{protocol=\"amqp091\",queue_type=\"rabbit_stream_queue\"}",
                0.0,
            ),
            ("leveret_vhost_messages_published_total{vhost=\"/\"}", 3.0),
        ],
    );
    assert!(sums["rabbitmq_resident_memory_limit_bytes"] > 0.0);
    assert!(sums["process_start_time_seconds"] > 1.7e9);
    assert!(!sums.keys().any(|name| name.contains("queue=")));

    let objects = scrape(address, "/metrics/per-object");
    check(
        &objects,
        &[
            (
                "rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"a\\\"b\"}",
                2.0,
            ),
            (
                "rabbitmq_queue_get_total{vhost=\"/\",queue=\"a\\\"b\"}",
                1.0,
            ),
            ("rabbitmq_queue_messages{vhost=\"/\",queue=\"other\"}", 0.0),
            (
                "rabbitmq_queue_info{vhost=\"/\",queue=\"other\",queue_type=\"rabbit_classic_queue\",membership=\"leader\"}",
                1.0,
            ),
            ("rabbitmq_queues", 2.0),
        ],
    );
    for page in [&sums, &objects] {
        let identities = page.keys().filter(|name| name.contains("_identity_info"));
        assert_eq!(identities.count(), 1);
    }
    wire.close();
    broker.stop();
}

#[test]
fn what_is_asked_for_in_detail_is_told_and_nothing_else() {
    let (broker, address) = start();
    let made = web::put(broker.http(), "/api/vhosts/two", &serde_json::json!({}));
    assert_eq!(made.status, 201);
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    let bare = scrape(address, "/metrics/detailed");
    assert_eq!(bare.len(), 2, "{bare:?}");
    let both = "/metrics/detailed?family=queue_consumer_count&family=queue_metrics&family=none";
    let both = scrape(address, both);
    let consumers = "rabbitmq_detailed_queue_consumers{vhost=\"/\",queue=\"q\"}";
    check(&both, &[(consumers, 0.0)]);
    assert!(both.contains_key("rabbitmq_detailed_queue_messages_ram{vhost=\"/\",queue=\"q\"}"));
    assert!(
        !both
            .keys()
            .any(|name| name.contains("queue_messages_ready{"))
    );
    let coarse = "/metrics/detailed?family=queue_coarse_metrics&vhost=";
    let ready = "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"q\"}";
    // A virtual host that is not there filters nothing, as in RabbitMQ.
    for (vhost, told) in [("%2F", true), ("two", false), ("nowhere", true)] {
        let series = scrape(address, &format!("{coarse}{vhost}"));
        assert_eq!(series.contains_key(ready), told, "{vhost}");
    }
    let cluster = "/metrics/detailed?family=vhost_status&family=exchange_bindings&vhost=%2F";
    let cluster = scrape(address, cluster);
    check(
        &cluster,
        &[
            ("rabbitmq_cluster_vhost_status{vhost=\"two\"}", 1.0),
            (
                "rabbitmq_cluster_exchange_bindings{vhost=\"/\",exchange=\"amq.topic\",type=\"topic\"}",
                0.0,
            ),
        ],
    );
    wire.close();
    broker.stop();
}

#[test]
fn other_pages_and_other_formats_are_refused() {
    let (broker, address) = start();
    for path in ["/metrics/unknown", "/metricsooops", "/"] {
        assert_eq!(
            web::request(address, "GET", path, None).status,
            404,
            "{path}"
        );
    }
    let unknown = web::request(address, "GET", "/metrics/unknown", None);
    assert_eq!(unknown.body, "Unknown Registry");
    assert_eq!(web::request(address, "POST", "/metrics", None).status, 405);
    let only =
        "GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    assert_eq!(web::send(address, only.as_bytes()).status, 406);
    broker.stop();
}
