//! A message's frames put together: `basic.publish`, its content header, its body.
//!
//! Two ways lead to the same result. A message whose frames all lie in one read is taken whole, without a copy, by
//! [`whole_content`]. Any other, and any that is wrong, goes frame by frame through [`Assembly`], which collects route,
//! header and body in one buffer that grows as they come, never by what they announce.

use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ReplyCode;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::limits::MESSAGE_BYTES_HARD_MAX;
use crate::model::message::Traits;
use crate::protocol::content::CLASS_BASIC;
use crate::protocol::content::ContentError;
use crate::protocol::content::ContentHeader;
use crate::protocol::content::parse_content_header;
use crate::protocol::envelope::Cut;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_HEADER;
use crate::protocol::envelope::Frame;
use crate::protocol::envelope::cut;
use crate::protocol::method::Publish;
use crate::protocol::properties;

/// Headers up to this length are remembered.
const KNOWN_HEADER_BYTES_MAX: usize = 512;

/// What is wrong with a content frame.
#[derive(Debug)]
pub(in crate::connection) enum ContentFault {
    /// No content is expected; no method is to blame.
    Stray(AmqpError),
    /// `basic.publish` is to blame.
    Publish(AmqpError),
}

/// The last content header of a channel, so that the same is not scanned again.
#[derive(Debug, Default)]
pub(in crate::connection) struct KnownHeader {
    properties: Vec<u8>,
    traits: Traits,
}

impl KnownHeader {
    fn traits(&mut self, properties: &[u8]) -> Result<Traits, ContentError> {
        if properties == self.properties && !properties.is_empty() {
            return Ok(self.traits);
        }
        self.traits = properties::scan(properties)?;
        self.properties.clear();
        if properties.len() <= KNOWN_HEADER_BYTES_MAX {
            self.properties.extend_from_slice(properties);
        }
        Ok(self.traits)
    }
}

/// The content of a message, borrowed from the input.
#[derive(Debug, Clone, Copy)]
pub(in crate::connection) struct WholeContent<'a> {
    pub(in crate::connection) header: &'a [u8],
    pub(in crate::connection) body: &'a [u8],
    pub(in crate::connection) traits: Traits,
    /// Octets of input that it took.
    pub(in crate::connection) consumed: usize,
}

/// The content of `channel` that `input` begins with, when all of it is there in at most one body frame and right.
pub(in crate::connection) fn whole_content<'a>(
    input: &'a [u8],
    channel: ChannelId,
    frame_max: u32,
    body_bytes_max: u64,
    known: &mut KnownHeader,
) -> Option<WholeContent<'a>> {
    let (header, header_consumed) = next_frame(input, FRAME_HEADER, channel, frame_max)?;
    let header = judge_header(header, body_bytes_max).ok()?;
    let (body, body_consumed) = if header.body_size == 0 {
        (&[][..], 0)
    } else {
        next_frame(&input[header_consumed..], FRAME_BODY, channel, frame_max)?
    };
    if body.len() as u64 != header.body_size {
        return None;
    }
    Some(WholeContent {
        header: header.properties,
        body,
        traits: known.traits(header.properties).ok()?,
        consumed: header_consumed + body_consumed,
    })
}

fn next_frame(
    input: &[u8],
    kind: u8,
    channel: ChannelId,
    frame_max: u32,
) -> Option<(&[u8], usize)> {
    match cut(input, frame_max) {
        Ok(Cut::Frame { frame, consumed }) if frame.kind == kind && frame.channel == channel => {
            Some((frame.payload, consumed))
        }
        _ => None,
    }
}

/// A message that is all there, in a buffer of its own.
#[derive(Debug)]
pub(in crate::connection) struct Complete {
    pub(in crate::connection) mandatory: bool,
    bytes: Vec<u8>,
    route_bytes: usize,
    header_bytes: usize,
    traits: Traits,
}

impl Complete {
    pub(in crate::connection) fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// As a run of its own, without a copy.
    pub(in crate::connection) fn into_run(self) -> Run {
        RunBuilder::single(self.bytes, self.route_bytes, self.header_bytes, self.traits)
    }

    /// Route, header, body and traits.
    pub(in crate::connection) fn parts(&self) -> (&[u8], &[u8], &[u8], Traits) {
        let (route, content) = self.bytes.split_at(self.route_bytes);
        let (header, body) = content.split_at(self.header_bytes);
        (route, header, body, self.traits)
    }
}

