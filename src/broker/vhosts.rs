//! Virtual hosts and users come and go.

use std::sync::Arc;

use dashmap::Entry;

use crate::auth::AuthError;
use crate::broker::Broker;
use crate::broker::LimitKind;
use crate::broker::definitions;
use crate::model::Lsn;
use crate::model::ReplyCode;
use crate::model::VhostName;
use crate::vhost::Vhost;
use crate::vhost::VhostMetadata;

/// Why a virtual host is still, or was not, there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDeleted {
    /// There is none of that name.
    Unknown,
    /// An operator has protected it.
    Protected,
}

impl Broker {
    /// Removes a user with their permissions and limits, and closes their connections.
    pub fn delete_user(&self, name: &str) -> Result<Lsn, AuthError> {
        let deleted = self.access.delete_user(name)?;
        let cleared = self.limits.of(LimitKind::User).clear_all(name);
        self.connections.close(
            |connection| *connection.user == *name,
            ReplyCode::ConnectionForced,
            format!("user '{name}' is deleted"),
        );
        Ok(deleted.max(cleared))
    }

    /// Makes a virtual host; one that exists stays as it is. Answers what to wait for.
    pub fn create_vhost(&self, name: &VhostName, metadata: VhostMetadata) -> Lsn {
        let Entry::Vacant(vacant) = self.vhosts.entry(name.clone()) else {
            return Lsn::NONE;
        };
        // Before anyone can find it: on disk nothing may come before its virtual host.
        let store = &self.shared.store;
        let lsn = store.append(vec![definitions::define_vhost(name, &metadata)]);
        let vhost = Vhost::new(name.clone(), metadata, Arc::clone(&self.shared));
        self.furnish(&vhost);
        vacant.insert(vhost);
        lsn
    }

    /// Replaces what is noted about a virtual host.
    pub fn update_vhost(&self, vhost: &Vhost, metadata: VhostMetadata) -> Lsn {
        let record = definitions::define_vhost(vhost.name(), &metadata);
        // The entry's lock keeps a deletion from being overtaken.
        let Some(_entry) = self.vhosts.get(vhost.name()) else {
            return Lsn::NONE;
        };
        vhost.set_metadata(metadata);
        self.shared.store.append(vec![record])
    }

    /// Deletes a virtual host with everything in it, and closes the connections to it.
    pub fn delete_vhost(&self, name: &str) -> Result<Lsn, NotDeleted> {
        let unprotected = |vhost: &Arc<Vhost>| !vhost.metadata().protected_from_deletion;
        let removed = self.vhosts.remove_if(name, |_, vhost| unprotected(vhost));
        let Some((_, vhost)) = removed else {
            return Err(match self.vhosts.contains_key(name) {
                true => NotDeleted::Protected,
                false => NotDeleted::Unknown,
            });
        };
        // Before its contents, so that nobody comes in meanwhile.
        let cleared = self.access.remove_vhost(name);
        let cleared = cleared.max(self.limits.of(LimitKind::Vhost).clear_all(name));
        self.connections.close(
            |connection| *connection.vhost == *name,
            ReplyCode::ConnectionForced,
            vhost.deletion_text(),
        );
        self.connections.forget(name);
        let emptied = vhost.delete_all();
        // Last: a start that finds the contents without it would not know where they belong.
        let store = &self.shared.store;
        let gone = store.append(vec![definitions::undefine_vhost(name)]);
        Ok(cleared.max(emptied).max(gone))
    }
}
