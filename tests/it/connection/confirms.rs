//! Publisher confirms (specification §3.3): what is acknowledged when, and how many at a time.

use crate::connection::script::Script;
use leveret::model::Lsn;

fn confirming() -> Script {
    let mut client = Script::open_channel(1)
        .with_queue("q")
        .with_queue("refusing");
    client
        .send("confirm.select 1")
        .expect("confirm.select-ok 1");
    client
}

#[test]
fn transient_messages_are_confirmed_with_their_batch() {
    let mut client = confirming();
    client.send("basic.publish 1 key=q body=a");
    client.expect("basic.ack 1 tag=1").expect_nothing();
    client.send_at_once(&[
        "basic.publish 1 key=q body=b",
        "basic.publish 1 key=x body=c",
    ]);
    client.expect("basic.ack 1 tag=3 multiple").expect_nothing();
}

#[test]
fn numbers_start_with_the_first_publish_after_select() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "confirm.select 1 nowait",
        "basic.publish 1 key=q body=b",
        "confirm.select 1",
        "basic.publish 1 key=q body=c",
    ]);
    client
        .expect("basic.ack 1 tag=1")
        .expect("confirm.select-ok 1");
    client.expect("basic.ack 1 tag=2").expect_nothing();
}

#[test]
fn persistent_messages_are_confirmed_once_they_are_on_disk() {
    let mut client = confirming();
    client.host.durable = true;
    client.send("basic.publish 1 key=q body=a persistent");
    client.send_at_once(&[
        "basic.publish 1 key=q body=b persistent",
        "basic.publish 1 key=q body=c persistent",
    ]);
    client.expect_nothing();
    assert_eq!(client.machine.awaits(), Some(Lsn(1)));
    client
        .committed(1)
        .expect("basic.ack 1 tag=1")
        .expect_nothing();
    assert_eq!(client.machine.awaits(), Some(Lsn(2)));
    client
        .committed(5)
        .expect("basic.ack 1 tag=3 multiple")
        .expect_nothing();
    assert_eq!(client.machine.awaits(), None);
}

#[test]
fn what_is_durable_already_waits_for_nothing() {
    let mut client = confirming();
    client.host.durable = true;
    client.committed(10);
    client
        .send("basic.publish 1 key=q body=a persistent")
        .expect("basic.ack 1 tag=1");
}

#[test]
fn multiple_never_reaches_across_one_that_waits() {
    let mut client = confirming();
    client.host.durable = true;
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=x body=b",
        "basic.publish 1 key=q body=c persistent",
        "basic.publish 1 key=x body=d",
        "basic.publish 1 key=x body=e",
    ]);
    // The first run is one publish of the host's: a with b would be another, for their routes differ.
    client.expect("basic.ack 1 tag=2 multiple");
    client
        .expect("basic.ack 1 tag=4")
        .expect("basic.ack 1 tag=5")
        .expect_nothing();
    client
        .committed(1)
        .expect("basic.ack 1 tag=3")
        .expect_nothing();
}

#[test]
fn refused_messages_are_nacked() {
    let mut client = confirming();
    client.send_at_once(&[
        "basic.publish 1 key=refusing body=yes",
        "basic.publish 1 key=refusing body=no",
        "basic.publish 1 key=refusing body=no",
        "basic.publish 1 key=refusing body=yes",
    ]);
    client.expect("basic.ack 1 tag=1");
    client.expect("basic.nack 1 tag=3 multiple");
    client.expect("basic.ack 1 tag=4").expect_nothing();
}

#[test]
fn refused_messages_are_nacked_past_one_that_waits() {
    let mut client = confirming();
    client.host.durable = true;
    client.send_at_once(&[
        "basic.publish 1 key=refusing body=yes persistent",
        "basic.publish 1 key=refusing body=no persistent",
        "basic.publish 1 key=refusing body=yes persistent",
    ]);
    client.expect("basic.nack 1 tag=2").expect_nothing();
    client
        .committed(1)
        .expect("basic.ack 1 tag=3 multiple")
        .expect_nothing();
}

#[test]
fn a_return_comes_before_its_ack_and_after_those_before() {
    let mut client = confirming();
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=x body=b mandatory",
    ]);
    client.expect("basic.ack 1 tag=1");
    client.expect("basic.return 1 code=312 NO_ROUTE exchange= key=x body=b");
    client.expect("basic.ack 1 tag=2").expect_nothing();
}

#[test]
fn what_came_before_an_error_keeps_its_ack() {
    let mut client = confirming();
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 exchange=nowhere key=q body=b",
        "basic.publish 1 key=q body=c",
    ]);
    client
        .expect("basic.ack 1 tag=1")
        .expect("channel.close 1 code=404")
        .expect_nothing();
}

#[test]
fn a_closed_channel_confirms_nothing_more() {
    let mut client = confirming();
    client.host.durable = true;
    client.send("basic.publish 1 key=q body=a persistent");
    client.send("channel.close 1").expect("channel.close-ok 1");
    assert_eq!(client.machine.awaits(), None);
    client.send("channel.open 1").expect("channel.open-ok 1");
    client.committed(1).expect_nothing();
}

#[test]
fn each_channel_counts_for_itself() {
    let mut client = confirming().with_channel(2);
    client
        .send("confirm.select 2")
        .expect("confirm.select-ok 2");
    client.host.durable = true;
    client.send("basic.publish 1 key=q body=a persistent");
    client.send("basic.publish 2 key=q body=b persistent");
    assert_eq!(client.machine.awaits(), Some(Lsn(1)));
    client.committed(2);
    client
        .expect("basic.ack 1 tag=1")
        .expect("basic.ack 2 tag=1")
        .expect_nothing();
}

#[test]
fn a_transactional_channel_cannot_confirm() {
    let mut client = Script::open_channel(1);
    client.send("tx.select 1").expect("tx.select-ok 1");
    client.send("confirm.select 1").expect(
        "channel.close 1 code=406 ids=85,10 PRECONDITION_FAILED - cannot switch from tx to \
         confirm mode",
    );
}
