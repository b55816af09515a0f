//! A durable queue that one client has to itself: it publishes, settles in any order, purges, deletes and declares again, in
//! and out of transactions, one answer after the other. So it knows at each moment what must be there, what may be, and what
//! must never be there again.
//!
//! What the broker keeps is the outcome of a prefix of what it did. So whatever was done before a message was confirmed, or
//! before a durable declare was answered, is as safe as that.

use crate::ledger::Ledger;
use crate::ledger::QueueIndex;
use crate::message::MessageId;
use crate::topology::queue_name;
use lapin::BasicProperties;
use lapin::Channel;
use lapin::Confirmation;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::options::BasicAckOptions;
use lapin::options::BasicGetOptions;
use lapin::options::BasicPublishOptions;
use lapin::options::BasicRejectOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueDeclareOptions;
use lapin::options::QueueDeleteOptions;
use lapin::options::QueuePurgeOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::until_over;
use leveret_compat_tests::assertions::within;
use parking_lot::Mutex;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// Numbers of the publishers begin here.
const PUBLISHER_FIRST: u16 = 100;

/// Of what is done in one round.
const STEPS_MAX: u32 = 200;

/// A transaction whose commit was not answered: all of it happened, or nothing.
struct Undecided {
    published: Vec<MessageId>,
    acked: Vec<MessageId>,
}

pub(crate) struct Solo {
    pub(crate) queue: QueueIndex,
    next_sequence: u64,
    rng: StdRng,
    undecided: Option<Undecided>,
    /// Between a delete and the answer to the declare after it the queue may be missing.
    may_be_missing: bool,
}

impl Solo {
    pub(crate) fn new(queue: QueueIndex, seed: u64) -> Self {
        Self {
            queue,
            next_sequence: 0,
            rng: StdRng::seed_from_u64(seed ^ (queue as u64) << 40),
            undecided: None,
            may_be_missing: false,
        }
    }

    /// Works until the broker is gone; the queue is empty at the start.
    pub(crate) async fn run(
        mut self,
        url: String,
        ledger: Arc<Mutex<Ledger>>,
        is_over: watch::Receiver<bool>,
    ) -> Self {
        // An error is the crash we wait for, or shows as a broker that ended by itself.
        let _ = until_over(is_over, self.try_run(&url, &ledger)).await;
        self
    }

    async fn try_run(&mut self, url: &str, ledger: &Mutex<Ledger>) -> Checked {
        let connecting = Connection::connect(url, ConnectionProperties::default());
        let connection = within("connecting", connecting).await??;
        let channel = within("channel.open", connection.create_channel()).await??;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        within("confirm.select", confirms).await??;
        let tx = within("channel.open", connection.create_channel()).await??;
        within("tx.select", tx.tx_select()).await??;
        // What is ready, in order.
        let mut ready: Vec<MessageId> = Vec::new();
        for _ in 0..STEPS_MAX {
            match self.rng.random_range(0..100) {
                0..45 => self.publish(&channel, ledger, &mut ready).await?,
                45..65 => self.settle(&channel, ledger, &mut ready).await?,
                65..75 => self.purge(&channel, ledger, &mut ready).await?,
                75..80 => self.replace(&channel, ledger, &mut ready).await?,
                _ => self.transact(&tx, ledger, &mut ready).await?,
            }
        }
        Ok(())
    }

    fn next_id(&mut self) -> MessageId {
        let id = MessageId {
            publisher: PUBLISHER_FIRST + self.queue as u16,
            sequence: self.next_sequence,
        };
        self.next_sequence += 1;
        id
    }

    async fn send(&self, channel: &Channel, id: MessageId) -> Checked<lapin::PublisherConfirm> {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let name = queue_name(self.queue).into();
        Ok(channel
            .basic_publish("".into(), name, options, &id.body(), properties)
            .await?)
    }

