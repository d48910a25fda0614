//! Drawing of the editor, and where a click lands.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};
use ratatui_textarea::CursorMove;
use rhai::Engine;

use console::{completion, highlight};
use frontend::visible::visible;

use super::{Editor, PROMPT_COLUMNS, search_list, vi::ViKeys};
use crate::{theme::Theme, wrap};

impl Editor {
    /// Returns where it was last drawn.
    pub(crate) fn area(&self) -> Rect {
        self.drawn.get().0
    }

    /// Moves the cursor to a place on the screen.
    pub(crate) fn click(&mut self, at: Position) {
        let (area, first) = self.drawn.get();
        let width = area.width.saturating_sub(PROMPT_COLUMNS);
        let column = at.x.saturating_sub(area.x).saturating_sub(PROMPT_COLUMNS);
        let mut row = first + usize::from(at.y.saturating_sub(area.y));
        self.menu = None;
        for (number, line) in self.area.lines().iter().enumerate() {
            let line = line.replace('\t', "    ");
            let rows = wrap::wrap_anywhere(Line::from(line.clone()), width).len();
            if row < rows {
                let index = wrap::character_at(&self.area.lines()[number], width, (row, column.into()));
                let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
                return self.area.move_cursor(CursorMove::Jump(short(number), short(index)));
            }
            row -= rows;
        }
        self.area.move_cursor(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
    }

    /// Returns the number of rows at a width.
    pub(crate) fn height(&self, width: u16) -> u16 {
        let width = width.saturating_sub(PROMPT_COLUMNS);
        let rows: usize =
            self.area.lines().iter().map(|line| wrap::wrap_anywhere(Line::from(line.clone()), width).len()).sum();
        u16::try_from(rows.max(1)).unwrap_or(u16::MAX)
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect, theme: Theme, lexer: &Engine, has_focus: bool) {
        let width = area.width.saturating_sub(PROMPT_COLUMNS);
        let cursor = self.area.cursor();
        let (mut rows, mut at) = (Vec::new(), (0, 0));
        let (text, cursor_index) = self.cursor();
        let lines = match completion::byte(&text, cursor_index).filter(|_| has_focus) {
            Some(cursor_index) => highlight::lines_at(lexer, &text, cursor_index),
            None => highlight::lines(lexer, &text),
        };
        let hint = self.hint().filter(|_| has_focus);
        for (number, line) in lines.iter().enumerate() {
            let mut shown = theme.line(line);
            if number + 1 == lines.len()
                && let Some(hint) = &hint
            {
                shown.push_span(Span::raw(visible(hint).into_owned()).dim());
            }
            if number == cursor.0 {
                let before: String = self.area.lines()[number].chars().take(cursor.1).collect();
                let (row, column) = wrap::cursor_position(&before.replace('\t', "    "), width);
                at = (rows.len() + usize::from(row), column);
            }
            for (index, row) in wrap::wrap_anywhere(shown, width).into_iter().enumerate() {
                let prompt = match (number, index) {
                    (0, 0) if self.vi.as_ref().is_some_and(ViKeys::is_normal) => "< ",
                    (0, 0) => "> ",
                    (_, 0) => "| ",
                    _ => "  ",
                };
                let mut spans = vec![Span::styled(prompt, theme.border(has_focus))];
                spans.extend(row.spans);
                rows.push(Line::from(spans));
            }
        }
        self.search_drawn = (Rect::ZERO, 0);
        let height = usize::from(area.height.max(1));
        let first = (at.0 + 1).saturating_sub(height);
        self.drawn.set((area, first));
        frame.render_widget(Paragraph::new(rows.into_iter().skip(first).take(height).collect::<Vec<_>>()), area);
        if has_focus && area.height > 0 {
            let row = u16::try_from(at.0 - first).unwrap_or(0).min(area.height - 1);
            let cursor_index =
                Position::new((area.x + PROMPT_COLUMNS + at.1).min(area.right().saturating_sub(1)), area.y + row);
            frame.set_cursor_position(cursor_index);
            self.cursor_at = cursor_index;
            if let Some(search) = &mut self.search {
                self.search_drawn = search_list::draw(frame, area, theme, |size| {
                    search.rows(&self.history.lock(), &self.origin.circle, &text, size)
                });
            }
        }
    }

    /// Draws the menu above the cursor, over everything else.
    pub(crate) fn draw_menu(&self, frame: &mut Frame<'_>, theme: Theme) {
        if let Some(menu) = &self.menu {
            menu.draw(frame, self.cursor_at, theme);
        }
    }
}
