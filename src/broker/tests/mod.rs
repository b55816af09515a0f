//! Tests of the node through what a connection's machine asks of it, on a real store and without sockets.

mod alarms;
mod consume;
mod copies;
mod counters;
mod dead_letter;
mod declare;
mod deduplication;
mod delayed;
mod ending;
mod events;
mod exchange_memory;
mod exchange_types;
mod firehose;
mod permissions;
mod publish;
mod queue_types;
mod releases;
mod replies;
mod routes;
mod start;
mod transactions;
mod vhosts;

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::ops::Deref;
use std::ops::DerefMut;
use std::path::Path;
use std::sync::Arc;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use tempfile::TempDir;

use crate::auth::Credentials;
use crate::auth::PasswordHash;
use crate::auth::PermissionRecord;
use crate::broker::AlarmOptions;
use crate::broker::Broker;
use crate::broker::BrokerOptions;
use crate::broker::Session;
use crate::connection::host::Bind;
use crate::connection::host::BindTarget;
use crate::connection::host::Consume;
use crate::connection::host::ExchangeDeclare;
use crate::connection::host::Host;
use crate::connection::host::Login;
use crate::connection::host::Publish;
use crate::connection::host::Published;
use crate::connection::host::QueueDeclare;
use crate::connection::host::Settle;
use crate::connection::host::TxStep;
use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Permitted;
use crate::model::QueueName;
use crate::model::Release;
use crate::model::RoutingKey;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::UserName;
use crate::model::VhostName;
use crate::model::message;
use crate::model::outbox::Parcel;
use crate::protocol::properties;
use crate::queue::Counts;
use crate::store::StoreOptions;
use crate::vhost::QueueDefaults;

/// The time in most tests.
const NOW: u64 = 1_000_000;

const CHANNEL: ChannelId = ChannelId(1);

/// A node in a directory of its own.
struct Node {
    dir: TempDir,
    broker: Arc<Broker>,
}

impl Deref for Node {
    type Target = Arc<Broker>;

    fn deref(&self) -> &Self::Target {
        &self.broker
    }
}

fn options(dir: &Path) -> BrokerOptions {
    BrokerOptions {
        data_dir: dir.to_owned(),
        store: StoreOptions::default(),
        product: "RabbitMQ".to_owned(),
        version: "3.13.7".to_owned(),
        cluster_name: "test".to_owned(),
        auth_mechanisms: vec!["PLAIN".to_owned(), "AMQPLAIN".to_owned()],
        anonymous: Credentials::new("guest", "guest"),
        default_user: "guest".to_owned(),
        default_pass: "guest".to_owned(),
        default_vhost: "/".to_owned(),
        seeded: true,
        loopback_users: vec!["guest".to_owned()],
        connection_max: None,
        log_exchange: true,
        outbox_bytes_max: 1 << 20,
        queue_memory_bytes: 64 << 20,
        queue_defaults: QueueDefaults::default(),
        release: Release::default(),
        permitted: Permitted::default(),
        alarms: AlarmOptions::default(),
    }
}

impl Node {
    fn new() -> Self {
        Self::with_outbox(1 << 20)
    }

    fn with_outbox(outbox_bytes_max: usize) -> Self {
        Self::with(|options| options.outbox_bytes_max = outbox_bytes_max)
    }

    fn with_defaults(queue_defaults: QueueDefaults) -> Self {
        Self::with(|options| options.queue_defaults = queue_defaults)
    }

    fn with(change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = options(dir.path());
        change(&mut options);
        let broker = Broker::start(options, NOW).expect("a node");
        Self { dir, broker }
    }

    /// Stops as an operator stops it, and starts again.
    fn restarted(self) -> Self {
        self.broker.stop().expect("a sound store");
        let broker = Broker::start(options(self.dir.path()), NOW).expect("a node");
        let dir = self.dir;
        Self { dir, broker }
    }

    /// `guest` on a channel in `/`.
    fn client(&self) -> Client {
        self.client_of("guest")
    }

    /// A user, whose password is their name, on a channel in `/`.
    fn client_of(&self, user: &str) -> Client {
        let mut client = self.stranger();
        let response = format!("\0{user}\0{user}");
        let login = client.login("PLAIN", response.as_bytes(), &FieldTable::default());
        assert_eq!(login, Login::Accepted);
        client.open(&VhostName::known("/")).expect("may enter");
        client.open_channel(CHANNEL).expect("opened");
        client
    }

    /// Nobody yet.
    fn stranger(&self) -> Client {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1234));
        let mut session = Session::new(Arc::clone(&self.broker), peer);
        session.set_now(NOW);
        Client { session }
    }

    fn add_user(&self, name: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let password = PasswordHash::new(name);
        self.access()
            .put_user(&UserName::known(name), password, tags);
    }

    fn permit(&self, user: &str, configure: &str, write: &str, read: &str) {
        let permission = PermissionRecord {
            user: user.to_owned(),
            vhost: "/".to_owned(),
            configure: configure.to_owned(),
            write: write.to_owned(),
            read: read.to_owned(),
        };
        self.access().set_permission(&permission).expect("patterns");
    }

    fn has_queue(&self, name: &str) -> bool {
        self.vhost("/").expect("always there").queue(name).is_some()
    }

    fn counts(&self, queue: &str) -> Counts {
        let vhost = self.vhost("/").expect("always there");
        let queue = vhost.queue(queue).expect("the queue is there");
        queue.enter(|state, _| state.counts()).0
    }

    /// (ready, unacked)
    fn messages(&self, queue: &str) -> (u64, u64) {
        let counts = self.counts(queue);
        (counts.ready, counts.unacked)
    }
}