    async fn publish(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
    ) -> Checked {
        let mut confirms = Vec::new();
        for _ in 0..self.rng.random_range(1..40) {
            let id = self.next_id();
            ledger.lock().publishing(id, &[self.queue]);
            confirms.push((id, self.send(channel, id).await?));
        }
        for (id, confirm) in confirms {
            match within("a confirm", confirm).await?? {
                Confirmation::Ack(None) => ledger.lock().confirmed(id, &[self.queue]),
                other => self.wrong(ledger, &format!("{id} was answered with {other:?}")),
            }
            ready.push(id);
        }
        Ok(())
    }

    /// A confirmed message: what was done before on this channel is safe.
    async fn make_sure(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
        gone: &[MessageId],
    ) -> Checked {
        let id = self.next_id();
        ledger.lock().publishing(id, &[self.queue]);
        let confirm = self.send(channel, id).await?;
        within("a confirm", confirm).await??;
        let mut ledger = ledger.lock();
        ledger.confirmed(id, &[self.queue]);
        ledger.gone(self.queue, gone);
        ready.push(id);
        Ok(())
    }

    /// Takes some from the front, in the order in which they must come.
    async fn take(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
    ) -> Checked<Vec<(u64, MessageId)>> {
        let mut taken = Vec::new();
        for _ in 0..self.rng.random_range(0..30).min(ready.len()) {
            let get = channel.basic_get(queue_name(self.queue).into(), BasicGetOptions::default());
            let wanted = ready.remove(0);
            let Some(message) = within("basic.get", get).await?? else {
                self.wrong(ledger, &format!("{wanted} is not there"));
                continue;
            };
            let id = MessageId::of(&message.delivery.data);
            if id != Some(wanted) {
                self.wrong(ledger, &format!("{id:?} came, not {wanted}"));
            }
            taken.push((message.delivery.delivery_tag, wanted));
        }
        taken.shuffle(&mut self.rng);
        Ok(taken)
    }

    /// Settles one by one, in any order, some by rejecting them.
    async fn settle(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
    ) -> Checked {
        let taken = self.take(channel, ledger, ready).await?;
        let mut gone = Vec::new();
        for (tag, id) in taken {
            ledger.lock().acking(self.queue, id);
            if self.rng.random_ratio(1, 5) {
                let options = BasicRejectOptions { requeue: false };
                channel.basic_reject(tag, options).await?;
            } else {
                channel.basic_ack(tag, BasicAckOptions::default()).await?;
            }
            gone.push(id);
        }
        if self.rng.random_ratio(1, 2) {
            self.make_sure(channel, ledger, ready, &gone).await?;
        }
        Ok(())
    }

    async fn purge(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
    ) -> Checked {
        self.acking_all(ledger, ready);
        let options = QueuePurgeOptions::default();
        let purge = channel.queue_purge(queue_name(self.queue).into(), options);
        let purged = within("queue.purge", purge).await??;
        self.expect_count(ledger, "purged", purged, ready.len());
        let gone = std::mem::take(ready);
        if self.rng.random_ratio(1, 2) {
            self.make_sure(channel, ledger, ready, &gone).await?;
        }
        Ok(())
    }

    /// Deletes the queue and declares it again.
    async fn replace(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
    ) -> Checked {
        self.acking_all(ledger, ready);
        self.may_be_missing = true;
        let options = QueueDeleteOptions::default();
        let delete = channel.queue_delete(queue_name(self.queue).into(), options);
        let deleted = within("queue.delete", delete).await??;
        self.expect_count(ledger, "deleted", deleted, ready.len());
        let gone = std::mem::take(ready);
        self.declare(channel).await?;
        self.may_be_missing = false;
        ledger.lock().gone(self.queue, &gone);
        Ok(())
    }

    async fn declare(&self, channel: &Channel) -> Checked<u32> {
        let name = queue_name(self.queue).into();
        let options = QueueDeclareOptions::durable();
        let declare = channel.queue_declare(name, options, FieldTable::default());
        Ok(within("queue.declare", declare).await??.message_count())
    }

