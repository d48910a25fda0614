//! Selection in a list.

use ratatui::crossterm::event::KeyCode;

/// Rows of a page.
const PAGE_ROWS: usize = 10;

/// Returns the selected index after a key press; `None` if the key does not move the selection.
pub(crate) fn move_selection(code: KeyCode, selected: usize, count: usize) -> Option<usize> {
    let last = count.saturating_sub(1);
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => selected.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (selected + 1).min(last),
        KeyCode::PageUp => selected.saturating_sub(PAGE_ROWS),
        KeyCode::PageDown => (selected + PAGE_ROWS).min(last),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => return None,
    })
}
