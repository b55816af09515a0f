//! Properties of class `basic` in their wire form: flags, then the list of those present (specification §3.1).
//!
//! A message's properties stay the bytes that came. [`scan`] checks them once; afterwards [`Fields`] finds what
//! somebody needs. As in RabbitMQ, short strings need not be UTF-8 here, the two lowest flags mean nothing, and both
//! reach the consumer as they came.

use std::borrow::Cow;
use std::ops::Range;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::FieldTable;
use amq_protocol::types::ShortString;

use crate::model::message::Traits;
use crate::protocol::content::ContentError;
use crate::protocol::encode::generated;
use crate::protocol::raw_table;
use crate::protocol::raw_table::RawTable;
use crate::protocol::table;

/// `delivery-mode` of messages that survive a restart.
pub const PERSISTENT: u8 = 2;

const FLAGS_BYTES: usize = 2;

/// The properties in wire order; the number is the flag's bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Property {
    ContentType = 15,
    ContentEncoding = 14,
    Headers = 13,
    DeliveryMode = 12,
    Priority = 11,
    CorrelationId = 10,
    ReplyTo = 9,
    Expiration = 8,
    MessageId = 7,
    Timestamp = 6,
    Kind = 5,
    UserId = 4,
    AppId = 3,
    ClusterId = 2,
}

impl Property {
    const IN_ORDER: [Property; 14] = [
        Property::ContentType,
        Property::ContentEncoding,
        Property::Headers,
        Property::DeliveryMode,
        Property::Priority,
        Property::CorrelationId,
        Property::ReplyTo,
        Property::Expiration,
        Property::MessageId,
        Property::Timestamp,
        Property::Kind,
        Property::UserId,
        Property::AppId,
        Property::ClusterId,
    ];

    /// What RabbitMQ calls it in tables of properties.
    fn name(self) -> &'static str {
        match self {
            Property::ContentType => "content_type",
            Property::ContentEncoding => "content_encoding",
            Property::Headers => "headers",
            Property::DeliveryMode => "delivery_mode",
            Property::Priority => "priority",
            Property::CorrelationId => "correlation_id",
            Property::ReplyTo => "reply_to",
            Property::Expiration => "expiration",
            Property::MessageId => "message_id",
            Property::Timestamp => "timestamp",
            Property::Kind => "type",
            Property::UserId => "user_id",
            Property::AppId => "app_id",
            Property::ClusterId => "cluster_id",
        }
    }

    const fn flag(self) -> u16 {
        1 << self as u8
    }

    /// Octets that this property takes at the front of `rest`; `None` when its length is not there.
    fn octets(self, rest: &[u8]) -> Option<usize> {
        match self {
            Property::DeliveryMode | Property::Priority => Some(1),
            Property::Timestamp => Some(8),
            Property::Headers => {
                let length = rest.first_chunk::<4>()?;
                Some(4 + u32::from_be_bytes(*length) as usize)
            }
            Property::ContentType
            | Property::ContentEncoding
            | Property::CorrelationId
            | Property::ReplyTo
            | Property::Expiration
            | Property::MessageId
            | Property::Kind
            | Property::UserId
            | Property::AppId
            | Property::ClusterId => Some(1 + usize::from(*rest.first()?)),
        }
    }
}

fn flags(properties: &[u8]) -> Option<u16> {
    properties
        .first_chunk::<FLAGS_BYTES>()
        .map(|flags| u16::from_be_bytes(*flags))
}

/// Checks flags and property list: lengths, header table, nothing left over.
pub fn scan(properties: &[u8]) -> Result<Traits, ContentError> {
    let flags = flags(properties).ok_or(ContentError::Properties)?;
    let mut at = FLAGS_BYTES;
    let mut delivery_mode = 0;
    let mut priority = 0;
    let (mut has_copies, mut has_bcc) = (false, false);
    for property in Property::IN_ORDER {
        if flags & property.flag() == 0 {
            continue;
        }
        let rest = &properties[at..];
        let octets = property.octets(rest).ok_or(ContentError::Properties)?;
        let value = rest.get(..octets).ok_or(ContentError::Properties)?;
        if property == Property::DeliveryMode {
            delivery_mode = value[0];
        } else if property == Property::Priority {
            priority = value[0];
        } else if property == Property::Headers {
            let checked = table::check_headers(value)?;
            (has_copies, has_bcc) = (checked.has_copies, checked.has_bcc);
        }
        at += octets;
    }
    if at != properties.len() {
        return Err(ContentError::Properties);
    }
    let has = |property: Property| flags & property.flag() != 0;
    Ok(Traits::new(
        delivery_mode == PERSISTENT,
        has(Property::Headers),
        has(Property::Expiration),
        has(Property::UserId),
        has(Property::ReplyTo),
        priority,
    )
    .with_copies(has_copies)
    .with_bcc(has_bcc))
}

