//! What the store's threads share behind one short lock: the index, the ring, the group that is being gathered, and what
//! each segment has that redb does not.
//!
//! No IO is done here. The lock is taken before the inbox's, never after it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Lsn;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::store::RecoveredQueue;
use crate::store::checkpoint::Snapshot;
use crate::store::disk::DiskFile;
use crate::store::draft::Draft;
use crate::store::group::Group;
use crate::store::inbox::Inbox;
use crate::store::index::Extent;
use crate::store::index::Index;
use crate::store::index::Place;
use crate::store::ring::FramePlace;
use crate::store::ring::Ring;
use crate::store::ring::frame::BlockPlace;
use crate::store::ring::frame::FrameBuilder;
use crate::store::tables::POSITIONS_RESERVED;

/// See the module's documentation.
pub(crate) struct Core {
    pub(crate) index: Index,
    pub(crate) ring: Ring,
    /// What frames' checksums begin with.
    pub(crate) ring_key: u64,
    /// What is gathered for the next frame.
    pub(crate) open: Group,
    /// By segment.
    pub(crate) dirt: BTreeMap<u64, Dirt>,
    /// Definitions that changed since redb was told, by key.
    pub(crate) definitions: BTreeMap<Vec<u8>, PendingDefinition>,
    /// Frames were written, synced or not, up to here: segment and offset.
    pub(crate) written: (u64, u64),
    /// A checkpoint has seen the state up to here and cannot end before it is durable.
    pub(crate) awaited: Option<Lsn>,
    /// A frame of so many octets waits for room in the ring.
    pub(crate) wanted_bytes: Option<u64>,
    /// What is in this segment and the older ones is to go to redb, needed or not.
    pub(crate) forced: Option<u64>,
    /// Publishers wait for room in the ring.
    pub(crate) held_back: bool,
    /// The last segment that could not be left without waiting, while that is what the log said last.
    pub(crate) told_full: Option<u64>,
    /// Checkpoints done since the store was opened.
    pub(crate) checkpoints: u64,
    /// Records were taken and not all of them applied: a panic in between.
    pub(crate) torn: bool,
    /// How far the snapshot is that a backup wants.
    pub(crate) snapshot: Snapshot,
    /// The store has ended.
    pub(crate) ended: bool,
    /// The last record that was given a place.
    pub(crate) sealed_through: Lsn,
}

/// What a segment has that must be in redb before the segment is used again.
#[derive(Debug, Default)]
pub(crate) struct Dirt {
    /// Queues of which it says something, and the lowest position of the messages that it has of them.
    pub(crate) lowest: HashMap<QueueId, u64, foldhash::fast::FixedState>,
    /// Pages of which its frames settled something.
    pub(crate) touched: BTreeSet<(QueueId, u64)>,
    /// Queues that its frames deleted.
    pub(crate) deleted: Vec<QueueId>,
}

/// The last word on a definition; `None` when it is gone.
pub(crate) struct PendingDefinition {
    pub(crate) segment: u64,
    pub(crate) value: Option<Vec<u8>>,
}

/// A group that will be written as it is.
pub(crate) struct Sealed {
    /// `None` when there is nothing to write.
    pub(crate) frame: Option<SealedFrame>,
    pub(crate) through: Lsn,
    pub(crate) held_bytes: usize,
    pub(crate) record_count: usize,
}

/// A frame with its place.
pub(crate) struct SealedFrame {
    pub(crate) builder: FrameBuilder,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// A group that is encoded and has no place yet.
struct Encoded {
    builder: FrameBuilder,
    blocks: Vec<EncodedBlock>,
    /// Up to where the frame will have stated which positions were used.
    stated: Vec<(QueueId, u64)>,
}

struct EncodedBlock {
    place: BlockPlace,
    draft: Draft,
    targets: Vec<(QueueId, u64)>,
}

/// The ring has no place for a frame of so many octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) bytes: u64,
}

impl Core {
    /// What is known of each queue, by id.
    pub(crate) fn recovered_queues(&self) -> Vec<RecoveredQueue> {
        let mut queues: Vec<_> = self
            .index
            .iter()
            .map(|(queue, index)| RecoveredQueue {
                queue: *queue,
                messages: index.messages(),
                next: Position(index.next),
            })
            .collect();
        queues.sort_unstable_by_key(|queue| queue.queue);
        queues
    }

    /// Takes everything that waits into the group.
    pub(crate) fn absorb(&mut self, inbox: &Inbox) {
        let Some(taken) = inbox.take() else {
            return;
        };
        assert!(!self.torn, "records were lost by a panic");
        self.torn = true;
        self.open.through = taken.through;
        self.open.held_bytes += taken.bytes;
        let mut records = taken.records;
        for record in records.drain(..) {
            self.open.apply(&mut self.index, record);
        }
        self.torn = false;
        inbox.give_back(records);
    }

