//! Frames and methods as octets, written down from the specification and not with Leveret's own encoder, so that one
//! does not vouch for the other. It can write what is illegal.

/// Class and method number.
pub(crate) type MethodId = (u16, u16);

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;

pub(crate) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// `delivery-mode` 2 and nothing else.
pub(crate) const PERSISTENT: &[u8] = &[0x10, 0x00, 2];
/// No properties.
pub(crate) const TRANSIENT: &[u8] = &[0x00, 0x00];

/// Flags of `queue.declare`.
pub(crate) const DURABLE: u8 = 2;
pub(crate) const EXCLUSIVE: u8 = 4;
pub(crate) const AUTO_DELETE: u8 = 8;

/// Flags of `basic.consume`.
pub(crate) const NO_ACK: u8 = 2;

/// One argument of a method.
pub(crate) enum Arg<'a> {
    /// Octet, also packed bits.
    Octet(u8),
    Short(u16),
    Long(u32),
    LongLong(u64),
    /// Short string.
    Text(&'a str),
    /// Long string.
    LongText(&'a [u8]),
    /// Table: its entries, without the length.
    Table(&'a [u8]),
}

use Arg::Long;
use Arg::LongLong;
use Arg::LongText;
use Arg::Octet;
use Arg::Short;
use Arg::Table;
use Arg::Text;

/// A frame with whatever it says.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(0xce);
    frame
}

pub(crate) fn method(channel: u16, id: MethodId, arguments: &[Arg<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend_from_slice(&id.0.to_be_bytes());
    payload.extend_from_slice(&id.1.to_be_bytes());
    for argument in arguments {
        match argument {
            Octet(value) => payload.push(*value),
            Short(value) => payload.extend_from_slice(&value.to_be_bytes()),
            Long(value) => payload.extend_from_slice(&value.to_be_bytes()),
            LongLong(value) => payload.extend_from_slice(&value.to_be_bytes()),
            Text(text) => {
                payload.push(u8::try_from(text.len()).expect("a short string"));
                payload.extend_from_slice(text.as_bytes());
            }
            LongText(octets) | Table(octets) => {
                payload.extend_from_slice(&(octets.len() as u32).to_be_bytes());
                payload.extend_from_slice(octets);
            }
        }
    }
    frame(METHOD, channel, &payload)
}

/// An entry of a table: `value` begins with its type's letter.
pub(crate) fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    let mut entry = vec![u8::try_from(name.len()).expect("a short string")];
    entry.extend_from_slice(name.as_bytes());
    entry.extend_from_slice(value);
    entry
}

/// A long string as a table's value.
pub(crate) fn text_value(text: &str) -> Vec<u8> {
    sized(b'S', text.as_bytes())
}

/// A table, array, long string or byte array as a table's value.
pub(crate) fn sized(letter: u8, contents: &[u8]) -> Vec<u8> {
    let mut value = vec![letter];
    value.extend_from_slice(&(contents.len() as u32).to_be_bytes());
    value.extend_from_slice(contents);
    value
}

/// Entries of a table that holds a table that holds a table, `depth` of them below the outermost.
pub(crate) fn nested_table(depth: usize) -> Vec<u8> {
    let mut entries = Vec::new();
    for _ in 0..depth {
        entries = entry("t", &sized(b'F', &entries));
    }
    entries
}

pub(crate) fn start_ok(properties: &[u8], mechanism: &str, response: &[u8]) -> Vec<u8> {
    let arguments = [
        Table(properties),
        Text(mechanism),
        LongText(response),
        Text("en_US"),
    ];
    method(0, (10, 11), &arguments)
}

pub(crate) fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let arguments = [Short(channel_max), Long(frame_max), Short(heartbeat)];
    method(0, (10, 31), &arguments)
}

pub(crate) fn open(vhost: &str) -> Vec<u8> {
    method(0, (10, 40), &[Text(vhost), Text(""), Octet(0)])
}

pub(crate) fn close() -> Vec<u8> {
    let arguments = [Short(200), Text("bye"), Short(0), Short(0)];
    method(0, (10, 50), &arguments)
}

pub(crate) fn close_ok() -> Vec<u8> {
    method(0, (10, 51), &[])
}

pub(crate) fn channel_open(channel: u16) -> Vec<u8> {
    method(channel, (20, 10), &[Text("")])
}

