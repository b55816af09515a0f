//! Publishers that go on until the broker dies under them. Each has its own connection and its
//! own numbering, which lasts over all rounds.

use crate::ledger::Ledger;
use crate::ledger::QueueIndex;
use crate::message::MessageId;
use crate::topology::ROUTES;
use lapin::BasicProperties;
use lapin::Channel;
use lapin::Confirmation;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::PublisherConfirm;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::until_over;
use leveret_compat_tests::assertions::within;
use parking_lot::Mutex;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Messages of one publisher in one round: bounds disk and time where the broker is very fast.
const ROUND_MESSAGES_MAX: u64 = 1_500;

/// How a publisher learns that its messages are safe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Assurance {
    /// Publisher confirms, with at most so many outstanding.
    Confirms(usize),
    /// Transactions of up to so many messages.
    Transactions(usize),
}

/// From one that waits for each confirm to one with a thousand outstanding, and transactions.
pub(crate) const PUBLISHERS: [Assurance; 5] = [
    Assurance::Confirms(1),
    Assurance::Confirms(20),
    Assurance::Confirms(200),
    Assurance::Confirms(1_000),
    Assurance::Transactions(15),
];

pub(crate) struct Publisher {
    pub(crate) index: u16,
    pub(crate) assurance: Assurance,
    /// The number of the next message, over all rounds.
    pub(crate) next_sequence: u64,
    rng: StdRng,
}

type Sent = (MessageId, &'static [QueueIndex]);

impl Publisher {
    pub(crate) fn new(index: u16, assurance: Assurance, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (u64::from(index) << 32));
        Self {
            index,
            assurance,
            next_sequence: 0,
            rng,
        }
    }

    /// Publishes until the broker is gone; errors of the connection are how that shows.
    pub(crate) async fn run(
        mut self,
        url: String,
        ledger: Arc<Mutex<Ledger>>,
        is_over: watch::Receiver<bool>,
    ) -> Self {
        let load = async {
            match self.assurance {
                Assurance::Confirms(window) => self.with_confirms(&url, &ledger, window).await,
                Assurance::Transactions(size) => self.with_transactions(&url, &ledger, size).await,
            }
        };
        // An error is the crash we wait for, or shows as a broker that ended by itself.
        let _ = until_over(is_over, load).await;
        self
    }

    async fn with_confirms(&mut self, url: &str, ledger: &Mutex<Ledger>, window: usize) -> Checked {
        let (_connection, channel) = open(url).await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mut outstanding: VecDeque<(Sent, PublisherConfirm)> = VecDeque::new();
        let mut outcome = Ok(());
        let end = self.next_sequence + ROUND_MESSAGES_MAX;
        while outcome.is_ok() && self.next_sequence < end {
            match self.publish(&channel, ledger, true).await {
                Ok(sent) => outstanding.push_back(sent),
                Err(failed) => outcome = Err(failed),
            }
            if outstanding.len() >= window {
                outcome = settle_oldest(&mut outstanding, ledger).await;
            }
        }
        // Confirms that came before the end count, whether or not we had looked at them.
        while !outstanding.is_empty() {
            let _ = settle_oldest(&mut outstanding, ledger).await;
        }
        outcome
    }

    async fn with_transactions(
        &mut self,
        url: &str,
        ledger: &Mutex<Ledger>,
        size_max: usize,
    ) -> Checked {
        let (_connection, channel) = open(url).await?;
        within("tx.select", channel.tx_select()).await??;
        let end = self.next_sequence + ROUND_MESSAGES_MAX;
        while self.next_sequence < end {
            let mut batch = Vec::new();
            for _ in 0..self.rng.random_range(1..=size_max) {
                batch.push(self.publish(&channel, ledger, false).await?.0);
            }
            within("tx.commit", channel.tx_commit()).await??;
            for (id, targets) in batch {
                ledger.lock().confirmed(id, targets);
            }
        }
        Ok(())
    }

    async fn publish(
        &mut self,
        channel: &Channel,
        ledger: &Mutex<Ledger>,
        mandatory: bool,
    ) -> Checked<(Sent, PublisherConfirm)> {
        let route = &ROUTES[self.rng.random_range(0..ROUTES.len())];
        let id = MessageId {
            publisher: self.index,
            sequence: self.next_sequence,
        };
        self.next_sequence += 1;
        ledger.lock().publishing(id, route.targets);
        let confirm = channel
            .basic_publish(
                route.exchange.into(),
                route.key.into(),
                BasicPublishOptions {
                    mandatory,
                    ..BasicPublishOptions::default()
                },
                &id.body(),
                BasicProperties::default().with_delivery_mode(2),
            )
            .await?;
        Ok(((id, route.targets), confirm))
    }
}

async fn open(url: &str) -> Checked<(Connection, Channel)> {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    let connection = within("connecting", connecting).await??;
    let channel = within("channel.open", connection.create_channel()).await??;
    Ok((connection, channel))
}

async fn settle_oldest(
    outstanding: &mut VecDeque<(Sent, PublisherConfirm)>,
    ledger: &Mutex<Ledger>,
) -> Checked {
    let Some(((id, targets), confirm)) = outstanding.pop_front() else {
        return Ok(());
    };
    match within("a confirm", confirm).await?? {
        Confirmation::Ack(None) => ledger.lock().confirmed(id, targets),
        Confirmation::Ack(Some(_)) => ledger.lock().problem(format!("{id} came back: no route")),
        Confirmation::Nack(_) => ledger.lock().problem(format!("{id} was refused")),
        Confirmation::NotRequested => ledger.lock().problem("confirms are off".to_owned()),
    }
    Ok(())
}
