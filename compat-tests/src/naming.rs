//! Names that no other run uses.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// A prefix for this process, so that runs at the same time on one broker do not meet.
#[must_use]
pub fn unique_prefix(program: &str) -> String {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{program}-{}-{}",
        std::process::id(),
        since_epoch.as_micros()
    )
}
