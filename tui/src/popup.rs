//! Popups over the panes: forms, questions, help.

mod field;
mod palette;
mod quit;

use keys::keystore::KeyName;
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::{
    action::{Action, Secret},
    circle_id::CircleId,
    theme::Theme,
    wrap,
};
use field::Field;
pub(crate) use palette::{Palette, PaletteItem};
pub(crate) use quit::QuitPrompt;

/// The popup on the screen.
#[derive(Debug)]
pub(crate) enum Popup {
    /// Text to read, with its scroll position.
    Help {
        title: String,
        lines: Vec<(String, String)>,
        scroll: u16,
    },
    /// Question with `no` as the default answer.
    Confirm {
        question: String,
        yes: Action,
    },
    /// Question about the circles that were started here.
    QuitPrompt(QuitPrompt),
    /// Those circles are draining before the app ends.
    Quitting(String),
    NewKey(NewKeyForm),
    Passphrase(PassphraseForm),
    Address(AddressForm),
    Palette(Palette),
}

/// Form for a new key.
#[derive(Debug)]
pub(crate) struct NewKeyForm {
    name: Field,
    passphrase: Field,
    repeat: Field,
    at: usize,
    pub error: Option<String>,
    pub is_busy: bool,
    /// Circle that needs the key.
    pub circle: Option<CircleId>,
    why: Option<String>,
}

/// Form for the passphrase of a key.
#[derive(Debug)]
pub(crate) struct PassphraseForm {
    pub key: KeyName,
    field: Field,
    pub error: Option<String>,
    pub is_busy: bool,
}

/// Form for a circle's address.
#[derive(Debug)]
pub(crate) struct AddressForm {
    field: Field,
    pub error: Option<String>,
    pub is_busy: bool,
}

impl NewKeyForm {
    pub(crate) fn new(suggested: &'static str, circle: Option<CircleId>, why: Option<String>) -> Self {
        Self {
            name: Field::with_default(suggested),
            passphrase: Field::hidden(),
            repeat: Field::hidden(),
            at: 0,
            error: None,
            is_busy: false,
            circle,
            why,
        }
    }

    fn fields(&mut self) -> [&mut Field; 3] {
        [&mut self.name, &mut self.passphrase, &mut self.repeat]
    }

    fn submit(&mut self) -> Option<Action> {
        let name: Result<KeyName, _> = self.name.text().parse();
        let (at, error) = match name {
            Err(error) => (0, error.to_string()),
            Ok(_) if self.passphrase.text().is_empty() => (1, "an empty passphrase protects nothing".into()),
            Ok(_) if self.passphrase.text() != self.repeat.text() => (2, "the two passphrases differ".into()),
            Ok(name) => {
                (self.error, self.is_busy) = (None, true);
                return Some(Action::MakeKey(name, Secret(self.passphrase.secret())));
            }
        };
        if at == 2 {
            self.repeat.clear();
        }
        (self.at, self.error) = (at, Some(error));
        None
    }

    fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let at = self.at;
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            // While the form is busy, the key presses are ignored and the texts are kept.
            _ if self.is_busy => {}
            KeyCode::Enter if at == 2 => return self.submit(),
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.at = (at + 1) % 3,
            KeyCode::BackTab | KeyCode::Up => self.at = (at + 2) % 3,
            _ => self.fields()[at].key(key),
        }
        None
    }
}

impl PassphraseForm {
    pub(crate) fn new(key: KeyName, error: Option<String>) -> Self {
        Self { key, field: Field::hidden(), error, is_busy: false }
    }

    /// Shows an error, and lets the user try again.
    pub(crate) fn set_error(&mut self, error: String) {
        (self.error, self.is_busy) = (Some(error), false);
        self.field.clear();
    }

    fn key(&mut self, key: KeyEvent) -> Option<Action> {
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            _ if self.is_busy => {}
            KeyCode::Enter if !self.field.text().is_empty() => {
                (self.error, self.is_busy) = (None, true);
                return Some(Action::Unlock(self.key.clone(), Secret(self.field.secret())));
            }
            _ => self.field.key(key),
        }
        None
    }
}

