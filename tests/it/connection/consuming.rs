//! `basic.consume`, deliveries, `basic.cancel`, `basic.get`, `basic.qos` (specification §3.3).

use crate::connection::script::Script;
use leveret::connection::ConnectionOptions;
use leveret::protocol::output::Output;

#[test]
fn consume_ok_comes_before_the_first_delivery() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.publish 1 key=q body=hi");
    client.send("basic.consume 1 queue=q consumer=c");
    client.expect("basic.consume-ok 1 consumer=c");
    client.expect("basic.deliver 1 consumer=c tag=1 exchange= key=q body=hi");
    client.expect_nothing().hang_up();
    assert_eq!(client.host.ready("q"), ["hi again"]);
}

#[test]
fn tags_count_all_deliveries_of_a_channel() {
    let mut client = Script::open_channel(1).with_queue("q");
    for body in ["a", "b", "c"] {
        client.send(&format!("basic.publish 1 key=q body={body}"));
    }
    client
        .send("basic.get 1 queue=q no-ack")
        .expect("basic.get-ok 1 tag=1 key=q left=2 body=a");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=2 key=q left=1 body=b");
    client.send("basic.consume 1 queue=q consumer=c");
    client
        .expect("basic.consume-ok")
        .expect("basic.deliver 1 consumer=c tag=3");
    client.send("basic.ack 1 tag=1");
    client
        .expect("channel.close 1 code=406 ids=60,80 PRECONDITION_FAILED - unknown delivery tag 1");
    client.hang_up();
}

#[test]
fn direct_replies_use_up_no_tags() {
    let mut client = Script::open_channel(1)
        .with_queue("amq.rabbitmq.reply-to")
        .with_queue("q");
    client
        .send("basic.consume 1 queue=amq.rabbitmq.reply-to consumer=r no-ack")
        .expect("basic.consume-ok 1 consumer=r");
    for body in ["a", "b"] {
        client.send(&format!(
            "basic.publish 1 key=amq.rabbitmq.reply-to body={body}"
        ));
        client.expect("basic.deliver 1 consumer=r tag=1");
    }
    client.send("basic.publish 1 key=q body=c");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-ok 1 tag=1");
    client.send("basic.publish 1 key=amq.rabbitmq.reply-to body=d");
    client.expect("basic.deliver 1 consumer=r tag=2");
}

#[test]
fn an_empty_queue_has_nothing_to_get() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.get 1 queue=q")
        .expect("basic.get-empty 1");
}

#[test]
fn the_server_makes_up_tags() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q")
        .send("basic.consume 1 queue=q");
    let lines = client.take_lines();
    let tag = |line: &String| {
        let tag = line.strip_prefix("basic.consume-ok 1 consumer=amq.ctag-");
        tag.expect("a tag of the server's").to_owned()
    };
    assert_eq!(tag(&lines[0]).len(), 22);
    assert_ne!(tag(&lines[0]), tag(&lines[1]));
}

#[test]
fn a_tag_in_use_closes_the_connection() {
    let mut client = Script::open_channel(1).with_channel(2).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client
        .send("basic.consume 2 queue=q consumer=c")
        .expect("basic.consume-ok 2");
    client.send("basic.consume 1 queue=q consumer=c").expect(
        "connection.close code=530 ids=60,20 NOT_ALLOWED - attempt to reuse consumer tag 'c'",
    );
}

#[test]
fn consumers_of_a_channel_may_be_limited() {
    let options = ConnectionOptions {
        consumer_max_per_channel: Some(1),
        ..ConnectionOptions::default()
    };
    let mut client = Script::open_with(options, "")
        .with_channel(1)
        .with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=a")
        .expect("basic.consume-ok");
    client.send("basic.consume 1 queue=q consumer=b").expect(
        "connection.close code=530 ids=60,20 NOT_ALLOWED - reached maximum (1) of consumers per \
         channel",
    );
}

#[test]
fn nowait_has_no_answer() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c nowait")
        .expect_nothing();
    client
        .send("basic.cancel 1 consumer=c nowait")
        .expect_nothing();
    client.host_did(&["consume 1 q prefetch 0", "cancel 1"]);
}

#[test]
fn prefetch_is_for_consumers_to_come() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.consume 1 queue=q consumer=a nowait");
    client.send("basic.qos 1 count=5").expect("basic.qos-ok 1");
    client.send("basic.consume 1 queue=q consumer=b nowait");
    client
        .send("basic.qos 1 count=7 global")
        .expect("basic.qos-ok 1");
    client.send("basic.consume 1 queue=q consumer=c nowait");
    client.host_did(&[
        "consume 1 q prefetch 0",
        // The limit of the whole channel is forgotten.
        "limit_channel 1 0",
        "consume 1 q prefetch 5",
        "limit_channel 1 7",
        "consume 1 q prefetch 5",
    ]);
}

