//! The rounds: load, kill, restart, judgement. What is owed lasts from round to round.

use crate::consumers;
use crate::definitions::Definitions;
use crate::ledger::Ledger;
use crate::ledger::QueueIndex;
use crate::options::Options;
use crate::process::BrokerProcess;
use crate::publishers::PUBLISHERS;
use crate::publishers::Publisher;
use crate::solo::Solo;
use crate::topology;
use crate::topology::QUEUE_COUNT;
use crate::topology::SOLO_COUNT;
use crate::topology::queue_name;
use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::within;
use parking_lot::Mutex;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a round's load may run before the kill.
const LOAD_MILLISECONDS: std::ops::Range<u64> = 30..1_200;

/// One start in so many is killed while it recovers.
const KILLED_STARTS: u32 = 5;

/// How long clients may take to notice that the broker is gone. The library does not always: a
/// consumer that starts while its connection dies waits on.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) struct Rounds {
    broker: BrokerProcess,
    ledger: Arc<Mutex<Ledger>>,
    publishers: Vec<Publisher>,
    definitions: Option<Definitions>,
    solos: Vec<Solo>,
    rng: StdRng,
}

pub(crate) struct Outcome {
    pub(crate) summary: String,
    pub(crate) problems: Vec<String>,
}

impl Rounds {
    /// Starts the broker on an empty directory and declares what the rounds need.
    pub(crate) async fn begin(options: &Options, directory: &Path) -> Checked<Self> {
        let mut broker = BrokerProcess::new(options.binary.clone(), directory);
        broker.start().await?;
        let connection = connect(&broker.url()).await?;
        let channel = within("channel.open", connection.create_channel()).await??;
        within("declaring", topology::declare(&channel)).await??;
        let publisher = |(index, assurance)| Publisher::new(index as u16, assurance, options.seed);
        Ok(Self {
            broker,
            ledger: Arc::new(Mutex::new(Ledger::new(QUEUE_COUNT + SOLO_COUNT))),
            publishers: PUBLISHERS.into_iter().enumerate().map(publisher).collect(),
            definitions: Some(Definitions::new(options.seed)),
            solos: (QUEUE_COUNT..QUEUE_COUNT + SOLO_COUNT)
                .map(|queue| Solo::new(queue, options.seed))
                .collect(),
            rng: StdRng::seed_from_u64(options.seed),
        })
    }

    /// One round. An error ends the run: the broker cannot be used any more.
    pub(crate) async fn play(&mut self, number: u32, last: bool) -> Checked<Outcome> {
        let (confirmed, acked, returned) = self.counts();
        let load = Duration::from_millis(self.rng.random_range(LOAD_MILLISECONDS));
        self.load_and_kill(number, load).await?;
        let published = self.counts();
        let restart = self.restart().await?;
        let judged = self.judge(last).await?;
        let summary = format!(
            "killed after {} ms, {} confirmed, {} acked; up again in {} ms; \
             {judged} messages judged, {} acked ones came again",
            load.as_millis(),
            published.0 - confirmed,
            published.1 - acked,
            restart.as_millis(),
            self.counts().2 - returned,
        );
        let problems = self.ledger.lock().take_problems();
        Ok(Outcome { summary, problems })
    }

    /// A line on the whole run.
    pub(crate) fn totals(&self) -> String {
        let (confirmed, acked, returned) = self.counts();
        let sent: u64 = self
            .publishers
            .iter()
            .map(|publisher| publisher.next_sequence)
            .sum();
        format!(
            "{sent} messages sent, {confirmed} confirmed, {acked} acked in single queues, of which \
             {returned} came again; {} MB in the data directory",
            directory_bytes(&self.broker.data_directory()) / 1_000_000
        )
    }

    fn counts(&self) -> (u64, u64, u64) {
        let ledger = self.ledger.lock();
        (
            ledger.confirmed_count,
            ledger.acked_count,
            ledger.returned_count,
        )
    }

