//! Frames, methods and contents: bytes from a script's fields, text from what a broker sent.
//!
//! It decodes by [`crate::layout`] alone and never panics: what cannot be decoded is an error text,
//! which then stands in the transcript.

use crate::layout::Kind;
use crate::layout::MethodId;
use crate::layout::PROPERTIES;
use crate::value::Cursor;
use crate::value::Reader;
use crate::value::Table;
use crate::value::Value;
use crate::value::encode_table;
use crate::value::quoted;
use crate::value::shown;
use std::fmt::Write;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;

/// Bodies longer than this are shown by their beginning, length and sum.
const SHOWN_BODY_BYTES: usize = 256;

/// A value for an argument, as a script gives it.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
    Table(Table),
}

/// Named arguments; what is not named is zero or empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(&'static str, Field)>);

type Layout = &'static [(&'static str, Kind)];

impl Fields {
    /// `name=value` up to the end; a name alone is a set bit.
    pub(crate) fn parse(cursor: &mut Cursor<'_>, layouts: &[Layout]) -> Result<Self, String> {
        let mut fields = Self::default();
        loop {
            cursor.skip_spaces();
            if cursor.peek().is_none() {
                return Ok(fields);
            }
            let name = cursor.bare(b"=");
            let known = layouts.iter().copied().flatten();
            let Some((name, kind)) = known.clone().find(|(known, _)| *known == name) else {
                let names: Vec<&str> = known.map(|(name, _)| *name).collect();
                return Err(format!(
                    "unknown argument {name:?}; known: {}",
                    names.join(", ")
                ));
            };
            let field = if cursor.eat(b'=') {
                field(cursor, *kind).map_err(|reason| format!("{name}: {reason}"))?
            } else if *kind == Kind::Bit {
                Field::Number(1)
            } else {
                return Err(format!("{name}: no value"));
            };
            fields.0.push((name, field));
        }
    }

    fn find(&self, name: &str) -> Option<&Field> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, field)| field)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.find(name) {
            Some(Field::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.find(name) {
            Some(Field::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        match self.find(name) {
            Some(Field::Table(table)) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn set(&mut self, name: &'static str, field: Field) {
        self.0.insert(0, (name, field));
    }

    /// The arguments in the layout's order.
    pub(crate) fn encode(&self, layout: Layout) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut bits: Option<(u8, u8)> = None;
        for (name, kind) in layout {
            let field = self.find(name);
            if *kind != Kind::Bit
                && let Some((octet, _)) = bits.take()
            {
                out.push(octet);
            }
            if *kind == Kind::Bit {
                let (octet, at) = bits.get_or_insert((0, 0));
                if matches!(field, Some(Field::Number(number)) if *number != 0) {
                    *octet |= 1 << *at;
                }
                *at += 1;
            } else {
                encode_field(*kind, field, &mut out)
                    .map_err(|reason| format!("{name}: {reason}"))?;
            }
        }
        if let Some((octet, _)) = bits {
            out.push(octet);
        }
        Ok(out)
    }

    /// The payload of a content header.
    pub(crate) fn header(&self, class: u16, weight: u16, size: u64) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        out.extend_from_slice(&class.to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&size.to_be_bytes());
        let mut flags: u16 = 0;
        let mut list = Vec::new();
        for (index, (name, kind)) in PROPERTIES.iter().enumerate() {
            if let Some(field) = self.find(name) {
                flags |= 1 << (15 - index);
                encode_field(*kind, Some(field), &mut list)
                    .map_err(|reason| format!("{name}: {reason}"))?;
            }
        }
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&list);
        Ok(out)
    }
}

fn field(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Field, String> {
    Ok(match kind {
        Kind::ShortStr | Kind::LongStr => Field::Bytes(cursor.string(b"")?),
        Kind::Table => Field::Table(cursor.table()?),
        Kind::Bit | Kind::Octet | Kind::Short | Kind::Long | Kind::LongLong => {
            let word = cursor.bare(b"");
            Field::Number(match word.as_str() {
                "true" => 1,
                "false" => 0,
                number => number
                    .parse()
                    .map_err(|_| format!("{number:?} is no number"))?,
            })
        }
    })
}

fn encode_field(kind: Kind, field: Option<&Field>, out: &mut Vec<u8>) -> Result<(), String> {
    let number = match field {
        Some(Field::Number(number)) => *number,
        _ => 0,
    };
    let bytes: &[u8] = match field {
        Some(Field::Bytes(bytes)) => bytes,
        _ => &[],
    };
    let octets = number.to_be_bytes();
    match kind {
        Kind::Bit => {}
        Kind::Octet => out.push(octets[7]),
        Kind::Short => out.extend_from_slice(&octets[6..]),
        Kind::Long => out.extend_from_slice(&octets[4..]),
        Kind::LongLong => out.extend_from_slice(&octets),
        Kind::ShortStr => {
            let length = u8::try_from(bytes.len()).map_err(|_| "longer than 255 octets")?;
            out.push(length);
            out.extend_from_slice(bytes);
        }
        Kind::LongStr => {
            let length = u32::try_from(bytes.len()).map_err(|_| "too long")?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
        }
        Kind::Table => match field {
            Some(Field::Table(table)) => encode_table(table, out),
            _ => out.extend_from_slice(&[0; 4]),
        },
    }
    Ok(())
}

pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    let length = u32::try_from(payload.len()).expect("frames of scripts are small");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xce);
    out
}

