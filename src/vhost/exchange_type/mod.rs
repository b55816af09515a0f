//! What some exchange types have beside their bindings: arguments of their own, and a memory.
//!
//! Which binding takes which message is for `routing`; here is what happens to a message on its way there. Arguments are
//! judged once, at the declaration, with RabbitMQ's texts.

pub(super) mod deduplication;
pub(super) mod delay;
mod hash_on;
mod history;
pub(super) mod seen;
mod sightings;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::Run;
use crate::queue::delay::asked_delay;
use crate::routing::Kind;
use crate::routing::mix;
use crate::routing::stable_hash;
use crate::store::Record;
use crate::store::Store;
use crate::vhost::Destination;
use crate::vhost::QueueHandle;
use crate::vhost::letter::Letter;
use deduplication::Deduplication;
use deduplication::StoredPages;
use hash_on::HashOn;
use history::History;
pub use sightings::Sightings;

/// What SplitMix64 adds for each number.
const RANDOM_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module's documentation.
pub(super) struct ExchangeType {
    /// The type whose rule its bindings follow.
    pub(super) rule: Kind,
    hash_on: HashOn,
    history: Option<History>,
    deduplication: Option<Arc<Deduplication>>,
    /// Where the messages of a delayed exchange wait.
    pub(super) delayed: Option<Arc<QueueHandle>>,
    /// State of a random number generator (SplitMix64).
    random: AtomicU64,
}

impl ExchangeType {
    /// Judges the arguments of an exchange of type `kind`; `resource` is such as `exchange 'x' in vhost '/'`.
    pub(super) fn parse(
        kind: Kind,
        arguments: &Arguments,
        resource: &str,
    ) -> Result<Self, AmqpError> {
        let rule = if kind == Kind::Delayed {
            delay::rule(arguments)?
        } else {
            kind
        };
        let mut parsed = Self::plain(rule);
        if rule == Kind::ConsistentHash {
            parsed.hash_on = HashOn::parse(arguments, resource)?;
        } else if rule == Kind::RecentHistory {
            parsed.history = Some(History::parse(arguments)?);
        } else if rule == Kind::Deduplication {
            parsed.deduplication = Some(Arc::new(Deduplication::parse(arguments)?));
        }
        Ok(parsed)
    }

    /// One without arguments.
    pub(super) fn plain(kind: Kind) -> Self {
        Self {
            rule: kind,
            hash_on: HashOn::Key,
            history: None,
            deduplication: None,
            delayed: None,
            random: AtomicU64::new(0),
        }
    }

    /// Keeps what it sees in the store, under this id, if that was asked for.
    pub(super) fn keep_seen(&mut self, id: impl FnOnce() -> u64, store: &Arc<Store>) {
        let memory = self.deduplication.as_mut().and_then(Arc::get_mut);
        if let Some(memory) = memory.filter(|memory| memory.on_disk()) {
            memory.keep(id(), Arc::clone(store));
        }
    }

    /// The id under which the store has what it saw.
    pub(super) fn seen_kept_as(&self) -> Option<u64> {
        self.deduplication.as_ref()?.kept_as()
    }

    /// Takes over what it saw before a restart.
    pub(super) fn restore_seen(&self, pages: &mut StoredPages<'_>, now: u64) {
        if let Some(memory) = &self.deduplication
            && let Some(id) = memory.kept_as()
        {
            pages.give_back(id, memory, now);
        }
    }

    /// How much is remembered, and for how long, where a policy says so.
    pub(super) fn govern_seen(&self, size: Option<u64>, ttl: Option<u64>) {
        if let Some(memory) = &self.deduplication {
            memory.govern(size, ttl);
        }
    }

    /// Its exchange is deleted.
    pub(super) fn end_seen(&self, records: &mut Vec<Record>) {
        if let Some(memory) = &self.deduplication {
            memory.end(records);
        }
    }

    /// Whether each message must be looked at: its keys alone do not decide.
    pub(super) fn routes_each_message(&self) -> bool {
        !self.rule.routes_by_keys() || self.hash_on != HashOn::Key || self.delayed.is_some()
    }

    /// Where the message waits when it asks for a delay here.
    pub(super) fn delays(&self, letter: Option<&Letter<'_>>) -> Option<&Arc<QueueHandle>> {
        let line = self.delayed.as_ref()?;
        let letter = letter.filter(|letter| letter.traits.has_headers())?;
        asked_delay(letter.header)
            .is_some_and(|delay| delay > 0)
            .then_some(line)
    }

    /// The messages that a new binding gets.
    pub(super) fn remembered(&self) -> Vec<Run> {
        self.history
            .as_ref()
            .map_or_else(Vec::new, History::messages)
    }

    /// What [`Router::pick`](crate::routing::Router::pick) asks for. Only the keys are looked at where they decide.
    pub(super) fn draw(&self, keys: &[&str], letter: Option<&Letter<'_>>) -> u64 {
        let first = || stable_hash(keys.first().copied().unwrap_or_default().as_bytes());
        match self.rule {
            Kind::ConsistentHash => letter.map_or_else(first, |letter| self.hash_on.hash(letter)),
            Kind::ModulusHash => {
                let hashes = keys.iter().map(|key| stable_hash(key.as_bytes()));
                hashes.fold(0, |all: u64, hash| mix(all.rotate_left(1) ^ hash))
            }
            Kind::Random | Kind::LocalRandom => {
                let before = self.random.fetch_add(RANDOM_STEP, Ordering::Relaxed);
                mix(before.wrapping_add(RANDOM_STEP))
            }
            Kind::Direct
            | Kind::Fanout
            | Kind::Topic
            | Kind::Headers
            | Kind::RecentHistory
            | Kind::Deduplication
            | Kind::Delayed => 0,
        }
    }

    /// Pushes where the bindings in `router` send a message.
    pub(super) fn route(
        &self,
        router: &crate::routing::Router<Destination>,
        keys: &[&str],
        letter: Option<(&Letter<'_>, &mut Sightings)>,
        out: &mut Vec<Destination>,
    ) {
        let (letter, sightings) = letter.unzip();
        if let Some(letter) = letter {
            if let Some(history) = &self.history {
                history.remember(letter);
            }
            if let (Some(seen), Some(sightings)) = (&self.deduplication, sightings)
                && seen.is_duplicate(letter, sightings)
            {
                return;
            }
        }
        if self.rule.picks_one() {
            out.extend(router.pick(self.draw(keys, letter)).cloned());
            return;
        }
        let keys = if self.rule.matches_each_key() {
            keys
        } else {
            &keys[..keys.len().min(1)]
        };
        let headers = letter.and_then(Letter::headers);
        for key in keys {
            router.route(key, headers, out);
        }
    }
}
