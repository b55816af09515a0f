//! Appends whole frames to an output buffer.
//!
//! The frames of the hot path are written by hand; the methods that are sent once per request go through
//! amq-protocol's generator.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::gen_class;
use amq_protocol::types::FieldTable;
use amq_protocol::types::generation::SerializeFn;
use amq_protocol::types::generation::gen_field_table;

use crate::model::ChannelId;
use crate::model::DeliveryTag;
use crate::model::MessageRef;
use crate::model::ReplyCode;
use crate::model::limits::FRAME_OVERHEAD_BYTES;
use crate::protocol::content::CLASS_BASIC;
use crate::protocol::content::CONTENT_HEADER_FIXED_BYTES;
use crate::protocol::copies;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_END;
use crate::protocol::envelope::FRAME_HEADER;
use crate::protocol::envelope::FRAME_HEARTBEAT;
use crate::protocol::envelope::FRAME_METHOD;
use crate::protocol::output::SHARED_BYTES_MIN;
use crate::protocol::output::Sink;

/// Class and method.
const METHOD_IDS_BYTES: usize = 4;
const RETURN: u16 = 50;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;
const ACK: u16 = 80;
const NACK: u16 = 120;

/// Any method without content.
///
/// Table values must not be `AMQPValue::ShortString`, which has no letter on the wire.
pub fn method(out: &mut Vec<u8>, channel: ChannelId, method: &AMQPClass) {
    frame(out, FRAME_METHOD, channel, |out| {
        generated(out, gen_class(method))
    });
}

/// A field table, length included.
pub fn table(table: &FieldTable) -> Vec<u8> {
    let mut out = Vec::new();
    generated(&mut out, gen_field_table(table));
    out
}

/// A heartbeat.
pub fn heartbeat(out: &mut Vec<u8>) {
    frame(out, FRAME_HEARTBEAT, ChannelId(0), |_| {});
}

/// `basic.deliver` with its content; `header` stands for the message's own properties.
///
/// By hand and in few pieces: it is called once a delivery.
///
/// # Panics
/// When the consumer tag is longer than a short string.
#[expect(clippy::too_many_arguments, reason = "it writes as many things")]
pub fn deliver(
    out: &mut impl Sink,
    channel: ChannelId,
    consumer_tag: &str,
    tag: DeliveryTag,
    redelivered: bool,
    message: MessageRef<'_>,
    header: &[u8],
    frame_max: u32,
) {
    assert!(consumer_tag.len() <= 255, "longer than a short string");
    let route = message.route();
    const FIXED_BYTES: usize = METHOD_IDS_BYTES + 1 + 8 + 1;
    let size = FIXED_BYTES + consumer_tag.len() + route.len();
    let octets = out.octets();
    octets.reserve(size + FRAME_OVERHEAD_BYTES);
    let [channel_high, channel_low] = channel.0.to_be_bytes();
    let [size0, size1, size2, size3] = (size as u32).to_be_bytes();
    let [class_high, class_low] = CLASS_BASIC.to_be_bytes();
    let [method_high, method_low] = DELIVER.to_be_bytes();
    octets.extend_from_slice(&[
        FRAME_METHOD,
        channel_high,
        channel_low,
        size0,
        size1,
        size2,
        size3,
        class_high,
        class_low,
        method_high,
        method_low,
        consumer_tag.len() as u8,
    ]);
    octets.extend_from_slice(consumer_tag.as_bytes());
    let [t0, t1, t2, t3, t4, t5, t6, t7] = tag.0.to_be_bytes();
    octets.extend_from_slice(&[t0, t1, t2, t3, t4, t5, t6, t7, u8::from(redelivered)]);
    octets.extend_from_slice(route);
    octets.push(FRAME_END);
    content_as(out, channel, message, header, frame_max);
}

/// `basic.get-ok` with its content; `message_count` is what is left in the queue.
pub fn get_ok(
    out: &mut impl Sink,
    channel: ChannelId,
    tag: DeliveryTag,
    redelivered: bool,
    message_count: u32,
    message: MessageRef<'_>,
    frame_max: u32,
) {
    basic(out.octets(), channel, GET_OK, |out| {
        out.extend_from_slice(&tag.0.to_be_bytes());
        out.push(u8::from(redelivered));
        out.extend_from_slice(message.route());
        out.extend_from_slice(&message_count.to_be_bytes());
    });
    content(out, channel, message, frame_max);
}

