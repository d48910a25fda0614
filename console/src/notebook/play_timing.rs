//! The cost of a play.

use std::time::Duration;

use frontend::text::{Style, StyledLine};

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
            rounded(self.elapsed),
            self.operations,
            rounded(self.round_trip),
        );
        StyledLine::of(Style::Dim, &text)
    }
}

/// Formats a duration with three digits and a unit.
pub(crate) fn rounded(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        0.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e4 => format!("{:.2} ms", micros / 1e3),
        1e4..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}
