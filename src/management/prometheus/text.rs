//! Prometheus' text format, made piece by piece while it is sent: a page about very many queues is never held as a whole.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use axum::body::Bytes;

use crate::management::prometheus::pieces::Pieces;

/// A piece is sent when it has grown to this.
const PIECE_BYTES: usize = 32 * 1024;

/// What becomes of a number over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bounds; its rows bring the ends of their names.
    Histogram,
    /// Nothing is said.
    Untyped,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Untyped => "untyped",
        }
    }
}

/// A sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A count.
    Whole(u64),
    /// Anything else.
    Real(f64),
}

/// What follows the family's name (labels with their braces, or nothing), and the sample.
pub(super) type Row = (String, Number);

/// All series of one name.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    rows: Rows,
}

enum Rows {
    /// Made one by one.
    Made(Box<dyn Iterator<Item = Row> + Send>),
    /// One column of a table, from this row on.
    Column {
        table: Arc<Table>,
        column: usize,
        next: usize,
    },
}

/// Numbers of many objects, read together: an object is visited once for all families, and its labels are made once.
pub(super) struct Table {
    labels: Vec<Box<str>>,
    /// Column by column.
    numbers: Vec<u64>,
}

impl Table {
    /// `read` fills one row of so many columns.
    pub(super) fn of<O>(
        objects: &[O],
        columns: usize,
        label: impl Fn(&O) -> String,
        read: impl Fn(&O, &mut [u64]),
    ) -> Arc<Self> {
        let len = objects.len();
        let mut numbers = vec![0; len * columns];
        let mut row = vec![0; columns];
        for (index, object) in objects.iter().enumerate() {
            read(object, &mut row);
            for (column, number) in row.iter().enumerate() {
                numbers[column * len + index] = *number;
            }
        }
        let labels = objects.iter().map(|object| label(object).into()).collect();
        Arc::new(Self { labels, numbers })
    }
}

impl Family {
    /// One series without labels.
    pub(super) fn single(
        name: impl Into<String>,
        kind: Kind,
        help: &'static str,
        number: Number,
    ) -> Self {
        Self::of(name, kind, help, std::iter::once((String::new(), number)))
    }

    /// These series.
    pub(super) fn of(
        name: impl Into<String>,
        kind: Kind,
        help: &'static str,
        rows: impl Iterator<Item = Row> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            help,
            rows: Rows::Made(Box::new(rows)),
        }
    }

    /// A series for each row of a table.
    pub(super) fn column(
        name: impl Into<String>,
        kind: Kind,
        help: &'static str,
        table: &Arc<Table>,
        column: usize,
    ) -> Self {
        let table = Arc::clone(table);
        Self {
            name: name.into(),
            kind,
            help,
            rows: Rows::Column {
                table,
                column,
                next: 0,
            },
        }
    }

    /// Writes the next series, the head before the first; whether there was one.
    fn write_next(&mut self, begun: &mut bool, piece: &mut String) -> bool {
        let made: Row;
        let (labels, number): (&str, Number) = match &mut self.rows {
            Rows::Made(rows) => match rows.next() {
                Some(row) => {
                    made = row;
                    (&made.0, made.1)
                }
                None => return false,
            },
            Rows::Column {
                table,
                column,
                next,
            } => {
                let index = *next;
                let Some(labels) = table.labels.get(index) else {
                    return false;
                };
                *next += 1;
                let number = table.numbers[*column * table.labels.len() + index];
                (labels, Number::Whole(number))
            }
        };
        if !std::mem::replace(begun, true) {
            let (name, kind, help) = (&self.name, self.kind.name(), self.help);
            let _ = write!(piece, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
        }
        for part in [&self.name, labels, " "] {
            piece.push_str(part);
        }
        match number {
            Number::Whole(number) => piece.push_str(itoa::Buffer::new().format(number)),
            Number::Real(number) => {
                let _ = write!(piece, "{number}");
            }
        }
        piece.push('\n');
        true
    }
}

