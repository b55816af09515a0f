//! The event exchange: what is told, in which headers and in which order.

use super::*;
use crate::broker::Administered;
use crate::metrics::machine::Levels;
use crate::protocol::properties::Fields;
use crate::protocol::raw_table;
use crate::vhost::EVENT_EXCHANGE;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;
use serde_json::json;

/// A client whose queue `events` has all that is told from now on.
fn watcher(node: &Node) -> Client {
    let mut client = node.client();
    client.queue("events");
    client.bind_queue(EVENT_EXCHANGE, "events", "#");
    let told = events(&mut client);
    assert_eq!(names(&told), ["binding.created"], "its own binding");
    client
}

struct Event {
    name: String,
    /// `name=value` each, as they stand in the table; texts as they are, other types with their letter.
    headers: Vec<String>,
}

impl Event {
    fn get(&self, key: &str) -> &str {
        let mut values = self.headers.iter();
        let value = values.find_map(|header| header.strip_prefix(&format!("{key}=")));
        value.unwrap_or_else(|| panic!("no {key} in {} {:?}", self.name, self.headers))
    }

    #[track_caller]
    fn check(&self, name: &str, headers: &[&str]) {
        let (last, others) = self.headers.split_last().expect("has a time");
        assert_eq!(last, &format!("timestamp_in_ms=l{NOW}"));
        assert_eq!((&*self.name, others), (name, &owned(headers)[..]));
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event.name).collect()
}

fn shown(value: raw_table::RawValue<'_>) -> String {
    if let Some(text) = value.text() {
        return String::from_utf8_lossy(text).into_owned();
    }
    if let Some(table) = value.table() {
        let entries = raw_table::entries(table).map(|(key, value)| {
            let key = String::from_utf8_lossy(key).into_owned();
            format!("{key}={}", shown(value))
        });
        return format!("[{}]", entries.collect::<Vec<_>>().join(","));
    }
    if let Some(values) = value.values() {
        let values: Vec<_> = values.map(shown).collect();
        return format!("[{}]", values.join(","));
    }
    match value.bytes() {
        [b't', flag] => format!("t{flag}"),
        _ => format!("l{}", value.long().expect("a number")),
    }
}

fn events(client: &mut Client) -> Vec<Event> {
    let queue = QueueName::known("events");
    let got = std::iter::from_fn(|| client.get(CHANNEL, &queue, true).expect("allowed"));
    let runs: Vec<Run> = got.map(|got| got.range.run).collect();
    let event = |run: &Run| {
        let message = run.first();
        let fields = Fields(message.header());
        assert_eq!(
            (message.exchange(), message.body()),
            (EVENT_EXCHANGE, &b""[..])
        );
        assert_eq!(fields.delivery_mode(), Some(2));
        assert_eq!(fields.timestamp(), Some(NOW / 1000));
        let table = fields.headers_bytes().expect("has headers");
        let headers = raw_table::entries(table);
        let headers = headers.map(|(key, value)| {
            let key = String::from_utf8_lossy(key).into_owned();
            format!("{key}={}", shown(value))
        });
        Event {
            name: message.routing_key().to_owned(),
            headers: headers.collect(),
        }
    };
    runs.iter().map(event).collect()
}

