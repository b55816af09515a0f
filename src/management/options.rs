//! What an operator can set about the HTTP front door.

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementOptions {
    /// Stands before every path; empty or with a slash at its front and none at its end.
    pub path_prefix: String,
    /// Origins whose pages may ask; `*` is any.
    pub cors_allow_origins: Vec<String>,
    /// For how many seconds they may remember that they may.
    pub cors_max_age: u32,
    /// Largest body of a request.
    pub body_bytes_max: usize,
    /// No figures are shown, as if clients asked for none.
    pub disable_stats: bool,
    /// Then queues show how many messages they have.
    pub enable_queue_totals: bool,
    /// Minutes after which a web interface should ask for the password again; 0: it is not told.
    pub login_session_timeout: u32,
    /// Largest message that may be published.
    pub max_message_bytes: u64,
    /// Channels may have a prefetch of their own.
    pub global_qos: bool,
}

impl Default for ManagementOptions {
    fn default() -> Self {
        Self {
            path_prefix: String::new(),
            cors_allow_origins: Vec::new(),
            cors_max_age: 1800,
            body_bytes_max: 20_000_000,
            disable_stats: false,
            enable_queue_totals: false,
            login_session_timeout: 0,
            max_message_bytes: 134_217_728,
            global_qos: true,
        }
    }
}
