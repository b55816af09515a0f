//! Quorum queues on one node (specification §6.8): they store everything, count deliveries and serve what came back first.

use super::*;
use crate::model::Release;
use crate::queue::QueueType;
use crate::queue::Reason;

fn quorum(delivery_limit: Option<i64>, expires: Option<u64>) -> Queue {
    queue_with(QueueOptions {
        durable: true,
        arguments: QueueArguments {
            queue_type: QueueType::Quorum,
            delivery_limit,
            expires,
            dead_letter: Some(crate::queue::DeadLetter {
                exchange: ExchangeName::known("dlx"),
                routing_key: None,
            }),
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    })
}

fn publish(queue: &mut Queue, bodies: &[&str]) {
    queue.enqueue(texts(bodies), START, &mut Vec::new());
}

fn take(queue: &mut Queue) -> Option<crate::model::Delivered> {
    queue.get(false, START, &mut Vec::new())
}

/// Body, redelivered, returns.
fn drain(queue: &mut Queue) -> Vec<(String, bool, u32)> {
    let got = std::iter::from_fn(|| queue.get(true, START, &mut Vec::new()));
    got.map(|range| {
        (
            run_texts(&range.run).remove(0),
            range.redelivered,
            range.returns,
        )
    })
    .collect()
}

fn check_drained(queue: &mut Queue, expected: &[(&str, bool, u32)]) {
    let expected = expected
        .iter()
        .map(|(body, redelivered, returns)| ((*body).to_owned(), *redelivered, *returns));
    assert_eq!(drain(queue), expected.collect::<Vec<_>>());
}

#[test]
fn a_consumer_without_prefetch_holds_two_thousand() {
    let mut queue = quorum(None, None);
    publish(&mut queue, &["m"; 2002]);
    let receiver = Receiver::new();
    queue
        .consume(receiver.consumer(1), START, &mut Vec::new())
        .expect("a consumer");
    assert_eq!(queue.counts().ready, 2);
    let mut held = receiver.deliveries().remove(0).range;
    let one = held.take_front(1);
    queue.settle(&[one], START, &mut Vec::new());
    assert_eq!(queue.counts().ready, 1);
}

#[test]
fn transient_messages_are_stored_too() {
    let mut queue = quorum(None, None);
    let mut records = Vec::new();
    queue.enqueue(texts(&["a", "b"]), START, &mut records);
    assert!(matches!(&records[..], [Record::Put { run, .. }] if run.len() == 2));
    records.clear();
    queue.get(true, START, &mut records);
    assert!(matches!(records[..], [Record::Settle { count: 1, .. }]));
}

#[test]
fn with_a_limit_what_came_back_is_served_first_in_the_order_in_which_it_came() {
    let mut queue = quorum(Some(5), None);
    publish(&mut queue, &["a", "b", "c", "d", "e"]);
    let [a, b, c] = [0; 3].map(|_| take(&mut queue).expect("a message"));
    for range in [c, a] {
        queue.requeue(vec![range], START, &mut Vec::new());
    }
    queue.take_back(vec![b], START, &mut Vec::new());
    let again = ["c", "a", "b"].map(|body| (body, true, 1));
    let fresh = ["d", "e"].map(|body| (body, false, 0));
    check_drained(&mut queue, &[&again[..], &fresh[..]].concat());
}

/// RabbitMQ 3.13 appends them to its log anew.
#[test]
fn without_a_limit_what_a_client_returns_goes_to_the_end_and_what_it_lost_to_the_front() {
    let mut queue = quorum(None, None);
    publish(&mut queue, &["a", "b", "c"]);
    let [a, b] = [0; 2].map(|_| take(&mut queue).expect("a message"));
    queue.requeue(vec![a], START, &mut Vec::new());
    queue.take_back(vec![b], START, &mut Vec::new());
    check_drained(
        &mut queue,
        &[("b", true, 1), ("c", false, 0), ("a", true, 1)],
    );
}

#[test]
fn a_message_that_comes_back_too_often_dies() {
    let mut queue = quorum(Some(1), None);
    publish(&mut queue, &["a"]);
    for _ in 0..2 {
        let range = take(&mut queue).expect("a message");
        queue.requeue(vec![range], START, &mut Vec::new());
    }
    assert!(take(&mut queue).is_none());
    let dead = queue.take_dead();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, Reason::DeliveryLimit);
}

