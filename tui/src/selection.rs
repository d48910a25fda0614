//! Text that is selected with the mouse.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::layout::Pane;

/// A visible row of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VisibleRow {
    pub text: String,
    /// Whether the row goes on with the line of the row above.
    pub is_continued: bool,
}

/// A selection on the screen, from one cell to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection {
    pub pane: Pane,
    /// The text that can be selected.
    area: Rect,
    from: Position,
    to: Position,
}

impl Selection {
    pub(crate) fn new(pane: Pane, area: Rect, at: Position) -> Self {
        let at = clamp(area, at);
        Self { pane, area, from: at, to: at }
    }

    pub(crate) fn extend(&mut self, to: Position) {
        self.to = clamp(self.area, to);
    }

    /// Returns where it begins.
    pub(crate) fn begin(&self) -> Position {
        self.from
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to || self.area.is_empty()
    }

    /// Returns the first and the last column of a row that are selected.
    fn columns(&self, row: u16) -> Option<(u16, u16)> {
        let key = |at: Position| (at.y, at.x);
        let (first, last) = if key(self.from) <= key(self.to) { (self.from, self.to) } else { (self.to, self.from) };
        if row < first.y || row > last.y {
            return None;
        }
        let begin = if row == first.y { first.x } else { self.area.x };
        let end = if row == last.y { last.x } else { self.area.right().saturating_sub(1) };
        Some((begin, end))
    }

    /// Returns the selected text of the visible rows. Rows of one line are joined.
    pub(crate) fn text(&self, rows: &[VisibleRow]) -> String {
        let mut text = String::new();
        let mut is_first = true;
        for (index, row) in rows.iter().enumerate() {
            let y = self.area.y.saturating_add(u16::try_from(index).unwrap_or(u16::MAX));
            let Some((begin, end)) = self.columns(y) else { continue };
            if !is_first && !row.is_continued {
                text.truncate(text.trim_end_matches(' ').len());
                text.push('\n');
            }
            is_first = false;
            let mut column = usize::from(self.area.x);
            for grapheme in row.text.graphemes(true) {
                let next = column + grapheme.width();
                if next > usize::from(begin) && column <= usize::from(end) {
                    text.push_str(grapheme);
                }
                column = next;
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text
    }

    /// Shows the selection on the screen.
    pub(crate) fn draw(&self, buffer: &mut Buffer) {
        if self.is_empty() {
            return;
        }
        for row in self.area.top()..self.area.bottom() {
            if let Some((begin, end)) = self.columns(row) {
                let cells = Rect { x: begin, y: row, width: end.saturating_sub(begin) + 1, height: 1 };
                let cells = cells.intersection(buffer.area);
                buffer.set_style(cells, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
    }
}

fn clamp(area: Rect, at: Position) -> Position {
    let within = |value: u16, first: u16, end: u16| value.clamp(first, end.saturating_sub(1).max(first));
    Position::new(within(at.x, area.left(), area.right()), within(at.y, area.top(), area.bottom()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(texts: &[(&str, bool)]) -> Vec<VisibleRow> {
        texts
            .iter()
            .map(|(text, is_continued)| VisibleRow { text: (*text).into(), is_continued: *is_continued })
            .collect()
    }

    fn selected(from: (u16, u16), to: (u16, u16)) -> Selection {
        let mut selection = Selection::new(Pane::Logs, Rect::new(10, 5, 8, 3), from.into());
        selection.extend(to.into());
        selection
    }

    #[test]
    fn selection_joins_the_rows_of_a_line_and_works_in_both_directions() {
        let shown = rows(&[("one two ", false), ("three   ", true), ("four", false)]);
        for (from, to, text) in [
            ((10, 5), (12, 5), "one"),
            ((12, 5), (10, 5), "one"),
            ((14, 5), (14, 6), "two three"),
            ((10, 5), (13, 7), "one two three\nfour"),
            // Outside of the area.
            ((0, 0), (90, 90), "one two three\nfour"),
        ] {
            assert_eq!(selected(from, to).text(&shown), text, "{from:?} {to:?}");
        }
        assert!(selected((11, 6), (11, 6)).is_empty());
    }

    #[test]
    fn selection_has_whole_characters() {
        let shown = rows(&[("a日本b", false)]);
        assert_eq!(selected((11, 5), (13, 5)).text(&shown), "日本");
        assert_eq!(selected((12, 5), (12, 6)).text(&shown), "日本b");
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 6));
        selected((10, 5), (17, 7)).draw(&mut buffer);
        assert!(buffer[(11, 5)].modifier.contains(Modifier::REVERSED));
    }
}
