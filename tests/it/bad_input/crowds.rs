//! Too many: channels on one connection, connections that never get anywhere, bodies announced and not sent.

use std::fs;
use std::io::Write;

use super::Scene;
use crate::broker::PATIENCE;
use crate::broker::eventually;
use crate::wire::Heard;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::encode;

#[test]
fn a_channel_too_many_is_refused() {
    let scene = Scene::start();
    let login = Login {
        channel_max: 10,
        ..Login::default()
    };
    let mut wire = Wire::log_in(scene.address(), &login);
    // Any ten numbers.
    for channel in (1..=10).map(|index| index * 6553) {
        wire.open_channel(channel);
    }
    // One that was closed makes room for another.
    wire.call(&encode::channel_close(6553), (20, 41));
    wire.open_channel(1);
    wire.send(&encode::channel_open(2));
    let close = wire.expect_close(0);
    let text =
        "NOT_ALLOWED - number of channels opened (10) has reached the negotiated channel_max (10)";
    assert_eq!((close.code, &*close.text), (530, text));
    wire.send(&encode::close_ok());
    wire.expect_end(PATIENCE);
    scene.end();
}

#[test]
fn every_channel_there_is() {
    /// What one idle channel may take.
    const CHANNEL_BYTES_MAX: u64 = 2500;
    const CHANNELS: u16 = u16::MAX;

    let scene = Scene::with_settings("channel_max = 0");
    let login = Login {
        channel_max: 0,
        ..Login::default()
    };
    let before = scene.broker.rss_bytes();
    let mut wire = Wire::log_in(scene.address(), &login);
    let mut writer = wire.socket().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let opens: Vec<u8> = (1..=CHANNELS).flat_map(encode::channel_open).collect();
            writer.write_all(&opens).unwrap();
        });
        for channel in 1..=CHANNELS {
            wire.expect(channel, (20, 11));
        }
    });
    let taken = scene.broker.rss_bytes().saturating_sub(before);
    println!("{CHANNELS} channels take {taken} bytes");
    assert!(taken < u64::from(CHANNELS) * CHANNEL_BYTES_MAX, "{taken}");
    wire.call(&encode::queue_declare(CHANNELS, "q", 0, &[]), (50, 11));
    wire.send(&encode::channel_open(1));
    assert_eq!(
        wire.expect_close(0).text,
        "CHANNEL_ERROR - second 'channel.open' seen"
    );
    drop(wire);
    scene.end();
}

/// How many sockets this process, and a broker it starts, may have open at once, with some to spare.
fn sockets_max() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line
        .and_then(|line| line.split_whitespace().nth(3))
        .unwrap();
    soft.parse::<usize>()
        .map_or(usize::MAX, |soft| soft.saturating_sub(300))
}

#[test]
fn connections_that_get_nowhere_are_cheap_and_end() {
    /// What one of them may take in the broker; the kernel's buffers are not in it.
    const CONNECTION_BYTES_MAX: u64 = 16 * 1024;

    let count = sockets_max().clamp(50, 3000);
    // Time enough to make them all, on a slow machine too.
    let scene = Scene::with_settings("handshake_timeout = 15000");
    let files = scene.broker.open_files();
    let before = scene.broker.rss_bytes();
    let mut wires: Vec<Wire> = (0..count).map(|_| Wire::connect(scene.address())).collect();
    for (index, wire) in wires.iter_mut().enumerate() {
        match index % 3 {
            0 => {}
            1 => wire.send(&encode::PROTOCOL_HEADER[..7]),
            // Ends with the beginning of a frame.
            _ => wire.send(&[&encode::PROTOCOL_HEADER[..], &[1, 0, 0, 0, 0, 9, 9]].concat()),
        }
    }
    eventually("all were accepted", || {
        scene.broker.open_files() >= files + count
    });
    for wire in wires.iter_mut().skip(2).step_by(3) {
        wire.expect(0, (10, 10));
    }
    let taken = scene.broker.rss_bytes().saturating_sub(before);
    println!("{count} connections take {taken} bytes");
    assert!(taken < count as u64 * CONNECTION_BYTES_MAX, "{taken}");
    scene.bystander.is_served();

    for wire in &mut wires {
        assert_eq!(wire.hear(PATIENCE), Heard::End);
    }
    drop(wires);
    eventually("their sockets are closed", || {
        scene.broker.open_files() <= files
    });
    scene.end();
}

#[test]
fn a_body_that_was_announced_takes_no_memory() {
    let scene = Scene::start();
    let mut wires: Vec<Wire> = (0..100)
        .map(|_| Wire::with_channel(scene.address()))
        .collect();
    let before = scene.broker.rss_bytes();
    let sent = 16 * 1024;
    for wire in &mut wires {
        // The largest that is allowed, of which a little comes.
        wire.send(&encode::publish_method(1, "", "q", 0));
        wire.send(&encode::content_header(
            1,
            60,
            134_217_728,
            encode::TRANSIENT,
        ));
        wire.send(&encode::frame(encode::BODY, 1, &vec![0; sent]));
        wire.open_channel(2);
    }
    let taken = scene.broker.rss_bytes().saturating_sub(before);
    println!("100 announced bodies take {taken} bytes");
    assert!(taken < 16 * 1024 * 1024, "{taken}");
    drop(wires);
    scene.end();
}

#[test]
fn a_frame_that_was_announced_takes_no_memory() {
    let scene = Scene::with_settings("frame_max = 536870912");
    let login = Login {
        frame_max: 536_870_912,
        ..Login::default()
    };
    let mut wires: Vec<Wire> = (0..100)
        .map(|_| {
            let mut wire = Wire::log_in(scene.address(), &login);
            wire.open_channel(1);
            wire
        })
        .collect();
    let before = scene.broker.rss_bytes();
    for wire in &mut wires {
        let mut head = vec![encode::BODY, 0, 1];
        head.extend_from_slice(&500_000_000_u32.to_be_bytes());
        wire.send(&head);
        wire.send(&[0; 16 * 1024]);
    }
    scene.bystander.is_served();
    let taken = scene.broker.rss_bytes().saturating_sub(before);
    println!("100 announced frames take {taken} bytes");
    assert!(taken < 16 * 1024 * 1024, "{taken}");
    drop(wires);
    scene.end();
}
