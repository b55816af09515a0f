//! Frames that are wrong in themselves or out of place (specification §1.3, §2.7), and how much of them is held.

use leveret::connection::Status;
use leveret::protocol::output::Output;

use crate::connection::script::Script;
use crate::connection::wire;

/// Sends `octets` on a connection with channel 1 open and expects it to be closed like this.
#[track_caller]
fn check(octets: &[u8], close: &str) -> Script {
    let mut client = Script::open_channel(1);
    client.send_octets(octets);
    client
        .expect(&format!("connection.close {close}"))
        .expect_nothing();
    client.host_did(&["close_channel 1 ", "close"]);
    client
}

#[test]
fn an_unknown_type() {
    let text = "code=501 ids=0,0 FRAME_ERROR - type 9, all octets = <<\"abc\">>: unknown_frame";
    check(&wire::frame(9, 1, b"abc"), text).expect_finished(3);
    check(&wire::frame(9, 0, b"abc"), text).expect_finished(3);
}

#[test]
fn a_wrong_end() {
    let mut frame = wire::frame(1, 1, b"abcd");
    *frame.last_mut().unwrap() = b'x';
    let text = "code=501 ids=0,0 FRAME_ERROR - type 1, all octets = <<\"abcd\">>: \
                {invalid_frame_end_marker,120}";
    let mut client = check(&frame, text);
    client.expect_finished(3);
    // Nobody knows where the next frame begins.
    client.send("connection.close-ok").expect_finished(3);
}

#[test]
fn a_frame_larger_than_agreed_is_judged_by_its_head() {
    let head = &wire::frame(3, 1, &[0; 4097])[..7];
    let text = "code=501 ids=0,0 FRAME_ERROR - type 3, all octets = <<>>: \
                {frame_too_large,4097,4088}";
    check(head, text).expect_finished(3);
}

#[test]
fn eight_octets_too_many_are_tolerated() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_octets(&wire::publish(1, "", "q", 0));
    client.send_octets(&wire::header(1, 4096, &[0, 0]));
    client
        .send_octets(&wire::body(1, &[b'x'; 4096]))
        .expect_nothing();
    assert_eq!(client.host.ready("q")[0].len(), 4096);
}

#[test]
fn heartbeats_belong_to_the_connection() {
    let text = "code=505 ids=0,0 UNEXPECTED_FRAME - type 8, all octets = <<>>";
    check(&wire::frame(8, 1, &[]), text);
    let text = "code=501 ids=0,0 FRAME_ERROR - type 8, all octets = <<\"x\">>: unknown_frame";
    check(&wire::frame(8, 0, b"x"), text);
}

#[test]
fn content_belongs_to_channels() {
    check(
        &wire::header(0, 0, &[0, 0]),
        "code=505 ids=0,0 UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>",
    );
    check(
        &wire::body(0, b"abc"),
        "code=505 ids=0,0 UNEXPECTED_FRAME - type 3, all octets = <<\"abc\">>",
    );
}

#[test]
fn unknown_methods() {
    let text = "COMMAND_INVALID - unimplemented method";
    let unknown = |class, method, channel| wire::frame(1, channel, &[0, class, 0, method]);
    check(&unknown(77, 10, 1), &format!("code=503 ids=77,10 {text}"));
    check(&unknown(60, 99, 1), &format!("code=503 ids=60,99 {text}"));
    check(&unknown(10, 99, 0), &format!("code=503 ids=10,99 {text}"));
}

#[test]
fn arguments_that_do_not_fit() {
    let text = "FRAME_ERROR - cannot decode <<0,0,0>>";
    check(
        &wire::frame(1, 1, &[0, 60, 0, 10, 0, 0, 0]),
        &format!("code=501 ids=60,10 {text}"),
    );
    let text = "FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,0,0>>";
    let long = [&[0, 60, 0, 10][..], &[0; 9]].concat();
    check(
        &wire::frame(1, 1, &long),
        &format!("code=501 ids=60,10 {text}"),
    );
}

#[test]
fn methods_of_channels_on_the_connection() {
    let text = "CHANNEL_ERROR - unexpected method in connection state running";
    for (line, ids) in [
        ("channel.open", "20,10"),
        ("basic.qos", "60,10"),
        ("connection.tune-ok", "10,31"),
        ("connection.open", "10,40"),
        ("connection.close-ok", "10,51"),
    ] {
        check(&wire::encode(line), &format!("code=504 ids={ids} {text}"));
    }
    let publish = wire::publish(0, "", "q", 0);
    check(&publish, &format!("code=504 ids=60,40 {text}"));
}

#[test]
fn methods_of_the_connection_on_channels() {
    let text = "code=503 ids=10,50 COMMAND_INVALID - unimplemented method";
    check(&wire::encode("connection.close 1"), text);
}

#[test]
fn what_came_before_a_bad_frame_is_done() {
    let mut client = Script::open_channel(1).with_queue("q");
    let mut octets = wire::encode("basic.publish 1 key=q body=a");
    octets.extend(wire::frame(9, 1, b"abc"));
    client
        .send_octets(&octets)
        .expect("connection.close code=501");
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn the_machine_says_how_much_it_needs() {
    let mut client = Script::open_channel(1);
    let frame = wire::body(1, &[0; 1000]);
    let mut needed = |octets: &[u8]| {
        let (now, host) = (client.now, &mut client.host);
        let taken = client
            .machine
            .receive(octets, now, host, &mut Output::default());
        assert_eq!(taken, 0);
        client.machine.needed()
    };
    assert_eq!(needed(&frame[..3]), 7);
    assert_eq!(needed(&frame[..7]), 1008);
    assert_eq!(needed(&frame[..900]), 1008);
}

#[test]
fn after_close_nothing_counts_but_close_ok() {
    let mut client = check(&wire::encode("channel.open 1"), "code=504");
    client.send_at_once(&[
        "basic.qos 1",
        "channel.open 2",
        "connection.tune-ok",
        "heartbeat",
    ]);
    client
        .send_octets(&wire::body(0, b"x"))
        .send_octets(&wire::body(7, b"x"));
    client.expect_nothing();
    assert_eq!(client.machine.status(), Status::Closing);
    client.send("connection.close-ok").expect_finished(0);
}

/// A message that lingers pins its chunk: what comes in one read is handed over in pieces of 256 KiB.
#[test]
fn much_in_one_read_makes_several_runs() {
    let mut client = Script::open_channel(1).with_queue("q");
    let body = "x".repeat(1000);
    let line = format!("basic.publish 1 key=q body={body}");
    client.send_at_once(&vec![line.as_str(); 600]);
    let runs: Vec<usize> = client
        .host
        .log
        .iter()
        .filter_map(|line| line.strip_prefix("publish 1  q ")?.parse().ok())
        .collect();
    assert_eq!(runs.iter().sum::<usize>(), 600, "{runs:?}");
    assert!(runs.len() == 3 && runs[0] == runs[1], "{runs:?}");
}
