//! Conversion of Rhai's positions to those of messages.

use rhai::Position as RhaiPosition;

use crate::message::Position;

/// Converts a position; returns `None` if Rhai does not know it.
pub(crate) fn to_position(position: RhaiPosition) -> Option<Position> {
    let line = u32::try_from(position.line()?).ok()?;
    // Rhai has no column at the start of a line, and counts columns only up to 65,535.
    let column = position.position().unwrap_or(1);
    if column >= usize::from(u16::MAX) {
        return None;
    }
    Some(Position { line, column: u32::try_from(column).ok()? })
}
