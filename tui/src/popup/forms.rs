//! Forms: a new key, a passphrase, an address.

use keys::keystore::{KeyName, KeyNameError};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    style::Stylize,
    text::Line,
    widgets::Paragraph,
};

use super::{
    Field,
    frame::{cursor, draw_window, labelled, status, wrap_lines},
};
use crate::{
    action::{Action, Secret},
    theme::Theme,
};

/// Form for a new key.
#[derive(Debug)]
pub(crate) struct NewKeyForm {
    name: Field,
    passphrase: Field,
    repeat: Field,
    at: usize,
    /// Names of keys that there are.
    taken: Vec<KeyName>,
    pub error: Option<String>,
    pub is_busy: bool,
    /// The action to carry out once the key is made.
    pub then: Option<Action>,
    why: Option<String>,
}

/// Form for the passphrase of a key.
#[derive(Debug)]
pub(crate) struct PassphraseForm {
    pub key: KeyName,
    pub(super) field: Field,
    error: Option<String>,
    pub is_busy: bool,
}

/// Form for a circle's address.
#[derive(Debug)]
pub(crate) struct AddressForm {
    pub(super) field: Field,
    pub error: Option<String>,
    pub is_busy: bool,
}

impl NewKeyForm {
    /// Creates the form. `taken` are the names of keys that there are.
    pub(crate) fn new(suggested: &'static str, taken: Vec<KeyName>, then: Option<Action>, why: Option<String>) -> Self {
        Self {
            name: Field::with_default(suggested),
            passphrase: Field::hidden(),
            repeat: Field::hidden(),
            at: 0,
            taken,
            error: None,
            is_busy: false,
            then,
            why,
        }
    }

    fn fields(&mut self) -> [&mut Field; 3] {
        [&mut self.name, &mut self.passphrase, &mut self.repeat]
    }

    /// Returns the name, or why it cannot be the name of a new key.
    fn checked_name(&self) -> Result<KeyName, String> {
        let name: KeyName = self.name.text().parse().map_err(|error: KeyNameError| error.to_string())?;
        if self.taken.contains(&name) {
            return Err(format!("there is a key '{name}' already: choose another name"));
        }
        Ok(name)
    }

    /// Moves to another field. An invalid name is refused before anything else is typed.
    fn move_to(&mut self, at: usize) {
        self.error = if self.at == 0 { self.checked_name().err() } else { None };
        if self.error.is_none() {
            self.at = at;
        }
    }

    fn submit(&mut self) -> Option<Action> {
        let (at, error) = match self.checked_name() {
            Err(error) => (0, error),
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

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let at = self.at;
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            // While the form is busy, the key presses are ignored and the texts are kept.
            _ if self.is_busy => {}
            KeyCode::Enter if at == 2 => return self.submit(),
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.move_to((at + 1) % 3),
            KeyCode::BackTab | KeyCode::Up => self.move_to((at + 2) % 3),
            _ => self.fields()[at].key(key),
        }
        None
    }

    pub(super) fn paste(&mut self, text: &str) {
        let at = self.at;
        if !self.is_busy {
            self.fields()[at].paste(text);
        }
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
        let mut lines: Vec<Line<'_>> =
            self.why.iter().flat_map(|why| wrap_lines(frame, Line::from(why.clone()))).collect();
        let first = lines.len();
        for (label, field) in
            [("name        ", &self.name), ("passphrase  ", &self.passphrase), ("repeat      ", &self.repeat)]
        {
            lines.push(labelled(label, field));
        }
        let status = status(self.error.as_deref(), self.is_busy, "encrypting the key…", theme, spinner);
        lines.extend(wrap_lines(frame, status));
        let area = draw_window(frame, theme, "New key", &lines, "Enter next · Esc cancel");
        frame.render_widget(Paragraph::new(lines), area);
        let field = [&self.name, &self.passphrase, &self.repeat][self.at];
        cursor(frame, area, first + self.at, 12 + field.width());
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

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
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

    pub(super) fn draw(&self, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
        let question = format!("passphrase of {}  ", self.key);
        let column = question.chars().count() + self.field.width();
        let mut lines = vec![labelled(&question, &self.field)];
        let status = status(self.error.as_deref(), self.is_busy, "unlocking…", theme, spinner);
        lines.extend(wrap_lines(frame, status));
        let area = draw_window(frame, theme, "Unlock", &lines, "Enter unlock · Esc cancel");
        frame.render_widget(Paragraph::new(lines), area);
        cursor(frame, area, 0, column);
    }
}

impl AddressForm {
    pub(super) fn new() -> Self {
        Self { field: Field::visible(), error: None, is_busy: false }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            _ if self.is_busy => {}
            KeyCode::Enter if !self.field.text().is_empty() => {
                (self.error, self.is_busy) = (None, true);
                return Some(Action::ConnectTo(self.field.text().to_owned()));
            }
            _ => self.field.key(key),
        }
        None
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
        let mut lines = vec![
            Line::from("a name in circles.json, a port (9001), host:port or a ws:// or wss:// URL").dim(),
            Line::from(self.field.spans().to_vec()),
        ];
        lines.extend(wrap_lines(
            frame,
            status(self.error.as_deref(), self.is_busy, "looking in circles.json…", theme, spinner),
        ));
        let area = draw_window(frame, theme, "Connect to", &lines, "Enter connect · Esc cancel");
        frame.render_widget(Paragraph::new(lines), area);
        cursor(frame, area, 1, self.field.width());
    }
}