pub(crate) fn channel_close(channel: u16) -> Vec<u8> {
    let arguments = [Short(200), Text("bye"), Short(0), Short(0)];
    method(channel, (20, 40), &arguments)
}

pub(crate) fn exchange_declare(channel: u16, name: &str, kind: &str, flags: u8) -> Vec<u8> {
    let arguments = [Short(0), Text(name), Text(kind), Octet(flags), Table(&[])];
    method(channel, (40, 10), &arguments)
}

/// `arguments` are a table's entries.
pub(crate) fn queue_declare(channel: u16, name: &str, flags: u8, arguments: &[u8]) -> Vec<u8> {
    let arguments = [Short(0), Text(name), Octet(flags), Table(arguments)];
    method(channel, (50, 10), &arguments)
}

pub(crate) fn queue_bind(
    channel: u16,
    queue: &str,
    exchange: &str,
    key: &str,
    arguments: &[u8],
) -> Vec<u8> {
    let arguments = [
        Short(0),
        Text(queue),
        Text(exchange),
        Text(key),
        Octet(0),
        Table(arguments),
    ];
    method(channel, (50, 20), &arguments)
}

pub(crate) fn exchange_bind(channel: u16, destination: &str, source: &str, key: &str) -> Vec<u8> {
    let arguments = [
        Short(0),
        Text(destination),
        Text(source),
        Text(key),
        Octet(0),
        Table(&[]),
    ];
    method(channel, (40, 30), &arguments)
}

pub(crate) fn queue_purge(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, (50, 30), &[Short(0), Text(queue), Octet(0)])
}

pub(crate) fn queue_delete(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, (50, 40), &[Short(0), Text(queue), Octet(0)])
}

pub(crate) fn qos(channel: u16, prefetch_count: u16) -> Vec<u8> {
    let arguments = [Long(0), Short(prefetch_count), Octet(0)];
    method(channel, (60, 10), &arguments)
}

pub(crate) fn consume(channel: u16, queue: &str, flags: u8) -> Vec<u8> {
    let arguments = [Short(0), Text(queue), Text(""), Octet(flags), Table(&[])];
    method(channel, (60, 20), &arguments)
}

/// `basic.publish` alone; its content is to follow.
pub(crate) fn publish_method(channel: u16, exchange: &str, key: &str, flags: u8) -> Vec<u8> {
    let arguments = [Short(0), Text(exchange), Text(key), Octet(flags)];
    method(channel, (60, 40), &arguments)
}

/// A content header; `properties` are flags and list.
pub(crate) fn content_header(
    channel: u16,
    class: u16,
    body_bytes: u64,
    properties: &[u8],
) -> Vec<u8> {
    let mut payload = class.to_be_bytes().to_vec();
    payload.extend_from_slice(&[0, 0]);
    payload.extend_from_slice(&body_bytes.to_be_bytes());
    payload.extend_from_slice(properties);
    frame(HEADER, channel, &payload)
}

/// Properties that are a header table with these entries.
pub(crate) fn headers_property(entries: &[u8]) -> Vec<u8> {
    let mut properties = vec![0x20, 0x00];
    properties.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    properties.extend_from_slice(entries);
    properties
}

/// `basic.publish` with its content in body frames of the usual size.
pub(crate) fn publish(
    channel: u16,
    (exchange, key): (&str, &str),
    flags: u8,
    properties: &[u8],
    body: &[u8],
) -> Vec<u8> {
    let mut frames = publish_method(channel, exchange, key, flags);
    frames.extend(content_header(channel, 60, body.len() as u64, properties));
    for part in body.chunks(131_072 - 8) {
        frames.extend(frame(BODY, channel, part));
    }
    frames
}

pub(crate) fn get(channel: u16, queue: &str, no_ack: bool) -> Vec<u8> {
    let arguments = [Short(0), Text(queue), Octet(u8::from(no_ack))];
    method(channel, (60, 70), &arguments)
}

pub(crate) fn ack(channel: u16, tag: u64, multiple: bool) -> Vec<u8> {
    let arguments = [LongLong(tag), Octet(u8::from(multiple))];
    method(channel, (60, 80), &arguments)
}

pub(crate) fn confirm_select(channel: u16) -> Vec<u8> {
    method(channel, (85, 10), &[Octet(0)])
}
