//! Rights and the patterns that give them.

use std::fmt;

use crate::auth::AuthError;
use crate::auth::PermissionRecord;
use crate::auth::TopicPermissionRecord;
use crate::model::Pattern;

/// Kinds of permission (specification: multi-tenancy §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Declare and delete.
    Configure,
    /// Publish to, bind to.
    Write,
    /// Consume from, bind from, purge.
    Read,
}

impl fmt::Display for Right {
    /// As in `configure access to queue … refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        })
    }
}

/// One user's rights in one virtual host.
#[derive(Debug)]
pub(super) struct Permission {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

impl Permission {
    /// As an operator gave it.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub(super) fn checked(record: &PermissionRecord) -> Result<Self, AuthError> {
        Ok(Self {
            configure: Pattern::checked(&record.configure)?,
            write: Pattern::checked(&record.write)?,
            read: Pattern::checked(&record.read)?,
        })
    }

    /// As it was stored: a pattern that does not compile denies.
    pub(super) fn stored(record: &PermissionRecord) -> Self {
        Self {
            configure: Pattern::new(&record.configure),
            write: Pattern::new(&record.write),
            read: Pattern::new(&record.read),
        }
    }

    /// Whether `right` is given on the resource `name`.
    pub(super) fn allows(&self, right: Right, name: &str) -> bool {
        match right {
            Right::Configure => self.configure.matches(name),
            Right::Write => self.write.matches(name),
            Right::Read => self.read.matches(name),
        }
    }

    /// For storing.
    pub(super) fn record(&self, user: &str, vhost: &str) -> PermissionRecord {
        PermissionRecord {
            user: user.to_owned(),
            vhost: vhost.to_owned(),
            configure: self.configure.source().to_owned(),
            write: self.write.source().to_owned(),
            read: self.read.source().to_owned(),
        }
    }
}

/// The routing keys that one user may use with one exchange. In its patterns `{username}` and `{vhost}` stand for the
/// names, taken literally.
#[derive(Debug)]
pub(super) struct TopicPermission {
    record: TopicPermissionRecord,
    write: Pattern,
    read: Pattern,
}

impl TopicPermission {
    /// As an operator gave it.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub(super) fn checked(record: TopicPermissionRecord) -> Result<Self, AuthError> {
        Pattern::checked(&record.write)?;
        Pattern::checked(&record.read)?;
        Ok(Self::stored(record))
    }

    /// As it was stored: a pattern that does not compile denies.
    pub(super) fn stored(record: TopicPermissionRecord) -> Self {
        let pattern = |source: &str| {
            let source = source.replace("{username}", &Pattern::literally(&record.user));
            Pattern::new(&source.replace("{vhost}", &Pattern::literally(&record.vhost)))
        };
        Self {
            write: pattern(&record.write),
            read: pattern(&record.read),
            record,
        }
    }

    /// Whether `right` is given on the routing key.
    pub(super) fn allows(&self, right: Right, key: &str) -> bool {
        match right {
            // Nobody configures a key.
            Right::Configure => false,
            Right::Write => self.write.matches(key),
            Right::Read => self.read.matches(key),
        }
    }

    /// For storing.
    pub(super) fn record(&self) -> &TopicPermissionRecord {
        &self.record
    }
}
