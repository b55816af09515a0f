//! Users and permissions: a snapshot that is read without locks, changed by one writer, stored.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::auth::AuthError;
use crate::auth::Credentials;
use crate::auth::Directory;
use crate::auth::PasswordHash;
use crate::auth::PermissionRecord;
use crate::auth::Refusal;
use crate::auth::Right;
use crate::auth::TopicPermissionRecord;
use crate::auth::User;
use crate::auth::UserRecord;
use crate::broker::definitions;
use crate::model::Lsn;
use crate::model::UserName;
use crate::model::VhostName;
use crate::store::Record;
use crate::store::Store;

/// See the module's documentation.
pub struct Access {
    directory: ArcSwap<Directory>,
    loopback_users: Vec<String>,
    changes: Mutex<()>,
    epoch: AtomicU64,
    attempts: [Attempts; 2],
    store: Arc<Store>,
}

/// How somebody logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1.
    Amqp091 = 0,
    /// HTTP.
    Http = 1,
}

#[derive(Default)]
struct Attempts {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Access {
    pub(super) fn new(loopback_users: Vec<String>, store: Arc<Store>) -> Self {
        Self {
            directory: ArcSwap::from_pointee(Directory::new(loopback_users.clone())),
            loopback_users,
            changes: Mutex::new(()),
            epoch: AtomicU64::new(0),
            attempts: Default::default(),
            store,
        }
    }

    pub(super) fn restore(
        &self,
        users: Vec<UserRecord>,
        permissions: Vec<PermissionRecord>,
        topic_permissions: Vec<TopicPermissionRecord>,
    ) -> Result<(), AuthError> {
        let directory = Directory::load(
            self.loopback_users.clone(),
            users,
            permissions,
            topic_permissions,
        )?;
        self.directory.store(Arc::new(directory));
        Ok(())
    }

