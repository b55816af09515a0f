//! All users of the node with their permissions.
//!
//! A published directory is not changed: whoever wants a change clones it (cheap: users are shared), changes the
//! clone, stores the records that the change returns, and publishes the clone. Which operation needs which right
//! is asked above. Whoever has no topic permission for an exchange may use every key with it.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::auth::AuthError;
use crate::auth::Credentials;
use crate::auth::PasswordHash;
use crate::auth::PermissionRecord;
use crate::auth::Refusal;
use crate::auth::Right;
use crate::auth::TopicPermissionRecord;
use crate::auth::User;
use crate::auth::UserRecord;
use crate::auth::permission::Permission;
use crate::auth::permission::TopicPermission;
use crate::model::UserName;
use crate::model::VhostName;

/// The tag that the first user has.
const ADMINISTRATOR: &str = "administrator";

type Permissions = HashMap<VhostName, Arc<Permission>, RandomState>;
/// By virtual host and exchange; a user has few.
type TopicPermissions = Vec<Arc<TopicPermission>>;

#[derive(Debug, Clone)]
struct Entry {
    user: Arc<User>,
    permissions: Arc<Permissions>,
    topic_permissions: Arc<TopicPermissions>,
}

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    entries: HashMap<UserName, Entry, RandomState>,
    /// From the settings, not stored: these may only come from the machine itself.
    loopback_users: Arc<HashSet<String>>,
}

impl Directory {
    /// An empty directory. `loopback_users` may only log in over the loopback interface.
    pub fn new(loopback_users: impl IntoIterator<Item = String>) -> Self {
        Self {
            entries: HashMap::default(),
            loopback_users: Arc::new(loopback_users.into_iter().collect()),
        }
    }

    /// A directory of stored records. Stored patterns are not judged: one that does not compile denies.
    ///
    /// # Errors
    /// A user that cannot be read, or a permission whose user is missing: a node must not start with less than was
    /// stored.
    pub fn load(
        loopback_users: impl IntoIterator<Item = String>,
        users: impl IntoIterator<Item = UserRecord>,
        permissions: impl IntoIterator<Item = PermissionRecord>,
        topic_permissions: impl IntoIterator<Item = TopicPermissionRecord>,
    ) -> Result<Self, AuthError> {
        let mut directory = Self::new(loopback_users);
        for record in users {
            directory.import_user(record)?;
        }
        for record in permissions {
            let permission = Permission::stored(&record);
            directory.insert_permission(&record.user, &record.vhost, permission)?;
        }
        for record in topic_permissions {
            directory.insert_topic_permission(TopicPermission::stored(record))?;
        }
        Ok(directory)
    }

    /// The first start's user: tag `administrator`, every right in `vhost`.
    pub fn add_administrator(
        &mut self,
        name: &UserName,
        password: PasswordHash,
        vhost: &VhostName,
    ) -> (UserRecord, PermissionRecord) {
        let user = self.put_user(name, password, vec![ADMINISTRATOR.to_owned()]);
        let everything = PermissionRecord {
            user: name.to_string(),
            vhost: vhost.to_string(),
            configure: ".*".to_owned(),
            write: ".*".to_owned(),
            read: ".*".to_owned(),
        };
        let permission = self
            .set_permission(&everything)
            .expect("the user was just added and the patterns compile");
        (user, permission)
    }

    // ---- questions ----

    /// The user with these credentials.
    ///
    /// An unknown user takes as long as a wrong password. Where the client comes from is
    /// [`Directory::may_connect_from`]'s question, to be asked after this one.
    ///
    /// # Errors
    /// Why not, for the log alone.
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Arc<User>, Refusal> {
        let user = || credentials.user.clone();
        if credentials.password.is_empty() {
            return Err(Refusal::BlankPassword { user: user() });
        }
        let Some(entry) = self.entries.get(credentials.user.as_str()) else {
            PasswordHash::verify_in_vain(&credentials.password);
            return Err(Refusal::UnknownUser { user: user() });
        };
        if !entry.user.password.verify(&credentials.password) {
            return Err(Refusal::WrongPassword { user: user() });
        }
        Ok(Arc::clone(&entry.user))
    }

    /// Whether `user` may come from where it comes from.
    ///
    /// # Errors
    /// Why not, for the log alone.
    pub fn may_connect_from(&self, user: &str, is_loopback: bool) -> Result<(), Refusal> {
        if is_loopback || !self.loopback_users.contains(user) {
            return Ok(());
        }
        Err(Refusal::NotFromLoopback {
            user: user.to_owned(),
        })
    }

