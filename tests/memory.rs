//! What a connection, a channel, a queue, a consumer and a waiting message take in memory, counted by the allocator: a test
//! process of its own, for everything else that allocates would count too. `docs/performance.md` has the figures.

#![expect(clippy::expect_used, reason = "a test that cannot be set up fails")]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

#[path = "../benches/harness/mod.rs"]
#[expect(dead_code, reason = "it counts octets; instructions.rs needs the rest")]
mod harness;

use harness::CHANNEL;
use harness::Peer;
use harness::broker;
use harness::publishes;
use leveret::model::ChannelId;

struct Counting;

static HELD: AtomicI64 = AtomicI64::new(0);

#[expect(unsafe_code, reason = "an allocator can only be written so")]
// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const COUNT: i64 = 500;

/// Octets that each of [`COUNT`] things takes.
#[track_caller]
fn each(what: &str, most: i64, make: impl FnOnce()) {
    let before = HELD.load(Ordering::Relaxed);
    make();
    let each = (HELD.load(Ordering::Relaxed) - before) / COUNT;
    println!("{what}: {each} octets");
    assert!(each <= most, "{what}: {each} octets, more than {most}");
    assert!(each > 0, "{what}: nothing was made");
}

#[test]
fn things_take_no_more_memory_than_they_did() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = broker(dir.path());
    let mut warm = Peer::open(&broker);
    warm.declare("warm", true);
    let mut peers = Vec::with_capacity(COUNT as usize);
    each("connection with a channel", 4500, || {
        peers.extend((0..COUNT).map(|_| Peer::open(&broker)));
    });
    each("channel", 1700, || {
        for id in 2..=COUNT + 1 {
            warm.open_channel(ChannelId(id as u16));
        }
    });
    each("queue, not durable", 1400, || {
        for index in 0..COUNT {
            warm.declare(&format!("transient-{index}"), false);
        }
    });
    each("queue, durable", 1700, || {
        for index in 0..COUNT {
            warm.declare(&format!("durable-{index}"), true);
        }
    });
    each("consumer", 1900, || {
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.consume(&format!("transient-{index}"), 10, false);
        }
    });
    // One write of a client; the body is 100 octets.
    let octets = publishes("", "warm", &[0, 0], 100, COUNT as usize);
    each("waiting message of 100 octets", 140, || {
        warm.write(&octets);
        warm.turn();
    });
    assert_eq!(CHANNEL, ChannelId(1));
    drop(peers);
}
