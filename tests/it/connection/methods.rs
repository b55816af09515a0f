//! Declarations, bindings and the rest that is answered once (specification §3.3), and replies that wait for the disk.

use leveret::model::Lsn;
use leveret::protocol::output::Output;

use crate::connection::script::Script;
use crate::connection::wire;

#[test]
fn each_declaration_has_its_answer() {
    let mut client = Script::open_channel(1);
    for (line, answer) in [
        (
            "exchange.declare 1 exchange=e type=direct",
            "exchange.declare-ok 1",
        ),
        (
            "exchange.declare 1 exchange=e passive",
            "exchange.declare-ok 1",
        ),
        (
            "queue.declare 1 queue=q",
            "queue.declare-ok 1 queue=q messages=0 consumers=0",
        ),
        ("queue.bind 1 queue=q exchange=e key=k", "queue.bind-ok 1"),
        (
            "exchange.bind 1 destination=e source=amq.fanout key=k",
            "exchange.bind-ok 1",
        ),
        (
            "exchange.unbind 1 destination=e source=amq.fanout key=k",
            "exchange.unbind-ok 1",
        ),
        (
            "queue.unbind 1 queue=q exchange=e key=k",
            "queue.unbind-ok 1",
        ),
        ("queue.purge 1 queue=q", "queue.purge-ok 1 messages=0"),
        ("queue.delete 1 queue=q", "queue.delete-ok 1 messages=0"),
        ("exchange.delete 1 exchange=e", "exchange.delete-ok 1"),
    ] {
        client.send(line).expect(answer).expect_nothing();
    }
    client.host_did(&[
        "declare_exchange e direct",
        "declare_queue q",
        "bind e q k",
        "bind amq.fanout e k",
        "unbind amq.fanout e k",
        "unbind e q k",
        "delete_queue q",
        "delete_exchange e",
    ]);
}

#[test]
fn nowait_has_no_answer_and_waits_for_nothing() {
    let mut client = Script::open_channel(1);
    client.host.durable = true;
    for line in [
        "exchange.declare 1 exchange=e type=direct nowait",
        "queue.declare 1 queue=q nowait",
        "queue.bind 1 queue=q exchange=e key=k nowait",
        "exchange.bind 1 destination=e source=amq.fanout nowait",
        "exchange.unbind 1 destination=e source=amq.fanout nowait",
        "queue.purge 1 queue=q nowait",
        "queue.delete 1 queue=q nowait",
        "exchange.delete 1 exchange=e nowait",
    ] {
        client.send(line).expect_nothing();
        assert_eq!(client.machine.awaits(), None);
    }
}

#[test]
fn an_answer_waits_for_the_disk_and_the_client_for_it() {
    let mut client = Script::open_channel(1).with_channel(2);
    client.host.durable = true;
    client.send_at_once(&["queue.declare 1 queue=q", "basic.qos 2"]);
    client.expect_nothing();
    assert!(!client.machine.wants_input());
    assert_eq!(client.machine.awaits(), Some(Lsn(1)));
    client
        .committed(1)
        .expect("queue.declare-ok 1 queue=q")
        .expect("basic.qos-ok 2");
    assert!(client.machine.wants_input());
    assert_eq!(client.machine.awaits(), None);
}

#[test]
fn deliveries_do_not_wait() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("basic.consume 1 queue=q consumer=c")
        .expect("basic.consume-ok");
    client.host.durable = true;
    client.send_at_once(&[
        "basic.publish 1 key=q body=hi",
        "queue.declare 1 queue=other",
    ]);
    client.expect("basic.deliver 1 consumer=c").expect_nothing();
    client.committed(1).expect("queue.declare-ok");
}

#[test]
fn a_missing_queue_closes_the_channel() {
    let mut client = Script::open_channel(1);
    client.send("queue.declare 1 queue=nope passive");
    client.expect("channel.close 1 code=404 ids=50,10 NOT_FOUND - no queue 'nope' in vhost '/'");
}

#[test]
fn an_empty_name_is_the_last_declared_queue() {
    let mut client = Script::open_channel(1)
        .with_queue("first")
        .with_queue("last");
    client.send("basic.publish 1 key=last body=hi");
    client.host.log.clear();
    client
        .send("queue.bind 1 exchange=amq.fanout key=k")
        .expect("queue.bind-ok");
    client
        .send("queue.unbind 1 exchange=amq.fanout key=k")
        .expect("queue.unbind-ok");
    client
        .send("basic.get 1")
        .expect("basic.get-ok 1 tag=1 key=last");
    client
        .send("basic.consume 1 consumer=c")
        .expect("basic.consume-ok");
    client.send("queue.purge 1").expect("queue.purge-ok");
    client.send("queue.delete 1").expect("queue.delete-ok");
    client.host_did(&[
        "bind amq.fanout last k",
        "unbind amq.fanout last k",
        "consume 1 last prefetch 0",
        "delete_queue last",
    ]);
}

