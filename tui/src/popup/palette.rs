//! The palette: finds any action by some of its letters.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
    style::{Style, Stylize},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    Field,
    frame::{cursor, draw_window, labelled},
};
use crate::{action::Action, theme::Theme};

/// Rows of matches.
const ROWS: usize = 12;

/// Largest width of the column of keys.
const MAX_KEY_COLUMNS: usize = 16;

/// Item of the palette.
#[derive(Debug, Clone)]
pub(crate) struct PaletteItem {
    pub text: String,
    /// The key that does the same; empty if there is none.
    pub key: String,
    pub action: Action,
}

#[derive(Debug)]
pub(crate) struct Palette {
    field: Field,
    choices: Vec<PaletteItem>,
    selected: usize,
    /// Where the rows of matches were last drawn, and the first of them.
    drawn: (Rect, usize),
}

impl Palette {
    pub(crate) fn new(choices: Vec<PaletteItem>) -> Self {
        Self { field: Field::visible(), choices, selected: 0, drawn: (Rect::ZERO, 0) }
    }

    /// Returns the matches, best first.
    fn matching(&self) -> Vec<&PaletteItem> {
        let mut matching: Vec<(usize, &PaletteItem)> = self
            .choices
            .iter()
            .filter_map(|choice| Some((distance(self.field.text(), &choice.text)?, choice)))
            .collect();
        // The sort is stable: equal matches stay in order.
        matching.sort_by_key(|(distance, _)| *distance);
        matching.into_iter().map(|(_, choice)| choice).collect()
    }

    pub(crate) fn paste(&mut self, text: &str) {
        self.field.paste(text);
        self.selected = 0;
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let last = self.matching().len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            KeyCode::Up => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down => self.selected = (self.selected + 1).min(last),
            KeyCode::Enter => {
                let chosen = self.matching().get(self.selected).map(|choice| choice.action.clone());
                return chosen;
            }
            _ => {
                self.field.key(key);
                self.selected = 0;
            }
        }
        None
    }

    /// Handles a click: it chooses a row.
    pub(super) fn click(&self, at: Position) -> Option<Action> {
        let (area, first) = self.drawn;
        let row = area.contains(at).then(|| usize::from(at.y - area.y))?;
        self.matching().get(first + row).map(|choice| choice.action.clone())
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let mut lines = vec![labelled("> ", &self.field)];
        let matching = self.matching();
        let widths = self.choices.iter().map(|choice| choice.key.chars().count());
        let width = widths.max().unwrap_or(0).clamp(5, MAX_KEY_COLUMNS);
        let rows = ROWS.min(usize::from(frame.area().height.saturating_sub(3)));
        let first = (self.selected + 1).saturating_sub(rows);
        for (index, choice) in matching.iter().enumerate().skip(first).take(rows) {
            let is_selected = index == self.selected;
            let line = Line::from(vec![
                theme.bar(is_selected),
                Span::styled(
                    format!("{:>width$.width$}  ", choice.key),
                    if is_selected { Style::default() } else { theme.key() },
                ),
                Span::raw(format!("{} ", choice.text)),
            ]);
            lines.push(if is_selected { line.style(theme.selected(true)) } else { line });
        }
        if matching.is_empty() {
            lines.push(Line::from(" no matches").dim());
        }
        // The selected row fills the window.
        let width = lines.iter().map(Line::width).max().unwrap_or(0);
        if let Some(line) = lines.get_mut(1 + self.selected - first) {
            line.push_span(" ".repeat(width.saturating_sub(line.width())));
        }
        // Always of the same size: a window that changes its size is hard to read.
        lines.resize(rows + 1, Line::default());
        let title = match matching.len() {
            0 => "Palette".to_owned(),
            count => format!("Palette {}/{count}", self.selected + 1),
        };
        let area = draw_window(frame, theme, &title, &lines, "Enter run · Esc close");
        let shown = u16::try_from(rows).unwrap_or(u16::MAX);
        self.drawn = (Rect { y: area.y.saturating_add(1), height: shown, ..area }.intersection(area), first);
        frame.render_widget(Paragraph::new(lines), area);
        cursor(frame, area, 0, 2 + self.field.width());
    }
}

/// Returns how far a text is from what was typed: the letters must be there in that order, and the letters between them
/// count.
fn distance(typed: &str, text: &str) -> Option<usize> {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (typed, text) = (lower(typed), lower(text));
    let (mut at, mut distance) = (0, 0);
    for letter in typed.into_iter().filter(|letter| !letter.is_whitespace()) {
        let skipped = text[at..].iter().position(|other| *other == letter)?;
        distance += skipped;
        at += skipped + 1;
    }
    Some(distance)
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn palette_matches_scattered_letters() {
        let choices = ["start sandbox", "stop sandbox", "new key"].map(|text| PaletteItem {
            text: text.into(),
            key: String::new(),
            action: Action::Insert(text.into()),
        });
        let mut palette = Palette::new(choices.into());
        palette.paste("stop");
        assert_eq!(palette.matching()[0].text, "stop sandbox");
        palette.field.clear();
        palette.paste("sasa");
        assert_eq!(palette.matching().iter().map(|choice| choice.text.as_str()).collect::<Vec<_>>(), ["start sandbox"]);
        let enter = palette.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
        assert!(matches!(enter, Some(Action::Insert(text)) if text == "start sandbox"));
        palette.paste("xyz");
        assert!(palette.matching().is_empty());
        assert_eq!(palette.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)), None);
    }
}
