//! Reading the messages of one queue back, and which queues have any.
//!
//! Reads what is committed, next to the writer and without it. Damage is logged with its place and left out; the rest is
//! served, and nothing is removed from the file.

use redb::Database;
use redb::ReadTransaction;
use redb::ReadableDatabase;
use redb::ReadableTable;
use tracing::error;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::RunBuilder;
use crate::store::StoredMessages;
use crate::store::StoredRun;
use crate::store::blob;
use crate::store::blob::BLOB_MESSAGES_MAX;
use crate::store::blob::Damage;
use crate::store::index::Extent;
use crate::store::tables;
use crate::store::tables::BLOBS;
use crate::store::tables::EXTENTS;
use crate::store::tables::PlaceKey;
use crate::store::tables::QUEUES;

/// All messages of `queue` that are committed and not settled.
pub(crate) fn load(database: &Database, queue: QueueId) -> Result<StoredMessages, redb::Error> {
    let transaction = database.begin_read()?;
    let blobs = transaction.open_table(BLOBS)?;
    let row = transaction
        .open_table(QUEUES)?
        .get(&queue.0.to_be_bytes())?;
    let mut next = row.map_or(1, |next| next.value()).max(1);
    let mut runs = Vec::new();
    let [first, last] = tables::queue_keys(queue);
    for row in transaction
        .open_table(EXTENTS)?
        .range::<&PlaceKey>(&first..=&last)?
    {
        let (key, row) = row?;
        let key = key.value();
        let (_, first) = tables::place(key);
        let extent = tables::parse_extent_row(key, row.value());
        let blob = blobs.get(key)?;
        let blob = blob.as_ref().map(|blob| blob.value());
        match read_blob(key, extent, blob) {
            Ok(messages) => runs.extend(messages),
            Err(damage) => error!(
                queue = queue.0,
                position = first.0,
                messages = extent.map(|(count, _)| count),
                reason = %damage,
                "stored messages are damaged and left out"
            ),
        }
        let count = extent.map_or(BLOB_MESSAGES_MAX, |(count, _)| u64::from(count));
        next = next.max(first.0 + count);
    }
    Ok(StoredMessages {
        runs,
        next: Position(next),
    })
}

/// The messages of a blob that are not settled; all of them when its extent row is damaged.
fn read_blob(
    key: &PlaceKey,
    extent: Option<(u32, &[u8])>,
    blob: Option<&[u8]>,
) -> Result<Vec<StoredRun>, Damage> {
    let parts = blob::decode(key, blob.ok_or(Damage::Missing)?)?;
    let (count, settled) = extent.unwrap_or((parts.len() as u32, &[]));
    if count as usize != parts.len() {
        return Err(Damage::Lengths);
    }
    let stretches = Extent::new(count, settled).open();
    let mut builder = RunBuilder::default();
    for stretch in &stretches {
        for part in &parts[stretch.start as usize..stretch.end as usize] {
            builder.push(part.route, part.header, part.body, part.traits);
        }
    }
    let (_, first) = tables::place(key);
    let mut messages = builder.finish();
    let mut runs = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        let mut at = stretch.start as usize;
        let open = &parts[at..stretch.end as usize];
        for same in open.chunk_by(|left, right| left.enqueued_at == right.enqueued_at) {
            runs.push(StoredRun {
                first: Position(first.0 + at as u64),
                run: messages.take_front(same.len()),
                enqueued_at: same[0].enqueued_at,
            });
            at += same.len();
        }
    }
    Ok(runs)
}

/// All queues that have rows.
pub(crate) fn stored_queues(database: &Database) -> Result<Vec<QueueId>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut queues = Vec::new();
    for row in transaction.open_table(QUEUES)?.iter()? {
        queues.push(QueueId(u64::from_be_bytes(*row?.0.value())));
    }
    for table in [EXTENTS, BLOBS] {
        queues_with_places(&transaction, table, &mut queues)?;
    }
    queues.sort_unstable();
    queues.dedup();
    Ok(queues)
}

/// One look-up a queue: from the first place of each it goes on behind the last possible one.
fn queues_with_places(
    transaction: &ReadTransaction,
    table: redb::TableDefinition<'_, &'static PlaceKey, &'static [u8]>,
    queues: &mut Vec<QueueId>,
) -> Result<(), redb::Error> {
    let table = transaction.open_table(table)?;
    let mut from = tables::place_key(QueueId(0), 0);
    while let Some(row) = table.range::<&PlaceKey>(&from..)?.next() {
        let (queue, _) = tables::place(row?.0.value());
        queues.push(queue);
        let Some(next) = queue.0.checked_add(1) else {
            break;
        };
        from = tables::place_key(QueueId(next), 0);
    }
    Ok(())
}
