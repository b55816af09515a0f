//! Answers that are made piece by piece while they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use axum::body::Bytes;
use axum::body::HttpBody;
use http_body::Frame;

/// What makes the pieces.
pub(super) trait Pieces: Unpin {
    /// The next piece; `None` at the end.
    fn next_piece(&mut self) -> Option<Bytes>;
}

/// The body of an answer.
pub(super) struct InPieces<P>(pub(super) P);

impl<P: Pieces> HttpBody for InPieces<P> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next_piece().map(|piece| Ok(Frame::data(piece))))
    }
}
