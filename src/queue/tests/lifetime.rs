//! When a queue should go, who may consume, and what is left of it: auto-delete, `exclusive`, `x-expires`, purge, delete.

use super::*;
use crate::model::AmqpError;
use crate::model::ReplyCode;
use crate::queue::Counts;
use crate::queue::Ended;
use crate::queue::InExclusiveUse;

fn auto_delete_queue() -> Queue {
    queue_with(QueueOptions {
        auto_delete: true,
        ..QueueOptions::default()
    })
}

fn durable_queue() -> Queue {
    queue_with(QueueOptions {
        durable: true,
        ..QueueOptions::default()
    })
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let mut queue = auto_delete_queue();
    let receiver = Receiver::new();
    consume(&mut queue, receiver.consumer(1));
    consume(&mut queue, receiver.consumer(2));
    assert_eq!(queue.cancel(ConsumerId(1), START, &mut Vec::new()), None);
    assert_eq!(
        queue.cancel(ConsumerId(1), START, &mut Vec::new()),
        None,
        "gone already"
    );
    assert_eq!(
        queue.cancel(ConsumerId(2), START, &mut Vec::new()),
        Some(Ended::Unused)
    );
}

#[test]
fn an_auto_delete_queue_without_any_consumer_yet_stays() {
    let mut queue = auto_delete_queue();
    enqueue(&mut queue, &["a"], START);
    assert_eq!(queue.cancel(ConsumerId(1), START, &mut Vec::new()), None);
    assert!(
        transient(|records| queue.get(true, START, records)).is_some(),
        "not a consumer"
    );
    assert_eq!(
        transient(|records| queue.tick(START + 1_000_000, records)),
        None
    );
}

#[test]
fn other_queues_stay_without_consumers() {
    let mut queue = transient_queue();
    consume(&mut queue, Receiver::new().consumer(1));
    assert_eq!(queue.cancel(ConsumerId(1), START, &mut Vec::new()), None);
}

#[test]
fn an_exclusive_consumer_is_alone() {
    let receiver = Receiver::new();
    let exclusive = |id| Consumer {
        exclusive: true,
        ..receiver.consumer(id)
    };
    let mut queue = transient_queue();
    let try_consume =
        |queue: &mut Queue, consumer| transient(|records| queue.consume(consumer, START, records));

    assert_eq!(try_consume(&mut queue, exclusive(1)), Ok(()));
    assert_eq!(
        try_consume(&mut queue, receiver.consumer(2)),
        Err(InExclusiveUse)
    );
    assert_eq!(try_consume(&mut queue, exclusive(3)), Err(InExclusiveUse));
    queue.cancel(ConsumerId(1), START, &mut Vec::new());
    assert_eq!(try_consume(&mut queue, receiver.consumer(4)), Ok(()));
    assert_eq!(try_consume(&mut queue, exclusive(5)), Err(InExclusiveUse));
    assert_eq!(
        queue.counts().consumers,
        1,
        "the refused ones are not there"
    );
}

#[test]
fn exclusive_use_is_refused_in_rabbitmqs_words() {
    let error = InExclusiveUse.into_error("queue 'q' in vhost '/'");
    assert_eq!(
        error,
        AmqpError::Channel {
            code: ReplyCode::AccessRefused,
            text: "queue 'q' in vhost '/' in exclusive use".into(),
        }
    );
}

/// `use_it` at half of the queue's expiry time; it must then live for the whole of it again.
#[track_caller]
fn check_renews_expiry(use_it: impl FnOnce(&mut Queue, u64)) {
    let mut queue = expiring_queue(None, Some(100));
    assert_eq!(queue.next_deadline(), Some(START + 100));
    use_it(&mut queue, START + 50);
    assert_eq!(transient(|records| queue.tick(START + 149, records)), None);
    assert_eq!(queue.next_deadline(), Some(START + 150));
    assert_eq!(
        transient(|records| queue.tick(START + 150, records)),
        Some(Ended::Expired)
    );
}

#[test]
fn declare_get_and_consume_renew_a_queues_expiry() {
    check_renews_expiry(|queue, now| queue.touch(now));
    check_renews_expiry(|queue, now| {
        assert!(transient(|records| queue.get(false, now, records)).is_none());
    });
    check_renews_expiry(|queue, now| {
        let consumer = Receiver::new().consumer(1);
        transient(|records| queue.consume(consumer, now - 20, records)).expect("alone");
        assert_eq!(queue.next_deadline(), None, "in use");
        assert_eq!(
            transient(|records| queue.tick(now, records)),
            None,
            "in use"
        );
        queue.cancel(ConsumerId(1), now, &mut Vec::new());
    });
}

