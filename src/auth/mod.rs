//! Who may log in and what they may do: users, password hashes, permissions, SASL responses.
//!
//! All of it is plain data: a [`Directory`] is an immutable snapshot once published, its changes come back as records
//! for the broker to store. Nothing here knows of sockets, of stored bytes or of which operation needs which right.
//! Passwords and their hashes appear in no `Debug` output, error or log line.

mod directory;
mod error;
mod password;
mod permission;
mod records;
mod refusal;
mod sasl;
mod user;

pub use directory::Directory;
pub use error::AuthError;
pub use password::HashingAlgorithm;
pub use password::PasswordHash;
pub use permission::Right;
pub use records::PermissionRecord;
pub use records::TopicPermissionRecord;
pub use records::UserRecord;
pub use refusal::Refusal;
pub use sasl::Credentials;
pub use sasl::Mechanism;
pub use sasl::SaslError;
pub use user::User;
