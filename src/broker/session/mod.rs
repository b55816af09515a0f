//! What the broker does for one connection: the [`Host`] of its machine.
//!
//! Checks rights, finds exchanges and queues, remembers routes, and keeps what must end with the connection. It does not
//! know delivery tags, frames or sockets. One connection's task owns it.

mod consume;
mod consumer_arguments;
mod declare;
mod events;
mod exclusive;
mod firehose;
mod judge;
mod limits;
mod lines;
mod login;
mod publish;
mod reply;
mod settle;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::FieldTable;

use crate::auth::Right;
use crate::auth::User;
use crate::broker::Broker;
use crate::broker::ConnectionInfo;
use crate::broker::Settled;
use crate::connection::host::Bind;
use crate::connection::host::Consume;
use crate::connection::host::ExchangeDeclare;
use crate::connection::host::Failure;
use crate::connection::host::Got;
use crate::connection::host::Host;
use crate::connection::host::Login;
use crate::connection::host::Publish;
use crate::connection::host::Published;
use crate::connection::host::QueueDeclare;
use crate::connection::host::QueueDeclared;
use crate::connection::host::Settle;
use crate::connection::host::Staged;
use crate::connection::host::TxStep;
use crate::metrics::ChannelStats;
use crate::metrics::ConnectionStats;
use crate::metrics::Messages;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ConnectionId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::Outbox;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::VhostName;
use crate::model::outbox::Parcel;
use crate::queue::ChannelLimit;
use crate::routing::Kind;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;
use events::Told;
use exclusive::Exclusive;
pub use lines::LastLine;
use publish::RouteCache;
use reply::ReplyConsumer;
use settle::Fate;

struct Channel {
    limit: Arc<ChannelLimit>,
    consumers: Vec<ConsumerId>,
    /// Consumers with smaller ids were on an earlier channel of the same number.
    first_consumer: ConsumerId,
    /// It consumes from the direct reply-to.
    replies: Option<ReplyConsumer>,
}

/// See the module's documentation.
pub struct Session {
    broker: Arc<Broker>,
    id: ConnectionId,
    peer: SocketAddr,
    /// Where the peer connected to.
    local: Option<SocketAddr>,
    outbox: Arc<Outbox>,
    now: u64,
    user: Option<Arc<User>>,
    client_name: Option<String>,
    vhost: Option<Arc<Vhost>>,
    settled: Settled,
    stats: Arc<ConnectionStats>,
    /// As others see this connection, once it is open.
    shown: Option<Arc<ConnectionInfo>>,
    channels: HashMap<ChannelId, Channel>,
    consumers: HashMap<ConsumerId, (ConsumerTag, Arc<QueueHandle>)>,
    told: Option<Box<Told>>,
    exclusive: Exclusive,
    /// Queues that deliveries came from, so that settling needs no shared map.
    delivering: HashMap<QueueId, Arc<QueueHandle>>,
    routes: RouteCache,
    publishes: bool,
    /// Queues that have the connection wait, and until when they may.
    paused_by: Vec<Arc<QueueHandle>>,
    paused_until: u64,
    closed: bool,
}

impl Session {
    /// A session for a connection from `peer`.
    pub fn new(broker: Arc<Broker>, peer: SocketAddr) -> Self {
        let outbox = Arc::new(Outbox::new(broker.options.outbox_bytes_max));
        Self {
            id: broker.new_connection_id(),
            broker,
            peer,
            local: None,
            outbox,
            now: 0,
            user: None,
            client_name: None,
            vhost: None,
            settled: Settled::default(),
            stats: Arc::default(),
            shown: None,
            channels: HashMap::new(),
            consumers: HashMap::new(),
            told: None,
            exclusive: Exclusive::default(),
            delivering: HashMap::new(),
            routes: RouteCache::default(),
            publishes: false,
            paused_by: Vec::new(),
            paused_until: 0,
            closed: false,
        }
    }

    /// Tells which of the node's addresses the peer connected to.
    pub fn set_local(&mut self, local: SocketAddr) {
        self.local = Some(local);
    }

    /// What the connection is called, such as `10.0.0.7:51422 -> 10.0.0.1:5672`.
    pub fn name(&self) -> String {
        let canonical = |address: SocketAddr| {
            SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
        };
        match self.local {
            Some(local) => format!("{} -> {}", canonical(self.peer), canonical(local)),
            None => canonical(self.peer),
        }
    }

    /// Its connection's id.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Where the broker leaves things for the connection.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The time for everything until the next call: milliseconds since the Unix epoch. One clock read for a batch.
    pub fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// Whether the connection has published anything that goes to disk: such connections wait when the disk is behind.
    pub fn publishes(&self) -> bool {
        self.publishes
    }

    /// Who logged in; empty before.
    pub fn user_name(&self) -> &str {
        self.user.as_ref().map_or("", |user| user.name())
    }

