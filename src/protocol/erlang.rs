//! Terms as Erlang prints them, for error texts that carry a piece of the offending bytes.
//!
//! RabbitMQ's texts are compared by clients and by our compatibility tests, so the form is part of the protocol, down
//! to the line breaks of its pretty printer (`io_lib:format`, `~tp`): lines of 80 columns, continued where the term
//! began.

use std::fmt::Write;

use amq_protocol::types::AMQPValue;

use crate::model::arguments::type_name;

/// Columns of a line.
const LINE_COLUMNS: usize = 80;

/// A binary as `~w` prints it: numbers, one line.
pub(super) fn numbers(octets: &[u8]) -> String {
    let numbers: Vec<String> = octets.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

/// A binary as `~tp` prints it, on one line.
pub fn binary(octets: &[u8]) -> String {
    printable(octets).unwrap_or_else(|| numbers(octets))
}

/// A text under construction; terms are laid out by where in it they begin.
#[derive(Default)]
pub(super) struct Pretty(pub(super) String);

impl Pretty {
    /// Characters since the last line break.
    fn column(&self) -> usize {
        self.0.chars().rev().take_while(|c| *c != '\n').count()
    }

    /// A break, and spaces up to `column`.
    fn break_to(&mut self, column: usize) {
        let _ = write!(self.0, "\n{:column$}", "");
    }

    /// Whether `width` columns more stay on the line; the printer counts columns from 1 and leaves the last one free.
    fn fits(&self, width: usize) -> bool {
        width + self.column() + 1 < LINE_COLUMNS
    }

    /// A binary as `~tp` prints it: as text when all of it is printable, else as numbers.
    pub(super) fn binary(mut self, octets: &[u8]) -> Self {
        match printable(octets) {
            Some(text) => {
                // Too short to need a break in any text of ours.
                self.0 += &text;
            }
            None => self.numbers(octets),
        }
        self
    }

    fn numbers(&mut self, octets: &[u8]) {
        let one_line = numbers(octets);
        if self.fits(one_line.len()) {
            self.0 += &one_line;
            return;
        }
        let column = self.column() + 2;
        let width = LINE_COLUMNS.saturating_sub(column + 1).max(8);
        let mut left = width;
        self.0 += "<<";
        for (index, octet) in octets.iter().enumerate() {
            let last = index + 1 == octets.len();
            let text = format!("{octet}{}", if last { "" } else { "," });
            if text.len() > left {
                self.break_to(column);
                left = width;
            }
            left -= text.len();
            self.0 += &text;
        }
        self.0 += ">>";
    }

    /// `{tag,number}` as `~p` prints it.
    pub(super) fn tagged(self, tag: &str, number: u64) -> Self {
        self.pair(tag, &number.to_string())
    }

    fn pair(mut self, tag: &str, number: &str) -> Self {
        let column = self.column() + 1;
        let fits = self.fits(tag.len() + number.len() + 3);
        self.0 += "{";
        self.0 += tag;
        self.0 += ",";
        if !fits {
            self.break_to(column);
        }
        self.0 += number;
        self.0 += "}";
        self
    }
}

/// A binary as text: UTF-8, marked so unless it is ASCII, or else Latin-1; `None` when some of it does not print.
fn printable(octets: &[u8]) -> Option<String> {
    let (text, mark) = match std::str::from_utf8(octets) {
        Ok(text) if text.is_ascii() => (text.to_owned(), ""),
        Ok(text) => (text.to_owned(), "/utf8"),
        Err(_) => (octets.iter().copied().map(char::from).collect(), ""),
    };
    if text.is_empty() {
        return None;
    }
    let mut quoted = String::from("<<\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            '\x0b' => quoted += "\\v",
            '\x08' => quoted += "\\b",
            '\x0c' => quoted += "\\f",
            '\x1b' => quoted += "\\e",
            // Erlang's printable range by default: Latin-1.
            ' '..='~' | '\u{a0}'..='\u{ff}' => quoted.push(c),
            _ => return None,
        }
    }
    quoted += "\"";
    quoted += mark;
    quoted += ">>";
    Some(quoted)
}

/// `before` with `{tag,number}` after it, as `~p` prints that there.
pub fn tagged(before: String, tag: &str, number: &str) -> String {
    Pretty(before).pair(tag, number).0
}

/// An entry of an argument table as `~w` prints it, with its type: `{<<"x-max-length">>,signedint,5}`.
pub fn entry(key: &str, value: &AMQPValue) -> String {
    format!(
        "{{{},{},{}}}",
        binary(key.as_bytes()),
        type_name(value),
        term(value)
    )
}

