//! Logins that are refused, slowly and without a word, or with one for clients that understand it; and what comes
//! after a login and is out of order.

use std::time::Duration;
use std::time::Instant;

use super::Scene;
use crate::broker::PATIENCE;
use crate::wire::Close;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::capabilities;
use crate::wire::encode;
use crate::wire::encode::MethodId;

/// The pause before a peer that is not let in sees the end.
const SILENT_PAUSE: Duration = Duration::from_secs(3);

/// A connection that `connection.start` was sent on.
fn greeted(scene: &Scene) -> Wire {
    let mut wire = Wire::connect(scene.address());
    wire.send(&encode::PROTOCOL_HEADER);
    wire.expect(0, (10, 10));
    wire
}

fn amqplain(user: &str, password: &str) -> Vec<u8> {
    let mut response = encode::entry("LOGIN", &encode::text_value(user));
    response.extend(encode::entry("PASSWORD", &encode::text_value(password)));
    response
}

#[test]
fn both_mechanisms_let_in() {
    let scene = Scene::start();
    let responses = [
        ("PLAIN", b"\0guest\0guest".to_vec()),
        ("AMQPLAIN", amqplain("guest", "guest")),
    ];
    for (mechanism, response) in responses {
        let mut wire = greeted(&scene);
        wire.send(&encode::start_ok(&[], mechanism, &response));
        wire.expect(0, (10, 30));
    }
    scene.end();
}

#[test]
fn who_is_not_let_in_waits_and_hears_nothing() {
    let scene = Scene::start();
    let refused: &[(&str, Vec<u8>)] = &[
        ("PLAIN", b"\0guest\0wrong".to_vec()),
        ("PLAIN", b"\0nobody\0guest".to_vec()),
        ("PLAIN", b"\0guest\0".to_vec()),
        ("PLAIN", b"\0\0".to_vec()),
        ("PLAIN", b"guest".to_vec()),
        ("PLAIN", Vec::new()),
        ("PLAIN", b"\0\xff\xfe\0guest".to_vec()),
        ("AMQPLAIN", amqplain("guest", "wrong")),
        ("AMQPLAIN", b"\x05LOGIN".to_vec()),
        ("AMQPLAIN", Vec::new()),
        ("EXTERNAL", Vec::new()),
        ("ANONYMOUS", Vec::new()),
        ("", Vec::new()),
    ];
    let begun = Instant::now();
    let mut wires = Vec::new();
    for (mechanism, response) in refused {
        let mut wire = greeted(&scene);
        wire.send(&encode::start_ok(&[], mechanism, response));
        // Not listened to any more.
        wire.send(&encode::tune_ok(2047, 131_072, 60));
        wire.send(&encode::open("/"));
        wires.push(wire);
    }
    for wire in &mut wires {
        wire.expect_end(PATIENCE);
        let took = begun.elapsed();
        assert!(took >= SILENT_PAUSE.mul_f32(0.9), "{took:?}");
        assert!(took < SILENT_PAUSE * 3, "{took:?}");
    }
    assert!(
        !scene.broker.log().contains("wrong\""),
        "a password in the log"
    );
    scene.end();
}

#[test]
fn who_understands_it_is_told() {
    let scene = Scene::start();
    let properties = capabilities(&["authentication_failure_close"]);
    let responses = [
        ("PLAIN", b"\0guest\0wrong".to_vec()),
        ("AMQPLAIN", amqplain("nobody", "guest")),
    ];
    for (mechanism, response) in responses {
        let mut wire = greeted(&scene);
        wire.send(&encode::start_ok(&properties, mechanism, &response));
        let expected = Close {
            code: 403,
            text: format!(
                "ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. \
                 For details see the broker logfile."
            ),
            id: (0, 0),
        };
        assert_eq!(wire.expect_close(0), expected);
        wire.send(&encode::close_ok());
        wire.expect_end(PATIENCE);
    }
    // Nobody answers here: the end comes anyway.
    let mut wire = greeted(&scene);
    wire.send(&encode::start_ok(&properties, "PLAIN", b"\0guest\0wrong"));
    assert_eq!(wire.expect_close(0).code, 403);
    let begun = Instant::now();
    wire.expect_end(PATIENCE);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    scene.end();
}

#[test]
fn a_handshake_out_of_order_ends_in_silence() {
    let scene = Scene::start();
    let plain = Login::default().plain();
    let oversize = [&[1, 0, 0], &4097_u32.to_be_bytes()[..]].concat();
    let cases = [
        encode::tune_ok(2047, 131_072, 60),
        encode::open("/"),
        encode::channel_open(1),
        encode::frame(9, 0, b"garbage"),
        encode::method(0, (99, 99), &[]),
        oversize,
        [encode::start_ok(&[], "PLAIN", &plain), encode::open("/")].concat(),
    ];
    let mut wires = Vec::new();
    for octets in cases {
        let mut wire = greeted(&scene);
        wire.send(&octets);
        wires.push(wire);
    }
    let begun = Instant::now();
    for wire in &mut wires {
        while let Some(frame) = wire.next_frame() {
            assert_eq!(
                frame.payload[..4],
                [0, 10, 0, 30],
                "more than tune: {frame:?}"
            );
        }
        assert!(begun.elapsed() < SILENT_PAUSE * 3, "{:?}", begun.elapsed());
    }
    scene.end();
}

fn check_negotiation(scene: &Scene, answer: &[u8], code: u16, text: &str, id: MethodId) {
    let mut wire = greeted(scene);
    wire.send(&encode::start_ok(&[], "PLAIN", &Login::default().plain()));
    wire.expect(0, (10, 30));
    wire.send(answer);
    let expected = Close {
        code,
        text: text.to_owned(),
        id,
    };
    assert_eq!(wire.expect_close(0), expected);
    wire.send(&encode::close_ok());
    wire.expect_end(PATIENCE);
}

#[test]
fn numbers_and_virtual_hosts_that_are_not_to_be_had() {
    let scene = Scene::start();
    let cases = [
        (
            2048,
            131_072,
            "NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value (2047)",
        ),
        (
            0,
            131_072,
            "NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
        ),
        (
            2047,
            131_073,
            "NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
        ),
        (
            2047,
            4095,
            "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
        (
            2047,
            0,
            "NOT_ALLOWED - negotiated frame_max = 0 is higher than the maximum allowed value (131072)",
        ),
    ];
    for (channel_max, frame_max, text) in cases {
        let answer = encode::tune_ok(channel_max, frame_max, 60);
        check_negotiation(&scene, &answer, 530, text, (10, 30));
    }
    for vhost in ["nowhere", ""] {
        let answer = [encode::tune_ok(2047, 131_072, 60), encode::open(vhost)].concat();
        let text = format!("NOT_ALLOWED - vhost {vhost} not found");
        check_negotiation(&scene, &answer, 530, &text, (10, 40));
    }
    scene.end();
}
