//! What the store would make of a queue's records.

use std::collections::BTreeSet;
use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::QUEUE;
use crate::queue::QueueType;
use crate::store::Record;

/// What the store would hold, and that each position is put once, then settled at most once.
#[derive(Default)]
pub(super) struct Stored {
    ever: BTreeSet<u64>,
    pub(super) now: BTreeSet<u64>,
    deleted: bool,
    /// Transient messages too.
    everything: bool,
}

impl Stored {
    pub(super) fn of(queue_type: QueueType) -> Self {
        Self {
            everything: queue_type == QueueType::Quorum,
            ..Self::default()
        }
    }

    pub(super) fn apply(&mut self, record: Record) -> Result<(), TestCaseError> {
        prop_assert!(!self.deleted, "after the queue's end: {:?}", record);
        match record {
            Record::Put { run, targets, .. } => {
                prop_assert_eq!(targets.len(), 1);
                prop_assert_eq!(targets[0].0, QUEUE);
                for (position, message) in (targets[0].1.0..).zip(run.iter()) {
                    let stored = self.everything || message.traits().persistent();
                    prop_assert!(stored, "transient and put");
                    prop_assert!(self.ever.insert(position), "{} put twice", position);
                    self.now.insert(position);
                }
            }
            Record::Settle {
                queue,
                first,
                count,
            } => {
                prop_assert_eq!(queue, QUEUE);
                self.remove(first.0..first.0 + count)?;
            }
            Record::Purge { queue, ranges } => {
                prop_assert_eq!(queue, QUEUE);
                for range in ranges {
                    self.remove(range)?;
                }
            }
            Record::DeleteQueue { queue } => {
                prop_assert_eq!(queue, QUEUE);
                self.deleted = true;
                self.now.clear();
            }
            Record::Define { .. } | Record::Undefine { .. } => {
                return Err(TestCaseError::fail("a queue defines nothing"));
            }
        }
        Ok(())
    }

    fn remove(&mut self, positions: Range<u64>) -> Result<(), TestCaseError> {
        for position in positions {
            prop_assert!(self.now.remove(&position), "{} is not stored", position);
        }
        Ok(())
    }
}
