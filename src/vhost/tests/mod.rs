//! Tests of a virtual host on a real store in a directory of its own.

mod bind;
mod dead_letter;
mod declare;
mod policies;
mod recovery;
mod route;
mod threads;
mod transaction;

use std::path::Path;
use std::sync::Arc;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::AMQPValue;
use tempfile::TempDir;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ChannelId;
use crate::model::ConnectionId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::Outbox;
use crate::model::QueueName;
use crate::model::RoutingKey;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::VhostName;
use crate::model::message;
use crate::model::outbox::Parcel;
use crate::protocol::properties;
use crate::queue::Consumer;
use crate::routing::Kind;
use crate::store::Definition;
use crate::store::Record;
use crate::store::Recovered;
use crate::store::Store;
use crate::store::StoreOptions;
use crate::vhost::Binding;
use crate::vhost::DefinitionKind;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueHandle;
use crate::vhost::QueueSpec;
use crate::vhost::Shared;
use crate::vhost::Target;
use crate::vhost::Vhost;
use crate::vhost::VhostMetadata;
use crate::vhost::publish;
use crate::vhost::recover::recover;
use crate::vhost::recover::write_redelivered;

/// The time in most tests.
const NOW: u64 = 1_000;

const MINE: ConnectionId = ConnectionId(1);
const ANOTHER: ConnectionId = ConnectionId(2);

/// A node with the virtual host `/` and nothing else.
struct Node {
    dir: TempDir,
    shared: Arc<Shared>,
    vhost: Arc<Vhost>,
}

impl Node {
    fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a directory"))
    }

    fn open(dir: TempDir) -> Self {
        Self::open_at(dir, NOW)
    }

    fn open_at(dir: TempDir, now: u64) -> Self {
        let (store, recovered) = open_store(&dir);
        let highest = recovered.queues.iter().map(|queue| queue.queue.0).max();
        let store = Arc::new(store);
        let shared = Arc::new(Shared::new(Arc::clone(&store), highest.unwrap_or(0) + 1));
        let vhost = Vhost::new(
            VhostName::known("/"),
            VhostMetadata::default(),
            Arc::clone(&shared),
        );
        let find = |name: &str| (name == "/").then(|| Arc::clone(&vhost));
        let topology =
            recover(&recovered.definitions, find, recovered.clean, now).expect("a sound store");
        store.append(topology.obsolete);
        Self { dir, shared, vhost }
    }

    /// Stops the node as an operator does and starts it again.
    fn restarted(self) -> Self {
        self.restarted_at(NOW)
    }

    fn restarted_at(self, now: u64) -> Self {
        let queues = self.vhost.queues();
        let redelivered = queues.iter().filter_map(|queue| write_redelivered(queue));
        self.shared.store.append(redelivered.collect());
        self.shared.store.close().expect("a sound store");
        Self::open_at(self.dir, now)
    }

    /// Starts a node from what is on disk once everything handed over is, without the stop that writes down more.
    fn after_power_cut(&self) -> Self {
        // A copy made while the store writes would be of no moment at all.
        let nothing = Record::Undefine {
            kind: u8::MAX,
            key: Vec::new(),
        };
        self.wait(self.shared.store.append(vec![nothing]));
        let dir = tempfile::tempdir().expect("a directory");
        copy_directory(self.dir.path(), dir.path());
        Self::open(dir)
    }

    fn wait(&self, lsn: Lsn) {
        self.shared.store.wait(lsn).expect("a sound store");
    }

    /// What is written down about exchanges, queues and bindings. Ends the node.
    fn stored(self) -> Vec<Definition> {
        self.shared.store.close().expect("a sound store");
        let (store, recovered) = open_store(&self.dir);
        store.close().expect("a sound store");
        recovered.definitions
    }

    fn stored_counts(self) -> [usize; 3] {
        let stored = self.stored();
        let count = |kind: DefinitionKind| {
            let of_kind = stored.iter().filter(|entry| entry.kind == kind as u8);
            of_kind.count()
        };
        [
            count(DefinitionKind::Exchange),
            count(DefinitionKind::Queue),
            count(DefinitionKind::Binding),
        ]
    }

    fn queue(&self, name: &str) -> Arc<QueueHandle> {
        self.vhost.queue(name).expect("the queue is there")
    }

    fn declare_queue(&self, spec: QueueSpec) -> Arc<QueueHandle> {
        let (queue, lsn) = self.vhost.declare_queue(spec, NOW).expect("equivalent");
        self.wait(lsn);
        queue
    }

    fn declare_exchange(&self, spec: ExchangeSpec) {
        let lsn = self.vhost.declare_exchange(spec).expect("equivalent");
        self.wait(lsn);
    }

    fn bind(&self, binding: &Binding) {
        let lsn = self
            .vhost
            .bind(binding, MINE, NOW)
            .expect("both ends are there");
        self.wait(lsn);
    }

    fn unbind(&self, binding: &Binding) {
        let lsn = self.vhost.unbind(binding, MINE).expect("not exclusive");
        self.wait(lsn);
    }

    fn delete_queue(&self, name: &str) -> u64 {
        let (count, lsn) = self
            .vhost
            .delete_queue(&self.queue(name), false, false)
            .expect("unconditional");
        self.wait(lsn);
        count
    }

    fn delete_exchange(&self, name: &str) {
        let lsn = self
            .vhost
            .delete_exchange(name, false)
            .expect("unconditional");
        self.wait(lsn);
    }

    fn exchange_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .vhost
            .exchanges()
            .iter()
            .map(|x| x.name.to_string())
            .collect();
        names.retain(|name| !name.is_empty() && !name.starts_with("amq."));
        names.sort();
        names
    }

    /// Names of the queues that a message would go to.
    fn route(&self, exchange: &str, key: &str) -> Vec<String> {
        let exchange = self
            .vhost
            .exchange(exchange)
            .expect("the exchange is there");
        let route = self.vhost.route(&exchange, &[key]);
        let mut names: Vec<_> = route
            .queues
            .iter()
            .map(|queue| queue.name.to_string())
            .collect();
        names.sort();
        names
    }

    /// Publishes persistent messages; whether a queue took them.
    fn publish(&self, exchange: &str, key: &str, bodies: &[&str]) -> bool {
        let source = self
            .vhost
            .exchange(exchange)
            .expect("the exchange is there");
        let route = self.vhost.route(&source, &[key]);
        let publish::Enqueued {
            taken, commit: lsn, ..
        } = publish::enqueue(&route.queues, &persistent(exchange, key, bodies), NOW);
        self.wait(lsn);
        taken
    }

    /// Takes everything that is ready in a queue.
    fn drain(&self, name: &str) -> Vec<String> {
        let got = std::iter::from_fn(|| get(&self.queue(name), true));
        got.flat_map(|range| bodies(&range.run)).collect()
    }
}

