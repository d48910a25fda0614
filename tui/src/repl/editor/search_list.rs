//! List of the inputs that a search of the history finds.

use console::history::SearchRow;
use frontend::text::StyledLine;
use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Block, Clear, Paragraph},
};

use crate::theme::Theme;

/// Largest number of inputs.
const ROWS: u16 = 10;

/// Draws the list above the editor. `rows` returns as many rows as fit, and the line about them. Returns where the rows
/// are, and the place of the first one among the matches.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    editor: Rect,
    theme: Theme,
    rows: impl FnOnce((usize, usize)) -> (Vec<SearchRow>, StyledLine),
) -> (Rect, usize) {
    let room = editor.y.saturating_sub(frame.area().y);
    let width = editor.width.saturating_sub(2);
    let (rows, status) = rows((usize::from(width), usize::from(ROWS.min(room.saturating_sub(3)))));
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in &rows {
        let line = theme.line(&row.line);
        lines.push(if row.is_selected { line.style(theme.selected(true)) } else { line });
    }
    lines.push(theme.line(&status));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(room);
    let area = Rect { y: editor.y - height, height, ..editor };
    frame.render_widget(Clear, area);
    let block = Block::bordered().border_style(theme.border(true)).title(" History ");
    let shown = Rect { height: u16::try_from(rows.len()).unwrap_or(u16::MAX), ..block.inner(area) };
    frame.render_widget(Paragraph::new(lines).block(block), area);
    (shown.intersection(area), rows.first().map_or(0, |row| row.place))
}
