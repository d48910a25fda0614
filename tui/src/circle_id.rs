//! Identity of circles in the list.

/// Index of a circle. Circles are never removed from the list, so an id stays valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CircleId(pub usize);
