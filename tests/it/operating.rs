//! The operator's tools as the real binary has them: backups of a broker that works, restoring them, looking at data
//! directories that nobody uses.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::eventually;
use crate::wire::Arguments;
use crate::wire::Wire;
use crate::wire::encode;
use crate::wire::encode::DURABLE;
use crate::wire::encode::PERSISTENT;

/// Exit code, standard output, standard error.
fn leveret(arguments: &[&str]) -> (i32, String, String) {
    let (status, output, errors) = Launch::bare(arguments).run();
    (status.code().unwrap(), output, errors)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn start_on(data: &Path) -> Broker {
    Launch::serve().data_dir(data).start()
}

/// Publishes numbers from 1 on until told to stop; `confirmed` follows.
fn publish(mut wire: Wire, confirmed: &AtomicU64, stop: &AtomicBool) {
    wire.call(&encode::confirm_select(1), (85, 11));
    let mut number = 0_u64;
    while !stop.load(Ordering::Acquire) {
        let first = number + 1;
        let mut batch = Vec::new();
        for _ in 0..20 {
            number += 1;
            let mut body = number.to_be_bytes().to_vec();
            body.resize(600, 0);
            batch.extend(encode::publish(1, ("", "q"), 0, PERSISTENT, &body));
        }
        wire.send(&batch);
        let mut outstanding = (first..=number).collect();
        wire.await_confirms(1, &mut outstanding);
        confirmed.store(number, Ordering::Release);
    }
}

/// Says so when it is dropped, also by a panic.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_backup_under_traffic_has_everything_that_was_confirmed() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let broker = start_on(&data);
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", DURABLE);
    let publisher = Wire::with_channel(broker.amqp());
    let (confirmed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut backups = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| publish(publisher, &confirmed, &stop));
        let _stop = StopAtEnd(&stop);
        let mut consumed = 0;
        for round in 0..3 {
            let before = confirmed.load(Ordering::Acquire);
            eventually("more was confirmed", || {
                confirmed.load(Ordering::Acquire) >= before + 200
            });
            for _ in 0..50 {
                wire.get(1, "q", true).unwrap();
                consumed += 1;
            }
            let had = confirmed.load(Ordering::Acquire);
            let target = home.path().join(format!("backup{round}"));
            let (code, output, errors) =
                leveret(&["backup", "--data-dir", text(&data), text(&target)]);
            assert_eq!(code, 0, "{errors}");
            assert!(output.starts_with("backup in "), "{output}");
            backups.push((target, consumed, had));
        }
    });
    wire.close();
    broker.stop();

    for (backup, consumed, had) in backups {
        let restored = backup.with_extension("restored");
        let (code, _, errors) = leveret(&["restore", text(&backup), text(&restored)]);
        assert_eq!(code, 0, "{errors}");
        let broker = start_on(&restored);
        let mut wire = Wire::with_channel(broker.amqp());
        let messages = wire.drain_queue(1, "q");
        let numbers: Vec<u64> = messages
            .iter()
            .map(|message| Arguments(&message.body).long_long())
            .collect();
        let last = numbers.last().copied().unwrap();
        assert!(last >= had, "{had} were confirmed, {last} is the last");
        assert_eq!(numbers, (consumed + 1..=last).collect::<Vec<_>>());
        assert!(messages.iter().all(|message| message.redelivered));
        wire.close();
        broker.stop();
    }
}

#[test]
fn what_a_backup_cannot_do_is_said() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let backup = |target: &str| leveret(&["backup", "--data-dir", text(&data), target]);
    let target = home.path().join("target");
    let (code, _, errors) = backup(text(&target));
    assert_eq!(code, 1);
    assert!(errors.contains("no broker runs on"), "{errors}");

    let broker = start_on(&data);
    let socket = data.join("leveret.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, errors) = backup(text(home.path()));
    assert_eq!(code, 1);
    assert!(errors.contains("is not an empty directory"), "{errors}");
    let (code, _, errors) = backup(text(&home.path().join("no/such")));
    assert_eq!(code, 1);
    assert!(errors.contains("cannot write to the directory"), "{errors}");

    // Whatever is said at the socket has an answer.
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"nonsense\n{\"command\":\"backup\",\"target\":\"relative\"}\n")
        .unwrap();
    let answers: Vec<String> = BufReader::new(&stream)
        .lines()
        .take(2)
        .map(Result::unwrap)
        .collect();
    assert!(
        answers[0].starts_with(r#"{"error":"not understood"#),
        "{answers:?}"
    );
    assert!(answers[1].contains("not an absolute path"), "{answers:?}");

    // A caller that says nothing does not keep the node.
    let (code, _, errors) = backup(text(&target));
    assert_eq!(code, 0, "{errors}");
    broker.kill();
    assert!(socket.exists());
    let broker = start_on(&data);
    let (code, _, errors) = backup(text(&home.path().join("second")));
    assert_eq!(code, 0, "{errors}");
    broker.stop();
    assert!(!socket.exists());
}

