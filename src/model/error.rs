//! Errors that are answers to the peer.

use std::borrow::Cow;

use crate::model::ReplyCode;

/// An AMQP exception with its reach.
///
/// `text` is the explanation alone; the code's name and ` - ` are put before it on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmqpError {
    /// The channel closes; the connection lives on.
    #[error("channel error {}: {text}", code.code())]
    Channel {
        /// Reply code.
        code: ReplyCode,
        /// Explanation.
        text: Cow<'static, str>,
    },
    /// The whole connection closes.
    #[error("connection error {}: {text}", code.code())]
    Connection {
        /// Reply code.
        code: ReplyCode,
        /// Explanation.
        text: Cow<'static, str>,
    },
}

impl AmqpError {
    /// An error with the reach that RabbitMQ gives its code.
    pub fn new(code: ReplyCode, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        if code.closes_connection() {
            Self::Connection { code, text }
        } else {
            Self::Channel { code, text }
        }
    }

    /// 403.
    pub fn access_refused(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyCode::AccessRefused, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyCode::NotFound, text)
    }

    /// 405.
    pub fn resource_locked(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyCode::ResourceLocked, text)
    }

    /// 406.
    pub fn precondition_failed(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyCode::PreconditionFailed, text)
    }

    /// 530.
    pub fn not_allowed(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyCode::NotAllowed, text)
    }

    /// 540.
    pub fn not_implemented(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyCode::NotImplemented, text)
    }

    /// The reply code.
    pub fn code(&self) -> ReplyCode {
        match self {
            Self::Channel { code, .. } | Self::Connection { code, .. } => *code,
        }
    }

    /// The explanation.
    pub fn text(&self) -> &str {
        match self {
            Self::Channel { text, .. } | Self::Connection { text, .. } => text,
        }
    }

    /// The same error, closing the whole connection.
    pub fn widened(self) -> Self {
        match self {
            Self::Channel { code, text } | Self::Connection { code, text } => {
                Self::Connection { code, text }
            }
        }
    }
}
