//! Peers that do not read what they are sent. What waits for them is bounded, others go on, and nothing is lost.

use std::io;
use std::io::Read;
use std::io::Write;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;

use super::Scene;
use crate::wire::Arguments;
use crate::wire::Wire;
use crate::wire::encode;

const MEGABYTE: u64 = 1024 * 1024;

/// A connection with channel 1 whose kernel keeps little of what the client does not read.
fn deaf(scene: &Scene) -> Wire {
    let wire = Wire::with_channel(scene.address());
    SockRef::from(wire.socket())
        .set_recv_buffer_size(64 * 1024)
        .unwrap();
    wire
}

#[test]
fn a_consumer_that_never_reads_leaves_its_queue_to_others() {
    const COUNT: u32 = 4000;
    const BODY_BYTES: usize = 16 * 1024;

    let scene = Scene::with_settings("outbox_bytes_max = 65536");
    let mut deaf = deaf(&scene);
    deaf.declare_queue("q", 0);
    deaf.call(&encode::consume(1, "q", encode::NO_ACK), (60, 21));
    let mut reader = Wire::with_channel(scene.address());
    reader.call(&encode::consume(1, "q", encode::NO_ACK), (60, 21));
    let before = scene.broker.rss_bytes();
    let mut publisher = Wire::with_channel(scene.address());
    let publishing = std::thread::spawn(move || {
        for number in 0..COUNT {
            let mut body = vec![0; BODY_BYTES];
            body[..4].copy_from_slice(&number.to_be_bytes());
            publisher.send(&encode::publish(1, ("", "q"), 0, encode::TRANSIENT, &body));
        }
        publisher.close();
    });
    // What the deaf one was given: its outbox and what lies on the way to it.
    let most_it_may_hold = (16 * MEGABYTE) as usize / BODY_BYTES;
    let mut numbers = Vec::new();
    while numbers.len() < COUNT as usize - most_it_may_hold {
        numbers.push(number(&reader.delivery(1).body));
    }
    publishing.join().unwrap();
    let grown = scene.broker.rss_bytes().saturating_sub(before);
    println!("grown by {grown} bytes");
    assert!(grown < 128 * MEGABYTE, "{grown}");

    // Now it reads, and has lost nothing.
    let received = AtomicUsize::new(numbers.len());
    let rest_of = |wire: &mut Wire| {
        let mut numbers = Vec::new();
        while received.load(Ordering::Relaxed) < COUNT as usize {
            if let Some(message) = wire.delivery_within(1, Duration::from_millis(50)) {
                numbers.push(number(&message.body));
                received.fetch_add(1, Ordering::Relaxed);
            }
        }
        numbers
    };
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| rest_of(&mut deaf));
        numbers.extend(rest_of(&mut reader));
        late.join().unwrap()
    });
    println!(
        "{} of {COUNT} waited for the one that did not read",
        late.len()
    );
    assert!(!late.is_empty());
    assert!(numbers.is_sorted() && late.is_sorted(), "out of order");
    numbers.extend(late);
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..COUNT), "lost or twice");
    reader.close();
    deaf.close();
    scene.end();
}

fn number(body: &[u8]) -> u32 {
    u32::from_be_bytes(body[..4].try_into().unwrap())
}