/// Properties that [`scan`] has passed, looked up one at a time. On others the look-ups may find nothing or nonsense.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// `content-type`.
    pub fn content_type(self) -> Option<Cow<'a, str>> {
        self.text(Property::ContentType)
    }

    /// `content-encoding`.
    pub fn content_encoding(self) -> Option<Cow<'a, str>> {
        self.text(Property::ContentEncoding)
    }

    /// The header table as on the wire, length included.
    pub fn headers_bytes(self) -> Option<&'a [u8]> {
        self.octets(Property::Headers)
    }

    /// `delivery-mode`.
    pub fn delivery_mode(self) -> Option<u8> {
        self.octet(Property::DeliveryMode)
    }

    /// `priority`.
    pub fn priority(self) -> Option<u8> {
        self.octet(Property::Priority)
    }

    /// `correlation-id`.
    pub fn correlation_id(self) -> Option<Cow<'a, str>> {
        self.text(Property::CorrelationId)
    }

    /// `reply-to`.
    pub fn reply_to(self) -> Option<Cow<'a, str>> {
        self.text(Property::ReplyTo)
    }

    /// `expiration`, as the publisher wrote it.
    pub fn expiration(self) -> Option<Cow<'a, str>> {
        self.text(Property::Expiration)
    }

    /// `message-id`.
    pub fn message_id(self) -> Option<Cow<'a, str>> {
        self.text(Property::MessageId)
    }

    /// `timestamp`, in seconds since the Unix epoch.
    pub fn timestamp(self) -> Option<u64> {
        let octets = self.octets(Property::Timestamp)?;
        octets.first_chunk().map(|t| u64::from_be_bytes(*t))
    }

    /// `type`.
    pub fn kind(self) -> Option<Cow<'a, str>> {
        self.text(Property::Kind)
    }

    /// `user-id`.
    pub fn user_id(self) -> Option<Cow<'a, str>> {
        self.text(Property::UserId)
    }

    /// `app-id`.
    pub fn app_id(self) -> Option<Cow<'a, str>> {
        self.text(Property::AppId)
    }

    /// `cluster-id`.
    pub fn cluster_id(self) -> Option<Cow<'a, str>> {
        self.text(Property::ClusterId)
    }

    fn octet(self, property: Property) -> Option<u8> {
        self.octets(property)?.first().copied()
    }

    /// Text of a short string; what is not UTF-8 in it is replaced.
    fn text(self, property: Property) -> Option<Cow<'a, str>> {
        let octets = self.octets(property)?;
        Some(String::from_utf8_lossy(octets.get(1..)?))
    }

    fn octets(self, property: Property) -> Option<&'a [u8]> {
        if flags(self.0)? & property.flag() == 0 {
            return None;
        }
        self.0.get(place(self.0, property)?)
    }
}

/// Where `property` is in the list, or would be.
fn place(properties: &[u8], property: Property) -> Option<Range<usize>> {
    let flags = flags(properties)?;
    let mut at = FLAGS_BYTES;
    for earlier in Property::IN_ORDER {
        let octets = if flags & earlier.flag() == 0 {
            0
        } else {
            earlier.octets(properties.get(at..)?)?
        };
        if earlier == property {
            return Some(at..at + octets);
        }
        at += octets;
    }
    None
}

/// The `headers` property decoded, the last of equal keys counting; `None` when there is none, or no table in it.
pub fn headers(properties: &[u8]) -> Option<FieldTable> {
    table::decode_headers(Fields(properties).headers_bytes()?).ok()
}

/// The properties as a table, as RabbitMQ's firehose shows them: last first, numbers cut to 32 bits.
pub fn to_table(properties: &[u8]) -> Vec<u8> {
    let fields = Fields(properties);
    let mut table = RawTable::new();
    for property in Property::IN_ORDER.into_iter().rev() {
        let Some(octets) = fields.octets(property) else {
            continue;
        };
        let name = property.name();
        match property {
            Property::Headers => table.table(name, octets),
            Property::DeliveryMode | Property::Priority => {
                table.int(name, octets.first().copied().unwrap_or(0).into());
            }
            Property::Timestamp => table.int(name, fields.timestamp().unwrap_or(0) as i32),
            Property::ContentType
            | Property::ContentEncoding
            | Property::CorrelationId
            | Property::ReplyTo
            | Property::Expiration
            | Property::MessageId
            | Property::Kind
            | Property::UserId
            | Property::AppId
            | Property::ClusterId => table.text(name, octets.get(1..).unwrap_or_default()),
        }
    }
    table.finish()
}

/// Flags and property list of a message that has `headers` and nothing else.
pub fn of_headers(headers: &[u8]) -> Vec<u8> {
    with_headers(&[0, 0], headers)
}

/// Flags and property list of a persistent message that has `headers` and a time in seconds since the Unix epoch.
pub fn of_event(headers: &[u8], seconds: u64) -> Vec<u8> {
    let mut out = of_headers(headers);
    let flags =
        Property::Headers.flag() | Property::DeliveryMode.flag() | Property::Timestamp.flag();
    out[..FLAGS_BYTES].copy_from_slice(&flags.to_be_bytes());
    out.push(PERSISTENT);
    out.extend_from_slice(&seconds.to_be_bytes());
    out
}

