//! Dead-lettering through a virtual host, and what a power cut leaves of it.

use std::collections::BTreeSet;

use amq_protocol::types::ShortString;

use super::*;
use crate::model::arguments as values;
use crate::queue::RETRY_MS;
use crate::store::StoreError;
use crate::store::tests::disk::SimulatedDisk;
use crate::store::tests::disk::Trouble;
use crate::vhost::Transaction;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Arguments of a queue that dead-letters to `exchange`, under `key` when there is one.
fn to(exchange: &str, key: Option<&str>) -> Vec<(&'static str, AMQPValue)> {
    let mut arguments = vec![("x-dead-letter-exchange", text(exchange))];
    arguments.extend(key.map(|key| ("x-dead-letter-routing-key", text(key))));
    arguments
}

fn ttl(milliseconds: i32) -> (&'static str, AMQPValue) {
    ("x-message-ttl", AMQPValue::LongInt(milliseconds))
}

fn with(name: &str, entries: &[(&str, AMQPValue)]) -> QueueSpec {
    QueueSpec {
        arguments: arguments(entries),
        ..durable(name)
    }
}

fn reject(queue: &QueueHandle, range: Delivered) {
    queue.enter(|state, records| state.reject(vec![range], NOW, records));
}

fn reject_one(queue: &QueueHandle) {
    let range = get(queue, false).expect("a message");
    reject(queue, range);
}

fn ready(queue: &QueueHandle) -> u64 {
    queue.enter(|state, _| state.counts().ready).0
}

/// Takes the bodies of all that is ready.
fn drained(queue: &QueueHandle) -> Vec<String> {
    let got = std::iter::from_fn(|| get(queue, true));
    got.flat_map(|range| bodies(&range.run)).collect()
}

#[test]
fn a_rejected_message_goes_to_the_exchange_under_its_own_key() {
    let node = Node::new();
    node.declare_exchange(ExchangeSpec {
        internal: true,
        ..exchange("dlx", Kind::Direct)
    });
    let queue = node.declare_queue(with("work", &to("dlx", None)));
    let dead = node.declare_queue(durable("dead"));
    node.bind(&to_queue("dlx", "dead", "work"));
    node.publish("", "work", &["one", "two"]);
    reject_one(&queue);

    let copy = get(&dead, false).expect("the copy");
    let message = copy.run.first();
    assert_eq!((message.exchange(), message.routing_key()), ("dlx", "work"));
    assert_eq!(message.body(), b"one");
    assert!(message.traits().persistent() && message.traits().has_headers());
    assert!(!copy.redelivered);
    let headers = properties::headers(message.header()).expect("has headers");
    let died_in = headers
        .inner()
        .get(&ShortString::from("x-first-death-queue"));
    assert_eq!(died_in.and_then(values::text), Some("work"));
    assert_eq!(ready(&queue), 1);
    let node = node.restarted();
    assert_eq!(node.drain("work"), ["two"]);
    assert_eq!(node.drain("dead"), ["one"]);
}

#[test]
fn expired_messages_go_in_order_under_the_given_key() {
    let node = Node::new();
    let mut arguments = to("", Some("dead"));
    arguments.push(ttl(10));
    let queue = node.declare_queue(with("work", &arguments));
    let dead = node.declare_queue(durable("dead"));
    node.publish("", "work", &["one", "two"]);
    let later = persistent("", "work", &["three"]);
    publish::enqueue(&[Arc::clone(&queue)], &later, NOW + 1);
    assert_eq!(queue.tick(NOW + 11), None);
    assert_eq!(drained(&dead), ["one", "two", "three"]);
}

#[test]
fn headers_exchanges_see_the_headers_of_the_death() {
    let node = Node::new();
    node.declare_exchange(exchange("by-reason", Kind::Headers));
    let queue = node.declare_queue(with("work", &to("by-reason", None)));
    for name in ["rejected", "expired"] {
        node.declare_queue(durable(name));
        let reason = ("x-last-death-reason", text(name));
        node.bind(&Binding {
            arguments: arguments(&[("x-match", text("all-with-x")), reason]),
            ..to_queue("by-reason", name, "")
        });
    }
    node.publish("", "work", &["one"]);
    reject_one(&queue);
    assert_eq!(node.drain("rejected"), ["one"]);
    assert_eq!(node.drain("expired"), [""; 0]);
}

