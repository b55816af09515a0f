//! Lists as clients want them: filtered, sorted, a page of them, some columns.
//!
//! A list whose rows are dear to make picks its page first, with [`pick`], and makes the rows of that page only.

use std::cmp::Ordering;

use axum::Json;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::management::ApiError;
use crate::management::query::Page;
use crate::management::query::Query;
use crate::model::Pattern;

/// Sorted by `usual` fields, or by what the client says before these.
pub(super) fn reply(
    query: &Query,
    mut rows: Vec<Value>,
    usual: &[&str],
) -> Result<Json<Value>, ApiError> {
    let page = query.page()?;
    let keys: Vec<&str> = query
        .sort()
        .into_iter()
        .chain(usual.iter().copied())
        .collect();
    rows.sort_by_cached_key(|row| {
        SortKey(keys.iter().map(|key| field(row, key).clone()).collect())
    });
    if query.reverse() {
        rows.reverse();
    }
    let Some(page) = page else {
        return Ok(Json(with_columns(query, rows.into())));
    };
    let total = rows.len();
    if let Some(wanted) = NameFilter::new(&page) {
        rows.retain(|row| row["name"].as_str().is_none_or(|name| wanted.takes(name)));
    }
    let filtered = rows.len();
    let range = range_of(&page, filtered)?;
    let rows: Vec<Value> = rows.drain(range).collect();
    Ok(Json(envelope(query, &page, rows, total, filtered)))
}

/// Which of `filtered` items are on the page.
pub(super) fn range_of(page: &Page, filtered: usize) -> Result<std::ops::Range<usize>, ApiError> {
    let start = page.number.saturating_sub(1).saturating_mul(page.size);
    if start > filtered || (start == filtered && start > 0) {
        return Err(ApiError::InvalidPage {
            error: "page_out_of_range",
            reason: format!(
                "Page out of range, page: {} page size: {}, len: {filtered}",
                page.number, page.size
            ),
        });
    }
    Ok(start..filtered.min(start.saturating_add(page.size)))
}

/// A page with what stands around it.
pub(super) fn envelope(
    query: &Query,
    page: &Page,
    rows: Vec<Value>,
    total: usize,
    filtered: usize,
) -> Value {
    json!({
        "total_count": total,
        "item_count": rows.len(),
        "filtered_count": filtered,
        "page": page.number,
        "page_size": page.size,
        "page_count": filtered.div_ceil(page.size),
        "items": with_columns(query, rows.into()),
    })
}

/// Puts those of `items` that belong at `range` there, in order, without sorting the rest.
pub(super) fn pick<T>(
    items: &mut [T],
    range: std::ops::Range<usize>,
    mut order: impl FnMut(&T, &T) -> Ordering,
) -> &mut [T] {
    let len = items.len();
    if range.start > 0 && range.start < len {
        items.select_nth_unstable_by(range.start, &mut order);
    }
    if range.end > range.start && range.end < len {
        items[range.start..].select_nth_unstable_by(range.end - range.start, &mut order);
    }
    let picked = &mut items[range];
    picked.sort_by(order);
    picked
}

/// Which names a client wants to see.
pub(super) enum NameFilter {
    Contains(String),
    Matches(Pattern),
    /// A pattern that is none matches nothing, as in RabbitMQ.
    Nothing,
}

impl NameFilter {
    pub(super) fn new(page: &Page) -> Option<Self> {
        let name = page.name.as_ref()?;
        Some(if page.use_regex {
            Pattern::checked(&format!("(?i){name}")).map_or(Self::Nothing, Self::Matches)
        } else {
            Self::Contains(name.to_lowercase())
        })
    }

    pub(super) fn takes(&self, name: &str) -> bool {
        match self {
            Self::Contains(part) => name.to_lowercase().contains(part),
            Self::Matches(pattern) => pattern.matches(name),
            Self::Nothing => false,
        }
    }
}

/// Keeps the columns that the client wants; everything without a word.
pub(super) fn with_columns(query: &Query, value: Value) -> Value {
    match query.columns() {
        None => value,
        Some(columns) => {
            let columns: Vec<&[String]> = columns.iter().map(Vec::as_slice).collect();
            cut(value, &columns)
        }
    }
}

