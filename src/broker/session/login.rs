//! From the socket to an open virtual host, and the end.

use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::ShortString;

use crate::auth::Credentials;
use crate::auth::Mechanism;
use crate::auth::SaslError;
use crate::broker::BrokerOptions;
use crate::broker::ConnectionInfo;
use crate::broker::Protocol;
use crate::broker::Session;
use crate::broker::Settled;
use crate::connection::host::Login;
use crate::model::AmqpError;
use crate::model::Lsn;
use crate::model::VhostName;
use crate::model::arguments;

/// Exactly what works, in the order of spec §2.1 (the table type sorts by key on the wire, as RabbitMQ does).
const CAPABILITIES: &[&str] = &[
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

pub(super) fn server_properties(options: &BrokerOptions, cluster_name: &str) -> FieldTable {
    let mut capabilities = FieldTable::default();
    for capability in CAPABILITIES {
        capabilities.insert(ShortString::from(*capability), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    let mut text = |key: &str, value: &str| {
        properties.insert(ShortString::from(key), AMQPValue::LongString(value.into()));
    };
    text("cluster_name", cluster_name);
    text("copyright", "Copyright (c) the Leveret authors");
    text(
        "information",
        concat!(
            "Leveret ",
            env!("CARGO_PKG_VERSION"),
            ", Apache License 2.0"
        ),
    );
    text("platform", "Rust");
    text("product", &options.product);
    text("version", &options.version);
    properties.insert(
        ShortString::from("capabilities"),
        AMQPValue::FieldTable(capabilities),
    );
    properties
}

impl Session {
    pub(super) fn log_in(
        &mut self,
        mechanism: &str,
        response: &[u8],
        client_properties: &FieldTable,
    ) -> Login {
        self.settled = Settled {
            mechanism: mechanism.to_owned(),
            client_properties: client_properties.clone(),
            ..Settled::default()
        };
        self.client_name = client_properties
            .inner()
            .get("connection_name")
            .and_then(arguments::text)
            .map(str::to_owned);
        self.log_client_name();
        let credentials = match self.credentials(mechanism, response) {
            Ok(credentials) => credentials,
            Err(error) => {
                return Login::Invalid(AmqpError::new(error.code(), error.to_string()).widened());
            }
        };
        let loopback = self.peer.ip().to_canonical().is_loopback();
        match self
            .broker
            .access
            .log_in(Protocol::Amqp091, &credentials, loopback)
        {
            Ok(user) => {
                self.tell_login(user.name(), mechanism, client_properties, None);
                self.user = Some(user);
                Login::Accepted
            }
            Err(refusal) => {
                let why = refusal.to_string();
                self.log_refused_login(mechanism, &why);
                let name = credentials.user.as_str();
                self.tell_login(name, mechanism, client_properties, Some(&why));
                Login::Refused
            }
        }
    }

    fn credentials(&self, mechanism: &str, response: &[u8]) -> Result<Credentials, SaslError> {
        let offered: Vec<_> = self
            .broker
            .options
            .auth_mechanisms
            .iter()
            .filter_map(|name| Mechanism::from_name(name))
            .collect();
        Mechanism::chosen(mechanism, &offered)?
            .credentials(response, &self.broker.options.anonymous)
    }

    pub(super) fn open_vhost(&mut self, name: &VhostName) -> Result<(), AmqpError> {
        let Some(user) = self.user.clone() else {
            return Err(AmqpError::not_allowed("not logged in"));
        };
        if let Some(max) = self.broker.options.connection_max
            && self.broker.connections.len() as u64 >= max
        {
            return Err(AmqpError::not_allowed(format!(
                "connection refused: node connection limit ({max}) is reached"
            )));
        }
        let Some(vhost) = self.broker.vhost(name) else {
            return Err(AmqpError::not_allowed(format!("vhost {name} not found")));
        };
        // Held until the connection counts, so that two at a time do not get in where there is room for one.
        let _opening = self.broker.limits.opening();
        self.check_connection_limits(&user, &vhost)?;
        if !self.broker.access.may_enter(user.name(), name) {
            return Err(AmqpError::not_allowed(format!(
                "access to vhost '{name}' refused for user '{}'",
                user.name()
            )));
        }
        let outbox = Arc::clone(&self.outbox);
        let (user, vhost_name) = (user.name().clone(), name.clone());
        let shown = Arc::new(ConnectionInfo {
            title: self.name(),
            local: self.local,
            name: self.client_name.clone(),
            settled: self.settled.clone(),
            connected_at: self.now,
            stats: Arc::clone(&self.stats),
            ..ConnectionInfo::new(self.id, user, vhost_name, self.peer, outbox)
        });
        self.broker.connections.add(Arc::clone(&shown));
        self.broker.tell_alarms(&shown);
        self.broker.shared.churn.connection_created.add(1);
        self.shown = Some(shown);
        self.vhost = Some(vhost);
        Ok(())
    }

    /// Everything that must not outlive the connection goes. Called once the channels are closed.
    pub(super) fn end(&mut self) -> Lsn {
        if std::mem::replace(&mut self.closed, true) {
            return Lsn::NONE;
        }
        if self.shown.take().is_some() {
            self.broker.connections.remove(self.id);
            self.broker.shared.churn.connection_closed.add(1);
        }
        let exclusive = self.exclusive.take();
        let lsn = match &self.vhost {
            Some(vhost) => vhost.delete_exclusive(&exclusive),
            None => Lsn::NONE,
        };
        self.end_pause();
        self.delivering.clear();
        self.tell_consequences();
        self.tell_closed();
        lsn
    }
}

impl Drop for Session {
    /// Whatever ended the connection's task, also a panic: nothing stays behind.
    fn drop(&mut self) {
        let channels: Vec<_> = self.channels.keys().copied().collect();
        for channel in channels {
            self.end_channel(channel, Vec::new());
        }
        self.end();
    }
}