    /// The open virtual host; empty before.
    pub fn vhost_name(&self) -> &str {
        self.vhost.as_ref().map_or("", |vhost| vhost.name())
    }

    /// What the client calls its connection.
    pub fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    /// What the connection counts; its task does.
    pub fn stats(&self) -> &Arc<ConnectionStats> {
        &self.stats
    }

    /// Swaps out what was left for the connection.
    pub fn take_parcels(&mut self, parcels: &mut Vec<Parcel>) {
        self.outbox.take(parcels);
        self.trace_parcels(parcels);
        for parcel in parcels {
            if let Parcel::ConsumerCancelled { channel, consumer } = parcel {
                self.forget_consumer(*channel, *consumer);
            }
        }
        // A queue may have found no room just before there was some, and left its note just after.
        self.resume_stalled();
    }

    /// Bytes of deliveries have left for the peer: queues that waited for room deliver again.
    pub fn delivered(&mut self, bytes: usize) {
        self.outbox.release(bytes);
        self.resume_stalled();
    }

    /// Becomes a session of a user who acts without a connection, on one channel. Nobody is told of either.
    pub(super) fn become_acting(&mut self, user: Arc<User>, vhost: Arc<Vhost>, channel: ChannelId) {
        self.user = Some(user);
        self.vhost = Some(vhost);
        let opened = self.new_channel();
        self.channels.insert(channel, opened);
        self.closed = true;
    }

    /// The end of that; these messages were passed.
    pub(super) fn stop_acting(&mut self, messages: Messages) {
        self.end_pause();
        self.channels.clear();
        if let Some(vhost) = &self.vhost
            && messages != Messages::default()
        {
            self.broker.connections.add_traffic(vhost.name(), messages);
        }
    }

    fn new_channel(&self) -> Channel {
        Channel {
            limit: Arc::default(),
            consumers: Vec::new(),
            first_consumer: self.broker.new_consumer_id(),
            replies: None,
        }
    }

    #[cfg(test)]
    pub(super) fn exclusive_count(&self) -> usize {
        self.exclusive.len()
    }

    fn resume_stalled(&mut self) {
        for id in self.outbox.take_stalled() {
            self.resume(id);
        }
    }

    fn resume(&mut self, queue: QueueId) {
        if let Some(queue) = self.queue_by_id(queue) {
            let (outbox, now) = (&self.outbox, self.now);
            queue.enter(|state, records| state.resume(outbox, now, records));
        }
    }

    fn queue_by_id(&mut self, id: QueueId) -> Option<Arc<QueueHandle>> {
        if let Some(queue) = self.delivering.get(&id) {
            return Some(Arc::clone(queue));
        }
        let queue = self
            .broker
            .shared
            .queues
            .get(&id)
            .map(|queue| Arc::clone(&queue))?;
        self.remember_queue(Arc::clone(&queue));
        Some(queue)
    }

    fn vhost(&self) -> Result<Arc<Vhost>, AmqpError> {
        let vhost = self.vhost.as_ref().map(Arc::clone);
        vhost.ok_or_else(|| AmqpError::not_allowed("no virtual host is open"))
    }

    /// 403 unless the user has `right` on what is called `name`; `resource` is its description in error texts.
    fn check(&self, right: Right, name: &str, resource: &str) -> Result<(), AmqpError> {
        let (Some(user), Some(vhost)) = (&self.user, &self.vhost) else {
            return Err(AmqpError::access_refused("not logged in"));
        };
        if self
            .broker
            .access
            .check(user.name(), vhost.name(), right, name)
        {
            return Ok(());
        }
        Err(AmqpError::access_refused(format!(
            "{} access to {resource} refused for user '{}'",
            right,
            user.name()
        )))
    }

    /// 403 unless the user may use the routing key with the exchange: only topic exchanges have such rights.
    fn check_topic_right(
        &self,
        right: Right,
        exchange: &Exchange,
        key: &str,
    ) -> Result<(), AmqpError> {
        let (Some(user), Some(vhost)) = (&self.user, &self.vhost) else {
            return Err(AmqpError::access_refused("not logged in"));
        };
        let access = &self.broker.access;
        let name = &exchange.name;
        if exchange.kind != Kind::Topic
            || access.check_topic(user.name(), vhost.name(), right, name, key)
        {
            return Ok(());
        }
        Err(AmqpError::access_refused(format!(
            "{right} access to topic '{key}' in {} refused for user '{}'",
            vhost.exchange_resource(name),
            user.name()
        )))
    }

    fn check_queue_right(&self, right: Right, queue: &str) -> Result<(), AmqpError> {
        self.check(right, queue, &self.vhost()?.queue_resource(queue))
    }

    fn check_exchange_right(&self, right: Right, exchange: &str) -> Result<(), AmqpError> {
        let shown = if exchange.is_empty() {
            "amq.default"
        } else {
            exchange
        };
        self.check(right, shown, &self.vhost()?.exchange_resource(shown))
    }
}

