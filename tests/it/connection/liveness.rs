//! Heartbeats (specification §1.4), alarms (§2.6), and peers that do not read.

use std::time::Duration;

use leveret::connection::ConnectionOptions;
use leveret::connection::Ending;
use leveret::connection::OUTPUT_BYTES_MAX;
use leveret::connection::Status;
use leveret::model::outbox::Parcel;
use leveret::protocol::output::Output;

use crate::connection::script::Script;
use crate::connection::wire;

#[test]
fn an_idle_client_gets_a_heartbeat_every_half_interval() {
    let mut client = Script::open();
    client.pass(29).expect_nothing();
    client.pass(1).expect("heartbeat").expect_nothing();
    client
        .send("heartbeat")
        .pass(30)
        .expect("heartbeat")
        .expect_nothing();
}

#[test]
fn replies_put_heartbeats_off() {
    let mut client = Script::open_channel(1);
    client.pass(20).send("basic.qos 1").expect("basic.qos-ok");
    client.pass(20).expect_nothing();
    client.pass(10).expect("heartbeat");
}

#[test]
fn a_silent_client_is_dropped_after_two_to_three_intervals() {
    let mut client = Script::open();
    client.pass(119);
    assert_eq!(client.machine.status(), Status::Open);
    client.pass(61);
    assert!(matches!(client.machine.status(), Status::Finished { .. }));
    assert_eq!(client.machine.ending(), Some(&Ending::MissedHeartbeats));
    assert!(
        !client
            .take_lines()
            .iter()
            .any(|line| line.contains("close"))
    );
    client.host_did(&["close"]);
}

#[test]
fn any_octet_is_life() {
    let mut client = Script::open_channel(1);
    let frame = wire::encode("basic.qos 1");
    for octet in frame {
        client.send_octets(&[octet]).pass(100);
        assert_eq!(client.machine.status(), Status::Open);
    }
}

#[test]
fn what_was_left_behind_is_no_life() {
    let mut client = Script::open_channel(1);
    client.send_octets(&wire::encode("basic.qos 1")[..5]);
    for _ in 0..20 {
        client.run().pass(10);
    }
    assert_eq!(client.machine.ending(), Some(&Ending::MissedHeartbeats));
}

#[test]
fn a_wait_for_the_disk_is_not_the_clients_silence() {
    let mut client = Script::open_channel(1);
    client.host.durable = true;
    client.send("queue.declare 1 queue=q durable").pass(1000);
    assert_eq!(client.machine.status(), Status::Open);
    client.take_lines();
    client.committed(1).expect("queue.declare-ok");
}

#[test]
fn what_the_server_does_not_read_is_not_the_clients_silence() {
    let mut client = Script::open();
    for _ in 0..10 {
        client.machine.not_reading();
        client.pass(60);
    }
    assert_eq!(client.machine.status(), Status::Open);
    client.pass(180);
    assert_eq!(client.machine.ending(), Some(&Ending::MissedHeartbeats));
}

fn alarm(client: &mut Script) {
    let reason = "low on memory".into();
    client.host.outbox.push(Parcel::Blocked { reason });
    client.run();
    assert!(client.machine.feels_alarm());
}

#[test]
fn a_publisher_is_blocked_with_its_next_publish() {
    let mut client = Script::open_channel(1).with_queue("q");
    assert!(!client.machine.feels_alarm());
    alarm(&mut client);
    client.expect_nothing();
    assert!(client.machine.wants_input() && !client.machine.is_blocked());
    client.send("basic.publish 1 key=q body=a");
    client
        .expect("connection.blocked low on memory")
        .expect_nothing();
    assert!(!client.machine.wants_input() && client.machine.is_blocked());
    assert!(client.host.ready("q").is_empty());
    client.host.outbox.push(Parcel::Unblocked);
    client.run().expect("connection.unblocked").expect_nothing();
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn a_message_that_has_begun_waits_too() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_octets(&wire::publish(1, "", "q", 0));
    alarm(&mut client);
    client.send_octets(&wire::header(1, 0, &[0, 0]));
    client.expect("connection.blocked low on memory");
    client.host.outbox.push(Parcel::Unblocked);
    client.run().expect("connection.unblocked");
    assert_eq!(client.host.ready("q"), [""]);
}

