//! What is too much for memory goes: to the pager, or out of mind where the store has it.

use std::ops::Range;

use crate::queue::Queue;
use crate::queue::paged::Away;
use crate::queue::paging::Spill;
use crate::queue::ready::Level;
use crate::queue::ready::Segment;
use crate::queue::ready::held_bytes;

impl Queue {
    /// Of what is served first so many bytes stay.
    pub(super) fn put_away(&mut self, mut head_bytes: u64) {
        let mut foremost = true;
        let mut next = self.ready.next_level(None);
        while let Some(level) = next {
            head_bytes = self.put_away_of(level, head_bytes, foremost);
            foremost = false;
            next = self.ready.next_level(Some(level));
        }
    }

    /// Answers how many bytes may stay of the lines behind this one.
    fn put_away_of(&mut self, level: Level, head_bytes: u64, foremost: bool) -> u64 {
        // What is being fetched would no longer follow the head.
        let head_stays = self.paging.fetching;
        let Some(line) = self.ready.paged_mut(level) else {
            return 0;
        };
        let stay = if head_stays {
            usize::MAX
        } else {
            usize::from(foremost)
        };
        let (head, tail) = line.surplus(head_bytes, stay);
        let left = head_bytes.saturating_sub(line.head_bytes());
        if foremost {
            self.paging.head_is_full |= !head.is_empty();
        }
        let (mut moved, mut moved_head) = (0, 0);
        let (tail, tail_stays) = self.all_away(tail, &mut moved);
        let (head_away, head_stays) = self.all_away(head.clone(), &mut moved_head);
        if let Some(line) = self.ready.paged_mut(level) {
            if head_stays.is_empty() {
                line.put_away_behind_head(head_away);
                moved += moved_head;
            } else {
                // Without room on the disk for all of it, all of it stays where it was: between messages that are away there
                // is no place for others.
                head.into_iter().for_each(|segment| line.push_head(segment));
            }
            line.put_away_tail(tail);
            tail_stays
                .into_iter()
                .for_each(|segment| line.append(segment));
        }
        self.ready.moved(-moved, 0, 0);
        left
    }

    /// Ranges for segments that are put away, and those that cannot be.
    fn all_away(&self, segments: Vec<Segment>, moved: &mut i64) -> (Vec<Away>, Vec<Segment>) {
        let mut ranges = Vec::new();
        let mut segments = segments.into_iter();
        while let Some(segment) = segments.next() {
            match self.away(&segment) {
                Some(away) => {
                    *moved += held_bytes(&segment.run) as i64;
                    ranges.extend(away);
                }
                None => return (ranges, std::iter::once(segment).chain(segments).collect()),
            }
        }
        (ranges, Vec::new())
    }

    /// Ranges for one segment.
    fn away(&self, segment: &Segment) -> Option<Vec<Away>> {
        let pager = self.paging.pager.as_ref()?;
        let mut ranges = Vec::new();
        let mut at = 0;
        let range = |stretch: Range<usize>, spilled| Away {
            positions: segment.first + stretch.start as u64..segment.first + stretch.end as u64,
            body_bytes: segment.run.slice(stretch).body_bytes(),
            redelivered: segment.redelivered,
            returns: segment.returns,
            entered_from: segment.entered_at,
            expires_from: segment.expires_at,
            spilled,
        };
        let spill = |stretch: Range<usize>| {
            pager.spill(Spill {
                first: segment.first + stretch.start as u64,
                run: segment.run.slice(stretch),
                expires_at: segment.expires_at,
            })
        };
        let stored: Vec<_> = if self.options.durable {
            self.stored_stretches(&segment.run).collect()
        } else {
            Vec::new()
        };
        for stretch in stored {
            if at < stretch.start {
                ranges.push(range(at..stretch.start, Some(spill(at..stretch.start)?)));
            }
            at = stretch.end;
            ranges.push(range(stretch, None));
        }
        let len = segment.run.len();
        if at < len {
            ranges.push(range(at..len, Some(spill(at..len)?)));
        }
        Some(ranges)
    }

    /// A message came back that belongs between messages that are away: it goes there as well.
    pub(in crate::queue) fn give_back_away(&mut self, segment: Segment) {
        let ranges = self.away(&segment);
        let level = self.ready.level_of(&segment.run);
        let Some(line) = self.ready.paged_mut(level) else {
            return;
        };
        match ranges {
            Some(ranges) => {
                ranges.into_iter().for_each(|away| line.insert_away(away));
                self.ready.moved(-(held_bytes(&segment.run) as i64), 0, 0);
            }
            // No room on the disk: its place is lost, but not the message.
            None => line.push_head(segment),
        }
    }
}
