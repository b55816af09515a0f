//! What an operator can set about a node.

use std::path::PathBuf;

use crate::auth::Credentials;
use crate::broker::AlarmOptions;
use crate::model::Permitted;
use crate::model::Release;
use crate::store::StoreOptions;
use crate::vhost::QueueDefaults;

/// Options of a [`Broker`](crate::broker::Broker).
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Where everything durable lives.
    pub data_dir: PathBuf,
    /// Options of the store.
    pub store: StoreOptions,
    /// `product` in the server properties; clients and frameworks branch on it.
    pub product: String,
    /// `version` in the server properties; likewise.
    pub version: String,
    /// `cluster_name` in the server properties.
    pub cluster_name: String,
    /// SASL mechanisms offered.
    pub auth_mechanisms: Vec<String>,
    /// Who a client is that logs in with the mechanism ANONYMOUS.
    pub anonymous: Credentials,
    /// User made at first start.
    pub default_user: String,
    /// Their password.
    pub default_pass: String,
    /// Virtual host made at first start.
    pub default_vhost: String,
    /// User and virtual host are made: nobody brings definitions of their own.
    pub seeded: bool,
    /// Users who may only connect from a loopback address.
    pub loopback_users: Vec<String>,
    /// Connections the node takes; `None` is unlimited.
    pub connection_max: Option<u64>,
    /// There is an exchange `amq.rabbitmq.log` in the default virtual host, for [`Broker::publish_log`].
    ///
    /// [`Broker::publish_log`]: crate::broker::Broker::publish_log
    pub log_exchange: bool,
    /// Bytes of deliveries that may wait for one connection.
    pub outbox_bytes_max: usize,
    /// Bytes of memory that the messages of all queues may hold; more of them go to the disk.
    pub queue_memory_bytes: u64,
    /// What queues do whose arguments do not say.
    pub queue_defaults: QueueDefaults,
    /// Whose rules hold where the release series of RabbitMQ differ.
    pub release: Release,
    /// What of what RabbitMQ is about to drop may be used.
    pub permitted: Permitted,
    /// When publishers are held back, for want of memory or disk.
    pub alarms: AlarmOptions,
}
