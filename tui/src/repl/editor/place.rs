//! Places in the text of the editor: rows and columns, or characters of the whole text.

use ratatui_textarea::{CursorMove, TextArea};

/// Returns the row and the column of the cursor.
pub(super) fn cursor(area: &TextArea<'_>) -> (usize, usize) {
    let cursor = area.cursor();
    (cursor.0, cursor.1)
}

/// Returns a position in characters of the whole text.
pub(super) fn index(area: &TextArea<'_>, (row, column): (usize, usize)) -> usize {
    area.lines().iter().take(row).map(|line| line.chars().count() + 1).sum::<usize>() + column
}

pub(super) fn row_of(text: &[char], place: usize) -> usize {
    text[..place.min(text.len())].iter().filter(|letter| **letter == '\n').count()
}

/// Moves the cursor to a position in characters of the whole text.
pub(super) fn jump(area: &mut TextArea<'static>, place: usize) {
    let mut left = place;
    let mut row = 0;
    for line in area.lines() {
        let width = line.chars().count();
        if left <= width {
            break;
        }
        left -= width + 1;
        row += 1;
    }
    let clip = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
    area.move_cursor(CursorMove::Jump(clip(row), clip(left)));
}
