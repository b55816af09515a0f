//! Frames: type, channel, payload, end octet (specification §1.3).
//!
//! Cuts them out of a buffer without copying. What a payload says is not looked at, only whether it is long enough for
//! its type.

use std::fmt;

use crate::model::ChannelId;
use crate::model::limits::FRAME_OVERHEAD_BYTES;
use crate::model::limits::MESSAGE_BYTES_HARD_MAX;
use crate::protocol::erlang::Pretty;

/// Type of frames that carry a method.
pub const FRAME_METHOD: u8 = 1;
/// Type of frames that carry a content header.
pub const FRAME_HEADER: u8 = 2;
/// Type of frames that carry (a part of) a body.
pub const FRAME_BODY: u8 = 3;
/// Type of heartbeats.
pub const FRAME_HEARTBEAT: u8 = 8;
/// The octet that closes each frame.
pub const FRAME_END: u8 = 0xce;
/// Octets before the payload: type, channel, payload size.
pub const FRAME_HEAD_BYTES: usize = 7;

/// Class and method id.
const METHOD_BYTES_MIN: usize = 4;
/// Class, weight, body size; that property flags are missing is found later, as in RabbitMQ.
const CONTENT_HEADER_BYTES_MIN: usize = 12;

/// One frame in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// One of [`FRAME_METHOD`], [`FRAME_HEADER`], [`FRAME_BODY`], [`FRAME_HEARTBEAT`].
    pub kind: u8,
    /// Channel; 0 is the connection.
    pub channel: ChannelId,
    /// What stands between head and end octet.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// `type T, all octets = <<…>>`: what RabbitMQ says of a frame that is well formed but out of place (505).
    pub fn snippet(&self) -> String {
        Snippet::new(self.kind, self.payload).to_string()
    }
}

/// What the front of the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// A whole frame.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// How many octets it took.
        consumed: usize,
    },
    /// The beginning of a frame.
    Incomplete {
        /// Octets the whole frame takes; [`FRAME_HEAD_BYTES`] while its size is unknown.
        needed: usize,
    },
}

/// Where a connection's input stops making sense; nothing after it can be read.
///
/// The text is RabbitMQ's explanation; the reply code is 501, class and method are 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such type, or a payload that is too short (or, for a heartbeat, too long) for its type.
    #[error("{0}: unknown_frame")]
    Unknown(Snippet),
    /// More than was agreed on.
    // RabbitMQ prints no octets, for it has not read them.
    #[error("type {kind}, all octets = <<>>: {{frame_too_large,{size},{max}}}")]
    TooLarge {
        /// Frame type.
        kind: u8,
        /// Announced payload size.
        size: u32,
        /// Largest payload that fits `frame_max`.
        max: u32,
    },
    /// Something else where the end octet belongs.
    #[error("{}", snippet.wrong_end(*found))]
    WrongEnd {
        /// The frame.
        snippet: Snippet,
        /// The octet found.
        found: u8,
    },
}

/// Type and first octets of a frame, for error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snippet {
    kind: u8,
    octets: [u8; Snippet::OCTETS_MAX],
    shown: u8,
    all: bool,
}

impl Snippet {
    const OCTETS_MAX: usize = 16;

    fn new(kind: u8, payload: &[u8]) -> Self {
        let shown = payload.len().min(Self::OCTETS_MAX);
        let mut octets = [0; Self::OCTETS_MAX];
        octets[..shown].copy_from_slice(&payload[..shown]);
        Self {
            kind,
            octets,
            shown: shown as u8,
            all: payload.len() <= Self::OCTETS_MAX,
        }
    }

    fn pretty(&self) -> Pretty {
        let which = if self.all { "all" } else { "first 16" };
        let octets = &self.octets[..usize::from(self.shown)];
        Pretty(format!("type {}, {which} octets = ", self.kind)).binary(octets)
    }

    fn wrong_end(&self, found: u8) -> String {
        Pretty(self.pretty().0 + ": ")
            .tagged("invalid_frame_end_marker", u64::from(found))
            .0
    }
}

impl fmt::Display for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pretty().0)
    }
}

/// Type, channel and payload size, and what follows. By hand: it is read three times a message, and nom's numbers, which
/// go through their input octet by octet, took a third of a published message's instructions.
fn head(input: &[u8]) -> Option<(&[u8], u8, u16, u32)> {
    let (head, rest) = input.split_first_chunk::<FRAME_HEAD_BYTES>()?;
    let [kind, c0, c1, s0, s1, s2, s3] = *head;
    let channel = u16::from_be_bytes([c0, c1]);
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    Some((rest, kind, channel, size))
}

/// Cuts the first frame off `input`.
///
/// Size is judged as soon as the head is there: a payload may be `frame_max` octets long, 8 more than agreed, as
/// RabbitMQ tolerates; 0 is unlimited, but nothing may be larger than the largest message. An unknown type is judged
/// as soon as the octets that its error text shows are there.
pub fn cut(input: &[u8], frame_max: u32) -> Result<Cut<'_>, FrameError> {
    let Some((rest, kind, channel, size)) = head(input) else {
        return Ok(Cut::Incomplete {
            needed: FRAME_HEAD_BYTES,
        });
    };
    if frame_max != 0 && size > frame_max {
        let max = frame_max.saturating_sub(FRAME_OVERHEAD_BYTES as u32);
        return Err(FrameError::TooLarge { kind, size, max });
    }
    if u64::from(size) > MESSAGE_BYTES_HARD_MAX {
        let max = MESSAGE_BYTES_HARD_MAX as u32;
        return Err(FrameError::TooLarge { kind, size, max });
    }
    let payload_bytes = size as usize;
    let well_sized = match kind {
        FRAME_METHOD => payload_bytes >= METHOD_BYTES_MIN,
        FRAME_HEADER => payload_bytes >= CONTENT_HEADER_BYTES_MIN,
        FRAME_BODY => true,
        FRAME_HEARTBEAT => payload_bytes == 0,
        _ => false,
    };
    if !well_sized && payload_bytes > Snippet::OCTETS_MAX && rest.len() > Snippet::OCTETS_MAX {
        let shown = &rest[..=Snippet::OCTETS_MAX];
        return Err(FrameError::Unknown(Snippet::new(kind, shown)));
    }
    let needed = payload_bytes + FRAME_OVERHEAD_BYTES;
    if input.len() < needed {
        return Ok(Cut::Incomplete { needed });
    }
    let (payload, end) = (&rest[..payload_bytes], rest[payload_bytes]);
    if end != FRAME_END {
        let snippet = Snippet::new(kind, payload);
        return Err(FrameError::WrongEnd {
            snippet,
            found: end,
        });
    }
    if !well_sized {
        return Err(FrameError::Unknown(Snippet::new(kind, payload)));
    }
    let frame = Frame {
        kind,
        channel: ChannelId(channel),
        payload,
    };
    Ok(Cut::Frame {
        frame,
        consumed: needed,
    })
}