/// `basic.return` with its content.
///
/// # Panics
/// When the text is longer than a short string.
pub fn basic_return(
    out: &mut Vec<u8>,
    channel: ChannelId,
    code: ReplyCode,
    text: &str,
    message: MessageRef<'_>,
    frame_max: u32,
) {
    basic(out, channel, RETURN, |out| {
        out.extend_from_slice(&code.code().to_be_bytes());
        short_string(out, text);
        out.extend_from_slice(message.route());
    });
    content(out, channel, message, frame_max);
}

/// `basic.ack`: a confirm.
pub fn ack(out: &mut Vec<u8>, channel: ChannelId, tag: DeliveryTag, multiple: bool) {
    basic(out, channel, ACK, |out| {
        out.extend_from_slice(&tag.0.to_be_bytes());
        out.push(u8::from(multiple));
    });
}

/// `basic.nack`: a negative confirm.
pub fn nack(
    out: &mut Vec<u8>,
    channel: ChannelId,
    tag: DeliveryTag,
    multiple: bool,
    requeue: bool,
) {
    basic(out, channel, NACK, |out| {
        out.extend_from_slice(&tag.0.to_be_bytes());
        out.push(u8::from(multiple) | u8::from(requeue) << 1);
    });
}

fn basic(out: &mut Vec<u8>, channel: ChannelId, method: u16, arguments: impl FnOnce(&mut Vec<u8>)) {
    frame(out, FRAME_METHOD, channel, |out| {
        out.extend_from_slice(&CLASS_BASIC.to_be_bytes());
        out.extend_from_slice(&method.to_be_bytes());
        arguments(out);
    });
}

/// Header frame and body frames; a body larger than a frame holds is cut, an empty one has no frame at all.
fn content(out: &mut impl Sink, channel: ChannelId, message: MessageRef<'_>, frame_max: u32) {
    content_as(out, channel, message, message.header(), frame_max);
}

fn content_as(
    out: &mut impl Sink,
    channel: ChannelId,
    message: MessageRef<'_>,
    header: &[u8],
    frame_max: u32,
) {
    let header = copies::shown(header, message.traits());
    let body_bytes = message.body().len();
    let payload_max = payload_max(frame_max);
    let octets = out.octets();
    let copied = if body_bytes.min(payload_max) < SHARED_BYTES_MIN {
        body_bytes
    } else {
        0
    };
    octets.reserve(CONTENT_HEADER_FIXED_BYTES + header.len() + copied + 3 * FRAME_OVERHEAD_BYTES);
    let [channel_high, channel_low] = channel.0.to_be_bytes();
    let size = CONTENT_HEADER_FIXED_BYTES + header.len();
    let [size0, size1, size2, size3] = (size as u32).to_be_bytes();
    let [class_high, class_low] = CLASS_BASIC.to_be_bytes();
    let [b0, b1, b2, b3, b4, b5, b6, b7] = (body_bytes as u64).to_be_bytes();
    octets.extend_from_slice(&[
        FRAME_HEADER,
        channel_high,
        channel_low,
        size0,
        size1,
        size2,
        size3,
        class_high,
        class_low,
        0,
        0,
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
    ]);
    octets.extend_from_slice(&header);
    octets.push(FRAME_END);
    let mut at = 0;
    while at < body_bytes {
        let len = payload_max.min(body_bytes - at);
        let [size0, size1, size2, size3] = (len as u32).to_be_bytes();
        out.octets().extend_from_slice(&[
            FRAME_BODY,
            channel_high,
            channel_low,
            size0,
            size1,
            size2,
            size3,
        ]);
        out.body(message, at, len);
        out.octets().push(FRAME_END);
        at += len;
    }
}

/// Largest payload of a body frame; `frame_max` 0 is unlimited.
fn payload_max(frame_max: u32) -> usize {
    match frame_max {
        0 => u32::MAX as usize,
        // At least one octet, whatever was agreed on.
        _ => (frame_max as usize)
            .saturating_sub(FRAME_OVERHEAD_BYTES)
            .max(1),
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: ChannelId, payload: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend_from_slice(&channel.0.to_be_bytes());
    let size_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let payload_at = out.len();
    payload(out);
    let size = (out.len() - payload_at) as u32;
    out[size_at..payload_at].copy_from_slice(&size.to_be_bytes());
    out.push(FRAME_END);
}

fn short_string(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() <= 255, "longer than a short string");
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Appends what amq-protocol generates.
pub(super) fn generated(out: &mut Vec<u8>, generate: impl SerializeFn<Vec<u8>>) {
    let written = generate(std::mem::take(out).into());
    *out = written.expect("a Vec takes everything").into_inner().0;
}
