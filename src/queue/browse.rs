//! Looking at ready messages without touching them: neither their order nor what is told of them changes, and no consumer
//! notices.
//!
//! A look takes what is in memory, and where the rest is, under the queue's lock; the rest is read without it. What is taken
//! or dropped meanwhile may still be seen, or be missing.

use std::ops::ControlFlow;
use std::ops::Range;
use std::sync::Arc;

use crate::model::MessageRef;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::Pager;
use crate::queue::Queue;
use crate::queue::Spilled;
use crate::queue::since::first_since;

/// Stretches of messages that one look takes along.
const PARTS_MAX: usize = 20_000;

/// So much is read from the disk at once.
const READ_BYTES: u64 = 256 * 1024;

/// Where a look begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this position.
    At(Position),
    /// With the first message that entered the queue at this time or later, in milliseconds since the Unix epoch. Of messages
    /// that came together that is known to a second.
    Since(u64),
}

impl Default for Begin {
    fn default() -> Self {
        Self::At(Position(0))
    }
}

/// A ready message.
pub struct Browsed<'a> {
    /// Where it lies; never changes.
    pub position: Position,
    /// The message.
    pub message: MessageRef<'a>,
    /// It was delivered before and came back.
    pub redelivered: bool,
    /// How often, as far as the queue counts.
    pub returns: u32,
}

enum Place {
    Here(Run),
    Stored(Range<u64>),
    Spilled(Arc<dyn Spilled>),
}

struct Part {
    first: u64,
    place: Place,
    /// When the first of them entered the queue; 0 where that is not known.
    entered_from: u64,
    redelivered: bool,
    returns: u32,
}

/// What is ready at one moment. See the module's documentation.
pub struct Glimpse {
    queue: QueueId,
    from: u64,
    /// Of these only what came at this time or later, and all that follows.
    since: Option<u64>,
    parts: Vec<Part>,
    /// Of what comes after this there may be more than was taken along.
    until: Option<u64>,
}

impl Queue {
    /// What is ready from there on, by position. Without what has expired, as far as that is known in memory.
    pub fn glimpse(&self, begin: Begin, now: u64) -> Glimpse {
        let (from, since) = match begin {
            Begin::At(position) => (position.0, None),
            Begin::Since(time) => (0, Some(time)),
        };
        let mut glimpse = Glimpse {
            queue: self.id,
            from,
            since,
            parts: Vec::new(),
            until: None,
        };
        if let Some(stream) = &self.stream {
            let positions = stream.first().max(from)..self.next_position;
            glimpse.parts.push(Part {
                first: positions.start,
                place: Place::Stored(positions),
                entered_from: 0,
                redelivered: false,
                returns: 0,
            });
            return glimpse;
        }
        let live = |expires_at: Option<u64>| expires_at.is_none_or(|at| at > now);
        let by_position = !self.ready.has_priorities();
        for segment in self.ready.iter() {
            let end = segment.first + segment.run.len() as u64;
            if end <= from || !live(segment.expires_at) {
                continue;
            }
            // What stands before the beginning need not be taken along.
            let older = since.is_some_and(|since| segment.entered_at < since);
            if by_position && older && glimpse.parts.is_empty() {
                continue;
            }
            if by_position && glimpse.parts.len() == PARTS_MAX {
                glimpse.until = Some(segment.first);
                break;
            }
            glimpse.parts.push(Part {
                first: segment.first,
                place: Place::Here(segment.run.clone()),
                entered_from: segment.entered_at,
                redelivered: segment.redelivered,
                returns: segment.returns,
            });
        }
        for away in self.ready.paged().flat_map(|(_, line)| line.away()) {
            let beyond = glimpse
                .until
                .is_some_and(|until| away.positions.start >= until);
            if away.positions.end <= from || beyond {
                continue;
            }
            glimpse.parts.push(Part {
                first: away.positions.start,
                place: match &away.spilled {
                    Some(spilled) => Place::Spilled(Arc::clone(spilled)),
                    None => Place::Stored(away.positions.clone()),
                },
                entered_from: away.entered_from,
                redelivered: away.redelivered,
                returns: away.returns,
            });
        }
        glimpse.parts.sort_by_key(|part| part.first);
        glimpse
    }
}

impl Glimpse {
    /// Shows one message after another to `visit` until it has enough, or about `bytes_max` octets were looked at. Blocks on
    /// the disk. Answers from where on another look would show more; `None` when that was all.
    pub fn read(
        mut self,
        pager: &dyn Pager,
        bytes_max: u64,
        mut visit: impl FnMut(Browsed<'_>) -> ControlFlow<()>,
    ) -> Option<u64> {
        if let Some(since) = self.since {
            self.begin_since(since, pager);
        }
        let mut left = bytes_max;
        let from = self.from;
        let mut show = |part: &Part, first: u64, run: &Run| {
            for (position, message) in (first..).zip(run.iter()) {
                if position < from {
                    continue;
                }
                let bytes = message.held_bytes() as u64;
                let shown = visit(Browsed {
                    position: Position(position),
                    message,
                    redelivered: part.redelivered,
                    returns: part.returns,
                });
                if shown.is_break() || left < bytes {
                    return ControlFlow::Break(position + 1);
                }
                left -= bytes;
            }
            ControlFlow::Continue(())
        };
        for part in &self.parts {
            let shown = match &part.place {
                Place::Here(run) => show(part, part.first, run),
                Place::Spilled(spilled) => {
                    let runs = spilled.read().unwrap_or_default();
                    runs.iter()
                        .try_for_each(|(first, run, _)| show(part, *first, run))
                }
                Place::Stored(positions) => {
                    let mut at = positions.start.max(from);
                    let mut shown = ControlFlow::Continue(());
                    while at < positions.end && shown.is_continue() {
                        let Some(page) = pager.read(self.queue, at..positions.end, READ_BYTES)
                        else {
                            break;
                        };
                        let mut runs = page.runs.iter();
                        shown = runs.try_for_each(|(first, run, _)| show(part, *first, run));
                        // However damaged the disk is, this comes to an end.
                        at = page.until.max(at + 1);
                    }
                    shown
                }
            };
            if let ControlFlow::Break(next) = shown {
                return Some(next);
            }
        }
        self.until
    }

    /// Leaves out what came before a time.
    fn begin_since(&mut self, since: u64, pager: &dyn Pager) {
        // All before the last that began earlier ended earlier, too.
        let is_older = |part: &Part| part.entered_from != 0 && part.entered_from < since;
        let last = self.parts.iter().rposition(is_older).unwrap_or(0);
        self.parts.drain(..last);
        while let Some(part) = self.parts.first_mut() {
            let starts = match &mut part.place {
                Place::Here(_) | Place::Spilled(_) => part.entered_from >= since,
                Place::Stored(positions) => {
                    let first = first_since(pager, self.queue, positions.clone(), since);
                    positions.start = first.unwrap_or(positions.start);
                    !positions.is_empty()
                }
            };
            if starts {
                return;
            }
            self.parts.remove(0);
        }
    }
}
