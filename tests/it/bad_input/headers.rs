//! The first eight octets: every row of the specification's table, and less or more than eight.

use std::time::Duration;

use super::Scene;
use crate::broker::PATIENCE;
use crate::broker::eventually;
use crate::wire::Wire;
use crate::wire::encode::PROTOCOL_HEADER;

/// Not one of the timers: a peer that speaks something else is answered and left at once.
const AT_ONCE: Duration = Duration::from_secs(8);

#[test]
fn another_protocol_is_answered_with_ours_and_closed() {
    let scene = Scene::start();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let headers: &[&[u8]] = &[
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x02\x01\x00\x00",
        b"AMQP\x00\x00\x09\x00",
        b"AMQP\x00\x00\x09\x02",
        b"AMQP\x00\x00\x0a\x01",
        b"AMQP\x01\x01\x08\x00",
        b"AMQPabcd",
        b"amqp\x00\x00\x09\x01",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        request,
        client_hello,
    ];
    for header in headers {
        let mut wire = Wire::connect(scene.address());
        wire.send(header);
        let answer = wire.read_to_end(AT_ONCE);
        assert_eq!(answer, PROTOCOL_HEADER, "{}", header.escape_ascii());
    }
    scene.end();
}

#[test]
fn both_headers_of_0_9_1_are_greeted() {
    let scene = Scene::start();
    for header in [&PROTOCOL_HEADER, b"AMQP\x01\x01\x00\x09"] {
        let mut wire = Wire::connect(scene.address());
        wire.send(header);
        wire.expect(0, (10, 10));
    }
    scene.end();
}

#[test]
fn the_answer_survives_whatever_follows_the_header() {
    let scene = Scene::start();
    let garbage = vec![b'x'; 1024 * 1024];
    for _ in 0..10 {
        let mut wire = Wire::connect(scene.address());
        // The broker may have closed before it took all.
        let _ = wire.try_send(&garbage);
        assert_eq!(wire.read_to_end(AT_ONCE), PROTOCOL_HEADER);
    }
    scene.end();
}

#[test]
fn a_peer_that_comes_and_goes_leaves_nothing() {
    let scene = Scene::start();
    let files = scene.broker.open_files();
    for octets in 0..PROTOCOL_HEADER.len() {
        let mut wire = Wire::connect(scene.address());
        wire.send(&PROTOCOL_HEADER[..octets]);
    }
    eventually("their sockets are closed", || {
        scene.broker.open_files() <= files
    });
    let log = scene.broker.log();
    let warnings = log.lines().filter(|line| {
        // The bystander's queue is not durable, and RabbitMQ tells that this will end.
        line.contains("\"level\":\"WARN\"") && !line.contains("Deprecated features")
    });
    assert_eq!(warnings.count(), 0, "health checks are no news: {log}");
    scene.end();
}

#[test]
fn seven_octets_are_no_header_yet() {
    let scene = Scene::with_settings("handshake_timeout = 300");
    let mut wire = Wire::connect(scene.address());
    wire.send(b"GET /\r\n");
    assert_eq!(wire.read_to_end(PATIENCE), b"");
    scene.end();
}
