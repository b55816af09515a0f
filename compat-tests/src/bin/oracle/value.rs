//! Values of field tables: their bytes, and how scripts and transcripts write them.
//!
//! A value is written with its type letter, `I 5`, `S "text"`, `F {k: V}`, `A [I 1, t 1]`; a bare
//! number is `I` (`l` when it does not fit), a bare text `S`, `true` and `false` are `t`.

use std::fmt;
use std::fmt::Write;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Everything of fixed width that is a whole number, under its letter.
    Integer(u8, i128),
    Float(u8, f64),
    Decimal(u8, u32),
    /// `S` and `x`.
    Bytes(u8, Vec<u8>),
    Array(Vec<Value>),
    Table(Table),
    Void,
}

pub(crate) type Table = Vec<(Vec<u8>, Value)>;

/// Octets of the whole numbers with this letter.
fn width(letter: u8) -> Option<usize> {
    Some(match letter {
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' => 4,
        b'l' | b'L' | b'T' => 8,
        _ => return None,
    })
}

fn is_signed(letter: u8) -> bool {
    matches!(letter, b'b' | b's' | b'I' | b'l' | b'L')
}

fn sized(out: &mut Vec<u8>, inner: &[u8]) {
    let length = u32::try_from(inner.len()).expect("tables of scripts are small");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(inner);
}

impl Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(letter, number) => {
                out.push(*letter);
                let width = width(*letter).expect("only letters with a width are made");
                out.extend_from_slice(&number.to_be_bytes()[16 - width..]);
            }
            Self::Float(b'f', number) => {
                out.push(b'f');
                #[allow(clippy::cast_possible_truncation, reason = "scripts ask for it")]
                out.extend_from_slice(&(*number as f32).to_be_bytes());
            }
            Self::Float(letter, number) => {
                out.push(*letter);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Decimal(scale, number) => {
                out.extend_from_slice(&[b'D', *scale]);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Bytes(letter, bytes) => {
                out.push(*letter);
                sized(out, bytes);
            }
            Self::Array(values) => {
                out.push(b'A');
                let mut inner = Vec::new();
                for value in values {
                    value.encode(&mut inner);
                }
                sized(out, &inner);
            }
            Self::Table(table) => {
                out.push(b'F');
                encode_table(table, out);
            }
            Self::Void => out.push(b'V'),
        }
    }
}

/// With its length.
pub(crate) fn encode_table(table: &Table, out: &mut Vec<u8>) {
    let mut inner = Vec::new();
    for (key, value) in table {
        inner.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
        inner.extend_from_slice(&key[..key.len().min(255)]);
        value.encode(&mut inner);
    }
    sized(out, &inner);
}

/// Takes values off the front of what a broker sent; an error says what is wrong with it.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        if count > self.0.len() {
            return Err(format!("{count} octets wanted, {} left", self.0.len()));
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn number(&mut self, width: usize) -> Result<u64, String> {
        Ok(self
            .take(width)?
            .iter()
            .fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    pub(crate) fn short_string(&mut self) -> Result<&'a [u8], String> {
        let length = self.number(1)? as usize;
        self.take(length)
    }

    pub(crate) fn long_string(&mut self) -> Result<&'a [u8], String> {
        let length = self.number(4)? as usize;
        self.take(length)
    }

    pub(crate) fn table(&mut self) -> Result<Table, String> {
        let mut inner = Reader(self.long_string()?);
        let mut table = Table::new();
        while !inner.0.is_empty() {
            let key = inner.short_string()?.to_vec();
            table.push((key, inner.value()?));
        }
        Ok(table)
    }

    fn value(&mut self) -> Result<Value, String> {
        let letter = self.take(1)?[0];
        if let Some(width) = width(letter) {
            let number = self.number(width)?;
            let bits = 64 - 8 * u32::try_from(width).unwrap_or(8);
            let number = if is_signed(letter) {
                i128::from(((number << bits) as i64) >> bits)
            } else {
                i128::from(number)
            };
            return Ok(Value::Integer(letter, number));
        }
        Ok(match letter {
            b'f' => {
                let bits = u32::try_from(self.number(4)?).unwrap_or(0);
                Value::Float(b'f', f64::from(f32::from_bits(bits)))
            }
            b'd' => Value::Float(b'd', f64::from_bits(self.number(8)?)),
            b'D' => {
                let scale = self.take(1)?[0];
                Value::Decimal(scale, u32::try_from(self.number(4)?).unwrap_or(0))
            }
            b'S' | b'x' => Value::Bytes(letter, self.long_string()?.to_vec()),
            b'A' => {
                let mut inner = Reader(self.long_string()?);
                let mut values = Vec::new();
                while !inner.0.is_empty() {
                    values.push(inner.value()?);
                }
                Value::Array(values)
            }
            b'F' => Value::Table(self.table()?),
            b'V' => Value::Void,
            other => return Err(format!("unknown type letter {:?}", char::from(other))),
        })
    }
}