/// A data directory of a stopped broker, with two messages in `q`.
fn stopped() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let broker = start_on(data.path());
    let mut wire = Wire::with_channel(broker.amqp());
    wire.declare_queue("q", DURABLE);
    wire.declare_queue("empty", DURABLE);
    wire.call(&encode::confirm_select(1), (85, 11));
    for body in [&b"what stands in a body"[..], &[0xff, 0xfe]] {
        wire.call(
            &encode::publish(1, ("", "q"), 0, PERSISTENT, body),
            (60, 80),
        );
    }
    let (code, _, errors) = leveret(&["store", "check", text(data.path())]);
    assert_eq!(code, 2);
    assert!(errors.contains("is in use"), "{errors}");
    wire.close();
    broker.stop();
    data
}

#[test]
fn a_sound_store_is_shown() {
    let data = stopped();
    let dir = text(data.path());
    let (code, output, _) = leveret(&["store", "check", dir]);
    assert_eq!(code, 0, "{output}");
    for line in [
        "closed cleanly: yes",
        "queue 'empty' in vhost '/': 0 messages, 0 bytes",
        "sound",
    ] {
        assert!(output.lines().any(|is| is == line), "{line}: {output}");
    }
    assert!(output.contains("queue 'q' in vhost '/': 2 messages, 23 bytes, oldest of 20"));
    let (code, output, _) = leveret(&["store", "check", dir, "--json"]);
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&json["sound"], &json["format"]), (&true.into(), &3.into()));
    assert_eq!(json["total"]["messages"], 2);
    assert_eq!(json["queues"][1]["name"], "q");

    let (code, output, _) = leveret(&["store", "dump", dir, "--bodies"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "queue 'q' in vhost '/'");
    assert!(
        lines[1].contains(r#"exchange "", routing key "q", 21 bytes"#),
        "{output}"
    );
    assert_eq!(lines[2], r#"    properties {"delivery_mode":2}"#);
    assert_eq!(lines[3], r#"    body "what stands in a body""#);
    assert_eq!(lines[6], "    body base64 //4=");
    let only = [
        "store", "dump", dir, "--queue", "q", "--vhost", "/", "--limit", "1", "--json",
    ];
    let (code, output, _) = leveret(&only);
    let json: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &json["body_bytes"]), (0, &21.into()));
    assert_eq!((&json["queue"], &json["body"]), (&"q".into(), &Value::Null));
    let (code, _, errors) = leveret(&["store", "dump", dir, "--queue", "other"]);
    assert_eq!(code, 2);
    assert!(errors.contains("no queue 'other' is stored"), "{errors}");

    // It was left as it was.
    let broker = start_on(data.path());
    assert!(broker.log().contains("\"clean_stop\":true"));
    assert_eq!(
        Wire::with_channel(broker.amqp()).drain_queue(1, "q").len(),
        2
    );
    broker.stop();
}

/// Changes an octet of the first message's body, wherever it stands in this file.
fn damage(path: &Path) -> bool {
    let mut content = std::fs::read(path).unwrap();
    let body = b"what stands in a body";
    let found = content
        .windows(body.len())
        .position(|window| window == body);
    if let Some(at) = found {
        content[at] ^= 1;
        std::fs::write(path, content).unwrap();
    }
    found.is_some()
}

#[test]
fn damage_is_told_and_not_restored() {
    let home = tempfile::tempdir().unwrap();
    let data = stopped();
    let backup = home.path().join("backup");
    {
        let broker = start_on(data.path());
        let arguments = ["backup", "--data-dir", text(data.path()), text(&backup)];
        assert_eq!(leveret(&arguments).0, 0);
        broker.stop();
    }
    // Of the store the backup has left pages; a backup has nothing else.
    assert!(damage(&backup.join("leveret.redb")));
    let (code, output, _) = leveret(&["store", "check", text(&backup)]);
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("the page is damaged: its checksum is wrong (2 messages) in queue 'q'"),
        "{output}"
    );
    assert_eq!(output.lines().last(), Some("DAMAGED"));
    let target = home.path().join("target");
    let (code, _, errors) = leveret(&["restore", text(&backup), text(&target)]);
    assert_eq!(code, 1);
    assert!(errors.contains("was not put in place"), "{errors}");
    assert!(!target.exists());

    let data = stopped();
    let ring = std::fs::read_dir(data.path().join("ring")).unwrap();
    let damaged = ring
        .filter(|entry| damage(&entry.as_ref().unwrap().path()))
        .count();
    assert_eq!(damaged, 1);
    let (code, output, _) = leveret(&["store", "check", text(data.path())]);
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("ring/0001.ring at ") && output.contains("(1 messages) in queue 'q'"),
        "{output}"
    );
    let (code, output, errors) = leveret(&["store", "dump", text(data.path())]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("1 messages are damaged and left out"),
        "{errors}"
    );
    assert!(
        output.contains("2 bytes"),
        "the other one is shown: {output}"
    );
}
