//! The memory of a deduplication exchange: which values of a header it has seen lately (the community's plugin
//! `rabbitmq-message-deduplication`).

use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use parking_lot::Mutex;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::Lsn;
use crate::model::arguments;
use crate::protocol::identity::identity;
use crate::queue::deduplication::X_DEDUPLICATION_HEADER;
use crate::store::Definition;
use crate::store::Record;
use crate::store::Store;
use crate::vhost::definitions;
use crate::vhost::exchange_type::seen::Changes;
use crate::vhost::exchange_type::seen::Expiring;
use crate::vhost::exchange_type::seen::Fresh;
use crate::vhost::exchange_type::seen::Seen;
use crate::vhost::exchange_type::sightings::Sightings;
use crate::vhost::letter::Letter;

const SIZE: &str = "x-cache-size";
const TTL: &str = "x-cache-ttl";
const PERSISTENCE: &str = "x-cache-persistence";

/// How much is remembered, and for how many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    size: usize,
    ttl: Option<u64>,
}

/// Where the memory lies in the store.
struct Kept {
    id: u64,
    store: Arc<Store>,
}

/// See the module's documentation.
pub(super) struct Deduplication {
    declared: Bounds,
    on_disk: bool,
    kept: Option<Kept>,
    state: Mutex<State>,
}

struct State {
    /// As declared, or as a policy has them.
    bounds: Bounds,
    seen: Seen,
}

/// A positive number, or a string that is one.
fn positive(value: &AMQPValue) -> Option<u64> {
    let number = match arguments::integer(value) {
        Some(number) => u64::try_from(number).ok(),
        None => arguments::text(value).and_then(|text| text.parse().ok()),
    };
    number.filter(|number| *number > 0)
}