    async fn load_and_kill(&mut self, number: u32, load: Duration) -> Checked {
        let url = self.broker.url();
        let (over, is_over) = watch::channel(false);
        let mut publishers = JoinSet::new();
        for publisher in self.publishers.drain(..) {
            let (url, ledger) = (url.clone(), Arc::clone(&self.ledger));
            publishers.spawn(publisher.run(url, ledger, is_over.clone()));
        }
        let mut solos = JoinSet::new();
        for solo in self.solos.drain(..) {
            let (url, ledger) = (url.clone(), Arc::clone(&self.ledger));
            solos.spawn(solo.run(url, ledger, is_over.clone()));
        }
        let mut workers = JoinSet::new();
        for queue in self.some_queues(3) {
            let (seed, ledger) = (self.rng.random(), Arc::clone(&self.ledger));
            workers.spawn(consumers::work(
                url.clone(),
                queue,
                seed,
                ledger,
                is_over.clone(),
            ));
        }
        let definitions = self
            .definitions
            .take()
            .ok_or("the definitions are at work already")?;
        let definitions = tokio::spawn(definitions.churn(url, is_over));
        tokio::time::sleep(load).await;
        let killed = self.broker.kill();
        let everyone = async {
            workers.join_all().await;
            (
                publishers.join_all().await,
                definitions.await,
                solos.join_all().await,
            )
        };
        tokio::pin!(everyone);
        let ended = match timeout(GRACE, &mut everyone).await {
            Ok(ended) => ended,
            Err(_) => {
                over.send_replace(true);
                within("the end of the load", everyone).await?
            }
        };
        self.publishers = ended.0;
        self.publishers.sort_by_key(|publisher| publisher.index);
        self.definitions = Some(ended.1?);
        self.solos = ended.2;
        self.solos.sort_by_key(|solo| solo.queue);
        self.ledger.lock().incarnation = number;
        killed
    }

    async fn restart(&mut self) -> Checked<Duration> {
        while self.rng.random_ratio(1, KILLED_STARTS) {
            self.broker.spawn()?;
            let recovery = Duration::from_millis(self.rng.random_range(0..150));
            tokio::time::sleep(recovery).await;
            self.broker.kill()?;
        }
        self.broker.start().await
    }

    /// Compares the broker with the ledger; returns how many messages were looked at.
    async fn judge(&mut self, all: bool) -> Checked<usize> {
        let connection = connect(&self.broker.url()).await?;
        let channel = within("channel.open", connection.create_channel()).await??;
        topology::expect_exchanges(&channel).await?;
        let to_drain = self.some_queues(if all { QUEUE_COUNT } else { QUEUE_COUNT / 2 });
        let mut judged = 0;
        for queue in 0..QUEUE_COUNT {
            let count = topology::ready(&channel, &queue_name(queue)).await?;
            let allowed = self.ledger.lock().count_range(queue);
            if !allowed.contains(&count) {
                self.ledger.lock().problem(format!(
                    "queue {queue} holds {count}, which is not in {allowed:?}"
                ));
            } else if !to_drain.contains(&queue) {
                continue;
            }
            let no_ack = self.rng.random_ratio(1, 4);
            let arrivals = consumers::drain(&channel, queue, count, no_ack).await?;
            judged += arrivals.len();
            self.ledger.lock().drained(queue, &arrivals);
            let left = topology::ready(&channel, &queue_name(queue)).await?;
            if left != 0 {
                self.ledger
                    .lock()
                    .problem(format!("queue {queue}: {left} left after all {count}"));
            }
        }
        judged += self.judge_solos(&connection, &channel).await?;
        if let Some(definitions) = &mut self.definitions {
            for problem in definitions.verify(&connection).await? {
                self.ledger.lock().problem(problem);
            }
        }
        within("connection.close", connection.close(200, "judged".into())).await??;
        Ok(judged)
    }

    /// Empties the queues that one client has to itself.
    async fn judge_solos(&mut self, connection: &Connection, channel: &Channel) -> Checked<usize> {
        let mut judged = 0;
        for solo in &mut self.solos {
            let count = solo.reopen(connection).await?;
            let allowed = self.ledger.lock().count_range(solo.queue);
            if !allowed.contains(&count) {
                self.ledger.lock().problem(format!(
                    "queue {}, used alone, holds {count}, which is not in {allowed:?}",
                    solo.queue
                ));
            }
            let arrivals = consumers::drain(channel, solo.queue, count, false).await?;
            judged += arrivals.len();
            let found = arrivals.iter().filter_map(|arrival| arrival.id).collect();
            let mut ledger = self.ledger.lock();
            if let Some(problem) = solo.judge(&found) {
                ledger.problem(problem);
            }
            ledger.drained(solo.queue, &arrivals);
        }
        Ok(judged)
    }

    fn some_queues(&mut self, count: usize) -> Vec<QueueIndex> {
        let mut queues: Vec<QueueIndex> = (0..QUEUE_COUNT).collect();
        while queues.len() > count {
            queues.swap_remove(self.rng.random_range(0..queues.len()));
        }
        queues
    }
}

async fn connect(url: &str) -> Checked<Connection> {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    Ok(within("connecting", connecting).await??)
}

/// Sizes of all files beneath, as far as they can be read.
fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
