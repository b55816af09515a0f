//! Pages compressed while they are made: at no time is there more of one than a piece.

use std::io::Write;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::management::prometheus::pieces::Pieces;
use crate::management::prometheus::text::Page;

/// As the headers have it.
pub(super) const NAME: &str = "gzip";

/// So much is gathered before it is sent.
const SENT_BYTES: usize = 8 * 1024;

/// Whether a client takes gzip. Other encodings are not offered, as in RabbitMQ.
pub(super) fn is_taken(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut offers = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    offers.any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case(NAME) && weight.parse() != Ok(0.0)
    })
}

/// A page that is compressed.
pub(super) struct Compressed {
    page: Page,
    /// `None` once its end was written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Compressed {
    pub(super) fn new(page: Page) -> Self {
        Self {
            page,
            encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
        }
    }
}

impl Pieces for Compressed {
    fn next_piece(&mut self) -> Option<Bytes> {
        let mut encoder = self.encoder.take()?;
        while encoder.get_ref().len() < SENT_BYTES {
            match self.page.next_text() {
                // It writes into memory.
                Some(piece) if encoder.write_all(piece.as_bytes()).is_ok() => {}
                Some(_) | None => return encoder.finish().ok().map(Bytes::from),
            }
        }
        let piece = std::mem::take(encoder.get_mut());
        self.encoder = Some(encoder);
        Some(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::management::prometheus::text::Family;
    use crate::management::prometheus::text::Kind;
    use crate::management::prometheus::text::Number;
    use crate::management::prometheus::text::labels;

    #[test]
    fn a_page_comes_in_compressed_pieces() {
        let page = || {
            let rows = (0..50_000_u64).map(|n| {
                let labels = labels(&[("queue", &(n * 7919 % 1_000_003).to_string())]);
                (labels, Number::Whole(n * n))
            });
            Page::new([Family::of("q", Kind::Gauge, "Depth", rows)])
        };
        let mut plain = page();
        let plain: String = std::iter::from_fn(|| plain.next_text()).collect();
        let mut compressed = Compressed::new(page());
        let pieces: Vec<_> = std::iter::from_fn(|| compressed.next_piece()).collect();
        assert!(pieces.len() > 3, "{}", pieces.len());
        let mut read = String::new();
        let octets = pieces.concat();
        GzDecoder::new(&*octets)
            .read_to_string(&mut read)
            .expect("gzip");
        assert!(read == plain && octets.len() * 2 < plain.len());
    }

    #[track_caller]
    fn check(value: Option<&str>, taken: bool) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT_ENCODING, value.parse().expect("a header"));
        }
        assert_eq!(is_taken(&headers), taken, "{value:?}");
    }

    #[test]
    fn gzip_is_for_who_asks_for_it() {
        check(None, false);
        check(Some("deflate"), false);
        check(Some("identity, GZip;q=0.5"), true);
        check(Some("gzip;q=0"), false);
        check(Some("deflate, gzip"), true);
    }
}
