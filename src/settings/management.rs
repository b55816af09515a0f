//! `management.*`: the HTTP API.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

/// Names and defaults are RabbitMQ's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagementSettings {
    /// As `load_definitions`, after it.
    pub load_definitions: PathBuf,
    /// Stands before every path.
    pub path_prefix: String,
    /// Origins whose pages may ask; `*` is any.
    #[serde(rename = "cors.allow_origins")]
    pub cors_allow_origins: Vec<String>,
    /// For how many seconds they may remember that they may.
    #[serde(rename = "cors.max_age")]
    pub cors_max_age: u32,
    /// Largest body of a request in bytes.
    #[serde(rename = "http.max_body_size")]
    pub http_max_body_size: usize,
    /// After so many minutes a web interface asks for the password again; 0: it is told nothing about that.
    pub login_session_timeout: u32,
    /// Figures are not shown.
    pub disable_stats: bool,
    /// Then queues show how many messages they have.
    pub enable_queue_totals: bool,
}

impl Default for ManagementSettings {
    fn default() -> Self {
        Self {
            load_definitions: PathBuf::new(),
            path_prefix: String::new(),
            cors_allow_origins: Vec::new(),
            cors_max_age: 1800,
            http_max_body_size: 20_000_000,
            login_session_timeout: 0,
            disable_stats: false,
            enable_queue_totals: false,
        }
    }
}

impl ManagementSettings {
    /// The prefix with a slash at its front and none at its end, or empty.
    pub fn prefix(&self) -> String {
        match self.path_prefix.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }
}
