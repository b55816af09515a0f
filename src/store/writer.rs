//! Group commit: the two threads that write the ring in turns.
//!
//! What arrives while a frame is synced is the next group, so groups grow with the disk's latency and there is no timer.
//! A confirm cannot overtake its sync: the durable number moves only after that.
//!
//! The first failure is the last act: what a failed write or sync left on the disk is unknown, so nothing is tried again.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use crate::store::StoreError;
use crate::store::inbox::Turn;
use crate::store::shared::Shared;
#[cfg(test)]
use crate::store::tests::mutation::Mutation;

/// Runs until the inbox is closed or something fails.
pub(crate) fn run(shared: &Shared) {
    guard(shared, || write_groups(shared));
}

/// A failure of `work`, and a panic as well, ends the store.
pub(crate) fn guard(shared: &Shared, work: impl FnOnce() -> Result<(), StoreError>) {
    let ended = catch_unwind(AssertUnwindSafe(work));
    let result = ended.unwrap_or_else(|panic| {
        Err(StoreError::Panicked {
            message: panic_message(panic.as_ref()),
        })
    });
    if let Err(error) = result {
        shared.fail(error);
    }
}

fn write_groups(shared: &Shared) -> Result<(), StoreError> {
    loop {
        match shared.inbox.next_turn() {
            Turn::Gather => {
                let Some(sealed) = shared.seal()? else {
                    return Ok(());
                };
                if !shared.inbox.begin_write() {
                    return Ok(());
                }
                #[cfg(test)]
                if shared.does_wrong(Mutation::ConfirmBeforeSync) {
                    shared.inbox.committed(sealed.through, sealed.held_bytes);
                    shared.write(&sealed)?;
                    continue;
                }
                shared.write(&sealed)?;
                let (through, held_bytes) = (sealed.through, sealed.held_bytes);
                // The messages go before anybody is told: who is told may free its own.
                drop(sealed);
                shared.inbox.committed(through, held_bytes);
            }
            Turn::Stop(_) => return Ok(()),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
