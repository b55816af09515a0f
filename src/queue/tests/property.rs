//! The queue agrees with the plain model under any sequence of commands; and what must hold without any model holds.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::QUEUE;
use super::Receiver;
use super::START;
use super::Sample;
use super::commands::Command;
use super::commands::How;
use super::commands::command;
use super::commands::options;
use super::model::Message;
use super::model::Model;
use super::model::ModelChannel;
use super::model::ModelConnection;
use super::model::ModelConsumer;
use super::model::ModelDead;
use super::model::Sent;
use super::paging::FakePager;
use super::queue_with;
use super::run_of;
use super::stored::Stored;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::MessageRef;
use crate::model::Position;
use crate::model::outbox::Parcel;
use crate::protocol::properties;
use crate::queue::ChannelLimit;
use crate::queue::Consumer;
use crate::queue::Dead;
use crate::queue::Memory;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::QueueType;
use crate::queue::deduplication::X_DEDUPLICATION_HEADER;
use crate::store::Record;

/// The connection of each channel.
pub(super) const CHANNELS: [usize; 4] = [0, 0, 1, 2];

/// The outboxes' bounds: one never fills, one holds a few messages, one is full with any.
pub(super) const ROOMS: [usize; 3] = [1 << 20, 150, 1];

type Outcome = Result<(), TestCaseError>;

struct World {
    queue: Queue,
    model: Model,
    now: u64,
    receivers: Vec<Receiver>,
    /// One for each channel.
    limits: Vec<Arc<ChannelLimit>>,
    /// The channel of each consumer that ever was.
    channel_of: Vec<usize>,
    outstanding: Vec<Delivered>,
    /// Bytes of deliveries that lie in each outbox.
    unsent: Vec<VecDeque<usize>>,
    /// Settled and not yet given back to the channel: under a hold that comes after it, as after a commit.
    owed: Vec<u64>,
    records: Vec<Record>,
    stored: Stored,
    /// Where messages go that are too many for a memory of nothing at all.
    pager: Option<Arc<FakePager>>,
    next_id: u32,
}

impl World {
    fn new(options: QueueOptions) -> Self {
        let channels = CHANNELS.iter().map(|connection| ModelChannel {
            connection: *connection,
            ..ModelChannel::default()
        });
        let connections = ROOMS.iter().map(|bytes_max| ModelConnection {
            bytes_max: *bytes_max,
            ..ModelConnection::default()
        });
        Self {
            queue: queue_with(options.clone()),
            model: Model::new(
                options.clone(),
                channels.collect(),
                connections.collect(),
                START,
            ),
            now: START,
            receivers: ROOMS
                .iter()
                .map(|bytes| Receiver::with_room(*bytes))
                .collect(),
            limits: CHANNELS.iter().map(|_| Arc::default()).collect(),
            channel_of: Vec::new(),
            outstanding: Vec::new(),
            unsent: vec![VecDeque::new(); ROOMS.len()],
            owed: vec![0; CHANNELS.len()],
            records: Vec::new(),
            stored: Stored::of(options.arguments.queue_type),
            pager: None,
            next_id: 0,
        }
    }

    /// Nothing but the foremost messages may stay in memory.
    fn with_paging(mut self) -> Self {
        let pager = Arc::new(FakePager::default());
        let memory = Arc::new(Memory::new(0));
        self.queue
            .page_with(memory, Arc::clone(&pager) as Arc<dyn Pager>);
        self.queue.page_eagerly();
        self.pager = Some(pager);
        self
    }

    /// As the owner does when it leaves the queue.
    fn page(&mut self) {
        if let Some(pager) = &self.pager {
            self.records.iter().for_each(|record| pager.apply(record));
            self.queue.relieve();
        }
    }

