//! What exchanges, queues, channels and the node count, and limits of what there may be.

use std::sync::Arc;

use serde_json::json;

use crate::broker::InvalidLimit;
use crate::broker::LimitKind;
use crate::broker::tests::CHANNEL;
use crate::broker::tests::Node;
use crate::broker::tests::queue;
use crate::connection::host::Host;
use crate::connection::host::Settle;
use crate::metrics::ChannelStats;
use crate::metrics::ExchangeCounts;
use crate::metrics::QueueCounts;
use crate::model::ChannelId;
use crate::model::QueueName;
use crate::model::VhostName;
use crate::queue::QueueType;

#[test]
fn a_queue_counts_what_comes_and_goes_and_its_numbers_outlive_it() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.send("", "q", &["a", "b", "c"]);
    let name = QueueName::known("q");
    let got = client.get(CHANNEL, &name, false).unwrap().unwrap();
    client.settle(CHANNEL, Settle::Requeue, vec![got.range]);
    client.consumer("q");
    let taken = client.deliveries();
    client.ack(taken);
    assert!(client.get(CHANNEL, &name, true).unwrap().is_none());
    let expected = QueueCounts {
        publish: 3,
        deliver: 3,
        get: 1,
        get_empty: 1,
        redeliver: 1,
        ack: 3,
        disk_writes: 3,
        ..QueueCounts::default()
    };
    let vhost = node.vhost("/").unwrap();
    assert_eq!(
        vhost.queue("q").unwrap().look(|state| state.stats()),
        expected
    );
    client.delete_queue(&name, false, false).unwrap();
    assert_eq!(node.queue_counts()[&QueueType::Classic], expected);
    let churn = node.churn().counts();
    assert_eq!(
        (
            churn.queue_declared,
            churn.queue_created,
            churn.queue_deleted
        ),
        (1, 1, 1)
    );
    assert_eq!((churn.connection_created, churn.channel_created), (1, 1));
}

#[test]
fn bytes_with_consumers_are_known() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("q");
    client.send("", "q", &["four", "and more"]);
    client.consumer("q");
    let unacked = || {
        let queue = node.vhost("/").unwrap().queue("q").unwrap();
        queue.look(|state| state.unacked_bytes())
    };
    assert_eq!(unacked(), 12);
    let taken = client.deliveries();
    client.ack(taken);
    assert_eq!(unacked(), 0);
}

#[test]
fn an_exchange_counts_copies_and_what_no_queue_takes() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("x", "fanout");
    client.send("x", "", &["lost"]);
    for name in ["q", "r"] {
        client.queue(name);
        client.bind_queue("x", name, "");
    }
    let published = client.send("x", "", &["a", "b"]);
    assert_eq!((published.routed, published.dropped), (4, 0));
    let exchange = node.vhost("/").unwrap().exchange("x").unwrap();
    let expected = ExchangeCounts {
        publish_in: 3,
        publish_out: 4,
        unroutable: 0,
    };
    // Those of the helper are mandatory, and so returned; that they found no queue is counted all the same.
    assert_eq!(
        exchange.stats.counts(),
        ExchangeCounts {
            unroutable: 1,
            ..expected
        }
    );
}

#[test]
fn what_channels_have_done_stays_with_the_virtual_host() {
    let node = Node::new();
    let mut client = node.client();
    let stats = Arc::new(ChannelStats::default());
    client.counts(CHANNEL, &stats);
    stats.publish.add(5);
    let published = || {
        let traffic = node.connections().traffic();
        traffic[&VhostName::known("/")].messages.publish
    };
    assert_eq!(published(), 5);
    client.close_channel(CHANNEL, Vec::new());
    assert_eq!(published(), 5);
    drop(client);
    assert_eq!(published(), 5);
}

#[test]
fn limits_are_obeyed_and_survive_a_restart() {
    let node = Node::new();
    let (vhosts, users) = (node.limits(LimitKind::Vhost), node.limits(LimitKind::User));
    vhosts.set("/", "max-queues", 1);
    node.apply_queue_limits();
    users.set("guest", "max-channels", 1);
    let mut client = node.client();
    client.counts(CHANNEL, &Arc::default());
    client.queue("q");
    client.queue("q");
    let error = client.declare_queue(queue("r")).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "channel error 406: cannot declare queue 'r': queue limit in vhost '/' (1) is reached"
    );
    let error = client.open_channel(ChannelId(2)).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "connection error 530: number of channels opened for user 'guest' has reached the maximum allowed user limit of 1"
    );
    drop(client);
    users.set("guest", "max-connections", 0);
    let node = node.restarted();
    let refused = |node: &Node| {
        let mut client = node.stranger();
        client.login("PLAIN", b"\0guest\0guest", &Default::default());
        client
            .open(&VhostName::known("/"))
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        refused(&node),
        Err("connection error 530: connection refused for user 'guest': user connection limit (0) is reached".to_owned())
    );
    node.limits(LimitKind::User)
        .clear("guest", "max-connections");
    let limits = node.limits(LimitKind::Vhost);
    limits.set("/", "max-connections", 0);
    assert_eq!(
        refused(&node),
        Err("connection error 530: access to vhost '/' refused for user 'guest': connection limit (0) is reached".to_owned())
    );
    limits.set("/", "max-connections", -1);
    assert_eq!(refused(&node), Ok(()));
    assert_eq!(limits.of("/").len(), 2);
}

#[test]
fn limits_are_numbers_under_known_names() {
    let node = Node::new();
    let limits = node.limits(LimitKind::Vhost);
    assert_eq!(limits.judge("max-queues", &json!(7)), Ok(7));
    for (name, value) in [("max-channels", json!(1)), ("max-queues", json!("1"))] {
        let judged = limits.judge(name, &value);
        assert!(matches!(
            judged,
            Err(InvalidLimit::Unknown { .. } | InvalidLimit::NoNumber { .. })
        ));
    }
}
