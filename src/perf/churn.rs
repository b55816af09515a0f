//! Connections that come and go: each opens a channel and closes, over and over.

use std::sync::atomic::Ordering;

use crate::perf::Run;
use crate::perf::wire::Wire;

/// Counts each connection as a message sent.
pub(super) fn run(run: &Run) {
    let most = run.options.producer_messages.unwrap_or(u64::MAX);
    for _ in 0..most {
        if run.is_stopped() {
            return;
        }
        match Wire::open(&run.options.uri) {
            Ok(wire) => wire.close(),
            Err(error) => return run.fail(error),
        }
        run.sent.fetch_add(1, Ordering::Relaxed);
    }
}