fn open_store(dir: &TempDir) -> (Store, Recovered) {
    Store::open(dir.path(), StoreOptions::default()).expect("a store")
}

fn get(queue: &QueueHandle, no_ack: bool) -> Option<Delivered> {
    queue
        .enter(|state, records| state.get(no_ack, NOW, records))
        .0
}

fn run_of(exchange: &str, key: &str, bodies: &[&str], properties: &AMQPProperties) -> Run {
    let header = properties::encode(properties);
    let traits = properties::scan(&header).expect("well-formed properties");
    let route = message::route(&ExchangeName::known(exchange), key);
    let mut builder = RunBuilder::default();
    for body in bodies {
        builder.push(&route, &header, body.as_bytes(), traits);
    }
    builder.finish()
}

fn persistent(exchange: &str, key: &str, bodies: &[&str]) -> Run {
    let properties = AMQPProperties::default().with_delivery_mode(properties::PERSISTENT);
    run_of(exchange, key, bodies, &properties)
}

fn transient(exchange: &str, key: &str, bodies: &[&str]) -> Run {
    run_of(exchange, key, bodies, &AMQPProperties::default())
}

fn bodies(run: &Run) -> Vec<String> {
    run.iter()
        .map(|message| String::from_utf8_lossy(message.body()).into_owned())
        .collect()
}

fn durable(name: &str) -> QueueSpec {
    QueueSpec {
        name: QueueName::known(name),
        durable: true,
        auto_delete: false,
        owner: None,
        arguments: Arguments::default(),
    }
}

fn exclusive(name: &str, owner: ConnectionId) -> QueueSpec {
    QueueSpec {
        owner: Some(owner),
        ..durable(name)
    }
}

fn exchange(name: &str, kind: Kind) -> ExchangeSpec {
    ExchangeSpec {
        name: ExchangeName::known(name),
        kind,
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

fn to_queue(source: &str, queue: &str, key: &str) -> Binding {
    Binding {
        source: ExchangeName::known(source),
        target: Target::Queue(QueueName::known(queue)),
        routing_key: RoutingKey::known(key),
        arguments: Arguments::default(),
    }
}

fn to_exchange(source: &str, exchange: &str, key: &str) -> Binding {
    Binding {
        target: Target::Exchange(ExchangeName::known(exchange)),
        ..to_queue(source, "", key)
    }
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(answer: Result<T, AmqpError>, code: u16, text: &str) {
    let error = answer.expect_err("refused");
    assert_eq!((error.code().code(), error.text()), (code, text));
    assert!(matches!(error, AmqpError::Channel { .. }));
}

fn consumer(id: u64, outbox: &Arc<Outbox>) -> Consumer {
    Consumer {
        id: ConsumerId(id),
        channel: ChannelId(1),
        tag: ConsumerTag::known("tag"),
        outbox: Arc::clone(outbox),
        channel_limit: Arc::default(),
        no_ack: false,
        exclusive: false,
        prefetch: 0,
        priority: 0,
        unacked: 0,
    }
}

fn consume(queue: &QueueHandle, consumer: Consumer) {
    let (added, _) = queue.enter(|state, records| state.consume(consumer, NOW, records));
    added.expect("no exclusive consumer");
}

/// What the outbox holds, deliveries only.
fn deliveries(outbox: &Outbox) -> Vec<Delivered> {
    let mut parcels = Vec::new();
    outbox.take(&mut parcels);
    let range = |parcel| match parcel {
        Parcel::Delivery(delivery) => Some(delivery.range),
        Parcel::ConsumerCancelled { .. }
        | Parcel::Close { .. }
        | Parcel::Blocked { .. }
        | Parcel::Unblocked => None,
    };
    parcels.into_iter().filter_map(range).collect()
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("readable") {
        let path = entry.expect("readable").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            std::fs::create_dir(&to).expect("a directory");
            copy_directory(&path, &to);
        } else {
            std::fs::copy(path, to).expect("a copy");
        }
    }
}