/// Bytes in quotes, with `\n`, `\"`, `\\` and `\xHH`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let _ = match c {
                '"' => write!(text, "\\\""),
                '\\' => write!(text, "\\\\"),
                '\n' => write!(text, "\\n"),
                c if c.is_control() => write!(text, "\\x{:02x}", u32::from(c)),
                c => write!(text, "{c}"),
            };
        }
        for octet in chunk.invalid() {
            let _ = write!(text, "\\x{octet:02x}");
        }
    }
    text.push('"');
    text
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(letter, number) => write!(out, "{} {number}", char::from(*letter)),
            Self::Float(letter, number) => write!(out, "{} {number}", char::from(*letter)),
            Self::Decimal(scale, number) => write!(out, "D {scale} {number}"),
            Self::Bytes(letter, bytes) => {
                write!(out, "{} {}", char::from(*letter), quoted(bytes))
            }
            Self::Array(values) => {
                out.write_str("A [")?;
                for (index, value) in values.iter().enumerate() {
                    write!(out, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                out.write_str("]")
            }
            Self::Table(table) => write!(out, "F {}", shown(table)),
            Self::Void => out.write_str("V"),
        }
    }
}

/// A table as scripts write it.
pub(crate) fn shown(table: &Table) -> String {
    let entries: Vec<String> = table
        .iter()
        .map(|(key, value)| {
            let plain = !key.is_empty()
                && key
                    .iter()
                    .all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(octet));
            if plain {
                format!("{}: {value}", String::from_utf8_lossy(key))
            } else {
                format!("{}: {value}", quoted(key))
            }
        })
        .collect();
    format!("{{{}}}", entries.join(", "))
}

