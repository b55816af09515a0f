//! Time of single operations on the hot path: cut, parse, route, enqueue to delivery, settle, encode. (What confirms cost
//! in whole is counted by `instructions`.)
//!
//! `cargo bench --bench parts`. Each figure stands for one message in a batch of 1,000 small ones (32 bytes, transient),
//! which is what a busy connection reads at once. A rise by more than the spread that divan shows is a regression.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has no figure"
)]

use std::hint::black_box;
use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use divan::Bencher;
use divan::counter::ItemsCount;
use leveret::model::Arguments;
use leveret::model::ChannelId;
use leveret::model::ConsumerId;
use leveret::model::ConsumerTag;
use leveret::model::Delivered;
use leveret::model::DeliveryTag;
use leveret::model::ExchangeName;
use leveret::model::Outbox;
use leveret::model::Position;
use leveret::model::QueueId;
use leveret::model::RoutingKey;
use leveret::model::Run;
use leveret::model::RunBuilder;
use leveret::model::message::Traits;
use leveret::model::message::route;
use leveret::model::outbox::Parcel;
use leveret::protocol::encode;
use leveret::protocol::envelope::Cut;
use leveret::protocol::envelope::FRAME_METHOD;
use leveret::protocol::envelope::cut;
use leveret::protocol::method::parse_method;
use leveret::protocol::output::Output;
use leveret::queue::ChannelLimit;
use leveret::queue::Consumer;
use leveret::queue::Queue;
use leveret::queue::QueueOptions;
use leveret::routing::Kind;
use leveret::routing::Router;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGES: usize = 1000;
const BODY: &[u8] = &[b'x'; 32];
const HEADER: &[u8] = &[0, 0];

fn main() {
    divan::main();
}

fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&1_u16.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xCE);
}

/// A stream of publishes as a client writes it.
fn publishes() -> Vec<u8> {
    let mut method = vec![0, 60, 0, 40, 0, 0];
    method.extend_from_slice(&route(&ExchangeName::known("amq.topic"), "stock.usd.nyse"));
    method.push(0);
    let mut header = vec![0, 60, 0, 0];
    header.extend_from_slice(&(BODY.len() as u64).to_be_bytes());
    header.extend_from_slice(HEADER);
    let mut stream = Vec::new();
    for _ in 0..MESSAGES {
        frame(1, &method, &mut stream);
        frame(2, &header, &mut stream);
        frame(3, BODY, &mut stream);
    }
    stream
}

fn run() -> Run {
    let route = route(&ExchangeName::known(""), "orders");
    let mut builder = RunBuilder::default();
    for _ in 0..MESSAGES {
        builder.push(&route, HEADER, BODY, Traits::default());
    }
    builder.finish()
}

/// Three frames a message are cut, the method parsed.
#[divan::bench]
fn cut_and_parse(bencher: Bencher) {
    let stream = publishes();
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| {
        let mut rest = &stream[..];
        while let Ok(Cut::Frame { frame, consumed }) = cut(rest, 131_072) {
            if frame.kind == FRAME_METHOD {
                black_box(parse_method(frame.payload).expect("a publish"));
            }
            rest = &rest[consumed..];
        }
    });
}

/// Messages are gathered into one chunk.
#[divan::bench]
fn gather(bencher: Bencher) {
    bencher.counter(ItemsCount::new(MESSAGES)).bench(run);
}

fn routes(kind: Kind, bindings: usize) -> Router<u32> {
    let mut router = Router::new(kind);
    for index in 0..bindings {
        let key = RoutingKey::known(&format!("stock.usd.{index}"));
        router
            .bind(&key, &Arguments::default(), index as u32)
            .expect("no arguments");
    }
    router
}

/// A key that one of 10,000 bindings has.
#[divan::bench(args = [Kind::Direct, Kind::Topic])]
fn route_one_of_10_000(bencher: Bencher, kind: Kind) {
    let router = routes(kind, 10_000);
    let mut found = Vec::new();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        found.clear();
        router.route(black_box("stock.usd.5000"), None, &mut found);
        assert_eq!(found.len(), 1);
    });
}

