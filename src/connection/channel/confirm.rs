//! Publisher confirms: `confirm.select`, and which sequence numbers wait for what.
//!
//! Numbers count publishes since `confirm.select`, from 1. What waits for nothing is answered at the end of its batch,
//! out of order if need be; what waits for the disk, in order. `multiple` never reaches across a number still waiting.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;
use std::time::Instant;

use crate::model::ChannelId;
use crate::model::DeliveryTag;
use crate::model::Lsn;
use crate::protocol::encode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting(Lsn),
    Ack,
    Nack,
}

/// Consecutive numbers of one fate.
#[derive(Debug)]
struct Group {
    first: u64,
    last: u64,
    fate: Fate,
    /// When the first of them was published.
    since: Instant,
}

/// The confirms of one channel.
#[derive(Debug)]
pub(super) struct Confirms {
    next: u64,
    groups: VecDeque<Group>,
    /// Groups in `groups` that wait for nothing but have not been answered.
    decided: usize,
    /// Publishes that were answered, and of these those that were confirmed.
    answered: u64,
    acked: u64,
}

impl Confirms {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            groups: VecDeque::new(),
            decided: 0,
            answered: 0,
            acked: 0,
        }
    }

    /// `count` more publishes, of which `refused` (ascending) were taken by no queue that should have; the others wait
    /// for `commit`.
    pub(super) fn record(
        &mut self,
        count: usize,
        commit: Lsn,
        refused: &[Range<usize>],
        now: Instant,
    ) {
        let taken = match commit {
            Lsn::NONE => Fate::Ack,
            commit => Fate::Waiting(commit),
        };
        let mut done = 0;
        for refused in refused {
            self.add(refused.start - done, taken, now);
            self.add(refused.len(), Fate::Nack, now);
            done = refused.end;
        }
        self.add(count - done, taken, now);
    }

    fn add(&mut self, count: usize, fate: Fate, since: Instant) {
        if count == 0 {
            return;
        }
        let first = self.next;
        self.next += count as u64;
        let last = self.next - 1;
        match self.groups.back_mut() {
            Some(back) if back.fate == fate && back.last + 1 == first => back.last = last,
            _ => {
                self.decided += usize::from(!matches!(fate, Fate::Waiting(_)));
                self.groups.push_back(Group {
                    first,
                    last,
                    fate,
                    since,
                });
            }
        }
    }

    /// Publishes confirmed so far.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// Publishes that wait for their answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.next - 1 - self.answered
    }

    fn count(&mut self, group: &Group, fate: Fate) {
        let count = group.last - group.first + 1;
        self.answered += count;
        if fate != Fate::Nack {
            self.acked += count;
        }
    }

    /// What the first number that waits is waiting for.
    pub(super) fn awaits(&self) -> Option<Lsn> {
        self.groups.iter().find_map(|group| match group.fate {
            Fate::Waiting(lsn) => Some(lsn),
            Fate::Ack | Fate::Nack => None,
        })
    }

    /// Answers all that can be answered with the disk at `durable`; tells how long how many confirms took.
    pub(super) fn send(
        &mut self,
        channel: ChannelId,
        durable: Lsn,
        now: Instant,
        out: &mut Vec<u8>,
        mut took: impl FnMut(Duration, u64),
    ) {
        // Everything before the front has been answered, so `multiple` is safe here.
        let mut run: Option<Group> = None;
        while let Some(front) = self.groups.front() {
            let fate = match front.fate {
                Fate::Waiting(lsn) if lsn <= durable => Fate::Ack,
                Fate::Waiting(_) => break,
                decided @ (Fate::Ack | Fate::Nack) => {
                    self.decided -= 1;
                    decided
                }
            };
            let (first, last, since) = (front.first, front.last, front.since);
            if fate == Fate::Ack {
                took(now.saturating_duration_since(since), last - first + 1);
            }
            if let Some(group) = self.groups.pop_front() {
                self.count(&group, fate);
            }
            match &mut run {
                // A gap holds numbers that were answered before; `multiple` may name them again.
                Some(run) if run.fate == fate => run.last = last,
                _ => {
                    if let Some(run) = run.take() {
                        run.send_multiple(channel, out);
                    }
                    run = Some(Group {
                        first,
                        last,
                        fate,
                        since,
                    });
                }
            }
        }
        if let Some(run) = run {
            run.send_multiple(channel, out);
        }
        if self.decided > 0 {
            self.decided = 0;
            let groups = std::mem::take(&mut self.groups);
            for group in groups {
                if matches!(group.fate, Fate::Waiting(_)) {
                    self.groups.push_back(group);
                } else {
                    if group.fate == Fate::Ack {
                        let waited = now.saturating_duration_since(group.since);
                        took(waited, group.last - group.first + 1);
                    }
                    group.send_each(channel, out);
                    self.count(&group, group.fate);
                }
            }
        }
    }
}

impl Group {
    fn send_multiple(&self, channel: ChannelId, out: &mut Vec<u8>) {
        self.send(self.last, self.first < self.last, channel, out);
    }

    fn send_each(&self, channel: ChannelId, out: &mut Vec<u8>) {
        for number in self.first..=self.last {
            self.send(number, false, channel, out);
        }
    }

    fn send(&self, number: u64, multiple: bool, channel: ChannelId, out: &mut Vec<u8>) {
        let tag = DeliveryTag(number);
        match self.fate {
            Fate::Nack => encode::nack(out, channel, tag, multiple, false),
            Fate::Ack | Fate::Waiting(_) => encode::ack(out, channel, tag, multiple),
        }
    }
}
