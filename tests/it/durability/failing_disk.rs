//! A disk that takes no more: nothing is confirmed from then on, the node says so and stops, and what it had confirmed
//! is there when the disk is back.

use crate::broker::Launch;
use crate::broker::PATIENCE;
use crate::wire::Arguments;
use crate::wire::Heard;
use crate::wire::Wire;
use crate::wire::encode;

#[test]
fn a_store_that_fails_stops_the_node() {
    const COUNT: u64 = 1000;

    let data = tempfile::tempdir().unwrap();
    let launch = Launch::serve().data_dir(data.path());
    let mut broker = launch.file_bytes_max(4 * 1024 * 1024).start();
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", encode::DURABLE);
    wire.call(&encode::confirm_select(1), (85, 11));
    let mut confirmed = 0;
    for number in 1..=COUNT {
        let mut body = vec![0; 16 * 1024];
        body[..8].copy_from_slice(&number.to_be_bytes());
        let publish = encode::publish(1, ("", "q"), 0, encode::PERSISTENT, &body);
        if wire.try_send(&publish).is_err() {
            break;
        }
        let Heard::Frame(frame) = wire.hear(PATIENCE) else {
            break;
        };
        if frame.payload[..4] == [0, 10, 0, 50] {
            let _ = wire.try_send(&encode::close_ok());
            break;
        }
        assert_eq!(frame.payload[..4], [0, 60, 0, 80], "{frame:?}");
        confirmed = Arguments(&frame.payload[4..]).long_long();
    }
    assert!((1..COUNT).contains(&confirmed), "{confirmed}");
    assert_eq!(broker.wait(PATIENCE).code(), Some(1));
    let log = broker.log();
    let error = log.lines().last().unwrap();
    assert!(
        error.starts_with("leveret: the store failed and the node stopped: "),
        "{log}"
    );
    drop((broker, wire));

    let broker = Launch::serve().data_dir(data.path()).start();
    let mut wire = Wire::with_channel(broker.amqp());
    let numbers: Vec<u64> = wire
        .drain_queue(1, "q")
        .iter()
        .map(|message| Arguments(&message.body).long_long())
        .collect();
    println!("{confirmed} confirmed, {} there", numbers.len());
    assert!(
        numbers.len() as u64 >= confirmed,
        "lost: {confirmed} were confirmed"
    );
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    wire.close();
    broker.stop();
}
