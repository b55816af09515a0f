//! A host for tests and fuzzing: a few queues in memory, and a ledger of every delivery.
//!
//! Knows no rights, no durability and no exchange but the default one, `amq.fanout` (bound to nothing) and what was
//! declared. What it was asked is written down in [`Toy::log`]; that each delivery comes back exactly once is asserted.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::ShortString;

use leveret::connection::host::Bind;
use leveret::connection::host::BindTarget;
use leveret::connection::host::Consume;
use leveret::connection::host::ExchangeDeclare;
use leveret::connection::host::Got;
use leveret::connection::host::Host;
use leveret::connection::host::Login;
use leveret::connection::host::Publish;
use leveret::connection::host::Published;
use leveret::connection::host::QueueDeclare;
use leveret::connection::host::QueueDeclared;
use leveret::connection::host::Settle;
use leveret::connection::host::Staged;
use leveret::connection::host::TxStep;
use leveret::model::AmqpError;
use leveret::model::ChannelId;
use leveret::model::ConsumerId;
use leveret::model::Delivered;
use leveret::model::Delivery;
use leveret::model::ExchangeName;
use leveret::model::Lsn;
use leveret::model::Position;
use leveret::model::QueueId;
use leveret::model::QueueName;
use leveret::model::ReplyCode;
use leveret::model::Run;
use leveret::model::RunBuilder;
use leveret::model::VhostName;
use leveret::model::message::Traits;
use leveret::model::message::route;
use leveret::model::outbox::Parcel;

/// Consumers and queues of the toy are few; a fuzzer would make as many as it has octets.
const QUEUES_MAX: usize = 64;

#[derive(Debug, Clone)]
struct Ready {
    position: u64,
    run: Run,
    redelivered: bool,
}

#[derive(Debug)]
struct Consumer {
    id: ConsumerId,
    channel: ChannelId,
    no_ack: bool,
    prefetch: usize,
    unacked: usize,
}

#[derive(Debug, Default)]
struct Queue {
    id: u64,
    next: u64,
    ready: VecDeque<Ready>,
    consumers: Vec<Consumer>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Toy {
    queues: BTreeMap<String, Queue>,
    exchanges: BTreeSet<String>,
    /// What was asked for, a line a call.
    pub(crate) log: Vec<String>,
    /// What the machine is to be given.
    pub(crate) outbox: Vec<Parcel>,
    /// Messages that were delivered, are to be acknowledged, and have not come back.
    out: BTreeSet<(u64, u64)>,
    channels: BTreeSet<ChannelId>,
    open: bool,
    next_id: u64,
    lsn: u64,
    /// Persistent messages and declarations wait for the disk.
    pub(crate) durable: bool,
    /// `tx.commit` fails.
    pub(crate) fails_commits: bool,
    /// More channels are refused.
    pub(crate) channel_max: usize,
    /// How long deliveries may stay out.
    pub(crate) consumer_timeout: Option<Duration>,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            exchanges: BTreeSet::from(["".to_owned(), "amq.fanout".to_owned()]),
            log: Vec::new(),
            outbox: Vec::new(),
            out: BTreeSet::new(),
            channels: BTreeSet::new(),
            open: false,
            consumer_timeout: None,
            next_id: 0,
            lsn: 0,
            durable: false,
            fails_commits: false,
            channel_max: usize::MAX,
        }
    }
}

impl Toy {
    /// Whether nothing that was delivered is still out, and nobody is still in.
    ///
    /// # Panics
    /// When that is not so.
    pub(crate) fn assert_all_returned(&self) {
        assert!(self.outbox.is_empty(), "parcels nobody took");
        assert!(
            self.out.is_empty(),
            "deliveries never returned: {:?}",
            self.out
        );
        assert!(self.channels.is_empty(), "channels never closed");
        assert!(!self.open, "connection never closed");
        let consumers: usize = self.queues.values().map(|q| q.consumers.len()).sum();
        assert_eq!(consumers, 0, "consumers never cancelled");
    }

    /// Ready messages of a queue, as texts.
    pub(crate) fn ready(&self, queue: &str) -> Vec<String> {
        let texts = |queue: &Queue| {
            let text = |ready: &Ready| {
                let body = String::from_utf8_lossy(ready.run.first().body()).into_owned();
                if ready.redelivered {
                    format!("{body} again")
                } else {
                    body
                }
            };
            queue.ready.iter().map(text).collect()
        };
        self.queues.get(queue).map(texts).unwrap_or_default()
    }

    /// Another connection publishes to a queue.
    pub(crate) fn put(&mut self, queue: &str, body: &str) {
        let mut builder = RunBuilder::default();
        let route = route(&ExchangeName::known(""), queue);
        builder.push(&route, &[0, 0], body.as_bytes(), Traits::default());
        self.enqueue(&Publish {
            run: builder.finish(),
            mandatory: false,
        });
    }

