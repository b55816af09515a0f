//! Erlang's and Elixir's way to write values, for those formatters of RabbitMQ's that print terms.
//!
//! The terms are RabbitMQ's; what is too long for a line is broken between rows and between columns, and nowhere else.

use std::fmt::Write;

use serde_json::Value;

/// An atom as Erlang writes it: in quotes where it would be something else without.
pub(super) fn atom(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@');
    match name.starts_with(|c: char| c.is_lowercase()) && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

/// Columns whose texts are atoms in RabbitMQ.
const ATOMS: &[&str] = &[
    "activity_status",
    "apply-to",
    "destination_kind",
    "protocol",
    "provided_by",
    "source_kind",
    "stability",
    "state",
    "tags",
    "type",
];

/// Longer lines are broken.
const LINE_CHARACTERS_MAX: usize = 80;

/// How terms are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Erlang,
    Elixir,
}

impl Language {
    /// A row: pairs of a column and its value.
    pub(super) fn row(self, columns: &[&str], row: &Value) -> String {
        let cells = columns.iter().map(|column| {
            let value = self.value(&row[*column], ATOMS.contains(column));
            match self {
                Self::Erlang => format!("{{{},{value}}}", self.key(column)),
                Self::Elixir => format!("{}: {value}", self.key(column)),
            }
        });
        let cells: Vec<String> = cells.collect();
        let line = format!("[{}]", cells.join(self.comma()));
        // A column before it, a comma or bracket behind it.
        match self == Self::Erlang && line.chars().count() + 2 > LINE_CHARACTERS_MAX {
            true => format!("[{}]", cells.join(",\n  ")),
            false => line,
        }
    }

    /// A list of rows.
    pub(super) fn rows(self, columns: &[&str], rows: &[Value]) -> String {
        let rows: Vec<String> = rows.iter().map(|row| self.row(columns, row)).collect();
        let line = format!("[{}]", rows.join(","));
        match line.contains('\n') || line.chars().count() > LINE_CHARACTERS_MAX {
            true => format!("[{}]", rows.join(",\n ")),
            false => line,
        }
    }

    /// A result that is a text.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::Erlang => binary(text.as_bytes()),
            Self::Elixir => quoted(text),
        }
    }

    fn comma(self) -> &'static str {
        match self {
            Self::Erlang => ",",
            Self::Elixir => ", ",
        }
    }

    fn key(self, column: &str) -> String {
        match self {
            // What has other letters is a text there.
            _ if !column.contains([' ', '-']) => column.to_owned(),
            Self::Erlang => atom(column),
            Self::Elixir => quoted(column),
        }
    }

    fn atom(self, name: &str) -> String {
        match self {
            Self::Erlang => atom(name),
            Self::Elixir if matches!(name, "true" | "false" | "nil") => name.to_owned(),
            Self::Elixir => match atom(name).starts_with('\'') {
                true => format!(":{}", quoted(name)),
                false => format!(":{name}"),
            },
        }
    }

    fn value(self, value: &Value, atoms: bool) -> String {
        match value {
            Value::Null => self.atom(""),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::String(text) if atoms => self.atom(text),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|it| self.value(it, atoms)).collect();
                format!("[{}]", items.join(self.comma()))
            }
            // A table of arguments: name, type, value.
            Value::Object(entries) => {
                let entries = entries.iter().map(|(name, value)| {
                    let (name, comma) = (self.text(name), self.comma());
                    let kind = self.atom(kind(value));
                    let value = self.value(value, false);
                    format!("{{{name}{comma}{kind}{comma}{value}}}")
                });
                format!("[{}]", entries.collect::<Vec<_>>().join(self.comma()))
            }
        }
    }
}

/// The type of an argument.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "void",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "long",
        Value::String(_) => "longstr",
        Value::Array(_) => "array",
        Value::Object(_) => "table",
    }
}

/// As `~p` does it: text where each octet is a character that can be printed, else numbers.
fn binary(octets: &[u8]) -> String {
    let printable = |octet: &u8| matches!(octet, 8..=13 | 27 | 32..=126 | 160..);
    if octets.is_empty() {
        return "<<>>".to_owned();
    }
    if octets.iter().all(printable) {
        let text: String = octets.iter().map(|octet| char::from(*octet)).collect();
        return format!("<<{}>>", quoted(&text));
    }
    let numbers: Vec<String> = octets.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\x{{{:x}}}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_terms_as_rabbitmq_prints_them() {
        let row = json!({"user": "guest", "tags": ["administrator"], "apply-to": "all", "n": 1, "policy": null});
        let columns = ["user", "tags", "apply-to", "n", "policy"];
        assert_eq!(
            Language::Erlang.row(&columns, &row),
            "[{user,<<\"guest\">>},{tags,[administrator]},{'apply-to',all},{n,1},{policy,''}]"
        );
        assert_eq!(
            Language::Elixir.row(&columns, &row),
            "[user: \"guest\", tags: [:administrator], \"apply-to\": :all, n: 1, policy: :\"\"]"
        );
        let row = json!({"arguments": {"x-max-length": 5, "x-queue-type": "q\"uorum"}});
        assert_eq!(
            Language::Erlang.row(&["arguments"], &row),
            "[{arguments,[{<<\"x-max-length\">>,long,5},{<<\"x-queue-type\">>,longstr,<<\"q\\\"uorum\">>}]}]"
        );
    }

    #[test]
    fn what_is_long_is_broken_between_rows_and_columns() {
        let row = json!({"a": "x".repeat(60), "b": "y".repeat(20)});
        let (a, b) = ("x".repeat(60), "y".repeat(20));
        assert_eq!(
            Language::Erlang.rows(&["a", "b"], &[row.clone(), row]),
            format!(
                "[[{{a,<<\"{a}\">>}},\n  {{b,<<\"{b}\">>}}],\n [{{a,<<\"{a}\">>}},\n  {{b,<<\"{b}\">>}}]]"
            )
        );
    }

    #[test]
    fn binaries_are_texts_of_octets_or_numbers() {
        let check = |text: &str, expected| assert_eq!(Language::Erlang.text(text), expected);
        check("", "<<>>");
        check("a\tb", "<<\"a\\tb\">>");
        check("ü", "<<\"Ã¼\">>");
        check("€", "<<226,130,172>>");
    }

    #[test]
    fn atoms_are_quoted_where_they_must_be() {
        let check = |name, expected| assert_eq!(atom(name), expected);
        check("rabbit@host", "rabbit@host");
        check("rabbit@my-host.local", "'rabbit@my-host.local'");
        check("Upper", "'Upper'");
        check("it's", "'it\\'s'");
        check("", "''");
    }
}
