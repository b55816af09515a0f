//! Tests of the queue alone: messages made here, receivers that are read by the test, no store and no clock.

mod browse;
mod capacity;
mod commands;
mod expiry;
mod flow;
mod history;
mod lifetime;
mod limits;
mod model;
pub(super) mod paging;
mod priorities;
mod property;
mod quorum;
mod room;
mod single_active;
mod stored;
mod stream;
mod turns;

use std::sync::Arc;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;

use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Delivery;
use crate::model::ExchangeName;
use crate::model::Outbox;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message;
use crate::model::outbox::Parcel;
use crate::protocol::properties;
use crate::queue::ChannelLimit;
use crate::queue::Consumer;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::deduplication::X_DEDUPLICATION_HEADER;
use crate::store::Record;

pub(super) const QUEUE: QueueId = QueueId(7);

/// When most tests begin.
const START: u64 = 1_000;

/// What a message is made of.
#[derive(Debug, Clone, Default)]
struct Sample {
    body: Vec<u8>,
    persistent: bool,
    expiration: Option<u64>,
    priority: Option<u8>,
    /// Its `x-deduplication-header`.
    deduplication: Option<u8>,
}

impl Sample {
    fn text(body: &str) -> Self {
        Self {
            body: body.as_bytes().to_vec(),
            ..Self::default()
        }
    }

    fn persistent(self) -> Self {
        Self {
            persistent: true,
            ..self
        }
    }

    fn expiring(self, ttl: u64) -> Self {
        Self {
            expiration: Some(ttl),
            ..self
        }
    }

    fn of_priority(self, priority: u8) -> Self {
        Self {
            priority: Some(priority),
            ..self
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut properties = AMQPProperties::default();
        if self.persistent {
            properties = properties.with_delivery_mode(properties::PERSISTENT);
        }
        if let Some(ttl) = self.expiration {
            properties = properties.with_expiration(ttl.to_string().into());
        }
        if let Some(priority) = self.priority {
            properties = properties.with_priority(priority);
        }
        if let Some(value) = self.deduplication {
            let mut headers = FieldTable::default();
            let value = AMQPValue::ShortShortUInt(value);
            headers.insert(X_DEDUPLICATION_HEADER.into(), value);
            properties = properties.with_headers(headers);
        }
        properties::encode(&properties)
    }
}

fn run_of(samples: &[Sample]) -> Run {
    let route = message::route(&ExchangeName::known(""), "q");
    let mut builder = RunBuilder::default();
    for sample in samples {
        let header = sample.header();
        let traits = properties::scan(&header).expect("well-formed properties");
        builder.push(&route, &header, &sample.body, traits);
    }
    builder.finish()
}

fn texts(bodies: &[&str]) -> Run {
    run_of(
        &bodies
            .iter()
            .map(|body| Sample::text(body))
            .collect::<Vec<_>>(),
    )
}

/// A connection with one channel, read by the test.
struct Receiver {
    outbox: Arc<Outbox>,
    limit: Arc<ChannelLimit>,
}

impl Receiver {
    fn new() -> Self {
        Self::with_room(1 << 20)
    }

    fn with_room(bytes_max: usize) -> Self {
        Self {
            outbox: Arc::new(Outbox::new(bytes_max)),
            limit: Arc::default(),
        }
    }

    /// A consumer without limits; its number is also its age.
    fn consumer(&self, id: u64) -> Consumer {
        Consumer {
            id: ConsumerId(id),
            channel: ChannelId(1),
            tag: ConsumerTag::known("tag"),
            outbox: Arc::clone(&self.outbox),
            channel_limit: Arc::clone(&self.limit),
            no_ack: false,
            exclusive: false,
            prefetch: 0,
            priority: 0,
            unacked: 0,
        }
    }

    fn parcels(&self) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        self.outbox.take(&mut parcels);
        parcels
    }

    /// What has come since the last look. It stays in the outbox's account until [`Receiver::sent`].
    fn deliveries(&self) -> Vec<Delivery> {
        let delivery = |parcel| match parcel {
            Parcel::Delivery(delivery) => Some(delivery),
            Parcel::ConsumerCancelled { .. }
            | Parcel::Close { .. }
            | Parcel::Blocked { .. }
            | Parcel::Unblocked => None,
        };
        self.parcels().into_iter().filter_map(delivery).collect()
    }

    /// The bodies of what has come, in order, with the consumer's number.
    fn bodies(&self) -> Vec<(u64, String)> {
        bodies(&self.deliveries())
    }

    /// The peer has got them.
    fn sent(&self, deliveries: &[Delivery]) {
        let held = |delivery: &Delivery| delivery.range.run.held_bytes();
        self.outbox.release(deliveries.iter().map(held).sum());
    }
}

fn bodies(deliveries: &[Delivery]) -> Vec<(u64, String)> {
    let each = |delivery: &Delivery| {
        let texts: Vec<_> = run_texts(&delivery.range.run);
        let consumer = delivery.consumer.0;
        texts.into_iter().map(move |text| (consumer, text))
    };
    deliveries.iter().flat_map(each).collect()
}

fn run_texts(run: &Run) -> Vec<String> {
    run.iter()
        .map(|message| String::from_utf8_lossy(message.body()).into_owned())
        .collect()
}

fn wanted(bodies: &[(u64, &str)]) -> Vec<(u64, String)> {
    bodies
        .iter()
        .map(|(consumer, body)| (*consumer, (*body).to_owned()))
        .collect()
}

fn queue_with(options: QueueOptions) -> Queue {
    Queue::new(QUEUE, options, Position(1), START)
}

fn transient_queue() -> Queue {
    queue_with(QueueOptions::default())
}

fn expiring_queue(message_ttl: Option<u64>, expires: Option<u64>) -> Queue {
    queue_with(QueueOptions {
        arguments: QueueArguments {
            message_ttl,
            expires,
            ..QueueArguments::default()
        },
        ..QueueOptions::default()
    })
}

/// Enqueues texts; for transient queues, which store nothing.
fn enqueue(queue: &mut Queue, bodies: &[&str], now: u64) {
    transient(|records| queue.enqueue(texts(bodies), now, records));
}

/// Runs what must leave nothing for the store.
#[track_caller]
fn transient<T>(act: impl FnOnce(&mut Vec<Record>) -> T) -> T {
    let mut records = Vec::new();
    let answer = act(&mut records);
    assert!(records.is_empty(), "a transient queue stores {records:?}");
    answer
}

/// Adds a consumer to a transient queue.
#[track_caller]
fn consume(queue: &mut Queue, consumer: Consumer) {
    transient(|records| queue.consume(consumer, START, records)).expect("no exclusive consumer");
}