    /// Deletes a queue behind the client's back.
    pub(crate) fn delete(&mut self, queue: &str) {
        if let Some(queue) = self.queues.remove(queue) {
            for consumer in queue.consumers {
                self.outbox.push(Parcel::ConsumerCancelled {
                    channel: consumer.channel,
                    consumer: consumer.id,
                });
            }
        }
    }

    /// The last number that something was told to wait for.
    pub(crate) fn lsn(&self) -> u64 {
        self.lsn
    }

    fn commit(&mut self) -> Lsn {
        if !self.durable {
            return Lsn::NONE;
        }
        self.lsn += 1;
        Lsn(self.lsn)
    }

    fn note(&mut self, line: String) {
        self.log.push(line);
    }

    fn dispatch(&mut self, name: &str) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        loop {
            let Some(at) = queue.consumers.iter().position(|consumer| {
                consumer.no_ack || consumer.prefetch == 0 || consumer.unacked < consumer.prefetch
            }) else {
                return;
            };
            let Some(ready) = queue.ready.pop_front() else {
                return;
            };
            let consumer = &mut queue.consumers[at];
            if !consumer.no_ack {
                consumer.unacked += 1;
                assert!(
                    self.out.insert((queue.id, ready.position)),
                    "delivered twice"
                );
            }
            self.outbox.push(Parcel::Delivery(Delivery {
                channel: consumer.channel,
                consumer: consumer.id,
                no_ack: consumer.no_ack,
                range: Delivered {
                    queue: QueueId(queue.id),
                    consumer: Some(consumer.id),
                    first: Position(ready.position),
                    run: ready.run,
                    redelivered: ready.redelivered,
                    returns: 0,
                    expires_at: None,
                    entered_at: 0,
                    streamed: false,
                },
            }));
            // Round-robin.
            queue.consumers.rotate_left(1);
        }
    }

    fn take_back(&mut self, settle: Settle, range: Delivered) {
        for index in 0..range.run.len() {
            let position = range.first.0 + index as u64;
            assert!(
                self.out.remove(&(range.queue.0, position)),
                "message {position} settled twice"
            );
        }
        let found = self
            .queues
            .iter_mut()
            .find(|(_, queue)| queue.id == range.queue.0);
        let Some((name, queue)) = found else {
            return;
        };
        let name = name.clone();
        if let Some(consumer) = queue
            .consumers
            .iter_mut()
            .find(|consumer| Some(consumer.id) == range.consumer)
        {
            consumer.unacked -= range.run.len();
        }
        if settle == Settle::Requeue {
            for index in 0..range.run.len() {
                let position = range.first.0 + index as u64;
                let at = queue
                    .ready
                    .partition_point(|ready| ready.position < position);
                let ready = Ready {
                    position,
                    run: range.run.slice(index..index + 1),
                    redelivered: true,
                };
                queue.ready.insert(at, ready);
            }
        }
        self.dispatch(&name);
    }

    fn check_exchange_name(&self, exchange: &str) -> Result<(), AmqpError> {
        if self.exchanges.contains(exchange) {
            return Ok(());
        }
        Err(AmqpError::not_found(format!(
            "no exchange '{exchange}' in vhost '/'"
        )))
    }

    fn queue(&mut self, name: &str) -> Result<&mut Queue, AmqpError> {
        self.queues
            .get_mut(name)
            .ok_or_else(|| AmqpError::not_found(format!("no queue '{name}' in vhost '/'")))
    }

    fn declared(&mut self, queue: &QueueName, commit: Lsn) -> Result<QueueDeclared, AmqpError> {
        let found = self.queue(queue)?;
        Ok(QueueDeclared {
            queue: queue.clone(),
            message_count: found.ready.len() as u64,
            consumer_count: found.consumers.len() as u64,
            commit,
        })
    }

    /// The queue `refusing` refuses messages whose body begins with `no`.
    fn enqueue(&mut self, publish: &Publish) -> Published {
        let mut published = Published::default();
        let mut persistent = false;
        for index in 0..publish.run.len() {
            let message = publish.run.message(index);
            let key = message.routing_key().to_owned();
            let queue = match message.exchange() {
                "" => self.queues.get_mut(&key),
                _ => None,
            };
            match queue {
                None if publish.mandatory => published.unrouted.push(index..index + 1),
                None => {}
                Some(_) if key == "refusing" && message.body().starts_with(b"no") => {
                    published.refused.push(index..index + 1);
                }
                Some(queue) => {
                    persistent |= message.traits().persistent();
                    queue.next += 1;
                    queue.ready.push_back(Ready {
                        position: queue.next,
                        run: publish.run.slice(index..index + 1),
                        redelivered: false,
                    });
                    self.dispatch(&key);
                }
            }
        }
        if persistent {
            published.commit = self.commit();
        }
        published
    }
}