/// Flags and property list of a log line: plain text with `headers` and a time in seconds since the Unix epoch.
pub fn of_log_line(headers: &[u8], seconds: u64) -> Vec<u8> {
    const CONTENT_TYPE: &[u8] = b"text/plain";
    let flags =
        Property::ContentType.flag() | Property::Headers.flag() | Property::Timestamp.flag();
    let mut out = flags.to_be_bytes().to_vec();
    out.push(CONTENT_TYPE.len() as u8);
    out.extend_from_slice(CONTENT_TYPE);
    out.extend_from_slice(headers);
    out.extend_from_slice(&seconds.to_be_bytes());
    out
}

/// Decodes all properties. Texts that are not UTF-8 have their bad octets replaced.
pub fn decode(properties: &[u8]) -> Result<AMQPProperties, ContentError> {
    scan(properties)?;
    let fields = Fields(properties);
    let mut decoded = AMQPProperties::default();
    macro_rules! take {
        ($($field:ident => $with:ident),* $(,)?) => {
            $(if let Some(value) = fields.$field() {
                decoded = decoded.$with(short_string(&value));
            })*
        };
    }
    take!(
        content_type => with_content_type,
        content_encoding => with_content_encoding,
        correlation_id => with_correlation_id,
        reply_to => with_reply_to,
        expiration => with_expiration,
        message_id => with_message_id,
        kind => with_type,
        user_id => with_user_id,
        app_id => with_app_id,
        cluster_id => with_cluster_id,
    );
    if let Some(table) = fields.headers_bytes() {
        decoded = decoded.with_headers(table::decode(table)?);
    }
    if let Some(value) = fields.delivery_mode() {
        decoded = decoded.with_delivery_mode(value);
    }
    if let Some(value) = fields.priority() {
        decoded = decoded.with_priority(value);
    }
    if let Some(value) = fields.timestamp() {
        decoded = decoded.with_timestamp(value);
    }
    Ok(decoded)
}

/// Flags and property list of `properties`.
pub fn encode(properties: &AMQPProperties) -> Vec<u8> {
    let mut out = Vec::new();
    generated(
        &mut out,
        amq_protocol::protocol::basic::gen_properties(properties),
    );
    out
}

/// The same properties with another `reply-to`, or with one; all else stays byte for byte.
///
/// `properties` must have passed [`scan`]; others come back as they are.
///
/// # Panics
/// When `reply_to` is longer than a short string.
pub fn with_reply_to(properties: &[u8], reply_to: &str) -> Vec<u8> {
    assert!(reply_to.len() <= 255, "reply-to longer than a short string");
    let mut value = Vec::with_capacity(1 + reply_to.len());
    value.push(reply_to.len() as u8);
    value.extend_from_slice(reply_to.as_bytes());
    with(properties, Property::ReplyTo, &value)
}

/// The properties of a message that came back so often: its headers get `x-delivery-count`.
pub fn with_delivery_count(properties: &[u8], count: u32) -> Vec<u8> {
    with_number(properties, b"x-delivery-count", i64::from(count))
}

/// The properties of a message of a stream: its headers get `x-stream-offset`.
pub fn with_stream_offset(properties: &[u8], offset: u64) -> Vec<u8> {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    with_number(properties, b"x-stream-offset", offset)
}

fn with_number(properties: &[u8], key: &[u8], number: i64) -> Vec<u8> {
    let headers = Fields(properties).headers_bytes().unwrap_or_default();
    let number = raw_table::long(number);
    let table = raw_table::replaced(headers, vec![(key, &number)]);
    with_headers(properties, &table)
}

/// The same properties with another header table, or with one; all else stays byte for byte.
///
/// `properties` must have passed [`scan`]; others come back as they are. `table` is in its wire form, length included.
pub fn with_headers(properties: &[u8], table: &[u8]) -> Vec<u8> {
    with(properties, Property::Headers, table)
}

/// The same properties without `expiration`; all else stays byte for byte.
///
/// `properties` must have passed [`scan`]; others come back as they are.
pub fn without_expiration(properties: &[u8]) -> Vec<u8> {
    let mut out = with(properties, Property::Expiration, &[]);
    if let Some(flags) = flags(&out) {
        let without = flags & !Property::Expiration.flag();
        out[..FLAGS_BYTES].copy_from_slice(&without.to_be_bytes());
    }
    out
}

/// Replaces or inserts one property in its wire form.
fn with(properties: &[u8], property: Property, value: &[u8]) -> Vec<u8> {
    let (Some(flags), Some(place)) = (flags(properties), place(properties, property)) else {
        return properties.to_vec();
    };
    let (Some(before), Some(after)) = (
        properties.get(FLAGS_BYTES..place.start),
        properties.get(place.end..),
    ) else {
        return properties.to_vec();
    };
    let mut out = Vec::with_capacity(properties.len() + value.len());
    out.extend_from_slice(&(flags | property.flag()).to_be_bytes());
    out.extend_from_slice(before);
    out.extend_from_slice(value);
    out.extend_from_slice(after);
    out
}

/// A short string of `text`, cut when it is too long (replacement characters are longer than what they replace).
pub(super) fn short_string(text: &str) -> ShortString {
    let end = text.floor_char_boundary(text.len().min(255));
    ShortString::from(&text[..end])
}
