//! Field tables in RabbitMQ's dialect (specification §3.2).
//!
//! [`check`] walks a table in its wire form without recursion or allocation; nothing is decoded that it has not
//! passed. The decoder may then recurse, for the depth is bounded.
//!
//! We decode ourselves because amq-protocol's parser lets the last of duplicate keys win, takes the letter `U`, refuses
//! keys that are not UTF-8, and recurses as deep as the sender likes.

use std::collections::BTreeMap;

use amq_protocol::types::AMQPValue;
use amq_protocol::types::DecimalValue;
use amq_protocol::types::FieldArray;
use amq_protocol::types::FieldTable;
use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::multi::length_data;
use nom::number::complete::be_f32;
use nom::number::complete::be_f64;
use nom::number::complete::be_i16;
use nom::number::complete::be_i32;
use nom::number::complete::be_i64;
use nom::number::complete::be_u16;
use nom::number::complete::be_u32;
use nom::number::complete::be_u64;
use nom::number::complete::i8 as signed_octet;
use nom::number::complete::u8 as octet;

use crate::model::limits::TABLE_DEPTH_MAX;
use crate::protocol::properties::short_string;

/// What is wrong with a field table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A length reaches past the end of what holds it.
    #[error("field table is cut short")]
    Truncated,
    /// A value of a type that does not exist.
    #[error("field table has a value of unknown type {0}")]
    UnknownType(u8),
    /// A float that is infinite or not a number; Erlang has none, and such arguments would not equal themselves.
    #[error("field table has a float that is not a number")]
    NotFinite,
    /// Tables and arrays in each other deeper than [`TABLE_DEPTH_MAX`].
    #[error("field table is nested more than {TABLE_DEPTH_MAX} deep")]
    TooDeep,
}

/// What a container on the scanner's stack holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Entries,
    Values,
}

/// The tables and arrays that are open around the scanner's place. No more than fits a few cache lines, for messages
/// with headers pass here.
struct Open {
    ends: [u32; TABLE_DEPTH_MAX],
    entries: u128,
    depth: usize,
}

// One bit each in `entries`.
const _: () = assert!(TABLE_DEPTH_MAX <= 128);

impl Open {
    const NONE: Open = Open {
        ends: [0; TABLE_DEPTH_MAX],
        entries: 0,
        depth: 0,
    };

    fn push(&mut self, end: usize, holds: Holds) -> Result<(), TableError> {
        // The outermost table is never pushed, but counts.
        if self.depth + 1 == TABLE_DEPTH_MAX {
            return Err(TableError::TooDeep);
        }
        self.ends[self.depth] = end as u32;
        self.entries = self.entries << 1 | u128::from(holds == Holds::Entries);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<(usize, Holds)> {
        self.depth = self.depth.checked_sub(1)?;
        let holds = if self.entries & 1 == 1 {
            Holds::Entries
        } else {
            Holds::Values
        };
        self.entries >>= 1;
        Some((self.ends[self.depth] as usize, holds))
    }
}

/// A table that is well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Its size, length included.
    pub octets: usize,
    /// It has an entry `CC` or `BCC`, of whatever type: further routing keys.
    pub has_copies: bool,
    /// It has an entry `BCC`.
    pub has_bcc: bool,
}

/// Checks the table, length included, at the front of `input`; gives its size in octets, length included.
pub fn check(input: &[u8]) -> Result<usize, TableError> {
    check_headers(input).map(|checked| checked.octets)
}

/// [`check`], for a message's headers: tells besides what decides where the message goes.
pub fn check_headers(input: &[u8]) -> Result<Checked, TableError> {
    // Places are kept in 32 bits; no frame is that long.
    let input = &input[..input.len().min(u32::MAX as usize)];
    let mut open = Open::NONE;
    let (mut at, mut end) = container(input, 0, input.len())?;
    let mut holds = Holds::Entries;
    let (mut has_copies, mut has_bcc) = (false, false);
    loop {
        while at == end {
            match open.pop() {
                Some(around) => (end, holds) = around,
                None => {
                    return Ok(Checked {
                        octets: at,
                        has_copies,
                        has_bcc,
                    });
                }
            }
        }
        let within = &input[..end];
        if holds == Holds::Entries {
            let key_bytes = *within.get(at).ok_or(TableError::Truncated)?;
            let key_at = at + 1;
            at = key_at + usize::from(key_bytes);
            if matches!(key_bytes, 2 | 3) && open.depth == 0 {
                let key = within.get(key_at..at);
                has_copies |= matches!(key, Some(b"CC" | b"BCC"));
                has_bcc |= matches!(key, Some(b"BCC"));
            }
        }
        let kind = *within.get(at).ok_or(TableError::Truncated)?;
        at += 1;
        let inner = match kind {
            b'A' => Holds::Values,
            b'F' => Holds::Entries,
            b'S' | b'x' => {
                (_, at) = container(input, at, end)?;
                continue;
            }
            _ => {
                let octets = fixed_bytes(kind).ok_or(TableError::UnknownType(kind))?;
                let value = within.get(at..at + octets).ok_or(TableError::Truncated)?;
                if !finite(kind, value) {
                    return Err(TableError::NotFinite);
                }
                at += octets;
                continue;
            }
        };
        open.push(end, holds)?;
        holds = inner;
        (at, end) = container(input, at, end)?;
    }
}

