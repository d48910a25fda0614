//! Positions in scripts, from Rhai's to those of messages.

use rhai::Position as RhaiPosition;

use crate::message::Position;

/// Of a script; `None` where Rhai knows none.
pub(crate) fn to_position(position: RhaiPosition) -> Option<Position> {
    let line = u32::try_from(position.line()?).ok()?;
    // At the start of a line Rhai has no column. It counts to 65,535; from there on it does not know.
    let column = position.position().unwrap_or(1);
    if column >= usize::from(u16::MAX) {
        return None;
    }
    Some(Position { line, column: u32::try_from(column).ok()? })
}