/// A value on one line. Tables are nested no deeper than [`TABLE_DEPTH_MAX`](crate::model::limits::TABLE_DEPTH_MAX).
fn term(value: &AMQPValue) -> String {
    match value {
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        AMQPValue::Float(value) => format!("{value:?}"),
        AMQPValue::Double(value) => format!("{value:?}"),
        AMQPValue::DecimalValue(value) => format!("{{{},{}}}", value.scale, value.value),
        AMQPValue::ShortString(text) => binary(text.as_str().as_bytes()),
        AMQPValue::LongString(text) => binary(text.as_bytes()),
        AMQPValue::ByteArray(octets) => binary(octets.as_slice()),
        AMQPValue::Void => "undefined".to_owned(),
        AMQPValue::FieldArray(array) => {
            let values = array.as_slice().iter();
            let values: Vec<_> = values
                .map(|value| format!("{{{},{}}}", type_name(value), term(value)))
                .collect();
            format!("[{}]", values.join(","))
        }
        AMQPValue::FieldTable(table) => {
            let entries = table.inner().iter();
            let entries: Vec<_> = entries
                .map(|(key, value)| entry(key.as_str(), value))
                .collect();
            format!("[{}]", entries.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::types::FieldTable;

    use super::*;

    fn pretty(octets: &[u8]) -> String {
        Pretty::default().binary(octets).0
    }

    #[test]
    fn text_is_printed_as_text_and_the_rest_as_numbers() {
        assert_eq!(pretty(b""), "<<>>");
        assert_eq!(pretty(b"GET /\r\n"), r#"<<"GET /\r\n">>"#);
        assert_eq!(
            pretty(b"a\"b\\\n\r\t\x0b\x08\x0c\x1b"),
            r#"<<"a\"b\\\n\r\t\v\b\f\e">>"#
        );
        assert_eq!(pretty(b"a\x07"), "<<97,7>>");
        assert_eq!(pretty(b"a\x7f"), "<<97,127>>");
        assert_eq!(pretty(&[1, 2, 206]), "<<1,2,206>>");
        assert_eq!(numbers(b"AB"), "<<65,66>>");
    }

    #[test]
    fn entries_are_printed_with_their_types() {
        let mut inner = FieldTable::default();
        inner.insert("k".into(), AMQPValue::Boolean(true));
        let array = vec![AMQPValue::LongString("a".into()), AMQPValue::Void];
        for (value, printed) in [
            (AMQPValue::LongInt(5), "signedint,5"),
            (AMQPValue::LongString("foo".into()), "longstr,<<\"foo\">>"),
            (AMQPValue::Double(1.0), "double,1.0"),
            (
                AMQPValue::FieldArray(array.into()),
                "array,[{longstr,<<\"a\">>},{void,undefined}]",
            ),
            (
                AMQPValue::FieldTable(inner),
                "table,[{<<\"k\">>,bool,true}]",
            ),
        ] {
            assert_eq!(entry("x", &value), format!("{{<<\"x\">>,{printed}}}"));
        }
    }

    #[test]
    fn text_beyond_ascii_is_marked_when_it_is_utf8() {
        assert_eq!(pretty("café".as_bytes()), r#"<<"café"/utf8>>"#);
        assert_eq!(pretty(b"caf\xe9"), r#"<<"café">>"#);
        assert_eq!(pretty("a\u{85}".as_bytes()), "<<97,194,133>>");
        assert_eq!(pretty("中".as_bytes()), "<<228,184,173>>");
    }

    #[test]
    fn long_terms_break_where_erlang_breaks_them() {
        let at = |before: &str, octets: &[u8]| Pretty(before.to_owned()).binary(octets).0;
        assert_eq!(
            at("type 9, all octets = ", &[128; 14]),
            format!("type 9, all octets = {}", numbers(&[128; 14]))
        );
        assert_eq!(
            at("type 9, all octets = ", &[128; 15]),
            "type 9, all octets = <<128,128,128,128,128,128,128,128,128,128,128,128,128,128,\n                       128>>"
        );
        assert_eq!(
            Pretty(at("type 3, first 16 octets = ", &[128; 16]) + ": ")
                .tagged("invalid_frame_end_marker", 7)
                .0,
            "type 3, first 16 octets = <<128,128,128,128,128,128,128,128,128,128,128,128,\n                            128,128,128,128>>: {invalid_frame_end_marker,7}"
        );
        let tagged = |octets: usize, number| {
            Pretty(at("type 3, all octets = ", &vec![1; octets]) + ": ")
                .tagged("invalid_frame_end_marker", number)
                .0
        };
        assert_eq!(
            tagged(12, 5),
            "type 3, all octets = <<1,1,1,1,1,1,1,1,1,1,1,1>>: {invalid_frame_end_marker,5}"
        );
        assert_eq!(
            tagged(12, 50),
            "type 3, all octets = <<1,1,1,1,1,1,1,1,1,1,1,1>>: {invalid_frame_end_marker,\n                                                   50}"
        );
    }
}
