//! A change is answered once it is on disk.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Notify;

use crate::management::Api;
use crate::model::Lsn;
use crate::store::CommitWaiter;

struct Committed(Notify);

impl CommitWaiter for Committed {
    fn committed(&self) {
        self.0.notify_one();
    }
}

impl Api {
    /// Waits until `lsn` is on disk. When the store fails instead, the node ends, and the client's connection with it.
    pub(super) async fn committed(&self, lsn: Lsn) {
        if lsn == Lsn::NONE {
            return;
        }
        let waiter = Arc::new(Committed(Notify::new()));
        let told: Arc<dyn CommitWaiter> = Arc::clone(&waiter) as _;
        self.broker.notify_commit(lsn, told);
        waiter.0.notified().await;
    }
}

/// 201 for something new, 204 for what was there before.
pub(super) fn put_status(existed: bool) -> StatusCode {
    if existed {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    }
}
