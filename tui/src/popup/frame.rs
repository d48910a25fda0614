//! What all popups share: the window in the middle of the screen, and its lines.

use frontend::{
    text::{Style, StyledLine},
    visible::visible,
};
use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Padding},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::Field;
use crate::{theme::Theme, wrap};

/// Smallest width of the text of a popup.
const MIN_COLUMNS: usize = 44;

/// Largest number of rows of an error.
const MAX_ERROR_ROWS: usize = 5;

/// Wraps a line to the width of the screen.
pub(super) fn wrap_lines(frame: &Frame<'_>, line: Line<'static>) -> Vec<Line<'static>> {
    wrap::wrap_words(line, frame.area().width.saturating_sub(4))
}

/// Wraps a line to the width of the screen, and indents all of its rows. A cut after `max_rows` rows is marked.
pub(super) fn wrap_indented(
    frame: &Frame<'_>,
    line: Line<'static>,
    indent: usize,
    max_rows: usize,
) -> Vec<Line<'static>> {
    let columns = usize::from(frame.area().width.saturating_sub(4)).saturating_sub(indent);
    let mut rows = wrap::wrap_words(line, u16::try_from(columns).unwrap_or(u16::MAX));
    let is_cut = rows.len() > max_rows;
    rows.truncate(max_rows);
    if let Some(last) = rows.last_mut().filter(|_| is_cut) {
        // The mark takes the place of the last character where the row is full.
        if last.width() >= columns
            && let Some(span) = last.spans.last_mut()
        {
            let end = span.content.grapheme_indices(true).next_back().map_or(0, |(at, _)| at);
            span.content.to_mut().truncate(end);
        }
        last.push_span(Span::raw("…").dim());
    }
    for row in &mut rows {
        row.spans.insert(0, Span::raw(" ".repeat(indent)));
    }
    rows
}

/// Returns the rows of an error in a form, each with an indent.
pub(super) fn error_rows(frame: &Frame<'_>, theme: Theme, error: &str, indent: usize) -> Vec<Line<'static>> {
    let error = StyledLine::of(Style::Plain, &error.replace(['\n', '\t'], " ")).to_string();
    wrap_indented(frame, Line::from(Span::styled(error, theme.error())), indent, MAX_ERROR_ROWS)
}

/// Returns the end of a text that fits into a width. Newlines and tabs are shown as marks.
pub(super) fn shown_tail(text: &str, columns: usize) -> String {
    let (mut shown, mut used) = (Vec::new(), 0);
    for grapheme in text.graphemes(true).rev() {
        let grapheme = match grapheme {
            "\n" => "⏎".into(),
            "\t" => "⇥".into(),
            grapheme => visible(grapheme),
        };
        used += grapheme.width();
        if used > columns {
            break;
        }
        shown.push(grapheme);
    }
    shown.into_iter().rev().collect()
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
    let hint = fitting_hint(hint, usize::from(frame.area().width.saturating_sub(4)));
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

/// Returns the rows of text that a window in the middle of the screen has room for.
pub(super) fn window_rows(frame: &Frame<'_>) -> usize {
    usize::from(frame.area().height.saturating_sub(2))
}

/// Marks the right border of a window where its text continues. `area` is the area inside of the window.
pub(super) fn draw_scroll_marks(frame: &mut Frame<'_>, area: Rect, is_cut_above: bool, is_cut_below: bool) {
    let border = area.right().saturating_add(1);
    let marks = [(is_cut_above, area.y, "▲"), (is_cut_below, area.bottom().saturating_sub(1), "▼")];
    for (_, row, mark) in marks.into_iter().filter(|(is_cut, ..)| *is_cut) {
        if let Some(cell) = frame.buffer_mut().cell_mut(Position::new(border, row)) {
            cell.set_symbol(mark);
        }
    }
}

/// Shortens a hint to a width: its first and its last part stay longest.
fn fitting_hint(hint: &str, columns: usize) -> String {
    const SEPARATOR: &str = " · ";
    let mut parts: Vec<&str> = hint.split(SEPARATOR).collect();
    while parts.len() > 1 && parts.join(SEPARATOR).width() > columns {
        parts.remove(parts.len().saturating_sub(2).max(1));
    }
    StyledLine::of(Style::Plain, &parts.join(SEPARATOR)).truncated(columns).to_string()
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    #[test]
    fn hint_keeps_its_first_and_last_part() {
        let hint = "Enter call · PgDn PgUp scroll · Esc close";
        for (columns, shown) in [
            (80, hint),
            (41, hint),
            (40, "Enter call · Esc close"),
            (22, "Enter call · Esc close"),
            (21, "Enter call"),
            (5, "Enter"),
            (0, ""),
        ] {
            assert_eq!(fitting_hint(hint, columns), shown, "{columns}");
        }
    }

    #[test]
    fn tail_of_a_text_is_its_end_with_marks() {
        for (text, columns, shown) in [
            ("green tea", 20, "green tea"),
            ("green tea", 3, "tea"),
            ("a\n\tb\n", 20, "a⏎⇥b⏎"),
            ("日本", 3, "本"),
            ("x\u{1b}y", 20, "x␛y"),
            ("", 3, ""),
            ("tea", 0, ""),
        ] {
            assert_eq!(shown_tail(text, columns), shown, "{text:?} {columns}");
        }
    }

    #[test]
    fn tail_reads_a_long_text_from_its_end() {
        // Reading all of the text for each character of it would take hours.
        let text = "日".repeat(1 << 20);
        for _ in 0..1000 {
            assert_eq!(shown_tail(&text, 5), "日日");
        }
    }

    #[test]
    fn rows_are_indented_and_their_cut_is_marked() {
        let rows = |text: &'static str, max_rows| {
            let mut rows = Vec::new();
            let mut terminal = Terminal::new(TestBackend::new(16, 5)).expect("a screen");
            let draw = |frame: &mut Frame<'_>| {
                let lines = wrap_indented(frame, Line::from(text), 2, max_rows);
                rows = lines.iter().map(ToString::to_string).collect::<Vec<_>>();
            };
            terminal.draw(draw).expect("drawn");
            rows
        };
        assert_eq!(rows("one two three four", 9), ["  one two ", "  three four"]);
        assert_eq!(rows("one two three four", 1), ["  one two …"]);
        assert_eq!(rows("abcdefghijklmnop", 1), ["  abcdefghi…"]);
        assert_eq!(rows("short", 1), ["  short"]);
    }
}
