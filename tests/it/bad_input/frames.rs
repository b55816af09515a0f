//! Frames, methods and contents that are wrong, on a connection that is open: the code, the text and the method to
//! blame that `connection.close` gives, and then the end.

use super::Scene;
use crate::broker::PATIENCE;
use crate::wire::Close;
use crate::wire::Wire;
use crate::wire::encode;
use crate::wire::encode::Arg;
use crate::wire::encode::BODY;
use crate::wire::encode::HEADER;
use crate::wire::encode::HEARTBEAT;
use crate::wire::encode::METHOD;
use crate::wire::encode::MethodId;
use crate::wire::encode::TRANSIENT;
use crate::wire::encode::content_header;
use crate::wire::encode::frame;
use crate::wire::encode::method;
use crate::wire::encode::publish_method;

/// What is sent, and the code, text and method of the answer.
type Case = (Vec<u8>, u16, &'static str, MethodId);

const PUBLISH: MethodId = (60, 40);
const NOTHING: MethodId = (0, 0);

/// Each case on a connection of its own, with channel 1 open.
fn check(cases: &[Case]) {
    let scene = Scene::start();
    let mut wires = Vec::new();
    for (octets, code, text, id) in cases {
        let mut wire = Wire::with_channel(scene.address());
        wire.send(octets);
        let expected = Close {
            code: *code,
            text: (*text).to_owned(),
            id: *id,
        };
        assert_eq!(wire.expect_close(0), expected, "{}", octets.escape_ascii());
        // Whatever comes now, understood or not, the end comes too.
        let _ = wire.try_send(&encode::close_ok());
        wires.push(wire);
    }
    for mut wire in wires {
        wire.expect_end(PATIENCE);
    }
    scene.end();
}

/// Octets one after the other.
fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn frames_that_are_none() {
    let mut wrong_end = frame(METHOD, 1, &[0, 20, 0, 40, 0, 0, 0]);
    *wrong_end.last_mut().unwrap() = 0xcd;
    let mut empty_wrong_end = frame(HEARTBEAT, 0, &[]);
    *empty_wrong_end.last_mut().unwrap() = 0;
    let oversize = [&[BODY, 0, 1], &131_073_u32.to_be_bytes()[..]].concat();
    let gigantic = [&[METHOD, 0, 0], &u32::MAX.to_be_bytes()[..]].concat();
    check(&[
        (
            frame(9, 1, b"abc"),
            501,
            "FRAME_ERROR - type 9, all octets = <<\"abc\">>: unknown_frame",
            NOTHING,
        ),
        (
            frame(0, 0, &[]),
            501,
            "FRAME_ERROR - type 0, all octets = <<>>: unknown_frame",
            NOTHING,
        ),
        (
            frame(255, 1, b"more octets than an error text shows"),
            501,
            "FRAME_ERROR - type 255, first 16 octets = <<\"more octets than\">>: unknown_frame",
            NOTHING,
        ),
        (
            wrong_end,
            501,
            "FRAME_ERROR - type 1, all octets = <<0,20,0,40,0,0,0>>: {invalid_frame_end_marker,205}",
            NOTHING,
        ),
        (
            empty_wrong_end,
            501,
            "FRAME_ERROR - type 8, all octets = <<>>: {invalid_frame_end_marker,0}",
            NOTHING,
        ),
        // The head alone is enough.
        (
            oversize,
            501,
            "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,131073,131064}",
            NOTHING,
        ),
        (
            gigantic,
            501,
            "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,131064}",
            NOTHING,
        ),
        (
            frame(METHOD, 1, &[0, 60]),
            501,
            "FRAME_ERROR - type 1, all octets = <<0,60>>: unknown_frame",
            NOTHING,
        ),
        (
            frame(HEADER, 1, &[0, 60, 0, 0, 0, 0]),
            501,
            "FRAME_ERROR - type 2, all octets = <<0,60,0,0,0,0>>: unknown_frame",
            NOTHING,
        ),
        (
            frame(HEARTBEAT, 0, b"alive"),
            501,
            "FRAME_ERROR - type 8, all octets = <<\"alive\">>: unknown_frame",
            NOTHING,
        ),
    ]);
}

#[test]
fn frames_out_of_place() {
    check(&[
        (
            frame(HEARTBEAT, 1, &[]),
            505,
            "UNEXPECTED_FRAME - type 8, all octets = <<>>",
            NOTHING,
        ),
        (
            frame(BODY, 0, b"body"),
            505,
            "UNEXPECTED_FRAME - type 3, all octets = <<\"body\">>",
            NOTHING,
        ),
        (
            frame(BODY, 1, b"body"),
            505,
            "UNEXPECTED_FRAME - expected method frame, got non method frame instead",
            NOTHING,
        ),
        (
            content_header(1, 60, 4, TRANSIENT),
            505,
            "UNEXPECTED_FRAME - expected method frame, got non method frame instead",
            NOTHING,
        ),
        (
            join(&[publish_method(1, "", "q", 0), frame(BODY, 1, b"body")]),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
            PUBLISH,
        ),
        // Another method in the middle of a message.
        (
            join(&[publish_method(1, "", "q", 0), publish_method(1, "", "q", 0)]),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
            PUBLISH,
        ),
        (
            join(&[
                publish_method(1, "", "q", 0),
                content_header(1, 60, 4, TRANSIENT),
                encode::channel_close(1),
            ]),
            505,
            "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
            PUBLISH,
        ),
        (
            join(&[
                publish_method(1, "", "q", 0),
                content_header(1, 60, 4, TRANSIENT),
                content_header(1, 60, 4, TRANSIENT),
            ]),
            505,
            "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
            PUBLISH,
        ),
        // A channel that nobody opened.
        (
            publish_method(2, "", "q", 0),
            504,
            "CHANNEL_ERROR - expected 'channel.open'",
            PUBLISH,
        ),
        (
            encode::channel_open(1),
            504,
            "CHANNEL_ERROR - second 'channel.open' seen",
            (20, 10),
        ),
    ]);
}

#[test]
fn contents_that_do_not_add_up() {
    let begin = |bytes| {
        join(&[
            publish_method(1, "", "q", 0),
            content_header(1, 60, bytes, TRANSIENT),
        ])
    };
    let with_header =
        |payload: &[u8]| join(&[publish_method(1, "", "q", 0), frame(HEADER, 1, payload)]);
    check(&[
        // Longer than announced, in one frame and in two.
        (
            join(&[begin(4), frame(BODY, 1, b"five!")]),
            501,
            "FRAME_ERROR - content body frame exceeds remaining content size",
            PUBLISH,
        ),
        (
            join(&[begin(4), frame(BODY, 1, b"thr"), frame(BODY, 1, b"ee")]),
            501,
            "FRAME_ERROR - content body frame exceeds remaining content size",
            PUBLISH,
        ),
        // Announced as empty: there is no body frame at all.
        (
            join(&[begin(0), frame(BODY, 1, b"")]),
            505,
            "UNEXPECTED_FRAME - expected method frame, got non method frame instead",
            NOTHING,
        ),
        // Shorter than announced.
        (
            join(&[
                begin(4),
                frame(BODY, 1, b"thr"),
                publish_method(1, "", "q", 0),
            ]),
            505,
            "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
            PUBLISH,
        ),
        (
            join(&[
                publish_method(1, "", "q", 0),
                content_header(1, 50, 4, TRANSIENT),
            ]),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead",
            PUBLISH,
        ),
        // A weight other than 0.
        (
            with_header(&[0, 60, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0]),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
            PUBLISH,
        ),
        (
            begin(u64::MAX),
            501,
            "FRAME_ERROR - content body size 18446744073709551615 exceeds maximum allowed size 536870912",
            PUBLISH,
        ),
        // Properties that their flags announce and that are not there.
        (
            with_header(&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x10, 0]),
            501,
            "FRAME_ERROR - property list does not fit its flags",
            PUBLISH,
        ),
        (
            with_header(&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 200, b'a']),
            501,
            "FRAME_ERROR - property list does not fit its flags",
            PUBLISH,
        ),
    ]);
}