    /// Whether `user` may open `vhost`, which is whether it has a permission there, of whatever kind.
    pub fn may_access(&self, user: &str, vhost: &str) -> bool {
        self.permission_in(user, vhost).is_some()
    }

    /// Whether `user` has the right on the resource `name`. The default exchange's name here is `amq.default`.
    pub fn check(&self, user: &str, vhost: &str, right: Right, name: &str) -> bool {
        self.permission_in(user, vhost)
            .is_some_and(|permission| permission.allows(right, name))
    }

    /// Whether `user` may use the routing key with a topic exchange: one without a permission for it may use all.
    pub fn check_topic(
        &self,
        user: &str,
        vhost: &str,
        right: Right,
        exchange: &str,
        key: &str,
    ) -> bool {
        let Some(entry) = self.entries.get(user) else {
            return false;
        };
        let found = entry.topic_permissions.iter().find(|permission| {
            let record = permission.record();
            record.vhost == vhost && record.exchange == exchange
        });
        found.is_none_or(|permission| permission.allows(right, key))
    }

    /// All topic permissions, in no order.
    pub fn topic_permissions(&self) -> impl Iterator<Item = &TopicPermissionRecord> {
        let all = self.entries.values().map(|entry| &entry.topic_permissions);
        all.flat_map(|permissions| permissions.iter().map(|permission| permission.record()))
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.entries.get(name).map(|entry| &entry.user)
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.entries.values().map(|entry| &entry.user)
    }

    /// Whether there are no users, as before the first start.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All permissions, in no order.
    pub fn permissions(&self) -> impl Iterator<Item = PermissionRecord> {
        self.entries
            .values()
            .flat_map(|entry| permission_records(&entry.user.name, &entry.permissions))
    }

    /// All permissions of `user`, in no order.
    pub fn permissions_of(&self, user: &str) -> Vec<PermissionRecord> {
        self.entries.get(user).map_or_else(Vec::new, |entry| {
            permission_records(user, &entry.permissions).collect()
        })
    }

    /// The permission of `user` in `vhost`.
    pub fn permission(&self, user: &str, vhost: &str) -> Option<PermissionRecord> {
        let permission = self.permission_in(user, vhost)?;
        Some(permission.record(user, vhost))
    }

    // ---- changes: what they return is to be stored, or removed from the store ----

    /// Adds a user or replaces its password and tags; its permissions stay.
    pub fn put_user(
        &mut self,
        name: &UserName,
        password: PasswordHash,
        tags: Vec<String>,
    ) -> UserRecord {
        self.insert_user(User {
            name: name.clone(),
            password,
            tags,
        })
    }

    /// Adds or replaces a user as stored or exported, its password already hashed.
    ///
    /// # Errors
    /// When the name or the hash cannot be taken.
    pub fn import_user(&mut self, record: UserRecord) -> Result<UserRecord, AuthError> {
        Ok(self.insert_user(User::from_record(record)?))
    }