    /// Grows with each change: who remembers an answer compares it.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The users and permissions as they are now.
    pub fn snapshot(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// The user with these credentials, if they may come from where they come from.
    pub fn log_in(
        &self,
        protocol: Protocol,
        credentials: &Credentials,
        is_loopback: bool,
    ) -> Result<Arc<User>, Refusal> {
        let directory = self.directory.load();
        let user = directory.authenticate(credentials).and_then(|user| {
            directory.may_connect_from(user.name(), is_loopback)?;
            Ok(user)
        });
        let attempts = &self.attempts[protocol as usize];
        let count = if user.is_ok() {
            &attempts.succeeded
        } else {
            &attempts.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        user
    }

    /// How many logins there were, successful ones and others.
    pub fn attempts(&self, protocol: Protocol) -> (u64, u64) {
        let attempts = &self.attempts[protocol as usize];
        (
            attempts.succeeded.load(Ordering::Relaxed),
            attempts.failed.load(Ordering::Relaxed),
        )
    }

    /// Counts logins from 0 again.
    pub fn forget_attempts(&self) {
        for attempts in &self.attempts {
            attempts.succeeded.store(0, Ordering::Relaxed);
            attempts.failed.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the user may open the virtual host.
    pub fn may_enter(&self, user: &str, vhost: &str) -> bool {
        self.directory.load().may_access(user, vhost)
    }

    /// Whether the user has the right on what is called `name`.
    pub fn check(&self, user: &str, vhost: &str, right: Right, name: &str) -> bool {
        self.directory.load().check(user, vhost, right, name)
    }

    /// Whether the user may use the routing key with a topic exchange.
    pub fn check_topic(
        &self,
        user: &str,
        vhost: &str,
        right: Right,
        exchange: &str,
        key: &str,
    ) -> bool {
        let directory = self.directory.load();
        directory.check_topic(user, vhost, right, exchange, key)
    }

    /// Adds a user or replaces its password and tags. Answers what to wait for.
    pub fn put_user(&self, name: &UserName, password: PasswordHash, tags: Vec<String>) -> Lsn {
        self.change(|directory| {
            Ok(vec![definitions::define_user(
                &directory.put_user(name, password, tags),
            )])
        })
        .unwrap_or(Lsn::NONE)
    }

    /// Adds or replaces a user as another node has it, its password already hashed.
    pub fn import_user(&self, user: UserRecord) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            Ok(vec![definitions::define_user(
                &directory.import_user(user)?,
            )])
        })
    }

    /// Replaces a user's password.
    pub fn set_password(&self, name: &str, password: PasswordHash) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            let user = directory.set_password(name, password)?;
            Ok(vec![definitions::define_user(&user)])
        })
    }

    /// Replaces a user's tags.
    pub fn set_tags(&self, name: &str, tags: Vec<String>) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            let user = directory.set_tags(name, tags)?;
            Ok(vec![definitions::define_user(&user)])
        })
    }

    /// Removes a user and its permissions.
    pub fn delete_user(&self, name: &str) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            let (permissions, topics) =
                directory
                    .delete_user(name)
                    .ok_or_else(|| AuthError::NoSuchUser {
                        user: name.to_owned(),
                    })?;
            let mut records = vec![definitions::undefine_user(name)];
            records.extend(permissions.iter().map(|permission| {
                definitions::undefine_permission(&permission.user, &permission.vhost)
            }));
            records.extend(topics.iter().map(definitions::undefine_topic_permission));
            Ok(records)
        })
    }

    /// Removes all permissions in a virtual host that is going away.
    pub(super) fn remove_vhost(&self, vhost: &str) -> Lsn {
        self.change(|directory| {
            let (permissions, topics) = directory.remove_vhost(vhost);
            let undefine = |permission: &PermissionRecord| {
                definitions::undefine_permission(&permission.user, vhost)
            };
            let mut records: Vec<Record> = permissions.iter().map(undefine).collect();
            records.extend(topics.iter().map(definitions::undefine_topic_permission));
            Ok(records)
        })
        .unwrap_or(Lsn::NONE)
    }

    /// Adds or replaces a topic permission.
    pub fn set_topic_permission(
        &self,
        permission: TopicPermissionRecord,
    ) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            let record = definitions::define_topic_permission(&permission);
            directory.set_topic_permission(permission)?;
            Ok(vec![record])
        })
    }

    /// Removes the topic permissions of a user in a virtual host, for one exchange or for all.
    pub fn clear_topic_permissions(&self, user: &str, vhost: &str, exchange: Option<&str>) -> Lsn {
        self.change(|directory| {
            let cleared = directory.clear_topic_permissions(user, vhost, exchange);
            let undefine = cleared.iter().map(definitions::undefine_topic_permission);
            Ok(undefine.collect())
        })
        .unwrap_or(Lsn::NONE)
    }

    /// Adds or replaces a permission.
    pub fn set_permission(&self, permission: &PermissionRecord) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            Ok(vec![definitions::define_permission(
                &directory.set_permission(permission)?,
            )])
        })
    }

    /// Removes a permission; one that is not there is removed already.
    pub fn clear_permission(&self, user: &str, vhost: &str) -> Result<Lsn, AuthError> {
        self.change(|directory| {
            let cleared = directory.clear_permission(user, vhost);
            Ok(cleared
                .map(|_| definitions::undefine_permission(user, vhost))
                .into_iter()
                .collect())
        })
    }

    pub(super) fn make_first_user(
        &self,
        name: &UserName,
        password: &str,
        vhost: &VhostName,
    ) -> Lsn {
        let password = PasswordHash::new(password);
        self.change(|directory| {
            let (user, permission) = directory.add_administrator(name, password, vhost);
            Ok(vec![
                definitions::define_user(&user),
                definitions::define_permission(&permission),
            ])
        })
        .unwrap_or(Lsn::NONE)
    }

    fn change(
        &self,
        act: impl FnOnce(&mut Directory) -> Result<Vec<Record>, AuthError>,
    ) -> Result<Lsn, AuthError> {
        let _changes = self.changes.lock();
        let mut directory = Directory::clone(&self.directory.load());
        let records = act(&mut directory)?;
        let lsn = self.store.append(records);
        self.directory.store(Arc::new(directory));
        self.epoch.fetch_add(1, Ordering::AcqRel);
        Ok(lsn)
    }
}
