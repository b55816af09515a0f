//! `basic.publish`: batches, returns, errors (specification §3.3).

use crate::connection::script::Script;
use crate::connection::wire;

#[test]
fn consecutive_messages_of_one_route_are_one_publish() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=q body=b",
        "basic.publish 1 key=other body=c",
        "basic.publish 1 key=q body=d",
        "basic.publish 1 key=q body=e",
        "basic.publish 1 key=q body=f mandatory",
    ]);
    client.host_did(&[
        "publish 1  q 2",
        "publish 1  other 1",
        "publish 1  q 2",
        "publish 1  q 1",
    ]);
    assert_eq!(client.host.ready("q"), ["a", "b", "d", "e", "f"]);
    client.expect_nothing();
}

#[test]
fn a_repeated_publish_may_carry_another_message() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("confirm.select 1 nowait");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=q body=b persistent",
        "basic.publish 1 key=q",
        "basic.publish 1 key=q body=longer",
    ]);
    client.host_did(&["publish 1  q 4"]);
    assert_eq!(client.host.ready("q"), ["a", "b", "", "longer"]);
    client.expect("basic.ack 1 tag=4 multiple");
}

#[test]
fn a_repeated_publish_is_judged_like_the_first() {
    let mut client = Script::open_channel(1).with_queue("q");
    let mut octets = wire::encode("basic.publish 1 key=q body=a");
    octets.extend(wire::publish(1, "", "q", 0));
    octets.extend(wire::header(1, 1, &[0x80, 0]));
    client
        .send_octets(&octets)
        .expect("connection.close code=501 ids=60,40");
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn channels_keep_their_messages_apart() {
    let mut client = Script::open_channel(1).with_channel(2).with_queue("q");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 2 key=q body=b",
        "basic.publish 2 key=q body=c",
    ]);
    client.host_did(&["publish 1  q 1", "publish 2  q 2"]);
}

#[test]
fn messages_come_before_a_method_that_could_see_them() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_at_once(&["basic.publish 1 key=q body=a", "queue.declare 1 queue=q"]);
    client.expect("queue.declare-ok 1 queue=q messages=1");
}

#[test]
fn publish_to_a_missing_exchange_closes_only_the_channel() {
    let mut client = Script::open_channel(1).with_channel(2).with_queue("q");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 exchange=nowhere key=q body=b",
        "basic.publish 1 key=q body=c",
        "basic.publish 2 key=q body=d",
    ]);
    client.expect(
        "channel.close 1 code=404 ids=60,40 NOT_FOUND - no exchange 'nowhere' in vhost '/'",
    );
    assert_eq!(client.host.ready("q"), ["a", "d"]);
    client.send_at_once(&["channel.close-ok 1", "channel.open 1"]);
    client.expect("channel.open-ok 1").expect_nothing();
}

#[test]
fn a_channel_closes_once_however_much_is_wrong() {
    let mut client = Script::open_channel(1);
    client.send_at_once(&[
        "basic.publish 1 exchange=nowhere key=q body=a",
        "basic.ack 1 tag=99",
        "channel.flow 1",
    ]);
    client
        .expect("channel.close 1 code=404 ids=60,40")
        .expect_nothing();
}

#[test]
fn mandatory_messages_come_back() {
    let mut client = Script::open_channel(1);
    client.send("basic.publish 1 exchange=amq.fanout key=k body=hi mandatory");
    client.expect("basic.return 1 code=312 NO_ROUTE exchange=amq.fanout key=k body=hi");
}

#[test]
fn others_are_dropped_without_a_word() {
    let mut client = Script::open_channel(1);
    client
        .send("basic.publish 1 exchange=amq.fanout key=k body=hi")
        .expect_nothing();
}

#[test]
fn immediate_is_not_implemented() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=q immediate",
    ]);
    client.expect("connection.close code=540 ids=60,40 NOT_IMPLEMENTED - immediate=true");
    assert_eq!(client.host.ready("q"), ["a"], "what came before is kept");
}

#[test]
fn a_message_in_pieces_is_one_message() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_octets(&wire::publish(1, "", "q", 0));
    client.send_octets(&wire::header(1, 5, &[0, 0]));
    client.send_octets(&wire::body(1, b"he"));
    client.host_did(&[]);
    client.send_octets(&wire::body(1, b"llo"));
    assert_eq!(client.host.ready("q"), ["hello"]);
}

#[test]
fn an_empty_body_has_no_frame() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_octets(&wire::publish(1, "", "q", 0));
    client.send_octets(&wire::header(1, 0, &[0, 0]));
    assert_eq!(client.host.ready("q"), [""]);
    client.send("basic.publish 1 key=q");
    assert_eq!(client.host.ready("q"), ["", ""]);
}

#[test]
fn large_messages_keep_their_order() {
    let mut client = Script::open_channel(1).with_queue("q");
    let mut octets = wire::encode("basic.publish 1 key=q body=before");
    octets.extend(wire::publish(1, "", "q", 0));
    octets.extend(wire::header(1, 20_000, &[0, 0]));
    for _ in 0..5 {
        octets.extend(wire::body(1, &[b'x'; 4000]));
    }
    octets.extend(wire::encode("basic.publish 1 key=q body=after"));
    client.send_octets(&octets);
    let ready = client.host.ready("q");
    assert_eq!(ready.len(), 3);
    assert_eq!(
        (ready[0].as_str(), ready[1].len(), ready[2].as_str()),
        ("before", 20_000, "after")
    );
}

#[test]
fn frames_of_other_channels_may_come_between() {
    let mut client = Script::open_channel(1).with_channel(2).with_queue("q");
    client.send_octets(&wire::publish(1, "", "q", 0));
    client.send("basic.publish 2 key=q body=two");
    client.send_octets(&wire::header(1, 3, &[0, 0]));
    client.send("heartbeat");
    client
        .send("queue.declare 2 queue=q")
        .expect("queue.declare-ok 2");
    client.send_octets(&wire::body(1, b"one"));
    assert_eq!(client.host.ready("q"), ["two", "one"]);
}
