//! Prometheus' text format, made piece by piece while it is sent: a page about very many queues is never held as a whole.

use std::collections::VecDeque;
use std::fmt::Write;

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
    pub(super) rows: Box<dyn Iterator<Item = Row> + Send>,
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
            rows: Box::new(rows),
        }
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
            let Some((labels, number)) = family.rows.next() else {
                self.families.pop_front();
                self.begun = false;
                continue;
            };
            if !std::mem::replace(&mut self.begun, true) {
                let (name, kind, help) = (&family.name, family.kind.name(), family.help);
                let _ = write!(piece, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
            }
            for part in [&family.name, &labels, " "] {
                piece.push_str(part);
            }
            match number {
                Number::Whole(number) => piece.push_str(itoa::Buffer::new().format(number)),
                Number::Real(number) => {
                    let _ = write!(piece, "{number}");
                }
            }
            piece.push('\n');
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
