//! How `rabbitmqadmin` prints lists: its formats, letter by letter.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::cli::rabbitmqadmin::Failure;

/// These come first.
const FIRST_COLUMNS: [&str; 7] = [
    "vhost",
    "name",
    "type",
    "source",
    "destination",
    "destination_type",
    "routing_key",
];

/// What a list is printed by.
pub(super) struct Layout<'a> {
    pub(super) format: &'a str,
    /// None: all.
    pub(super) columns: &'a [String],
    /// Columns whose tables are shown as JSON.
    pub(super) json: &'a [&'a str],
    pub(super) depth: usize,
    pub(super) quiet: bool,
}

/// A list that came as JSON, as text.
pub(super) fn list(layout: &Layout<'_>, document: &str) -> Result<String, Failure> {
    if layout.format == "raw_json" {
        return Ok(format!("{document}\n"));
    }
    let parsed: Value = serde_json::from_str(document)
        .map_err(|error| Failure::told(format!("the answer is no JSON: {error}")))?;
    if layout.format == "pretty_json" {
        let text = serde_json::to_string_pretty(&parsed);
        let text = text.map_err(|error| Failure::told(error.to_string()))?;
        return Ok(format!("{text}\n"));
    }
    let print = match layout.format {
        "table" => table,
        "tsv" => tsv,
        "long" => long,
        "kvp" => pairs,
        "bash" => bash,
        other => return Err(Failure::usage(format!("Format {other} not recognised"))),
    };
    let items = parsed.as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return Ok(if layout.quiet { "" } else { "No items\n" }.to_owned());
    }
    let rows: Vec<Vec<(String, Cell)>> = items
        .iter()
        .map(|item| {
            let mut cells = Vec::new();
            flatten(layout, "", 1, item, &mut cells);
            cells
        })
        .collect();
    let columns: Vec<String> = if layout.columns.is_empty() {
        let all = rows.iter().flatten().map(|(name, _)| name.clone());
        let mut all: Vec<String> = all.collect::<BTreeSet<_>>().into_iter().collect();
        // A stable sort: what is not promoted stays in the order of the alphabet.
        all.sort_by_key(|name| {
            let first = FIRST_COLUMNS.iter().position(|first| first == name);
            first.unwrap_or(FIRST_COLUMNS.len())
        });
        all
    } else {
        layout.columns.to_vec()
    };
    let rows = rows.into_iter().map(|cells| {
        let pick = |column: &String| {
            let found = cells.iter().find(|(name, _)| name == column);
            found.map_or(Cell::Text(String::new()), |(_, cell)| cell.clone())
        };
        columns.iter().map(pick).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    Ok(print(&columns, &rows, layout.quiet))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Text(String),
    None,
}

impl Cell {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::None => "",
        }
    }

    /// As Python formats it.
    fn named(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::None => "None",
        }
    }
}

/// Cells of an item; tables within it are columns with a dot in their name, as far as the depth goes.
fn flatten(
    layout: &Layout<'_>,
    prefix: &str,
    depth: usize,
    item: &Value,
    cells: &mut Vec<(String, Cell)>,
) {
    // Whoever asks for columns asks for those within tables too.
    let deep = !layout.columns.is_empty() || depth < layout.depth;
    for (key, value) in item.as_object().into_iter().flatten() {
        let column = match prefix {
            "" => key.clone(),
            prefix => format!("{prefix}.{key}"),
        };
        let text = match value {
            Value::Object(_) if layout.json.contains(&key.as_str()) => python(value),
            Value::Object(_) => {
                if deep {
                    flatten(layout, &column, depth + 1, value, cells);
                }
                continue;
            }
            Value::Array(items) if items.iter().all(Value::is_string) => {
                let texts = items.iter().filter_map(Value::as_str);
                texts.collect::<Vec<_>>().join(" ")
            }
            Value::Array(_) => python(value),
            Value::String(text) => text.clone(),
            Value::Bool(flag) => if *flag { "True" } else { "False" }.to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null => {
                cells.push((column, Cell::None));
                continue;
            }
        };
        cells.push((column, Cell::Text(text)));
    }
}

/// JSON as Python writes it.
fn python(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                format!("{}: {}", python(&Value::String(key.clone())), python(value))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items = items.iter().map(python).collect::<Vec<_>>();
            format!("[{}]", items.join(", "))
        }
        Value::String(_) => {
            let mut text = String::new();
            for character in value.to_string().chars() {
                if character.is_ascii() {
                    text.push(character);
                } else {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(text, "\\u{unit:04x}");
                    }
                }
            }
            text
        }
        Value::Bool(_) | Value::Number(_) | Value::Null => value.to_string(),
    }
}

