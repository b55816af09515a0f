//! What this connection tells as events: its own beginning and end, its channels and consumers, logins, and what it has
//! changed.

use std::net::IpAddr;

use amq_protocol::types::FieldTable;

use crate::broker::Session;
use crate::broker::events::INTERNAL_USER;
use crate::broker::events::arguments;
use crate::broker::events::resource;
use crate::broker::events::terms;
use crate::connection::host::Consume;
use crate::model::ChannelId;
use crate::protocol::raw_table::RawTable;

/// What only the connection's machine knows; kept for events while somebody listens to them.
#[derive(Default)]
pub(super) struct Told {
    mechanism: String,
    client_properties: Vec<String>,
    channel_max: u16,
    frame_max: u32,
    heartbeat: u16,
}

impl Session {
    /// The user of this connection has changed something.
    pub(super) fn tell_changes(&self) {
        self.broker.tell_changes(self.user_name(), self.now);
    }

    /// Something has changed because of this connection, which nobody asked for.
    pub(super) fn tell_consequences(&self) {
        self.broker.tell_changes(INTERNAL_USER, self.now);
    }

    pub(super) fn tell_login(
        &mut self,
        user: &str,
        mechanism: &str,
        client_properties: &FieldTable,
        refusal: Option<&str>,
    ) {
        if !self.broker.shared.events.wanted() {
            return;
        }
        self.told = Some(Box::new(Told {
            mechanism: mechanism.to_owned(),
            client_properties: terms(client_properties),
            ..Told::default()
        }));
        let key = match refusal {
            Some(_) => "user.authentication.failure",
            None => "user.authentication.success",
        };
        self.broker.event(key, self.now, |table| {
            if let Some(why) = refusal {
                // An Erlang string is a list of numbers.
                table.longs("error", why.chars().map(|c| i64::from(u32::from(c))));
            }
            table.flag("ssl", false);
            table.text("auth_mechanism", mechanism.as_bytes());
            table.text("protocol", b"{0,9,1}");
            table.long("peer_port", self.peer.port().into());
            table.text("peer_host", host(self.peer.ip()).as_bytes());
            table.text("connection_name", self.name().as_bytes());
            let local = self.local.map(|local| host(local.ip()));
            table.text("host", local.unwrap_or_default().as_bytes());
            table.text("name", user.as_bytes());
            table.text("connection_type", b"network");
        });
    }

    pub(super) fn tell_tuned(&mut self, channel_max: u16, frame_max: u32, heartbeat: u16) {
        if let Some(told) = &mut self.told {
            told.channel_max = channel_max;
            told.frame_max = frame_max;
            told.heartbeat = heartbeat;
        }
    }

    pub(super) fn tell_opened(&mut self) {
        if !self.broker.shared.events.wanted() {
            return;
        }
        self.told.get_or_insert_default();
        let Some(told) = &self.told else { return };
        self.told_by("connection.created", |table| {
            table.text("node", self.broker.options.cluster_name.as_bytes());
            table.long("connected_at", i64::try_from(self.now).unwrap_or(i64::MAX));
            table.texts("client_properties", &told.client_properties);
            table.long("channel_max", told.channel_max.into());
            table.long("frame_max", told.frame_max.into());
            table.long("timeout", told.heartbeat.into());
            table.text("vhost", self.vhost_name().as_bytes());
            table.text("user", self.user_name().as_bytes());
            table.text("protocol", b"{0,9,1}");
            for key in ["ssl_hash", "ssl_cipher", "ssl_key_exchange", "ssl_protocol"] {
                table.text(key, b"");
            }
            table.text("auth_mechanism", told.mechanism.as_bytes());
            for key in [
                "peer_cert_validity",
                "peer_cert_issuer",
                "peer_cert_subject",
            ] {
                table.text(key, b"");
            }
            table.flag("ssl", false);
            table.text("peer_host", host(self.peer.ip()).as_bytes());
            let local = self.local.map(|local| host(local.ip()));
            table.text("host", local.unwrap_or_default().as_bytes());
            table.long("peer_port", self.peer.port().into());
            table.long("port", self.local.map_or(0, |local| local.port()).into());
            table.text("name", self.name().as_bytes());
            table.text("pid", self.broker.connection_pid(self.id).as_bytes());
            table.text("type", b"network");
            self.provided_name(table);
        });
    }

    pub(super) fn tell_closed(&self) {
        // Who never tried to log in was no connection.
        if self.told.is_none() && self.vhost.is_none() {
            return;
        }
        let properties = self.told.as_ref().map(|told| &told.client_properties[..]);
        self.broker.event("connection.closed", self.now, |table| {
            table.texts("client_properties", properties.unwrap_or_default());
            table.text("node", self.broker.options.cluster_name.as_bytes());
            table.text("pid", self.broker.connection_pid(self.id).as_bytes());
            table.text("name", self.name().as_bytes());
            self.provided_name(table);
        });
    }

    pub(super) fn tell_channel_opened(&self, channel: ChannelId) {
        self.told_by("channel.created", |table| {
            table.text("vhost", self.vhost_name().as_bytes());
            table.text("user", self.user_name().as_bytes());
            table.long("number", channel.0.into());
            let connection = self.broker.connection_pid(self.id);
            table.text("connection", connection.as_bytes());
            let name = format!("{} ({})", self.name(), channel.0);
            table.text("name", name.as_bytes());
            table.text("pid", self.channel_pid(channel).as_bytes());
        });
    }

    pub(super) fn tell_channel_closed(&self, channel: ChannelId, consumers: usize) {
        self.broker.event("channel.closed", self.now, |table| {
            table.long("consumer_count", i64::try_from(consumers).unwrap_or(0));
            table.text("user_who_performed_action", self.user_name().as_bytes());
            table.text("pid", self.channel_pid(channel).as_bytes());
        });
    }

    pub(super) fn tell_consumer(&self, channel: ChannelId, consumer: &Consume) {
        self.told_by("consumer.created", |table| {
            arguments(table, "arguments", consumer.arguments.table());
            table.long("prefetch_count", consumer.prefetch.into());
            resource(table, "queue", &consumer.queue, self.vhost_name());
            table.text("channel", self.channel_pid(channel).as_bytes());
            table.flag("ack_required", !consumer.no_ack);
            table.flag("exclusive", consumer.exclusive);
            table.text("consumer_tag", consumer.tag.as_bytes());
        });
    }

    pub(super) fn tell_consumer_gone(&self, channel: ChannelId, tag: &str, queue: &str) {
        self.told_by("consumer.deleted", |table| {
            resource(table, "queue", queue, self.vhost_name());
            table.text("channel", self.channel_pid(channel).as_bytes());
            table.text("consumer_tag", tag.as_bytes());
        });
    }

    fn told_by(&self, key: &str, headers: impl FnOnce(&mut RawTable)) {
        let user = self.user_name();
        self.broker.event_by(user, key, self.now, headers);
    }

    fn channel_pid(&self, channel: ChannelId) -> String {
        self.broker.channel_pid(self.id, channel)
    }

    fn provided_name(&self, table: &mut RawTable) {
        if let Some(name) = &self.client_name {
            table.text("user_provided_name", name.as_bytes());
        }
    }
}

/// An address as Erlang shows it.
fn host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{{{a},{b},{c},{d}}}")
        }
        IpAddr::V6(address) => {
            let parts: Vec<_> = address.segments().iter().map(u16::to_string).collect();
            format!("{{{}}}", parts.join(","))
        }
    }
}
