//! Deliveries that wait for their acknowledgement, by delivery tag.
//!
//! Pure bookkeeping: ranges go in with their first tag and come out once, whole or in parts; what becomes of them is for
//! others. Consecutive tags of one run are one entry, so that a prefix is settled without looking at each message.

use std::collections::BTreeMap;

use crate::model::Delivered;
use crate::model::DeliveryTag;

/// The tag is not among the outstanding ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownTag;

/// Deliveries of one channel.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    /// The last entry, apart so that it can grow, and shrink from its front, in place: most channels need no other.
    newest: Option<Tracked>,
    /// All before it. Keyed by their last tag: settling from the front then leaves the key alone.
    older: BTreeMap<u64, Tracked>,
}

#[derive(Debug)]
struct Tracked {
    first: u64,
    /// When they were delivered, in seconds since the connection began: coarse, so that neighbours stay one entry.
    at: u32,
    range: Delivered,
}

impl Tracked {
    fn last(&self) -> u64 {
        self.first + self.range.run.len() as u64 - 1
    }

    fn take_front(&mut self, count: u64) -> Tracked {
        let front = Tracked {
            first: self.first,
            at: self.at,
            range: self.range.take_front(count as usize),
        };
        self.first += count;
        front
    }
}

impl Unacked {
    /// Tracks `range`, whose first message was delivered as `first`, `at` seconds after the connection began.
    ///
    /// Tags grow from push to push; see [`Unacked::put_back`] for old ones.
    pub(super) fn push(&mut self, first: DeliveryTag, at: u32, mut range: Delivered) {
        if let Some(newest) = &mut self.newest
            && newest.last() + 1 == first.0
            && newest.at == at
        {
            match join(&mut newest.range, range) {
                Ok(()) => return,
                Err(apart) => range = apart,
            }
        }
        let first = first.0;
        if let Some(newest) = self.newest.replace(Tracked { first, at, range }) {
            self.older.insert(newest.last(), newest);
        }
    }

    /// Tracks again what [`Unacked::take`] gave; its time begins anew.
    pub(super) fn put_back(&mut self, first: DeliveryTag, at: u32, range: Delivered) {
        let first = first.0;
        let tracked = Tracked { first, at, range };
        self.older.insert(tracked.last(), tracked);
    }

    /// Takes out the delivery `tag`, and with `multiple` all before it; tag 0 with `multiple` is all there are.
    ///
    /// `taken` gets each range with its first tag, in order. On error nothing is taken.
    pub(super) fn take(
        &mut self,
        tag: DeliveryTag,
        multiple: bool,
        mut taken: impl FnMut(DeliveryTag, Delivered),
    ) -> Result<(), UnknownTag> {
        let mut taken = |tracked: Tracked| taken(DeliveryTag(tracked.first), tracked.range);
        let tag = match tag.0 {
            0 if multiple => {
                std::mem::take(&mut self.older)
                    .into_values()
                    .for_each(&mut taken);
                self.newest.take().into_iter().for_each(taken);
                return Ok(());
            }
            tag => tag,
        };
        let home = match &mut self.newest {
            Some(newest) if newest.first <= tag => newest,
            _ => {
                let (_, tracked) = self.older.range_mut(tag..).next().ok_or(UnknownTag)?;
                tracked
            }
        };
        let last = home.last();
        if tag < home.first || tag > last {
            return Err(UnknownTag);
        }
        if multiple {
            // Those before `home`; when it is the newest, its tags are above all others'.
            while let Some(before) = self.older.first_entry()
                && *before.key() < last
            {
                taken(before.remove());
            }
        }
        self.take_from(last, tag, multiple)
            .map(taken)
            .ok_or(UnknownTag)
    }

    /// Takes `tag`, or with `prefix` all up to it, out of the entry whose last tag is `last`.
    fn take_from(&mut self, last: u64, tag: u64, prefix: bool) -> Option<Tracked> {
        let is_newest = self
            .newest
            .as_ref()
            .is_some_and(|newest| newest.last() == last);
        let home = match &mut self.newest {
            Some(newest) if is_newest => newest,
            _ => self.older.get_mut(&last)?,
        };
        let before = (!prefix && home.first < tag).then(|| home.take_front(tag - home.first));
        let cut = if tag < last {
            home.take_front(tag + 1 - home.first)
        } else if is_newest {
            self.newest.take()?
        } else {
            self.older.remove(&last)?
        };
        if let Some(before) = before {
            self.older.insert(before.last(), before);
        }
        Some(cut)
    }

