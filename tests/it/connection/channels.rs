//! Channels open and close (specification §3.3), each error with its code, ids and text (§4).

use crate::connection::script::Script;
use leveret::connection::Status;

#[test]
fn channels_open_and_close() {
    let mut client = Script::open_channel(1);
    client.send("channel.open 9").expect("channel.open-ok 9");
    assert_eq!(client.machine.channel_count(), 2);
    client.send("channel.close 9").expect("channel.close-ok 9");
    client.send("channel.open 9").expect("channel.open-ok 9");
    client.host_did(&["close_channel 9 "]);
    client.hang_up();
}

#[test]
fn a_second_open_closes_the_connection() {
    let mut client = Script::open_channel(1);
    client
        .send("channel.open 1")
        .expect("connection.close code=504 ids=20,10 CHANNEL_ERROR - second 'channel.open' seen");
    client.host_did(&["close_channel 1 ", "close"]);
}

#[test]
fn any_other_method_on_an_unopened_channel_closes_the_connection() {
    for (line, ids) in [
        ("basic.qos 2", "60,10"),
        ("channel.close 2", "20,40"),
        ("channel.close-ok 2", "20,41"),
        ("basic.ack 2 tag=1", "60,80"),
    ] {
        let mut client = Script::open_channel(1);
        client.send(line).expect(&format!(
            "connection.close code=504 ids={ids} CHANNEL_ERROR - expected 'channel.open'"
        ));
    }
}

#[test]
fn the_negotiated_number_of_channels_is_kept() {
    let mut client = Script::open();
    for channel in 101..=110 {
        client
            .send(&format!("channel.open {channel}"))
            .expect("channel.open-ok");
    }
    client.send("channel.open 1").expect(
        "connection.close code=530 ids=0,0 NOT_ALLOWED - number of channels opened (10) has \
         reached the negotiated channel_max (10)",
    );
}

#[test]
fn one_channel_too_many_is_told_so_whatever_it_says() {
    let mut client = Script::open();
    for channel in 1..=10 {
        client.send(&format!("channel.open {channel}"));
    }
    client.take_lines();
    client
        .send("basic.qos 11")
        .expect("connection.close code=530 ids=0,0");
}

#[test]
fn a_channel_the_broker_refuses_closes_the_connection() {
    let mut client = Script::open_channel(1);
    client.host.channel_max = 1;
    client.send("channel.open 2");
    client.expect("connection.close code=530 ids=20,10 NOT_ALLOWED - too many channels");
}

#[test]
fn an_error_leaves_other_channels_alone() {
    let mut client = Script::open_channel(1).with_channel(2);
    client.send("basic.ack 1 tag=7");
    client
        .expect("channel.close 1 code=406 ids=60,80 PRECONDITION_FAILED - unknown delivery tag 7");
    client.send("basic.qos 2").expect("basic.qos-ok 2");
    assert_eq!(client.machine.status(), Status::Open);
}

#[test]
fn a_closing_channel_discards_all_but_its_end() {
    let mut client = Script::open_channel(1);
    client
        .send("basic.ack 1 tag=7")
        .expect("channel.close 1 code=406");
    client.host.log.clear();
    client.send_at_once(&[
        "basic.publish 1 key=q body=hi",
        "basic.ack 1 tag=8",
        "queue.declare 1 queue=q",
        "tx.commit 1",
    ]);
    client.host_did(&[]).expect_nothing();
    client.send("channel.close-ok 1").expect_nothing();
    client.send("channel.open 1").expect("channel.open-ok 1");
}

#[test]
fn closes_that_cross_are_answered() {
    let mut client = Script::open_channel(1);
    client.send_at_once(&["basic.ack 1 tag=7", "channel.close 1"]);
    client
        .expect("channel.close 1 code=406")
        .expect("channel.close-ok 1");
    client.send("channel.close-ok 1");
    client.send("channel.open 1").expect("channel.open-ok 1");
}

#[test]
fn a_closing_channel_cannot_be_opened() {
    let mut client = Script::open_channel(1);
    client
        .send("basic.ack 1 tag=7")
        .expect("channel.close 1 code=406");
    client
        .send("channel.open 1")
        .expect("connection.close code=504 ids=20,10 CHANNEL_ERROR - second 'channel.open' seen");
}

#[test]
fn a_closing_channel_still_counts() {
    let mut client = Script::open();
    for channel in 1..=10 {
        client
            .send(&format!("channel.open {channel}"))
            .expect("channel.open-ok");
    }
    client.send("basic.ack 1 tag=7").expect("channel.close 1");
    client
        .send("channel.open 11")
        .expect("connection.close code=530");
}

#[test]
fn close_ok_without_a_close_is_an_error() {
    let mut client = Script::open_channel(1);
    client
        .send("channel.close-ok 1")
        .expect("connection.close code=503 ids=20,41 COMMAND_INVALID - unimplemented method");
}

#[test]
fn flow_can_only_be_turned_on() {
    let mut client = Script::open_channel(1);
    client
        .send("channel.flow 1 active")
        .expect("channel.flow-ok 1 active");
    client.send("channel.flow 1");
    client.expect("connection.close code=540 ids=20,20 NOT_IMPLEMENTED - active=false");
}

#[test]
fn what_only_servers_send_is_unimplemented() {
    let mut client = Script::open_channel(1);
    client
        .send("channel.flow-ok 1")
        .expect("connection.close code=503 ids=20,21 COMMAND_INVALID - unimplemented method");
}

#[test]
fn access_is_granted_as_it_always_was() {
    let mut client = Script::open_channel(1);
    client
        .send("access.request 1")
        .expect("access.request-ok 1");
}
