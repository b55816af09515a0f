//! Content headers: class, body size, and where the properties are (specification §1.3).
//!
//! The properties themselves are for [`properties`](crate::protocol::properties).

use crate::model::ReplyCode;
use crate::protocol::table::TableError;

/// Class `basic`, the only one with content.
pub const CLASS_BASIC: u16 = 60;

/// Class, weight and body size: what stands before the property flags.
pub const CONTENT_HEADER_FIXED_BYTES: usize = 12;

/// A header frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// Class of the method it belongs to; only [`CLASS_BASIC`] can be right.
    pub class: u16,
    /// Octets of body that follow in body frames.
    pub body_size: u64,
    /// Property flags and property list, not yet checked.
    pub properties: &'a [u8],
}

/// What is wrong with a content header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not even class, weight and body size; [`cut`](crate::protocol::envelope::cut) lets no such frame through.
    #[error("content header is cut short")]
    Truncated,
    /// The weight is not 0. RabbitMQ takes this for something other than a content header (505).
    #[error("expected content header for class 60, got non content header frame instead")]
    Weight,
    /// The property list ends before, or after, its last property.
    #[error("property list does not fit its flags")]
    Properties,
    /// The `headers` property is no field table.
    #[error("{0}")]
    Headers(#[from] TableError),
}

impl ContentError {
    /// The reply code to close the connection with.
    ///
    /// Broken properties are the sender's fault; RabbitMQ stumbles over them and answers 541 `INTERNAL_ERROR`.
    pub fn reply_code(&self) -> ReplyCode {
        match self {
            Self::Weight => ReplyCode::UnexpectedFrame,
            Self::Truncated | Self::Properties | Self::Headers(_) => ReplyCode::FrameError,
        }
    }
}

/// Parses a header frame's payload.
pub fn parse_content_header(payload: &[u8]) -> Result<ContentHeader<'_>, ContentError> {
    let (fixed, properties) = payload
        .split_first_chunk::<CONTENT_HEADER_FIXED_BYTES>()
        .ok_or(ContentError::Truncated)?;
    let [c0, c1, w0, w1, size @ ..] = *fixed;
    let (class, weight) = (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([w0, w1]));
    let body_size = u64::from_be_bytes(size);
    if weight != 0 {
        return Err(ContentError::Weight);
    }
    Ok(ContentHeader {
        class,
        body_size,
        properties,
    })
}