#[test]
fn a_channels_prefetch_that_is_not_permitted_is_each_consumers() {
    let options = ConnectionOptions {
        global_qos: false,
        ..ConnectionOptions::default()
    };
    let mut client = Script::open_with(options, "")
        .with_channel(1)
        .with_queue("q");
    client
        .send("basic.qos 1 count=7 global")
        .expect("basic.qos-ok 1");
    client.send("basic.consume 1 queue=q consumer=c nowait");
    client.host_did(&["limit_channel 1 0", "consume 1 q prefetch 7"]);
}

#[test]
fn prefetch_by_size_is_not_implemented() {
    let mut client = Script::open_channel(1);
    client.send("basic.qos 1 size=5 count=1");
    client.expect("connection.close code=540 ids=60,10 NOT_IMPLEMENTED - prefetch_size!=0 (5)");
}

#[test]
fn what_the_outbox_holds_is_delivered_before_cancel_ok() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c no-ack")
        .expect("basic.consume-ok");
    client.send_at_once(&["basic.publish 1 key=q body=hi", "basic.cancel 1 consumer=c"]);
    client.expect("basic.deliver 1 consumer=c tag=1 exchange= key=q body=hi");
    client.expect("basic.cancel-ok 1 consumer=c");
    client
        .send("basic.publish 1 key=q body=later")
        .expect_nothing();
    client.hang_up();
}

#[test]
fn nothing_is_taken_between_cancel_and_the_outbox() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    let mut input = crate::connection::wire::encode("basic.cancel 1 consumer=c");
    let cancel_octets = input.len();
    input.extend(crate::connection::wire::encode("basic.qos 1"));
    let mut out = Output::default();
    let taken = client
        .machine
        .receive(&input, client.now, &mut client.host, &mut out);
    assert_eq!((taken, out.len()), (cancel_octets, 0));
    assert!(client.machine.wants_parcels() && !client.machine.wants_input());
    client.take_outbox().expect("basic.cancel-ok 1 consumer=c");
    assert!(client.machine.wants_input());
}

#[test]
fn an_unknown_tag_is_cancelled_all_the_same() {
    let mut client = Script::open_channel(1);
    client
        .send("basic.cancel 1 consumer=zz")
        .expect("basic.cancel-ok 1 consumer=zz");
    client
        .send("basic.cancel 1 consumer=zz nowait")
        .expect_nothing();
    client.host_did(&[]);
}

#[test]
fn deliveries_of_a_cancelled_consumer_stay_unacknowledged() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.publish 1 key=q body=hi");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client
        .expect("basic.deliver 1")
        .send("basic.cancel 1 consumer=c");
    client.expect("basic.cancel-ok 1");
    client.send("basic.ack 1 tag=1").expect_nothing().hang_up();
    assert!(client.host.ready("q").is_empty());
}

#[test]
fn a_consumer_whose_queue_is_gone_is_told() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.host.delete("q");
    client.run().expect("basic.cancel 1 consumer=c nowait");
    // The tag is free again.
    client.send_at_once(&[
        "queue.declare 1 queue=q nowait",
        "basic.consume 1 queue=q consumer=c",
    ]);
    client.expect("basic.consume-ok 1 consumer=c");
}

#[test]
fn who_deletes_the_own_queue_reads_delete_ok_first() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.host.durable = true;
    client.send("queue.delete 1 queue=q").expect_nothing();
    client
        .committed(1)
        .expect("queue.delete-ok 1")
        .expect("basic.cancel 1 consumer=c nowait");
}

#[test]
fn clients_that_cannot_hear_it_are_not_told() {
    let mut client = Script::open_with(ConnectionOptions::default(), "");
    client = client.with_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.host.delete("q");
    client.run().expect_nothing();
    client.send_at_once(&[
        "queue.declare 1 queue=q nowait",
        "basic.consume 1 queue=q consumer=c",
    ]);
    client.expect("basic.consume-ok 1 consumer=c");
}

#[test]
fn deliveries_for_a_channel_that_is_gone_go_back() {
    let mut client = Script::open_channel(1).with_channel(2).with_queue("q");
    client
        .send("basic.consume 2 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.host.log.clear();
    // The publish fills the outbox after the channel's end was decided on.
    client.send_at_once(&["basic.publish 1 key=q body=hi", "channel.close 2"]);
    client.expect("channel.close-ok 2").expect_nothing();
    client.host_did(&["publish 1  q 1", "close_channel 2 ", "settle 2 requeue 1:1"]);
    assert_eq!(client.host.ready("q"), ["hi again"]);
}

#[test]
fn the_outbox_is_told_what_left() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.send("basic.publish 1 key=q body=12345");
    // Route (1 + 0 + 1 + 1), header (2), body (5).
    assert_eq!(client.released, 10);
}

#[test]
fn bodies_are_cut_to_the_negotiated_frames() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    let mut octets = crate::connection::wire::publish(1, "", "q", 0);
    octets.extend(crate::connection::wire::header(1, 12_000, &[0, 0]));
    for _ in 0..3 {
        octets.extend(crate::connection::wire::body(1, &[b'x'; 4000]));
    }
    client.send_octets(&octets);
    client.expect("basic.deliver 1 consumer=c tag=1 exchange= key=q body=12000 octets");
}