fn cut(value: Value, columns: &[&[String]]) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| cut(item, columns)).collect(),
        Value::Object(entries) => {
            let mut kept = Map::new();
            for (key, value) in entries {
                let below: Vec<&[String]> = columns
                    .iter()
                    .filter(|column| column.first().is_some_and(|name| *name == key))
                    .map(|column| &column[1..])
                    .collect();
                if below.is_empty() {
                    continue;
                }
                let whole = below.iter().any(|column| column.is_empty());
                kept.insert(key, if whole { value } else { cut(value, &below) });
            }
            Value::Object(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// The value of a dotted name.
fn field<'a>(row: &'a Value, name: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    name.split('.')
        .fold(row, |value, part| value.get(part).unwrap_or(NOTHING))
}

/// Values in RabbitMQ's order: numbers, then words, then tables, then texts; what is not there is as 0.
struct SortKey(Vec<Value>);

impl PartialEq for SortKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SortKey {}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .map(|(left, right)| compare(left, right))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }
}

fn compare(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null | Value::Number(_) => 0,
        Value::Bool(_) => 1,
        Value::Object(_) => 2,
        Value::Array(_) => 3,
        Value::String(_) => 4,
    };
    match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ if rank(left) == 0 && rank(right) == 0 => {
            let number = |value: &Value| value.as_f64().unwrap_or(0.0);
            number(left).total_cmp(&number(right))
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<Value> {
        let row = |n: usize| json!({"name": format!("q{n:03}"), "vhost": "/", "messages": (n * 7) % count});
        (0..count).rev().map(row).collect()
    }

    fn list(query: &str, count: usize) -> Value {
        let query = Query::parse(query);
        reply(&query, rows(count), &["vhost", "name"]).unwrap().0
    }

    #[test]
    fn lists_are_sorted() {
        assert_eq!(list("", 3)[0]["name"], "q000");
        assert_eq!(list("sort=messages&sort_reverse=true", 5)[0]["messages"], 4);
        assert_eq!(list("sort=absent.deep", 3)[2]["name"], "q002");
    }

    #[test]
    fn a_page_tells_of_the_others() {
        let page = list("page=2&page_size=2&name=Q00", 20);
        assert_eq!(page["items"][0]["name"], "q002");
        let counts = [
            "total_count",
            "item_count",
            "filtered_count",
            "page",
            "page_size",
            "page_count",
        ];
        let counts: Vec<_> = counts
            .iter()
            .map(|key| page[key].as_u64().unwrap())
            .collect();
        assert_eq!(counts, [20, 2, 10, 2, 2, 5]);
        let matched = list("page=1&name=^q01[23]$&use_regex=true", 20);
        assert_eq!(matched["filtered_count"], 2);
        assert_eq!(
            list("page=1&name=[&use_regex=true", 20)["filtered_count"],
            0
        );
        assert_eq!(list("page=1", 0)["page_count"], 0);
    }

    #[test]
    fn pages_beyond_the_last_are_refused() {
        for query in [
            "page=3&page_size=2",
            "page=1000",
            "page=2&page_size=2&name=q003",
        ] {
            let query = Query::parse(query);
            assert!(reply(&query, rows(4), &["name"]).is_err());
        }
    }

    #[test]
    fn columns_are_cut_deeply() {
        let query = Query::parse("columns=a.b,c");
        let value = json!({"a": {"b": 1, "x": 2}, "c": {"y": 3}, "d": 4});
        assert_eq!(
            with_columns(&query, value),
            json!({"a": {"b": 1}, "c": {"y": 3}})
        );
    }

    #[test]
    fn picking_is_sorting_where_it_matters() {
        let shuffled: Vec<u32> = (0..1000).map(|n| (n * 617) % 1000).collect();
        for range in [0..0, 0..10, 990..1000, 500..600, 0..1000, 999..1000] {
            let mut items = shuffled.clone();
            let picked = pick(&mut items, range.clone(), Ord::cmp).to_vec();
            let expected: Vec<u32> = range.map(|n| n as u32).collect();
            assert_eq!(picked, expected);
        }
    }
}
