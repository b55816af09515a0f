//! What may happen to a queue, at random.

use proptest::prelude::*;
use proptest::sample::Index;

use super::Sample;
use super::model::ModelConsumer;
use super::property::CHANNELS;
use super::property::ROOMS;
use crate::model::ExchangeName;
use crate::model::Release;
use crate::queue::DeadLetter;
use crate::queue::Limits;
use crate::queue::Overflow;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::QueueType;
use crate::queue::RETRY_MS;
use crate::queue::stream::Retention;

/// What becomes of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Acked,
    Rejected,
    Requeued,
    Lost,
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    Enqueue(Vec<Sample>),
    /// Its id is given by the world.
    Consume(ModelConsumer),
    Cancel(Index),
    /// Pieces of outstanding ranges: which one, from where, how many.
    Settle {
        pieces: Vec<(Index, Index, usize)>,
        how: How,
    },
    /// The dead are carried away; of those that must reach a queue, those whose bit is set (by their number) do not.
    TakeDead {
        lost: u8,
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
    /// A policy has changed.
    Reconfigure(QueueArguments),
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
    let priority = prop::option::of(prop_oneof![2 => 0..5u8, 1 => 5..8u8]);
    let value = prop::option::of(0..4u8);
    (0..40usize, any::<bool>(), ttl, priority, value).prop_map(
        |(padding, persistent, expiration, priority, deduplication)| Sample {
            body: vec![b'.'; padding],
            persistent,
            expiration,
            priority,
            deduplication,
        },
    )
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
    let how = prop_oneof![
        3 => Just(How::Acked),
        1 => Just(How::Rejected),
        3 => Just(How::Requeued),
        2 => Just(How::Lost),
    ];
    prop_oneof![
        10 => prop::collection::vec(sample(), 1..6).prop_map(Command::Enqueue),
        6 => consumer().prop_map(Command::Consume),
        2 => index().prop_map(Command::Cancel),
        10 => (prop::collection::vec(piece, 1..4), how)
            .prop_map(|(pieces, how)| Command::Settle { pieces, how }),
        2 => any::<u8>().prop_map(|lost| Command::TakeDead { lost }),
        2 => any::<bool>().prop_map(|no_ack| Command::Get { no_ack }),
        1 => Just(Command::Purge),
        6 => (1..8u64).prop_map(Command::Wait),
        1 => (RETRY_MS - 8..RETRY_MS + 8).prop_map(Command::Wait),
        2 => Just(Command::Tick),
        5 => (0..ROOMS.len(), any::<bool>())
            .prop_map(|(connection, all)| Command::Drain { connection, all }),
        2 => (0..CHANNELS.len(), 0..4u16).prop_map(|(channel, limit)| Command::Limit { channel, limit }),
        1 => Just(Command::Touch),
        1 => arguments().prop_map(Command::Reconfigure),
        1 => Just(Command::Hold),
        2 => Just(Command::Release),
        1 => prop::bool::weighted(0.1).prop_map(|delete| if delete { Command::Delete } else { Command::Tick }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let length = prop_oneof![3 => Just(None), 1 => (0..5u64).prop_map(Some)];
    let body_bytes = prop_oneof![3 => Just(None), 1 => (0..120u64).prop_map(Some)];
    let overflow = prop_oneof![
        2 => Just(Overflow::DropHead),
        1 => Just(Overflow::RejectPublish),
        1 => Just(Overflow::RejectPublishDeadLetter),
    ];
    (length, body_bytes, overflow).prop_map(|(length, body_bytes, overflow)| Limits {
        length,
        body_bytes,
        overflow,
    })
}

fn arguments() -> impl Strategy<Value = QueueArguments> {
    let ttl = prop_oneof![4 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(6))];
    let expires = prop_oneof![2 => Just(None), 1 => Just(Some(10))];
    let queue_type = prop_oneof![2 => Just(QueueType::Classic), 1 => Just(QueueType::Quorum)];
    let max_priority = prop_oneof![1 => Just(None), 1 => (1..4u8).prop_map(Some)];
    let delivery_limit = prop_oneof![2 => Just(None), 1 => (-1..3i64).prop_map(Some)];
    let others = (
        queue_type,
        max_priority,
        prop::bool::weighted(0.3),
        delivery_limit,
        prop::bool::weighted(0.3),
    );
    let dead_letter = (any::<bool>(), any::<bool>());
    (ttl, expires, limits(), dead_letter, others).prop_map(
        |(message_ttl, expires, limits, (dead_letter, surely), others)| {
            let (queue_type, max_priority, single_active_consumer, delivery_limit, deduplicate) =
                others;
            QueueArguments {
                queue_type,
                message_ttl,
                expires,
                dead_letter: dead_letter.then(|| DeadLetter {
                    exchange: ExchangeName::known("dlx"),
                    routing_key: None,
                }),
                dead_letter_surely: surely
                    && dead_letter
                    && queue_type == QueueType::Quorum
                    && limits.overflow == Overflow::RejectPublish,
                limits,
                // Quorum queues have none.
                max_priority: max_priority.filter(|_| queue_type == QueueType::Classic),
                single_active_consumer,
                delivery_limit,
                consumer_timeout: None,
                deduplicate,
                retention: Retention::default(),
            }
        },
    )
}

pub(super) fn options() -> impl Strategy<Value = QueueOptions> {
    let release = prop_oneof![Just(Release::V3), Just(Release::V4)];
    let limit = prop::option::of(0..3u64);
    (any::<bool>(), any::<bool>(), arguments(), release, limit).prop_map(
        |(durable, auto_delete, arguments, release, delivery_limit_default)| QueueOptions {
            durable: durable || arguments.queue_type == QueueType::Quorum,
            auto_delete,
            arguments,
            delivery_limit_default,
            release,
        },
    )
}