#[test]
fn without_the_exchange_or_a_queue_the_message_is_gone() {
    let node = Node::new();
    let nowhere = node.declare_queue(with("a", &to("missing", None)));
    let unbound = node.declare_queue(with("b", &to("", Some("missing"))));
    for queue in [&nowhere, &unbound] {
        node.publish("", &queue.name, &["one"]);
        reject_one(queue);
    }
    let node = node.after_power_cut();
    assert_eq!(node.drain("a"), [""; 0]);
    assert_eq!(node.drain("b"), [""; 0]);
}

#[test]
fn a_chain_of_expiries_ends_where_it_began() {
    let node = Node::new();
    let names = ["a", "b", "c"];
    for (index, name) in names.iter().enumerate() {
        let mut arguments = to("", Some(names[(index + 1) % names.len()]));
        arguments.push(ttl(0));
        node.declare_queue(with(name, &arguments));
    }
    node.publish("", "a", &["round"]);
    assert!(names.iter().all(|name| ready(&node.queue(name)) == 0));
}

#[test]
fn a_long_chain_needs_no_stack() {
    const QUEUES: usize = 400;
    /// Each link of a recursion would take several hundred bytes of it.
    const STACK_BYTES: usize = 128 * 1024;
    let node = Node::new();
    for index in 0..QUEUES {
        let mut arguments = to("", Some(&(index + 1).to_string()));
        arguments.push(ttl(0));
        let spec = QueueSpec {
            durable: false,
            ..with(&index.to_string(), &arguments)
        };
        node.declare_queue(spec);
    }
    let last = node.declare_queue(durable(&QUEUES.to_string()));
    let first = node.queue("0");
    let publish = move || publish::enqueue(&[first], &transient("", "0", &["far"]), NOW);
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let published = thread.spawn(publish).expect("a thread").join();
    assert!(published.expect("no panic").taken);
    assert_eq!(drained(&last), ["far"]);
}

#[test]
fn a_rejected_message_may_come_back_to_its_own_queue() {
    let node = Node::new();
    let queue = node.declare_queue(with("work", &to("", None)));
    node.publish("", "work", &["again"]);
    for _ in 0..3 {
        reject_one(&queue);
    }
    assert_eq!(drained(&queue), ["again"]);
}

#[test]
fn a_transaction_dead_letters_after_its_commit_even_into_a_queue_it_held() {
    let node = Node::new();
    let queue = node.declare_queue(with("work", &to("", Some("dead"))));
    let dead = node.declare_queue(durable("dead"));
    node.publish("", "work", &["one"]);
    let range = get(&queue, false).expect("a message");

    let mut transaction = Transaction::default();
    transaction.reject(&queue, vec![range]);
    transaction.enqueue(
        &[Arc::clone(&dead)],
        &persistent("", "dead", &["published"]),
        1,
    );
    node.wait(transaction.commit(&node.shared.store, NOW).expect("room"));
    assert_eq!(drained(&dead), ["published", "one"]);
}

/// A store on a disk in memory and one virtual host.
struct OnSimulatedDisk {
    store: Arc<Store>,
    vhost: Arc<Vhost>,
}

impl OnSimulatedDisk {
    fn open(disk: &SimulatedDisk) -> Self {
        Self::try_open(disk).expect("opens")
    }

    fn try_open(disk: &SimulatedDisk) -> Result<Self, StoreError> {
        let (store, recovered) = Store::open_with(disk.clone(), StoreOptions::default())?;
        let store = Arc::new(store);
        let shared = Arc::new(Shared::new(Arc::clone(&store), 1));
        let vhost = Vhost::new(VhostName::known("/"), VhostMetadata::default(), shared);
        let here = |_: &str| Some(Arc::clone(&vhost));
        recover(&recovered.definitions, here, recovered.clean, NOW)?;
        Ok(Self { store, vhost })
    }

    fn queue(&self, name: &str) -> Arc<QueueHandle> {
        self.vhost.queue(name).expect("recovered")
    }

    fn declare(&self, spec: QueueSpec) -> Arc<QueueHandle> {
        self.vhost.declare_queue(spec, NOW).expect("declares").0
    }
}

