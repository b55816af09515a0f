//! The outbox's byte bound: a slow connection holds up nobody but itself, and goes on when it has drained.

use super::*;

/// The bytes one text message costs besides its text.
fn overhead() -> usize {
    texts(&[""]).held_bytes()
}

fn resume(queue: &mut Queue, receiver: &Receiver) {
    transient(|records| queue.resume(&receiver.outbox, START, records));
}

#[test]
fn a_message_larger_than_the_bound_still_moves() {
    let mut queue = transient_queue();
    let receiver = Receiver::with_room(10);
    consume(&mut queue, receiver.consumer(1));
    enqueue(&mut queue, &["0123456789 and more", "next"], START);
    let first = receiver.deliveries();
    assert_eq!(bodies(&first), wanted(&[(1, "0123456789 and more")]));
    assert!(receiver.outbox.take_stalled().is_empty(), "no room yet");
    receiver.sent(&first);
    assert_eq!(receiver.outbox.take_stalled(), [QUEUE]);
    resume(&mut queue, &receiver);
    assert_eq!(receiver.bodies(), wanted(&[(1, "next")]));
}

#[test]
fn a_batch_is_cut_where_the_room_ends() {
    let mut queue = transient_queue();
    let each = overhead() + 1;
    let receiver = Receiver::with_room(3 * each);
    consume(&mut queue, receiver.consumer(1));
    enqueue(&mut queue, &["a", "b", "c", "d", "e"], START);
    let first = receiver.deliveries();
    assert_eq!(bodies(&first), wanted(&[(1, "a"), (1, "b"), (1, "c")]));
    assert_eq!(queue.counts().ready, 2);
    receiver.outbox.release(each);
    assert!(
        receiver.outbox.take_stalled().is_empty(),
        "less than half is free"
    );
    receiver.outbox.release(each);
    assert_eq!(receiver.outbox.take_stalled(), [QUEUE]);
    resume(&mut queue, &receiver);
    assert_eq!(receiver.bodies(), wanted(&[(1, "d"), (1, "e")]));
}

#[test]
fn a_full_outbox_stalls_only_its_own_consumers() {
    let mut queue = transient_queue();
    let (slow, quick) = (Receiver::with_room(1), Receiver::new());
    consume(&mut queue, slow.consumer(1));
    consume(&mut queue, quick.consumer(2));
    enqueue(&mut queue, &["a", "b", "c", "d"], START);
    let held = slow.deliveries();
    assert_eq!(bodies(&held), wanted(&[(1, "a")]));
    assert_eq!(quick.bodies(), wanted(&[(2, "b"), (2, "c"), (2, "d")]));
    slow.sent(&held);
    assert_eq!(slow.outbox.take_stalled(), [QUEUE]);
    resume(&mut queue, &slow);
    enqueue(&mut queue, &["e", "f"], START);
    assert_eq!(quick.bodies(), wanted(&[(2, "e")]));
    assert_eq!(slow.bodies(), wanted(&[(1, "f")]));
}

#[test]
fn room_made_between_the_look_and_the_note_is_signalled() {
    let receiver = Receiver::with_room(100);
    let mut queue = transient_queue();
    consume(&mut queue, receiver.consumer(1));
    receiver.parcels();
    // The queue found no room, the connection then drained, and only now the queue leaves its note.
    receiver.outbox.stall(QUEUE);
    assert!(receiver.outbox.poll_signalled(std::task::Waker::noop()));
    assert_eq!(receiver.outbox.take_stalled(), [QUEUE]);
}