/// A connection's session, used as its machine does.
struct Client {
    session: Session,
}

impl Deref for Client {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Client {
    fn queue(&mut self, name: &str) {
        self.declare_queue(queue(name)).expect("declared");
    }

    fn exclusive_queue(&mut self, name: &str) {
        let declare = QueueDeclare {
            exclusive: true,
            ..queue(name)
        };
        self.declare_queue(declare).expect("declared");
    }

    fn exchange(&mut self, name: &str, kind: &str) {
        self.declare_exchange(exchange(name, kind))
            .expect("declared");
    }

    fn bind_queue(&mut self, source: &str, queue: &str, key: &str) {
        self.bind(to_queue(source, queue, key)).expect("bound");
    }

    fn send(&mut self, exchange: &str, key: &str, bodies: &[&str]) -> Published {
        self.publish(CHANNEL, publish(exchange, key, bodies))
            .expect("published")
    }

    /// A publish that waits for its transaction's commit.
    fn staged(&mut self, publish: Publish) -> TxStep {
        TxStep::Publish(self.stage(CHANNEL, publish).expect("may be published"))
    }

    fn consumer(&mut self, queue: &str) -> ConsumerId {
        self.consume(CHANNEL, consume(queue)).expect("a consumer")
    }

    fn parcels(&mut self) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        self.take_parcels(&mut parcels);
        parcels
    }

    /// What the outbox holds, written to the peer at once.
    fn deliveries(&mut self) -> Vec<Delivered> {
        let ranges = self.unsent_deliveries();
        let bytes = ranges.iter().map(|range| range.run.held_bytes()).sum();
        self.delivered(bytes);
        ranges
    }

    /// What the outbox holds; the peer has not taken it.
    fn unsent_deliveries(&mut self) -> Vec<Delivered> {
        let range = |parcel| match parcel {
            Parcel::Delivery(delivery) => Some(delivery.range),
            Parcel::ConsumerCancelled { .. }
            | Parcel::Close { .. }
            | Parcel::Blocked { .. }
            | Parcel::Unblocked => None,
        };
        self.parcels().into_iter().filter_map(range).collect()
    }

    fn ack(&mut self, ranges: Vec<Delivered>) {
        self.settle(CHANNEL, Settle::Ack, ranges);
    }

    /// Takes everything that is ready.
    fn drain(&mut self, queue: &str) -> Vec<String> {
        let name = QueueName::known(queue);
        let got = std::iter::from_fn(|| self.get(CHANNEL, &name, true).expect("allowed"));
        got.flat_map(|got| run_bodies(&got.range.run)).collect()
    }
}

fn queue(name: &str) -> QueueDeclare {
    QueueDeclare {
        queue: QueueName::known(name),
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: Arguments::default(),
    }
}

fn exchange(name: &str, kind: &str) -> ExchangeDeclare {
    ExchangeDeclare {
        exchange: ExchangeName::known(name),
        kind: kind.to_owned(),
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: Arguments::default(),
    }
}

fn arguments(entries: &[(&str, AMQPValue)]) -> Arguments {
    let mut arguments = Arguments::default();
    for (key, value) in entries {
        arguments.set(key, value.clone());
    }
    arguments
}

fn to_queue(source: &str, queue: &str, key: &str) -> Bind {
    Bind {
        source: ExchangeName::known(source),
        target: BindTarget::Queue(QueueName::known(queue)),
        routing_key: RoutingKey::known(key),
        arguments: Arguments::default(),
    }
}

fn to_exchange(source: &str, exchange: &str, key: &str) -> Bind {
    Bind {
        target: BindTarget::Exchange(ExchangeName::known(exchange)),
        ..to_queue(source, "", key)
    }
}

fn consume(queue: &str) -> Consume {
    Consume {
        queue: QueueName::known(queue),
        tag: ConsumerTag::known("tag"),
        no_ack: false,
        exclusive: false,
        prefetch: 0,
        arguments: Arguments::default(),
    }
}

fn run_of(exchange: &str, key: &str, messages: &[(&str, AMQPProperties)]) -> Run {
    let route = message::route(&ExchangeName::known(exchange), key);
    let mut builder = RunBuilder::default();
    for (body, properties) in messages {
        let header = properties::encode(properties);
        let traits = properties::scan(&header).expect("well-formed properties");
        builder.push(&route, &header, body.as_bytes(), traits);
    }
    builder.finish()
}

fn persistent() -> AMQPProperties {
    AMQPProperties::default().with_delivery_mode(properties::PERSISTENT)
}

/// Persistent messages.
fn publish(exchange: &str, key: &str, bodies: &[&str]) -> Publish {
    let messages: Vec<_> = bodies.iter().map(|body| (*body, persistent())).collect();
    Publish {
        run: run_of(exchange, key, &messages),
        mandatory: false,
    }
}

/// Which messages of a run are to be returned.
fn returned(published: &Published) -> Vec<usize> {
    published.unrouted.iter().cloned().flatten().collect()
}

fn run_bodies(run: &Run) -> Vec<String> {
    run.iter()
        .map(|message| String::from_utf8_lossy(message.body()).into_owned())
        .collect()
}

fn bodies(ranges: &[Delivered]) -> Vec<String> {
    ranges
        .iter()
        .flat_map(|range| run_bodies(&range.run))
        .collect()
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(answer: Result<T, AmqpError>, code: u16, text: &str) {
    let error = answer.expect_err("refused");
    assert_eq!((error.code().code(), error.text()), (code, text));
}