#[test]
fn messages_that_come_and_go_are_no_use_of_a_queue() {
    let mut queue = expiring_queue(None, Some(100));
    enqueue(&mut queue, &["a"], START + 50);
    transient(|records| queue.purge(START + 60, records));
    assert_eq!(
        transient(|records| queue.tick(START + 100, records)),
        Some(Ended::Expired)
    );
}

#[test]
fn a_queue_expires_once() {
    let mut queue = expiring_queue(None, Some(100));
    assert_eq!(
        transient(|records| queue.tick(START + 100, records)),
        Some(Ended::Expired)
    );
    transient(|records| queue.delete(records));
    assert_eq!(transient(|records| queue.tick(START + 200, records)), None);
    assert_eq!(queue.next_deadline(), None, "no timer for what is gone");
}

#[test]
fn a_purge_leaves_unacked_messages_where_they_are() {
    let mut queue = transient_queue();
    enqueue(&mut queue, &["a", "b", "c"], START);
    let held = transient(|records| queue.get(false, START, records)).expect("a message");
    assert_eq!(transient(|records| queue.purge(START, records)), 2);
    let counts = Counts {
        unacked: 1,
        ..Counts::default()
    };
    assert_eq!(queue.counts(), counts);
    transient(|records| queue.requeue(vec![held], START, records));
    let again = transient(|records| queue.get(true, START, records)).expect("requeued");
    assert_eq!(
        (run_texts(&again.run), again.redelivered),
        (vec!["a".to_owned()], true)
    );
    assert_eq!(queue.counts(), Counts::default());
}

#[test]
fn a_purge_is_one_record_of_what_was_stored() {
    let mut queue = durable_queue();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(Sample::text);
    let run = run_of(&[a.persistent(), b, c.persistent(), d.persistent()]);
    queue.enqueue(run, START, &mut Vec::new());
    let mut records = Vec::new();
    assert_eq!(queue.purge(START, &mut records), 4);
    let [
        Record::Purge {
            queue: QUEUE,
            ranges,
        },
    ] = &records[..]
    else {
        panic!("not one purge: {records:?}");
    };
    assert_eq!(ranges, &[1..2, 3..5], "b was never there");
    records.clear();
    assert_eq!(queue.purge(START, &mut records), 0);
    assert!(records.is_empty(), "nothing to say: {records:?}");
}

#[test]
fn deleting_tells_each_consumer_and_forgets_what_they_hold() {
    let mut queue = durable_queue();
    let receiver = Receiver::new();
    let mut records = Vec::new();
    let run = |text| run_of(&[Sample::text(text).persistent()]);
    queue
        .consume(receiver.consumer(1), START, &mut records)
        .expect("alone");
    queue.enqueue(run("held"), START, &mut records);
    let held = receiver.deliveries().remove(0).range;
    queue.cancel(ConsumerId(1), START, &mut Vec::new());
    queue.enqueue(run("ready"), START, &mut records);
    let limited = Consumer {
        prefetch: 1,
        ..receiver.consumer(2)
    };
    queue.consume(limited, START, &mut records).expect("alone");
    queue.enqueue(run("behind"), START, &mut records);
    let second = receiver.deliveries().remove(0).range;

    records.clear();
    assert_eq!(queue.delete(&mut records), 1);
    assert!(matches!(
        records[..],
        [Record::DeleteQueue { queue: QUEUE }]
    ));
    let parcels = receiver.parcels();
    let cancelled = Parcel::ConsumerCancelled {
        channel: ChannelId(1),
        consumer: ConsumerId(2),
    };
    assert_eq!(format!("{parcels:?}"), format!("{:?}", [cancelled]));

    // What comes back from the channels has no place any more.
    records.clear();
    queue.settle(&[held], START, &mut records);
    queue.requeue(vec![second], START, &mut records);
    assert_eq!(queue.counts().ready, 0);
    assert!(queue.get(true, START, &mut records).is_none());
    assert!(records.is_empty(), "after the queue's end: {records:?}");
}

#[test]
fn positions_go_on_where_the_store_says() {
    let options = QueueOptions::default();
    let mut queue = Queue::new(QUEUE, options, Position(100), START);
    queue.restore(Position(40), texts(&["old", "older"]), true, START);
    enqueue(&mut queue, &["new"], START);
    let mut take = || transient(|records| queue.get(true, START, records)).expect("a message");
    let restored = take();
    assert_eq!((restored.first, restored.redelivered), (Position(40), true));
    assert_eq!(take().first, Position(41));
    let new = take();
    assert_eq!((new.first, new.redelivered), (Position(100), false));
}

#[test]
fn a_run_without_messages_changes_nothing() {
    let mut queue = transient_queue();
    let receiver = Receiver::new();
    consume(&mut queue, receiver.consumer(1));
    enqueue(&mut queue, &[], START);
    enqueue(&mut queue, &["a"], START);
    assert_eq!(receiver.bodies(), wanted(&[(1, "a")]));
}
