//! Content frames out of order, too long, too short, malformed (specification §1.3, §4.1).

use leveret::connection::ConnectionOptions;

use crate::connection::script::Script;
use crate::connection::wire;

/// Sends `octets` on an open channel and expects the connection to be closed like this.
#[track_caller]
fn check(octets: &[Vec<u8>], close: &str) {
    let mut client = Script::open_channel(1).with_queue("q");
    // Cut differently, so that both ways of taking content meet it.
    for octets in octets {
        client.send_octets(octets);
    }
    client
        .expect(&format!("connection.close {close}"))
        .expect_nothing();
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_octets(&octets.concat());
    client
        .expect(&format!("connection.close {close}"))
        .expect_nothing();
    assert!(client.host.ready("q").is_empty());
    client.hang_up();
}

fn publish() -> Vec<u8> {
    wire::publish(1, "", "q", 0)
}

#[test]
fn content_without_a_publish() {
    let close = "code=505 ids=0,0 UNEXPECTED_FRAME - expected method frame, got non method frame \
                 instead";
    check(&[wire::header(1, 1, &[0, 0])], close);
    check(&[wire::body(1, b"x")], close);
    check(&[wire::body(2, b"x")], close);
}

#[test]
fn a_method_instead_of_a_header() {
    check(
        &[publish(), wire::encode("basic.qos 1")],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content header for class 60, got non \
         content header frame instead",
    );
    check(
        &[publish(), publish()],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content header for class 60, got non \
         content header frame instead",
    );
}

#[test]
fn a_body_instead_of_a_header() {
    check(
        &[publish(), wire::body(1, b"x")],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content header for class 60, got non \
         content header frame instead",
    );
}

#[test]
fn a_header_of_another_class() {
    let mut header = wire::header(1, 0, &[0, 0]);
    header[8] = 50;
    check(
        &[publish(), header],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content header for class 60, got one for \
         class 50 instead",
    );
}

#[test]
fn a_header_with_a_weight() {
    let mut header = wire::header(1, 0, &[0, 0]);
    header[10] = 1;
    check(
        &[publish(), header],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content header for class 60, got non \
         content header frame instead",
    );
}

#[test]
fn a_body_that_is_too_short() {
    check(
        &[
            publish(),
            wire::header(1, 3, &[0, 0]),
            wire::body(1, b"x"),
            publish(),
        ],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content body, got non content body frame \
         instead",
    );
}

#[test]
fn a_second_header() {
    check(
        &[
            publish(),
            wire::header(1, 3, &[0, 0]),
            wire::header(1, 3, &[0, 0]),
        ],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content body, got non content body frame \
         instead",
    );
}

#[test]
fn a_body_that_is_too_long() {
    check(
        &[
            publish(),
            wire::header(1, 3, &[0, 0]),
            wire::body(1, b"four"),
        ],
        "code=501 ids=60,40 FRAME_ERROR - content body frame exceeds remaining content size",
    );
    check(
        &[
            publish(),
            wire::header(1, 3, &[0, 0]),
            wire::body(1, b"tw"),
            wire::body(1, b"o!"),
        ],
        "code=501 ids=60,40 FRAME_ERROR - content body frame exceeds remaining content size",
    );
}

#[test]
fn properties_that_do_not_fit_their_flags() {
    check(
        &[publish(), wire::header(1, 0, &[0x80, 0, 5, b'a'])],
        "code=501 ids=60,40 FRAME_ERROR - property list does not fit its flags",
    );
}

#[test]
fn properties_are_checked_even_after_good_ones() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.publish 1 key=q body=a")
        .send_octets(&publish());
    client.send_octets(&wire::header(1, 0, &[0x10, 0]));
    client.expect("connection.close code=501 ids=60,40");
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn a_body_no_broker_takes() {
    check(
        &[publish(), wire::header(1, 536_870_913, &[0, 0])],
        "code=501 ids=60,40 FRAME_ERROR - content body size 536870913 exceeds maximum allowed \
         size 536870912",
    );
}

#[test]
fn a_message_larger_than_configured_closes_the_channel_before_its_body_came() {
    let options = ConnectionOptions {
        max_message_bytes: 10,
        ..ConnectionOptions::default()
    };
    let mut client = Script::open_with(options, "")
        .with_channel(1)
        .with_queue("q");
    client
        .send("basic.publish 1 key=q body=0123456789")
        .expect_nothing();
    client.send("basic.publish 1 key=q body=0123456789a");
    client.expect(
        "channel.close 1 code=406 ids=60,40 PRECONDITION_FAILED - message size 11 is larger than \
         configured max size 10",
    );
    client.expect_nothing();
    client.send_at_once(&["channel.close-ok 1", "channel.open 1"]);
    client.expect("channel.open-ok 1");
}

#[test]
fn what_is_left_of_a_message_on_a_closed_channel_is_discarded() {
    let options = ConnectionOptions {
        max_message_bytes: 10,
        ..ConnectionOptions::default()
    };
    let mut client = Script::open_with(options, "")
        .with_channel(1)
        .with_queue("q");
    client
        .send_octets(&publish())
        .send_octets(&wire::header(1, 5000, &[0, 0]));
    client.expect("channel.close 1 code=406");
    client
        .send_octets(&wire::body(1, &[0; 4000]))
        .send_octets(&wire::body(1, &[0; 1000]));
    client
        .expect_nothing()
        .send_at_once(&["channel.close-ok 1", "channel.open 1"]);
    client.expect("channel.open-ok 1");
}

#[test]
fn a_huge_announcement_costs_nothing_before_it_comes() {
    let mut client = Script::open().with_channel(1);
    for channel in 1..=10 {
        if channel > 1 {
            client.send(&format!("channel.open {channel}"));
        }
        client.send_octets(&wire::publish(channel, "", "q", 0));
        // 10 times 128 MiB: this test would be killed if they were set aside.
        client.send_octets(&wire::header(channel, 134_217_728, &[0, 0]));
        client.send_octets(&wire::body(channel, b"x"));
    }
    client.hang_up();
}

#[test]
fn a_channel_may_close_only_between_messages() {
    check(
        &[
            publish(),
            wire::header(1, 3, &[0, 0]),
            wire::encode("channel.close 1"),
        ],
        "code=505 ids=60,40 UNEXPECTED_FRAME - expected content body, got non content body frame \
         instead",
    );
}
