//! Peers that are too slow, or silent: handshakes that never end, heartbeats that never come.

use std::time::Duration;
use std::time::Instant;

use super::Scene;
use crate::broker::PATIENCE;
use crate::wire::Heard;
use crate::wire::Login;
use crate::wire::Wire;
use crate::wire::encode;

/// How far a handshake gets before the peer stalls.
fn stalled_handshakes() -> Vec<Vec<u8>> {
    let start_ok = encode::start_ok(&[], "PLAIN", &Login::default().plain());
    let tune_ok = encode::tune_ok(2047, 131_072, 60);
    let header = encode::PROTOCOL_HEADER.to_vec();
    let logged_in = [header.clone(), start_ok.clone()].concat();
    vec![
        Vec::new(),
        header[..5].to_vec(),
        [header.clone(), start_ok[..20].to_vec()].concat(),
        header,
        [logged_in.clone(), tune_ok[..8].to_vec()].concat(),
        [logged_in.clone(), tune_ok.clone()].concat(),
        // Heartbeats do not make a handshake.
        [logged_in.clone(), encode::frame(encode::HEARTBEAT, 0, &[])].concat(),
        logged_in,
    ]
}

#[test]
fn a_handshake_that_stalls_is_ended() {
    let timeout = Duration::from_millis(800);
    let scene = Scene::with_settings("handshake_timeout = 800");
    let begun = Instant::now();
    let mut wires: Vec<Wire> = stalled_handshakes()
        .iter()
        .map(|octets| {
            let mut wire = Wire::connect(scene.address());
            wire.send(octets);
            wire
        })
        .collect();
    for wire in &mut wires {
        // start and tune come; nothing says why it ends.
        while let Some(frame) = wire.next_frame() {
            assert!([10, 30].contains(&frame.payload[3]), "{frame:?}");
        }
        let took = begun.elapsed();
        assert!(took >= timeout && took < timeout * 5, "{took:?}");
    }
    scene.end();
}

#[test]
fn a_handshake_that_drips_is_ended() {
    let timeout = Duration::from_millis(800);
    let scene = Scene::with_settings("handshake_timeout = 800");
    let mut wire = Wire::connect(scene.address());
    let begun = Instant::now();
    let properties = encode::entry("k", &encode::text_value(&"x".repeat(3000)));
    let start_ok = encode::start_ok(&properties, "PLAIN", &Login::default().plain());
    let mut ended = false;
    for octet in encode::PROTOCOL_HEADER.iter().chain(&start_ok) {
        // One octet at a time, each long before the one before could time out.
        ended =
            wire.try_send(&[*octet]).is_err() || wire.hear(Duration::from_millis(20)) == Heard::End;
        if ended {
            break;
        }
    }
    assert!(ended, "it got through the handshake");
    let took = begun.elapsed();
    assert!(took >= timeout && took < timeout * 5, "{took:?}");
    scene.end();
}

#[test]
fn an_open_connection_may_be_silent_for_ever_without_heartbeats() {
    let scene = Scene::with_settings("handshake_timeout = 300\nheartbeat = 1");
    let mut silent = Wire::open(scene.address());
    assert_eq!(silent.hear(Duration::from_secs(4)), Heard::Silence);
    silent.open_channel(1);
    silent.close();
    scene.end();
}

#[test]
fn a_peer_without_heartbeats_is_dropped_after_two_to_three_intervals() {
    let scene = Scene::start();
    let login = Login {
        heartbeat: 1,
        ..Login::default()
    };
    let mut wire = Wire::log_in(scene.address(), &login);
    let begun = Instant::now();
    let mut heartbeats = 0;
    loop {
        match wire.hear(PATIENCE) {
            Heard::Frame(frame) => {
                // It ends without a word.
                assert_eq!(frame.kind, encode::HEARTBEAT);
                assert_eq!((frame.channel, frame.payload.len()), (0, 0));
                heartbeats += 1;
            }
            Heard::End => break,
            Heard::Silence => panic!("never dropped"),
        }
    }
    let took = begun.elapsed();
    let bounds = Duration::from_millis(1900)..Duration::from_millis(5000);
    assert!(bounds.contains(&took), "{took:?}");
    // One every half interval.
    assert!((2..=6).contains(&heartbeats), "{heartbeats} in {took:?}");
    scene.end();
}

#[test]
fn a_peer_that_sends_anything_lives() {
    let scene = Scene::start();
    let login = Login {
        heartbeat: 1,
        ..Login::default()
    };
    let mut beating = Wire::log_in(scene.address(), &login);
    let mut dripping = Wire::log_in(scene.address(), &login);
    // A frame that takes longer to come than a silent peer would live.
    dripping.open_channel(1);
    let interval = Duration::from_millis(250);
    for octet in encode::queue_declare(1, "q", 0, &[]) {
        beating.send(&encode::frame(encode::HEARTBEAT, 0, &[]));
        dripping.send(&[octet]);
        let until = Instant::now() + interval;
        while Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            assert_ne!(beating.hear(rest), Heard::End);
        }
    }
    dripping.expect(1, (50, 11));
    beating.close();
    dripping.close();
    scene.end();
}
