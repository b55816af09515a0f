//! What commands print: RabbitMQ's formatters.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::ctl::terms::Language;

/// `--formatter`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Formatter {
    /// Fields with tabs between.
    Table,
    /// A table with borders.
    PrettyTable,
    /// JSON.
    Json,
    /// JSON, an object a line.
    JsonStream,
    /// Fields with commas between.
    Csv,
    /// Erlang's terms.
    Erlang,
    /// Elixir's terms, a line each; texts as they are.
    String,
    /// Elixir's terms as one list; texts as they are.
    Inspect,
}

impl Formatter {
    /// Nothing but the result may be printed.
    pub(super) fn is_for_machines(self) -> bool {
        matches!(self, Self::Json | Self::JsonStream | Self::Csv)
    }
}

/// A result that is one text.
pub(super) fn words(formatter: Formatter, words: &str) -> String {
    match formatter {
        Formatter::Erlang => Language::Erlang.text(words),
        Formatter::Table
        | Formatter::PrettyTable
        | Formatter::Json
        | Formatter::JsonStream
        | Formatter::Csv
        | Formatter::String
        | Formatter::Inspect => words.to_owned(),
    }
}

/// The items of a list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as it stands in a sentence: text without quotes.
pub(super) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Rows with these columns.
pub(super) fn rows(
    formatter: Formatter,
    headers: bool,
    columns: &[&str],
    rows: &[Value],
) -> String {
    let cells =
        |row: &Value| -> Vec<String> { columns.iter().map(|key| cell(&row[*key])).collect() };
    // In the order of the columns, which a map would not keep.
    let picked = |row: &Value| -> String {
        let entries = columns
            .iter()
            .map(|key| format!("{}:{}", Value::from(*key), row[*key]));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    };
    let mut text = String::new();
    match formatter {
        Formatter::Json if rows.is_empty() => text.push_str("[]\n"),
        Formatter::Json => {
            let all: Vec<String> = rows.iter().map(picked).collect();
            let _ = writeln!(text, "[\n{}\n]", all.join("\n,"));
        }
        Formatter::JsonStream => {
            for row in rows {
                let _ = writeln!(text, "{}", picked(row));
            }
        }
        // What is empty has no head either.
        Formatter::Csv if rows.is_empty() => {}
        Formatter::Csv => {
            let quoted = |cells: Vec<String>| {
                let cells = cells.iter().map(|cell| csv(cell));
                cells.collect::<Vec<_>>().join(",")
            };
            let head = columns.iter().map(|name| (*name).to_owned()).collect();
            let _ = writeln!(text, "{}", quoted(head));
            for row in rows {
                let _ = writeln!(text, "{}", quoted(cells(row)));
            }
        }
        Formatter::Erlang => {
            let _ = writeln!(text, "{}", Language::Erlang.rows(columns, rows));
        }
        Formatter::String => {
            for row in rows {
                let _ = writeln!(text, "{}", Language::Elixir.row(columns, row));
            }
        }
        Formatter::Inspect => {
            let rows = rows
                .iter()
                .map(|row| Language::Elixir.row(columns, row) + "\n");
            let rows: Vec<String> = rows.collect();
            let _ = writeln!(text, "[\n{}]", rows.join(","));
        }
        Formatter::Table | Formatter::PrettyTable if rows.is_empty() => {}
        Formatter::Table => {
            if headers {
                let _ = writeln!(text, "{}", columns.join("\t"));
            }
            for row in rows {
                let _ = writeln!(text, "{}", cells(row).join("\t"));
            }
        }
        Formatter::PrettyTable => pretty(
            &mut text,
            columns,
            &rows.iter().map(cells).collect::<Vec<_>>(),
        ),
    }
    text
}

fn pretty(text: &mut String, columns: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = columns.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let border = |left: &str, middle: &str, right: &str| {
        let lines: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", lines.join(middle))
    };
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!(" {cell:width$} "))
            .collect();
        format!("│{}│\n", cells.join("│"))
    };
    let head: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    *text += &border("┌", "┬", "┐");
    *text += &line(&head);
    *text += &border("├", "┼", "┤");
    for row in rows {
        *text += &line(row);
    }
    *text += &border("└", "┴", "┘");
}