    /// Encodes what was gathered and gives it a place; what it puts enters the index, and the next group begins. Without
    /// a place nothing has changed.
    pub(crate) fn seal(&mut self) -> Result<Sealed, NoRoom> {
        // A reader's thread takes records in too, and its panic ends only what it reads for.
        assert!(!self.torn, "records were lost by a panic");
        let mut sealed = Sealed {
            frame: None,
            through: self.open.through,
            held_bytes: self.open.held_bytes,
            record_count: self.open.record_count,
        };
        if self.open.is_empty(&self.index) {
            self.open = Group::default();
            self.sealed_through = self.sealed_through.max(sealed.through);
            return Ok(sealed);
        }
        let mut encoded = Encoded::new(&self.open, &self.index);
        let bytes = encoded.builder.bytes();
        let place = self.ring.place(bytes).ok_or(NoRoom { bytes })?;
        let number = self.ring.next_frame() - 1;
        encoded.builder.seal(self.ring_key, place.segment, number);
        let content_at = place.offset + encoded.builder.content_at();
        self.enter_blocks(&encoded, place.segment, content_at);
        let group = std::mem::take(&mut self.open);
        self.note_changes(group, place.segment);
        self.sealed_through = self.sealed_through.max(sealed.through);
        let FramePlace {
            segment,
            offset,
            file,
        } = place;
        sealed.frame = Some(SealedFrame {
            builder: encoded.builder,
            file,
            segment,
            offset,
        });
        Ok(sealed)
    }

    fn enter_blocks(&mut self, encoded: &Encoded, segment: u64, content_at: u64) {
        let dirt = self.dirt.entry(segment).or_default();
        for block in &encoded.blocks {
            let gaps = block.draft.gaps();
            let extent = Extent::new(
                block.draft.positions(),
                &gaps,
                block.draft.body_bytes(),
                block.draft.is_expiring(),
                Place::Ring {
                    segment,
                    offset: content_at + block.place.offset,
                    bytes: block.place.bytes,
                    checksum: block.place.checksum,
                },
            );
            for (queue, first) in &block.targets {
                dirt.note_put(*queue, *first);
                let index = self.index.entry(*queue).or_default();
                index.extents.insert(*first, extent.clone());
            }
        }
        for (queue, stated) in &encoded.stated {
            dirt.note_use(*queue);
            if let Some(index) = self.index.get_mut(queue) {
                index.next_stated = index.next_stated.max(*stated);
            }
        }
    }

    /// What a frame in this segment changes beside what it puts.
    pub(crate) fn note_changes(&mut self, group: Group, segment: u64) {
        let dirt = self.dirt.entry(segment).or_default();
        dirt.deleted.extend(group.deleted);
        for (queue, changes) in group.queues {
            let touched = changes.touched.into_iter();
            dirt.touched.extend(touched.map(|first| (queue, first)));
        }
        for (key, value) in group.definitions {
            let pending = PendingDefinition { segment, value };
            self.definitions.insert(key, pending);
        }
    }
}

impl Dirt {
    /// Which positions of the queue were used is said here.
    pub(crate) fn note_use(&mut self, queue: QueueId) {
        self.lowest.entry(queue).or_insert(u64::MAX);
    }

    pub(crate) fn note_put(&mut self, queue: QueueId, first: u64) {
        let lowest = self.lowest.entry(queue).or_insert(first);
        *lowest = (*lowest).min(first);
    }
}

impl Encoded {
    fn new(group: &Group, index: &Index) -> Self {
        let mut encoded = Self {
            builder: FrameBuilder::new(),
            blocks: Vec::new(),
            stated: Vec::new(),
        };
        for queue in &group.deleted {
            encoded.builder.delete(*queue);
        }
        for (queue, changes) in &group.queues {
            if !changes.settled.is_empty() {
                encoded.builder.settle(*queue, &changes.settled);
            }
        }
        encoded.encode_blocks(group, index);
        for (key, value) in &group.definitions {
            encoded.builder.define(key, value.as_deref());
        }
        if group.clean {
            encoded.builder.clean();
        }
        encoded
    }

    /// Cuts what was put into blocks. What went to several queues alike is written once.
    fn encode_blocks(&mut self, group: &Group, index: &Index) {
        let shared = group.queues.len() > 1;
        // By the messages that a block begins with.
        let mut known: HashMap<(usize, u32, u32), Vec<usize>, foldhash::fast::FixedState> =
            HashMap::default();
        for (queue, changes) in &group.queues {
            let Some(index) = index.get(queue) else {
                continue;
            };
            let mut stated = index.next_stated;
            for draft in changes.drafts() {
                stated = stated.max(draft.end());
                let identity = draft.runs().next().map(Run::identity);
                let alike = match identity {
                    Some(identity) if shared => known.entry(identity).or_default(),
                    _ => &mut Vec::new(),
                };
                let first = draft.first();
                let same = alike
                    .iter()
                    .find(|block| self.blocks[**block].draft.same_as(&draft));
                if let Some(block) = same {
                    self.blocks[*block].targets.push((*queue, first));
                    continue;
                }
                alike.push(self.blocks.len());
                self.blocks.push(EncodedBlock {
                    place: self.builder.block(&draft),
                    draft,
                    targets: vec![(*queue, first)],
                });
            }
            // Blocks tell which positions were used; messages that vanished do not.
            if index.next > stated {
                stated = index.next.saturating_add(POSITIONS_RESERVED);
                self.builder.reserve(*queue, stated);
            }
            self.stated.push((*queue, stated));
        }
        for block in &self.blocks {
            self.builder.put(&block.draft, block.place, &block.targets);
        }
    }
}