fn entries(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl Deduplication {
    pub(super) fn parse(arguments: &Arguments) -> Result<Self, AmqpError> {
        let refuse = |text: &'static str| Err(AmqpError::precondition_failed(text));
        let Some(size) = arguments.value(SIZE).and_then(positive) else {
            return refuse(
                "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
            );
        };
        let ttl = match arguments.value(TTL) {
            None => None,
            Some(value) => match positive(value) {
                Some(ttl) => Some(ttl),
                None => {
                    return refuse(
                        "Invalid argument, 'x-cache-ttl' must be an integer greater than 0",
                    );
                }
            },
        };
        let on_disk = match arguments.value(PERSISTENCE).map(arguments::text) {
            None | Some(Some("memory")) => false,
            Some(Some("disk")) => true,
            Some(_) => {
                return refuse(
                    "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'",
                );
            }
        };
        let declared = Bounds {
            size: entries(size),
            ttl,
        };
        Ok(Self {
            declared,
            on_disk,
            kept: None,
            state: Mutex::new(State {
                bounds: declared,
                seen: Seen::default(),
            }),
        })
    }

    /// Whether it was asked to survive a restart.
    pub(super) fn on_disk(&self) -> bool {
        self.on_disk
    }

    /// Keeps what it sees from now on in the store, under this id.
    pub(super) fn keep(&mut self, id: u64, store: Arc<Store>) {
        self.kept = Some(Kept { id, store });
    }

    /// Its id in the store.
    pub(super) fn kept_as(&self) -> Option<u64> {
        self.kept.as_ref().map(|kept| kept.id)
    }

    /// Takes over a page of it that the store has.
    pub(super) fn restore(&self, number: u64, values: Vec<Expiring>, now: u64) {
        let mut state = self.state.lock();
        let size = state.bounds.size;
        state.seen.restore(number, values, now, size);
    }

    /// What a policy sets takes the place of what was declared.
    pub(super) fn govern(&self, size: Option<u64>, ttl: Option<u64>) {
        self.state.lock().bounds = Bounds {
            size: size.map_or(self.declared.size, entries),
            ttl: ttl.or(self.declared.ttl),
        };
    }

    /// Whether a message like this one was here before. If not, it is remembered.
    pub(super) fn is_duplicate(
        self: &Arc<Self>,
        letter: &Letter<'_>,
        sightings: &mut Sightings,
    ) -> bool {
        let Some(value) = letter.header_value(X_DEDUPLICATION_HEADER) else {
            return false;
        };
        let ttl = letter.header_value(TTL).and_then(|value| {
            let text = || arguments::text(value).and_then(|text| text.parse().ok());
            arguments::integer(value).or_else(text)
        });
        let value: Arc<[u8]> = identity(value).into();
        let new = {
            let mut state = self.state.lock();
            let Bounds { size, ttl: usual } = state.bounds;
            // A negative one is over before it began.
            let ttl = ttl.map_or(usual, |ttl| Some(u64::try_from(ttl).unwrap_or(0)));
            let new = Expiring {
                value: Arc::clone(&value),
                expires_at: ttl.map(|ttl| letter.now.saturating_add(ttl)),
            };
            state.seen.insert(new, letter.now, size)
        };
        let is_duplicate = new.is_none();
        if self.kept.is_some() {
            match new {
                Some(fresh) => sightings.add_fresh(self, fresh),
                None => sightings.add_known(self, value),
            }
        }
        is_duplicate
    }

    /// Adds what the store is to know of new values; answers the page that they are on.
    pub(super) fn store(&self, fresh: &[Fresh], records: &mut Vec<Record>) -> Option<u64> {
        let kept = self.kept.as_ref()?;
        let Changes { page, obsolete } = self.state.lock().seen.store(fresh);
        let obsolete = obsolete.into_iter();
        records.extend(obsolete.map(|page| definitions::undefine_seen(kept.id, page)));
        let (number, values) = page?;
        records.push(definitions::define_seen(kept.id, number, &values));
        Some(number)
    }

    /// The same without messages: answers when it is durable.
    pub(super) fn store_alone(&self, fresh: &[Fresh]) -> Lsn {
        let mut records = Vec::new();
        let page = self.store(fresh, &mut records);
        let Some(kept) = self.kept.as_ref().filter(|_| !records.is_empty()) else {
            return Lsn::NONE;
        };
        let commit = kept.store.append(records);
        if let Some(page) = page {
            self.stored(page, commit);
        }
        commit
    }

    pub(super) fn stored(&self, page: u64, commit: Lsn) {
        self.state.lock().seen.stored(page, commit);
    }

    pub(super) fn give_up(&self, page: u64) {
        self.state.lock().seen.give_up(page);
    }

    pub(super) fn keep_in_memory(&self, fresh: &[Fresh]) {
        self.state.lock().seen.keep_in_memory(fresh);
    }

    pub(super) fn commit_of(&self, value: &[u8]) -> Option<Lsn> {
        self.state.lock().seen.commit_of(value)
    }

    /// The exchange is deleted: what the store has of it goes.
    pub(super) fn end(&self, records: &mut Vec<Record>) {
        let pages = self.state.lock().seen.end();
        if let Some(kept) = &self.kept {
            let pages = pages.into_iter();
            records.extend(pages.map(|page| definitions::undefine_seen(kept.id, page)));
        }
    }
}

/// Pages that the store has, by the ids of their memories.
#[derive(Default)]
pub(in crate::vhost) struct StoredPages<'d> {
    pages: HashMap<u64, Vec<(u64, &'d Definition)>>,
}

impl<'d> StoredPages<'d> {
    pub(in crate::vhost) fn of(definitions: impl Iterator<Item = &'d Definition>) -> Self {
        let mut stored = Self::default();
        for definition in definitions {
            if let Some((id, page)) = definitions::seen_key(definition) {
                let pages = stored.pages.entry(id).or_default();
                pages.push((page, definition));
            }
        }
        stored
    }

    /// Takes out those of one memory and gives them back to it.
    pub(super) fn give_back(&mut self, id: u64, to: &Deduplication, now: u64) {
        let mut pages = self.pages.remove(&id).unwrap_or_default();
        pages.sort_unstable_by_key(|(page, _)| *page);
        for (page, definition) in pages {
            match definitions::read_seen(definition) {
                Some(values) => to.restore(page, values, now),
                None => tracing::error!(
                    id,
                    page,
                    "remembered values could not be recovered: duplicates of them will pass; run `leveret store check` on a stopped node"
                ),
            }
        }
    }

    /// What is left: a crash came between the deletion of an exchange and a publish to it.
    pub(in crate::vhost) fn leftovers(self) -> impl Iterator<Item = Record> {
        let pages = self.pages.into_iter();
        pages.flat_map(|(id, pages)| {
            let undefine = move |(page, _)| definitions::undefine_seen(id, page);
            pages.into_iter().map(undefine)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(entries: &[(&str, AMQPValue)], text: &str) {
        let mut arguments = Arguments::default();
        for (name, value) in entries {
            arguments.set(name, value.clone());
        }
        let refusal = Deduplication::parse(&arguments).err().expect("refused");
        assert_eq!(refusal.text(), text);
    }

    #[test]
    fn arguments_are_judged() {
        let string = |text: &str| AMQPValue::LongString(text.into());
        let size = "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0";
        check_refused(&[], size);
        for wrong in [
            AMQPValue::LongInt(0),
            AMQPValue::LongInt(-1),
            AMQPValue::Boolean(true),
            string("many"),
        ] {
            check_refused(&[(SIZE, wrong)], size);
        }
        let sized = (SIZE, string("10"));
        check_refused(
            &[sized.clone(), (TTL, AMQPValue::LongInt(0))],
            "Invalid argument, 'x-cache-ttl' must be an integer greater than 0",
        );
        check_refused(
            &[sized, (PERSISTENCE, string("tape"))],
            "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'",
        );
    }
}