impl Popup {
    /// A popup with a text to read.
    pub(crate) fn text(title: &str, lines: &[String]) -> Self {
        let lines = lines.iter().map(|line| (line.clone(), String::new())).collect();
        Self::Help { title: title.to_owned(), lines, scroll: 0 }
    }

    /// Returns whether the user types into the popup, so that its text must not be lost.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self, Self::NewKey(_) | Self::Passphrase(_) | Self::Address(_))
    }

    /// Returns whether the popup waits for an outcome.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::NewKey(form) => form.is_busy,
            Self::Passphrase(form) => form.is_busy,
            Self::Address(form) => form.is_busy,
            Self::Quitting(_) => true,
            _ => false,
        }
    }

    pub(crate) fn address() -> Self {
        Self::Address(AddressForm { field: Field::visible(), error: None, is_busy: false })
    }

    /// Handles a key press. The popup closes with the action unless it waits for the outcome ([`Popup::is_busy`]).
    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if is_interrupt {
            return Some(Action::Close);
        }
        match self {
            Self::Help { scroll, .. } => {
                match key.code {
                    KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                    KeyCode::Down | KeyCode::Char('j') => *scroll = scroll.saturating_add(1),
                    _ => return Some(Action::Close),
                }
                None
            }
            Self::Confirm { yes, .. } => match key.code {
                KeyCode::Char('y' | 'Y') => Some(yes.clone()),
                _ => Some(Action::Close),
            },
            Self::QuitPrompt(_) => QuitPrompt::key(key),
            Self::Quitting(_) => quit::quitting_key(key),
            Self::NewKey(form) => form.key(key),
            Self::Passphrase(form) => form.key(key),
            Self::Address(form) => match key.code {
                KeyCode::Esc => Some(Action::Close),
                _ if form.is_busy => None,
                KeyCode::Enter if !form.field.text().is_empty() => {
                    (form.error, form.is_busy) = (None, true);
                    Some(Action::ConnectTo(form.field.text().to_owned()))
                }
                _ => {
                    form.field.key(key);
                    None
                }
            },
            Self::Palette(palette) => palette.key(key),
        }
    }

    pub(crate) fn paste(&mut self, text: &str) {
        match self {
            Self::NewKey(form) if !form.is_busy => {
                let at = form.at;
                form.fields()[at].paste(text);
            }
            Self::Passphrase(form) if !form.is_busy => form.field.paste(text),
            Self::Address(form) => form.field.paste(text),
            Self::Palette(palette) => palette.paste(text),
            _ => {}
        }
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
        match self {
            Self::Help { title, lines, scroll } => {
                let explained = lines.iter().filter(|(_, does)| !does.is_empty());
                let width = explained.map(|(keys, _)| keys.chars().count()).max().unwrap_or(0);
                let lines: Vec<Line<'_>> = lines
                    .iter()
                    .map(|(keys, does)| match does.as_str() {
                        "" => Line::from(keys.clone()),
                        does => Line::from(vec![
                            Span::styled(format!("{keys:>width$}"), theme.key()),
                            Span::raw(format!("  {does}")),
                        ]),
                    })
                    .flat_map(|line| wrap_lines(frame, line))
                    .collect();
                let area = draw_window(frame, theme, title, &lines, "any key closes · ↓ ↑ scroll");
                let hidden = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(area.height);
                *scroll = (*scroll).min(hidden);
                frame.render_widget(Paragraph::new(lines).scroll((*scroll, 0)), area);
            }
            Self::Confirm { question, .. } => {
                let lines = wrap_lines(frame, Line::from(question.clone()));
                let area = draw_window(frame, theme, "Sure?", &lines, "y yes · any other key no");
                frame.render_widget(Paragraph::new(lines), area);
            }
            Self::QuitPrompt(leave) => leave.draw(frame, theme),
            Self::Quitting(names) => quit::draw_quitting(names, frame, theme, spinner),
            Self::NewKey(form) => {
                let mut lines: Vec<Line<'_>> =
                    form.why.iter().flat_map(|why| wrap_lines(frame, Line::from(why.clone()))).collect();
                let first = lines.len();
                for (label, field) in
                    [("name        ", &form.name), ("passphrase  ", &form.passphrase), ("repeat      ", &form.repeat)]
                {
                    lines.push(labelled(label, field));
                }
                let status = status(form.error.as_deref(), form.is_busy, "encrypting the key…", theme, spinner);
                lines.extend(wrap_lines(frame, status));
                let area = draw_window(frame, theme, "New key", &lines, "Enter next · Esc cancel");
                frame.render_widget(Paragraph::new(lines), area);
                let field = [&form.name, &form.passphrase, &form.repeat][form.at];
                cursor(frame, area, first + form.at, 12 + field.width());
            }
            Self::Passphrase(form) => {
                let question = format!("passphrase of {}  ", form.key);
                let column = question.chars().count() + form.field.width();
                let mut lines = vec![labelled(&question, &form.field)];
                let status = status(form.error.as_deref(), form.is_busy, "unlocking…", theme, spinner);
                lines.extend(wrap_lines(frame, status));
                let area = draw_window(frame, theme, "Unlock", &lines, "Enter unlock · Esc cancel");
                frame.render_widget(Paragraph::new(lines), area);
                cursor(frame, area, 0, column);
            }
            Self::Address(form) => {
                let mut lines = vec![
                    Line::from("a name in circles.json, a port (9001), host:port or a ws:// URL").dim(),
                    Line::from(form.field.spans().to_vec()),
                ];
                lines.extend(wrap_lines(
                    frame,
                    status(form.error.as_deref(), form.is_busy, "looking in circles.json…", theme, spinner),
                ));
                let area = draw_window(frame, theme, "Connect to", &lines, "Enter connect · Esc cancel");
                frame.render_widget(Paragraph::new(lines), area);
                cursor(frame, area, 1, form.field.width());
            }
            Self::Palette(palette) => palette.draw(frame, theme),
        }
    }
}