impl Host for Session {
    fn server_properties(&self) -> FieldTable {
        login::server_properties(&self.broker.options, &self.broker.cluster_name())
    }

    fn mechanisms(&self) -> Vec<String> {
        self.broker.options.auth_mechanisms.clone()
    }

    fn login(&mut self, mechanism: &str, response: &[u8], client_properties: &FieldTable) -> Login {
        self.log_in(mechanism, response, client_properties)
    }

    fn open(&mut self, vhost: &VhostName) -> Result<(), AmqpError> {
        self.open_vhost(vhost)?;
        self.tell_opened();
        Ok(())
    }

    fn failed(&mut self, failure: &Failure<'_>) {
        self.log_failure(failure);
    }

    fn tuned(&mut self, channel_max: u16, frame_max: u32, heartbeat: u16) {
        self.settled.channel_max = channel_max;
        self.settled.frame_max = frame_max;
        self.settled.heartbeat = heartbeat;
        self.tell_tuned(channel_max, frame_max, heartbeat);
    }

    fn close(&mut self) -> Lsn {
        self.end()
    }

    fn open_channel(&mut self, channel: ChannelId) -> Result<(), AmqpError> {
        self.check_channel_limits()?;
        let opened = self.new_channel();
        self.channels.insert(channel, opened);
        self.broker.shared.churn.channel_created.add(1);
        self.tell_channel_opened(channel);
        Ok(())
    }

    fn counts(&mut self, channel: ChannelId, stats: &Arc<ChannelStats>) {
        if let Some(shown) = &self.shown {
            shown.add_channel(channel, Arc::clone(stats), self.now);
        }
    }

    fn close_channel(&mut self, channel: ChannelId, unacked: Vec<Delivered>) {
        self.end_channel(channel, unacked);
    }

    fn declare_exchange(&mut self, declare: ExchangeDeclare) -> Result<Lsn, AmqpError> {
        let answer = self.exchange_declare(declare);
        self.tell_changes();
        answer
    }

    fn check_exchange(&mut self, exchange: &ExchangeName) -> Result<(), AmqpError> {
        self.exchange_check(exchange)
    }

    fn delete_exchange(
        &mut self,
        exchange: &ExchangeName,
        if_unused: bool,
    ) -> Result<Lsn, AmqpError> {
        let answer = self.exchange_delete(exchange, if_unused);
        self.tell_changes();
        answer
    }

    fn declare_queue(&mut self, declare: QueueDeclare) -> Result<QueueDeclared, AmqpError> {
        let answer = self.queue_declare(declare);
        self.tell_changes();
        answer
    }

    fn check_queue(&mut self, queue: &QueueName) -> Result<QueueDeclared, AmqpError> {
        self.queue_check(queue)
    }

    fn delete_queue(
        &mut self,
        queue: &QueueName,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(u64, Lsn), AmqpError> {
        let answer = self.queue_delete(queue, if_unused, if_empty);
        self.tell_changes();
        answer
    }

    fn purge_queue(&mut self, queue: &QueueName) -> Result<(u64, Lsn), AmqpError> {
        self.queue_purge(queue)
    }

    fn bind(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        let answer = self.binding_add(bind);
        self.tell_changes();
        answer
    }

    fn unbind(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        let answer = self.binding_remove(bind);
        self.tell_changes();
        answer
    }

    fn publish(&mut self, channel: ChannelId, publish: Publish) -> Result<Published, AmqpError> {
        self.publish_run(channel, &publish)
    }

    fn stage(&mut self, channel: ChannelId, publish: Publish) -> Result<Staged, AmqpError> {
        self.stage_publish(channel, publish)
    }

    fn commit(
        &mut self,
        channel: ChannelId,
        steps: Vec<TxStep>,
    ) -> Result<Vec<Published>, AmqpError> {
        self.commit_steps(channel, steps)
    }

    fn limit_channel(&mut self, channel: ChannelId, prefetch: u16) {
        self.channel_limit(channel, prefetch);
    }

    fn consume(&mut self, channel: ChannelId, consume: Consume) -> Result<ConsumerId, AmqpError> {
        self.consumer_add(channel, consume)
    }

    fn cancel(&mut self, channel: ChannelId, consumer: ConsumerId) {
        self.consumer_remove(channel, consumer);
        self.tell_consequences();
    }

    fn get(
        &mut self,
        channel: ChannelId,
        queue: &QueueName,
        no_ack: bool,
    ) -> Result<Option<Got>, AmqpError> {
        let got = self.get_one(queue, no_ack)?;
        if let Some(got) = &got {
            self.trace_delivered(channel, &got.range);
        }
        Ok(got)
    }

    fn consumer_timeout(&mut self, queue: QueueId) -> Option<Duration> {
        self.acknowledgement_timeout(queue)
    }

    fn settle(&mut self, channel: ChannelId, settle: Settle, ranges: Vec<Delivered>) {
        self.settle_ranges(channel, Fate::Settled(settle), ranges);
    }
}