/// The power goes off at every sync of a run in which many messages die one by one: each is in one of the queues then.
#[test]
fn a_power_cut_may_duplicate_a_dead_message_but_never_loses_it() {
    const MESSAGES: usize = 30;
    let bodies: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let prepared = SimulatedDisk::default();
    {
        let node = OnSimulatedDisk::open(&prepared);
        let queue = node.declare(with("work", &to("", Some("dead"))));
        node.declare(durable("dead"));
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        publish::enqueue(&[queue], &persistent("", "work", &bodies), NOW);
        node.store.close().expect("closes");
    }
    let mut moved_partly = false;
    for cut in 1.. {
        let disk = prepared.copy_with(Trouble::PowerCutAtSync(cut));
        let Ok((store, _)) = Store::open_with(disk.clone(), StoreOptions::default()) else {
            // It went off before anything happened.
            continue;
        };
        drop(store);
        let disk = prepared.copy_with(Trouble::PowerCutAtSync(cut));
        let survived = reject_all(&disk);
        let left = OnSimulatedDisk::open(&disk.after_power_cut(cut));
        let contents = |name| drained(&left.queue(name));
        let (work, dead) = (contents("work"), contents("dead"));
        let all: BTreeSet<&String> = work.iter().chain(&dead).collect();
        assert_eq!(all.len(), MESSAGES, "power cut at sync {cut}");
        moved_partly |= !work.is_empty() && !dead.is_empty();
        if survived {
            assert_eq!((work.len(), dead.len()), (0, MESSAGES));
            break;
        }
    }
    assert!(moved_partly, "no power cut fell into the middle");
}

/// Rejects all messages of `work`; whether the disk lived through it.
fn reject_all(disk: &SimulatedDisk) -> bool {
    let Ok(node) = OnSimulatedDisk::try_open(disk) else {
        return false;
    };
    let queue = node.queue("work");
    while let Some(range) = get(&queue, false) {
        reject(&queue, range);
        // An idle store commits the first record it gets alone, so copies and settles reach the disk apart.
        let nothing = Record::Undefine {
            kind: 0,
            key: Vec::new(),
        };
        if node.store.wait(node.store.append(vec![nothing])).is_err() {
            return false;
        }
    }
    node.store.close().is_ok()
}

fn sure(name: &str) -> QueueSpec {
    QueueSpec {
        arguments: arguments(&[
            ("x-queue-type", text("quorum")),
            ("x-dead-letter-exchange", text("dlx")),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ]),
        ..durable(name)
    }
}

#[test]
fn what_must_reach_a_queue_waits_until_there_is_one() {
    let node = Node::new();
    let queue = node.declare_queue(sure("q"));
    node.publish("", "q", &["a"]);
    reject_one(&queue);
    // Neither an exchange nor a queue.
    node.declare_exchange(exchange("dlx", Kind::Fanout));
    queue.tick(NOW + RETRY_MS);
    assert_eq!(
        node.after_power_cut().drain("q"),
        ["a"],
        "the original is kept"
    );

    node.declare_queue(durable("dead"));
    node.bind(&to_queue("dlx", "dead", ""));
    queue.tick(NOW + 2 * RETRY_MS - 1);
    assert_eq!(node.drain("dead"), [""; 0]);
    queue.tick(NOW + 2 * RETRY_MS);
    let crashed = node.after_power_cut();
    assert_eq!(crashed.drain("dead"), ["a"]);
    assert_eq!(crashed.drain("q"), [""; 0]);
}

#[test]
fn a_queue_that_has_it_does_not_get_it_again() {
    let node = Node::new();
    let queue = node.declare_queue(sure("q"));
    node.declare_exchange(exchange("dlx", Kind::Fanout));
    node.declare_queue(durable("takes"));
    node.declare_queue(QueueSpec {
        arguments: arguments(&[
            ("x-max-length", AMQPValue::LongInt(1)),
            ("x-overflow", AMQPValue::LongString("reject-publish".into())),
        ]),
        ..durable("full")
    });
    for name in ["takes", "full"] {
        node.bind(&to_queue("dlx", name, ""));
    }
    node.publish("", "full", &["in the way"]);
    node.publish("", "q", &["a"]);
    reject_one(&queue);
    queue.tick(NOW + RETRY_MS);
    assert_eq!(node.drain("full"), ["in the way"]);
    queue.tick(NOW + 2 * RETRY_MS);
    assert_eq!(node.drain("full"), ["a"]);
    assert_eq!(node.drain("takes"), ["a"]);
    assert_eq!(queue.enter(|state, _| state.next_deadline()).0, None);
}
