//! Dialog with buttons. It opens on the button that loses nothing, and letters do nothing: text that is typed ahead
//! cannot answer it.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use unicode_width::UnicodeWidthStr;

use super::frame::{draw_window, wrap_lines};
use crate::{action::Action, theme::Theme};

/// The dialog.
#[derive(Debug)]
pub(crate) struct Choice {
    title: String,
    lines: Vec<String>,
    /// Labels and their actions. The first one only closes the dialog.
    buttons: Vec<(String, Action)>,
    selected: usize,
    /// Where the buttons were last drawn.
    drawn: Vec<(usize, Rect)>,
}

impl Choice {
    /// Creates a dialog that opens on `stay`, which closes it.
    pub(crate) fn new(title: String, lines: Vec<String>, stay: &str, others: Vec<(String, Action)>) -> Self {
        let mut buttons = vec![(stay.to_owned(), Action::Close)];
        buttons.extend(others);
        Self { title, lines, buttons, selected: 0, drawn: Vec::new() }
    }

    /// Creates a question that opens on *No*.
    pub(crate) fn confirm(title: String, lines: Vec<String>, verb: &str, yes: Action) -> Self {
        Self::new(title, lines, "No", vec![(verb.to_owned(), yes)])
    }

    /// Returns whether Enter chooses a button that does something.
    #[cfg(test)]
    pub(crate) fn is_armed(&self) -> bool {
        self.selected > 0
    }

    /// Returns whether a click chooses a button that does something.
    #[cfg(test)]
    pub(crate) fn is_answered_at(&self, at: Position) -> bool {
        self.click(at).is_some_and(|action| action != Action::Close)
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let count = self.buttons.len();
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            KeyCode::Enter => return self.buttons.get(self.selected).map(|(_, action)| action.clone()),
            KeyCode::Left => self.selected = self.selected.saturating_sub(1),
            KeyCode::Right => self.selected = (self.selected + 1).min(count - 1),
            KeyCode::Tab => self.selected = (self.selected + 1) % count,
            KeyCode::BackTab => self.selected = (self.selected + count - 1) % count,
            _ => {}
        }
        None
    }

    /// Handles a click: it chooses a button.
    pub(super) fn click(&self, at: Position) -> Option<Action> {
        let (button, _) = self.drawn.iter().find(|(_, area)| area.contains(at))?;
        self.buttons.get(*button).map(|(_, action)| action.clone())
    }

    /// Draws the dialog. The spinner is shown while it waits for something.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme, spinner: Option<&str>) {
        let mut lines: Vec<Line<'_>> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let line = match spinner.filter(|_| index == 0) {
                Some(spinner) => format!("{spinner} {line}"),
                None => line.clone(),
            };
            lines.extend(wrap_lines(frame, Line::from(line)));
        }
        lines.push(Line::default());
        let first_row = lines.len();
        let (rows, places) = self.rows(frame.area().width.saturating_sub(4), theme);
        lines.extend(rows);
        let area = draw_window(frame, theme, &self.title, &lines, "← → choose · Enter · Esc");
        // The buttons stay visible on a screen without room for all of the text.
        let hidden = lines.len().saturating_sub(usize::from(area.height));
        let (text, buttons) = lines.split_at(first_row);
        let shown: Vec<Line<'_>> =
            text.iter().take(text.len().saturating_sub(hidden)).chain(buttons).cloned().collect();
        let first_row = u16::try_from(text.len().saturating_sub(hidden)).unwrap_or(u16::MAX);
        self.drawn = places
            .into_iter()
            .map(|(button, place)| {
                let (x, y) = (area.x.saturating_add(place.x), area.y.saturating_add(first_row).saturating_add(place.y));
                (button, Rect { x, y, ..place }.intersection(area))
            })
            .collect();
        frame.render_widget(Paragraph::new(shown), Rect { ..area });
    }

    /// Returns the buttons in as many rows as the width needs, and where they are in these rows.
    fn rows(&self, width: u16, theme: Theme) -> (Vec<Line<'static>>, Vec<(usize, Rect)>) {
        let (mut rows, mut places) = (vec![Vec::new()], Vec::new());
        let mut used = 0;
        for (index, (label, _)) in self.buttons.iter().enumerate() {
            let is_selected = index == self.selected;
            let text = if is_selected { format!("[ {label} ]") } else { format!("  {label}  ") };
            let columns = text.width() + 1;
            if used > 0 && used + columns > usize::from(width) {
                rows.push(Vec::new());
                used = 0;
            }
            let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
            places.push((index, Rect::new(short(used), short(rows.len() - 1), short(columns - 1), 1)));
            used += columns;
            let span = Span::raw(text);
            let row = rows.last_mut().expect("there is a row");
            row.push(if is_selected { span.style(theme.selected(true)) } else { span });
            row.push(Span::raw(" "));
        }
        (rows.into_iter().map(Line::from).collect(), places)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;

    fn press(choice: &mut Choice, code: KeyCode) -> Option<Action> {
        choice.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn question() -> Choice {
        Choice::confirm("Quit?".into(), vec!["All is lost.".into()], "Quit", Action::QuitNow)
    }

    #[test]
    fn dialog_ignores_letters_and_opens_on_no() {
        let mut choice = question();
        for letter in ' '..='~' {
            assert_eq!(press(&mut choice, KeyCode::Char(letter)), None);
        }
        for code in [KeyCode::Up, KeyCode::Down, KeyCode::Backspace, KeyCode::PageDown, KeyCode::F(1)] {
            assert_eq!(press(&mut choice, code), None);
        }
        assert_eq!(press(&mut choice, KeyCode::Enter), Some(Action::Close));
        assert_eq!(press(&mut choice, KeyCode::Esc), Some(Action::Close));
    }

    #[test]
    fn dialog_is_answered_by_moving_to_a_button() {
        for (keys, chosen) in [
            (&[KeyCode::Right][..], Action::QuitNow),
            (&[KeyCode::Tab], Action::QuitNow),
            (&[KeyCode::BackTab], Action::QuitNow),
            (&[KeyCode::Right, KeyCode::Right], Action::QuitNow),
            (&[KeyCode::Right, KeyCode::Left], Action::Close),
            (&[KeyCode::Tab, KeyCode::Tab], Action::Close),
        ] {
            let mut choice = question();
            for code in keys {
                assert_eq!(press(&mut choice, *code), None);
            }
            assert_eq!(press(&mut choice, KeyCode::Enter), Some(chosen), "{keys:?}");
            assert_eq!(press(&mut choice, KeyCode::Esc), Some(Action::Close));
        }
    }
}
