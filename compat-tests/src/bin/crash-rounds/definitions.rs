//! Queues and bindings that come and go while the broker is killed: what was answered before the
//! crash must hold after it.

use crate::topology::ready;
use lapin::BasicProperties;
use lapin::Channel;
use lapin::Confirmation;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::ErrorKind;
use lapin::options::BasicGetOptions;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueBindOptions;
use lapin::options::QueueDeclareOptions;
use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::until_over;
use leveret_compat_tests::assertions::within;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use tokio::sync::watch;

const EXCHANGE: &str = "crash.topic";

/// Standing definitions: beyond so many, old ones are deleted.
const STANDING_MAX: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// A request was sent and not answered: either outcome is right.
    Unsure,
    /// The queue is there; its binding was not answered.
    Declared,
    /// The queue and its binding are there.
    Bound,
    Deleted,
}

/// What is known of each queue, by its number.
pub(crate) struct Definitions {
    known: BTreeMap<u64, Known>,
    next: u64,
    rng: StdRng,
}

fn name(number: u64) -> String {
    format!("crash.definition.{number}")
}

fn key(number: u64) -> String {
    format!("definition.{number}")
}

impl Definitions {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            known: BTreeMap::new(),
            next: 0,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Declares, binds and deletes until the broker is gone.
    pub(crate) async fn churn(mut self, url: String, is_over: watch::Receiver<bool>) -> Self {
        // An error is the crash we wait for, or shows as a broker that ended by itself.
        let _ = until_over(is_over, self.try_churn(&url)).await;
        self
    }

    async fn try_churn(&mut self, url: &str) -> Checked {
        let connecting = Connection::connect(url, ConnectionProperties::default());
        let connection = within("connecting", connecting).await??;
        let channel = within("channel.open", connection.create_channel()).await??;
        // Forty a round show enough; the rest of the round belongs to messages.
        for _ in 0..40 {
            let standing: Vec<u64> = self
                .known
                .iter()
                .filter(|(_, known)| **known != Known::Deleted)
                .map(|(number, _)| *number)
                .collect();
            if standing.len() >= STANDING_MAX {
                let number = standing[self.rng.random_range(0..standing.len())];
                self.known.insert(number, Known::Unsure);
                let options = QueueDeleteOptions::default();
                let deleted = channel.queue_delete(name(number).into(), options);
                within("queue.delete", deleted).await??;
                self.known.insert(number, Known::Deleted);
            }
            let number = self.next;
            self.next += 1;
            self.known.insert(number, Known::Unsure);
            let options = QueueDeclareOptions::durable();
            let declared =
                channel.queue_declare(name(number).into(), options, FieldTable::default());
            within("queue.declare", declared).await??;
            self.known.insert(number, Known::Declared);
            let bound = channel.queue_bind(
                name(number).into(),
                EXCHANGE.into(),
                key(number).into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            within("queue.bind", bound).await??;
            self.known.insert(number, Known::Bound);
        }
        Ok(())
    }

    /// Compares with what is there after a restart; returns what is wrong.
    pub(crate) async fn verify(&mut self, connection: &Connection) -> Checked<Vec<String>> {
        let mut problems = Vec::new();
        for (number, known) in self.known.clone() {
            let channel = within("channel.open", connection.create_channel()).await??;
            let there = exists(&channel, &name(number)).await?;
            match known {
                Known::Declared | Known::Bound if !there => {
                    problems.push(format!("{} is gone, {known:?} before", name(number)));
                }
                Known::Deleted if there => {
                    problems.push(format!("{} is there, deleted before", name(number)));
                }
                Known::Bound if !routes(&channel, number).await? => {
                    problems.push(format!("{} lost its binding", name(number)));
                }
                Known::Unsure | Known::Declared | Known::Bound | Known::Deleted => {}
            }
            if there {
                // An unanswered bind may have happened: it is only sure to be there.
                let now = if known == Known::Bound {
                    known
                } else {
                    Known::Declared
                };
                self.known.insert(number, now);
            } else {
                self.known.remove(&number);
            }
            // A missing queue closed the channel already.
            if channel.status().connected() {
                within("channel.close", channel.close(200, "looked".into())).await??;
            }
        }
        Ok(problems)
    }
}

async fn exists(channel: &Channel, name: &str) -> Checked<bool> {
    match ready(channel, name).await {
        Ok(_) => Ok(true),
        Err(error) => match error.downcast_ref::<lapin::Error>().map(lapin::Error::kind) {
            Some(ErrorKind::ProtocolError(refusal)) if refusal.get_id() == 404 => Ok(false),
            _ => Err(error),
        },
    }
}

/// Publishes through the binding and takes the message out again.
async fn routes(channel: &Channel, number: u64) -> Checked<bool> {
    within(
        "confirm.select",
        channel.confirm_select(ConfirmSelectOptions::default()),
    )
    .await??;
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let key = key(number).into();
    let confirm = channel
        .basic_publish(
            EXCHANGE.into(),
            key,
            options,
            b"probe",
            BasicProperties::default(),
        )
        .await?;
    if within("a confirm", confirm).await?? != Confirmation::Ack(None) {
        return Ok(false);
    }
    let got = channel.basic_get(name(number).into(), BasicGetOptions { no_ack: true });
    Ok(within("basic.get", got)
        .await??
        .is_some_and(|message| message.data == b"probe"))
}