    fn run(&mut self, command: Command) -> Outcome {
        // Who enters a held queue waits; only other transactions come in. Nobody enters a deleted one but to settle.
        let possible = match command {
            Command::Settle { .. } | Command::Wait(_) => true,
            Command::Enqueue(_) => !self.model.deleted,
            Command::Release => self.model.held,
            Command::Consume(_)
            | Command::Cancel(_)
            | Command::Get { .. }
            | Command::Purge
            | Command::Tick
            | Command::Drain { .. }
            | Command::Limit { .. }
            | Command::Touch
            | Command::TakeDead { .. }
            | Command::Reconfigure(_)
            | Command::Hold
            | Command::Delete => !self.model.held && !self.model.deleted,
        };
        if possible {
            self.act(command)?;
            self.page();
            self.check()?;
        }
        Ok(())
    }

    fn act(&mut self, command: Command) -> Outcome {
        let now = self.now;
        match command {
            Command::Enqueue(samples) => self.enqueue(samples)?,
            Command::Consume(spec) => {
                let id = self.channel_of.len() as u64;
                self.channel_of.push(spec.channel);
                let added = self
                    .queue
                    .consume(self.consumer(id, &spec), now, &mut self.records);
                let model = ModelConsumer {
                    id,
                    unacked: 0,
                    ..spec
                };
                prop_assert_eq!(added.is_ok(), self.model.consume(model, now));
            }
            Command::Cancel(index) => self.cancel(index)?,
            Command::TakeDead { lost } => self.take_dead(lost)?,
            Command::Settle { pieces, how } => {
                self.settle(pieces, how);
                if !self.model.held {
                    self.give_back()?;
                }
            }
            Command::Get { no_ack } => self.get(no_ack)?,
            Command::Purge => {
                let purged = self.queue.purge(now, &mut self.records);
                prop_assert_eq!(purged, self.model.purge(now));
            }
            Command::Wait(time) => self.now += time,
            Command::Tick => {
                let ended = self.queue.tick(now, &mut self.records);
                prop_assert_eq!(ended, self.model.tick(now));
            }
            Command::Drain { connection, all } => self.drain(connection, all)?,
            Command::Limit { channel, limit } => {
                self.limits[channel].set(limit);
                self.model.channels[channel].limit = u64::from(limit);
                self.resume_limited(channel)?;
            }
            Command::Touch => {
                self.queue.touch(now);
                self.model.used_at = now;
            }
            Command::Reconfigure(arguments) => {
                // What a declaration alone decides stays.
                let before = &self.model.options.arguments;
                let surely = arguments.dead_letter_surely;
                let arguments = QueueArguments {
                    queue_type: before.queue_type,
                    dead_letter_surely: surely && before.queue_type == QueueType::Quorum,
                    max_priority: before.max_priority,
                    single_active_consumer: before.single_active_consumer,
                    ..arguments
                };
                self.queue
                    .reconfigure(arguments.clone(), now, &mut self.records);
                self.model.reconfigure(arguments, now);
            }
            Command::Hold => {
                self.queue.hold();
                self.model.held = true;
            }
            Command::Release => {
                self.queue.release(now, &mut self.records);
                self.model.release(now);
                self.give_back()?;
            }
            Command::Delete => self.delete()?,
        }
        Ok(())
    }

    fn enqueue(&mut self, samples: Vec<Sample>) -> Outcome {
        let mut messages = Vec::new();
        let mut numbered = Vec::new();
        for sample in samples {
            let id = self.next_id;
            self.next_id += 1;
            let body = [&id.to_be_bytes()[..], &sample.body].concat();
            let sample = Sample { body, ..sample };
            let run = run_of(std::slice::from_ref(&sample));
            messages.push(Message {
                id,
                body_bytes: run.body_bytes(),
                held_bytes: run.held_bytes(),
                persistent: sample.persistent,
                expires_at: sample.expiration,
                priority: sample.priority.unwrap_or(0),
                redelivered: false,
                returns: 0,
                value: sample.deduplication,
            });
            numbered.push(sample);
        }
        let refused = self
            .queue
            .enqueue(run_of(&numbered), self.now, &mut self.records);
        let refused: Vec<_> = refused.into_iter().flatten().collect();
        prop_assert_eq!(refused, self.model.enqueue(messages, self.now));
        Ok(())
    }

