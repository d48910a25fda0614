//! Text to read, with scrolling.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::frame::{draw_window, wrap_lines};
use crate::{action::Action, theme::Theme};

/// The text.
#[derive(Debug)]
pub(crate) struct TextPopup {
    title: String,
    lines: Vec<Line<'static>>,
    /// The lines as wrapped for a width of the screen.
    wrapped: Option<(u16, Vec<Line<'static>>)>,
    /// First visible row.
    scroll: usize,
    /// Rows that were visible when it was last drawn.
    height: usize,
}

impl TextPopup {
    pub(crate) fn new(title: &str, lines: Vec<Line<'static>>) -> Self {
        Self { title: title.to_owned(), lines, wrapped: None, scroll: 0, height: 1 }
    }

    /// A text in two columns, where the second one is not empty: keys, and what they do.
    pub(crate) fn hints(title: &str, hints: &[(String, &str)], theme: Theme) -> Self {
        let explained = hints.iter().filter(|(_, does)| !does.is_empty());
        let width = explained.map(|(keys, _)| keys.chars().count()).max().unwrap_or(0);
        let line = |(keys, does): &(String, &str)| match *does {
            "" => Line::from(keys.clone()).bold(),
            does => {
                Line::from(vec![Span::styled(format!("{keys:>width$}"), theme.key()), Span::raw(format!("  {does}"))])
            }
        };
        Self::new(title, hints.iter().map(line).collect())
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let page = self.height.saturating_sub(1).max(1);
        self.scroll = match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.saturating_add(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => usize::MAX,
            KeyCode::Esc | KeyCode::Enter | KeyCode::F(1) | KeyCode::Char('q' | '?') => return Some(Action::Close),
            _ => self.scroll,
        };
        None
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let width = frame.area().width;
        let wrapped = self.wrapped.take().filter(|(wrapped_for, _)| *wrapped_for == width);
        let (_, lines) = wrapped
            .unwrap_or_else(|| (width, self.lines.iter().flat_map(|line| wrap_lines(frame, line.clone())).collect()));
        let is_long = lines.len() + 2 > usize::from(frame.area().height);
        let hint = if is_long { "↓ ↑ PgDn PgUp scroll · Esc closes" } else { "Esc closes" };
        let area = draw_window(frame, theme, &self.title, &lines, hint);
        self.height = usize::from(area.height);
        self.scroll = self.scroll.min(lines.len().saturating_sub(self.height));
        let shown: Vec<Line<'_>> = lines.iter().skip(self.scroll).take(self.height).cloned().collect();
        frame.render_widget(Paragraph::new(shown), area);
        self.wrapped = Some((width, lines));
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend, crossterm::event::KeyModifiers};

    use super::*;

    #[test]
    fn text_scrolls_by_pages_and_only_its_own_keys_close_it() {
        let lines = (0..30).map(|number| Line::from(format!("line {number}."))).collect();
        let mut text = TextPopup::new("Help", lines);
        let mut terminal = Terminal::new(TestBackend::new(60, 12)).expect("a screen");
        let mut shown_after = |text: &mut TextPopup, code| {
            let action = text.key(KeyEvent::new(code, KeyModifiers::NONE));
            terminal.draw(|frame| text.draw(frame, Theme::plain())).expect("drawn");
            (action, terminal.backend().to_string())
        };
        let mut expect = |code, first: &str| {
            let (action, shown) = shown_after(&mut text, code);
            assert!(action.is_none() && shown.contains(first), "{code:?}: {shown}");
        };
        expect(KeyCode::Char('x'), "line 0.");
        expect(KeyCode::PageDown, "line 9.");
        expect(KeyCode::PageDown, "line 18.");
        expect(KeyCode::PageUp, "line 9.");
        expect(KeyCode::End, "line 29.");
        expect(KeyCode::Up, "line 19.");
        expect(KeyCode::Home, "line 0.");
        for code in [KeyCode::Esc, KeyCode::Enter, KeyCode::Char('q'), KeyCode::Char('?')] {
            assert_eq!(shown_after(&mut text, code).0, Some(Action::Close));
        }
    }
}
