//! `basic.ack`, `basic.nack`, `basic.reject`, `basic.recover` (specification §3.3), and how they are gathered.

use crate::connection::script::Script;

/// A client with the messages a to f delivered as 1 to 6 on channel 1.
fn consuming() -> Script {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.consume 1 queue=q consumer=c nowait");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=q body=b",
        "basic.publish 1 key=q body=c",
        "basic.publish 1 key=q body=d",
        "basic.publish 1 key=q body=e",
        "basic.publish 1 key=q body=f",
    ]);
    assert_eq!(client.take_lines().len(), 6);
    client.host.log.clear();
    client
}

#[test]
fn acks_of_one_read_are_one_call() {
    let mut client = consuming();
    client.send_at_once(&[
        "basic.ack 1 tag=1",
        "basic.ack 1 tag=2",
        "basic.ack 1 tag=4",
    ]);
    client
        .host_did(&["settle 1 ack 1:1-2,1:4"])
        .expect_nothing();
    client.hang_up();
    assert_eq!(client.host.ready("q"), ["c again", "e again", "f again"]);
}

#[test]
fn each_kind_is_one_call() {
    let mut client = consuming();
    client.send("basic.cancel 1 consumer=c nowait");
    client.host.log.clear();
    client.send_at_once(&[
        "basic.ack 1 tag=1",
        "basic.reject 1 tag=2",
        "basic.nack 1 tag=3 requeue",
        "basic.reject 1 tag=4 requeue",
        "basic.nack 1 tag=5",
        "basic.ack 1 tag=6",
    ]);
    client.host_did(&[
        "settle 1 ack 1:1,1:6",
        "settle 1 reject 1:2,1:5",
        "settle 1 requeue 1:3-4",
    ]);
    assert_eq!(client.host.ready("q"), ["c again", "d again"]);
}

#[test]
fn multiple_settles_all_before() {
    let mut client = consuming();
    client
        .send("basic.ack 1 tag=3 multiple")
        .host_did(&["settle 1 ack 1:1-3"]);
    client
        .send("basic.nack 1 tag=5 multiple")
        .host_did(&["settle 1 reject 1:4-5"]);
    client
        .send("basic.ack 1 tag=0 multiple")
        .host_did(&["settle 1 ack 1:6"]);
    client.send("basic.ack 1 tag=0 multiple").expect_nothing();
}

#[test]
fn requeued_messages_come_again() {
    let mut client = consuming();
    client.send("basic.nack 1 tag=2 requeue");
    client.expect("basic.deliver 1 consumer=c tag=7 redelivered exchange= key=q body=b");
}

#[track_caller]
fn check_unknown(line: &str, ids: &str, tag: u64) {
    let mut client = consuming();
    client.send(line);
    client.expect(&format!(
        "channel.close 1 code=406 ids={ids} PRECONDITION_FAILED - unknown delivery tag {tag}"
    ));
    client.expect_nothing().hang_up();
}

#[test]
fn unknown_tags_close_the_channel() {
    check_unknown("basic.ack 1 tag=7", "60,80", 7);
    check_unknown("basic.ack 1 tag=7 multiple", "60,80", 7);
    check_unknown("basic.ack 1 tag=0", "60,80", 0);
    check_unknown("basic.nack 1 tag=7", "60,120", 7);
    check_unknown("basic.nack 1 tag=0", "60,120", 0);
    check_unknown("basic.reject 1 tag=7 requeue", "60,90", 7);
}

#[test]
fn settling_twice_closes_the_channel_and_returns_the_rest() {
    let mut client = consuming();
    client.send("basic.cancel 1 consumer=c nowait");
    client.host.log.clear();
    client.send_at_once(&["basic.ack 1 tag=2", "basic.ack 1 tag=2"]);
    client.expect("channel.close 1 code=406");
    client.host_did(&["settle 1 ack 1:2", "close_channel 1 1:1,1:3-6"]);
}

#[test]
fn tags_belong_to_their_channel() {
    let mut client = consuming().with_channel(2);
    client.send("basic.ack 2 tag=1");
    client.expect("channel.close 2 code=406 ids=60,80");
    client.send("basic.ack 1 tag=1").expect_nothing();
}

#[test]
fn publishes_come_before_acks() {
    let mut client = consuming();
    client.send_at_once(&[
        "basic.ack 1 tag=1",
        "basic.publish 1 key=x body=x",
        "basic.ack 1 tag=2",
    ]);
    client.host_did(&["publish 1  x 1", "settle 1 ack 1:1-2"]);
}

#[test]
fn rejects_keep_their_place_among_publishes() {
    let mut client = consuming();
    client.send_at_once(&[
        "basic.publish 1 key=x body=x",
        "basic.reject 1 tag=1",
        "basic.publish 1 key=x body=y",
    ]);
    client.host_did(&["publish 1  x 1", "settle 1 reject 1:1", "publish 1  x 1"]);
}

#[test]
fn a_method_sees_the_settles_before_it() {
    let mut client = consuming();
    client.send("basic.cancel 1 consumer=c nowait");
    client.send_at_once(&["basic.reject 1 tag=1 requeue", "queue.declare 1 queue=q"]);
    client.expect("queue.declare-ok 1 queue=q messages=1");
}

#[test]
fn recover_returns_everything() {
    let mut client = consuming();
    client
        .send("basic.cancel 1 consumer=c nowait")
        .send("basic.ack 1 tag=2");
    client.host.log.clear();
    client
        .send("basic.recover 1 requeue")
        .expect("basic.recover-ok 1");
    client.host_did(&["settle 1 requeue 1:1,1:3-6"]);
    client
        .send("basic.recover 1 requeue")
        .expect("basic.recover-ok 1");
    client.host_did(&[]);
}

#[test]
fn recover_async_has_no_answer() {
    let mut client = consuming();
    client.send("basic.cancel 1 consumer=c nowait");
    client.host.log.clear();
    client
        .send("basic.recover-async 1 requeue")
        .expect_nothing();
    client.host_did(&["settle 1 requeue 1:1-6"]);
}

#[test]
fn recovering_to_the_same_consumer_is_not_implemented() {
    let mut client = consuming();
    client.send("basic.recover 1");
    client.expect("connection.close code=540 ids=60,110 NOT_IMPLEMENTED - requeue=false");
    let mut client = consuming();
    client.send("basic.recover-async 1");
    client.expect("connection.close code=540 ids=60,100 NOT_IMPLEMENTED - requeue=false");
}

#[test]
fn a_closed_channel_returns_what_it_had() {
    let mut client = consuming();
    client.send_at_once(&["basic.ack 1 tag=3", "channel.close 1"]);
    client.expect("channel.close-ok 1");
    client.host_did(&["settle 1 ack 1:3", "close_channel 1 1:1-2,1:4-6"]);
    let ready: Vec<_> = ["a", "b", "d", "e", "f"]
        .map(|body| format!("{body} again"))
        .into();
    assert_eq!(client.host.ready("q"), ready);
}