    fn take_dead(&mut self, lost: u8) -> Outcome {
        prop_assert_eq!(self.queue.has_dead(), !self.model.dead.is_empty());
        let is_lost = |dead: &ModelDead| lost & (1 << (dead.id % 8)) > 0;
        let (mut carried, mut kept, mut actual) = (Vec::new(), Vec::new(), Vec::new());
        for dead in self.queue.take_dead() {
            for (index, message) in dead.run.iter().enumerate() {
                let first = dead.first.map(|first| Position(first.0 + index as u64));
                let single = Dead {
                    first,
                    run: dead.run.slice(index..index + 1),
                    ..dead.clone()
                };
                let known = ModelDead {
                    reason: dead.reason,
                    position: first.map(|first| first.0),
                    id: u32::from_be_bytes(*message.body().first_chunk().expect("numbered")),
                    tried_at: dead.attempt.as_ref().map(|attempt| attempt.at),
                    body_bytes: message.body().len() as u64,
                };
                let is_kept = known.tried_at.is_some() && is_lost(&known);
                let list = if is_kept { &mut kept } else { &mut carried };
                list.push(single);
                actual.push(known);
            }
        }
        self.queue.settle_dead(&carried, &mut self.records);
        self.queue.keep_dead(kept);
        // A message whose TTL is judged as of the moment before died then or now.
        for (expected, actual) in self.model.dead.iter_mut().zip(&actual) {
            if let (Some(expected), Some(actual)) = (&mut expected.tried_at, actual.tried_at)
                && expected.abs_diff(actual) <= 1
            {
                *expected = actual;
            }
        }
        prop_assert_eq!(actual, self.model.take_dead(is_lost));
        Ok(())
    }

    fn consumer(&self, id: u64, spec: &ModelConsumer) -> Consumer {
        Consumer {
            channel: ChannelId(spec.channel as u16 + 1),
            channel_limit: Arc::clone(&self.limits[spec.channel]),
            priority: spec.priority,
            prefetch: spec.prefetch as u32,
            no_ack: spec.no_ack,
            exclusive: spec.exclusive,
            ..self.receivers[CHANNELS[spec.channel]].consumer(id)
        }
    }

    fn cancel(&mut self, index: Index) -> Outcome {
        if self.model.consumers.is_empty() {
            let ended = self
                .queue
                .cancel(ConsumerId(u64::MAX), self.now, &mut self.records);
            prop_assert_eq!(ended, None);
            return Ok(());
        }
        let id = self.model.consumers[index.index(self.model.consumers.len())].id;
        let ended = self
            .queue
            .cancel(ConsumerId(id), self.now, &mut self.records);
        prop_assert_eq!(ended, self.model.cancel(id, self.now));
        Ok(())
    }

    fn settle(&mut self, pieces: Vec<(Index, Index, usize)>, how: How) {
        let mut ranges = Vec::new();
        for (which, from, count) in pieces {
            if self.outstanding.is_empty() {
                break;
            }
            let which = which.index(self.outstanding.len());
            let mut range = self.outstanding.swap_remove(which);
            let mut piece = range.split_off(from.index(range.run.len()));
            let rest = piece.split_off(count.min(piece.run.len()));
            let others = [range, rest].into_iter();
            self.outstanding
                .extend(others.filter(|range| !range.run.is_empty()));
            ranges.push(piece);
        }
        let positions: Vec<_> = ranges
            .iter()
            .flat_map(|range| range.first.0..range.first.0 + range.run.len() as u64)
            .collect();
        for range in &ranges {
            if let Some(consumer) = range.consumer {
                self.owed[self.channel_of[consumer.0 as usize]] += range.run.len() as u64;
            }
        }
        let (now, records) = (self.now, &mut self.records);
        match how {
            How::Acked => self.queue.settle(&ranges, now, records),
            How::Rejected => self.queue.reject(ranges, now, records),
            How::Requeued => self.queue.requeue(ranges, now, records),
            How::Lost => self.queue.take_back(ranges, now, records),
        }
        self.model.settle(&positions, how, self.now);
    }

    /// The channels' part of settling, as a session does it.
    fn give_back(&mut self) -> Outcome {
        for channel in 0..CHANNELS.len() {
            let count = std::mem::take(&mut self.owed[channel]);
            self.limits[channel].give_back(count);
            self.model.channels[channel].used -= count;
            self.resume_limited(channel)?;
        }
        Ok(())
    }

