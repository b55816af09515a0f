//! AMQP reply codes (specification §1.2, RabbitMQ's set).

/// Why a channel or connection was closed, or a message returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ReplyCode {
    /// Clean close.
    ReplySuccess = 200,
    /// Content larger than the receiver takes.
    ContentTooLarge = 311,
    /// `basic.return`: no queue took a mandatory message.
    NoRoute = 312,
    /// An operator or the node itself closed the connection.
    ConnectionForced = 320,
    /// Unknown virtual host path.
    InvalidPath = 402,
    /// No right to do that.
    AccessRefused = 403,
    /// No such queue or exchange.
    NotFound = 404,
    /// The queue belongs to another connection.
    ResourceLocked = 405,
    /// A precondition does not hold.
    PreconditionFailed = 406,
    /// Malformed frame.
    FrameError = 501,
    /// Malformed argument.
    SyntaxError = 502,
    /// Command not allowed in this state.
    CommandInvalid = 503,
    /// Channel used out of order.
    ChannelError = 504,
    /// Frame of an unexpected type.
    UnexpectedFrame = 505,
    /// Out of some resource.
    ResourceError = 506,
    /// Not allowed by policy or negotiation.
    NotAllowed = 530,
    /// Not implemented.
    NotImplemented = 540,
    /// The server failed.
    InternalError = 541,
}

impl ReplyCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The constant's name, as it opens RabbitMQ's reply texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplySuccess => "REPLY_SUCCESS",
            Self::ContentTooLarge => "CONTENT_TOO_LARGE",
            Self::NoRoute => "NO_ROUTE",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::InvalidPath => "INVALID_PATH",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether RabbitMQ closes the whole connection for this code ("hard" error).
    pub fn closes_connection(self) -> bool {
        matches!(self.code(), 320 | 402 | 501..=541)
    }
}