#[test]
fn changes_of_the_topology_are_told_with_who_made_them() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut client = node.client();
    events(&mut watcher);
    client.exchange("x", "topic");
    let declare = QueueDeclare {
        arguments: arguments(&[("x-message-ttl", AMQPValue::LongInt(5000))]),
        ..queue("q")
    };
    client.declare_queue(declare.clone()).expect("declared");
    client.declare_queue(declare).expect("the same again");
    let binding = Bind {
        arguments: arguments(&[("a", AMQPValue::LongString("b".into()))]),
        ..to_queue("x", "q", "k.*")
    };
    client.bind(binding.clone()).expect("bound");
    client.bind(binding).expect("the same again");
    client
        .bind(to_exchange("amq.direct", "x", "kk"))
        .expect("bound");
    let told = events(&mut watcher);
    let by = "user_who_performed_action=guest";
    told[0].check(
        "exchange.created",
        &[
            by,
            "policy=",
            "arguments=[]",
            "internal=t0",
            "auto_delete=t0",
            "durable=t1",
            "type=topic",
            "name=x",
            "vhost=/",
        ],
    );
    told[1].check(
        "queue.created",
        &[
            "type=rabbit_classic_queue",
            by,
            "exclusive=t0",
            "owner_pid=",
            "arguments=[{<<\"x-message-ttl\">>,signedint,5000}]",
            "auto_delete=t0",
            "durable=t1",
            "name=q",
            "vhost=/",
        ],
    );
    let binding = |by: &str, key: &str, kind: &str, to: &str, from: &str, arguments: &str| {
        [
            format!("user_who_performed_action={by}"),
            "vhost=/".to_owned(),
            format!("arguments=[{arguments}]"),
            format!("routing_key={key}"),
            format!("destination_kind={kind}"),
            format!("destination_name={to}"),
            "source_kind=exchange".to_owned(),
            format!("source_name={from}"),
        ]
    };
    let check = |event: &Event, name: &str, headers: [String; 8]| {
        event.check(
            name,
            &headers.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    let term = "{<<\"a\">>,longstr,<<\"b\">>}";
    check(
        &told[2],
        "binding.created",
        binding("guest", "k.*", "queue", "q", "x", term),
    );
    check(
        &told[3],
        "binding.created",
        binding("guest", "kk", "exchange", "x", "amq.direct", ""),
    );
    assert_eq!(told.len(), 4);

    let q = QueueName::known("q");
    client.delete_queue(&q, false, false).expect("deleted");
    client.delete_queue(&q, false, false).expect("gone already");
    client
        .delete_exchange(&ExchangeName::known("x"), false)
        .expect("deleted");
    let told = events(&mut watcher);
    // The bindings of a queue go by themselves.
    check(
        &told[0],
        "binding.deleted",
        binding("rmq-internal", "k.*", "queue", "q", "x", term),
    );
    told[1].check(
        "queue.deleted",
        &[
            "user_who_performed_action=guest",
            "type=rabbit_classic_queue",
            "name=q",
            "vhost=/",
        ],
    );
    check(
        &told[2],
        "binding.deleted",
        binding("guest", "kk", "exchange", "x", "amq.direct", ""),
    );
    told[3].check("exchange.deleted", &[by, "name=x", "vhost=/"]);
    assert_eq!(told.len(), 4);
}

#[test]
fn a_connection_is_told_from_its_login_to_its_end() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut session = Session::new(
        Arc::clone(&node.broker),
        SocketAddr::from((Ipv4Addr::LOCALHOST, 1234)),
    );
    session.set_now(NOW);
    session.set_local(SocketAddr::from((Ipv4Addr::LOCALHOST, 5672)));
    let mut client = Client { session };
    let mut properties = FieldTable::default();
    properties.insert(
        "connection_name".into(),
        AMQPValue::LongString("mine".into()),
    );
    client.login("PLAIN", b"\0guest\0guest", &properties);
    client.tuned(2047, 131_072, 60);
    client.open(&VhostName::known("/")).expect("may enter");
    client.open_channel(CHANNEL).expect("opened");
    client.exclusive_queue("own");
    let consume = Consume {
        prefetch: 7,
        exclusive: true,
        arguments: arguments(&[("x-priority", AMQPValue::LongInt(5))]),
        ..consume("own")
    };
    client.consume(CHANNEL, consume).expect("a consumer");
    drop(client);
    let told = events(&mut watcher);
    assert_eq!(
        names(&told),
        [
            "user.authentication.success",
            "connection.created",
            "channel.created",
            "queue.created",
            "consumer.created",
            "consumer.deleted",
            "channel.closed",
            "queue.deleted",
            "connection.closed",
        ]
    );
    let name = "127.0.0.1:1234 -> 127.0.0.1:5672";
    told[0].check(
        "user.authentication.success",
        &[
            "ssl=t0",
            "auth_mechanism=PLAIN",
            "protocol={0,9,1}",
            "peer_port=l1234",
            "peer_host={127,0,0,1}",
            &format!("connection_name={name}"),
            "host={127,0,0,1}",
            "name=guest",
            "connection_type=network",
        ],
    );
    let pid = told[1].get("pid").to_owned();
    let of_client = "client_properties=[{<<\"connection_name\">>,longstr,<<\"mine\">>}]";
    let by = "user_who_performed_action=guest";
    told[1].check(
        "connection.created",
        &[
            by,
            "node=test",
            &format!("connected_at=l{NOW}"),
            of_client,
            "channel_max=l2047",
            "frame_max=l131072",
            "timeout=l60",
            "vhost=/",
            "user=guest",
            "protocol={0,9,1}",
            "ssl_hash=",
            "ssl_cipher=",
            "ssl_key_exchange=",
            "ssl_protocol=",
            "auth_mechanism=PLAIN",
            "peer_cert_validity=",
            "peer_cert_issuer=",
            "peer_cert_subject=",
            "ssl=t0",
            "peer_host={127,0,0,1}",
            "host={127,0,0,1}",
            "peer_port=l1234",
            "port=l5672",
            &format!("name={name}"),
            &format!("pid={pid}"),
            "type=network",
            "user_provided_name=mine",
        ],
    );
    let channel = told[2].get("pid").to_owned();
    assert_ne!(channel, pid);
    told[2].check(
        "channel.created",
        &[
            by,
            "vhost=/",
            "user=guest",
            "number=l1",
            &format!("connection={pid}"),
            &format!("name={name} (1)"),
            &format!("pid={channel}"),
        ],
    );
    assert_eq!(told[3].get("owner_pid"), pid);
    told[4].check(
        "consumer.created",
        &[
            by,
            "arguments=[{<<\"x-priority\">>,signedint,5}]",
            "prefetch_count=l7",
            "queue=own",
            "vhost=/",
            &format!("channel={channel}"),
            "ack_required=t1",
            "exclusive=t1",
            "consumer_tag=tag",
        ],
    );
    told[5].check(
        "consumer.deleted",
        &[
            by,
            "queue=own",
            "vhost=/",
            &format!("channel={channel}"),
            "consumer_tag=tag",
        ],
    );
    told[6].check(
        "channel.closed",
        &["consumer_count=l1", by, &format!("pid={channel}")],
    );
    assert_eq!(told[7].get("user_who_performed_action"), "rmq-internal");
    told[8].check(
        "connection.closed",
        &[
            of_client,
            "node=test",
            &format!("pid={pid}"),
            &format!("name={name}"),
            "user_provided_name=mine",
        ],
    );
}

