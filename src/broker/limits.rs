//! Limits of virtual hosts and users: set by operators, stored, obeyed by sessions and by declarations of queues.
//!
//! A negative limit is none, 0 lets nothing in. What is there when a limit comes stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use parking_lot::MutexGuard;
use parking_lot::RwLock;
use serde_json::Value;

use crate::broker::Broker;
use crate::broker::definitions;
use crate::broker::definitions::Kind;
use crate::model::Lsn;
use crate::store::Definition;
use crate::store::Store;
use crate::vhost::policies::term;

/// Whose limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// Those of virtual hosts.
    Vhost,
    /// Those of users.
    User,
}

/// Connections, of virtual hosts and users.
pub(super) const MAX_CONNECTIONS: &str = "max-connections";
/// Queues of a virtual host.
pub(super) const MAX_QUEUES: &str = "max-queues";
/// Channels of a user.
pub(super) const MAX_CHANNELS: &str = "max-channels";

impl LimitKind {
    /// The limits that there are.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Self::Vhost => [MAX_CONNECTIONS, MAX_QUEUES],
            Self::User => [MAX_CONNECTIONS, MAX_CHANNELS],
        }
    }

    fn stored(self) -> Kind {
        match self {
            Self::Vhost => Kind::VhostLimits,
            Self::User => Kind::UserLimits,
        }
    }
}

/// A limit that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// There is none of that name.
    #[error("Unrecognised terms [{{<<\"{name}\">>,{value}}}] in {of}")]
    Unknown {
        /// RabbitMQ's word for all limits of the kind.
        of: &'static str,
        /// Its name.
        name: String,
        /// What it was to be.
        value: String,
    },
    /// It is no number.
    #[error("{name} should be a number, actually was {value}")]
    NoNumber {
        /// Its name.
        name: String,
        /// What it was to be.
        value: String,
    },
}

/// What one virtual host or user may have, by the limit's name.
pub type LimitSet = BTreeMap<String, i64>;

/// The limits of all virtual hosts, or of all users.
pub struct Limits {
    kind: LimitKind,
    all: RwLock<BTreeMap<String, LimitSet>>,
    store: Arc<Store>,
}

impl Limits {
    fn new(kind: LimitKind, store: Arc<Store>) -> Self {
        Self {
            kind,
            all: RwLock::default(),
            store,
        }
    }

    /// All that are set, by whose they are.
    pub fn all(&self) -> BTreeMap<String, LimitSet> {
        self.all.read().clone()
    }

    /// What is set for one.
    pub fn of(&self, name: &str) -> LimitSet {
        self.all.read().get(name).cloned().unwrap_or_default()
    }

    /// How much of something is allowed; `None` is any number.
    pub(super) fn max(&self, name: &str, limit: &str) -> Option<u64> {
        let all = self.all.read();
        let value = all.get(name)?.get(limit)?;
        u64::try_from(*value).ok()
    }

    /// The number in a value.
    pub fn judge(&self, limit: &str, value: &Value) -> Result<i64, InvalidLimit> {
        let shown = || term(value);
        if !self.kind.names().contains(&limit) {
            return Err(InvalidLimit::Unknown {
                of: match self.kind {
                    LimitKind::Vhost => "limits",
                    LimitKind::User => "user-limits",
                },
                name: limit.to_owned(),
                value: shown(),
            });
        }
        value.as_i64().ok_or_else(|| InvalidLimit::NoNumber {
            name: limit.to_owned(),
            value: shown(),
        })
    }

    /// Replaces all limits of one.
    pub fn replace(&self, name: &str, limits: LimitSet) -> Lsn {
        self.change(name, |set| *set = limits)
    }

    /// Sets one limit.
    pub fn set(&self, name: &str, limit: &str, value: i64) -> Lsn {
        self.change(name, |set| {
            set.insert(limit.to_owned(), value);
        })
    }

    /// Clears one limit; one that is not set is clear already.
    pub fn clear(&self, name: &str, limit: &str) -> Lsn {
        self.change(name, |set| {
            set.remove(limit);
        })
    }

    /// Clears all limits of one.
    pub fn clear_all(&self, name: &str) -> Lsn {
        self.change(name, LimitSet::clear)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut LimitSet)) -> Lsn {
        let mut all = self.all.write();
        let before = all.get(name).cloned().unwrap_or_default();
        let mut set = before.clone();
        change(&mut set);
        if set == before {
            return Lsn::NONE;
        }
        let kind = self.kind.stored();
        let record = if set.is_empty() {
            all.remove(name);
            definitions::undefine_named(kind, name)
        } else {
            let value = set
                .iter()
                .map(|(limit, value)| (limit.clone(), (*value).into()));
            let value = Value::Object(value.collect());
            all.insert(name.to_owned(), set);
            definitions::define_named(kind, name, &value)
        };
        // Under the lock, so that the store hears of changes in their order.
        self.store.append(vec![record])
    }

    fn restore(&self, definitions: &[Definition]) {
        let mut all = self.all.write();
        for (name, value) in definitions::read_named(definitions, self.kind.stored()) {
            let limits = value.as_object().into_iter().flatten();
            let limits = limits.filter_map(|(limit, value)| Some((limit.clone(), value.as_i64()?)));
            all.insert(name, limits.collect());
        }
    }
}

pub(super) struct AllLimits {
    vhosts: Limits,
    users: Limits,
    opening: Mutex<()>,
}

impl AllLimits {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self {
            vhosts: Limits::new(LimitKind::Vhost, Arc::clone(store)),
            users: Limits::new(LimitKind::User, Arc::clone(store)),
            opening: Mutex::new(()),
        }
    }

    pub(super) fn of(&self, kind: LimitKind) -> &Limits {
        match kind {
            LimitKind::Vhost => &self.vhosts,
            LimitKind::User => &self.users,
        }
    }

    /// One connection opens at a time.
    pub(super) fn opening(&self) -> MutexGuard<'_, ()> {
        self.opening.lock()
    }

    pub(super) fn restore(&self, definitions: &[Definition]) {
        self.vhosts.restore(definitions);
        self.users.restore(definitions);
    }
}

impl Broker {
    /// Has virtual hosts obey what is set for them. To be called when limits have changed.
    pub fn apply_queue_limits(&self) {
        for vhost in self.vhosts() {
            vhost.limit_queues(self.limits.vhosts.max(vhost.name(), MAX_QUEUES));
        }
    }
}
