//! Byte layout of the tables.

/// Version of the layout; grows with each change that an older version could not read.
pub(crate) const FORMAT: u64 = 1;
