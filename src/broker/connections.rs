//! The node's client connections: who is there, what they do, and how to reach them.
//!
//! What ends leaves its counters with its virtual host, so that totals never fall.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use dashmap::DashMap;
use parking_lot::Mutex;

use crate::metrics::ChannelStats;
use crate::metrics::ConnectionStats;
use crate::metrics::Messages;
use crate::model::Arguments;
use crate::model::ChannelId;
use crate::model::ConnectionId;
use crate::model::ConsumerId;
use crate::model::ConsumerTag;
use crate::model::Outbox;
use crate::model::QueueName;
use crate::model::ReplyCode;
use crate::model::UserName;
use crate::model::VhostName;
use crate::model::outbox::Parcel;

/// An open connection.
pub struct ConnectionInfo {
    /// Its id.
    pub id: ConnectionId,
    /// What it is called, such as `10.0.0.7:51422 -> 10.0.0.1:5672`.
    pub title: String,
    /// The client's address.
    pub peer: SocketAddr,
    /// Which of the node's addresses it came to.
    pub local: Option<SocketAddr>,
    /// Who logged in.
    pub user: UserName,
    /// Where.
    pub vhost: VhostName,
    /// `connection_name` of the client's properties.
    pub name: Option<String>,
    /// What it said of itself and settled before it was open.
    pub settled: Settled,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub connected_at: u64,
    /// How to reach it.
    pub outbox: Arc<Outbox>,
    /// What it counts.
    pub stats: Arc<ConnectionStats>,
    pub(super) channels: Mutex<BTreeMap<ChannelId, Arc<ChannelInfo>>>,
}

/// What a connection and the node agreed upon.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// SASL mechanism.
    pub mechanism: String,
    /// The client's properties.
    pub client_properties: FieldTable,
    /// Channels; 0 is as many as there are numbers.
    pub channel_max: u16,
    /// Octets of a frame; 0 is any.
    pub frame_max: u32,
    /// Seconds between heartbeats; 0 is none.
    pub heartbeat: u16,
}

/// An open channel.
pub struct ChannelInfo {
    /// Its number.
    pub number: ChannelId,
    /// What it counts.
    pub stats: Arc<ChannelStats>,
    /// What [`ChannelStats::used_second`] counts from, in milliseconds since the Unix epoch.
    began: u64,
    consumers: Mutex<Vec<Arc<ConsumerInfo>>>,
}

/// A consumer.
#[derive(Debug)]
pub struct ConsumerInfo {
    /// Its id.
    pub id: ConsumerId,
    /// Its tag.
    pub tag: ConsumerTag,
    /// What it consumes.
    pub queue: QueueName,
    /// It does not acknowledge.
    pub no_ack: bool,
    /// It is alone.
    pub exclusive: bool,
    /// Unacknowledged messages it may hold; 0 is any number.
    pub prefetch: u16,
    /// Its arguments.
    pub arguments: Arguments,
}

impl ConnectionInfo {
    pub(super) fn new(
        id: ConnectionId,
        user: UserName,
        vhost: VhostName,
        peer: SocketAddr,
        outbox: Arc<Outbox>,
    ) -> Self {
        Self {
            id,
            title: String::new(),
            peer,
            local: None,
            user,
            vhost,
            name: None,
            settled: Settled::default(),
            connected_at: 0,
            outbox,
            stats: Arc::default(),
            channels: Mutex::default(),
        }
    }

    /// Its channels, by number.
    pub fn channels(&self) -> Vec<Arc<ChannelInfo>> {
        self.channels.lock().values().cloned().collect()
    }

    /// How many channels it has.
    pub fn channel_count(&self) -> usize {
        self.channels.lock().len()
    }

    /// RabbitMQ's word for how it is; `alarm` tells whether one is up.
    pub fn state(&self, alarm: bool) -> &'static str {
        if self.stats.blocked.get() != 0 {
            "blocked"
        } else if alarm {
            "blocking"
        } else if self.stats.held_back.get() != 0 {
            "flow"
        } else {
            "running"
        }
    }

    /// What a channel is called.
    pub fn channel_title(&self, channel: ChannelId) -> String {
        format!("{} ({})", self.title, channel.0)
    }

    /// A channel is opened at `now`.
    pub(super) fn add_channel(&self, number: ChannelId, stats: Arc<ChannelStats>, now: u64) {
        let channel = ChannelInfo {
            number,
            began: now.saturating_sub(stats.used_second.get() * 1000),
            stats,
            consumers: Mutex::default(),
        };
        self.channels.lock().insert(number, Arc::new(channel));
    }

    pub(super) fn add_consumer(&self, channel: ChannelId, consumer: ConsumerInfo) {
        if let Some(channel) = self.channels.lock().get(&channel) {
            channel.consumers.lock().push(Arc::new(consumer));
        }
    }

    pub(super) fn remove_consumer(&self, channel: ChannelId, consumer: ConsumerId) {
        if let Some(channel) = self.channels.lock().get(&channel) {
            channel.consumers.lock().retain(|info| info.id != consumer);
        }
    }
}

