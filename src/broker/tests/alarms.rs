//! Who hears of alarms, and when.

use super::*;
use crate::broker::AlarmOptions;
use crate::broker::Watermark;
use crate::metrics::machine::Levels;

const FINE: Levels = Levels {
    memory_used: Some(1 << 20),
    memory_total: Some(1 << 30),
    disk_free: Some(1 << 30),
};

const MEMORY: Levels = Levels {
    memory_used: Some(1 << 30),
    ..FINE
};

const BOTH: Levels = Levels {
    disk_free: Some(0),
    ..MEMORY
};

/// What a connection hears: reasons, and `-` for the end.
fn heard(client: &mut Client) -> Vec<String> {
    let parcels = client.parcels().into_iter();
    let words = parcels.map(|parcel| match parcel {
        Parcel::Blocked { reason } => reason.into_owned(),
        Parcel::Unblocked => "-".to_owned(),
        Parcel::Delivery(_) | Parcel::ConsumerCancelled { .. } | Parcel::Close { .. } => {
            panic!("something else")
        }
    });
    words.collect()
}

#[test]
fn connections_hear_of_each_change_once() {
    let node = Node::new();
    let mut client = node.client();
    node.weigh(FINE, NOW);
    assert!(heard(&mut client).is_empty());
    node.weigh(MEMORY, NOW);
    node.weigh(MEMORY, NOW);
    assert_eq!(heard(&mut client), ["low on memory"]);
    assert!(node.alarms().memory && !node.alarms().disk);
    node.weigh(BOTH, NOW);
    assert_eq!(heard(&mut client), ["low on disk & memory"]);
    node.weigh(FINE, NOW);
    node.weigh(FINE, NOW);
    assert_eq!(heard(&mut client), ["-"]);
    assert!(!node.alarms().raised());
}

#[test]
fn whoever_comes_during_an_alarm_hears_of_it() {
    let node = Node::new();
    node.weigh(MEMORY, NOW);
    let mut client = node.client();
    assert_eq!(heard(&mut client), ["low on memory"]);
    node.weigh(FINE, NOW);
    assert_eq!(heard(&mut client), ["-"]);
    assert!(heard(&mut node.client()).is_empty());
}

#[test]
fn a_watermark_that_is_changed_counts_at_once() {
    let node = Node::new();
    let mut client = node.client();
    node.weigh(FINE, NOW);
    node.set_watermarks(|options| options.memory = Watermark::Absolute(0), NOW);
    assert_eq!(heard(&mut client), ["low on memory"]);
    node.set_watermarks(|options| options.memory = Watermark::Relative(0.4), NOW);
    assert_eq!(heard(&mut client), ["-"]);
}

#[test]
fn an_alarm_that_is_held_is_up_whatever_the_machine_says() {
    let node = Node::new();
    let mut client = node.client();
    node.weigh(FINE, NOW);
    let hold = |up| move |options: &mut AlarmOptions| options.disk_held = up;
    node.set_watermarks(hold(true), NOW);
    assert_eq!(heard(&mut client), ["low on disk"]);
    node.weigh(FINE, NOW);
    assert!(node.alarms().disk);
    node.set_watermarks(hold(false), NOW);
    assert_eq!(heard(&mut client), ["-"]);
}
