//! Who does what with whom, and since when a channel does nothing.

use serde_json::Value;
use serde_json::json;

use super::check_fields;
use crate::broker::Broker;
use crate::broker::eventually;
use crate::web::get;
use crate::wire::Wire;
use crate::wire::encode;

/// A channel that has published to two exchanges and consumed and fetched from two queues.
fn busy(broker: &Broker) -> Wire {
    let mut wire = Wire::with_channel(broker.amqp());
    for queue in ["a", "b"] {
        wire.declare_queue(queue, 0);
        let bind = encode::queue_bind(1, queue, "amq.fanout", "", &[]);
        wire.call(&bind, (50, 21));
    }
    let mut publish = |exchange, key, count| {
        for _ in 0..count {
            let octets = encode::publish(1, (exchange, key), 0, encode::TRANSIENT, b"body");
            wire.send(&octets);
        }
    };
    publish("amq.fanout", "", 3);
    publish("", "a", 2);
    publish("", "nowhere", 1);
    wire.get(1, "b", false).expect("a message");
    wire.get(1, "b", true).expect("a message");
    wire.call(&encode::consume(1, "a", 0), (60, 21));
    let mut last = 0;
    for _ in 0..5 {
        last = wire.delivery(1).tag;
    }
    wire.send(&encode::ack(1, last, true));
    wire
}

fn api(broker: &Broker, path: &str) -> Value {
    let answer = get(broker.http(), &format!("/api/{path}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn path_of(channel: &Value) -> String {
    let name = channel["name"].as_str().unwrap();
    let name = name.replace(' ', "%20").replace('>', "%3E");
    format!("channels/{}", name.replace(':', "%3A"))
}

/// The entry of a list about this queue or exchange.
fn about<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let mut entries = list.as_array().unwrap().iter();
    let found = entries.find(|entry| entry[key] == json!({"name": name, "vhost": "/"}));
    &found.unwrap_or_else(|| panic!("nothing about {name} in {list}"))["stats"]
}

#[test]
fn channels_queues_and_exchanges_tell_what_passed_between_them() {
    let broker = Broker::start();
    let _wire = busy(&broker);
    eventually("the acknowledgement has come", || {
        api(&broker, "channels")[0]["message_stats"]["ack"] == 6
    });
    let channel = api(&broker, &path_of(&api(&broker, "channels")[0]));
    let of_a = json!({"deliver": 5, "deliver_no_ack": 0, "get": 0, "ack": 5, "redeliver": 0,
        "deliver_get": 5, "deliver_details": {"rate": 0.0}});
    let of_b = json!({"deliver": 0, "get": 1, "get_no_ack": 1, "ack": 1, "deliver_get": 2});
    check_fields(about(&channel["deliveries"], "queue", "a"), &of_a);
    check_fields(about(&channel["deliveries"], "queue", "b"), &of_b);
    let to_fanout = json!({"publish": 3, "drop_unroutable": 0, "publish_details": {"rate": 0.0}});
    let to_default = json!({"publish": 3, "drop_unroutable": 1, "return_unroutable": 0});
    let publishes = &channel["publishes"];
    check_fields(about(publishes, "exchange", "amq.fanout"), &to_fanout);
    check_fields(about(publishes, "exchange", ""), &to_default);

    let queue = api(&broker, "queues/%2F/a");
    assert_eq!(queue["deliveries"].as_array().unwrap().len(), 1);
    check_fields(&queue["deliveries"][0]["stats"], &of_a);
    let details = &queue["deliveries"][0]["channel_details"];
    assert_eq!(details, &queue["consumer_details"][0]["channel_details"]);
    let incoming = &queue["incoming"];
    check_fields(
        about(incoming, "exchange", "amq.fanout"),
        &json!({"publish": 3}),
    );
    check_fields(about(incoming, "exchange", ""), &json!({"publish": 2}));

    let exchange = api(&broker, "exchanges/%2F/amq.fanout");
    check_fields(&exchange["incoming"][0]["stats"], &to_fanout);
    assert_eq!(&exchange["incoming"][0]["channel_details"], details);
    for queue in ["a", "b"] {
        let stats = about(&exchange["outgoing"], "queue", queue);
        check_fields(stats, &json!({"publish": 3}));
    }
    let default = api(&broker, "exchanges/%2F/amq.default");
    let to_a = about(&default["outgoing"], "queue", "a");
    check_fields(to_a, &json!({"publish": 2}));
    assert_eq!(default["outgoing"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_gone_is_not_told_of() {
    let broker = Broker::start();
    let mut wire = busy(&broker);
    wire.call(&encode::queue_delete(1, "b"), (50, 41));
    let channel = api(&broker, &path_of(&api(&broker, "channels")[0]));
    assert_eq!(channel["deliveries"].as_array().unwrap().len(), 1);
    drop(wire);
    eventually("the channel is gone", || {
        api(&broker, "queues/%2F/a")["deliveries"] == json!([])
    });
    let exchange = api(&broker, "exchanges/%2F/amq.fanout");
    assert_eq!(exchange["incoming"], json!([]));
    assert_eq!(exchange["outgoing"].as_array().unwrap().len(), 1);
}

#[test]
fn a_channel_is_idle_after_a_second_and_tells_since_when() {
    let broker = Broker::start();
    let mut wire = busy(&broker);
    let since = || {
        let channel = api(&broker, "channels")[0].clone();
        channel["idle_since"].as_str().map(str::to_owned)
    };
    eventually("it is idle", || since().is_some());
    let first = since().unwrap();
    assert_eq!(first.len(), "2026-01-01T00:00:00.000+00:00".len());
    assert!(first.ends_with("+00:00"), "{first}");
    assert_eq!(since().unwrap(), first, "looking is no use of it");
    let octets = encode::publish(1, ("", "nowhere"), 0, encode::TRANSIENT, b"body");
    wire.send(&octets);
    eventually("it was used again", || {
        since().is_none_or(|now| now > first)
    });
}
