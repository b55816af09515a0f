//! One consumer of a stream: where it is, what was read for it, what it wants to see.

use std::collections::VecDeque;

use crate::model::Run;
use crate::queue::ready::held_bytes;
use crate::queue::stream::Filter;
use crate::queue::stream::Piece;

/// Where a consumer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It gets this position next.
    At(u64),
    /// It begins with the first message before `end` that came at this time or later, which the disk has to tell, or
    /// with `end`.
    Sought { time: u64, end: u64 },
}

/// What a consumer waits for that could take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Nothing,
    /// Messages that have not come yet.
    News,
    /// The disk.
    Page,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Reader {
    place: Place,
    filter: Option<Filter>,
    awaits: Awaits,
    /// From its position on, without a gap.
    page: VecDeque<Piece>,
    page_bytes: u64,
}

impl Reader {
    pub(super) fn new(place: Place, filter: Option<Filter>) -> Self {
        Self {
            place,
            filter,
            awaits: Awaits::Nothing,
            page: VecDeque::new(),
            page_bytes: 0,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn position(&self) -> Option<u64> {
        match self.place {
            Place::At(position) => Some(position),
            Place::Sought { .. } => None,
        }
    }

    pub(super) fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    pub(super) fn waits_for_news(&mut self) -> bool {
        let waits = self.awaits == Awaits::News;
        if waits {
            self.awaits = Awaits::Nothing;
        }
        waits
    }

    pub(super) fn waits_for_page(&self) -> bool {
        self.awaits == Awaits::Page
    }

    /// What is older than `first` is gone.
    pub(super) fn begin_at(&mut self, first: u64) {
        if self.position().is_some_and(|at| at < first) {
            self.advance(first);
        }
    }

    /// Nothing is in memory for it: it waits, for the disk or for what comes at `next`.
    pub(super) fn await_more(&mut self, next: u64) {
        self.page.clear();
        self.page_bytes = 0;
        self.awaits = match self.place {
            Place::At(position) if position >= next => Awaits::News,
            Place::At(_) | Place::Sought { .. } => Awaits::Page,
        };
    }

    /// Where its page ends: there it is to be read on.
    pub(super) fn page_end(&self) -> Option<u64> {
        self.page.back().map(Piece::end).or(self.position())
    }

    /// What it waited for was looked for.
    pub(super) fn found(&mut self) {
        if self.awaits == Awaits::Page {
            self.awaits = Awaits::Nothing;
        }
    }

    /// It gets `position` next.
    pub(super) fn advance(&mut self, position: u64) {
        self.place = Place::At(position);
        while self
            .page
            .front()
            .is_some_and(|piece| piece.end() <= position)
        {
            if let Some(piece) = self.page.pop_front() {
                self.page_bytes -= held_bytes(&piece.run);
            }
        }
    }

    /// What was read for it at its position.
    pub(super) fn paged_at(&self) -> Option<Piece> {
        let position = self.position()?;
        let piece = self.page.front()?;
        (piece.first <= position && position < piece.end()).then(|| piece.after(position))
    }

    /// More was read for it.
    pub(super) fn add(&mut self, piece: Piece) {
        self.page_bytes += held_bytes(&piece.run);
        self.page.push_back(piece);
    }

    /// Of a run that begins at its position: how many messages it does not want to see, and how many it does after those, at
    /// most `credit`.
    pub(super) fn pick(&self, run: &Run, credit: u64) -> (usize, usize) {
        let most = usize::try_from(credit).unwrap_or(usize::MAX);
        let Some(filter) = &self.filter else {
            return (0, run.len().min(most));
        };
        let mut messages = run.iter();
        let skipped = messages
            .by_ref()
            .take_while(|message| !filter.passes(*message))
            .count();
        if skipped == run.len() {
            return (skipped, 0);
        }
        let passing = run
            .iter()
            .skip(skipped)
            .take(most)
            .take_while(|message| filter.passes(*message));
        (skipped, passing.count())
    }
}