pub(crate) fn method_payload(id: MethodId, arguments: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + arguments.len());
    out.extend_from_slice(&id.0.to_be_bytes());
    out.extend_from_slice(&id.1.to_be_bytes());
    out.extend_from_slice(arguments);
    out
}

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

/// Cuts the first frame off; an error when there is none and never will be.
pub(crate) fn take_frame(received: &mut Vec<u8>) -> Result<Option<Frame>, String> {
    let Some(head) = received.first_chunk::<7>() else {
        return Ok(None);
    };
    if head.starts_with(b"AMQP") {
        if received.len() < 8 {
            return Ok(None);
        }
        let header: Vec<u8> = received.drain(..8).collect();
        return Err(format!("protocol header {}", quoted(&header)));
    }
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if received.len() < size + 8 {
        return Ok(None);
    }
    let frame = Frame {
        kind: head[0],
        channel: u16::from_be_bytes([head[1], head[2]]),
        payload: received[7..7 + size].to_vec(),
    };
    let end = received[7 + size];
    received.drain(..size + 8);
    if end == 0xce {
        Ok(Some(frame))
    } else {
        Err(format!("a frame that ends with octet {end}"))
    }
}

/// Arguments as they came, in order.
#[derive(Debug, Default)]
pub(crate) struct Received(Vec<(&'static str, Field)>);

impl Received {
    pub(crate) fn decode(layout: Layout, reader: &mut Reader<'_>) -> Result<Self, String> {
        let mut fields = Vec::new();
        let mut bits: Option<(u8, u8)> = None;
        for (name, kind) in layout {
            if *kind != Kind::Bit {
                bits = None;
            }
            let field = match kind {
                Kind::Bit => {
                    let (octet, at) = match bits {
                        Some(bits) => bits,
                        None => (reader.take(1)?[0], 0),
                    };
                    bits = Some((octet, at + 1));
                    Field::Number(u64::from(octet >> at & 1))
                }
                other => decode_field(*other, reader)?,
            };
            fields.push((*name, field));
        }
        Ok(Self(fields))
    }

    /// A content header without class, weight and size.
    pub(crate) fn properties(reader: &mut Reader<'_>) -> Result<Self, String> {
        let flags = reader.number(2)?;
        let mut fields = Vec::new();
        for (index, (name, kind)) in PROPERTIES.iter().enumerate() {
            if flags & (1 << (15 - index)) != 0 {
                fields.push((*name, decode_field(*kind, reader)?));
            }
        }
        if flags & 3 != 0 {
            return Err(format!("property flags {flags:#x}"));
        }
        Ok(Self(fields))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0
            .iter()
            .find_map(|(known, field)| match field {
                Field::Number(number) if *known == name => Some(*number),
                _ => None,
            })
            .unwrap_or(0)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.0
            .iter()
            .find_map(|(known, field)| match field {
                Field::Bytes(bytes) if *known == name => {
                    Some(String::from_utf8_lossy(bytes).into_owned())
                }
                _ => None,
            })
            .unwrap_or_default()
    }

    /// As transcripts write it, with a leading space.
    pub(crate) fn shown(&mut self) -> String {
        let mut text = String::new();
        for (name, field) in &mut self.0 {
            let _ = match field {
                Field::Number(number) if *name == "timestamp" && is_now(*number) => {
                    write!(text, " {name}=now")
                }
                Field::Number(number) => write!(text, " {name}={number}"),
                Field::Bytes(bytes) => write!(text, " {name}={}", quoted(bytes)),
                Field::Table(table) => {
                    mask_times(table);
                    write!(text, " {name}={}", shown(table))
                }
            };
        }
        text
    }

    /// A list of words whose order means nothing.
    pub(crate) fn sort_words(&mut self, name: &str) {
        for (known, field) in &mut self.0 {
            if let Field::Bytes(bytes) = field
                && *known == name
            {
                let mut words: Vec<&[u8]> = bytes.split(|octet| *octet == b' ').collect();
                words.sort_unstable();
                *bytes = words.join(&b' ');
            }
        }
    }

    pub(crate) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.0.iter_mut().find_map(|(known, field)| match field {
            Field::Table(table) if *known == name => Some(table),
            _ => None,
        })
    }
}

fn decode_field(kind: Kind, reader: &mut Reader<'_>) -> Result<Field, String> {
    Ok(match kind {
        Kind::Octet | Kind::Bit => Field::Number(reader.number(1)?),
        Kind::Short => Field::Number(reader.number(2)?),
        Kind::Long => Field::Number(reader.number(4)?),
        Kind::LongLong => Field::Number(reader.number(8)?),
        Kind::ShortStr => Field::Bytes(reader.short_string()?.to_vec()),
        Kind::LongStr => Field::Bytes(reader.long_string()?.to_vec()),
        Kind::Table => Field::Table(reader.table()?),
    })
}

/// Within a day of now, in seconds: a time that the broker took, and not one from a script.
fn is_now(seconds: u64) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    now.abs_diff(seconds) < 86_400
}