#[test]
fn a_publisher_that_never_reads_is_not_read_for_ever() {
    const BODY_BYTES: usize = 64 * 1024;
    /// Far more than may be taken from it before it reads.
    const SENT_BYTES_MAX: u64 = 256 * MEGABYTE;

    let scene = Scene::start();
    let mut deaf = deaf(&scene);
    deaf.call(&encode::confirm_select(1), (85, 11));
    let before = scene.broker.rss_bytes();
    // Each is returned with its body, and confirmed.
    let message = encode::publish(1, ("", "nowhere"), 1, encode::TRANSIENT, &[7; BODY_BYTES]);
    let patience = Some(Duration::from_secs(2));
    deaf.socket().set_write_timeout(patience).unwrap();
    let mut sent = 0;
    let rest = loop {
        assert!(
            sent * (BODY_BYTES as u64) < SENT_BYTES_MAX,
            "taken without end"
        );
        match write_what_fits(&deaf, &message) {
            Ok(()) => sent += 1,
            Err(rest) => break rest,
        }
    };
    let grown = scene.broker.rss_bytes().saturating_sub(before);
    println!("{sent} messages were taken, grown by {grown} bytes");
    assert!(grown < 128 * MEGABYTE, "{grown}");
    scene.bystander.is_served();

    // Nothing was lost: what was sent comes back, in order, once it is read.
    let mut writer = deaf.socket().try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&message[message.len() - rest..]));
    let (mut returned, mut confirmed) = (0, 0);
    while confirmed < sent + 1 {
        let method = deaf.next_method();
        match method.id {
            (60, 50) => {
                assert_eq!(deaf.content(1).1, [7; BODY_BYTES]);
                returned += 1;
            }
            (60, 80) => {
                let mut arguments = Arguments(&method.arguments);
                confirmed = arguments.long_long();
                assert!(returned >= confirmed, "confirmed before it was returned");
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    writing.join().unwrap().unwrap();
    assert_eq!(returned, sent + 1);
    deaf.close();
    scene.end();
}

/// Writes all of `octets`, or says how many are left when the peer takes no more.
fn write_what_fits(wire: &Wire, octets: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < octets.len() {
        match wire.socket().write(&octets[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(octets.len() - written);
            }
            Err(error) => panic!("{error}"),
        }
    }
    Ok(())
}

#[test]
fn a_client_that_reads_slowly_is_read_slowly() {
    let scene = Scene::start();
    let mut slow = deaf(&scene);
    slow.declare_queue("q", 0);
    slow.send(&encode::publish(
        1,
        ("", "q"),
        0,
        encode::TRANSIENT,
        &[7; 256 * 1024],
    ));
    // A short request for a long answer, which puts the message back.
    let get = encode::get(1, "q", false);
    let recover = encode::method(1, (60, 100), &[encode::Arg::Octet(1)]);
    let requests = [get, recover].concat().repeat(1000);
    let before = scene.broker.rss_bytes();
    slow.socket().set_nonblocking(true).unwrap();
    let (mut sent, mut read) = (0_u64, 0_u64);
    let mut at = 0;
    let mut answers = vec![0; 128 * 1024];
    while read < 128 * MEGABYTE && sent < 64 * MEGABYTE {
        if let Ok(count) = slow.socket().write(&requests[at..]) {
            sent += count as u64;
            at = (at + count) % requests.len();
        }
        if let Ok(count) = slow.socket().read(&mut answers) {
            read += count as u64;
        }
    }
    let grown = scene.broker.rss_bytes().saturating_sub(before);
    println!("{sent} octets were taken for {read} of answers, grown by {grown}");
    // What the kernel holds on both sides is most of it.
    assert!(sent < 24 * MEGABYTE, "{sent}");
    assert!(grown < 128 * MEGABYTE, "{grown}");
    drop(slow);
    scene.end();
}

/// Publishes much more to its own consumer than anybody keeps for it, and reads only then.
fn check_publishing_before_reading(settings: &str, flags: u8, properties: &[u8]) {
    const COUNT: u32 = 3000;
    const BODY_BYTES: usize = 16 * 1024;

    let scene = Scene::with_settings(settings);
    let mut wire = deaf(&scene);
    wire.declare_queue("q", flags);
    wire.call(&encode::consume(1, "q", encode::NO_ACK), (60, 21));
    for number in 0..COUNT {
        let mut body = vec![0; BODY_BYTES];
        body[..4].copy_from_slice(&number.to_be_bytes());
        // Blocks for ever if the broker waits for us to read.
        wire.send(&encode::publish(1, ("", "q"), 0, properties, &body));
    }
    for expected in 0..COUNT {
        assert_eq!(number(&wire.delivery(1).body), expected);
    }
    wire.close();
    scene.end();
}

#[test]
fn a_client_may_publish_to_its_own_consumer_before_it_reads() {
    check_publishing_before_reading("", 0, encode::TRANSIENT);
}

#[test]
fn it_may_also_when_the_disk_is_behind() {
    let settings = "store.pending_bytes_max = 1048576";
    check_publishing_before_reading(settings, encode::DURABLE, encode::PERSISTENT);
}

#[test]
fn a_slow_consumer_that_sends_heartbeats_lives() {
    let scene = Scene::start();
    let login = crate::wire::Login {
        heartbeat: 1,
        ..crate::wire::Login::default()
    };
    let mut slow = Wire::log_in(scene.address(), &login);
    slow.open_channel(1);
    slow.declare_queue("q", 0);
    slow.call(&encode::consume(1, "q", encode::NO_ACK), (60, 21));
    let mut publisher = Wire::with_channel(scene.address());
    let count = 2000_u32;
    for number in 0..count {
        let mut body = vec![0; 16 * 1024];
        body[..4].copy_from_slice(&number.to_be_bytes());
        publisher.send(&encode::publish(1, ("", "q"), 0, encode::TRANSIENT, &body));
    }
    publisher.close();
    // Busy with one message for longer than a silent peer would live.
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        slow.send(&encode::frame(encode::HEARTBEAT, 0, &[]));
        std::thread::sleep(Duration::from_millis(200));
    }
    for expected in 0..count {
        assert_eq!(number(&slow.delivery(1).body), expected);
    }
    slow.close();
    scene.end();
}

#[test]
fn a_client_that_closes_before_it_reads_gets_its_answer() {
    let scene = Scene::start();
    let mut wire = deaf(&scene);
    wire.declare_queue("q", 0);
    wire.call(&encode::consume(1, "q", 0), (60, 21));
    let mut publisher = Wire::with_channel(scene.address());
    let count = 1000;
    for _ in 0..count {
        publisher.send(&encode::publish(
            1,
            ("", "q"),
            0,
            encode::TRANSIENT,
            &[0; 16 * 1024],
        ));
    }
    publisher.call(&encode::qos(1, 1), (60, 11));
    wire.send(&encode::close());
    // Deliveries that were on their way, whole, then the answer.
    let mut delivered = 0;
    loop {
        let method = wire.next_method();
        if method.id == (10, 51) {
            break;
        }
        assert_eq!(method.id, (60, 60));
        wire.content(1);
        delivered += 1;
    }
    println!("{delivered} deliveries came before close-ok");
    drop(wire);
    // They are back, for they were not acknowledged.
    let mut ready = 0;
    crate::broker::eventually("all messages are back", || {
        ready = publisher.declare_queue("q", 0).0;
        ready == count
    });
    publisher.close();
    scene.end();
}
