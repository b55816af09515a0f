//! Lists as clients want them: filtered, sorted, a page of them, some columns.
//!
//! Picks what is to be shown before anything is made of it, so that a page costs its own rows alone. Whole lists are made
//! while they are sent: `rows.rs`.

use std::cmp::Ordering;
use std::ops::Range;

use axum::Json;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::management::ApiError;
use crate::management::heavy::heavy;
use crate::management::query::Page;
use crate::management::query::Query;
use crate::management::rows::Rows;
use crate::management::sort_key::SortKey;
use crate::model::Pattern;

/// Whole lists up to this are made at once.
const ROWS_AT_ONCE: usize = 100;

/// What a list is of.
pub(super) trait Listed: Send + Unpin + 'static {
    /// What a row is made from; cheap to clone.
    type Item: Clone + Send + Unpin + 'static;

    /// The row of an item.
    fn row(&self, item: Self::Item) -> Value;

    /// Writes what items are sorted by when the client does not say.
    fn key(&self, item: &Self::Item, key: &mut Key<'_>);

    /// What a filter of names looks at; without a name an item stays.
    fn name<'i>(&self, item: &'i Self::Item) -> Option<&'i str>;

    /// Reads what rows are sorted by, under a dotted name. Better if the row need not be made for it.
    fn sorted_by<'l>(&'l self, column: &'l str) -> SortBy<'l, Self::Item> {
        Box::new(move |item| SortKey::of(field(&self.row(item.clone()), column)))
    }
}

/// Tells what an item is sorted by.
pub(super) type SortBy<'l, T> = Box<dyn Fn(&T) -> SortKey + 'l>;

/// Keys one behind the other: many items are compared without touching their memory again and again.
#[derive(Default)]
struct Keys(Vec<u8>);

/// The key that is being written.
pub(super) struct Key<'k>(&'k mut Vec<u8>);

impl Key<'_> {
    /// The next part, of which a shorter one goes first.
    pub(super) fn push(&mut self, part: &str) {
        self.0.extend_from_slice(part.as_bytes());
        self.0.push(0);
    }
}

impl Keys {
    fn write<L: Listed>(&mut self, list: &L, item: &L::Item) -> Range<usize> {
        let start = self.0.len();
        list.key(item, &mut Key(&mut self.0));
        start..self.0.len()
    }

    fn compare(&self, left: &Range<usize>, right: &Range<usize>) -> Ordering {
        self.0[left.clone()].cmp(&self.0[right.clone()])
    }
}

/// Items in order, those of the page if one is wanted.
struct Arranged<T> {
    items: Vec<T>,
    total: usize,
    filtered: usize,
}

fn arrange<L: Listed>(
    list: &L,
    query: &Query,
    page: Option<&Page>,
    mut items: Vec<L::Item>,
) -> Result<Arranged<L::Item>, ApiError> {
    let total = items.len();
    // As in RabbitMQ, nobody looks at a pattern if there is nothing to filter.
    if let Some(page) = page.filter(|_| total > 0)
        && let Some(wanted) = NameFilter::new(page)?
    {
        items.retain(|item| list.name(item).is_none_or(|name| wanted.takes(name)));
    }
    let filtered = items.len();
    let range = match page {
        Some(page) => range_of(page, filtered)?,
        None => 0..filtered,
    };
    let reverse = query.reverse();
    let directed = |order: Ordering| if reverse { order.reverse() } else { order };
    let mut keys = Keys::default();
    let items = items.into_iter();
    let items = match query.sort() {
        None => {
            let keyed = items.map(|item| (keys.write(list, &item), item)).collect();
            let keyed = picked(keyed, range, |(left, _), (right, _)| {
                directed(keys.compare(left, right))
            });
            keyed.into_iter().map(|(_, item)| item).collect()
        }
        Some(column) => {
            let read = list.sorted_by(column);
            let keyed = items.map(|item| {
                let key = keys.write(list, &item);
                (read(&item), key, item)
            });
            let keyed = picked(keyed.collect(), range, |left, right| {
                let order = left.0.compare(&right.0);
                directed(order.then_with(|| keys.compare(&left.1, &right.1)))
            });
            keyed.into_iter().map(|(.., item)| item).collect()
        }
    };
    Ok(Arranged {
        items,
        total,
        filtered,
    })
}

/// Answers with a list that may be long: arranged where other requests do not wait for it.
pub(super) async fn answer<L: Listed>(
    query: Query,
    list: L,
    items: impl FnOnce(&L) -> Vec<L::Item> + Send + 'static,
) -> Result<Response, ApiError> {
    let page = query.page()?;
    heavy(move || {
        let arranged = arrange(&list, &query, page.as_ref(), items(&list))?;
        let columns = Columns::of(&query);
        if page.is_none() && arranged.items.len() > ROWS_AT_ONCE {
            return Ok(Rows::new(list, columns, arranged.items).into_response());
        }
        Ok(whole(&list, &columns, page.as_ref(), arranged).into_response())
    })
    .await?
}