    /// What has waited longest by its tag: the range, and when it was delivered.
    pub(super) fn oldest(&self) -> Option<(&Delivered, u32)> {
        let oldest = self.older.values().next().or(self.newest.as_ref());
        oldest.map(|tracked| (&tracked.range, tracked.at))
    }

    /// Takes everything, in tag order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Delivered> + use<> {
        std::mem::take(&mut self.older)
            .into_values()
            .chain(self.newest.take())
            .map(|tracked| tracked.range)
    }
}

/// Appends `next` to `range` when it continues it in every respect; else gives it back.
pub(super) fn join(range: &mut Delivered, next: Delivered) -> Result<(), Delivered> {
    let continues = range.queue == next.queue
        && range.consumer == next.consumer
        && range.first.0 + range.run.len() as u64 == next.first.0
        && range.redelivered == next.redelivered
        && range.returns == next.returns
        && range.expires_at == next.expires_at
        && range.streamed == next.streamed;
    if !continues {
        return Err(next);
    }
    let Delivered {
        queue,
        consumer,
        first,
        run,
        redelivered,
        returns,
        expires_at,
        entered_at,
        streamed,
    } = next;
    range.run.try_join(run).map_err(|run| Delivered {
        queue,
        consumer,
        first,
        run,
        redelivered,
        returns,
        expires_at,
        entered_at,
        streamed,
    })
}