/// How far the message on a channel has come.
#[derive(Debug, Default)]
pub(in crate::connection) enum Assembly {
    /// No message has begun.
    #[default]
    Idle,
    /// `basic.publish` was there; its content header is next.
    Header { mandatory: bool, route: Vec<u8> },
    /// This many octets of body are still to come.
    Body { message: Complete, remaining: u64 },
}

impl Assembly {
    pub(in crate::connection) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// The fault of a method frame between the frames of a message.
    pub(in crate::connection) fn interrupted(&self) -> AmqpError {
        let text = match self {
            Self::Idle => "expected method frame, got non method frame instead",
            Self::Header { .. } => {
                "expected content header for class 60, got non content header frame instead"
            }
            Self::Body { .. } => "expected content body, got non content body frame instead",
        };
        AmqpError::new(ReplyCode::UnexpectedFrame, text)
    }

    /// `basic.publish` came, and its content did not come with it.
    pub(in crate::connection) fn begin(&mut self, publish: &Publish<'_>) {
        *self = Self::Header {
            mandatory: publish.mandatory,
            route: publish.route.to_vec(),
        };
    }

    /// A header or body frame came; the message, if that was the last of it.
    pub(in crate::connection) fn content(
        &mut self,
        frame: &Frame<'_>,
        body_bytes_max: u64,
        known: &mut KnownHeader,
    ) -> Result<Option<Complete>, ContentFault> {
        match (std::mem::take(self), frame.kind) {
            (Self::Header { mandatory, route }, FRAME_HEADER) => {
                let header =
                    judge_header(frame.payload, body_bytes_max).map_err(ContentFault::Publish)?;
                let traits = known
                    .traits(header.properties)
                    .map_err(|error| ContentFault::Publish(malformed(error)))?;
                let route_bytes = route.len();
                let mut bytes = route;
                bytes.extend_from_slice(header.properties);
                let message = Complete {
                    mandatory,
                    route_bytes,
                    header_bytes: header.properties.len(),
                    bytes,
                    traits,
                };
                Ok(self.after(message, header.body_size))
            }
            (
                Self::Body {
                    mut message,
                    remaining,
                },
                FRAME_BODY,
            ) => {
                let part = frame.payload;
                let Some(left) = remaining.checked_sub(part.len() as u64) else {
                    let text = "content body frame exceeds remaining content size";
                    let error = AmqpError::new(ReplyCode::FrameError, text);
                    return Err(ContentFault::Publish(error));
                };
                // The last doubling would overshoot by up to a half.
                if remaining <= message.bytes.len() as u64 {
                    message.bytes.reserve_exact(remaining as usize);
                }
                message.bytes.extend_from_slice(part);
                Ok(self.after(message, left))
            }
            (Self::Idle, _) => Err(ContentFault::Stray(Self::Idle.interrupted())),
            (expecting, _) => Err(ContentFault::Publish(expecting.interrupted())),
        }
    }

    fn after(&mut self, message: Complete, remaining: u64) -> Option<Complete> {
        if remaining == 0 {
            return Some(message);
        }
        *self = Self::Body { message, remaining };
        None
    }
}

/// A content header that may follow `basic.publish`.
fn judge_header(payload: &[u8], body_bytes_max: u64) -> Result<ContentHeader<'_>, AmqpError> {
    let header = parse_content_header(payload).map_err(malformed)?;
    let (class, size) = (header.class, header.body_size);
    if class != CLASS_BASIC {
        let text =
            format!("expected content header for class 60, got one for class {class} instead");
        return Err(AmqpError::new(ReplyCode::UnexpectedFrame, text));
    }
    if size > MESSAGE_BYTES_HARD_MAX {
        let text = format!(
            "content body size {size} exceeds maximum allowed size {MESSAGE_BYTES_HARD_MAX}"
        );
        return Err(AmqpError::new(ReplyCode::FrameError, text));
    }
    if size > body_bytes_max {
        let text =
            format!("message size {size} is larger than configured max size {body_bytes_max}");
        return Err(AmqpError::precondition_failed(text));
    }
    Ok(header)
}

fn malformed(error: ContentError) -> AmqpError {
    let code = match error {
        ContentError::Weight => ReplyCode::UnexpectedFrame,
        ContentError::Truncated | ContentError::Properties | ContentError::Headers(_) => {
            ReplyCode::FrameError
        }
    };
    AmqpError::new(code, error.to_string())
}