    fn resume_limited(&mut self, channel: usize) -> Outcome {
        let waiting = self.limits[channel].take_waiting();
        let expected = std::mem::take(&mut self.model.channels[channel].waited_for);
        prop_assert_eq!(waiting.contains(&QUEUE), expected);
        if expected {
            self.resume(CHANNELS[channel]);
        }
        Ok(())
    }

    fn resume(&mut self, connection: usize) {
        let outbox = &self.receivers[connection].outbox;
        self.queue.resume(outbox, self.now, &mut self.records);
        self.model.resume(connection, self.now);
    }

    fn drain(&mut self, connection: usize, all: bool) -> Outcome {
        let unsent = &mut self.unsent[connection];
        let count = if all { unsent.len() } else { unsent.len() / 2 };
        let bytes: usize = unsent.drain(..count).sum();
        let outbox = &self.receivers[connection].outbox;
        outbox.release(bytes);
        let stalled = outbox.take_stalled();
        let model = &mut self.model.connections[connection];
        model.held_bytes -= bytes;
        prop_assert_eq!(outbox.room_bytes(), model.room());
        let roomy = model.room() >= model.bytes_max / 2;
        let expected = roomy && std::mem::take(&mut model.waited_for);
        prop_assert_eq!(stalled.contains(&QUEUE), expected);
        if expected {
            self.resume(connection);
        }
        Ok(())
    }

    fn get(&mut self, no_ack: bool) -> Outcome {
        let got = self.queue.get(no_ack, self.now, &mut self.records);
        let expected: Vec<_> = self.model.get(no_ack, self.now).into_iter().collect();
        let actual: Vec<_> = got.iter().flat_map(|range| sent(range, no_ack)).collect();
        prop_assert_eq!(actual, expected);
        self.outstanding.extend(got.filter(|_| !no_ack));
        Ok(())
    }

    fn delete(&mut self) -> Outcome {
        let count = self.queue.delete(&mut self.records);
        let (expected, consumers) = self.model.delete();
        prop_assert_eq!(count, expected);
        let mut told = BTreeSet::new();
        for receiver in &self.receivers {
            for parcel in receiver.parcels() {
                let Parcel::ConsumerCancelled { channel, consumer } = parcel else {
                    return Err(TestCaseError::fail(format!("unexpected {parcel:?}")));
                };
                told.insert((consumer.0, usize::from(channel.0) - 1));
            }
        }
        let expected: BTreeSet<_> = consumers
            .iter()
            .map(|gone| (gone.id, gone.channel))
            .collect();
        prop_assert_eq!(told, expected);
        Ok(())
    }

    fn check(&mut self) -> Outcome {
        self.check_deliveries()?;
        for record in std::mem::take(&mut self.records) {
            self.stored.apply(record)?;
        }
        prop_assert_eq!(&self.stored.now, &self.model.stored);
        let counts = self.queue.counts();
        prop_assert_eq!(counts.ready, self.model.ready.len() as u64);
        prop_assert_eq!(counts.ready_bytes, self.model.ready_bytes());
        prop_assert_eq!(counts.consumers, self.model.consumers.len() as u64);
        if !self.model.deleted {
            prop_assert_eq!(counts.unacked, self.model.unacked.len() as u64);
        }
        let (deadline, expected) = (self.queue.next_deadline(), self.model.next_deadline());
        if counts.ready > 0 && self.queue.first_here().is_none() {
            // The earliest of what is away is known, not the foremost.
            let never = u64::MAX;
            prop_assert!(deadline.unwrap_or(never) <= expected.unwrap_or(never));
        } else {
            prop_assert_eq!(deadline, expected);
        }
        self.check_limits()?;
        self.check_nobody_starves()
    }