fn whole<L: Listed>(
    list: &L,
    columns: &Columns,
    page: Option<&Page>,
    arranged: Arranged<L::Item>,
) -> Json<Value> {
    let rows = arranged.items.into_iter();
    let rows: Vec<Value> = rows.map(|item| columns.cut(list.row(item))).collect();
    let Some(page) = page else {
        return Json(rows.into());
    };
    Json(json!({
        "total_count": arranged.total,
        "item_count": rows.len(),
        "filtered_count": arranged.filtered,
        "page": page.number,
        "page_size": page.size,
        "page_count": arranged.filtered.div_ceil(page.size),
        "items": rows,
    }))
}

/// Rows that are made already, as the rows of short lists are.
struct Made(&'static [&'static str]);

impl Listed for Made {
    type Item = Value;

    fn row(&self, item: Value) -> Value {
        item
    }

    fn key(&self, item: &Value, key: &mut Key<'_>) {
        for name in self.0 {
            key.push(field(item, name).as_str().unwrap_or_default());
        }
    }

    fn name<'i>(&self, item: &'i Value) -> Option<&'i str> {
        item["name"].as_str()
    }

    fn sorted_by<'l>(&'l self, column: &'l str) -> SortBy<'l, Value> {
        Box::new(move |item| SortKey::of(field(item, column)))
    }
}

/// Answers with a short list. Sorted by `usual` fields, which are texts, or by what the client says before these.
pub(super) fn reply(
    query: &Query,
    rows: Vec<Value>,
    usual: &'static [&'static str],
) -> Result<Json<Value>, ApiError> {
    let (page, list) = (query.page()?, Made(usual));
    let arranged = arrange(&list, query, page.as_ref(), rows)?;
    Ok(whole(&list, &Columns::of(query), page.as_ref(), arranged))
}

/// Which of `filtered` items are on the page.
fn range_of(page: &Page, filtered: usize) -> Result<Range<usize>, ApiError> {
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

/// Those of `items` that belong at `range`, in order, without sorting the rest.
fn picked<T>(
    mut items: Vec<T>,
    range: Range<usize>,
    mut order: impl FnMut(&T, &T) -> Ordering,
) -> Vec<T> {
    if range.end > 0 && range.end < items.len() {
        items.select_nth_unstable_by(range.end, &mut order);
    }
    items.truncate(range.end);
    if range.start > 0 && range.start < items.len() {
        items.select_nth_unstable_by(range.start, &mut order);
    }
    items.drain(..range.start);
    items.sort_by(order);
    items
}
/// Which names a client wants to see.
enum NameFilter {
    Contains(String),
    Matches(Pattern),
}

impl NameFilter {
    fn new(page: &Page) -> Result<Option<Self>, ApiError> {
        let Some(name) = &page.name else {
            return Ok(None);
        };
        if !page.use_regex {
            return Ok(Some(Self::Contains(name.to_lowercase())));
        }
        let invalid = |_| ApiError::bad_request("Pagination parameters are invalid");
        let pattern = Pattern::checked(&format!("(?i){name}")).map_err(invalid)?;
        Ok(Some(Self::Matches(pattern)))
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Contains(part) if name.is_ascii() => {
                let mut parts = name.as_bytes().windows(part.len().max(1));
                parts.any(|found| found.eq_ignore_ascii_case(part.as_bytes()))
            }
            Self::Contains(part) => name.to_lowercase().contains(part),
            Self::Matches(pattern) => pattern.matches(name),
        }
    }
}

/// The fields that the client wants to see.
pub(super) struct Columns(Option<Vec<Vec<String>>>);

impl Columns {
    pub(super) fn of(query: &Query) -> Self {
        Self(query.columns())
    }

    /// Keeps these; everything if the client did not say.
    pub(super) fn cut(&self, value: Value) -> Value {
        match &self.0 {
            None => value,
            Some(columns) => {
                let columns: Vec<&[String]> = columns.iter().map(Vec::as_slice).collect();
                cut(value, &columns)
            }
        }
    }
}

/// Keeps the columns that the client wants; everything without a word.
pub(super) fn with_columns(query: &Query, value: Value) -> Value {
    Columns::of(query).cut(value)
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
pub(super) fn field<'a>(row: &'a Value, name: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    name.split('.')
        .fold(row, |value, part| value.get(part).unwrap_or(NOTHING))
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
        for (name, count) in [("0", 20), ("Q019", 1), ("q0199", 0), ("ü", 0)] {
            let page = list(&format!("page=1&name={name}"), 20);
            assert_eq!(page["filtered_count"], count, "{name}");
        }
        let matched = list("page=1&name=^q01[23]$&use_regex=true", 20);
        assert_eq!(matched["filtered_count"], 2);
        let no_pattern = Query::parse("page=1&name=[&use_regex=true");
        assert_eq!(
            reply(&no_pattern, rows(20), &["name"]).map(|_| ()),
            Err(ApiError::bad_request("Pagination parameters are invalid"))
        );
        assert!(reply(&no_pattern, rows(0), &["name"]).is_ok());
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
            let expected: Vec<u32> = range.clone().map(|n| n as u32).collect();
            assert_eq!(picked(shuffled.clone(), range, Ord::cmp), expected);
        }
    }
}
