//! Why a login was refused: for the log alone, the peer is never told.

/// A refused login; its text is RabbitMQ's log line after `login refused: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No user has that name. Prints like a wrong password.
    #[error("user '{user}' - invalid credentials")]
    UnknownUser {
        /// The name.
        user: String,
    },
    /// The password is wrong, or the user has none.
    #[error("user '{user}' - invalid credentials")]
    WrongPassword {
        /// The name.
        user: String,
    },
    /// The password is empty, which is refused whatever is stored.
    #[error("user '{user}' attempted to log in with a blank password, which is prohibited")]
    BlankPassword {
        /// The name.
        user: String,
    },
    /// The user may only come from this machine.
    #[error("user '{user}' can only connect via localhost")]
    NotFromLoopback {
        /// The name.
        user: String,
    },
}
