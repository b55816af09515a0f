//! A session that ends anywhere, or comes one octet at a time.

use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;

use super::Scene;
use crate::broker::eventually;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::encode;

/// What a client sends in a session that uses a bit of everything, without waiting for answers.
fn session() -> Vec<u8> {
    let login = Login::default();
    let name = encode::entry("connection_name", &encode::text_value("cut"));
    let mut octets = encode::PROTOCOL_HEADER.to_vec();
    for part in [
        encode::start_ok(&name, "PLAIN", &login.plain()),
        encode::tune_ok(2047, 131_072, 60),
        encode::open("/"),
        encode::channel_open(1),
        encode::queue_declare(1, "cut", encode::EXCLUSIVE, &[]),
        encode::confirm_select(1),
        encode::publish(1, ("", "cut"), 1, encode::PERSISTENT, b"body"),
        encode::get(1, "cut", false),
        encode::ack(1, 1, false),
        encode::channel_close(1),
        encode::close(),
    ] {
        octets.extend(part);
    }
    octets
}

#[test]
fn a_session_may_end_at_any_octet() {
    let scene = Scene::start();
    let session = session();
    let files = scene.broker.open_files();
    let before = scene.broker.rss_bytes();
    for octets in 0..session.len() {
        let mut wire = Wire::connect(scene.address());
        wire.send(&session[..octets]);
        match octets % 3 {
            0 => {}
            1 => wire.socket().shutdown(Shutdown::Write).unwrap(),
            // A reset instead of an end of stream.
            _ => SockRef::from(wire.socket())
                .set_linger(Some(Duration::ZERO))
                .unwrap(),
        }
    }
    eventually("all of them are forgotten", || {
        scene.broker.open_files() <= files
    });
    let grown = scene.broker.rss_bytes().saturating_sub(before);
    println!("{} sessions cut, grown by {grown} bytes", session.len());
    assert!(grown < 8 * 1024 * 1024, "{grown}");

    // The exclusive queue ended with each of them.
    let mut wire = Wire::with_channel(scene.address());
    assert_eq!(wire.declare_queue("cut", encode::EXCLUSIVE), (0, 0));
    wire.close();
    scene.end();
}

#[test]
fn a_session_may_come_one_octet_at_a_time() {
    let scene = Scene::start();
    let session = session();
    let mut wire = Wire::connect(scene.address());
    for octet in session {
        wire.send(&[octet]);
        // What a slow line does; nothing waits for it.
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut answers = Vec::new();
    while let Some(frame) = wire.next_frame() {
        if frame.kind == encode::METHOD {
            answers.push((frame.payload[1], frame.payload[3]));
        }
        if answers.last() == Some(&(10, 51)) {
            break;
        }
    }
    // start, tune, open-ok, channel.open-ok, declare-ok, select-ok, then get-ok and the confirm in either order,
    // channel.close-ok, close-ok.
    answers[6..8].sort_unstable();
    let expected = [
        (10, 10),
        (10, 30),
        (10, 41),
        (20, 11),
        (50, 11),
        (85, 11),
        (60, 71),
        (60, 80),
        (20, 41),
        (10, 51),
    ];
    assert_eq!(answers, expected);
    drop(wire);
    scene.end();
}
