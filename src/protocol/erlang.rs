//! Binaries as Erlang prints them, for error texts that carry a piece of the offending bytes.
//!
//! RabbitMQ's texts are compared by clients and by our compatibility tests, so the form is part of the protocol.

use std::fmt;

/// A binary as `~w` prints it: always numbers.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        for (index, octet) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{octet}")?;
        }
        f.write_str(">>")
    }
}

/// A binary as `~p` prints it: as text when every octet is printable, else as numbers.
pub(super) struct Pretty<'a>(pub(super) &'a [u8]);

impl fmt::Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() || !self.0.iter().all(|octet| printable(*octet)) {
            return Numbers(self.0).fmt(f);
        }
        f.write_str("<<\"")?;
        for octet in self.0 {
            match octet {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                0x0b => f.write_str("\\v")?,
                0x08 => f.write_str("\\b")?,
                0x0c => f.write_str("\\f")?,
                0x1b => f.write_str("\\e")?,
                printable => write!(f, "{}", char::from(*printable))?,
            }
        }
        f.write_str("\">>")
    }
}

fn printable(octet: u8) -> bool {
    matches!(octet, b' '..=b'~' | 0x08..=0x0d | 0x1b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_printed_as_text_and_the_rest_as_numbers() {
        assert_eq!(Pretty(b"").to_string(), "<<>>");
        assert_eq!(Pretty(b"GET /\r\n").to_string(), r#"<<"GET /\r\n">>"#);
        assert_eq!(Pretty(b"\"\\").to_string(), r#"<<"\"\\">>"#);
        assert_eq!(Pretty(&[1, 2, 206]).to_string(), "<<1,2,206>>");
        assert_eq!(Numbers(b"AB").to_string(), "<<65,66>>");
    }
}