fn table(columns: &[String], rows: &[Vec<Cell>], _: bool) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text().chars().count());
        }
    }
    let mut bar = "+".to_owned();
    for width in &widths {
        let _ = write!(bar, "{}+", "-".repeat(width + 2));
    }
    let mut text = format!("{bar}\n|");
    for (name, width) in columns.iter().zip(&widths) {
        let _ = write!(text, " {name:^width$} |");
    }
    let _ = write!(text, "\n{bar}\n");
    for row in rows {
        text.push('|');
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, " {:<width$} |", cell.text());
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{bar}");
    text
}

fn tsv(columns: &[String], rows: &[Vec<Cell>], quiet: bool) -> String {
    let mut text = String::new();
    if !quiet {
        let _ = writeln!(text, "{}", columns.join("\t"));
    }
    for row in rows {
        let cells: Vec<&str> = row.iter().map(Cell::text).collect();
        let _ = writeln!(text, "{}", cells.join("\t"));
    }
    text
}

fn long(columns: &[String], rows: &[Vec<Cell>], _: bool) -> String {
    let width = columns.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let line = format!("\n{}\n\n", "-".repeat(80));
    let mut text = line.clone();
    for row in rows {
        for (name, cell) in columns.iter().zip(row) {
            let _ = writeln!(text, "{name:>width$}: {}", cell.named());
        }
        text += &line;
    }
    text
}

fn pairs(columns: &[String], rows: &[Vec<Cell>], _: bool) -> String {
    let mut text = String::new();
    for row in rows {
        let pairs = columns.iter().zip(row);
        let pairs = pairs.map(|(name, cell)| format!("{name}=\"{}\"", cell.named()));
        let _ = writeln!(text, "{}", pairs.collect::<Vec<_>>().join(" "));
    }
    text
}

/// Names alone, for completion.
fn bash(columns: &[String], rows: &[Vec<Cell>], _: bool) -> String {
    let Some(index) = columns.iter().position(|name| name == "name") else {
        return String::new();
    };
    let names: Vec<&str> = rows.iter().map(|row| row[index].text()).collect();
    format!("{}\n", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &str = r#"[{"name": "a", "zeta": true, "n": 1.0, "args": {"x": [1, "\u00e9"]}, "tags": ["p", "q"], "vhost": "/"},
        {"name": "bb", "zeta": null, "n": 2, "args": {}, "tags": [], "vhost": "/"}]"#;

    #[track_caller]
    fn check(format: &str, columns: &[&str], depth: usize, expected: &str) {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let layout = Layout {
            format,
            columns: &columns,
            json: &["args"],
            depth,
            quiet: false,
        };
        assert_eq!(list(&layout, ITEMS).unwrap(), expected);
    }

    #[test]
    fn lists_are_printed_as_rabbitmqadmin_prints_them() {
        check(
            "table",
            &["name", "zeta"],
            1,
            "+------+------+\n| name | zeta |\n+------+------+\n| a    | True |\n| bb   |      |\n+------+------+\n",
        );
        check("tsv", &["name", "tags"], 1, "name\ttags\na\tp q\nbb\t\n");
        check(
            "kvp",
            &["name", "zeta"],
            1,
            "name=\"a\" zeta=\"True\"\nname=\"bb\" zeta=\"None\"\n",
        );
        check("bash", &["name"], 1, "a bb\n");
        check(
            "tsv",
            &[],
            1,
            "vhost\tname\targs\tn\ttags\tzeta\n/\ta\t{\"x\": [1, \"\\u00e9\"]}\t1.0\tp q\tTrue\n/\tbb\t{}\t2\t\t\n",
        );
        let line = format!("\n{}\n\n", "-".repeat(80));
        check(
            "long",
            &["name", "n"],
            1,
            &format!("{line}name: a\n   n: 1.0\n{line}name: bb\n   n: 2\n{line}"),
        );
    }

    #[test]
    fn tables_within_tables_are_columns_as_deep_as_was_asked() {
        let document = r#"[{"a": {"b": {"c": 1}}}]"#;
        let print = |depth, columns: &[String]| {
            let layout = Layout {
                format: "kvp",
                columns,
                json: &[],
                depth,
                quiet: false,
            };
            list(&layout, document).unwrap()
        };
        assert_eq!(print(3, &[]), "a.b.c=\"1\"\n");
        assert_eq!(print(1, &["a.b.c".to_owned()]), "a.b.c=\"1\"\n");
    }

    #[test]
    fn nothing_is_told_unless_it_is_to_be_quiet() {
        let mut layout = Layout {
            format: "table",
            columns: &[],
            json: &[],
            depth: 1,
            quiet: false,
        };
        assert_eq!(list(&layout, "[]").unwrap(), "No items\n");
        layout.quiet = true;
        assert_eq!(list(&layout, "[]").unwrap(), "");
        layout.format = "nonsense";
        assert!(list(&layout, "[]").is_err());
    }
}
