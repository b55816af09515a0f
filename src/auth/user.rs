//! One user: name, password hash, tags.
//!
//! What the user may do is in the [`Directory`](super::Directory).

use crate::auth::AuthError;
use crate::auth::PasswordHash;
use crate::auth::UserRecord;
use crate::model::UserName;

/// A user without permissions, which belong to the directory.
#[derive(Debug, Clone)]
pub struct User {
    pub(super) name: UserName,
    pub(super) password: PasswordHash,
    pub(super) tags: Vec<String>,
}

impl User {
    /// The name.
    pub fn name(&self) -> &UserName {
        &self.name
    }

    /// Tags in the order they were given.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether the user has this very tag; which tags imply others is not told here.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Whether the user may publish in the name of others (`user-id` property).
    pub fn may_impersonate(&self) -> bool {
        self.has_tag("impersonator")
    }

    /// The user as it is stored, password hash included.
    pub fn record(&self) -> UserRecord {
        UserRecord {
            name: self.name.to_string(),
            password_hash: self.password.encode(),
            hashing_algorithm: self.password.algorithm().name().to_owned(),
            tags: self.tags.clone(),
        }
    }

    pub(super) fn from_record(record: UserRecord) -> Result<Self, AuthError> {
        let password = PasswordHash::decode(
            &record.name,
            &record.hashing_algorithm,
            &record.password_hash,
        )?;
        Ok(Self {
            name: UserName::new(&record.name)
                .map_err(|error| AuthError::NameTooLong { bytes: error.bytes })?,
            password,
            tags: record.tags,
        })
    }
}