#[test]
fn those_who_only_consume_are_not_blocked() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.publish 1 key=q body=a");
    alarm(&mut client);
    client.send("basic.consume 1 queue=q consumer=c");
    client.expect("basic.consume-ok").expect("basic.deliver");
    client.send("basic.ack 1 tag=1").expect_nothing();
    client.host.outbox.push(Parcel::Unblocked);
    client.run().expect_nothing();
}

#[test]
fn a_blocked_publisher_still_gets_deliveries() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c no-ack")
        .expect("basic.consume-ok");
    alarm(&mut client);
    client
        .send("basic.publish 1 key=q body=a")
        .expect("connection.blocked");
    client.host.put("q", "b");
    client
        .run()
        .expect("basic.deliver 1 consumer=c tag=1 exchange= key=q body=b");
    client.expect_nothing();
}

#[test]
fn clients_that_cannot_hear_it_are_blocked_in_silence() {
    let mut client = Script::open_with(ConnectionOptions::default(), "");
    client = client.with_channel(1).with_queue("q");
    alarm(&mut client);
    client.send("basic.publish 1 key=q body=a").expect_nothing();
    assert!(client.machine.is_blocked());
    client.host.outbox.push(Parcel::Unblocked);
    client.run().expect_nothing();
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn a_blocked_client_is_not_taken_for_dead_and_can_be_closed() {
    let mut client = Script::open_channel(1).with_queue("q");
    alarm(&mut client);
    client
        .send("basic.publish 1 key=q body=a")
        .expect("connection.blocked");
    client.pass(1000);
    assert_eq!(client.machine.status(), Status::Open);
    client.take_lines();
    client.host.outbox.push(Parcel::Close {
        code: leveret::model::ReplyCode::ConnectionForced,
        text: "shutdown".into(),
    });
    client.run().expect("connection.close code=320");
    assert!(client.machine.wants_input());
}

#[test]
fn a_client_that_does_not_read_is_not_read_either() {
    let mut client = Script::open_channel(1).with_queue("q");
    let input = wire::encode("basic.qos 1");
    let mut unread = Output::with_buffer(vec![0; OUTPUT_BYTES_MAX]);
    let taken = client
        .machine
        .receive(&input, client.now, &mut client.host, &mut unread);
    assert_eq!(taken, 0);
    assert!(!client.machine.wants_input());
    client.machine.sent(client.now);
    assert!(client.machine.wants_input());
    client.send_octets(&input).expect("basic.qos-ok");
}

#[test]
fn a_delivery_that_is_never_acknowledged_closes_its_channel() {
    let mut client = Script::open_channel(1).with_channel(2).with_queue("q");
    client.host.consumer_timeout = Some(Duration::from_secs(100));
    for body in ["a", "b"] {
        client.send(&format!("basic.publish 1 key=q body={body}"));
    }
    client.send("basic.get 1 queue=q").expect("basic.get-ok 1");
    client.send("basic.get 2 queue=q").expect("basic.get-ok 2");
    let beat = |client: &mut Script, seconds: u64| {
        for _ in 0..seconds / 20 {
            client.pass(20).send("heartbeat").take_lines();
        }
    };
    // Looked at once a minute, and the first one is in time.
    beat(&mut client, 100);
    client.send("basic.ack 2 tag=1");
    assert_eq!(client.host.ready("q"), [""; 0]);
    client.pass(20).expect(
        "channel.close 1 code=406 ids=0,0 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. \
         Timeout value used: 100000 ms. This timeout value can be configured, see consumers doc guide to learn more",
    );
    assert_eq!(client.host.ready("q"), ["a again"]);
    client.send("channel.close-ok 1");
    beat(&mut client, 400);
    client.send("basic.qos 2").expect("basic.qos-ok 2");
    client.hang_up();
}

#[test]
fn deliveries_stay_out_for_ever_where_nobody_minds() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.publish 1 key=q body=a");
    client.send("basic.get 1 queue=q").expect("basic.get-ok 1");
    for _ in 0..500 {
        client.pass(20).send("heartbeat").take_lines();
    }
    client.send("basic.ack 1 tag=1");
    client.send("basic.qos 1").expect("basic.qos-ok 1");
    client.hang_up();
}
