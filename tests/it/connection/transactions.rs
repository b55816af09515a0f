//! `tx.select`, `tx.commit`, `tx.rollback` (specification §3.3).

use leveret::connection::ConnectionOptions;
use leveret::model::Lsn;

use crate::connection::script::Script;

fn transacting() -> Script {
    let mut client = Script::open_channel(1)
        .with_queue("q")
        .with_queue("refusing");
    client.send("tx.select 1").expect("tx.select-ok 1");
    client
}

#[test]
fn nothing_is_published_before_commit() {
    let mut client = transacting();
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=q body=b",
    ]);
    assert!(client.host.ready("q").is_empty());
    client.send("tx.commit 1").expect("tx.commit-ok 1");
    assert_eq!(client.host.ready("q"), ["a", "b"]);
    client.send("tx.commit 1").expect("tx.commit-ok 1");
    assert_eq!(client.host.ready("q"), ["a", "b"]);
}

#[test]
fn rollback_forgets_publishes() {
    let mut client = transacting();
    client.send("basic.publish 1 key=q body=a");
    client.send("tx.rollback 1").expect("tx.rollback-ok 1");
    client.send("tx.commit 1").expect("tx.commit-ok 1");
    assert!(client.host.ready("q").is_empty());
}

#[test]
fn rollback_takes_acks_back() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=q body=a")
        .send("basic.publish 1 key=q body=b");
    client.send("tx.commit 1").expect("tx.commit-ok 1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=2");
    client
        .send("basic.ack 1 tag=2 multiple")
        .send("tx.rollback 1")
        .expect("tx.rollback-ok 1");
    // Not requeued: unacknowledged, and to be acknowledged again.
    assert!(client.host.ready("q").is_empty());
    client
        .send("basic.ack 1 tag=1")
        .send("tx.commit 1")
        .expect("tx.commit-ok 1");
    client.hang_up();
    assert_eq!(client.host.ready("q"), ["b again"]);
}

#[test]
fn an_ack_counts_once_even_before_commit() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=q body=a")
        .send("tx.commit 1")
        .expect("tx.commit-ok 1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client.send_at_once(&["basic.ack 1 tag=1", "basic.ack 1 tag=1"]);
    client
        .expect("channel.close 1 code=406 ids=60,80 PRECONDITION_FAILED - unknown delivery tag 1");
    // The channel took its uncommitted acks with it.
    assert_eq!(client.host.ready("q"), ["a again"]);
    client.hang_up();
}

#[test]
fn uncommitted_acks_come_back_with_the_socket() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=q body=a")
        .send("tx.commit 1")
        .expect("tx.commit-ok 1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client.send("basic.ack 1 tag=1").hang_up();
    assert_eq!(client.host.ready("q"), ["a again"]);
}

#[test]
fn steps_keep_their_order() {
    let mut client = transacting();
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 key=q body=b",
        "tx.commit 1",
    ]);
    client.expect("tx.commit-ok 1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=2");
    client.host.log.clear();
    client.send_at_once(&[
        "basic.ack 1 tag=1",
        "basic.publish 1 key=q body=c",
        "basic.nack 1 tag=2 requeue",
        "tx.commit 1",
    ]);
    client.expect("tx.commit-ok 1");
    client.host_did(&["commit 1 3", "settle 1 ack 1:1", "settle 1 requeue 1:2"]);
    assert_eq!(client.host.ready("q"), ["b again", "c"]);
}

#[test]
fn acks_keep_their_place_among_publishes() {
    let mut client = transacting();
    client.host.put("q", "a");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client.host.log.clear();
    client.send_at_once(&[
        "basic.publish 1 key=q body=b",
        "basic.ack 1 tag=1",
        "basic.publish 1 key=q body=c",
        "tx.commit 1",
    ]);
    client.expect("tx.commit-ok 1");
    client.host_did(&["commit 1 3", "settle 1 ack 1:1"]);
}

#[test]
fn errors_come_at_once() {
    let mut client = transacting();
    client.send_at_once(&[
        "basic.publish 1 key=q body=a",
        "basic.publish 1 exchange=nowhere key=q body=b",
    ]);
    client.expect("channel.close 1 code=404 ids=60,40 NOT_FOUND");
    assert!(client.host.ready("q").is_empty());
}

#[test]
fn returns_come_before_commit_ok() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=nowhere body=a mandatory")
        .expect_nothing();
    client.send("tx.commit 1");
    client.expect("basic.return 1 code=312 NO_ROUTE exchange= key=nowhere body=a");
    client.expect("tx.commit-ok 1");
}

#[test]
fn commit_ok_waits_for_the_disk() {
    let mut client = transacting();
    client.host.durable = true;
    client.send_at_once(&[
        "basic.publish 1 key=q body=a persistent",
        "basic.publish 1 key=nowhere body=b mandatory",
        "tx.commit 1",
    ]);
    client.expect_nothing();
    assert_eq!(client.machine.awaits(), Some(Lsn(1)));
    client
        .committed(1)
        .expect("basic.return 1")
        .expect("tx.commit-ok 1");
}

#[test]
fn a_refused_message_fails_the_commit() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=refusing body=no")
        .send("tx.commit 1");
    client.expect("channel.close 1 code=406 ids=90,20 PRECONDITION_FAILED - partial tx completion");
}

#[test]
fn a_failed_commit_returns_its_deliveries() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=q body=a")
        .send("tx.commit 1")
        .expect("tx.commit-ok 1");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client.host.fails_commits = true;
    client.send_at_once(&["basic.ack 1 tag=1", "tx.commit 1"]);
    client.expect("channel.close 1 code=404 ids=90,20");
    assert_eq!(client.host.ready("q"), ["a again"]);
    client.hang_up();
}

#[test]
fn select_comes_first() {
    for (line, ids) in [("tx.commit 1", "90,20"), ("tx.rollback 1", "90,30")] {
        let mut client = Script::open_channel(1);
        client.send(line).expect(&format!(
            "channel.close 1 code=406 ids={ids} PRECONDITION_FAILED - channel is not transactional"
        ));
    }
}

#[test]
fn select_may_be_repeated() {
    let mut client = transacting();
    client
        .send("basic.publish 1 key=q body=a")
        .send("tx.select 1")
        .expect("tx.select-ok 1");
    client.send("tx.commit 1").expect("tx.commit-ok 1");
    assert_eq!(client.host.ready("q"), ["a"]);
}

#[test]
fn a_confirming_channel_cannot_transact() {
    let mut client = Script::open_channel(1);
    client.send("confirm.select 1").expect("confirm.select-ok 1").send("tx.select 1").expect(
        "channel.close 1 code=406 ids=90,10 PRECONDITION_FAILED - cannot switch from confirm to tx \
         mode",
    );
}

#[test]
fn a_transaction_is_bounded() {
    let options = ConnectionOptions {
        transaction_bytes_max: 400,
        ..ConnectionOptions::default()
    };
    let mut client = Script::open_with(options, "")
        .with_channel(1)
        .with_queue("q");
    client.send("tx.select 1").expect("tx.select-ok 1");
    for _ in 0..10 {
        client
            .send("basic.publish 1 key=q body=0123456789")
            .send("tx.commit 1");
        client.expect("tx.commit-ok 1");
    }
    let publish = "basic.publish 1 key=q body=0123456789";
    client.send(publish).send(publish).expect_nothing().send(publish).expect(
        "channel.close 1 code=406 ids=60,40 PRECONDITION_FAILED - transaction is larger than the \
         configured maximum of 400",
    );
}