#[test]
fn methods_that_are_none() {
    let declare = (50, 10);
    check(&[
        (
            method(1, (99, 10), &[]),
            503,
            "COMMAND_INVALID - unimplemented method",
            (99, 10),
        ),
        (
            method(1, (50, 99), &[Arg::Short(0)]),
            503,
            "COMMAND_INVALID - unimplemented method",
            (50, 99),
        ),
        (
            method(0, (0, 0), &[]),
            503,
            "COMMAND_INVALID - unimplemented method",
            NOTHING,
        ),
        // Those that servers alone send.
        (
            method(1, (60, 72), &[Arg::Text("")]),
            503,
            "COMMAND_INVALID - unimplemented method",
            (60, 72),
        ),
        (
            method(1, declare, &[Arg::Short(0)]),
            501,
            "FRAME_ERROR - cannot decode <<0,0>>",
            declare,
        ),
        (
            method(1, PUBLISH, &[Arg::Short(0), Arg::Octet(9), Arg::Octet(9)]),
            501,
            "FRAME_ERROR - cannot decode <<0,0,9,9>>",
            PUBLISH,
        ),
        // A queue's name that is not UTF-8.
        (
            method(
                1,
                declare,
                &[
                    Arg::Short(0),
                    Arg::Octet(1),
                    Arg::Octet(0xff),
                    Arg::Octet(0),
                    Arg::Table(&[]),
                ],
            ),
            501,
            "FRAME_ERROR - Malformed UTF-8 in shortstr",
            declare,
        ),
        (
            encode::start_ok(&[], "PLAIN", b"\0guest\0guest"),
            504,
            "CHANNEL_ERROR - unexpected method in connection state running",
            (10, 11),
        ),
        (
            encode::tune_ok(0, 0, 0),
            504,
            "CHANNEL_ERROR - unexpected method in connection state running",
            (10, 31),
        ),
        (
            encode::open("/"),
            504,
            "CHANNEL_ERROR - unexpected method in connection state running",
            (10, 40),
        ),
        (
            method(
                0,
                declare,
                &[
                    Arg::Short(0),
                    Arg::Text("q"),
                    Arg::Octet(0),
                    Arg::Table(&[]),
                ],
            ),
            504,
            "CHANNEL_ERROR - unexpected method in connection state running",
            declare,
        ),
        (
            encode::publish(1, ("", "q"), 2, TRANSIENT, b""),
            540,
            "NOT_IMPLEMENTED - immediate=true",
            PUBLISH,
        ),
    ]);
}