/// Start and end of what follows the length at `at`, when that lies within `end`.
fn container(input: &[u8], at: usize, end: usize) -> Result<(usize, usize), TableError> {
    let length = input[..end]
        .get(at..)
        .and_then(|rest| rest.first_chunk::<4>())
        .ok_or(TableError::Truncated)?;
    let start = at + 4;
    let length = u32::from_be_bytes(*length) as usize;
    if length > end - start {
        return Err(TableError::Truncated);
    }
    Ok((start, start + length))
}

/// Octets of a value of type `kind`, when all such values have the same.
pub(super) fn fixed_bytes(kind: u8) -> Option<usize> {
    match kind {
        b'V' => Some(0),
        b't' | b'b' | b'B' => Some(1),
        b's' | b'u' => Some(2),
        b'I' | b'i' | b'f' => Some(4),
        b'D' => Some(5),
        b'l' | b'L' | b'd' | b'T' => Some(8),
        _ => None,
    }
}

/// Whether `value`, if `kind` is a float's, is a number.
fn finite(kind: u8, value: &[u8]) -> bool {
    // All bits of the exponent mark infinities and what is not a number.
    match (kind, value) {
        (b'f', [high, low, ..]) => u16::from_be_bytes([*high, *low]) & 0x7f80 != 0x7f80,
        (b'd', [high, low, ..]) => u16::from_be_bytes([*high, *low]) & 0x7ff0 != 0x7ff0,
        _ => true,
    }
}

/// Decodes the table, length included, at the front of `input`.
///
/// The first of duplicate keys wins, as in RabbitMQ's look-ups. A key that is not UTF-8 has its bad octets replaced.
pub fn decode(input: &[u8]) -> Result<FieldTable, TableError> {
    let bytes = check(input)?;
    Ok(entries(&input[4..bytes], false))
}

/// As [`decode`], but the last of duplicate keys wins: RabbitMQ 3.13 and later route by headers so.
pub fn decode_headers(input: &[u8]) -> Result<FieldTable, TableError> {
    let bytes = check(input)?;
    Ok(entries(&input[4..bytes], true))
}

/// Entries of a table that was checked.
fn entries(mut rest: &[u8], last_wins: bool) -> FieldTable {
    let mut table = BTreeMap::new();
    while let Ok((after, (key, value))) = (length_data(octet), value).parse(rest) {
        let key = short_string(&String::from_utf8_lossy(key));
        if last_wins {
            table.insert(key, value);
        } else {
            table.entry(key).or_insert(value);
        }
        rest = after;
    }
    FieldTable::from(table)
}

/// Values of an array that was checked.
fn values(mut rest: &[u8]) -> FieldArray {
    let mut array = Vec::new();
    while let Ok((after, value)) = value(rest) {
        array.push(value);
        rest = after;
    }
    FieldArray::from(array)
}

fn value(input: &[u8]) -> IResult<&[u8], AMQPValue, ()> {
    let (rest, kind) = octet(input)?;
    match kind {
        b't' => octet.map(|v| AMQPValue::Boolean(v != 0)).parse(rest),
        b'b' => signed_octet.map(AMQPValue::ShortShortInt).parse(rest),
        b'B' => octet.map(AMQPValue::ShortShortUInt).parse(rest),
        b's' => be_i16.map(AMQPValue::ShortInt).parse(rest),
        b'u' => be_u16.map(AMQPValue::ShortUInt).parse(rest),
        b'I' => be_i32.map(AMQPValue::LongInt).parse(rest),
        b'i' => be_u32.map(AMQPValue::LongUInt).parse(rest),
        b'l' | b'L' => be_i64.map(AMQPValue::LongLongInt).parse(rest),
        b'f' => be_f32.map(AMQPValue::Float).parse(rest),
        b'd' => be_f64.map(AMQPValue::Double).parse(rest),
        b'D' => (octet, be_u32)
            .map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value }))
            .parse(rest),
        b'T' => be_u64.map(AMQPValue::Timestamp).parse(rest),
        b'S' => length_data(be_u32)
            .map(|v: &[u8]| AMQPValue::LongString(v.into()))
            .parse(rest),
        b'x' => length_data(be_u32)
            .map(|v: &[u8]| AMQPValue::ByteArray(v.into()))
            .parse(rest),
        b'A' => length_data(be_u32)
            .map(|v| AMQPValue::FieldArray(values(v)))
            .parse(rest),
        b'F' => length_data(be_u32)
            .map(|v| AMQPValue::FieldTable(entries(v, false)))
            .parse(rest),
        b'V' => take(0usize).map(|_| AMQPValue::Void).parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}
