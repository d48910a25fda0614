//! The cost of a play.

use std::time::Duration;

use frontend::{
    quantity,
    text::{Style, StyledLine},
};

/// The cost of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlayTiming {
    /// The time in the circle.
    pub elapsed: Duration,
    /// The number of operations, as the circle counts them.
    pub operations: u64,
    /// The time until the answer arrived.
    pub round_trip: Duration,
}

impl PlayTiming {
    /// Formats the timing as one line.
    pub(super) fn line(self) -> StyledLine {
        let text = format!(
            "{} in the circle, {} operations, {} round trip",
            quantity::duration(self.elapsed),
            self.operations,
            quantity::duration(self.round_trip),
        );
        StyledLine::of(Style::Dim, &text)
    }
}
