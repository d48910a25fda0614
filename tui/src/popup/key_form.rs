//! Form for a change of a key: rename, import, export, another passphrase, delete.

use keys::keystore::{KeyEntry, KeyName};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    text::Line,
    widgets::Paragraph,
};

use super::{
    Field,
    frame::{cursor, draw_window, labelled, status, wrap_lines},
};
use crate::{
    action::{Action, Secret},
    keys::{KeyChange, short},
    theme::Theme,
};

/// Purpose of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyJob {
    Rename(KeyName),
    Import,
    Export(KeyName),
    /// Writes the bare secret; the user has confirmed that.
    ExportSecret(KeyName),
    ChangePassphrase(KeyName),
    Remove(KeyEntry),
}

/// The form.
#[derive(Debug)]
pub(crate) struct KeyForm {
    job: KeyJob,
    lines: Vec<String>,
    fields: Vec<(&'static str, Field)>,
    at: usize,
    error: Option<String>,
    pub is_busy: bool,
}

impl KeyForm {
    pub(crate) fn new(job: KeyJob) -> Self {
        let filled = |text: &str| {
            let mut field = Field::visible();
            field.paste(text);
            field
        };
        let (lines, fields) = match &job {
            KeyJob::Rename(name) => (vec![], vec![("new name", filled(name.as_str()))]),
            KeyJob::Import => (
                vec!["Imports a file of circles keys export, or one with a secret key of 64 hex digits.".into()],
                vec![("name", Field::visible()), ("file", Field::visible())],
            ),
            KeyJob::Export(name) => (
                vec!["Writes the key to a new file, encrypted with its passphrase.".into()],
                vec![("file", filled(&format!("{name}.json")))],
            ),
            KeyJob::ExportSecret(name) => (
                vec!["Writes the bare secret key to a new file that only you can read.".into()],
                vec![("file", filled(&format!("{name}.secret"))), ("passphrase", Field::hidden())],
            ),
            KeyJob::ChangePassphrase(_) => (
                vec!["Older copies of the key, such as backups, still open with the old passphrase.".into()],
                vec![("passphrase", Field::hidden()), ("new", Field::hidden()), ("repeat", Field::hidden())],
            ),
            KeyJob::Remove(entry) => {
                let key = short(&entry.public_key.to_hex());
                let default = if entry.default { ", the default key" } else { "" };
                (
                    vec![
                        format!("Deletes {} ({key}){default}. Without a backup the key is lost for good.", entry.name),
                        "Type its name to delete it.".into(),
                    ],
                    vec![("name", Field::visible())],
                )
            }
        };
        Self { job, lines, fields, at: 0, error: None, is_busy: false }
    }

    /// Shows an error, and lets the user try again. Passphrases have to be typed again.
    pub(crate) fn set_error(&mut self, error: String) {
        (self.error, self.is_busy) = (Some(error), false);
        let is_wrong = matches!(self.job, KeyJob::ChangePassphrase(_));
        if let Some((_, field)) = self.fields.first_mut().filter(|_| is_wrong) {
            field.clear();
            self.at = 0;
        }
        if let (KeyJob::ExportSecret(_), Some((_, field))) = (&self.job, self.fields.get_mut(1)) {
            field.clear();
        }
    }

    /// Asks for the passphrase of a bare secret.
    pub(crate) fn ask_passphrase(&mut self) {
        self.is_busy = false;
        self.lines = vec!["The file has a secret key that is not encrypted: choose a passphrase for it.".into()];
        self.fields.truncate(2);
        self.fields.extend([("passphrase", Field::hidden()), ("repeat", Field::hidden())]);
        self.at = 2;
    }

    fn text(&self, field: usize) -> &str {
        self.fields.get(field).map_or("", |(_, field)| field.text())
    }

    fn secret(&self, field: usize) -> Option<Secret> {
        self.fields.get(field).map(|(_, field)| Secret(field.secret()))
    }

    /// Returns the name in a field, or the field to correct with the error.
    fn name(&self, field: usize) -> Result<KeyName, (usize, String)> {
        self.text(field).parse().map_err(|error: keys::keystore::KeyNameError| (field, error.to_string()))
    }

    fn file(&self, field: usize) -> Result<String, (usize, String)> {
        match self.text(field) {
            "" => Err((field, "give the name of a file".into())),
            file => Ok(file.to_owned()),
        }
    }

