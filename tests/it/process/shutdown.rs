//! SIGTERM and SIGINT: clients are asked to close, waited for until a deadline, and the process ends with 0.

use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::PATIENCE;
use crate::broker::eventually;
use crate::wire::Close;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::encode;

/// What every client hears.
fn farewell() -> Close {
    Close {
        code: 320,
        text: "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
            .to_owned(),
        id: (0, 0),
    }
}

fn check_signal_ends_it(signal: &str) {
    let mut broker = Broker::start();
    let mut wires: Vec<Wire> = (0..3).map(|_| Wire::with_channel(broker.amqp())).collect();
    // One in the middle of a message, one with deliveries on their way.
    wires[0].send(&encode::publish_method(1, "", "q", 0));
    wires[1].declare_queue("q", 0);
    wires[1].call(&encode::consume(1, "q", encode::NO_ACK), (60, 21));
    broker.signal(signal);
    let begun = Instant::now();
    for wire in &mut wires {
        assert_eq!(wire.expect_close(0), farewell());
        wire.send(&encode::close_ok());
        wire.expect_end(PATIENCE);
    }
    let status = broker.wait(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", broker.log());
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(8),
        "waited for the deadline: {took:?}"
    );
    assert!(!broker.log().contains("were cut"), "{}", broker.log());
    assert!(TcpStream::connect(broker.amqp()).is_err());
    assert!(TcpStream::connect(broker.http()).is_err());
}

#[test]
fn sigterm_asks_clients_to_close() {
    check_signal_ends_it("TERM");
}

#[test]
fn sigint_asks_clients_to_close() {
    check_signal_ends_it("INT");
}

#[test]
fn a_client_that_never_answers_is_cut_at_the_deadline() {
    let deadline = Duration::from_millis(700);
    let mut broker = Launch::serve().settings("shutdown_timeout = 700").start();
    let mut polite = Wire::open(broker.amqp());
    let mut rude = Wire::open(broker.amqp());
    broker.signal("TERM");
    let begun = Instant::now();
    assert_eq!(polite.expect_close(0), farewell());
    polite.send(&encode::close_ok());
    assert_eq!(rude.expect_close(0), farewell());
    rude.expect_end(PATIENCE);
    assert_eq!(broker.wait(PATIENCE).code(), Some(0));
    let took = begun.elapsed();
    assert!(took >= deadline && took < deadline * 6, "{took:?}");
    assert!(
        broker.log().contains("\"connections\":1"),
        "{}",
        broker.log()
    );
}

#[test]
fn a_client_that_does_not_read_is_cut_at_the_deadline() {
    let mut broker = Launch::serve().settings("shutdown_timeout = 700").start();
    let mut deaf = Wire::with_channel(broker.amqp());
    deaf.declare_queue("q", 0);
    deaf.call(&encode::consume(1, "q", encode::NO_ACK), (60, 21));
    let mut publisher = Wire::with_channel(broker.amqp());
    let body = vec![0; 1024 * 1024];
    for _ in 0..32 {
        publisher.send(&encode::publish(1, ("", "q"), 0, encode::TRANSIENT, &body));
    }
    publisher.close();
    broker.signal("TERM");
    assert_eq!(broker.wait(PATIENCE).code(), Some(0), "{}", broker.log());
}

#[test]
fn half_open_connections_do_not_hold_it_up() {
    let mut broker = Broker::start();
    let idle = TcpStream::connect(broker.amqp()).unwrap();
    let mut greeted = Wire::connect(broker.amqp());
    greeted.send(&encode::PROTOCOL_HEADER);
    greeted.expect(0, (10, 10));
    let request = TcpStream::connect(broker.http()).unwrap();
    broker.signal("TERM");
    let begun = Instant::now();
    assert_eq!(broker.wait(PATIENCE).code(), Some(0), "{}", broker.log());
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "waited for the deadline: {took:?}"
    );
    drop((idle, request));
}

#[test]
fn a_connection_that_opens_during_the_shutdown_is_asked_too() {
    let mut broker = Broker::start();
    let mut slow = Wire::open(broker.amqp());
    let mut late = Wire::connect(broker.amqp());
    late.send(&encode::PROTOCOL_HEADER);
    late.expect(0, (10, 10));
    let login = Login::default();
    late.send(&encode::start_ok(&[], "PLAIN", &login.plain()));
    late.expect(0, (10, 30));
    broker.signal("TERM");
    // From here on the broker waits for this one.
    assert_eq!(slow.expect_close(0), farewell());
    late.send(&encode::tune_ok(2047, 131_072, 0));
    late.send(&encode::open("/"));
    late.expect(0, (10, 41));
    assert_eq!(late.expect_close(0), farewell());
    late.send(&encode::close_ok());
    let begun = Instant::now();
    slow.send(&encode::close_ok());
    assert_eq!(broker.wait(PATIENCE).code(), Some(0), "{}", broker.log());
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "waited for the deadline: {took:?}"
    );
}

#[test]
fn confirmed_or_not_what_was_published_before_the_signal_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let mut broker = Launch::serve().data_dir(data.path()).start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", encode::DURABLE);
    let count = 500_u32;
    for number in 0..count {
        let body = number.to_be_bytes();
        wire.send(&encode::publish(1, ("", "q"), 0, encode::PERSISTENT, &body));
    }
    // The answer comes after everything that was sent before it.
    assert_eq!(wire.declare_queue("q", encode::DURABLE).0, count);
    broker.signal("TERM");
    assert_eq!(wire.expect_close(0), farewell());
    wire.send(&encode::close_ok());
    assert_eq!(broker.wait(PATIENCE).code(), Some(0));

    let broker = Launch::serve().data_dir(data.path()).start();
    let mut wire = Wire::with_channel(broker.amqp());
    let bodies: Vec<_> = wire
        .drain_queue(1, "q")
        .into_iter()
        .map(|message| message.body)
        .collect();
    let expected: Vec<_> = (0..count)
        .map(|number| number.to_be_bytes().to_vec())
        .collect();
    assert_eq!(bodies, expected);
    drop(broker);
}

#[test]
fn a_second_signal_changes_nothing() {
    let mut broker = Launch::serve().settings("shutdown_timeout = 500").start();
    let mut wire = Wire::open(broker.amqp());
    broker.signal("TERM");
    assert_eq!(wire.expect_close(0), farewell());
    for _ in 0..8 {
        broker.signal("TERM");
    }
    eventually("the end", || broker.has_ended());
    assert_eq!(broker.wait(PATIENCE).code(), Some(0));
}