/// Appends `next` to the last of `ranges`, or as one of its own.
pub(super) fn append(ranges: &mut Vec<Delivered>, next: Delivered) {
    match ranges.last_mut() {
        Some(last) => {
            if let Err(next) = join(last, next) {
                ranges.push(next);
            }
        }
        None => ranges.push(next),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::ConsumerId;
    use crate::model::ExchangeName;
    use crate::model::Position;
    use crate::model::QueueId;
    use crate::model::Run;
    use crate::model::RunBuilder;
    use crate::model::message;
    use crate::model::message::Traits;

    /// A run whose bodies are the tags they will get, so that what comes out can be named.
    fn run_of(first: u64, count: u64) -> Run {
        let mut builder = RunBuilder::default();
        let route = message::route(&ExchangeName::known(""), "q");
        for tag in first..first + count {
            builder.push(&route, &[0, 0], &tag.to_be_bytes(), Traits::default());
        }
        builder.finish()
    }

    fn delivered(first: u64, run: Run) -> Delivered {
        Delivered {
            queue: QueueId(1),
            consumer: Some(ConsumerId(1)),
            first: Position(first),
            run,
            redelivered: false,
            returns: 0,
            expires_at: None,
            entered_at: 0,
            streamed: false,
        }
    }

    fn tags(range: &Delivered) -> Vec<u64> {
        let body = |message: crate::model::MessageRef<'_>| {
            u64::from_be_bytes(message.body().try_into().unwrap())
        };
        range.run.iter().map(body).collect()
    }

    fn take(unacked: &mut Unacked, tag: u64, multiple: bool) -> Result<Vec<u64>, UnknownTag> {
        let mut taken = Vec::new();
        unacked.take(DeliveryTag(tag), multiple, |first, range| {
            let tags = tags(&range);
            assert_eq!(tags[0], first.0, "a range comes out under its first tag");
            assert_eq!(range.first, Position(first.0), "positions follow the split");
            taken.extend(tags);
        })?;
        Ok(taken)
    }

    fn three_and_three() -> Unacked {
        let mut unacked = Unacked::default();
        unacked.push(DeliveryTag(1), 0, delivered(1, run_of(1, 3)));
        unacked.push(DeliveryTag(4), 0, delivered(4, run_of(4, 3)));
        unacked
    }

    #[test]
    fn a_single_ack_splits_a_range_in_the_middle() {
        let mut unacked = three_and_three();
        assert_eq!(take(&mut unacked, 2, false), Ok(vec![2]));
        assert_eq!(take(&mut unacked, 2, false), Err(UnknownTag));
        assert_eq!(take(&mut unacked, 0, true), Ok(vec![1, 3, 4, 5, 6]));
    }

    #[test]
    fn multiple_takes_all_before() {
        let mut unacked = three_and_three();
        assert_eq!(take(&mut unacked, 5, true), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(take(&mut unacked, 5, true), Err(UnknownTag));
        assert_eq!(take(&mut unacked, 6, true), Ok(vec![6]));
    }

    #[test]
    fn an_unknown_tag_takes_nothing() {
        let mut unacked = three_and_three();
        assert_eq!(take(&mut unacked, 0, false), Err(UnknownTag));
        assert_eq!(take(&mut unacked, 7, true), Err(UnknownTag));
        assert_eq!(take(&mut unacked, 7, false), Err(UnknownTag));
        assert_eq!(take(&mut unacked, 0, true).unwrap().len(), 6);
        assert_eq!(take(&mut unacked, 0, true), Ok(vec![]), "none is no error");
    }

    #[test]
    fn deliveries_one_by_one_of_one_run_are_one_entry() {
        let mut unacked = Unacked::default();
        let mut run = run_of(1, 10);
        for tag in 1..=10 {
            unacked.push(DeliveryTag(tag), 0, delivered(tag, run.take_front(1)));
        }
        assert!(unacked.older.is_empty());
    }

    #[test]
    fn the_oldest_keeps_its_time_as_others_are_settled() {
        let mut unacked = Unacked::default();
        let mut run = run_of(1, 4);
        for (tag, at) in [(1, 5), (2, 5), (3, 6), (4, 9)] {
            unacked.push(DeliveryTag(tag), at, delivered(tag, run.take_front(1)));
        }
        for (settled, oldest) in [(2, Some(5)), (1, Some(6)), (3, Some(9)), (4, None)] {
            take(&mut unacked, settled, false).expect("outstanding");
            assert_eq!(unacked.oldest().map(|(_, at)| at), oldest);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Deliver {
            count: u64,
            skip: u64,
        },
        Take {
            tag: u64,
            multiple: bool,
            put_back: bool,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..6u64, 0..2u64).prop_map(|(count, skip)| Step::Deliver { count, skip }),
            (0..60u64, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
                |(tag, multiple, put_back)| Step::Take {
                    tag,
                    multiple,
                    put_back
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_tags(steps in prop::collection::vec(step(), 1..60)) {
            let mut unacked = Unacked::default();
            let mut naive = BTreeSet::new();
            let mut next = 1;
            for step in steps {
                match step {
                    Step::Deliver { count, skip } => {
                        // No-ack deliveries use tags up.
                        next += skip;
                        unacked.push(DeliveryTag(next), 0, delivered(next, run_of(next, count)));
                        naive.extend(next..next + count);
                        next += count;
                    }
                    Step::Take { tag, multiple, put_back } => {
                        let expected: Option<Vec<u64>> = match (tag, multiple) {
                            (0, true) => Some(naive.iter().copied().collect()),
                            _ if !naive.contains(&tag) => None,
                            (_, true) => Some(naive.range(..=tag).copied().collect()),
                            (_, false) => Some(vec![tag]),
                        };
                        let mut ranges = Vec::new();
                        let outcome = unacked.take(DeliveryTag(tag), multiple, |first, range| {
                            ranges.push((first, range));
                        });
                        let taken: Vec<u64> =
                            ranges.iter().flat_map(|(_, range)| tags(range)).collect();
                        prop_assert_eq!(outcome.ok().map(|()| taken.clone()), expected);
                        for (first, range) in ranges {
                            if put_back {
                                unacked.put_back(first, 0, range);
                            } else {
                                for tag in tags(&range) {
                                    naive.remove(&tag);
                                }
                            }
                        }
                    }
                }
            }
            let left: Vec<u64> = unacked.take_all().flat_map(|range| tags(&range)).collect();
            prop_assert_eq!(left, naive.into_iter().collect::<Vec<_>>());
        }
    }
}