    /// Returns the new passphrase in two fields.
    fn new_passphrase(&self, field: usize) -> Result<Secret, (usize, String)> {
        if self.text(field).is_empty() {
            return Err((field, "an empty passphrase protects nothing".into()));
        }
        if self.text(field) != self.text(field + 1) {
            return Err((field + 1, "the two passphrases differ".into()));
        }
        self.secret(field).ok_or((field, String::new()))
    }

    fn change(&self) -> Result<KeyChange, (usize, String)> {
        Ok(match &self.job {
            KeyJob::Rename(old) => KeyChange::Rename { old: old.clone(), new: self.name(0)? },
            KeyJob::Import => {
                let passphrase = if self.fields.len() > 2 { Some(self.new_passphrase(2)?) } else { None };
                KeyChange::Import { name: self.name(0)?, file: self.file(1)?, passphrase }
            }
            KeyJob::Export(name) => KeyChange::Export { name: name.clone(), file: self.file(0)? },
            KeyJob::ExportSecret(name) => {
                let passphrase = self.secret(1).filter(|secret| !secret.0.is_empty());
                let passphrase = passphrase.ok_or((1, format!("type the passphrase of {name}")))?;
                KeyChange::ExportSecret { name: name.clone(), file: self.file(0)?, passphrase }
            }
            KeyJob::ChangePassphrase(name) => {
                let old = self.secret(0).filter(|secret| !secret.0.is_empty());
                let old = old.ok_or((0, format!("type the present passphrase of {name}")))?;
                KeyChange::ChangePassphrase { name: name.clone(), old, new: self.new_passphrase(1)? }
            }
            KeyJob::Remove(entry) if self.text(0) == entry.name.as_str() => KeyChange::Remove(entry.name.clone()),
            KeyJob::Remove(entry) => return Err((0, format!("this is not its name: {}", entry.name))),
        })
    }

    fn submit(&mut self) -> Option<Action> {
        match self.change() {
            Ok(change) => {
                (self.error, self.is_busy) = (None, true);
                Some(Action::ChangeKey(change))
            }
            Err((at, error)) => {
                (self.at, self.error) = (at, Some(error));
                None
            }
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let (at, count) = (self.at, self.fields.len());
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            // While the form is busy, the key presses are ignored and the texts are kept.
            _ if self.is_busy => {}
            KeyCode::Enter if at + 1 == count => return self.submit(),
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.at = (at + 1) % count,
            KeyCode::BackTab | KeyCode::Up => self.at = (at + count - 1) % count,
            _ => self.fields[at].1.key(key),
        }
        None
    }

    pub(super) fn paste(&mut self, text: &str) {
        if !self.is_busy {
            self.fields[self.at].1.paste(text);
        }
    }

    fn title(&self) -> String {
        match &self.job {
            KeyJob::Rename(name) => format!("Rename {name}"),
            KeyJob::Import => "Import a key".into(),
            KeyJob::Export(name) => format!("Export {name}"),
            KeyJob::ExportSecret(name) => format!("Export the secret of {name}"),
            KeyJob::ChangePassphrase(name) => format!("Passphrase of {name}"),
            KeyJob::Remove(entry) => format!("Delete {}", entry.name),
        }
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
        let mut lines: Vec<Line<'_>> =
            self.lines.iter().flat_map(|line| wrap_lines(frame, Line::from(line.clone()))).collect();
        let first = lines.len();
        let width = self.fields.iter().map(|(label, _)| label.len()).max().unwrap_or(0) + 2;
        for (label, field) in &self.fields {
            lines.push(labelled(&format!("{label:width$}"), field));
        }
        let status = status(self.error.as_deref(), self.is_busy, "working…", theme, spinner);
        lines.extend(wrap_lines(frame, status));
        let enter = if self.at + 1 == self.fields.len() { self.verb() } else { "next" };
        let area = draw_window(frame, theme, &self.title(), &lines, &format!("Enter {enter} · Esc cancel"));
        frame.render_widget(Paragraph::new(lines), area);
        cursor(frame, area, first + self.at, width + self.fields[self.at].1.width());
    }

    fn verb(&self) -> &'static str {
        match self.job {
            KeyJob::Rename(_) => "rename",
            KeyJob::Import => "import",
            KeyJob::Export(_) | KeyJob::ExportSecret(_) => "export",
            KeyJob::ChangePassphrase(_) => "change",
            KeyJob::Remove(_) => "delete",
        }
    }
}