#[test]
fn without_queue_and_key_the_key_is_the_queue() {
    let mut client = Script::open_channel(1).with_queue("q");
    client
        .send("queue.bind 1 exchange=amq.fanout")
        .expect("queue.bind-ok");
    client
        .send("queue.unbind 1 exchange=amq.fanout")
        .expect("queue.unbind-ok");
    client
        .send("queue.bind 1 queue=q exchange=amq.fanout")
        .expect("queue.bind-ok");
    client.host_did(&[
        "bind amq.fanout q q",
        "unbind amq.fanout q q",
        "bind amq.fanout q ",
    ]);
}

#[test]
fn a_passive_declaration_counts_as_the_last() {
    let mut client = Script::open_channel(1)
        .with_channel(2)
        .with_queue("a")
        .with_queue("b");
    client
        .send("queue.declare 1 queue=a passive")
        .expect("queue.declare-ok 1 queue=a");
    client.send("queue.purge 1").expect("queue.purge-ok");
    client
        .send("queue.delete 1")
        .expect("queue.delete-ok")
        .host_did(&["delete_queue a"]);
}

#[test]
fn server_made_names_are_the_last_declared_too() {
    let mut client = Script::open_channel(1);
    client
        .send("queue.declare 1")
        .expect("queue.declare-ok 1 queue=amq.gen-");
    client
        .send("basic.consume 1 consumer=c")
        .expect("basic.consume-ok");
}

#[test]
fn there_may_be_no_last_queue() {
    for (line, ids) in [
        ("basic.consume 1", "60,20"),
        ("basic.get 1", "60,70"),
        ("queue.bind 1 exchange=amq.fanout", "50,20"),
        ("queue.unbind 1 exchange=amq.fanout", "50,50"),
        ("queue.purge 1", "50,30"),
        ("queue.delete 1", "50,40"),
    ] {
        let mut client = Script::open_channel(1).with_channel(2);
        client.send("queue.declare 2 queue=elsewhere nowait");
        client.send(line).expect(&format!(
            "channel.close 1 code=404 ids={ids} NOT_FOUND - no previously declared queue"
        ));
    }
}

#[test]
fn line_ends_are_dropped_where_names_are_declared_and_bound() {
    let mut client = Script::open_channel(1);
    for line in [
        "exchange.declare 1 exchange=e\r\n type=direct",
        "queue.declare 1 queue=q\r\n",
        "queue.bind 1 queue=q\n exchange=\re key=k\n",
        "queue.unbind 1 queue=q\n exchange=\re key=k\n",
        "exchange.bind 1 destination=e\n source=e\n key=k",
        "exchange.unbind 1 destination=e\n source=e\n key=k",
        "queue.delete 1 queue=q\n",
        "exchange.delete 1 exchange=e\n",
    ] {
        client.send(line);
    }
    client.host_did(&[
        "declare_exchange e direct",
        "declare_queue q",
        "bind e q k\n",
        "unbind e q k\n",
        "bind e e k",
        "unbind e e k",
        "delete_queue q",
        "delete_exchange e",
    ]);
}

#[test]
fn line_ends_are_kept_where_names_are_used() {
    let mut client = Script::open_channel(1).with_queue("q");
    client.send("basic.get 1 queue=q\n");
    client.expect("channel.close 1 code=404 ids=60,70 NOT_FOUND - no queue 'q\n' in vhost '/'");
}

#[test]
fn a_long_text_is_cut() {
    let mut client = Script::open_channel(1);
    client.send(&format!(
        "queue.declare 1 queue={} passive",
        "q".repeat(255)
    ));
    let line = client.take_lines().remove(0);
    let text = line.split_once(" NOT_FOUND").unwrap().1;
    assert_eq!("NOT_FOUND".len() + text.len(), 255);
    assert!(text.ends_with("qqq..."));
}

#[test]
fn a_new_secret_is_accepted() {
    let mut client = Script::open();
    client
        .send("connection.update-secret")
        .expect("connection.update-secret-ok");
}

#[test]
fn the_obsolete_ticket_is_one() {
    let mut client = Script::open_channel(1);
    let mut out = Output::default();
    let request = wire::encode("access.request 1");
    client
        .machine
        .receive(&request, client.now, &mut client.host, &mut out);
    assert_eq!(out.to_vec(), wire::frame(1, 1, &[0, 30, 0, 11, 0, 1]));
}
