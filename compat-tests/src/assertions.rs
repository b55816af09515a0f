//! What checks say when something is not as it should be, and how long they wait for anything.
//!
//! It knows no protocol.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// The outcome of a check; the error is what the user reads.
pub type Checked<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The longest a check waits for one thing.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Fails with both values when they differ.
pub fn equal<T: PartialEq + Debug>(wanted: T, got: T, what: &str) -> Checked {
    if wanted == got {
        Ok(())
    } else {
        Err(format!("{what}: want {wanted:?}, got {got:?}").into())
    }
}

/// Fails with `what` unless the condition holds.
pub fn holds(condition: bool, what: impl Into<String>) -> Checked {
    if condition {
        Ok(())
    } else {
        Err(what.into().into())
    }
}

/// Waits at most [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> Checked<T> {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => Ok(value),
        Err(_) => Err(format!("{what}: nothing after {DEADLINE:?}").into()),
    }
}

/// Goes on until the work is done, or the receiver says that all is over.
pub async fn until_over<T>(
    mut is_over: watch::Receiver<bool>,
    work: impl Future<Output = Checked<T>>,
) -> Checked<T> {
    tokio::select! {
        outcome = work => outcome,
        _ = is_over.wait_for(|over| *over) => Err("all is over".into()),
    }
}
