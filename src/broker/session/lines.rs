//! What the log says of a connection: RabbitMQ's lines, in its words and at its levels, for people and tools know them.
//!
//! Each carries the connection's name and, once it is known, what the client calls it. What clients send is escaped.

use std::fmt;
use std::io;

use crate::broker::Session;
use crate::connection::host::Failure;
use crate::logs::Printable;
use crate::model::AmqpError;
use crate::model::ChannelId;

/// How a connection ended, as far as the log tells it apart.
#[derive(Debug, Clone, Copy)]
pub enum LastLine<'a> {
    /// In order, or after an error that was told.
    Closed,
    /// The socket was closed before anything came.
    NothingCame,
    /// The socket was closed without a word, or broke.
    Abrupt(Option<&'a io::Error>),
    /// Nothing came for so many seconds.
    MissedHeartbeats(u16),
    /// The beginning was wrong, or took too long.
    Refused(&'a str),
}

/// The connection's name; made when a line is shown.
struct Name<'a>(&'a Session);

impl fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.name())
    }
}

/// The same with ` - ` and the client's own name behind it.
struct Title<'a>(&'a Session);

impl fmt::Display for Title<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.name())?;
        match &self.0.client_name {
            Some(name) => write!(out, " - {}", Printable(name)),
            None => Ok(()),
        }
    }
}

impl Session {
    /// The first octet came.
    pub fn log_accepted(&self) {
        let (id, name) = (self.id.0, Name(self));
        tracing::info!(target: "connection", "accepting AMQP connection <0.{id}.0> ({name})");
    }

    pub(super) fn log_client_name(&self) {
        if let Some(own) = &self.client_name {
            let (id, name, own) = (self.id.0, Name(self), Printable(own));
            tracing::info!(
                target: "connection",
                "connection <0.{id}.0> ({name}) has a client-provided name: {own}"
            );
        }
    }

    pub(super) fn log_refused_login(&self, mechanism: &str, why: &str) {
        let (id, title) = (self.id.0, Title(self));
        let (mechanism, why) = (Printable(mechanism), Printable(why));
        tracing::error!(
            target: "connection",
            "Error on AMQP connection <0.{id}.0> ({title}, state: starting):\n{mechanism} login refused: {why}"
        );
    }

    /// The virtual host is open. From here on what is logged for the connection tells whose it is.
    pub fn log_opened(&self) {
        let (id, title) = (self.id.0, Title(self));
        let (user, vhost) = (Printable(self.user_name()), Printable(self.vhost_name()));
        let span = tracing::Span::current();
        span.record("user", self.user_name());
        span.record("vhost", self.vhost_name());
        if let Some(name) = self.client_name() {
            span.record("client_name", name);
        }
        tracing::info!(
            target: "connection",
            "connection <0.{id}.0> ({title}): user '{user}' authenticated and granted access to vhost '{vhost}'"
        );
    }

    pub(super) fn log_failure(&self, failure: &Failure<'_>) {
        let Failure {
            error,
            channel: ChannelId(channel),
            method,
            state,
        } = failure;
        let (id, title) = (self.id.0, Title(self));
        let (user, vhost) = (Printable(self.user_name()), Printable(self.vhost_name()));
        let operation = method.name();
        let code = error.code().name().to_lowercase();
        let text = Printable(error.text());
        match (error, *state) {
            (AmqpError::Channel { .. }, _) => tracing::error!(
                target: "channel",
                "Channel error on connection <0.{id}.0> ({title}, vhost: '{vhost}', user: '{user}'), channel {channel}:\n\
                 operation {operation} caused a channel exception {code}: {text}"
            ),
            (AmqpError::Connection { .. }, "starting") => tracing::error!(
                target: "connection",
                "Error on AMQP connection <0.{id}.0> ({title}, state: starting):\n{text}"
            ),
            (AmqpError::Connection { .. }, "tuning" | "opening") => tracing::error!(
                target: "connection",
                "Error on AMQP connection <0.{id}.0> ({title}, user: '{user}', state: {state}):\n{text}"
            ),
            (AmqpError::Connection { .. }, _) => tracing::error!(
                target: "connection",
                "Error on AMQP connection <0.{id}.0> ({title}, vhost: '{vhost}', user: '{user}', state: {state}), \
                 channel {channel}:\n operation {operation} caused a connection exception {code}: \"{text}\""
            ),
        }
    }

    /// The connection's last line.
    pub fn log_end(&self, end: LastLine<'_>) {
        let (id, title) = (self.id.0, Title(self));
        let whose = Whose(self);
        match end {
            LastLine::Closed => tracing::info!(
                target: "connection", "closing AMQP connection <0.{id}.0> ({title}{whose})"
            ),
            LastLine::NothingCame => tracing::debug!(
                target: "connection",
                "closing AMQP connection <0.{id}.0> ({title}):\nconnection_closed_with_no_data_received"
            ),
            LastLine::Abrupt(error) => tracing::warn!(
                target: "connection",
                error = error.map(tracing::field::display),
                "closing AMQP connection <0.{id}.0> ({title}{whose}):\nclient unexpectedly closed TCP connection"
            ),
            LastLine::MissedHeartbeats(timeout) => tracing::error!(
                target: "connection",
                "closing AMQP connection <0.{id}.0> ({title}):\nmissed heartbeats from client, timeout: {timeout}s"
            ),
            LastLine::Refused(why) => tracing::error!(
                target: "connection", "closing AMQP connection <0.{id}.0> ({title}):\n{why}"
            ),
        }
    }

    /// Seconds between heartbeats that were agreed on.
    pub fn heartbeat(&self) -> u16 {
        self.settled.heartbeat
    }
}

/// Virtual host and user, once the connection was open.
struct Whose<'a>(&'a Session);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(vhost) = &self.0.vhost else {
            return Ok(());
        };
        let (vhost, user) = (Printable(vhost.name()), Printable(self.0.user_name()));
        write!(out, ", vhost: '{vhost}', user: '{user}'")
    }
}
