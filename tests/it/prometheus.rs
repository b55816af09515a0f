//! The exporter for Prometheus over its own port.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::net::SocketAddr;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::eventually;
use crate::web;
use crate::wire::Login;
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

/// Waits until a series has a value.
fn becomes(address: SocketAddr, series: &str, value: f64) {
    eventually(series, || {
        scrape(address, "/metrics").get(series) == Some(&value)
    });
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
    // Its name in RabbitMQ, and a slash.
    for same in ["/metrics/", "/metrics/default", "/metrics/default/"] {
        assert!(scrape(address, same).keys().eq(sums.keys()), "{same}");
    }
    check(
        &sums,
        &[
            ("rabbitmq_queue_messages_published_total", 3.0),
            ("rabbitmq_queue_messages_paged_out", 0.0),
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
    // A virtual host that is not there has nothing to tell.
    for (vhost, told) in [
        ("%2F", true),
        ("%2F&vhost=nowhere", true),
        ("two", false),
        ("nowhere", false),
        ("", false),
    ] {
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
    let elsewhere = web::request(address, "GET", "/metricsooops", None);
    assert_eq!(
        elsewhere.body,
        "{\"error\":\"Object Not Found\",\"reason\":\"Not Found\"}"
    );
    for page in ["/metrics", "/metrics/", "/metrics/per-object"] {
        for (method, status) in [("POST", 405), ("OPTIONS", 200), ("HEAD", 204)] {
            let answer = web::request(address, method, page, None);
            assert_eq!((answer.status, &*answer.body), (status, ""), "{method}");
            let allowed = (status != 204).then_some("HEAD, GET, OPTIONS");
            assert_eq!(answer.header("allow"), allowed, "{method}");
        }
    }
    let only =
        "GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    assert_eq!(web::send(address, only.as_bytes()).status, 406);
    broker.stop();
}

#[test]
fn waits_and_confirms_are_measured() {
    let (broker, address) = start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    wire.send(&encode::confirm_select(1));
    wire.expect(1, (85, 11));
    for _ in 0..3 {
        wire.send(&encode::publish(1, ("", "q"), 0, encode::PERSISTENT, b"m"));
    }
    // The publisher's connection is told of confirms.
    let mut reader = Wire::with_channel(broker.amqp());
    becomes(address, "leveret_confirm_latency_seconds_count", 3.0);
    reader.get(1, "q", true).unwrap();
    let sums = scrape(address, "/metrics");
    let classic = "queue_type=\"rabbit_classic_queue\"";
    check(
        &sums,
        &[
            ("leveret_confirm_latency_seconds_bucket{le=\"+Inf\"}", 3.0),
            (
                &format!("leveret_queue_wait_seconds_count{{{classic}}}"),
                1.0,
            ),
            (
                &format!("leveret_queue_wait_seconds_bucket{{{classic},le=\"3600\"}}"),
                1.0,
            ),
        ],
    );
    assert!(sums.contains_key("leveret_confirm_latency_seconds_bucket{le=\"0.0001\"}"));
    eventually("the messages grow older", || {
        let sums = scrape(address, "/metrics");
        sums["leveret_queue_oldest_message_age_seconds"] > 0.0
    });
    let series = "queue_oldest_message_age_seconds{vhost=\"/\",queue=\"q\"}";
    let objects = scrape(address, "/metrics/per-object");
    assert!(objects[&format!("leveret_{series}")] > 0.0);
    let detailed = scrape(address, "/metrics/detailed?family=queue_oldest_message_age");
    assert!(detailed[&format!("leveret_detailed_{series}")] > 0.0);
    while reader.get(1, "q", true).is_some() {}
    check(
        &scrape(address, "/metrics"),
        &[("leveret_queue_oldest_message_age_seconds", 0.0)],
    );
    reader.close();
    drop(wire);
    broker.stop();
}

#[test]
fn logins_are_counted_by_protocol() {
    let (broker, address) = start();
    Wire::open(broker.amqp()).close();
    let wrong = Login {
        password: "wrong",
        ..Login::default()
    };
    let mut refused = Wire::connect(broker.amqp());
    refused.send(&encode::PROTOCOL_HEADER);
    refused.expect(0, (10, 10));
    refused.send(&encode::start_ok(&[], "PLAIN", &wrong.plain()));
    assert_eq!(web::get(broker.http(), "/api/whoami").status, 200);
    let series = |name: &str, protocol: &str| {
        format!("rabbitmq_auth_attempts_{name}{{protocol=\"{protocol}\"}}")
    };
    becomes(address, &series("failed_total", "amqp091"), 1.0);
    check(
        &scrape(address, "/metrics"),
        &[
            (&series("total", "amqp091"), 2.0),
            (&series("succeeded_total", "amqp091"), 1.0),
            (&series("succeeded_total", "http"), 1.0),
        ],
    );
    let by_protocol = scrape(address, "/metrics/detailed?family=auth_attempt_metrics");
    check(
        &by_protocol,
        &[
            (
                "rabbitmq_detailed_auth_attempts_failed_total{protocol=\"amqp091\"}",
                1.0,
            ),
            (
                "rabbitmq_detailed_auth_attempts_succeeded_total{protocol=\"http\"}",
                1.0,
            ),
        ],
    );
    broker.stop();
}

#[test]
fn dead_letters_have_the_strategies_of_rabbitmq() {
    let (broker, address) = start();
    let mut wire = Wire::with_channel(broker.amqp());
    let dead = encode::entry("x-max-length", &[b'l', 0, 0, 0, 0, 0, 0, 0, 1]);
    wire.send(&encode::queue_declare(1, "q", 0, &dead));
    wire.expect(1, (50, 11));
    for _ in 0..3 {
        wire.send(&encode::publish(1, ("", "q"), 0, encode::PERSISTENT, b"m"));
    }
    let of = |metric: &str, kind: &str, strategy: &str| {
        format!(
            "rabbitmq_global_messages_dead_lettered_{metric}_total{{queue_type=\"rabbit_{kind}_queue\",dead_letter_strategy=\"{strategy}\"}}"
        )
    };
    becomes(address, &of("maxlen", "classic", "disabled"), 2.0);
    let series = scrape(address, "/metrics");
    let exist = series
        .keys()
        .filter(|name| name.contains("dead_letter_strategy"));
    // Six of classic queues, eleven of quorum queues.
    assert_eq!(exist.count(), 3 * 2 + 4 * 2 + 4);
    for (metric, kind, strategy) in [
        ("rejected", "classic", "at_most_once"),
        ("delivery_limit", "quorum", "disabled"),
        ("confirmed", "quorum", "at_least_once"),
    ] {
        assert_eq!(series[&of(metric, kind, strategy)], 0.0);
    }
    wire.close();
    broker.stop();
}

#[test]
fn the_runtime_and_its_memory_are_told() {
    let (broker, address) = start();
    Wire::open(broker.amqp()).close();
    let sums = scrape(address, "/metrics");
    for name in [
        "erlang_vm_process_count",
        "erlang_vm_port_limit",
        "erlang_vm_statistics_bytes_received_total",
        "erlang_vm_statistics_context_switches",
        "erlang_vm_memory_bytes_total{kind=\"system\"}",
    ] {
        assert!(sums[name] > 0.0, "{name}");
    }
    assert!(sums.contains_key("erlang_vm_dirty_io_schedulers"));
    let memory = scrape(address, "/metrics/memory-breakdown");
    let parts = memory
        .iter()
        .filter(|(name, _)| name.starts_with("rabbitmq_memory_"));
    let parts: Vec<f64> = parts.map(|(_, value)| *value).collect();
    assert_eq!(parts.len(), 26);
    assert!(parts.iter().sum::<f64>() > 1e6);
    assert!(
        memory
            .keys()
            .any(|name| name.contains("rabbitmq_endpoint=\"memory-breakdown\""))
    );
    broker.stop();
}

#[test]
fn alarms_are_told_when_they_come_and_when_they_go() {
    let (broker, address) = start();
    let series = "rabbitmq_alarms_memory_used_watermark";
    check(&scrape(address, "/metrics"), &[(series, 0.0)]);
    let data = broker.default_data_dir().display().to_string();
    let ctl = |arguments: &[&str]| {
        let arguments = [&["ctl"], arguments, &["--data-dir", &data]].concat();
        let (status, _, errors) = Launch::bare(&arguments).run();
        assert!(status.success(), "{errors}");
    };
    ctl(&["set_vm_memory_high_watermark", "absolute", "1kB"]);
    becomes(address, series, 1.0);
    ctl(&["set_vm_memory_high_watermark", "0.9"]);
    becomes(address, series, 0.0);
    broker.stop();
}

#[test]
fn pages_are_compressed_for_who_asks() {
    let (broker, address) = start();
    let ask =
        "GET /metrics HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    let answer = web::send_raw(address, ask.as_bytes());
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..head].to_vec()).unwrap();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    // The first chunk begins with gzip's own mark.
    assert!(answer.windows(3).any(|three| three == [0x1f, 0x8b, 8]));
    assert!(answer.len() < 20_000, "{}", answer.len());
    broker.stop();
}
