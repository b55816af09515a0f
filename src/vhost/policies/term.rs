//! Values out of JSON as Erlang prints them (`~tp`), for the texts of refused policies and limits.

use serde_json::Value;

use crate::protocol::erlang::binary;

/// Columns of a line; the printer leaves the last one free.
const LINE_COLUMNS: usize = 80;

/// One value, on one line.
pub fn term(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => binary(text.as_bytes()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(term).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{} => {}", binary(key.as_bytes()), term(value))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("#{{{}}}", entries.join(","))
        }
    }
}

/// Keys and values as a list of pairs; a line for each when they are too many for one.
pub(super) fn pairs<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let pair =
        |(key, value): (&str, &Value)| format!("{{{},{}}}", binary(key.as_bytes()), term(value));
    let pairs: Vec<String> = entries.map(pair).collect();
    let line = format!("[{}]", pairs.join(","));
    if line.chars().count() < LINE_COLUMNS {
        line
    } else {
        format!("[{}]", pairs.join(",\n "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_prints_as_erlang_terms() {
        for (value, printed) in [
            (json!("text"), "<<\"text\">>"),
            (json!(""), "<<>>"),
            (json!(-1), "-1"),
            (json!(1.5), "1.5"),
            (json!(true), "true"),
            (json!(null), "null"),
            (
                json!([1, "a", {"x": null}]),
                "[1,<<\"a\">>,#{<<\"x\">> => null}]",
            ),
            (json!([]), "[]"),
        ] {
            assert_eq!(term(&value), printed);
        }
    }

    #[test]
    fn a_long_list_of_pairs_takes_a_line_for_each() {
        let entries = [
            (
                "a-key-that-is-long",
                json!("a value that is long enough for half a line"),
            ),
            ("b", json!("and one that does not fit beside it")),
        ];
        let borrowed = entries.iter().map(|(key, value)| (*key, value));
        assert_eq!(
            pairs(borrowed.clone().take(1)),
            "[{<<\"a-key-that-is-long\">>,<<\"a value that is long enough for half a line\">>}]"
        );
        assert_eq!(
            pairs(borrowed),
            "[{<<\"a-key-that-is-long\">>,<<\"a value that is long enough for half a line\">>},\n \
             {<<\"b\">>,<<\"and one that does not fit beside it\">>}]"
        );
    }
}
