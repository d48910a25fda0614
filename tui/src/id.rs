//! What tells circles, connections and plays apart.

/// Which circle. They are never taken off the list, so it stays true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CircleId(pub usize);

/// Tells the connections of one session apart: what an earlier one still has to say is no longer of interest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Connection(pub u64);

/// Tells the plays of one session apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PlayNumber(pub u64);