/// Wraps a line to the width of the screen.
fn wrap_lines(frame: &Frame<'_>, line: Line<'static>) -> Vec<Line<'static>> {
    wrap::wrap_words(line, frame.area().width.saturating_sub(4))
}

fn labelled(label: &str, field: &Field) -> Line<'static> {
    let mut spans = vec![Span::raw(label.to_owned()).dim()];
    spans.extend(field.spans());
    spans.into()
}

fn status(error: Option<&str>, is_busy: bool, busy: &str, theme: Theme, spinner: &str) -> Line<'static> {
    match error {
        Some(error) => Line::from(Span::styled(error.to_owned(), theme.error())),
        None if is_busy => Line::from(format!("{spinner} {busy}")),
        None => Line::default(),
    }
}

fn cursor(frame: &mut Frame<'_>, area: Rect, row: usize, column: usize) {
    let clip = |value: usize, limit: u16| u16::try_from(value).unwrap_or(u16::MAX).min(limit.saturating_sub(1));
    frame.set_cursor_position(Position::new(area.x + clip(column, area.width), area.y + clip(row, area.height)));
}

/// Draws a window in the middle of the screen that is large enough for its lines, and returns the area inside.
fn draw_window(frame: &mut Frame<'_>, theme: Theme, title: &str, lines: &[Line<'_>], hint: &str) -> Rect {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(hint.chars().count() + 2).max(44);
    let size = |needed: usize, room: u16| u16::try_from(needed).unwrap_or(u16::MAX).min(room);
    let screen = frame.area();
    let (width, height) = (size(widest + 4, screen.width), size(lines.len() + 2, screen.height));
    let area =
        Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered()
        .border_style(theme.border(true))
        .title(format!(" {title} "))
        .title_bottom(Line::from(format!(" {hint} ")).right_aligned())
        .padding(ratatui::widgets::Padding::horizontal(1));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}
