//! What is wrong with the settings, in words for the operator.

use std::path::PathBuf;

/// Settings that a node must not start with.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file that was named cannot be read, or is not TOML.
    #[error("cannot read settings from {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why. Text and not the error itself, which quotes lines of the file, a password among them.
        reason: String,
    },
    /// A key that does not exist.
    #[error("unknown setting {name} in {origin}; the nearest known one is {nearest}")]
    UnknownKey {
        /// As it was written.
        name: String,
        /// File or `environment`.
        origin: String,
        /// The likeliest intention, written for the same place.
        nearest: String,
    },
    /// A value that the key does not take.
    #[error("{key} = {value} in {origin}: must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// File, environment variable or option.
        origin: String,
        /// What the key takes.
        expected: String,
    },
}
