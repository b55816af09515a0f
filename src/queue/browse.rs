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

/// Stretches of messages that one look takes along.
const PARTS_MAX: usize = 20_000;

/// So much is read from the disk at once.
const READ_BYTES: u64 = 256 * 1024;

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
    redelivered: bool,
    returns: u32,
}

/// What is ready at one moment. See the module's documentation.
pub struct Glimpse {
    queue: QueueId,
    from: u64,
    parts: Vec<Part>,
    /// Of what comes after this there may be more than was taken along.
    until: Option<u64>,
}

impl Queue {
    /// What is ready from a position on, by position. Without what has expired, as far as that is known in memory.
    pub fn glimpse(&self, from: Position, now: u64) -> Glimpse {
        let from = from.0;
        let mut glimpse = Glimpse {
            queue: self.id,
            from,
            parts: Vec::new(),
            until: None,
        };
        if let Some(stream) = &self.stream {
            let positions = stream.first().max(from)..self.next_position;
            glimpse.parts.push(Part {
                first: positions.start,
                place: Place::Stored(positions),
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
            if by_position && glimpse.parts.len() == PARTS_MAX {
                glimpse.until = Some(segment.first);
                break;
            }
            glimpse.parts.push(Part {
                first: segment.first,
                place: Place::Here(segment.run.clone()),
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
        self,
        pager: &dyn Pager,
        bytes_max: u64,
        mut visit: impl FnMut(Browsed<'_>) -> ControlFlow<()>,
    ) -> Option<u64> {
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
}
