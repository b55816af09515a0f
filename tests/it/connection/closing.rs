//! The end of connections, from either side (specification §2.6, §1.5): nothing is lost, nothing is returned twice.

use leveret::connection::Ending;
use leveret::connection::Status;
use leveret::model::Lsn;
use leveret::model::ReplyCode;
use leveret::model::outbox::Parcel;

use crate::connection::script::Script;

/// A client with a message delivered and not acknowledged.
fn consuming() -> Script {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client
        .send("basic.publish 1 key=q body=hi")
        .expect("basic.deliver 1");
    client.host.log.clear();
    client
}

#[test]
fn the_clients_close_is_answered_after_everything_went_back() {
    let mut client = consuming();
    client
        .send("connection.close")
        .expect("connection.close-ok");
    client.host_did(&["close_channel 1 1:1", "close"]);
    client.expect_finished(30);
    let ending = Ending::ClientClosed(200, "bye".to_owned());
    assert_eq!(client.machine.ending(), Some(&ending));
    client.hang_up();
    client.host_did(&[]);
    assert_eq!(client.host.ready("q"), ["hi again"]);
}

#[test]
fn close_ok_waits_for_the_disk() {
    let mut client = consuming();
    client.host.durable = true;
    client.send("connection.close").expect_nothing();
    assert_eq!(client.machine.status(), Status::Closing);
    assert!(!client.machine.wants_input());
    assert_eq!(client.machine.awaits(), Some(Lsn(1)));
    client
        .committed(1)
        .expect("connection.close-ok")
        .expect_finished(30);
}

#[test]
fn what_came_before_close_is_done_first() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_at_once(&["basic.publish 1 key=q body=a", "connection.close"]);
    client.expect("connection.close-ok");
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn nothing_after_close_counts() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_at_once(&["connection.close", "basic.publish 1 key=q body=a"]);
    client.expect("connection.close-ok").expect_finished(30);
    assert!(client.host.ready("q").is_empty());
}

#[test]
fn the_node_may_close() {
    let mut client = consuming();
    client.host.outbox.push(Parcel::Close {
        code: ReplyCode::ConnectionForced,
        text: "Closed via management plugin".into(),
    });
    client.run();
    client.expect(
        "connection.close code=320 ids=0,0 CONNECTION_FORCED - Closed via management plugin",
    );
    client.host_did(&["close_channel 1 1:1", "close"]);
    assert_eq!(client.machine.status(), Status::Closing);
    client.send("connection.close-ok").expect_finished(0);
    client.hang_up();
}

#[test]
fn a_client_that_never_answers_is_dropped() {
    let mut client = Script::open();
    client.send("channel.open");
    client.expect("connection.close code=504").pass(29);
    assert_eq!(client.machine.status(), Status::Closing);
    client.pass(1);
    assert!(matches!(client.machine.status(), Status::Finished { .. }));
}

#[test]
fn closes_that_cross_are_answered() {
    let mut client = Script::open();
    client
        .send("channel.open")
        .expect("connection.close code=504");
    client
        .send("connection.close")
        .expect("connection.close-ok");
    client.send("connection.close-ok").expect_finished(0);
}

#[test]
fn the_first_reason_is_remembered() {
    let mut client = Script::open();
    client.send("channel.open").send("connection.close-ok");
    client.hang_up();
    let Some(Ending::Failed(error)) = client.machine.ending() else {
        panic!("{:?}", client.machine.ending());
    };
    assert_eq!(error.code(), ReplyCode::ChannelError);
}

#[test]
fn a_lost_socket_returns_everything_once() {
    let mut client = consuming();
    client.hang_up();
    client.host_did(&["close_channel 1 1:1", "close"]);
    assert_eq!(client.machine.ending(), Some(&Ending::Abandoned));
    assert_eq!(client.host.ready("q"), ["hi again"]);
}

#[test]
fn what_lies_in_the_outbox_when_the_socket_is_lost_goes_back_too() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.host.put("q", "hi");
    assert_eq!(client.host.outbox.len(), 1);
    client.hang_up();
    assert_eq!(client.host.ready("q"), ["hi again"]);
}

#[test]
fn all_channels_end_in_order() {
    let mut client = Script::open();
    for channel in [5, 3, 9] {
        client.send(&format!("channel.open {channel}"));
    }
    client.hang_up();
    client.host_did(&[
        "close_channel 3 ",
        "close_channel 5 ",
        "close_channel 9 ",
        "close",
    ]);
}

#[test]
fn a_wait_for_the_disk_does_not_outlive_a_forced_close() {
    let mut client = Script::open_channel(1);
    client.host.durable = true;
    client
        .send("queue.declare 1 queue=q durable")
        .expect_nothing();
    client.host.outbox.push(Parcel::Close {
        code: ReplyCode::ConnectionForced,
        text: "shutdown".into(),
    });
    client.run().expect("connection.close code=320");
    assert!(client.machine.wants_input());
    client.committed(9).expect_nothing();
    client.send("connection.close-ok").expect_finished(0);
}
