//! Replaying the ring: each frame does to the index again what it did when it was written. Doing so twice changes
//! nothing, for positions are never used again.

use tracing::error;

use crate::store::StoreError;
use crate::store::core::Core;
use crate::store::core::PendingDefinition;
use crate::store::group::Changes;
use crate::store::index::Extent;
use crate::store::index::Place;
use crate::store::ring::frame::FrameRecord;
use crate::store::ring::frame::HEADER_BYTES;
use crate::store::ring::frame::Records;
use crate::store::ring::scan::FoundFrame;
use crate::store::ring::scan::Scan;

/// Applies all frames. Answers whether the last says that the store was closed; `None` when there is none.
pub(crate) fn replay(core: &mut Core, scan: &Scan) -> Result<Option<bool>, StoreError> {
    let mut clean = None;
    for frame in &scan.frames {
        let head = scan.head(frame).map_err(StoreError::ring)?;
        clean = Some(false);
        for record in Records::new(&head[HEADER_BYTES..]) {
            match record {
                Ok(FrameRecord::Clean) => clean = Some(true),
                Ok(record) => core.replay(frame, head.len() as u64, record),
                Err(reason) => error!(
                    segment = frame.segment,
                    offset = frame.offset,
                    %reason,
                    "the rest of a frame of the ring is left out; check the disk, and restore a backup if its messages are needed"
                ),
            }
        }
    }
    Ok(clean)
}

impl Core {
    fn replay(&mut self, frame: &FoundFrame, head_bytes: u64, record: FrameRecord<'_>) {
        let dirt = self.dirt.entry(frame.segment).or_default();
        match record {
            FrameRecord::Put {
                offset,
                bytes,
                checksum,
                positions,
                body_bytes,
                expiring,
                targets,
                gaps,
            } => {
                let end = offset.checked_add(u64::from(bytes));
                if end.is_none_or(|end| end > frame.header.content_bytes) {
                    error!(
                        segment = frame.segment,
                        offset = frame.offset,
                        "a frame of the ring names messages that are not in it: they are left out; check the disk, and restore a backup if they are needed"
                    );
                    return;
                }
                let place = Place::Ring {
                    segment: frame.segment,
                    offset: frame.offset + head_bytes + offset,
                    bytes,
                    checksum,
                };
                let extent = Extent::new(positions, gaps, body_bytes, expiring, place);
                for (queue, first) in targets {
                    dirt.note_put(queue, first);
                    let index = self.index.entry(queue).or_default();
                    index.next_stated = index.next_stated.max(first + u64::from(positions));
                    index.extents.insert(first, extent.clone());
                }
            }
            FrameRecord::Settle { queue, ranges } => {
                let Some(index) = self.index.get_mut(&queue) else {
                    return;
                };
                let mut changes = Changes::default();
                for range in ranges {
                    changes.settle_stored(index, range);
                }
                let touched = changes.touched.into_iter();
                dirt.touched.extend(touched.map(|first| (queue, first)));
            }
            FrameRecord::Delete { queue } => {
                self.index.remove(&queue);
                dirt.deleted.push(queue);
            }
            FrameRecord::Define { key, value } => {
                let pending = PendingDefinition {
                    segment: frame.segment,
                    value: value.map(<[u8]>::to_vec),
                };
                self.definitions.insert(key.to_vec(), pending);
            }
            FrameRecord::Reserve { queue, next } => {
                dirt.note_use(queue);
                let index = self.index.entry(queue).or_default();
                index.next_stated = index.next_stated.max(next);
            }
            FrameRecord::Clean => {}
        }
    }
}
