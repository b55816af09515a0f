//! Buffers that the connections of one loop share: an idle connection owns none.

use std::cell::RefCell;

/// Bytes taken from a socket at once, at most.
const READ_BYTES: usize = 1024 * 1024;
/// So many bytes that a machine left behind may stand before those that are read next.
pub(super) const LEFT_BYTES_MAX: usize = READ_BYTES / 4 * 3;
/// The same while memory or disk is short: a publisher that is held back leaves behind what it was read, and there may be
/// thousands of them.
const READ_BYTES_IN_ALARM: usize = 16 * 1024;
/// Output buffers that grew beyond this are given back to the allocator.
const KEEP_BYTES: usize = 2 * 1024 * 1024;
/// Spare output buffers kept by a loop.
const KEEP_COUNT: usize = 4;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
    static WRITE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes to take from a socket at once.
pub(super) fn read_bytes(in_alarm: bool) -> usize {
    if in_alarm {
        READ_BYTES_IN_ALARM
    } else {
        READ_BYTES
    }
}

/// Lends the loop's read buffer; not to be asked for again inside `act`.
pub(super) fn with_read_buffer<T>(act: impl FnOnce(&mut [u8]) -> T) -> T {
    READ.with_borrow_mut(|buffer| act(buffer))
}

/// An empty output buffer.
pub(super) fn take_write_buffer() -> Vec<u8> {
    WRITE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives an output buffer back.
pub(super) fn give_write_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > KEEP_BYTES {
        return;
    }
    buffer.clear();
    WRITE.with_borrow_mut(|spare| {
        if spare.len() < KEEP_COUNT {
            spare.push(buffer);
        }
    });
}
