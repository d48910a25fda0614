//! What all popups share: the window in the middle of the screen, and its lines.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Padding},
};

use super::Field;
use crate::{theme::Theme, wrap};

/// Smallest width of the text of a popup.
const MIN_COLUMNS: usize = 44;

/// Wraps a line to the width of the screen.
pub(super) fn wrap_lines(frame: &Frame<'_>, line: Line<'static>) -> Vec<Line<'static>> {
    wrap::wrap_words(line, frame.area().width.saturating_sub(4))
}

pub(super) fn labelled(label: &str, field: &Field) -> Line<'static> {
    let mut spans = vec![Span::raw(label.to_owned()).dim()];
    spans.extend(field.spans());
    spans.into()
}

/// Returns the line below a form: its error, or what it waits for.
pub(super) fn status(error: Option<&str>, is_busy: bool, busy: &str, theme: Theme, spinner: &str) -> Line<'static> {
    match error {
        Some(error) => Line::from(Span::styled(error.to_owned(), theme.error())),
        None if is_busy => Line::from(format!("{spinner} {busy}")),
        None => Line::default(),
    }
}

pub(super) fn cursor(frame: &mut Frame<'_>, area: Rect, row: usize, column: usize) {
    let clip = |value: usize, limit: u16| u16::try_from(value).unwrap_or(u16::MAX).min(limit.saturating_sub(1));
    frame.set_cursor_position(Position::new(area.x + clip(column, area.width), area.y + clip(row, area.height)));
}

/// Draws a window in the middle of the screen that is large enough for its lines, and returns the area inside.
pub(super) fn draw_window(frame: &mut Frame<'_>, theme: Theme, title: &str, lines: &[Line<'_>], hint: &str) -> Rect {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(hint.chars().count() + 2).max(MIN_COLUMNS);
    let size = |needed: usize, room: u16| u16::try_from(needed).unwrap_or(u16::MAX).min(room);
    let screen = frame.area();
    let (width, height) = (size(widest + 4, screen.width), size(lines.len() + 2, screen.height));
    let area =
        Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.border(true))
        .title(format!(" {title} "))
        .title_bottom(Line::from(format!(" {hint} ")).right_aligned())
        .padding(Padding::horizontal(1));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}
