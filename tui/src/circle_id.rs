//! Identity of circles in the list.

/// Index of a circle. A circle that is removed from the list keeps its id, so that an id never names
/// another circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CircleId(pub usize);
