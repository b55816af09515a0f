//! Why a change of users or permissions is refused, in words for the operator.

use crate::model::InvalidPattern;

/// A user or permission that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The name is no AMQP short string.
    #[error("name of {bytes} bytes is longer than 255")]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No user has that name.
    #[error("user '{user}' does not exist")]
    NoSuchUser {
        /// The name.
        user: String,
    },
    /// MD5 is not a password hash any more.
    #[error(
        "password of user '{user}' is hashed with MD5, which is refused: set a new password or import a \
         rabbit_password_hashing_sha256 or rabbit_password_hashing_sha512 hash"
    )]
    Md5 {
        /// Whose password.
        user: String,
    },
    /// The hashing algorithm is none we know.
    #[error("unknown hashing algorithm '{algorithm}' for the password of user '{user}'")]
    UnknownAlgorithm {
        /// Whose password.
        user: String,
        /// What was given.
        algorithm: String,
    },
    /// The password hash is not base64 of a salt and a digest.
    #[error(
        "password hash of user '{user}' is not base64 of 4 salt and {digest_bytes} digest bytes"
    )]
    MalformedHash {
        /// Whose password.
        user: String,
        /// What its algorithm yields.
        digest_bytes: usize,
    },
    /// A permission is no regular expression.
    #[error(transparent)]
    InvalidPattern(#[from] InvalidPattern),
}
