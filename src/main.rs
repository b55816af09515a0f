//! The `leveret` binary: everything is in the library but the choice of its allocator.

#![expect(
    unsafe_code,
    reason = "the allocator takes its options in C; its crate has no other way"
)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    return_freed_memory_soon();
    leveret::cli::run()
}

/// `mi_option_purge_delay` of mimalloc 3, in milliseconds.
const PURGE_DELAY: std::ffi::c_int = 15;

unsafe extern "C" {
    fn mi_option_set_default(option: std::ffi::c_int, value: std::ffi::c_long);
}

/// Memory that was freed goes back to the system after a moment, not after the allocator's usual second: at a few hundred
/// megabytes a second through the store that was a third of what the process took (`benches/backlog.rs`).
/// `MIMALLOC_PURGE_DELAY` still decides where it is set.
fn return_freed_memory_soon() {
    // SAFETY: it takes two numbers, checks the first, and stores the second; no other thread runs yet.
    unsafe { mi_option_set_default(PURGE_DELAY, 50) };
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: std::ffi::c_int) -> std::ffi::c_long;
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: it takes a number, checks it, and answers one.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1000, "mimalloc's default, and nobody else's");
        return_freed_memory_soon();
        assert_eq!(delay(), 50);
    }
}