fn mask_times(table: &mut Table) {
    for (_, value) in table {
        mask_time(value);
    }
}

fn mask_time(value: &mut Value) {
    match value {
        Value::Integer(b'T', number) if is_now(u64::try_from(*number).unwrap_or(0)) => {
            *value = Value::Integer(b'T', 0);
        }
        Value::Table(table) => mask_times(table),
        Value::Array(values) => values.iter_mut().for_each(mask_time),
        Value::Integer(..)
        | Value::Float(..)
        | Value::Decimal(..)
        | Value::Bytes(..)
        | Value::Void => {}
    }
}

pub(crate) fn shown_body(body: &[u8]) -> String {
    if body.len() <= SHOWN_BODY_BYTES {
        return quoted(body);
    }
    let sum = body.iter().fold(0u64, |sum, octet| {
        sum.wrapping_mul(1_099_511_628_211)
            .wrapping_add(u64::from(*octet))
    });
    format!(
        "{}… ({} octets, sum {sum:x})",
        quoted(&body[..32]),
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::METHODS;
    use crate::layout::by_name;

    #[test]
    fn arguments_survive_the_wire() {
        let layout = by_name("queue.declare").unwrap().arguments;
        let mut cursor = Cursor::new("queue=q durable auto-delete=1 arguments={a: 5}");
        let fields = Fields::parse(&mut cursor, &[layout]).unwrap();
        let bytes = fields.encode(layout).unwrap();
        let mut received = Received::decode(layout, &mut Reader(&bytes)).unwrap();
        assert_eq!(
            received.shown(),
            " ticket=0 queue=\"q\" passive=0 durable=1 exclusive=0 auto-delete=1 nowait=0 arguments={a: I 5}"
        );
    }

    #[test]
    fn every_method_is_listed_once() {
        for method in METHODS {
            let same = METHODS.iter().filter(|other| other.id == method.id).count();
            assert_eq!(same, 1, "{}", method.name);
            for answer in method.answers {
                assert!(crate::layout::by_id((method.id.0, *answer)).is_some());
            }
        }
    }

    #[test]
    fn frames_are_cut_wherever_the_stream_is() {
        let whole = frame(METHOD, 7, b"abc");
        for cut in 0..whole.len() {
            let mut received = whole[..cut].to_vec();
            assert!(take_frame(&mut received).unwrap().is_none());
            received.extend_from_slice(&whole[cut..]);
            let frame = take_frame(&mut received).unwrap().unwrap();
            assert_eq!((frame.kind, frame.channel), (METHOD, 7));
            assert_eq!(frame.payload, b"abc");
            assert!(received.is_empty());
        }
    }
}
