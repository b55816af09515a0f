//! Field tables: the scanner agrees with a plain decoder, and decoding is the inverse of encoding.

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::generation::gen_field_table;
use amq_protocol::types::parsing::parse_field_table;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::limits::TABLE_DEPTH_MAX;
use crate::protocol::encode::generated;
use crate::protocol::table::TableError;
use crate::protocol::table::check;
use crate::protocol::table::decode;
use crate::protocol::tests::strategies::table;

fn wire(table: &FieldTable) -> Vec<u8> {
    let mut out = Vec::new();
    generated(&mut out, gen_field_table(table));
    out
}

/// A table inside a table, so deep.
fn nested(depth: usize, kind: u8) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 1..depth {
        let key: &[u8] = if kind == b'F' { b"\x01k" } else { b"" };
        let length = (inner.len() as u32).to_be_bytes();
        inner = [key, &[kind], &length, &inner].concat();
    }
    if kind == b'A' && depth > 1 {
        inner = [b"\x01k", &inner[..]].concat();
    }
    [&(inner.len() as u32).to_be_bytes()[..], &inner].concat()
}

/// Tables that are whole, and such with octets changed, and almost random ones.
fn wires() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<Index>(), any::<u8>()), 0..4);
    let damaged = (table(), damage).prop_map(|(table, damage)| {
        let mut octets = wire(&table);
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        octets
    });
    // Few letters and small lengths, so that some are whole by chance.
    let letter =
        prop::sample::select(b"tbBsuIilLfdDSATFxVUk\0\0\0\0\0\x01\x01\x02\x05\xff".to_vec());
    let random = vec(letter, 0..40)
        .prop_map(|entries| [&(entries.len() as u32).to_be_bytes()[..], &entries].concat());
    prop_oneof![damaged, random]
}

/// The rules as RabbitMQ's patterns have them: rest after one value of a table or array.
fn naive_value(kind: u8, rest: &[u8]) -> Option<&[u8]> {
    let fixed = |octets: usize| rest.get(octets..);
    match kind {
        b't' | b'b' | b'B' => fixed(1),
        b's' | b'u' => fixed(2),
        b'I' | b'i' => fixed(4),
        b'l' | b'L' | b'T' => fixed(8),
        b'D' => fixed(5),
        b'f' => {
            f32::from_be_bytes(*rest.first_chunk()?)
                .is_finite()
                .then_some(())?;
            fixed(4)
        }
        b'd' => {
            f64::from_be_bytes(*rest.first_chunk()?)
                .is_finite()
                .then_some(())?;
            fixed(8)
        }
        b'V' => Some(rest),
        b'S' | b'x' | b'A' | b'F' => {
            let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
            let mut inner = rest.get(4..4 + length)?;
            while (kind == b'A' || kind == b'F') && !inner.is_empty() {
                if kind == b'F' {
                    inner = inner.get(1 + usize::from(inner[0])..)?;
                }
                inner = naive_value(*inner.first()?, &inner[1..])?;
            }
            rest.get(4 + length..)
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_encoded_is_decoded(table in table(), after in vec(any::<u8>(), 0..3)) {
        let mut octets = wire(&table);
        let whole = octets.len();
        octets.extend(after);
        prop_assert_eq!(check(&octets), Ok(whole));
        prop_assert_eq!(decode(&octets), Ok(table));
    }

    #[test]
    fn scanner_and_plain_decoder_agree(octets in wires()) {
        let rest = naive_value(b'F', &octets).map(<[u8]>::len);
        prop_assert_eq!(check(&octets).ok().map(|whole| octets.len() - whole), rest);
        prop_assert_eq!(decode(&octets).is_ok(), rest.is_some());
    }

    #[test]
    fn what_the_scanner_takes_amq_protocol_takes(octets in wires()) {
        let Ok(table) = decode(&octets) else { return Ok(()) };
        // Encoding sorts keys and drops duplicates; then both must agree.
        let canonical = wire(&table);
        let (rest, theirs) = parse_field_table(&canonical[..]).expect("a table");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&theirs, &table);
        prop_assert_eq!(decode(&canonical), Ok(theirs));
    }
}

#[test]
fn nesting_is_limited() {
    for kind in [b'F', b'A'] {
        let deepest = nested(TABLE_DEPTH_MAX, kind);
        assert_eq!(check(&deepest), Ok(deepest.len()));
        assert!(decode(&deepest).is_ok());
        let too_deep = nested(TABLE_DEPTH_MAX + 1, kind);
        assert_eq!(check(&too_deep), Err(TableError::TooDeep));
        assert_eq!(check(&nested(100_000, kind)), Err(TableError::TooDeep));
    }
}

#[test]
fn lengths_that_lie_are_found() {
    assert_eq!(check(b""), Err(TableError::Truncated));
    assert_eq!(check(b"\0\0\0"), Err(TableError::Truncated));
    assert_eq!(check(b"\0\0\0\x01"), Err(TableError::Truncated));
    assert_eq!(check(b"\xff\xff\xff\xff"), Err(TableError::Truncated));
    assert_eq!(check(b"\0\0\0\x03\x01kV"), Ok(7));
    // A value that ends past its table, though not past the input.
    assert_eq!(check(b"\0\0\0\x03\x01kt\x01"), Err(TableError::Truncated));
    let inner_too_long = b"\0\0\0\x08\x01kA\0\0\0\x02VV";
    assert_eq!(check(inner_too_long), Err(TableError::Truncated));
}

#[test]
fn keys_need_not_be_utf8() {
    let table = decode(b"\0\0\0\x05\x02k\xfft\x01").expect("a table");
    assert_eq!(
        table.inner().get("k\u{fffd}"),
        Some(&AMQPValue::Boolean(true))
    );
    // Replacement characters make the longest key longer than a key can be; it is cut.
    let entry = [&[255][..], &[0xff; 255], b"V"].concat();
    let octets = [&(entry.len() as u32).to_be_bytes()[..], &entry].concat();
    let table = decode(&octets).expect("a table");
    let key = table.inner().keys().next().expect("a key");
    assert_eq!(key.as_str(), "\u{fffd}".repeat(85));
}