impl ChannelInfo {
    /// Since when it has not been used, in milliseconds since the Unix epoch: the end of the second in which it was.
    pub fn idle_since(&self) -> u64 {
        self.began + (self.stats.used_second.get() + 1) * 1000
    }

    /// Its consumers, oldest first.
    pub fn consumers(&self) -> Vec<Arc<ConsumerInfo>> {
        self.consumers.lock().clone()
    }

    /// How many consumers it has.
    pub fn consumer_count(&self) -> usize {
        self.consumers.lock().len()
    }
}

/// What the clients of a virtual host have done since the node started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Messages.
    pub messages: Messages,
    /// Octets that came.
    pub received_bytes: u64,
    /// Octets that went.
    pub sent_bytes: u64,
}

/// All connections that are open (past `connection.open`).
#[derive(Default)]
pub struct Connections {
    open: DashMap<ConnectionId, Arc<ConnectionInfo>>,
    /// What those have done that are not there any more. Held while something goes from the ones to the others, so that who
    /// sums up sees everything once.
    past: Mutex<HashMap<VhostName, Traffic>>,
}

impl Connections {
    pub(super) fn add(&self, info: Arc<ConnectionInfo>) {
        self.open.insert(info.id, info);
    }

    pub(super) fn remove(&self, id: ConnectionId) {
        let mut past = self.past.lock();
        if let Some((_, info)) = self.open.remove(&id) {
            let traffic = past.entry(info.vhost.clone()).or_default();
            traffic.received_bytes += info.stats.received_bytes.get();
            traffic.sent_bytes += info.stats.sent_bytes.get();
            for channel in std::mem::take(&mut *info.channels.lock()).into_values() {
                traffic.messages += channel.stats.messages();
            }
        }
    }

    /// A channel has ended.
    pub(super) fn remove_channel(&self, info: &ConnectionInfo, channel: ChannelId) {
        let mut past = self.past.lock();
        if let Some(channel) = info.channels.lock().remove(&channel) {
            let traffic = past.entry(info.vhost.clone()).or_default();
            traffic.messages += channel.stats.messages();
        }
    }

    /// What somebody without a connection has done.
    pub(super) fn add_traffic(&self, vhost: &VhostName, messages: Messages) {
        let mut past = self.past.lock();
        past.entry(vhost.clone()).or_default().messages += messages;
    }

    /// The virtual host is gone, and what was done in it forgotten.
    pub(super) fn forget(&self, vhost: &str) {
        self.past.lock().remove(vhost);
    }

    /// What clients have done, by virtual host. Those in which nobody has done anything are missing.
    pub fn traffic(&self) -> HashMap<VhostName, Traffic> {
        let past = self.past.lock();
        let mut all = past.clone();
        for info in &self.open {
            let traffic = all.entry(info.vhost.clone()).or_default();
            traffic.received_bytes += info.stats.received_bytes.get();
            traffic.sent_bytes += info.stats.sent_bytes.get();
            for channel in info.channels.lock().values() {
                traffic.messages += channel.stats.messages();
            }
        }
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many there are of those that `choose` picks.
    pub fn count(&self, choose: impl Fn(&ConnectionInfo) -> bool) -> u64 {
        self.open.iter().filter(|info| choose(info)).count() as u64
    }

    /// All, in no order.
    pub fn list(&self) -> Vec<Arc<ConnectionInfo>> {
        self.open.iter().map(|info| Arc::clone(&info)).collect()
    }

    /// The one with that title.
    pub fn find(&self, title: &str) -> Option<Arc<ConnectionInfo>> {
        let found = self.open.iter().find(|info| info.title == title)?;
        Some(Arc::clone(&found))
    }

    /// The one with that id.
    pub fn get(&self, id: ConnectionId) -> Option<Arc<ConnectionInfo>> {
        let found = self.open.get(&id)?;
        Some(Arc::clone(&found))
    }

    /// Leaves a parcel for every connection that `choose` picks.
    pub fn tell(&self, choose: impl Fn(&ConnectionInfo) -> bool, parcel: impl Fn() -> Parcel) {
        for info in self.list() {
            if choose(&info) {
                info.outbox.push(parcel());
            }
        }
    }

    /// Asks every chosen connection to close.
    pub fn close(
        &self,
        choose: impl Fn(&ConnectionInfo) -> bool,
        code: ReplyCode,
        text: impl Into<Cow<'static, str>>,
    ) {
        let text = text.into();
        self.tell(choose, || Parcel::Close {
            code,
            text: text.clone(),
        });
    }
}