/// `q:3-5,q:9`, with the queue's number.
fn spans(ranges: &[Delivered]) -> String {
    let span = |range: &Delivered| {
        let (queue, first) = (range.queue.0, range.first.0);
        match range.run.len() as u64 {
            1 => format!("{queue}:{first}"),
            count => format!("{queue}:{first}-{}", first + count - 1),
        }
    };
    ranges.iter().map(span).collect::<Vec<_>>().join(",")
}

fn kind(settle: Settle) -> &'static str {
    match settle {
        Settle::Ack => "ack",
        Settle::Requeue => "requeue",
        Settle::Reject => "reject",
    }
}

fn target(target: &BindTarget) -> &str {
    match target {
        BindTarget::Queue(queue) => queue,
        BindTarget::Exchange(exchange) => exchange,
    }
}

impl Host for Toy {
    fn server_properties(&self) -> FieldTable {
        let mut properties = FieldTable::default();
        let product = AMQPValue::LongString("Toy".into());
        properties.insert(ShortString::from("product"), product);
        properties
    }

    fn mechanisms(&self) -> Vec<String> {
        vec!["AMQPLAIN".to_owned(), "PLAIN".to_owned()]
    }

    fn login(&mut self, mechanism: &str, response: &[u8], _: &FieldTable) -> Login {
        match (mechanism, response) {
            ("PLAIN", b"\0guest\0guest") => Login::Accepted,
            ("PLAIN", _) => Login::Refused,
            (other, _) => Login::Invalid(AmqpError::new(
                ReplyCode::CommandInvalid,
                format!("unknown authentication mechanism '{other}'"),
            )),
        }
    }

    fn open(&mut self, vhost: &VhostName) -> Result<(), AmqpError> {
        if vhost.as_str() != "/" {
            return Err(AmqpError::not_allowed(format!("vhost {vhost} not found")));
        }
        assert!(!self.open, "opened twice");
        self.open = true;
        Ok(())
    }

    fn close(&mut self) -> Lsn {
        assert!(self.open, "closed, but not open");
        assert!(self.channels.is_empty(), "closed before its channels");
        self.open = false;
        self.note("close".to_owned());
        self.commit()
    }

    fn open_channel(&mut self, channel: ChannelId) -> Result<(), AmqpError> {
        if self.channels.len() >= self.channel_max {
            return Err(AmqpError::not_allowed("too many channels"));
        }
        assert!(self.channels.insert(channel), "channel opened twice");
        Ok(())
    }

    fn close_channel(&mut self, channel: ChannelId, unacked: Vec<Delivered>) {
        assert!(self.channels.remove(&channel), "channel closed twice");
        self.note(format!("close_channel {channel} {}", spans(&unacked)));
        for queue in self.queues.values_mut() {
            queue
                .consumers
                .retain(|consumer| consumer.channel != channel);
        }
        for range in unacked {
            self.take_back(Settle::Requeue, range);
        }
    }

    fn declare_exchange(&mut self, declare: ExchangeDeclare) -> Result<Lsn, AmqpError> {
        self.note(format!(
            "declare_exchange {} {}",
            declare.exchange, declare.kind
        ));
        self.exchanges.insert(declare.exchange.to_string());
        Ok(self.commit())
    }

    fn check_exchange(&mut self, exchange: &ExchangeName) -> Result<(), AmqpError> {
        self.check_exchange_name(exchange)
    }

    fn delete_exchange(&mut self, exchange: &ExchangeName, _: bool) -> Result<Lsn, AmqpError> {
        self.note(format!("delete_exchange {exchange}"));
        self.exchanges.remove(exchange.as_str());
        Ok(self.commit())
    }

    fn declare_queue(&mut self, declare: QueueDeclare) -> Result<QueueDeclared, AmqpError> {
        let name = if declare.queue.is_empty() {
            QueueName::known(&format!("amq.gen-{}", self.next_id))
        } else {
            declare.queue
        };
        self.note(format!("declare_queue {name}"));
        if !self.queues.contains_key(name.as_str()) {
            if self.queues.len() >= QUEUES_MAX {
                return Err(AmqpError::precondition_failed("too many queues"));
            }
            self.next_id += 1;
            let queue = Queue {
                id: self.next_id,
                ..Queue::default()
            };
            self.queues.insert(name.to_string(), queue);
        }
        let commit = self.commit();
        self.declared(&name, commit)
    }

