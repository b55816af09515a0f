//! The tests of the tests: a store that does one thing wrong must be caught by the histories.

/// What a store may be told to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Records count as durable before their frame is written.
    ConfirmBeforeSync,
    /// The ring is written but never synced.
    SkipSync,
    /// A segment is used again before redb has committed what was in it.
    RecycleBeforeCommit,
    /// A checkpoint commits before what it has seen is durable in the ring.
    AheadOfRing,
    /// A checkpoint reads blocks that are not written yet.
    ReadUnwritten,
    /// A checkpoint forgets what was settled of pages.
    DropTouched,
    /// … what was settled of pages while it made them.
    ForgetStale,
    /// … which queues were deleted.
    DropDeleted,
    /// … definitions.
    DropDefinitions,
    /// … which positions were used.
    DropNexts,
}
