//! The keys in the keystore, which of them are unlocked, and the pane that shows them.

use std::{collections::HashMap, sync::Arc};

use keys::{
    KeyPair,
    keystore::{Entry, KeyName, Listing},
};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::Rect,
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{action::Action, list, theme::Theme};

#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: Vec<Entry>,
    /// For as long as the app lives.
    unlocked: HashMap<KeyName, Arc<KeyPair>>,
    /// The key to be, if it is not the default one.
    used: Option<KeyName>,
    selected: usize,
    /// Whether the key to be was named on the command line: then it is proved to open circles, too.
    is_asked: bool,
    /// Whether the keystore has been read.
    is_known: bool,
}

impl Keys {
    /// `used`: the key to be, if it is not the default one.
    pub(crate) fn new(used: Option<KeyName>) -> Self {
        Self { is_asked: used.is_some(), used, ..Self::default() }
    }

    pub(crate) fn set(&mut self, listing: Listing) {
        self.entries = listing.entries;
        self.selected = self.selected.min(self.entries.len().saturating_sub(1));
        self.is_known = true;
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn use_key(&mut self, name: KeyName) {
        self.used = Some(name);
    }

    /// The key to be: the one that was chosen, or the default one.
    pub(crate) fn used(&self) -> Option<&Entry> {
        let by_name = |name: &KeyName| self.entries.iter().find(|entry| entry.name == *name);
        let default = || self.entries.iter().find(|entry| entry.default);
        self.used.as_ref().and_then(by_name).or_else(default).or_else(|| self.entries.first())
    }

    pub(crate) fn unlock(&mut self, name: KeyName, keypair: Arc<KeyPair>) {
        self.unlocked.insert(name, keypair);
    }

    pub(crate) fn unlocked(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.unlocked.get(name).cloned()
    }

    /// A key that was just made: the one to be, and the chosen one.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.used = Some(entry.name.clone());
        let at = self.entries.partition_point(|other| other.name < entry.name);
        self.entries.insert(at, entry);
        self.selected = at;
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if let Some(selected) = list::moved(key.code, self.selected, self.entries.len()) {
            self.selected = selected;
            return None;
        }
        match key.code {
            KeyCode::Char('n') => Some(Action::AskNewKey),
            KeyCode::Char('r') => Some(Action::ReadKeys),
            code => {
                let entry = self.entries.get(self.selected)?;
                match code {
                    KeyCode::Enter => Some(Action::UseKey(entry.name.clone())),
                    KeyCode::Char('D') => Some(Action::DefaultKey(entry.name.clone())),
                    KeyCode::Char('y') => Some(Action::Copy(entry.public_key.to_hex(), "the public key")),
                    _ => None,
                }
            }
        }
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        if self.entries.is_empty() && self.is_known {
            let lines = vec![
                Line::from("no key yet").dim(),
                Line::from(vec![Span::styled("n", theme.key()), Span::raw(" makes one")]),
            ];
            return frame.render_widget(Paragraph::new(lines), area);
        }
        let width = usize::from(area.width);
        let first = self.selected.saturating_sub(usize::from(area.height).saturating_sub(1));
        let used = self.used().map(|entry| &entry.name);
        let rows: Vec<Line<'_>> = self
            .entries
            .iter()
            .enumerate()
            .skip(first)
            .take(usize::from(area.height))
            .map(|(index, entry)| {
                let is_unlocked = self.unlocked.contains_key(&entry.name);
                let marks = format!(
                    "{}{}",
                    if used == Some(&entry.name) { "✓" } else { " " },
                    if is_unlocked { "⚿" } else { " " }
                );
                let room = width.saturating_sub(5);
                let mut text = format!("{} {}", entry.name, short(&entry.public_key.to_hex()));
                if text.chars().count() > room {
                    text = text.chars().take(room).collect();
                }
                let padding = " ".repeat(room.saturating_sub(text.chars().count()));
                let mark = if index == self.selected { "▸" } else { " " };
                let line = Line::from(format!("{mark}{text}{padding} {marks} "));
                if index == self.selected { line.style(theme.selected()) } else { line }
            })
            .collect();
        frame.render_widget(Paragraph::new(rows), area);
    }
}

/// Enough of a public key to tell it by: 02ab…9f.
pub(crate) fn short(hex: &str) -> String {
    match (hex.get(..4), hex.get(hex.len().saturating_sub(2)..)) {
        (Some(begin), Some(end)) => format!("{begin}…{end}"),
        _ => hex.to_owned(),
    }
}
