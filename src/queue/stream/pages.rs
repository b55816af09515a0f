//! Reading a stream back from the store, on the thread that reads ahead: pages for consumers that are behind, and the place
//! where those begin that asked for a time.
//!
//! One consumer is served at a time; who waits longest is not known, so they take turns by their ids.

use std::ops::Range;

use crate::model::ConsumerId;
use crate::model::QueueId;
use crate::queue::Page;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::since::first_since;
use crate::queue::stream::Piece;
use crate::queue::stream::Stream;
use crate::queue::stream::reader::Place;
use crate::queue::stream::reader::Reader;

/// So much is read at once, if the budget allows.
const PAGE_BYTES_MAX: u64 = 1024 * 1024;

/// So much is read in any case.
const PAGE_BYTES_MIN: u64 = 16 * 1024;

/// With fewer bytes than this before a consumer, more is read for it.
const AHEAD_BYTES: u64 = 256 * 1024;

/// What is to be read for a consumer.
pub(in crate::queue) struct Search {
    queue: QueueId,
    consumer: ConsumerId,
    place: Place,
    positions: Range<u64>,
    bytes_max: u64,
}

/// What was read for a consumer.
pub(in crate::queue) struct Found {
    consumer: ConsumerId,
    /// It begins here.
    first: u64,
    /// It had asked for a time.
    sought: bool,
    /// There was nothing to read.
    at_end: bool,
    /// `None` when the disk cannot be read.
    page: Option<Page>,
}

impl Search {
    /// Blocks on the disk.
    pub(in crate::queue) fn fetch(self, pager: &dyn Pager) -> Found {
        let (first, sought) = match self.place {
            Place::At(_) => (Some(self.positions.start), false),
            Place::Sought { time, end } => {
                let positions = self.positions.start..end;
                (first_since(pager, self.queue, positions, time), true)
            }
        };
        let page = first.and_then(|first| match first {
            first if first >= self.positions.end => Some(Page::default()),
            first => pager.read(self.queue, first..self.positions.end, self.bytes_max),
        });
        Found {
            consumer: self.consumer,
            first: first.unwrap_or(self.positions.start),
            at_end: first.is_none_or(|first| first >= self.positions.end),
            sought,
            page,
        }
    }
}

impl Stream {
    fn needs_page(&self, reader: &Reader, next: u64) -> bool {
        if reader.waits_for_page() {
            return true;
        }
        let is_behind = |end| end < next && !self.is_newest(end);
        let ahead = reader.page_bytes();
        ahead > 0 && ahead < AHEAD_BYTES && reader.page_end().is_some_and(is_behind)
    }
}

impl Queue {
    /// Whether something is to be read for a consumer of a stream.
    pub(in crate::queue) fn wants_stream_page(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            stream.reading.is_none()
                && !stream.broken
                && stream
                    .readers
                    .values()
                    .any(|reader| stream.needs_page(reader, self.next_position))
        })
    }

    /// What is to be read next for a consumer of a stream; from then on it is being read.
    pub(in crate::queue) fn wanted_stream_page(&mut self) -> Option<Search> {
        if !self.wants_stream_page() {
            return None;
        }
        let share = self.paging.share();
        let stream = self.stream.as_mut()?;
        let (last, next) = (stream.served, self.next_position);
        let waiting = stream
            .readers
            .iter()
            .filter(|(_, reader)| stream.needs_page(reader, next));
        // The next one after who was served last, all around.
        let (consumer, reader) = waiting.min_by_key(|(id, _)| (Some(**id) <= last, **id))?;
        let consumer = *consumer;
        let start = reader.page_end().unwrap_or(stream.first).max(stream.first);
        let search = Search {
            queue: self.id,
            consumer,
            place: reader.place(),
            positions: start..self.next_position,
            bytes_max: (share / 2).clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX),
        };
        stream.reading = Some(consumer);
        stream.served = Some(consumer);
        Some(search)
    }

    /// Takes what was read for a consumer of a stream.
    pub(in crate::queue) fn take_stream_page(&mut self, found: Found) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        stream.reading = None;
        let Some(page) = found.page else {
            stream.broken = true;
            return;
        };
        let Some(reader) = stream.readers.get_mut(&found.consumer) else {
            return;
        };
        let held = reader.page_bytes();
        let waited = reader.waits_for_page();
        reader.found();
        if found.sought {
            reader.advance(found.first);
        }
        // It may have gone on without the page meanwhile.
        if reader.page_end() == Some(found.first) {
            let mut end = found.first;
            for (first, run, _) in page.runs {
                // What could not be read is lost, and was reported by the store.
                if first > end && reader.position() == Some(end) {
                    reader.advance(first);
                }
                end = first + run.len() as u64;
                reader.add(Piece { first, run });
            }
            if end == found.first && !found.at_end && reader.position() == Some(end) {
                reader.advance(page.until.max(end + 1));
            }
        }
        stream.page_bytes = stream.page_bytes - held + reader.page_bytes();
        if waited {
            self.consumers.wake(found.consumer);
        }
        self.account();
    }
}