    fn check_deliveries(&mut self) -> Outcome {
        for (connection, receiver) in self.receivers.iter().enumerate() {
            let mut actual = Vec::new();
            for delivery in receiver.deliveries() {
                let idle = self.model.waits(delivery.consumer.0);
                let gone = !self
                    .model
                    .consumers
                    .iter()
                    .any(|consumer| consumer.id == delivery.consumer.0);
                prop_assert!(!idle || gone, "{:?} had to wait", delivery.consumer);
                let (range, no_ack) = (delivery.range, delivery.no_ack);
                let channel = self.channel_of[delivery.consumer.0 as usize];
                prop_assert_eq!(usize::from(delivery.channel.0), channel + 1);
                prop_assert_eq!(range.consumer, Some(delivery.consumer));
                let alive = range.expires_at.is_none_or(|at| at >= self.now);
                prop_assert!(alive, "delivered after its expiry: {:?}", range);
                actual.extend(sent(&range, no_ack));
                self.unsent[connection].push_back(range.run.held_bytes());
                if !no_ack {
                    self.outstanding.push(range);
                }
            }
            let expected = std::mem::take(&mut self.model.connections[connection].sent);
            prop_assert_eq!(actual, expected);
        }
        Ok(())
    }

    fn check_limits(&self) -> Outcome {
        for consumer in self.queue.consumers() {
            let prefetch = u64::from(consumer.prefetch);
            let held = self.held_by(|range| range.consumer == Some(consumer.id));
            prop_assert_eq!(consumer.unacked, held);
            prop_assert!(prefetch == 0 || held <= prefetch, "more than its prefetch");
        }
        Ok(())
    }

    fn held_by(&self, whose: impl Fn(&Delivered) -> bool) -> u64 {
        let ranges = self.outstanding.iter().filter(|range| whose(range));
        ranges.map(|range| range.run.len() as u64).sum()
    }

    /// While something is ready nobody who could take it is left waiting.
    fn check_nobody_starves(&self) -> Outcome {
        if self.model.held || self.model.ready.is_empty() {
            return Ok(());
        }
        for consumer in self.queue.consumers() {
            let channel = &self.model.channels[self.channel_of[consumer.id.0 as usize]];
            let held = u64::from(consumer.prefetch) > 0
                && consumer.unacked >= u64::from(consumer.prefetch);
            let limited = channel.limit > 0 && channel.used >= channel.limit;
            // A connection that had no room is given time until half of it is free.
            let connection = &self.model.connections[channel.connection];
            let full = connection.room() < (connection.bytes_max / 2).max(1);
            let waits = self.model.waits(consumer.id.0);
            let able = !waits && !full && !limited && (consumer.no_ack || !held);
            // What only time has made undeliverable is not seen before the next command.
            let head = self.model.front();
            let head = head.and_then(|head| head.message.expires_at);
            let expired = head.is_some_and(|at| at <= self.now);
            prop_assert!(!able || expired, "{:?} waits for nothing", consumer.id);
        }
        Ok(())
    }
}

/// One entry for each message of a range.
fn sent(range: &Delivered, no_ack: bool) -> Vec<Sent> {
    let each = range.run.iter().enumerate().map(|(index, message)| Sent {
        consumer: range.consumer.map(|consumer| consumer.0),
        no_ack,
        position: range.first.0 + index as u64,
        message: Message {
            id: u32::from_be_bytes(*message.body().first_chunk().expect("numbered")),
            body_bytes: message.body().len() as u64,
            held_bytes: message.held_bytes(),
            persistent: message.traits().persistent(),
            expires_at: range.expires_at,
            priority: message.traits().priority,
            redelivered: range.redelivered,
            returns: range.returns,
            value: value_of(message),
        },
    });
    each.collect()
}

fn value_of(message: MessageRef<'_>) -> Option<u8> {
    let headers = properties::headers(message.header())?;
    let AMQPValue::ShortShortUInt(value) = headers.inner().get(X_DEDUPLICATION_HEADER)? else {
        panic!("not one of ours");
    };
    Some(*value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn a_queue_agrees_with_a_list_of_messages(
        options in options(),
        pages in any::<bool>(),
        commands in prop::collection::vec(command(), 1..100),
    ) {
        let mut world = World::new(options);
        if pages {
            world = world.with_paging();
        }
        for command in commands {
            world.run(command)?;
        }
    }
}
