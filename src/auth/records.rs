//! Users and permissions as they are stored: plain text fields with the names of RabbitMQ's definitions.
//!
//! They are what the [`Directory`](super::Directory) hands out for storing and is loaded from; it checks them.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// A stored user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The name, at most 255 octets.
    pub name: String,
    /// Base64 of salt and digest; empty: no password.
    pub password_hash: String,
    /// RabbitMQ's name of the hash function.
    pub hashing_algorithm: String,
    /// Tags such as `administrator`.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord")
            .field("name", &self.name)
            .field("hashing_algorithm", &self.hashing_algorithm)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// A stored permission: one user's rights in one virtual host, as regular expressions over names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionRecord {
    /// The user's name.
    pub user: String,
    /// The virtual host's name.
    pub vhost: String,
    /// What the user may declare and delete.
    pub configure: String,
    /// What the user may publish and bind to.
    pub write: String,
    /// What the user may consume and bind from.
    pub read: String,
}

/// A stored topic permission: which routing keys one user may use with one exchange, as regular expressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPermissionRecord {
    /// The user's name.
    pub user: String,
    /// The virtual host's name.
    pub vhost: String,
    /// The exchange's name; it need not exist.
    pub exchange: String,
    /// Keys the user may publish with.
    pub write: String,
    /// Keys the user may bind with.
    pub read: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_the_field_names_of_definitions() {
        let user: UserRecord = serde_json::from_str(
            r#"{"name":"u","password_hash":"secret","hashing_algorithm":"rabbit_password_hashing_sha256",
                "tags":["administrator"],"limits":{}}"#,
        )
        .expect("decoded");
        assert_eq!(user.tags, ["administrator"]);
        let text = serde_json::to_string(&user).expect("encoded");
        assert_eq!(
            serde_json::from_str::<UserRecord>(&text).expect("decoded"),
            user
        );
        assert!(!format!("{user:?}").contains("secret"));

        let permission: PermissionRecord = serde_json::from_str(
            r#"{"user":"u","vhost":"/","configure":".*","write":"","read":"^a"}"#,
        )
        .expect("decoded");
        assert_eq!(permission.read, "^a");
    }
}
