//! Length limits (specification §6.5): what a full queue drops or refuses.

use super::*;
use crate::queue::Dead;
use crate::queue::DeadLetter;
use crate::queue::Limits;
use crate::queue::Overflow;
use crate::queue::Reason;

fn limited(limits: Limits, dead_letter: bool) -> Queue {
    let dead_letter = dead_letter.then(|| DeadLetter {
        exchange: ExchangeName::known("dlx"),
        routing_key: None,
    });
    queue_with(QueueOptions {
        durable: true,
        arguments: QueueArguments {
            limits,
            dead_letter,
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    })
}

fn length(max: u64, overflow: Overflow) -> Limits {
    Limits {
        length: Some(max),
        body_bytes: None,
        overflow,
    }
}

fn body_bytes(max: u64, overflow: Overflow) -> Limits {
    Limits {
        length: None,
        body_bytes: Some(max),
        overflow,
    }
}

/// Publishes one run; which of its messages were refused.
fn publish(queue: &mut Queue, bodies: &[&str]) -> Vec<usize> {
    let refused = queue.enqueue(texts(bodies), START, &mut Vec::new());
    assert!(
        refused
            .windows(2)
            .all(|ranges| ranges[0].end < ranges[1].start)
    );
    refused.into_iter().flatten().collect()
}

fn drain(queue: &mut Queue) -> Vec<String> {
    let got = std::iter::from_fn(|| queue.get(true, START, &mut Vec::new()));
    got.flat_map(|range| run_texts(&range.run)).collect()
}

fn dead(queue: &mut Queue) -> Vec<String> {
    let dead = queue.take_dead();
    assert!(dead.iter().all(|dead| dead.reason == Reason::MaxLength));
    let texts = |dead: &Dead| run_texts(&dead.run);
    dead.iter().flat_map(texts).collect()
}

/// What is left and what is dead after these runs.
#[track_caller]
fn check_dropped(limits: Limits, runs: &[&[&str]], left: &[&str], dropped: &[&str]) {
    let mut queue = limited(limits, true);
    for bodies in runs {
        assert_eq!(publish(&mut queue, bodies), [0; 0]);
    }
    assert_eq!(dead(&mut queue), dropped);
    assert_eq!(drain(&mut queue), left);
}

#[test]
fn a_full_queue_drops_its_oldest_messages() {
    let two = length(2, Overflow::DropHead);
    check_dropped(two, &[&["a", "b"]], &["a", "b"], &[]);
    check_dropped(two, &[&["a"], &["b"], &["c"]], &["b", "c"], &["a"]);
    check_dropped(two, &[&["a", "b", "c", "d"]], &["c", "d"], &["a", "b"]);
    check_dropped(length(0, Overflow::DropHead), &[&["a"]], &[], &["a"]);
    let four = body_bytes(4, Overflow::DropHead);
    check_dropped(four, &[&["aa", "bb"]], &["aa", "bb"], &[]);
    check_dropped(four, &[&["aa", "bb"], &["c"]], &["bb", "c"], &["aa"]);
    check_dropped(four, &[&["a", "b"], &["large"]], &[], &["a", "b", "large"]);
    let both = Limits {
        length: Some(2),
        ..four
    };
    check_dropped(both, &[&["a", "b", "c"]], &["b", "c"], &["a"]);
    check_dropped(both, &[&["a", "bbbb"]], &["bbbb"], &["a"]);
}

#[test]
fn messages_that_expire_at_once_and_are_too_many_end_as_if_they_came_alone() {
    let ends = |limits: Limits| {
        let mut queue = limited(limits, true);
        let zero = |body| Sample::text(body).expiring(0);
        publish(&mut queue, &["aa"]);
        let samples = [zero("b"), zero("c"), zero("d")];
        queue.enqueue(run_of(&samples), START, &mut Vec::new());
        let dead = queue.take_dead();
        let texts = |dead: &Dead| {
            let reason = dead.reason.name();
            run_texts(&dead.run)
                .into_iter()
                .map(move |text| (text, reason))
        };
        dead.iter().flat_map(texts).collect::<Vec<_>>()
    };
    let named = |ends: &[(&str, &'static str)]| {
        let named = ends.iter().map(|(text, why)| ((*text).to_owned(), *why));
        named.collect::<Vec<_>>()
    };
    let (expired, maxlen) = ("expired", "maxlen");
    let two = [
        ("aa", maxlen),
        ("b", expired),
        ("c", expired),
        ("d", expired),
    ];
    assert_eq!(ends(length(2, Overflow::DropHead)), named(&two));
    assert_eq!(ends(body_bytes(3, Overflow::DropHead)), named(&two));
    let none = ["aa", "b", "c", "d"].map(|text| (text, maxlen));
    assert_eq!(ends(length(0, Overflow::DropHead)), named(&none));
}

/// What is left and which messages of the run were refused, when the queue held `before`.
#[track_caller]
fn check_refused(limits: Limits, before: &[&str], run: &[&str], left: &[&str], refused: &[usize]) {
    let mut queue = limited(limits, true);
    assert_eq!(publish(&mut queue, before), [0; 0]);
    assert_eq!(publish(&mut queue, run), refused);
    assert!(!queue.has_dead(), "refused, not dropped");
    assert_eq!(drain(&mut queue), left);
}

#[test]
fn a_full_queue_refuses_new_messages() {
    let two = length(2, Overflow::RejectPublish);
    check_refused(two, &["a"], &["b"], &["a", "b"], &[]);
    check_refused(two, &["a"], &["b", "c", "d"], &["a", "b"], &[1, 2]);
    check_refused(two, &["a", "b"], &["c"], &["a", "b"], &[0]);
    check_refused(length(0, Overflow::RejectPublish), &[], &["a"], &[], &[0]);
    let four = body_bytes(4, Overflow::RejectPublish);
    check_refused(four, &["aa"], &["bb", "c"], &["aa", "bb"], &[1]);
    let run = ["large", "b", "ccc", "dd", "e", ""];
    check_refused(four, &["a"], &run, &["a", "b", "dd", ""], &[0, 2, 4]);
}

#[test]
fn what_was_refused_is_not_stored() {
    let mut queue = limited(length(1, Overflow::RejectPublish), false);
    let mut records = Vec::new();
    let samples = ["a", "b"].map(|body| Sample::text(body).persistent());
    queue.enqueue(run_of(&samples), START, &mut records);
    let [Record::Put { run, targets, .. }] = &records[..] else {
        panic!("one message is stored: {records:?}");
    };
    assert_eq!(run_texts(run), ["a"]);
    assert_eq!(targets, &[(QUEUE, Position(1))]);
}

#[test]
fn refused_messages_are_dead_lettered_when_asked_for() {
    let limits = length(1, Overflow::RejectPublishDeadLetter);
    let mut queue = limited(limits, true);
    assert_eq!(publish(&mut queue, &["a", "b", "c"]), [1, 2]);
    let mut records = Vec::new();
    let dead = queue.take_dead();
    queue.settle_dead(&dead, &mut records);
    assert!(records.is_empty(), "they never were in the store");
    let texts: Vec<_> = dead.iter().flat_map(|dead| run_texts(&dead.run)).collect();
    assert_eq!(texts, ["b", "c"]);

    let mut queue = limited(limits, false);
    assert_eq!(publish(&mut queue, &["a", "b"]), [1]);
    assert!(!queue.has_dead());
}

#[test]
fn what_consumers_take_makes_room_within_a_run() {
    for overflow in [Overflow::DropHead, Overflow::RejectPublish] {
        let mut queue = limited(length(1, overflow), true);
        let receiver = Receiver::new();
        let consumer = Consumer {
            prefetch: 2,
            ..receiver.consumer(1)
        };
        let added = queue.consume(consumer, START, &mut Vec::new());
        added.expect("no exclusive consumer");
        let refused = publish(&mut queue, &["a", "b", "c", "d"]);
        assert_eq!(receiver.bodies(), wanted(&[(1, "a"), (1, "b")]));
        if overflow == Overflow::DropHead {
            assert_eq!((refused, drain(&mut queue)), (vec![], vec!["d".to_owned()]));
        } else {
            assert_eq!(
                (refused, drain(&mut queue)),
                (vec![3], vec!["c".to_owned()])
            );
        }
    }
}

#[test]
fn expired_messages_take_no_room() {
    let mut queue = limited(length(1, Overflow::RejectPublish), false);
    let old = [Sample::text("old").expiring(5)];
    queue.enqueue(run_of(&old), START, &mut Vec::new());
    let refused = queue.enqueue(texts(&["new"]), START + 5, &mut Vec::new());
    assert!(refused.is_empty());
    assert_eq!(drain(&mut queue), ["new"]);
}

#[test]
fn what_exceeds_the_limit_by_a_requeue_is_not_delivered_again() {
    let mut queue = limited(length(1, Overflow::DropHead), true);
    publish(&mut queue, &["a"]);
    let first = queue.get(false, START, &mut Vec::new()).expect("a message");
    publish(&mut queue, &["b"]);
    let second = queue.get(false, START, &mut Vec::new()).expect("a message");
    let receiver = Receiver::new();
    queue
        .consume(receiver.consumer(1), START, &mut Vec::new())
        .expect("alone");
    queue.requeue(vec![first, second], START, &mut Vec::new());
    assert_eq!(dead(&mut queue), ["a"]);
    assert_eq!(receiver.bodies(), [(1, "b".to_owned())]);
}

#[test]
fn requeued_messages_count_again() {
    let mut queue = limited(length(1, Overflow::DropHead), true);
    publish(&mut queue, &["a"]);
    let held = queue.get(false, START, &mut Vec::new()).expect("a message");
    publish(&mut queue, &["b"]);
    queue.requeue(vec![held], START, &mut Vec::new());
    assert_eq!(dead(&mut queue), ["a"]);
    assert_eq!(drain(&mut queue), ["b"]);

    let mut queue = limited(length(1, Overflow::RejectPublish), true);
    publish(&mut queue, &["a"]);
    let held = queue.get(false, START, &mut Vec::new()).expect("a message");
    publish(&mut queue, &["b"]);
    queue.requeue(vec![held], START, &mut Vec::new());
    assert!(queue.has_room(0, 0), "for who brings nothing");
    assert!(!queue.has_room(1, 1));
    assert_eq!(drain(&mut queue), ["a", "b"], "who refuses drops nothing");
}

#[test]
fn under_a_hold_nothing_is_dropped() {
    let mut queue = limited(length(1, Overflow::DropHead), true);
    let receiver = Receiver::new();
    let consumer = Consumer {
        prefetch: 1,
        ..receiver.consumer(1)
    };
    let added = queue.consume(consumer, START, &mut Vec::new());
    added.expect("no exclusive consumer");
    queue.hold();
    publish(&mut queue, &["a", "b", "c"]);
    assert_eq!(queue.counts().ready, 3);
    queue.release(START, &mut Vec::new());
    assert_eq!(receiver.bodies(), wanted(&[(1, "a")]));
    assert_eq!(dead(&mut queue), ["b"]);
    assert_eq!(drain(&mut queue), ["c"]);
}

#[test]
fn a_policy_makes_a_queue_look_at_expirations_that_came_before_it() {
    let limits = length(2, Overflow::DropHead);
    let mut queue = limited(limits, true);
    publish(&mut queue, &["a"]);
    let with = |limits, queue: &Queue| QueueArguments {
        limits,
        ..queue.options.arguments.clone()
    };
    let unlimited = with(Limits::default(), &queue);
    let again = with(limits, &queue);
    queue.reconfigure(unlimited, START, &mut Vec::new());
    let expiring = [Sample::text("b").expiring(5)];
    queue.enqueue(run_of(&expiring), START, &mut Vec::new());
    queue.reconfigure(again, START, &mut Vec::new());
    queue.enqueue(texts(&["c", "d"]), START + 5, &mut Vec::new());
    let dead = queue.take_dead();
    let reasons: Vec<_> = dead.iter().map(|dead| dead.reason).collect();
    assert_eq!(reasons, [Reason::MaxLength, Reason::Expired]);
}