/// Labels in braces, values escaped.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(64);
    for (index, (name, value)) in pairs.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        text.push_str(name);
        text.push_str("=\"");
        push_escaped(&mut text, value);
        text.push('"');
    }
    if !pairs.is_empty() {
        text.push('}');
    }
    text
}

fn push_escaped(text: &mut String, value: &str) {
    // Mostly there is nothing to escape, and pages have a label for every number of every object.
    for part in value.split_inclusive(['\\', '"', '\n']) {
        let (plain, escape) = match part.as_bytes().last() {
            Some(b'\\') => (&part[..part.len() - 1], "\\\\"),
            Some(b'"') => (&part[..part.len() - 1], "\\\""),
            Some(b'\n') => (&part[..part.len() - 1], "\\n"),
            _ => (part, ""),
        };
        text.push_str(plain);
        text.push_str(escape);
    }
}

/// A page that is being made.
pub(super) struct Page {
    families: VecDeque<Family>,
    /// The first family's head was written.
    begun: bool,
}

impl Page {
    pub(super) fn new(families: impl IntoIterator<Item = Family>) -> Self {
        Self {
            families: families.into_iter().collect(),
            begun: false,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next_text(&mut self) -> Option<String> {
        let mut piece = String::with_capacity(PIECE_BYTES + 4096);
        while piece.len() < PIECE_BYTES {
            let Some(family) = self.families.front_mut() else {
                break;
            };
            if !family.write_next(&mut self.begun, &mut piece) {
                self.families.pop_front();
                self.begun = false;
            }
        }
        (!piece.is_empty()).then_some(piece)
    }
}

impl Pieces for Page {
    fn next_piece(&mut self) -> Option<Bytes> {
        self.next_text().map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(families: Vec<Family>) -> String {
        let mut page = Page::new(families);
        std::iter::from_fn(|| page.next_text()).collect()
    }

    #[test]
    fn a_family_has_one_head_and_its_series() {
        let rows = [
            (labels(&[("vhost", "/"), ("queue", "a\"b\\c\nd")]), 1),
            (labels(&[("queue", "é")]), 2),
        ];
        let rows = rows.map(|(labels, number)| (labels, Number::Whole(number)));
        let families = vec![
            Family::of("q", Kind::Gauge, "Help", rows.into_iter()),
            Family::of("none", Kind::Counter, "Nothing", std::iter::empty()),
            Family::single("up", Kind::Untyped, "Up", Number::Real(1.5)),
        ];
        assert_eq!(
            text(families),
            "# TYPE q gauge\n# HELP q Help\nq{vhost=\"/\",queue=\"a\\\"b\\\\c\\nd\"} 1\nq{queue=\"é\"} 2\n\
             # TYPE up untyped\n# HELP up Up\nup 1.5\n"
        );
    }

    #[test]
    fn a_table_has_a_family_for_each_column() {
        let objects = ["a", "b\""];
        let label = |name: &&str| labels(&[("queue", name)]);
        let table = Table::of(&objects, 2, label, |name, row| {
            row[0] = name.len() as u64;
            row[1] = 7;
        });
        let family = |name, column| Family::column(name, Kind::Gauge, "Help", &table, column);
        let head = |name| format!("# TYPE {name} gauge\n# HELP {name} Help\n");
        let rows = |name, first: u64, second: u64| {
            format!("{name}{{queue=\"a\"}} {first}\n{name}{{queue=\"b\\\"\"}} {second}\n")
        };
        assert_eq!(
            text(vec![family("x", 0), family("y", 1)]),
            [head("x"), rows("x", 1, 2), head("y"), rows("y", 7, 7)].concat()
        );
    }

    #[test]
    fn a_long_page_comes_in_pieces() {
        let rows = (0..10_000).map(|n| (labels(&[("queue", &n.to_string())]), Number::Whole(n)));
        let family = Family::of("rabbitmq_queue_messages", Kind::Gauge, "Depth", rows);
        let mut page = Page::new([family]);
        let pieces: Vec<String> = std::iter::from_fn(|| page.next_text()).collect();
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 4096));
        let whole = pieces.concat();
        assert_eq!(whole.lines().count(), 10_002);
        assert_eq!(whole.matches("# TYPE").count(), 1);
    }
}
