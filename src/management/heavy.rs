//! Work that takes long, or waits for the disk: on threads of its own, so that small requests need not wait for it.

use crate::management::ApiError;

/// So much of it at a time; further requests wait for their turn.
pub(super) const HEAVY_MAX: usize = 4;

/// Does `work` where no other request waits for it.
pub(super) async fn heavy<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|error| {
        tracing::error!(%error, "an HTTP request ended in a panic; this is a fault of Leveret: please report it with the lines before this one");
        ApiError::Broken
    })
}
