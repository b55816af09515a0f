//! Text from outside, fit for one line.

use std::fmt;
use std::fmt::Write;

/// Shows text with its control characters escaped, so that nobody writes lines of their own into the log.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(out, "{}", character.escape_default())?;
            } else {
                out.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_nothing_else() {
        let text = Printable("é 'q'\n2026 [info]\u{1b}[31m").to_string();
        assert_eq!(text, "é 'q'\\n2026 [info]\\u{1b}[31m");
    }
}