/// Everything in quotes, as RabbitMQ's tools write it.
fn csv(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

/// A value as a table has it: text as it is, the rest as an Erlang term.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escaped(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(cell).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{{{},{}}}", quoted(key), term(value)))
                .collect();
            format!("[{}]", entries.join(","))
        }
    }
}

fn term(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Null => "undefined".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(term).collect();
            format!("[{}]", items.join(","))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => cell(value),
    }
}

/// Text within a term.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped(&text))
}

/// Without anything that would break the line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(escaped, "\\{:03o}", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(formatter: Formatter, headers: bool, expected: &str) {
        let all = [
            json!({"name": "a\tb", "n": 1, "tags": ["x", "y"], "args": {"x-queue-type": "quo\"rum", "m": [2, "b"]}}),
            json!({"name": "c,\"d", "n": null, "tags": [], "args": {}}),
        ];
        let columns = ["name", "n", "tags", "args"];
        assert_eq!(rows(formatter, headers, &columns, &all), expected);
    }

    #[test]
    fn rows_are_printed_as_rabbitmq_prints_them() {
        let table = "a\\tb\t1\t[x, y]\t[{\"m\",[2,\"b\"]},{\"x-queue-type\",\"quo\\\"rum\"}]\nc,\"d\t\t[]\t[]\n";
        check(Formatter::Table, false, table);
        check(
            Formatter::Table,
            true,
            &format!("name\tn\ttags\targs\n{table}"),
        );
        check(
            Formatter::Csv,
            true,
            "\"name\",\"n\",\"tags\",\"args\"\n\"a\\tb\",\"1\",\"[x, y]\",\"[{\"\"m\"\",[2,\"\"b\"\"]},{\"\"x-queue-type\"\",\"\"quo\\\"\"rum\"\"}]\"\n\
             \"c,\"\"d\",\"\",\"[]\",\"[]\"\n",
        );
        check(
            Formatter::JsonStream,
            true,
            "{\"name\":\"a\\tb\",\"n\":1,\"tags\":[\"x\",\"y\"],\"args\":{\"m\":[2,\"b\"],\"x-queue-type\":\"quo\\\"rum\"}}\n\
             {\"name\":\"c,\\\"d\",\"n\":null,\"tags\":[],\"args\":{}}\n",
        );
        let none = rows(Formatter::Table, true, &["name"], &[]);
        assert_eq!(none, "");
        assert_eq!(rows(Formatter::Csv, true, &["name"], &[]), "");
        assert_eq!(rows(Formatter::Json, true, &["name"], &[]), "[]\n");
        let two = [json!({"b": 1, "a": "x"}), json!({"b": 2, "a": "y"})];
        assert_eq!(
            rows(Formatter::Json, true, &["b", "a"], &two),
            "[\n{\"b\":1,\"a\":\"x\"}\n,{\"b\":2,\"a\":\"y\"}\n]\n"
        );
        let users = [json!({"user": "guest", "tags": ["administrator"]})];
        let terms = |formatter, list| rows(formatter, true, &["user", "tags"], list);
        assert_eq!(
            terms(Formatter::Erlang, &users),
            "[[{user,<<\"guest\">>},{tags,[administrator]}]]\n"
        );
        assert_eq!(
            terms(Formatter::Inspect, &users),
            "[\n[user: \"guest\", tags: [:administrator]]\n]\n"
        );
        assert_eq!(terms(Formatter::Erlang, &[]), "[]\n");
        assert_eq!(terms(Formatter::String, &[]), "");
        assert_eq!(words(Formatter::Erlang, "ok"), "<<\"ok\">>");
        let one = rows(
            Formatter::PrettyTable,
            true,
            &["name"],
            &[json!({"name": "q"})],
        );
        assert_eq!(one, "┌──────┐\n│ name │\n├──────┤\n│ q    │\n└──────┘\n");
    }
}
