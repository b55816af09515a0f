//! Field tables in their wire form, entry by entry: for who changes a few entries of a table and passes the others on
//! byte for byte.
//!
//! Reading expects what [`table::check`](crate::protocol::table::check) has passed; on anything else it ends early and
//! never panics. Nothing is decoded here but single values.

use crate::protocol::table::fixed_bytes;

/// A value with its type's letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawValue<'a>(&'a [u8]);

impl<'a> RawValue<'a> {
    /// As on the wire, letter included.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// RabbitMQ's name of its type, as error texts have it.
    pub fn type_name(self) -> &'static str {
        match self.0.first() {
            Some(b't') => "bool",
            Some(b'b') => "byte",
            Some(b'B') => "unsignedbyte",
            Some(b's') => "short",
            Some(b'u') => "unsignedshort",
            Some(b'I') => "signedint",
            Some(b'i') => "unsignedint",
            Some(b'l' | b'L') => "long",
            Some(b'f') => "float",
            Some(b'd') => "double",
            Some(b'D') => "decimal",
            Some(b'S') => "longstr",
            Some(b'A') => "array",
            Some(b'T') => "timestamp",
            Some(b'F') => "table",
            Some(b'x') => "binary",
            _ => "void",
        }
    }

    /// The octets of a long string.
    pub fn text(self) -> Option<&'a [u8]> {
        match self.0.split_first()? {
            (b'S', rest) => rest.get(4..),
            _ => None,
        }
    }

    /// The number of a 64-bit integer.
    pub fn long(self) -> Option<i64> {
        match self.0.split_first()? {
            (b'l' | b'L', rest) => rest.first_chunk().map(|octets| i64::from_be_bytes(*octets)),
            (b'I', rest) => rest
                .first_chunk()
                .map(|octets| i32::from_be_bytes(*octets).into()),
            _ => None,
        }
    }

    /// The table in it, length included.
    pub fn table(self) -> Option<&'a [u8]> {
        match self.0.split_first()? {
            (b'F', table) => Some(table),
            _ => None,
        }
    }

    /// The values of the array in it.
    pub fn values(self) -> Option<impl Iterator<Item = RawValue<'a>>> {
        let mut rest = match self.0.split_first()? {
            (b'A', array) => array.get(4..)?,
            _ => return None,
        };
        Some(std::iter::from_fn(move || {
            let value;
            (value, rest) = split_value(rest)?;
            Some(value)
        }))
    }
}

/// Keys and values of the table at the front of `table`, length included.
pub fn entries(table: &[u8]) -> impl Iterator<Item = (&[u8], RawValue<'_>)> {
    let content = table.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = u32::from_be_bytes(*length) as usize;
        rest.get(..length)
    });
    let mut rest = content.unwrap_or_default();
    std::iter::from_fn(move || {
        let (key_bytes, after) = rest.split_first()?;
        let (key, after) = after.split_at_checked(usize::from(*key_bytes))?;
        let value;
        (value, rest) = split_value(after)?;
        Some((key, value))
    })
}

/// The first entry called `key`, as RabbitMQ looks entries up.
pub fn entry<'a>(table: &'a [u8], key: &str) -> Option<RawValue<'a>> {
    entries(table)
        .find(|(name, _)| *name == key.as_bytes())
        .map(|(_, value)| value)
}

fn split_value(input: &[u8]) -> Option<(RawValue<'_>, &[u8])> {
    let (kind, rest) = input.split_first()?;
    let octets = match kind {
        b'S' | b'x' | b'A' | b'F' => {
            let length = rest.first_chunk::<4>()?;
            4 + u32::from_be_bytes(*length) as usize
        }
        kind => fixed_bytes(*kind)?,
    };
    let (value, rest) = input.split_at_checked(1 + octets)?;
    Some((RawValue(value), rest))
}

/// `table` with these entries instead of those of the same names, sorted by key as RabbitMQ sorts a table to which it
/// adds; of duplicate keys the first stays.
pub fn replaced(table: &[u8], added: Vec<(&[u8], &[u8])>) -> Vec<u8> {
    let mut all = added;
    all.extend(entries(table).map(|(key, value)| (key, value.bytes())));
    // Stable, so the new entries stay before the old ones of the same name.
    all.sort_by_key(|(key, _)| *key);
    all.dedup_by_key(|(key, _)| *key);
    let mut table = RawTable::new();
    for (key, value) in all {
        table.raw(key, value);
    }
    table.finish()
}

/// A 64-bit integer with its letter.
pub fn long(number: i64) -> [u8; 9] {
    tagged(b'l', number.to_be_bytes())
}

/// Writes a table.
#[derive(Debug)]
pub struct RawTable {
    bytes: Vec<u8>,
}

impl RawTable {
    /// An empty one.
    pub fn new() -> Self {
        Self { bytes: vec![0; 4] }
    }

