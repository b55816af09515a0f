//! Outputs of the log that nobody reads, or reads late, or that are closed.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::PipeReader;
use std::io::Read;
use std::time::Duration;
use std::time::Instant;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::PATIENCE;
use crate::broker::eventually;
use crate::web;
use crate::wire::Wire;

/// More than a pipe takes, and what may wait before it.
const LINES_BYTES: u64 = 3 * 64 * 1024;

/// Lines to a pipe that nobody reads yet, and to a file.
const SETTINGS: &str = "log.dir = \".\"\nlog.file.name = \"all\"\nlog.file.formatter = \"json\"\nlog.client_lines_per_second_max = 0\n\
     log.waiting_bytes_max = 65536\nlog.flush_timeout = 500\nprometheus_listen = [\"127.0.0.1:0\"]";

fn start() -> (Broker, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let broker = Launch::serve().settings(SETTINGS).stderr(writer).start();
    (broker, reader)
}

/// Makes the node say very much, and be served all the while.
fn make_noise(broker: &Broker) {
    let all = broker.home().join("all");
    eventually("very much is logged", || {
        Wire::open(broker.amqp()).close();
        fs::metadata(&all).unwrap().len() > LINES_BYTES
    });
}

fn dropped(broker: &Broker) -> u64 {
    let (_, after) = broker.ready_line().split_once("Prometheus on ").unwrap();
    let (address, _) = after.split_once(", ").unwrap();
    let page = web::get(address.parse().unwrap(), "/metrics").body;
    let row = "leveret_log_lines_dropped_total{output=\"console\"} ";
    let line = page.lines().find_map(|line| line.strip_prefix(row));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let (mut broker, _reader) = start();
    make_noise(&broker);
    assert!(dropped(&broker) > 0);
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", 0);
    wire.close();
    let begun = Instant::now();
    broker.signal("TERM");
    assert_eq!(broker.wait(PATIENCE).code(), Some(0));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    let all = fs::read_to_string(broker.home().join("all")).unwrap();
    assert!(all.lines().last().unwrap().contains("\"stopped\""), "{all}");
}

#[test]
fn who_reads_late_is_told_how_much_is_missing() {
    let (broker, reader) = start();
    make_noise(&broker);
    let dropped = dropped(&broker);
    assert!(dropped > 0);
    let mut lines = BufReader::new(reader);
    let (mut read, mut missing) = (String::new(), None);
    while missing.is_none() {
        let begin = read.len();
        assert_ne!(lines.read_line(&mut read).unwrap(), 0);
        missing = missing_before(&read[begin..]);
    }
    assert_eq!(missing, Some(dropped));
    Wire::open(broker.amqp()).close();
    let home = broker.home().to_owned();
    let stopping = std::thread::spawn(move || {
        lines.read_to_string(&mut read).unwrap();
        read
    });
    broker.signal("TERM");
    let mut broker = broker;
    assert_eq!(broker.wait(PATIENCE).code(), Some(0));
    let read = stopping.join().unwrap();
    let all = fs::read_to_string(home.join("all")).unwrap();
    // All but those that are told to be missing, and one line that tells it.
    let all: Vec<_> = all.lines().collect();
    let read: Vec<_> = read.lines().collect();
    let gap = read.iter().position(|line| missing_before(line).is_some());
    let gap = gap.unwrap();
    let dropped = usize::try_from(dropped).unwrap();
    assert_eq!(read[..gap], all[..gap]);
    assert_eq!(read[gap + 1..], all[gap + dropped..]);
}

/// How many lines are said to be missing where this one is.
fn missing_before(line: &str) -> Option<u64> {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let (count, _) = line["msg"]
        .as_str()?
        .split_once(" lines are missing here")?;
    Some(count.parse().unwrap())
}

#[test]
fn a_closed_standard_error_ends_nothing() {
    let (mut broker, reader) = start();
    drop(reader);
    make_noise(&broker);
    assert!(dropped(&broker) > 0);
    broker.signal("TERM");
    assert_eq!(broker.wait(PATIENCE).code(), Some(0));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let refused = "log.file.name = \"/proc/nowhere/a.log\"";
    let (status, _, _) = Launch::serve().settings(refused).stderr(writer).run();
    assert_eq!(status.code(), Some(1));
}
