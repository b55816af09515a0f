//! Compatibility tests: unmodified clients against the broker.