#[test]
fn a_message_too_large_ends_its_channel_alone() {
    let scene = Scene::with_settings("max_message_size = 1000");
    let mut wire = Wire::with_channel(scene.address());
    wire.open_channel(2);
    wire.declare_queue("q", 0);
    wire.send(&encode::publish(1, ("", "q"), 0, TRANSIENT, &[0; 1001]));
    let close = wire.expect_close(1);
    let text = "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000";
    assert_eq!((close.code, &*close.text, close.id), (406, text, PUBLISH));
    // Of its body nothing is left to stumble over.
    wire.send(&encode::method(1, (20, 41), &[]));
    wire.open_channel(1);
    wire.send(&encode::publish(2, ("", "q"), 0, TRANSIENT, &[0; 1000]));
    wire.send(&encode::queue_purge(2, "q"));
    assert_eq!(wire.expect(2, (50, 31)), [0, 0, 0, 1]);
    wire.close();
    scene.end();
}

#[test]
fn contents_of_channels_may_interleave() {
    let scene = Scene::start();
    let mut wire = Wire::with_channel(scene.address());
    wire.open_channel(2);
    wire.declare_queue("q", 0);
    for channel in [1, 2] {
        wire.send(&publish_method(channel, "", "q", 0));
    }
    for channel in [2, 1] {
        wire.send(&content_header(channel, 60, 6, TRANSIENT));
    }
    wire.send(&frame(HEARTBEAT, 0, &[]));
    for part in [b"ab", b"cd", b"ef"] {
        for channel in [1, 2] {
            wire.send(&frame(BODY, channel, part));
        }
    }
    let messages = wire.drain_queue(1, "q");
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|message| message.body == b"abcdef"));
    wire.close();
    scene.end();
}
