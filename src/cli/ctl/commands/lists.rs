//! What there is in a virtual host and on the node, in columns.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::tool::Tool;

const QUEUE: &[&str] = &[
    "name",
    "durable",
    "auto_delete",
    "arguments",
    "policy",
    "operator_policy",
    "effective_policy_definition",
    "pid",
    "owner_pid",
    "exclusive",
    "exclusive_consumer_pid",
    "exclusive_consumer_tag",
    "messages_ready",
    "messages_unacknowledged",
    "messages",
    "messages_ready_ram",
    "messages_unacknowledged_ram",
    "messages_ram",
    "message_bytes",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "message_bytes_ram",
    "head_message_timestamp",
    "disk_reads",
    "disk_writes",
    "consumers",
    "consumer_utilisation",
    "consumer_capacity",
    "memory",
    "state",
    "type",
    "leader",
    "members",
    "online",
    "slave_pids",
    "synchronised_slave_pids",
    "mirror_pids",
];

const EXCHANGE: &[&str] = &[
    "name",
    "type",
    "durable",
    "auto_delete",
    "internal",
    "arguments",
    "policy",
];

const BINDING: &[&str] = &[
    "source_name",
    "source_kind",
    "destination_name",
    "destination_kind",
    "routing_key",
    "arguments",
];

const CONNECTION: &[&str] = &[
    "pid",
    "name",
    "user_provided_name",
    "port",
    "host",
    "peer_port",
    "peer_host",
    "ssl",
    "state",
    "channels",
    "protocol",
    "auth_mechanism",
    "user",
    "vhost",
    "timeout",
    "frame_max",
    "channel_max",
    "client_properties",
    "recv_oct",
    "recv_cnt",
    "send_oct",
    "send_cnt",
    "send_pend",
    "connected_at",
];

const CHANNEL: &[&str] = &[
    "pid",
    "connection",
    "name",
    "number",
    "user",
    "vhost",
    "transactional",
    "confirm",
    "consumer_count",
    "messages_unacknowledged",
    "messages_uncommitted",
    "acks_uncommitted",
    "messages_unconfirmed",
    "prefetch_count",
    "global_prefetch_count",
];

const CONSUMER: &[&str] = &[
    "queue_name",
    "channel_pid",
    "consumer_tag",
    "ack_required",
    "prefetch_count",
    "active",
    "arguments",
    "activity_status",
];

/// List queues.
#[derive(Args, Default)]
pub(super) struct ListQueues {
    /// Only those that are up, which all are
    #[arg(long)]
    online: bool,
    /// Only those that are down: none
    #[arg(long)]
    offline: bool,
    /// Only those of this node, which all are
    #[arg(long)]
    local: bool,
    /// Such as name, messages, consumers, memory, policy [default: name messages]
    columns: Vec<String>,
}

impl Run for ListQueues {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let timeout = format!("Timeout: {}.0 seconds ...", tool.seconds(60));
        let banner = format!("Listing queues for vhost {vhost} ...");
        // All of one node are up.
        let operation = match self.offline {
            true => Operation::ListNothing,
            false => Operation::ListQueues { vhost },
        };
        let usual = ["name", "messages"];
        tool.list(
            &[&timeout, &banner],
            operation,
            &self.columns,
            &usual,
            QUEUE,
        )
    }
}

/// List queues that do not answer: none.
#[derive(Args)]
pub(super) struct ListUnresponsiveQueues {
    /// As in list_queues [default: name]
    columns: Vec<String>,
}

impl Run for ListUnresponsiveQueues {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Listing unresponsive queues for vhost {} ...", tool.vhost());
        let asked = &self.columns;
        tool.list(&[&banner], Operation::ListNothing, asked, &["name"], QUEUE)
    }
}

/// List exchanges.
#[derive(Args, Default)]
pub(super) struct ListExchanges {
    /// name, type, durable, auto_delete, internal, arguments, policy [default: name type]
    columns: Vec<String>,
}

impl Run for ListExchanges {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!("Listing exchanges for vhost {vhost} ...");
        let operation = Operation::ListExchanges { vhost };
        let usual = ["name", "type"];
        tool.list(&[&banner], operation, &self.columns, &usual, EXCHANGE)
    }
}

/// List bindings.
#[derive(Args, Default)]
pub(super) struct ListBindings {
    /// source_name, source_kind, destination_name, destination_kind, routing_key, arguments [default: all]
    columns: Vec<String>,
}

impl Run for ListBindings {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!("Listing bindings for vhost {vhost}...");
        let operation = Operation::ListBindings { vhost };
        tool.list(&[&banner], operation, &self.columns, BINDING, BINDING)
    }
}

/// List connections.
#[derive(Args, Default)]
pub(super) struct ListConnections {
    /// Such as pid, name, user, vhost, state, channels, recv_oct [default: user peer_host peer_port state]
    columns: Vec<String>,
}

impl Run for ListConnections {
    fn run(self, tool: &Tool) -> Outcome {
        let usual = ["user", "peer_host", "peer_port", "state"];
        let (banner, operation) = (["Listing connections ..."], Operation::ListConnections);
        tool.list(&banner, operation, &self.columns, &usual, CONNECTION)
    }
}

/// List channels.
#[derive(Args, Default)]
pub(super) struct ListChannels {
    /// Such as pid, connection, number, vhost, prefetch_count [default: pid user consumer_count messages_unacknowledged]
    columns: Vec<String>,
}

impl Run for ListChannels {
    fn run(self, tool: &Tool) -> Outcome {
        let usual = ["pid", "user", "consumer_count", "messages_unacknowledged"];
        let (banner, operation) = (["Listing channels ..."], Operation::ListChannels);
        tool.list(&banner, operation, &self.columns, &usual, CHANNEL)
    }
}

/// List consumers.
#[derive(Args)]
pub(super) struct ListConsumers {
    /// Such as queue_name, consumer_tag, ack_required, prefetch_count
    columns: Vec<String>,
}

impl Run for ListConsumers {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!("Listing consumers in vhost {vhost} ...");
        let operation = Operation::ListConsumers { vhost };
        let asked = &self.columns;
        tool.list(&[&banner], operation, asked, &CONSUMER[..7], CONSUMER)
    }
}
