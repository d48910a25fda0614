//! What tells circles apart.

/// Which circle. Circles are never taken off the list, so an id stays true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CircleId(pub usize);