    /// Adds a value as it is on the wire, letter included.
    ///
    /// # Panics
    /// When the key is longer than a short string.
    pub fn raw(&mut self, key: &[u8], value: &[u8]) {
        assert!(key.len() <= 255, "key longer than a short string");
        self.bytes.push(key.len() as u8);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// Adds a long string.
    pub fn text(&mut self, key: &str, text: &[u8]) {
        self.raw(key.as_bytes(), &long_string(text));
    }

    /// Adds a 64-bit integer.
    pub fn long(&mut self, key: &str, number: i64) {
        self.raw(key.as_bytes(), &tagged(b'l', number.to_be_bytes()));
    }

    /// Adds a 32-bit integer.
    pub fn int(&mut self, key: &str, number: i32) {
        let mut value = [b'I'; 5];
        value[1..].copy_from_slice(&number.to_be_bytes());
        self.raw(key.as_bytes(), &value);
    }

    /// Adds a boolean.
    pub fn flag(&mut self, key: &str, flag: bool) {
        self.raw(key.as_bytes(), &[b't', u8::from(flag)]);
    }

    /// Adds an array of long strings.
    pub fn texts<T: AsRef<[u8]>>(&mut self, key: &str, texts: impl IntoIterator<Item = T>) {
        let texts = texts.into_iter().map(|text| long_string(text.as_ref()));
        self.raw(key.as_bytes(), &array(texts));
    }

    /// Adds an array of 64-bit integers.
    pub fn longs(&mut self, key: &str, numbers: impl IntoIterator<Item = i64>) {
        let numbers = numbers.into_iter();
        let numbers = numbers.map(|number| tagged(b'l', number.to_be_bytes()));
        self.raw(key.as_bytes(), &array(numbers));
    }

    /// Adds a table, given with its length.
    pub fn table(&mut self, key: &str, table: &[u8]) {
        self.raw(key.as_bytes(), &[b"F", table].concat());
    }

    /// Adds a timestamp, in seconds since the Unix epoch.
    pub fn timestamp(&mut self, key: &str, seconds: u64) {
        self.raw(key.as_bytes(), &tagged(b'T', seconds.to_be_bytes()));
    }

    /// The table, length included.
    pub fn finish(mut self) -> Vec<u8> {
        put_length(&mut self.bytes, 0);
        self.bytes
    }
}

impl Default for RawTable {
    fn default() -> Self {
        Self::new()
    }
}

/// A long string as a value, letter included.
pub fn long_string(text: &[u8]) -> Vec<u8> {
    let mut value = vec![b'S', 0, 0, 0, 0];
    value.extend_from_slice(text);
    put_length(&mut value, 1);
    value
}

/// An array of these values (letters included) as a value, letter included.
pub fn array<T: AsRef<[u8]>>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut array = vec![b'A', 0, 0, 0, 0];
    for value in values {
        array.extend_from_slice(value.as_ref());
    }
    put_length(&mut array, 1);
    array
}

/// Writes the length of all that follows into the four octets at `at`.
fn put_length(bytes: &mut [u8], at: usize) {
    let length = (bytes.len() - at - 4) as u32;
    bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn tagged(letter: u8, octets: [u8; 8]) -> [u8; 9] {
    let mut value = [letter; 9];
    value[1..].copy_from_slice(&octets);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::table;

    #[test]
    fn what_is_written_is_a_table_and_reads_back() {
        let mut inner = RawTable::new();
        inner.timestamp("time", 7);
        let mut table = RawTable::new();
        table.text("text", b"hello");
        table.long("number", -3);
        table.flag("flag", true);
        table.int("int", -2);
        table.texts("texts", ["a", "b"]);
        let inner = inner.finish();
        table.table("table", &inner);
        let inner: Vec<u8> = [&b"F"[..], &inner].concat();
        table.raw(b"array", &array([&inner, &long_string(b"")]));
        let table = table.finish();
        assert_eq!(table::check(&table), Ok(table.len()));

        let keys: Vec<_> = entries(&table).map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                &b"text"[..],
                b"number",
                b"flag",
                b"int",
                b"texts",
                b"table",
                b"array"
            ]
        );
        let value = |key| entry(&table, key).expect("was written");
        assert_eq!(value("text").text(), Some(&b"hello"[..]));
        assert_eq!(value("number").long(), Some(-3));
        assert_eq!(value("flag").bytes(), b"t\x01");
        assert_eq!(value("int").long(), Some(-2));
        assert_eq!(value("texts").values().expect("an array").count(), 2);
        assert_eq!(value("table").bytes(), inner);
        let values: Vec<_> = value("array").values().expect("an array").collect();
        assert_eq!(values.len(), 2);
        assert_eq!(values[0].bytes(), inner);
        assert_eq!(values[1].text(), Some(&b""[..]));
    }

    #[test]
    fn malformed_tables_end_early() {
        let mut table = RawTable::new();
        table.text("a", b"b");
        let table = table.finish();
        for end in 0..table.len() {
            assert_eq!(entries(&table[..end]).count(), 0);
        }
        assert_eq!(entries(b"\0\0\0\x03\x01aU").count(), 0);
    }
}
