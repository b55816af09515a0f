//! `tx.commit`: everything a transaction does, on however many queues, is handed to the store as one batch.

use std::sync::Arc;

use crate::model::Delivered;
use crate::model::Lsn;
use crate::model::Run;
use crate::store::Record;
use crate::store::Store;
use crate::vhost::QueueHandle;

/// Gathers the records of one transaction. Its queues deliver nothing of it before it is committed.
#[derive(Default)]
pub struct Transaction {
    records: Vec<Record>,
    held: Vec<Arc<QueueHandle>>,
    now: u64,
}

impl Transaction {
    /// Enqueues; answers whether any queue took it.
    pub fn enqueue(&mut self, queues: &[Arc<QueueHandle>], run: &Run, now: u64) -> bool {
        let mut taken = false;
        for queue in queues {
            queue.enter_held(&mut self.records, |state, records| {
                if !state.is_deleted() {
                    taken = true;
                    state.enqueue(run.clone(), now, records);
                }
            });
            self.held.push(Arc::clone(queue));
        }
        taken
    }

    /// Acknowledges or drops deliveries of one queue.
    pub fn settle(&mut self, queue: &Arc<QueueHandle>, ranges: &[Delivered], now: u64) {
        queue.enter_held(&mut self.records, |state, records| {
            state.settle(ranges, now, records)
        });
        self.held.push(Arc::clone(queue));
    }

    /// Hands everything to the store, then lets the queues deliver. Answers what `commit-ok` waits for.
    pub fn commit(mut self, store: &Store, now: u64) -> Lsn {
        self.now = now;
        store.append(std::mem::take(&mut self.records))
    }
}

impl Drop for Transaction {
    /// However the transaction ended: a queue that stays held delivers nothing ever again.
    fn drop(&mut self) {
        for queue in self.held.drain(..) {
            queue.release(self.now);
        }
    }
}