    fn check_queue(&mut self, queue: &QueueName) -> Result<QueueDeclared, AmqpError> {
        self.declared(queue, Lsn::NONE)
    }

    fn delete_queue(
        &mut self,
        queue: &QueueName,
        _: bool,
        _: bool,
    ) -> Result<(u64, Lsn), AmqpError> {
        self.note(format!("delete_queue {queue}"));
        let count = self.queues.get(queue.as_str()).map_or(0, |q| q.ready.len());
        self.delete(queue);
        Ok((count as u64, self.commit()))
    }

    fn purge_queue(&mut self, queue: &QueueName) -> Result<(u64, Lsn), AmqpError> {
        let count = std::mem::take(&mut self.queue(queue)?.ready).len();
        Ok((count as u64, self.commit()))
    }

    fn bind(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        let target = target(&bind.target);
        self.note(format!(
            "bind {} {target} {}",
            bind.source, bind.routing_key
        ));
        Ok(self.commit())
    }

    fn unbind(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        let target = target(&bind.target);
        self.note(format!(
            "unbind {} {target} {}",
            bind.source, bind.routing_key
        ));
        Ok(self.commit())
    }

    fn publish(&mut self, channel: ChannelId, publish: Publish) -> Result<Published, AmqpError> {
        let first = publish.run.first();
        let (exchange, key) = (first.exchange().to_owned(), first.routing_key().to_owned());
        self.note(format!(
            "publish {channel} {exchange} {key} {}",
            publish.run.len()
        ));
        self.check_exchange_name(&exchange)?;
        Ok(self.enqueue(&publish))
    }

    fn stage(&mut self, _: ChannelId, publish: Publish) -> Result<Staged, AmqpError> {
        self.check_exchange_name(publish.run.first().exchange())?;
        let route = Arc::new(());
        Ok(Staged { publish, route })
    }

    fn commit(
        &mut self,
        channel: ChannelId,
        steps: Vec<TxStep>,
    ) -> Result<Vec<Published>, AmqpError> {
        self.note(format!("commit {channel} {}", steps.len()));
        if self.fails_commits {
            return Err(AmqpError::not_found("no exchange 'gone' in vhost '/'"));
        }
        let mut published = Vec::new();
        for step in steps {
            match step {
                TxStep::Publish(staged) => published.push(self.enqueue(&staged.publish)),
                TxStep::Settle(settle, ranges) => self.settle(channel, settle, ranges),
            }
        }
        Ok(published)
    }

    fn limit_channel(&mut self, channel: ChannelId, prefetch: u16) {
        self.note(format!("limit_channel {channel} {prefetch}"));
    }

    fn consume(&mut self, channel: ChannelId, consume: Consume) -> Result<ConsumerId, AmqpError> {
        self.queue(&consume.queue)?;
        self.next_id += 1;
        let id = ConsumerId(self.next_id);
        self.note(format!(
            "consume {channel} {} prefetch {}",
            consume.queue, consume.prefetch
        ));
        self.queue(&consume.queue)?.consumers.push(Consumer {
            id,
            channel,
            no_ack: consume.no_ack,
            prefetch: usize::from(consume.prefetch),
            unacked: 0,
        });
        self.dispatch(&consume.queue);
        Ok(id)
    }

    fn cancel(&mut self, channel: ChannelId, consumer: ConsumerId) {
        self.note(format!("cancel {channel}"));
        for queue in self.queues.values_mut() {
            queue.consumers.retain(|known| known.id != consumer);
        }
    }

    fn get(
        &mut self,
        _: ChannelId,
        name: &QueueName,
        no_ack: bool,
    ) -> Result<Option<Got>, AmqpError> {
        let queue = self.queue(name)?;
        let Some(ready) = queue.ready.pop_front() else {
            return Ok(None);
        };
        let (id, message_count) = (queue.id, queue.ready.len() as u64);
        if !no_ack {
            self.out.insert((id, ready.position));
        }
        Ok(Some(Got {
            range: Delivered {
                queue: QueueId(id),
                consumer: None,
                first: Position(ready.position),
                run: ready.run,
                redelivered: ready.redelivered,
                returns: 0,
                expires_at: None,
                entered_at: 0,
                streamed: false,
            },
            message_count,
        }))
    }

    fn consumer_timeout(&mut self, _: QueueId) -> Option<Duration> {
        self.consumer_timeout
    }

    fn settle(&mut self, channel: ChannelId, settle: Settle, ranges: Vec<Delivered>) {
        self.note(format!(
            "settle {channel} {} {}",
            kind(settle),
            spans(&ranges)
        ));
        for range in ranges {
            self.take_back(settle, range);
        }
    }
}