/// Reads what a script writes.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|octet| octet.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    pub(crate) fn rest(&self) -> &'a str {
        std::str::from_utf8(&self.text[self.at..]).unwrap_or_default()
    }

    fn want(&mut self, octet: u8) -> Result<(), String> {
        if self.eat(octet) {
            Ok(())
        } else {
            Err(format!(
                "{:?} expected at {:?}",
                char::from(octet),
                self.rest()
            ))
        }
    }

    /// Up to one of `ends` or a space.
    pub(crate) fn bare(&mut self, ends: &[u8]) -> String {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|octet| !octet.is_ascii_whitespace() && !ends.contains(&octet))
        {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    /// In quotes, or bare up to one of `ends`.
    pub(crate) fn string(&mut self, ends: &[u8]) -> Result<Vec<u8>, String> {
        if !self.eat(b'"') {
            return Ok(self.bare(ends).into_bytes());
        }
        let mut bytes = Vec::new();
        loop {
            let octet = self.peek().ok_or("a quote is missing")?;
            self.at += 1;
            match octet {
                b'"' => return Ok(bytes),
                b'\\' => {
                    let escape = self.peek().ok_or("a quote is missing")?;
                    self.at += 1;
                    match escape {
                        b'n' => bytes.push(b'\n'),
                        b'r' => bytes.push(b'\r'),
                        b'x' => {
                            let digits = self.rest().get(..2).unwrap_or_default();
                            let octet = u8::from_str_radix(digits, 16)
                                .map_err(|_| format!("\\x{digits}: no octet"))?;
                            bytes.push(octet);
                            self.at += 2;
                        }
                        other => bytes.push(other),
                    }
                }
                other => bytes.push(other),
            }
        }
    }

    pub(crate) fn table(&mut self) -> Result<Table, String> {
        self.want(b'{')?;
        let mut table = Table::new();
        loop {
            self.skip_spaces();
            if self.eat(b'}') {
                return Ok(table);
            }
            let key = self.string(b":}")?;
            self.skip_spaces();
            self.want(b':')?;
            self.skip_spaces();
            table.push((key, self.value()?));
            self.skip_spaces();
            if !self.eat(b',') {
                self.want(b'}')?;
                return Ok(table);
            }
        }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        self.skip_spaces();
        let word = self.bare(b",}]");
        word.parse()
            .map_err(|_| format!("{word:?} is no number of this type"))
    }

    fn array(&mut self) -> Result<Vec<Value>, String> {
        self.want(b'[')?;
        let mut values = Vec::new();
        loop {
            self.skip_spaces();
            if self.eat(b']') {
                return Ok(values);
            }
            values.push(self.value()?);
            self.skip_spaces();
            if !self.eat(b',') {
                self.want(b']')?;
                return Ok(values);
            }
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some(b'"') => return Ok(Value::Bytes(b'S', self.string(b"")?)),
            Some(b'{') => return Ok(Value::Table(self.table()?)),
            Some(b'[') => return Ok(Value::Array(self.array()?)),
            _ => {}
        }
        let word = self.bare(b",}]");
        let alone = matches!(self.peek(), None | Some(b',' | b'}' | b']'));
        let letter = match word.as_bytes() {
            [letter] if !alone => *letter,
            b"V" => return Ok(Value::Void),
            _ => return Ok(untyped(word)),
        };
        self.skip_spaces();
        if width(letter).is_some() {
            return Ok(Value::Integer(letter, self.number()?));
        }
        Ok(match letter {
            b'f' | b'd' => Value::Float(letter, self.number()?),
            b'D' => {
                let scale = self.number()?;
                Value::Decimal(scale, self.number()?)
            }
            b'S' | b'x' => Value::Bytes(letter, self.string(b",}]")?),
            b'A' => Value::Array(self.array()?),
            b'F' => Value::Table(self.table()?),
            _ => return Err(format!("unknown type letter {word:?}")),
        })
    }
}

fn untyped(word: String) -> Value {
    match word.as_str() {
        "true" => return Value::Integer(b't', 1),
        "false" => return Value::Integer(b't', 0),
        _ => {}
    }
    match word.parse::<i64>() {
        Ok(number) if i32::try_from(number).is_ok() => Value::Integer(b'I', number.into()),
        Ok(number) => Value::Integer(b'l', number.into()),
        Err(_) => Value::Bytes(b'S', word.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_survive_the_wire_and_their_text() {
        let text = r#"{a: I -5, b: S "x\"y", c: t 1, d: A [I 1, F {n: V}], e: d 1.5, f: D 2 314, g: T 7, h: x "\xff", i: B 255, j: l -9000000000}"#;
        let table = Cursor::new(text).table().unwrap();
        assert_eq!(shown(&table), text);
        let mut bytes = Vec::new();
        encode_table(&table, &mut bytes);
        assert_eq!(Reader(&bytes).table().unwrap(), table);
    }

    #[test]
    fn values_without_a_letter_get_the_usual_type() {
        let table = Cursor::new("{a: 5, b: 5000000000, c: word, d: true, e: V, f: \"V\"}")
            .table()
            .unwrap();
        assert_eq!(
            shown(&table),
            r#"{a: I 5, b: l 5000000000, c: S "word", d: t 1, e: V, f: S "V"}"#
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in ["", "{", "{a}", "{a: I x}", "{a: 5", "{a: q 5}", "{a: \"x}"] {
            assert!(Cursor::new(text).table().is_err(), "{text}");
        }
    }
}