#[test]
fn classic_queues_count_only_against_a_limit() {
    let mut queue = transient_queue();
    enqueue(&mut queue, &["a"], START);
    let range = take(&mut queue).expect("a message");
    transient(|records| queue.requeue(vec![range], START, records));
    assert_eq!(take(&mut queue).expect("a message").returns, 0);

    let mut queue = queue_with(QueueOptions {
        arguments: QueueArguments {
            delivery_limit: Some(0),
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    });
    enqueue(&mut queue, &["a"], START);
    let range = take(&mut queue).expect("a message");
    transient(|records| queue.requeue(vec![range], START, records));
    assert!(
        take(&mut queue).is_none(),
        "and there is no exchange for it"
    );
}

#[test]
fn the_profile_decides_where_the_arguments_do_not() {
    let options = |delivery_limit| QueueOptions {
        durable: true,
        arguments: QueueArguments {
            queue_type: QueueType::Quorum,
            delivery_limit,
            ..QueueArguments::default()
        },
        delivery_limit_default: Some(0),
        ..QueueOptions::default()
    };
    for (limit, survives) in [(None, false), (Some(-1), true), (Some(1), true)] {
        let mut queue = queue_with(options(limit));
        publish(&mut queue, &["a"]);
        let range = take(&mut queue).expect("a message");
        queue.requeue(vec![range], START, &mut Vec::new());
        assert_eq!(take(&mut queue).is_some(), survives, "{limit:?}");
    }
}

fn of_release(release: Release) -> Queue {
    queue_with(QueueOptions {
        durable: true,
        arguments: QueueArguments {
            queue_type: QueueType::Quorum,
            ..QueueArguments::default()
        },
        release,
        ..QueueOptions::default()
    })
}

fn publish_prioritised(queue: &mut Queue, samples: &[(&str, u8)]) {
    let samples = samples
        .iter()
        .map(|(body, priority)| Sample::text(body).of_priority(*priority));
    let run = run_of(&samples.collect::<Vec<_>>());
    queue.enqueue(run, START, &mut Vec::new());
}

const LEVELS: [(&str, u8); 9] = [
    ("a", 0),
    ("b", 4),
    ("c", 1),
    ("d", 3),
    ("U", 5),
    ("V", 9),
    ("W", 255),
    ("X", 5),
    ("Y", 6),
];

#[test]
fn in_4_two_urgent_messages_go_before_each_other_one() {
    for (release, expected) in [(Release::V3, "abcdUVWXY"), (Release::V4, "UVaWXbYcd")] {
        let mut queue = of_release(release);
        publish_prioritised(&mut queue, &LEVELS);
        let bodies: String = drain(&mut queue)
            .into_iter()
            .map(|(body, ..)| body)
            .collect();
        assert_eq!(bodies, expected);
    }
}

/// However many are wanted at once, and whoever holds them back.
#[test]
fn in_4_consumers_get_the_same_turns_and_their_credit_is_exact() {
    let mut queue = of_release(Release::V4);
    publish_prioritised(&mut queue, &LEVELS);
    let receiver = Receiver::new();
    let consumer = Consumer {
        prefetch: 4,
        ..receiver.consumer(1)
    };
    assert_eq!(queue.consume(consumer, START, &mut Vec::new()), Ok(()));
    let deliveries = receiver.deliveries();
    assert_eq!(
        bodies(&deliveries),
        wanted(&[(1, "U"), (1, "V"), (1, "a"), (1, "W")])
    );
    let ranges: Vec<_> = deliveries
        .into_iter()
        .map(|delivery| delivery.range)
        .collect();
    queue.settle(&ranges, START, &mut Vec::new());
    assert_eq!(
        receiver.bodies(),
        wanted(&[(1, "X"), (1, "b"), (1, "Y"), (1, "c")])
    );
}

#[test]
fn in_4_an_urgent_message_waits_for_no_turn_of_what_came_after_it() {
    let mut queue = of_release(Release::V4);
    publish_prioritised(&mut queue, &[("U", 5), ("V", 5), ("W", 5), ("a", 0)]);
    let bodies: String = drain(&mut queue)
        .into_iter()
        .map(|(body, ..)| body)
        .collect();
    assert_eq!(bodies, "UVWa");
}

#[test]
fn in_4_what_came_back_goes_before_all_levels() {
    let mut queue = of_release(Release::V4);
    publish_prioritised(&mut queue, &[("a", 0), ("U", 5), ("b", 0)]);
    let [urgent, other] = [0; 2].map(|_| take(&mut queue).expect("a message"));
    queue.take_back(vec![other, urgent], START, &mut Vec::new());
    let bodies: String = drain(&mut queue)
        .into_iter()
        .map(|(body, ..)| body)
        .collect();
    assert_eq!(bodies, "aUb");
}

/// RabbitMQ 4.0 appends them to its log anew, and that knows no levels.
#[test]
fn in_4_without_a_limit_what_a_client_returns_is_no_longer_urgent() {
    let mut queue = of_release(Release::V4);
    publish_prioritised(&mut queue, &[("U", 5), ("V", 5), ("a", 0)]);
    let urgent = take(&mut queue).expect("a message");
    queue.requeue(vec![urgent], START, &mut Vec::new());
    publish_prioritised(&mut queue, &[("W", 5), ("X", 5), ("Y", 5)]);
    let bodies: String = drain(&mut queue)
        .into_iter()
        .map(|(body, ..)| body)
        .collect();
    assert_eq!(bodies, "VaWXUY", "and came before W");
}

#[test]
fn each_message_that_comes_is_judged_by_what_was_there_then() {
    let mut queue = quorum(None, None);
    let limited = |queue: &Queue| QueueArguments {
        limits: crate::queue::Limits {
            length: Some(2),
            ..Default::default()
        },
        ..queue.options.arguments.clone()
    };
    let arguments = limited(&queue);
    queue.reconfigure(arguments, START, &mut Vec::new());
    publish(&mut queue, &["a"]);
    let samples = ["b", "c", "d"].map(|body| Sample::text(body).expiring(0));
    queue.enqueue(run_of(&samples), START, &mut Vec::new());
    let dead = queue.take_dead();
    let reasons: Vec<_> = dead
        .iter()
        .map(|dead| (dead.reason, dead.run.len()))
        .collect();
    // The second of them is one too many for the first, and finds that expired.
    let expected = [
        (Reason::MaxLength, 1),
        (Reason::Expired, 1),
        (Reason::Expired, 1),
        (Reason::Expired, 1),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn exclusive_consumers_are_consumers_like_others() {
    let mut queue = quorum(None, None);
    let receiver = Receiver::new();
    for id in 1..=2 {
        let exclusive = Consumer {
            exclusive: true,
            ..receiver.consumer(id)
        };
        assert_eq!(queue.consume(exclusive, START, &mut Vec::new()), Ok(()));
    }
}

#[test]
fn declaring_it_again_is_no_use_of_it() {
    let mut queue = quorum(None, Some(100));
    queue.declared(START + 50);
    assert_eq!(queue.next_deadline(), Some(START + 100));
    queue.get(true, START + 50, &mut Vec::new());
    assert_eq!(queue.next_deadline(), Some(START + 150));
}
