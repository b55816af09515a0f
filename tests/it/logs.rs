//! Log lines of a real process: RabbitMQ's words, levels, forms and files.

mod unread;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::eventually;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::encode;

/// Of `queue.declare`.
const PASSIVE: u8 = 1;

/// Lines as objects.
fn objects(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// Level and message of what was said of a connection, without its ports.
fn said(log: &str) -> Vec<(String, String)> {
    let lines = objects(log).into_iter();
    let about = lines.filter(|line| {
        let domain = line["domain"].as_str().unwrap();
        ["rabbitmq.connection", "rabbitmq.channel"].contains(&domain)
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    about
        .map(|line| {
            let message = masked(&text(&line["msg"]), &text(&line["pid"]));
            (text(&line["level"]), message)
        })
        .collect()
}

fn masked(message: &str, pid: &str) -> String {
    let mut masked = message.replace(pid, "P");
    while let Some(at) = masked.find("127.0.0.1:") {
        let digits = masked[at + 10..].find(|c: char| !c.is_ascii_digit());
        let end = digits.map_or(masked.len(), |digits| at + 10 + digits);
        masked.replace_range(at..end, "A");
    }
    masked
}

fn named(name: &str) -> Login<'static> {
    let value = encode::sized(b'S', name.as_bytes());
    Login {
        properties: encode::entry("connection_name", &value),
        ..Login::default()
    }
}

#[track_caller]
fn check(broker: &Broker, expected: &[(&str, &str)]) {
    eventually("everything is logged", || {
        said(&broker.log()).len() >= expected.len()
    });
    let said = said(&broker.log());
    let said: Vec<_> = said
        .iter()
        .map(|(level, text)| (&**level, &**text))
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn a_connection_is_told_from_its_beginning_to_its_end() {
    let broker = Broker::start();
    Wire::log_in(broker.amqp(), &named("shop\n1")).close();
    check(
        &broker,
        &[
            ("info", "accepting AMQP connection P (A -> A)"),
            (
                "info",
                "connection P (A -> A) has a client-provided name: shop\\n1",
            ),
            (
                "info",
                "connection P (A -> A - shop\\n1): user 'guest' authenticated and granted access to vhost '/'",
            ),
            (
                "info",
                "closing AMQP connection P (A -> A - shop\\n1, vhost: '/', user: 'guest')",
            ),
        ],
    );
    let last = objects(&broker.log()).pop().unwrap();
    assert_eq!(
        (&last["user"], &last["vhost"], &last["client_name"]),
        (&"guest".into(), &"/".into(), &"shop\n1".into())
    );
    broker.stop();
}

#[test]
fn errors_of_clients_have_the_levels_of_rabbitmq() {
    let broker = Launch::serve().settings("handshake_timeout = 200").start();
    let accepted = ("info", "accepting AMQP connection P (A -> A)");
    let opened = (
        "info",
        "connection P (A -> A): user 'guest' authenticated and granted access to vhost '/'",
    );
    let closed = (
        "info",
        "closing AMQP connection P (A -> A, vhost: '/', user: 'guest')",
    );
    let mut expected = Vec::new();

    // Somebody who only looks whether the port is open is no news.
    drop(Wire::connect(broker.amqp()));

    let mut wire = Wire::with_channel(broker.amqp());
    wire.send(&encode::queue_declare(1, "q", PASSIVE, &[]));
    wire.expect_close(1);
    drop(wire);
    expected.extend([
        accepted,
        opened,
        (
            "error",
            "Channel error on connection P (A -> A, vhost: '/', user: 'guest'), channel 1:\n\
             operation queue.declare caused a channel exception not_found: no queue 'q' in vhost '/'",
        ),
        (
            "warning",
            "closing AMQP connection P (A -> A, vhost: '/', user: 'guest'):\nclient unexpectedly closed TCP connection",
        ),
    ]);
    check(&broker, &expected);

    let mut wire = Wire::with_channel(broker.amqp());
    wire.send(&encode::channel_open(1));
    wire.expect(0, (10, 50));
    wire.send(&encode::method(0, (10, 51), &[]));
    expected.extend([
        accepted,
        opened,
        (
            "error",
            "Error on AMQP connection P (A -> A, vhost: '/', user: 'guest', state: running), channel 1:\n \
             operation channel.open caused a connection exception channel_error: \"second 'channel.open' seen\"",
        ),
        closed,
    ]);
    check(&broker, &expected);

    let mut wire = Wire::connect(broker.amqp());
    wire.send(&encode::PROTOCOL_HEADER);
    wire.expect(0, (10, 10));
    wire.send(&encode::start_ok(&[], "PLAIN", b"\0guest\0wrong"));
    expected.extend([
        accepted,
        (
            "error",
            "Error on AMQP connection P (A -> A, state: starting):\nPLAIN login refused: user 'guest' - invalid credentials",
        ),
        ("info", "closing AMQP connection P (A -> A)"),
    ]);
    check(&broker, &expected);

    let mut wire = Wire::connect(broker.amqp());
    wire.send(&encode::PROTOCOL_HEADER);
    wire.expect(0, (10, 10));
    wire.send(&encode::start_ok(&[], "PLAIN", &Login::default().plain()));
    wire.expect(0, (10, 30));
    wire.send(&encode::tune_ok(2047, 131_072, 0));
    wire.send(&encode::open("nowhere"));
    wire.expect(0, (10, 50));
    drop(wire);
    expected.extend([
        accepted,
        (
            "error",
            "Error on AMQP connection P (A -> A, user: 'guest', state: opening):\nvhost nowhere not found",
        ),
        ("info", "closing AMQP connection P (A -> A)"),
    ]);
    check(&broker, &expected);

    let mut wire = Wire::connect(broker.amqp());
    wire.send(b"GET / HT");
    drop(wire);
    expected.extend([
        accepted,
        ("error", "closing AMQP connection P (A -> A):\nHTTP request"),
    ]);
    check(&broker, &expected);

    let mut wire = Wire::connect(broker.amqp());
    wire.send(&encode::PROTOCOL_HEADER);
    expected.extend([
        accepted,
        (
            "error",
            "closing AMQP connection P (A -> A):\nhandshake timeout",
        ),
    ]);
    check(&broker, &expected);

    let wire = Wire::log_in(
        broker.amqp(),
        &Login {
            heartbeat: 1,
            ..Login::default()
        },
    );
    expected.extend([
        accepted,
        opened,
        (
            "error",
            "closing AMQP connection P (A -> A):\nmissed heartbeats from client, timeout: 1s",
        ),
    ]);
    check(&broker, &expected);
    drop(wire);
    broker.stop();
}

#[test]
fn text_has_the_form_of_rabbitmq() {
    let broker = Launch::serve()
        .settings("log.console.formatter = \"plaintext\"\nlog.default.level = \"warning\"")
        .env("TZ", "UTC")
        .start();
    drop(Wire::open(broker.amqp()));
    eventually("the end is logged", || broker.log().lines().count() >= 2);
    let log = broker.log();
    let lines: Vec<_> = log.lines().map(|line| line.split_at(33)).collect();
    assert_eq!(lines.len(), 2, "{log}");
    let (time, rest) = lines[0];
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00 00:00:00.000000+00:00 ");
    assert!(time.ends_with("+00:00 "), "{time}");
    let pid = rest.split(' ').nth(1).unwrap();
    assert!(rest.starts_with(&format!(
        "[warning] {pid} closing AMQP connection {pid} (127.0.0.1:"
    )));
    assert_eq!(
        lines[1],
        (
            time,
            &*format!("[warning] {pid} client unexpectedly closed TCP connection")
        )
    );
    broker.stop();
}

#[test]
fn categories_and_outputs_have_levels_of_their_own() {
    let launch = Launch::serve();
    let dir = launch.home().join("logs").display().to_string();
    let broker = launch
        .settings(&format!(
            "log.dir = \"{dir}\"\nlog.file.name = \"a.log\"\nlog.file.level = \"debug\"\nlog.file.formatter = \"json\"\n\
             log.console.level = \"error\"\nlog.channel.level = \"none\""
        ))
        .start();
    drop(Wire::connect(broker.amqp()));
    let mut wire = Wire::with_channel(broker.amqp());
    wire.send(&encode::queue_declare(1, "q", PASSIVE, &[]));
    wire.expect_close(1);
    wire.send(b"\x09\0\0\0\0\0\x01x\xce");
    wire.expect(0, (10, 50));
    let file = || fs::read_to_string(Path::new(&dir).join("a.log")).unwrap();
    eventually("the error is logged", || {
        broker.log().contains("frame_error")
    });
    assert_eq!(broker.log().lines().count(), 1, "{}", broker.log());
    let levels =
        |text: &str| -> Vec<String> { said(text).into_iter().map(|(level, _)| level).collect() };
    eventually("the look at the port is logged", || {
        levels(&file()).contains(&"debug".to_owned())
    });
    let text = file();
    assert!(text.contains("Server startup complete; "), "{text}");
    assert!(
        text.contains("connection_closed_with_no_data_received"),
        "{text}"
    );
    assert!(!text.contains("Channel error"), "{text}");
    broker.stop();
}

#[test]
fn variables_of_rabbitmq_say_where_and_how_much() {
    let broker = Launch::serve()
        .env("RABBITMQ_LOGS", "node.log")
        .env("RABBITMQ_LOG_BASE", ".")
        .env("RABBITMQ_LOG", "connection=error,warning,+json")
        .start();
    let mut wire = Wire::open(broker.amqp());
    wire.send(b"\x09\0\0\0\0\0\x01x\xce");
    wire.expect(0, (10, 50));
    let file = || fs::read_to_string(broker.home().join("node.log")).unwrap();
    eventually("the error is logged", || file().contains("frame_error"));
    assert_eq!(objects(&file()).len(), 1);
    assert_eq!(broker.log(), "");
    drop(wire);
    broker.stop();

    let broker = Launch::serve()
        .env("RABBITMQ_LOGS", "-")
        .settings("log.file.name = \"never\"")
        .env("RABBITMQ_LOG", "error,-json")
        .start();
    let mut wire = Wire::open(broker.amqp());
    wire.send(b"\x09\0\0\0\0\0\x01x\xce");
    wire.expect(0, (10, 50));
    let mut output = Vec::new();
    eventually("the error is on standard output", || {
        output.extend(broker.further_output());
        output.iter().any(|line| line.contains("frame_error"))
    });
    assert_eq!(broker.log(), "");
    assert!(!broker.home().join("never").exists());
    drop(wire);
    broker.stop();
}

#[test]
fn a_file_is_rotated_by_its_length() {
    let broker = Launch::serve()
        .settings(
            "log.dir = \".\"\nlog.file.name = \"a.log\"\nlog.file.rotation.size = 2000\nlog.file.rotation.count = 2",
        )
        .start();
    for _ in 0..40 {
        Wire::open(broker.amqp()).close();
    }
    let path = |ending: &str| broker.home().join(format!("a.log{ending}"));
    let said = |text: &str| text.contains("Server startup complete");
    eventually("there are old files, without the oldest lines", || {
        let files = ["", ".0", ".1"].map(|ending| fs::read_to_string(path(ending)));
        files.iter().flatten().count() == 3 && !files.iter().flatten().any(|text| said(text))
    });
    for ending in ["", ".0", ".1"] {
        let length = fs::metadata(path(ending)).unwrap().len();
        assert!(length <= 2000, "{ending}: {length}");
    }
    assert!(!path(".2").exists());
    broker.stop();
}

#[test]
fn a_file_that_cannot_be_opened_keeps_the_node_from_starting() {
    let (status, _, log) = Launch::serve()
        .settings("log.file.name = \"/proc/nowhere/a.log\"")
        .run();
    assert_eq!(status.code(), Some(1));
    assert!(
        log.contains("the log file /proc/nowhere/a.log cannot be opened"),
        "{log}"
    );
    assert!(log.contains("set log.dir"), "{log}");
    let (status, _, log) = Launch::serve().env("RABBITMQ_LOG", "loud").run();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("environment variable RABBITMQ_LOG"), "{log}");
}