    /// Replaces a user's password.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_password(
        &mut self,
        name: &str,
        password: PasswordHash,
    ) -> Result<UserRecord, AuthError> {
        let user = User::clone(&self.entry_mut(name)?.user);
        Ok(self.insert_user(User { password, ..user }))
    }

    /// Replaces a user's tags.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_tags(&mut self, name: &str, tags: Vec<String>) -> Result<UserRecord, AuthError> {
        let user = User::clone(&self.entry_mut(name)?.user);
        Ok(self.insert_user(User { tags, ..user }))
    }

    /// Removes a user and its permissions, which are returned; `None` when there was no such user.
    pub fn delete_user(
        &mut self,
        name: &str,
    ) -> Option<(Vec<PermissionRecord>, Vec<TopicPermissionRecord>)> {
        let entry = self.entries.remove(name)?;
        let topics = entry.topic_permissions.iter();
        Some((
            permission_records(name, &entry.permissions).collect(),
            topics
                .map(|permission| permission.record().clone())
                .collect(),
        ))
    }

    /// Adds or replaces a topic permission.
    ///
    /// # Errors
    /// When there is no such user, or a pattern is no regular expression.
    pub fn set_topic_permission(&mut self, record: TopicPermissionRecord) -> Result<(), AuthError> {
        self.insert_topic_permission(TopicPermission::checked(record)?)
    }

    /// Removes those topic permissions of `user` in `vhost` that are for `exchange`, or all without one.
    pub fn clear_topic_permissions(
        &mut self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Vec<TopicPermissionRecord> {
        let Some(entry) = self.entries.get_mut(user) else {
            return Vec::new();
        };
        let goes = |permission: &Arc<TopicPermission>| {
            let record = permission.record();
            record.vhost == vhost && exchange.is_none_or(|exchange| record.exchange == exchange)
        };
        let (gone, left): (Vec<_>, Vec<_>) =
            entry.topic_permissions.iter().cloned().partition(goes);
        entry.topic_permissions = Arc::new(left);
        gone.iter()
            .map(|permission| permission.record().clone())
            .collect()
    }

    /// Adds or replaces a permission.
    ///
    /// # Errors
    /// When there is no such user, or a pattern is no regular expression.
    pub fn set_permission(
        &mut self,
        record: &PermissionRecord,
    ) -> Result<PermissionRecord, AuthError> {
        let permission = Permission::checked(record)?;
        self.insert_permission(&record.user, &record.vhost, permission)?;
        Ok(record.clone())
    }

    /// Removes a permission; `None` when there was none.
    pub fn clear_permission(&mut self, user: &str, vhost: &str) -> Option<PermissionRecord> {
        self.permission_in(user, vhost)?;
        let entry = self.entries.get_mut(user)?;
        let permission = Arc::make_mut(&mut entry.permissions).remove(vhost)?;
        Some(permission.record(user, vhost))
    }

    /// Removes all permissions in a virtual host that is going away.
    pub fn remove_vhost(
        &mut self,
        vhost: &str,
    ) -> (Vec<PermissionRecord>, Vec<TopicPermissionRecord>) {
        let users: Vec<UserName> = self.entries.keys().cloned().collect();
        let permissions = users
            .iter()
            .filter_map(|user| self.clear_permission(user, vhost));
        let permissions = permissions.collect();
        let topics = users
            .iter()
            .flat_map(|user| self.clear_topic_permissions(user, vhost, None));
        (permissions, topics.collect())
    }

    fn permission_in(&self, user: &str, vhost: &str) -> Option<&Permission> {
        let permission = self.entries.get(user)?.permissions.get(vhost)?;
        Some(permission)
    }

    fn entry_mut(&mut self, user: &str) -> Result<&mut Entry, AuthError> {
        self.entries
            .get_mut(user)
            .ok_or_else(|| AuthError::NoSuchUser {
                user: user.to_owned(),
            })
    }

    fn insert_user(&mut self, user: User) -> UserRecord {
        let record = user.record();
        let user = Arc::new(user);
        match self.entries.get_mut(user.name.as_str()) {
            Some(entry) => entry.user = user,
            None => {
                let entry = Entry {
                    user: Arc::clone(&user),
                    permissions: Arc::default(),
                    topic_permissions: Arc::default(),
                };
                self.entries.insert(user.name.clone(), entry);
            }
        }
        record
    }

    fn insert_topic_permission(&mut self, permission: TopicPermission) -> Result<(), AuthError> {
        let record = permission.record();
        let (vhost, exchange) = (record.vhost.clone(), record.exchange.clone());
        let entry = self.entry_mut(&record.user.clone())?;
        let others = entry.topic_permissions.iter().filter(|other| {
            let other = other.record();
            other.vhost != vhost || other.exchange != exchange
        });
        let mut all: TopicPermissions = others.cloned().collect();
        all.push(Arc::new(permission));
        entry.topic_permissions = Arc::new(all);
        Ok(())
    }

    fn insert_permission(
        &mut self,
        user: &str,
        vhost: &str,
        permission: Permission,
    ) -> Result<(), AuthError> {
        let vhost =
            VhostName::new(vhost).map_err(|error| AuthError::NameTooLong { bytes: error.bytes })?;
        let entry = self.entry_mut(user)?;
        Arc::make_mut(&mut entry.permissions).insert(vhost, Arc::new(permission));
        Ok(())
    }
}

fn permission_records(
    user: &str,
    permissions: &Permissions,
) -> impl Iterator<Item = PermissionRecord> {
    permissions
        .iter()
        .map(move |(vhost, permission)| permission.record(user, vhost))
}

#[cfg(test)]
mod tests;