    /// Publishes some and settles some in one transaction.
    async fn transact(
        &mut self,
        tx: &Channel,
        ledger: &Mutex<Ledger>,
        ready: &mut Vec<MessageId>,
    ) -> Checked {
        let taken = self.take(tx, ledger, ready).await?;
        let acked: Vec<MessageId> = taken.iter().map(|(_, id)| *id).collect();
        let mut published = Vec::new();
        for _ in 0..self.rng.random_range(1..20) {
            let id = self.next_id();
            ledger.lock().publishing(id, &[self.queue]);
            self.send(tx, id).await?;
            published.push(id);
        }
        for (tag, id) in taken {
            ledger.lock().acking(self.queue, id);
            tx.basic_ack(tag, BasicAckOptions::default()).await?;
        }
        self.undecided = Some(Undecided {
            published: published.clone(),
            acked: acked.clone(),
        });
        within("tx.commit", tx.tx_commit()).await??;
        self.undecided = None;
        let mut ledger = ledger.lock();
        for id in &published {
            ledger.confirmed(*id, &[self.queue]);
        }
        ledger.gone(self.queue, &acked);
        ready.extend(published);
        Ok(())
    }

    /// A purge or delete is about to be sent.
    fn acking_all(&self, ledger: &Mutex<Ledger>, ready: &[MessageId]) {
        let mut ledger = ledger.lock();
        ready.iter().for_each(|id| ledger.acking(self.queue, *id));
    }

    fn expect_count(&self, ledger: &Mutex<Ledger>, what: &str, count: u32, wanted: usize) {
        if count as usize != wanted {
            self.wrong(ledger, &format!("{what} {count}, not {wanted}"));
        }
    }

    fn wrong(&self, ledger: &Mutex<Ledger>, what: &str) {
        let text = format!("queue {}, used alone: {what}", self.queue);
        ledger.lock().problem(text);
    }

    /// After a restart: the number of messages in the queue, which is declared again where it may be missing. Answers what
    /// is wrong with that.
    pub(crate) async fn reopen(&mut self, connection: &Connection) -> Checked<usize> {
        let channel = within("channel.open", connection.create_channel()).await??;
        if std::mem::take(&mut self.may_be_missing) {
            return Ok(self.declare(&channel).await? as usize);
        }
        crate::topology::ready(&channel, &queue_name(self.queue)).await
    }

    /// Of a transaction all must have happened, or nothing.
    pub(crate) fn judge(&mut self, found: &BTreeSet<MessageId>) -> Option<String> {
        let undecided = self.undecided.take()?;
        let there = |ids: &[MessageId]| ids.iter().filter(|id| found.contains(id)).count();
        let (published, acked) = (there(&undecided.published), there(&undecided.acked));
        let all = published == undecided.published.len() && acked == 0;
        let nothing = published == 0 && acked == undecided.acked.len();
        (!(all || nothing)).then(|| {
            format!(
                "queue {}: of a transaction {published} of {} published and {acked} of {} acked messages are there",
                self.queue,
                undecided.published.len(),
                undecided.acked.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_transaction_is_found() {
        let id = |sequence| MessageId {
            publisher: 1,
            sequence,
        };
        let half = |found: &[u64]| {
            let mut solo = Solo::new(0, 1);
            solo.undecided = Some(Undecided {
                published: vec![id(3), id(4)],
                acked: vec![id(1), id(2)],
            });
            solo.judge(&found.iter().map(|sequence| id(*sequence)).collect())
                .is_some()
        };
        assert!(!half(&[1, 2]) && !half(&[3, 4]));
        assert!(half(&[]) && half(&[1]) && half(&[3]) && half(&[1, 3, 4]) && half(&[1, 2, 3, 4]));
    }
}
