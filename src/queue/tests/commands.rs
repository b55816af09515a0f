//! What may happen to a queue, at random.

use proptest::prelude::*;
use proptest::sample::Index;

use super::Sample;
use super::model::ModelConsumer;
use super::property::CHANNELS;
use super::property::ROOMS;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;

#[derive(Debug, Clone)]
pub(super) enum Command {
    Enqueue(Vec<Sample>),
    /// Its id is given by the world.
    Consume(ModelConsumer),
    Cancel(Index),
    /// Pieces of outstanding ranges: which one, from where, how many.
    Settle {
        pieces: Vec<(Index, Index, usize)>,
        requeue: bool,
    },
    Get {
        no_ack: bool,
    },
    Purge,
    Wait(u64),
    Tick,
    /// A connection's peer has got some of what was sent.
    Drain {
        connection: usize,
        all: bool,
    },
    Limit {
        channel: usize,
        limit: u16,
    },
    Touch,
    Hold,
    Release,
    Delete,
}

fn sample() -> impl Strategy<Value = Sample> {
    let ttl = prop_oneof![
        4 => Just(None),
        1 => Just(Some(0)),
        1 => Just(Some(3)),
        1 => Just(Some(20)),
    ];
    (0..40usize, any::<bool>(), ttl).prop_map(|(padding, persistent, expiration)| Sample {
        body: vec![b'.'; padding],
        persistent,
        expiration,
    })
}

fn consumer() -> impl Strategy<Value = ModelConsumer> {
    let exclusive = prop::bool::weighted(0.1);
    let spec = (
        0..CHANNELS.len(),
        -1..=1i32,
        0..4u64,
        any::<bool>(),
        exclusive,
    );
    spec.prop_map(
        |(channel, priority, prefetch, no_ack, exclusive)| ModelConsumer {
            id: 0,
            channel,
            priority,
            prefetch,
            no_ack,
            exclusive,
            unacked: 0,
        },
    )
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let index = any::<Index>;
    let piece = (index(), index(), 1..4usize);
    prop_oneof![
        10 => prop::collection::vec(sample(), 1..6).prop_map(Command::Enqueue),
        6 => consumer().prop_map(Command::Consume),
        2 => index().prop_map(Command::Cancel),
        9 => (prop::collection::vec(piece, 1..4), any::<bool>())
            .prop_map(|(pieces, requeue)| Command::Settle { pieces, requeue }),
        2 => any::<bool>().prop_map(|no_ack| Command::Get { no_ack }),
        1 => Just(Command::Purge),
        3 => (1..8u64).prop_map(Command::Wait),
        2 => Just(Command::Tick),
        5 => (0..ROOMS.len(), any::<bool>())
            .prop_map(|(connection, all)| Command::Drain { connection, all }),
        2 => (0..CHANNELS.len(), 0..4u16).prop_map(|(channel, limit)| Command::Limit { channel, limit }),
        1 => Just(Command::Touch),
        1 => Just(Command::Hold),
        2 => Just(Command::Release),
        1 => prop::bool::weighted(0.1).prop_map(|delete| if delete { Command::Delete } else { Command::Tick }),
    ]
}

pub(super) fn options() -> impl Strategy<Value = QueueOptions> {
    let ttl = prop_oneof![4 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(6))];
    let expires = prop_oneof![2 => Just(None), 1 => Just(Some(10))];
    (any::<bool>(), any::<bool>(), ttl, expires).prop_map(
        |(durable, auto_delete, message_ttl, expires)| QueueOptions {
            durable,
            auto_delete,
            arguments: QueueArguments {
                message_ttl,
                expires,
                ..QueueArguments::default()
            },
        },
    )
}