/// A message for an exchange of each type with 20 bindings.
#[divan::bench(args = [
    Kind::Direct, Kind::Fanout, Kind::Topic, Kind::Headers, Kind::ConsistentHash, Kind::ModulusHash, Kind::Random,
])]
fn route_with_20_bindings(bencher: Bencher, kind: Kind) {
    let mut router = Router::new(kind);
    for index in 0..20_u32 {
        let (key, arguments) = if matches!(kind, Kind::Headers) {
            (String::new(), headers(index))
        } else if matches!(kind, Kind::ConsistentHash) {
            // A weight.
            ("1".to_owned(), Arguments::default())
        } else {
            (format!("stock.usd.{index}"), Arguments::default())
        };
        router
            .bind(&RoutingKey::known(&key), &arguments, index)
            .expect("a binding");
    }
    let message = matches!(kind, Kind::Headers).then(|| {
        let mut table = FieldTable::default();
        table.insert("number".into(), AMQPValue::LongInt(7));
        table
    });
    let mut found = Vec::new();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        found.clear();
        router.route(black_box("stock.usd.7"), message.as_ref(), &mut found);
        assert!(!found.is_empty());
    });
}

fn headers(number: u32) -> Arguments {
    let mut table = FieldTable::default();
    table.insert("x-match".into(), AMQPValue::LongString("all".into()));
    table.insert("number".into(), AMQPValue::LongInt(number as i32));
    Arguments::from(table)
}

/// Deliveries are written as frames: small bodies are copied, large ones stay where they are.
#[divan::bench(args = [32, 1024, 65_536])]
fn encode_deliveries(bencher: Bencher, body_bytes: usize) {
    let route = route(&ExchangeName::known(""), "orders");
    let mut builder = RunBuilder::default();
    let count = (1_000_000 / body_bytes).min(MESSAGES);
    for _ in 0..count {
        builder.push(&route, HEADER, &vec![b'x'; body_bytes], Traits::default());
    }
    let run = builder.finish();
    let mut out = Output::default();
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        out.clear();
        for message in run.iter() {
            let (tag, header) = (DeliveryTag(1), message.header());
            encode::deliver(
                &mut out,
                ChannelId(1),
                "c",
                tag,
                false,
                message,
                header,
                131_072,
            );
        }
    });
}

/// A confirm for each message, as frames.
#[divan::bench]
fn encode_confirms(bencher: Bencher) {
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        out.clear();
        for tag in 0..MESSAGES {
            encode::ack(&mut out, ChannelId(1), DeliveryTag(tag as u64), false);
        }
    });
}

fn queue_with_consumer(outbox: &Arc<Outbox>) -> Queue {
    let mut queue = Queue::new(QueueId(1), QueueOptions::default(), Position(1), 0);
    let consumer = Consumer {
        id: ConsumerId(1),
        channel: ChannelId(1),
        tag: ConsumerTag::known("c"),
        outbox: Arc::clone(outbox),
        channel_limit: Arc::new(ChannelLimit::default()),
        no_ack: false,
        exclusive: false,
        prefetch: 0,
        priority: 0,
        unacked: 0,
    };
    assert!(
        queue.consume(consumer, 0, &mut Vec::new()).is_ok(),
        "nobody else consumes"
    );
    queue
}

fn deliveries(outbox: &Outbox, parcels: &mut Vec<Parcel>) -> Vec<Delivered> {
    outbox.take(parcels);
    let mut ranges = Vec::with_capacity(parcels.len());
    for parcel in parcels.drain(..) {
        if let Parcel::Delivery(delivery) = parcel {
            outbox.release(delivery.range.run.held_bytes());
            ranges.push(delivery.range);
        }
    }
    ranges
}

/// A run goes through a queue to a consumer that is ready, and is acknowledged.
#[divan::bench]
fn enqueue_deliver_settle(bencher: Bencher) {
    let outbox = Arc::new(Outbox::new(usize::MAX));
    let mut queue = queue_with_consumer(&outbox);
    let run = run();
    let (mut parcels, mut records) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        queue.enqueue(run.clone(), 0, &mut records);
        let delivered = deliveries(&outbox, &mut parcels);
        queue.settle(&delivered, 0, &mut records);
    });
    assert_eq!(queue.counts().unacked, 0);
}

/// The same, a message at a time: a client that waits for each.
#[divan::bench]
fn enqueue_deliver_settle_one_by_one(bencher: Bencher) {
    let outbox = Arc::new(Outbox::new(usize::MAX));
    let mut queue = queue_with_consumer(&outbox);
    let run = run();
    let (mut parcels, mut records) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        for index in 0..run.len() {
            queue.enqueue(run.slice(index..index + 1), 0, &mut records);
            let delivered = deliveries(&outbox, &mut parcels);
            queue.settle(&delivered, 0, &mut records);
        }
    });
}
