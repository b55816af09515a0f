//! Which arguments each method has on the wire (specification §3).
//!
//! [`check`] finds what RabbitMQ's patterns would refuse before any decoder runs, and where the table is.

use crate::protocol::method::MethodId;
use crate::protocol::table;
use crate::protocol::table::TableError;

/// One argument, or several of fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// So many octets: integers, packed bits.
    Fixed(usize),
    /// Octet length, then UTF-8.
    ShortString,
    /// Long length, then anything.
    LongString,
    /// Field table.
    Table,
}

use Part::Fixed;
use Part::LongString;
use Part::ShortString;
use Part::Table;

/// The arguments of method `id`; `None` when there is no such method.
pub(super) fn parts(id: MethodId) -> Option<&'static [Part]> {
    const NONE: &[Part] = &[];
    const CLOSE: &[Part] = &[Fixed(2), ShortString, Fixed(2), Fixed(2)];
    const BIND: &[Part] = &[
        Fixed(2),
        ShortString,
        ShortString,
        ShortString,
        Fixed(1),
        Table,
    ];
    let parts: &[Part] = match (id.class, id.method) {
        // connection: start, start-ok, secure, secure-ok, tune, tune-ok, open, open-ok, close, close-ok, blocked,
        // unblocked, update-secret, update-secret-ok
        (10, 10) => &[Fixed(2), Table, LongString, LongString],
        (10, 11) => &[Table, ShortString, LongString, ShortString],
        (10, 20 | 21) => &[LongString],
        (10, 30 | 31) => &[Fixed(8)],
        (10, 40) => &[ShortString, ShortString, Fixed(1)],
        (10, 41 | 60) => &[ShortString],
        (10, 50) => CLOSE,
        (10, 51 | 61 | 71) => NONE,
        (10, 70) => &[LongString, ShortString],
        // channel: open, open-ok, flow, flow-ok, close, close-ok
        (20, 10) => &[ShortString],
        (20, 11) => &[LongString],
        (20, 20 | 21) => &[Fixed(1)],
        (20, 40) => CLOSE,
        (20, 41) => NONE,
        // access: request, request-ok
        (30, 10) => &[ShortString, Fixed(1)],
        (30, 11) => &[Fixed(2)],
        // exchange: declare, delete, bind, unbind, and their -ok
        (40, 10) => &[Fixed(2), ShortString, ShortString, Fixed(1), Table],
        (40, 20) => &[Fixed(2), ShortString, Fixed(1)],
        (40, 30 | 40) => BIND,
        (40, 11 | 21 | 31 | 51) => NONE,
        // queue: declare, declare-ok, bind, bind-ok, purge, purge-ok, delete, delete-ok, unbind, unbind-ok
        (50, 10) => &[Fixed(2), ShortString, Fixed(1), Table],
        (50, 11) => &[ShortString, Fixed(8)],
        (50, 20) => BIND,
        (50, 30 | 40) => &[Fixed(2), ShortString, Fixed(1)],
        (50, 31 | 41) => &[Fixed(4)],
        (50, 50) => &[Fixed(2), ShortString, ShortString, ShortString, Table],
        (50, 21 | 51) => NONE,
        // basic: qos, qos-ok, consume, consume-ok, cancel, cancel-ok, publish, return, deliver, get, get-ok, get-empty,
        // ack, reject, recover-async, recover, recover-ok, nack
        (60, 10) => &[Fixed(7)],
        (60, 20) => &[Fixed(2), ShortString, ShortString, Fixed(1), Table],
        (60, 21 | 31 | 72) => &[ShortString],
        (60, 30) => &[ShortString, Fixed(1)],
        (60, 40) => &[Fixed(2), ShortString, ShortString, Fixed(1)],
        (60, 50) => &[Fixed(2), ShortString, ShortString, ShortString],
        (60, 60) => &[ShortString, Fixed(9), ShortString, ShortString],
        (60, 70) => &[Fixed(2), ShortString, Fixed(1)],
        (60, 71) => &[Fixed(9), ShortString, ShortString, Fixed(4)],
        (60, 80 | 90 | 120) => &[Fixed(9)],
        (60, 100 | 110) => &[Fixed(1)],
        (60, 11 | 111) => NONE,
        // confirm: select, select-ok
        (85, 10) => &[Fixed(1)],
        (85, 11) => NONE,
        // tx: select, commit, rollback, and their -ok
        (90, 10 | 11 | 20 | 21 | 30 | 31) => NONE,
        _ => return None,
    };
    Some(parts)
}

/// Why arguments do not fit their method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Too few or too many octets.
    Size,
    /// A short string is not UTF-8.
    Utf8,
    /// The table is broken inside.
    Table(TableError),
}

/// Checks `arguments` against `parts`; gives where the table is, if there is one.
pub(super) fn check(
    parts: &[Part],
    arguments: &[u8],
) -> Result<Option<std::ops::Range<usize>>, Misfit> {
    let mut at = 0;
    let mut utf8 = true;
    let mut found = None;
    // As in RabbitMQ, sizes are judged first, then texts, then the inside of the table.
    for part in parts {
        let rest = arguments.get(at..).ok_or(Misfit::Size)?;
        let start = at;
        at += match part {
            Fixed(octets) => *octets,
            ShortString => {
                let octets = 1 + usize::from(*rest.first().ok_or(Misfit::Size)?);
                let text = rest.get(1..octets).ok_or(Misfit::Size)?;
                utf8 &= std::str::from_utf8(text).is_ok();
                octets
            }
            LongString | Table => {
                let length = rest.first_chunk::<4>().ok_or(Misfit::Size)?;
                4 + u32::from_be_bytes(*length) as usize
            }
        };
        if *part == Table {
            found = Some(start..at);
        }
    }
    if at != arguments.len() {
        return Err(Misfit::Size);
    }
    if !utf8 {
        return Err(Misfit::Utf8);
    }
    if let Some(found) = &found {
        table::check(&arguments[found.clone()]).map_err(Misfit::Table)?;
    }
    Ok(found)
}