#[test]
fn a_refused_login_is_told_with_its_reason() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut stranger = node.stranger();
    let login = stranger.login("PLAIN", b"\0guest\0wrong", &FieldTable::default());
    assert_eq!(login, Login::Refused);
    drop(stranger);
    let told = events(&mut watcher);
    assert_eq!(
        names(&told),
        ["user.authentication.failure", "connection.closed"]
    );
    let reason: String = told[0]
        .get("error")
        .trim_matches(['[', ']'])
        .split(',')
        .map(|code| code.trim_start_matches('l').parse().expect("a number"))
        .map(|code: u32| char::from_u32(code).expect("a character"))
        .collect();
    assert_eq!(reason, "user 'guest' - invalid credentials");
}

#[test]
fn what_ends_by_itself_is_told_too() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let mut client = node.client();
    let fleeting = QueueDeclare {
        auto_delete: true,
        ..queue("fleeting")
    };
    client.declare_queue(fleeting).expect("declared");
    let expiring = QueueDeclare {
        arguments: arguments(&[("x-expires", AMQPValue::LongInt(10))]),
        ..queue("expiring")
    };
    client.declare_queue(expiring).expect("declared");
    let consumer = client.consumer("fleeting");
    events(&mut watcher);
    client.cancel(CHANNEL, consumer);
    let told = events(&mut watcher);
    assert_eq!(names(&told), ["consumer.deleted", "queue.deleted"]);
    assert_eq!(told[1].get("name"), "fleeting");
    node.run_timers(NOW + 20);
    assert!(!node.has_queue("expiring"));
    let count = node.counts("events").ready;
    assert_eq!(count, 1);
}

#[test]
fn nothing_is_kept_for_nobody() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.queue("events");
    client.bind_queue(EVENT_EXCHANGE, "events", "none.such");
    client
        .unbind(to_queue(EVENT_EXCHANGE, "events", "none.such"))
        .expect("unbound");
    client.exchange("x", "fanout");
    assert!(node.shared.events.take().is_empty());
    client.bind_queue(EVENT_EXCHANGE, "events", "#");
    let told = events(&mut client);
    assert_eq!(names(&told), ["binding.created"]);
}

#[test]
fn the_exchange_is_the_nodes_own() {
    let node = Node::new();
    let mut client = node.client();
    check_refused(
        client.publish(CHANNEL, publish(EVENT_EXCHANGE, "k", &["a"])),
        403,
        "cannot publish to internal exchange 'amq.rabbitmq.event' in vhost '/'",
    );
    client.queue("events");
    client.bind_queue(EVENT_EXCHANGE, "events", "queue.*");
    drop(client);
    let node = node.restarted();
    let mut client = node.client();
    client.queue("after the restart");
    let told = events(&mut client);
    assert_eq!(names(&told), ["queue.created"], "the binding was durable");
}

