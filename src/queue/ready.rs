//! Ready messages in position order, as segments: ranges of runs that share one fate record.

use std::collections::VecDeque;

use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;

/// Consecutive ready messages with equal expiry and history.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) run: Run,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
    pub(super) expires_at: Option<u64>,
}

impl Segment {
    pub(super) fn into_delivered(self, queue: QueueId, consumer: Option<ConsumerId>) -> Delivered {
        Delivered {
            queue,
            consumer,
            first: Position(self.first),
            run: self.run,
            redelivered: self.redelivered,
            returns: self.returns,
            expires_at: self.expires_at,
        }
    }

    fn take_front(&mut self, count: usize) -> Segment {
        let front = Segment {
            run: self.run.take_front(count),
            ..self.clone()
        };
        self.first += count as u64;
        front
    }

    fn end(&self) -> u64 {
        self.first + self.run.len() as u64
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Ready {
    segments: VecDeque<Segment>,
    len: u64,
    body_bytes: u64,
}

impl Ready {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    pub(super) fn front(&self) -> Option<&Segment> {
        self.segments.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// Appends newer messages, joined to the last segment where they continue it.
    pub(super) fn push_back(&mut self, segment: Segment) {
        self.len += segment.run.len() as u64;
        self.body_bytes += segment.run.body_bytes();
        if let Some(last) = self.segments.back_mut() {
            debug_assert!(last.end() <= segment.first, "positions ascend");
            let alike = last.end() == segment.first
                && last.redelivered == segment.redelivered
                && last.returns == segment.returns
                && last.expires_at == segment.expires_at;
            if alike {
                let first = segment.first;
                if let Err(run) = last.run.try_join(segment.run) {
                    let (redelivered, returns, expires_at) =
                        (last.redelivered, last.returns, last.expires_at);
                    self.segments.push_back(Segment {
                        first,
                        run,
                        redelivered,
                        returns,
                        expires_at,
                    });
                }
                return;
            }
        }
        self.segments.push_back(segment);
    }

    /// Puts a returned range back to its old place: one dying consumer must not reorder the queue.
    pub(super) fn insert(&mut self, segment: Segment) {
        self.len += segment.run.len() as u64;
        self.body_bytes += segment.run.body_bytes();
        let at = self
            .segments
            .partition_point(|other| other.first < segment.first);
        debug_assert!(
            at == 0 || self.segments[at - 1].end() <= segment.first,
            "positions are unique"
        );
        self.segments.insert(at, segment);
    }

    /// Takes up to `count` messages of the first segment.
    pub(super) fn take_front(&mut self, count: usize) -> Option<Segment> {
        let front = self.segments.front_mut()?;
        let taken = if count >= front.run.len() {
            self.segments.pop_front()?
        } else {
            front.take_front(count)
        };
        self.len -= taken.run.len() as u64;
        self.body_bytes -= taken.run.body_bytes();
        Some(taken)
    }

    /// Empties it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Segment> + use<> {
        self.len = 0;
        self.body_bytes = 0;
        std::mem::take(&mut self.segments).into_iter()
    }
}
