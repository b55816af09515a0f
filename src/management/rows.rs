//! A list of any length as one JSON array: its rows are made while they are sent, so that it is never held as a whole.
//! Between two parts other requests have their turn.

use std::convert::Infallible;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::vec::IntoIter;

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body::Frame;

use crate::management::listing::Columns;
use crate::management::listing::Listed;

/// A part is sent when it has grown to this.
const PART_BYTES: usize = 16 * 1024;

/// See the module's documentation.
pub(super) struct Rows<L: Listed> {
    list: L,
    columns: Columns,
    items: IntoIter<L::Item>,
    place: Place,
    /// A part has just been made: others are next.
    rests: bool,
}

#[derive(PartialEq, Eq)]
enum Place {
    Begin,
    Within,
    End,
}

impl<L: Listed> Rows<L> {
    /// The rows of `items`, in their order.
    pub(super) fn new(list: L, columns: Columns, items: Vec<L::Item>) -> Self {
        Self {
            list,
            columns,
            items: items.into_iter(),
            place: Place::Begin,
            rests: false,
        }
    }

    fn part(&mut self) -> Vec<u8> {
        let mut part = Vec::with_capacity(PART_BYTES + PART_BYTES / 4);
        while part.len() < PART_BYTES {
            let Some(item) = self.items.next() else {
                part.extend_from_slice(if self.place == Place::Begin {
                    b"[]"
                } else {
                    b"]"
                });
                self.place = Place::End;
                break;
            };
            part.push(if self.place == Place::Begin {
                b'['
            } else {
                b','
            });
            self.place = Place::Within;
            let row = self.columns.cut(self.list.row(item));
            serde_json::to_writer(&mut part, &row).expect("JSON in memory cannot fail");
        }
        part
    }
}

impl<L: Listed> HttpBody for Rows<L> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.place == Place::End {
            return Poll::Ready(None);
        }
        self.rests = !self.rests;
        if !self.rests {
            // Wakes this task once others had their turn.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(self.part().into()))))
    }
}

impl<L: Listed> IntoResponse for Rows<L> {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, Body::new(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::listing::Key;
    use crate::management::query::Query;
    use serde_json::Value;
    use serde_json::json;
    use std::task::Waker;

    struct Numbers;

    impl Listed for Numbers {
        type Item = u32;

        fn row(&self, item: u32) -> Value {
            json!({"number": item, "filling": "x".repeat(1000)})
        }

        fn key(&self, _: &u32, _: &mut Key<'_>) {}

        fn name<'i>(&self, _: &'i u32) -> Option<&'i str> {
            None
        }
    }

    /// The parts of a list, and how often it let others have their turn.
    fn parts(count: u32, query: &str) -> (Vec<Bytes>, usize) {
        let columns = Columns::of(&Query::parse(query));
        let mut rows = Rows::new(Numbers, columns, (0..count).collect());
        let mut cx = Context::from_waker(Waker::noop());
        let (mut parts, mut turns) = (Vec::new(), 0);
        loop {
            match Pin::new(&mut rows).poll_frame(&mut cx) {
                Poll::Pending => turns += 1,
                Poll::Ready(Some(Ok(frame))) => parts.push(frame.into_data().expect("data")),
                Poll::Ready(Some(Err(never))) => match never {},
                Poll::Ready(None) => return (parts, turns),
            }
        }
    }

    #[test]
    fn a_list_is_made_in_parts_between_which_others_have_their_turn() {
        let (parts, turns) = parts(500, "");
        assert!(parts.len() > 10);
        assert_eq!(turns, parts.len() - 1);
        assert!(parts.iter().all(|part| part.len() < 2 * PART_BYTES));
        let rows: Value = serde_json::from_slice(&parts.concat()).expect("JSON");
        let numbers: Vec<_> = rows.as_array().expect("a list").iter().collect();
        assert_eq!(numbers.len(), 500);
        assert!((0..).zip(&numbers).all(|(n, row)| row["number"] == n));
    }

    #[test]
    fn short_lists_are_lists_too() {
        assert_eq!(parts(0, "").0.concat(), b"[]");
        let one = parts(1, "columns=number").0.concat();
        assert_eq!(one, br#"[{"number":0}]"#);
    }
}