#[test]
fn log_lines_are_published_under_their_level() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("log");
    client.bind_queue("amq.rabbitmq.log", "log", "error");
    node.publish_log("info", b"all is well\n", NOW);
    node.publish_log("error", b"it broke\n", NOW);
    let log = QueueName::known("log");
    let got = client.get(CHANNEL, &log, true).expect("allowed");
    let run = got.expect("a line").range.run;
    let message = run.first();
    assert_eq!(
        (message.exchange(), message.routing_key()),
        ("amq.rabbitmq.log", "error")
    );
    assert_eq!(message.body(), b"it broke\n");
    let properties = properties::decode(message.header()).expect("well-formed");
    let mut headers = FieldTable::default();
    headers.insert("node".into(), AMQPValue::LongString("test".into()));
    let expected = AMQPProperties::default()
        .with_content_type("text/plain".into())
        .with_headers(headers)
        .with_timestamp(NOW / 1000);
    assert_eq!(properties, expected);
    assert!(client.get(CHANNEL, &log, true).expect("allowed").is_none());
}

#[test]
fn what_operators_change_is_told() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let tags = owned(&["monitoring", "policymaker"]);
    let permission = PermissionRecord {
        user: "u".to_owned(),
        vhost: "/".to_owned(),
        configure: "c".to_owned(),
        write: "w".to_owned(),
        read: "r".to_owned(),
    };
    for what in [
        Administered::UserCreated("u"),
        Administered::TagsSet("u", &tags),
        Administered::PermissionSet(&permission),
        Administered::PermissionDeleted("/", "u"),
        Administered::PolicyCleared("/", "p"),
        Administered::VhostDeleted("v"),
    ] {
        node.tell_administered(&what, "boss", NOW);
    }
    let told = events(&mut watcher);
    let by = "user_who_performed_action=boss";
    told[0].check("user.created", &[by, "name=u"]);
    told[1].check(
        "user.tags.set",
        &[by, "tags=[monitoring,policymaker]", "name=u"],
    );
    told[2].check(
        "permission.created",
        &[by, "read=r", "write=w", "configure=c", "vhost=/", "user=u"],
    );
    told[3].check("permission.deleted", &[by, "vhost=/", "user=u"]);
    told[4].check("policy.cleared", &[by, "vhost=/", "name=p"]);
    told[5].check("vhost.deleted", &[by, "name=v"]);
    assert_eq!(told.len(), 6);
}

#[test]
fn queues_that_a_policy_reaches_or_leaves_are_told() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    watcher.queue("q");
    watcher.queue("other");
    events(&mut watcher);
    let vhost = node.vhost("/").expect("the default one");
    let set = |name: &str, pattern: &str, priority: u8| {
        let spec = PolicySpec {
            name: name.to_owned(),
            pattern: json!(pattern),
            definition: json!({"max-length": 5}),
            priority: Some(json!(priority)),
            apply_to: None,
        };
        let policy = Policy::judge(
            PolicyKind::Ordinary,
            spec,
            crate::model::Permitted::default(),
        )
        .expect("a policy");
        vhost.set_policy(PolicyKind::Ordinary, policy, NOW);
        node.tell_changes("boss", NOW);
    };
    let by = "user_who_performed_action=boss";
    let queue = ["type=rabbit_classic_queue", "vhost=/", "name=q", "vhost=/"];
    set("high", "^q", 2);
    let told = events(&mut watcher);
    let policy = ["apply-to=all", "priority=l2", "definition=[max-length=l5]"];
    let headers = [&policy[..], &["pattern=^q", by], &queue].concat();
    told[0].check("queue.policy.updated", &headers);
    assert_eq!(told.len(), 1);
    // It does not apply while the other one does.
    set("low", "^q", 1);
    assert!(events(&mut watcher).is_empty());
    // Falling back to another policy is told as losing one, as in RabbitMQ.
    for name in ["high", "low"] {
        vhost.clear_policy(PolicyKind::Ordinary, name, NOW);
        node.tell_changes("boss", NOW);
        let told = events(&mut watcher);
        told[0].check("queue.policy.cleared", &[&[by], &queue[..]].concat());
        assert_eq!(told.len(), 1);
    }
}

#[test]
fn alarms_are_told_as_they_come_and_go() {
    let node = Node::new();
    let mut watcher = watcher(&node);
    let look = |memory_used, disk_free| {
        let levels = Levels {
            memory_used: Some(memory_used),
            memory_total: Some(10),
            disk_free: Some(disk_free),
        };
        node.weigh(levels, NOW);
    };
    look(1, u64::MAX);
    assert!(events(&mut watcher).is_empty());
    look(9, u64::MAX);
    look(9, u64::MAX);
    let name = format!("node={}", node.options().cluster_name);
    let told = events(&mut watcher);
    told[0].check("alarm.set", &[&name, "source=memory"]);
    assert_eq!(told.len(), 1);
    look(1, 0);
    let told = events(&mut watcher);
    told[0].check("alarm.cleared", &[&name, "source=memory"]);
    told[1].check("alarm.set", &[&name, "source=disk"]);
    look(1, u64::MAX);
    events(&mut watcher)[0].check("alarm.cleared", &[&name, "source=disk"]);
}
